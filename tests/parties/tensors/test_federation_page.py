"""`docs/tensors.md` is true about members on their own machines: with a folder each, its commands do what it says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from orchestrator.federation.authority import Authority
from orchestrator.federation.records import ServiceFolder
from orchestrator.federation.shared import read_shared
from parties.frame.private_files import make_private_folder
from parties.protocols import PROTOCOLS
from tests.copies import ROOT, environment_of
from tests.federations import MembersHere, install
from tests.page_blocks import Block, blocks_of
from tests.ports import free_ports

PAGE = ROOT / "docs" / "tensors.md"
MEMBERS = {"hospital": "asking", "laboratory": "computing", "provider": "provider"}
TRUE_WEIGHTS = np.array([1.0, -1.0, 0.5, 0.0])


class Walk:
    """Goes through the section, in which all members act from folders beside each other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.services: list[subprocess.Popen[bytes]] = []
        self.port = free_ports(len(MEMBERS))

    def write(self, block: Block) -> None:
        text = re.sub(r"\b720(\d)\b", lambda number: str(self.port + int(number[1]) - 1), block.body)
        for name in MEMBERS:
            (self.folder / name).mkdir(exist_ok=True)
            (self.folder / name / Path(block.path).name).write_text(text)

    def join(self) -> None:
        """Give each member a key, a certificate and its own records."""
        first = read_shared(self.folder / "hospital" / "federation.yaml", PROTOCOLS)
        authority = Authority.make(make_private_folder(self.folder / "authority"), first.federation)
        for name in MEMBERS:
            install(authority, name, self.folder / name / "state", self.folder / name / "federation.yaml")
        random = np.random.default_rng(0)
        x = random.normal(size=(200, 4)).clip(-8, 8)
        y = x @ TRUE_WEIGHTS + random.normal(size=200) / 4 > 0
        np.savetxt(self.folder / "hospital" / "measurements.csv", x, delimiter=",")
        np.savetxt(self.folder / "laboratory" / "diagnoses.csv", y, fmt="%d")

    def run(self, lines: Sequence[str]) -> None:
        line, *expected = lines
        words = shlex.split(line.removeprefix("$ python run_protocol.py"))
        command = [sys.executable, str(ROOT / "run_protocol.py"), *words]
        if words[0] == "serve":
            self.serve(command, words[-1].split("/")[0])
            return
        done = subprocess.run(
            command, cwd=self.folder, env=environment_of(ROOT), capture_output=True, text=True, timeout=600, check=False
        )
        printed = done.stdout + done.stderr
        assert done.returncode <= (1 if words[0] == "check" else 0), printed
        rest = iter(" ".join(one.split()) for one in printed.splitlines())
        for pattern in (".*".join(map(re.escape, " ".join(one.split()).split("..."))) for one in expected):
            assert any(re.fullmatch(pattern, one) for one in rest), f"{line}\nno {pattern!r} in its place in\n{printed}"

    def serve(self, command: list[str], name: str) -> None:
        with (self.folder / "serve.out").open("ab") as output:
            service = subprocess.Popen(command, cwd=self.folder, env=environment_of(ROOT), stdout=output, stderr=output)
        self.services.append(service)
        folder = ServiceFolder(self.folder / name / "state", MEMBERS[name])
        MembersHere(self.folder).until(lambda: folder.running() is not None, f"{name} serves")


def blocks() -> list[Block]:
    """The blocks of the section."""
    section = PAGE.read_text().split("## Between members on their own machines\n")[1].split("\n## ")[0]
    return [block for block in blocks_of(PAGE) if block.body in section]


def test_the_section_trains_a_model_as_it_says(tmp_path: Path) -> None:
    walk, commands = Walk(tmp_path), 0
    try:
        for block in blocks():
            if block.path:
                walk.write(block)
                continue
            if not commands:
                walk.join()
            walk.run(block.body.splitlines())
            commands += 1
    finally:
        for service in walk.services:
            service.terminate()
        for service in walk.services:
            service.wait(60)
    assert commands == 6
    learned = np.load(tmp_path / "hospital" / "learned.npz")
    assert learned["accuracy"] > 0.9
    assert learned["weights"][:4] @ TRUE_WEIGHTS > 0
    assert dict(np.load(tmp_path / "laboratory" / "learned.npz")) == {"accuracy": pytest.approx(learned["accuracy"])}
    for name, own in (("hospital", "measurements.csv"), ("laboratory", "diagnoses.csv"), ("provider", None)):
        assert {path.name for path in (tmp_path / name).rglob("*.csv")} == ({own} - {None})
