"""A party that also writes down all that it receives: `python -m tests.parties.capc.overheard MODULE --settings PATH`.

For tests of what a party saw. In the folder `OVERHEARD` each party has a file with a line for each message: sender,
label, and the body in hex.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path
from typing import Any

from mpc.channels.frames import Channel


def overhear(file: Path) -> None:
    """Wrap the place where messages come in."""
    lines, receive = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), Channel.recv

    def overheard(channel: Channel, label: str, *rest: Any, **named: Any) -> memoryview:
        body = receive(channel, label, *rest, **named)
        os.write(lines, f"{channel.peer}\t{label}\t{bytes(body).hex()}\n".encode())  # whole, from whichever thread
        return body

    Channel.recv = overheard  # type: ignore[method-assign]


def read(folder: Path, party: str) -> list[tuple[str, str, bytes]]:
    """Sender, label and body of everything that a party received."""
    rows = [line.split("\t") for line in (folder / party).read_text().splitlines()]
    return [(peer, label, bytes.fromhex(body)) for peer, label, body in rows]


if __name__ == "__main__":
    overhear(Path(os.environ["OVERHEARD"]) / Path(sys.argv[sys.argv.index("--settings") + 1]).parent.name)
    module = sys.argv.pop(1)
    runpy.run_module(module, run_name="__main__", alter_sys=True)
