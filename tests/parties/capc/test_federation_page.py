"""`docs/federation.md` is true: with a folder for each machine, its commands do what the page prints."""

from __future__ import annotations

import csv
import re
import shlex
import subprocess
import sys
from pathlib import Path

from sklearn.datasets import load_breast_cancer

from orchestrator.federation.records import ServiceFolder
from tests.copies import ROOT, environment_of
from tests.page_blocks import Block, blocks_of
from tests.parties.capc.federations import FederationHere
from tests.ports import free_ports

PAGE = ROOT / "docs" / "federation.md"
MEMBERS = ("trustee", "clinic-a", "clinic-b", "clinic-c")
ROLES = dict.fromkeys(MEMBERS, "answering") | {"trustee": "guardian"}


def with_ports(text: str, first: int) -> str:
    """The text with free ports in place of the page's, which begin at 7100."""
    return re.sub(r"\b71(\d\d)\b", lambda number: str(first + int(number[1])), text)


class Walk:
    """Goes through the page, and does for the other members what it shows for one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.services: list[subprocess.Popen[bytes]] = []
        self.port = free_ports(len(MEMBERS))
        self.fingerprints: dict[str, str] = {}

    def command(self, line: str) -> list[str]:
        for name, value in self.fingerprints.items():
            line = line.replace(name, value)
        line = line.removeprefix("$ ").replace("python run_protocol.py", f"{sys.executable} {ROOT / 'run_protocol.py'}")
        return shlex.split(line)

    def run(self, block: Block) -> None:
        line, *expected = block.body.splitlines()
        if " serve " in line:
            self.serve(line)
            return
        printed = self.printed(line)
        rest = iter(printed.splitlines())
        for words in (with_ports(line, self.port) for line in expected):
            pattern = ".*".join(map(re.escape, words.split("...")))
            assert any(re.fullmatch(pattern, one) for one in rest), f"{line}\nno {words!r} in its place in\n{printed}"
        for what in (" init ", " request "):
            if what in line:
                name = "FINGERPRINT_OF_AUTHORITY" if what == " init " else "FINGERPRINT_OF_REQUEST"
                self.fingerprints[name] = printed.split("compare: ")[1].split()[0]
        if " install " in line:
            for other in set(MEMBERS) - {"clinic-a"}:
                self.join(other)

    def printed(self, line: str) -> str:
        done = subprocess.run(
            self.command(line), cwd=self.folder, env=environment_of(self.folder), capture_output=True, text=True,
            timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode <= (1 if " check " in line else 0), done.stdout + done.stderr
        return done.stdout + done.stderr

    def join(self, name: str) -> None:
        """Do as the page does for clinic-a."""
        for block in blocks_of(PAGE):
            line = block.body.splitlines()[0].replace("clinic-a", name)
            if any(word in line for word in (" request ", " approve ", " install ")):
                printed = self.printed(line)
                if " request " in line:
                    self.fingerprints["FINGERPRINT_OF_REQUEST"] = printed.split("compare: ")[1].split()[0]

    def serve(self, line: str) -> None:
        with (self.folder / "serve.out").open("ab") as output:
            service = subprocess.Popen(
                self.command(line), cwd=self.folder, env=environment_of(self.folder), stdout=output, stderr=output
            )
        self.services.append(service)
        name = line.partition("--dir ")[2].partition("/")[0]
        folder = ServiceFolder(self.folder / name / "state", ROLES[name])
        FederationHere(self.folder).until(lambda: folder.running() is not None, f"{name} serves")


def write_records(folder: Path) -> None:
    biopsies = load_breast_cancer()
    columns = [*biopsies.feature_names, "diagnosis"]
    rows = [[*x, ("malignant", "benign")[y]] for x, y in zip(biopsies.data.tolist(), biopsies.target, strict=True)]

    def write(path: Path, rows: list[list[object]]) -> None:
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(rows)

    for number, name in enumerate(("clinic-a", "clinic-b", "clinic-c")):
        write(folder / name / f"{name}.csv", [columns, *rows[number::4]])
    write(folder / "clinic-a" / "ask.csv", [row[:-1] for row in [columns, *rows[3::40]]])


def test_the_page_gets_labels_as_it_says(tmp_path: Path) -> None:
    walk = Walk(tmp_path)
    commands = 0
    try:
        for block in blocks_of(PAGE):
            if block.path:
                text = with_ports(block.body, walk.port)
                for name in ("coordinator", *MEMBERS):
                    (tmp_path / name).mkdir()
                    (tmp_path / name / "federation.yaml").write_text(text)
                write_records(tmp_path)
            elif block.kind == "console":
                walk.run(block)
                commands += 1
        labels = list(csv.DictReader((tmp_path / "labels.csv").open()))
    finally:
        for service in walk.services:
            service.terminate()
        for service in walk.services:
            service.wait(60)
    assert commands == 17
    assert {row["label"] for row in labels} <= {"malignant", "benign"}
    assert len(labels) == 3
    for name in MEMBERS:  # nobody has what others own
        own = {f"{name}.csv"} - {"trustee.csv"} | ({"ask.csv"} if name == "clinic-a" else set())
        assert {path.name for path in (tmp_path / name).rglob("*.csv")} == own
