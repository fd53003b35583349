"""The reader's process, which goes on without a witness: `python -m tests.orchestrator.reader --settings PATH`."""

from __future__ import annotations

import json
import sys
import time

from mpc.channels.frames import Channel
from mpc.errors import DeadlineError, TransportError
from parties.frame.connections import Connections
from parties.frame.private_files import write_private
from parties.frame.process import Party, run_party
from tests.orchestrator.witnesses import ASK, END, READER, WITNESS, ReaderSettings


def reader(party: Party[ReaderSettings]) -> None:
    settings, progress = party.settings, party.progress
    lost: dict[str, str] = {}

    def ask(witness: Channel) -> str:
        try:
            witness.send("question", ASK)
            return f"{witness.peer} {bytes(witness.recv('answer', 3)).decode()}"
        except DeadlineError:
            raise
        except TransportError as error:
            lost[witness.peer] = str(error)
            progress.note(f"goes on without {witness.peer}: {error}")
            return ""

    with Connections(settings, party.folder, READER, {}, progress.note) as connections:
        with progress.step("1", "connect", awaits=[peer.name for peer in settings.witnesses]):
            there = connections.with_each(settings.witnesses, lambda peer: connections.dial(peer, WITNESS))
        connections.begin()
        with progress.step("2", "ask"):
            while not lost:
                connections.with_each(there, ask)
                time.sleep(0.05)
            left = [witness for witness in there if witness.peer not in lost]
            heard = connections.with_each(left, ask)
            for witness in left:
                witness.send("question", END)
    write_private(party.folder / "result.json", json.dumps({"lost": sorted(lost), "heard": heard}).encode())


if __name__ == "__main__":
    sys.exit(run_party(ReaderSettings, reader))
