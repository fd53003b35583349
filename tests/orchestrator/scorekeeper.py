"""The scorekeeper's process, a service: `python -m tests.orchestrator.scorekeeper --settings PATH`."""

from __future__ import annotations

import signal
import socket
import sys
import time

from parties.frame.errors import PartyError
from parties.frame.lifetime import serving
from parties.frame.process import Party, run_party
from tests.orchestrator.game import KeeperSettings


def keeper(party: Party[KeeperSettings]) -> None:
    """Count the catches until told to end, then write them into the book."""
    settings, progress = party.settings, party.progress
    catches = 0
    with serving(), socket.create_server((settings.listen.host, settings.listen.port)) as listener:
        if settings.manner == "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        progress.listening(settings.listen.port)
        with progress.step("keep", "count the catches"):
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(100)
                    catches += 1
                    connection.sendall(b"noted")
                progress.note(f"{catches} caught")
                if settings.manner == "leaves":
                    return
    if settings.manner == "upset":
        raise PartyError("the book is full")
    if settings.manner == "stubborn":
        time.sleep(600)
    with settings.book.open("a") as book:
        book.write(f"{catches}\n")


if __name__ == "__main__":
    sys.exit(run_party(KeeperSettings, keeper))
