"""One line judge's process: `python -m tests.orchestrator.judge --settings PATH`."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path

from tests.orchestrator.player import leave, misbehave, read, tell


def main() -> None:
    settings = read(Path(sys.argv[2]))
    with socket.create_server((settings.host, settings.port)) as listener:
        tell(settings, "listening")
        tell(settings, "step_started", step="watch", title="watch the ball")
        if settings.manner == "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            tell(settings, "failed", step="watch", detail="the sun is in my eyes")
            listener.accept()  # not meant for it, so it stays
        misbehave(settings)
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"caught")
        tell(settings, "step_finished", step="watch", title="watch the ball", seconds=0.1)
    leave(settings, ok=True)
    tell(settings, "finished")


if __name__ == "__main__":
    main()
