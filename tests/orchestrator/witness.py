"""A witness's process: `python -m tests.orchestrator.witness --settings PATH`."""

from __future__ import annotations

import sys

from parties.frame.connections import Connections
from parties.frame.process import Party, run_party
from tests.orchestrator.witnesses import ASK, READER, WITNESS, WitnessSettings


def witness(party: Party[WitnessSettings]) -> None:
    settings, progress = party.settings, party.progress
    with Connections(settings, party.folder, WITNESS, {}, progress.note) as connections:
        listener = connections.listen(settings.listen)
        progress.listening(listener.port)
        with progress.step("1", "connect", awaits=[READER]):
            reader = connections.accept(listener, {READER: READER})
        connections.begin()
        with progress.step("2", "answer", channel=reader):
            while bytes(reader.recv("question", 1)) == ASK:
                reader.send("answer", b"yes")


if __name__ == "__main__":
    sys.exit(run_party(WitnessSettings, witness))
