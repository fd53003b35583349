"""The code blocks of a page that a test follows, and what its commands must print."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.copies import environment_of
from tests.ports import free_ports

_BLOCK = re.compile(r"^(?:`(?P<path>[\w./-]+)`\n)?```(?P<kind>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A code block of the page. `path` is the file that it is, or changes."""

    kind: str
    body: str
    path: str


def blocks_of(page: Path) -> list[Block]:
    found = [Block(one["kind"], one["body"], one["path"] or "") for one in _BLOCK.finditer(page.read_text())]
    assert page.read_text().count("```") == 2 * len(found)
    return found


def run(console: str, folder: Path, ports: int = 2) -> None:
    """Run the command after `$` and find the other lines, in this order, in what it prints. `...` fits anything."""
    first, *expected = console.splitlines()
    words = shlex.split(first.removeprefix("$ ").replace("python ", f"{sys.executable} ", 1))
    if "--launcher" in words:
        port = free_ports(ports)  # the page's own may be taken
        words += ["--start_port", str(port)]
        expected = [line.replace("237...", f"{port}") for line in expected]
    done = subprocess.run(
        words, cwd=folder, env=environment_of(folder), capture_output=True, text=True, timeout=600, check=False
    )
    printed = (done.stdout + done.stderr).splitlines()
    rest = iter(printed)
    for line in expected:
        pattern = ".*".join(map(re.escape, line.split("...")))
        assert any(re.fullmatch(pattern, one) for one in rest), f"{first}\nno {line!r} in its place in\n" + "\n".join(
            printed
        )
