"""A federation for decentralised aggregation: each member has a folder, keys that it made there, and a service."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from orchestrator.federation.authority import Authority
from parties.commons import clinics
from parties.commons.own_keys import WORDS, make_keys
from parties.commons.results import in_the_clear
from parties.frame.private_files import make_private_folder
from tests.federations import COMMAND, PATIENCE_S, MembersHere, members
from tests.ports import free_ports

ROLES: Mapping[str, str] = {
    **{f"trustee-{place}": "trustee" for place in range(4)},
    **{f"aggregator-{place}": "aggregator" for place in range(4)},
    **{f"clinic-{place}": "provider" for place in range(3)},
    "institute": "consumer",
}
SERVING = tuple(name for name, role in ROLES.items() if role != "consumer")
EACH = 4
ASKING_S = 300.0
AGE = {"kind": "histogram", "column": "age", "edges": [0, 18, 40, 65, 120]}
AGES = ((3, 70, 44, 44), (17, 18, 39, 80), (90, 91, 64, 65))
COUNTS = {"counts": [2, 2, 3, 5]}
"""What comes out of providers' own files with these ages."""


class CommonsHere(MembersHere):
    """The members' folders and services."""

    def durable(self, name: str) -> Path:
        return self.folder(name) / "durable" / name

    def said_times(self, name: str, text: str) -> int:
        """How many logs of a member's sessions hold a text."""
        return sum(text in path.read_text() for path in self.folder(name).glob("logs/sessions/*/*.log"))

    def result(self, asked: subprocess.Popen[str]) -> dict[str, Any]:
        """The result of an asking that must end well, also where it waits for members that are gone."""
        output, errors = asked.communicate(timeout=ASKING_S)
        assert asked.returncode == 0, errors + self.logs()
        result: dict[str, Any] = json.loads(output)["result"]
        return result

    def serve_all(self, *but: str) -> None:
        """Start all services but some, and wait until the log has all reports."""
        names = [name for name in SERVING if name not in but]
        self.serve(*names)
        for name in names:
            said = "4 of 4 reports" if ROLES[name] == "provider" else "listening at port"
            self.until(lambda name=name, said=said: self.said(name, said), f"{name} says {said}")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the project to its end."""
    return subprocess.run(
        (*COMMAND, *arguments), capture_output=True, text=True, timeout=PATIENCE_S, cwd="/", check=False
    )


def document(**choices: Any) -> dict[str, Any]:
    """A shared file in which no keys stand yet."""
    port = free_ports(len(ROLES))
    listed = [
        {"name": name, "role": role} | ({} if role == "consumer" else {"host": "127.0.0.1", "port": port + number})
        for number, (name, role) in enumerate(ROLES.items())
    ]
    commons = {
        "clinics": 3, "records_each": EACH, "smallest_batch": 6, "reports": 3 * EACH, "reports_within_s": 60.0,
        "uses": 9, "words_patience_s": 30.0, "key_patience_s": 60.0, "sums_patience_s": 1.0, "log_deadline_s": 60.0,
        "connect_deadline_s": 60.0,
        "message_deadline_s": 60.0, "run_deadline_s": 280.0,
    }  # fmt: skip
    chosen = {key: value for key, value in (commons | choices).items() if value is not None}
    return {"protocol": "commons", "federation": {"name": "tumours", "members": listed}, "commons": chosen}


@contextmanager
def federation(top: Path, **choices: Any) -> Iterator[tuple[CommonsHere, Authority]]:
    """A federation whose members have certificates and keys. Nothing of it runs at the end."""
    here = CommonsHere(top, roles=dict(ROLES))
    shared = document(**choices)
    here.file.write_text(yaml.safe_dump(shared))
    with members(here) as authority:
        own = {name: make_private_folder(here.durable(name)) for name in ROLES}
        shared["commons"]["keys"] = {name: make_keys(own[name], WORDS[role]).line for name, role in ROLES.items()}
        here.file.write_text(yaml.safe_dump(shared))
        yield here, authority


def own_files(top: Path) -> dict[str, Any]:
    """Write a file for each provider, and return the choices of a shared file that asks one question about them."""
    for place, ages in enumerate(AGES):
        (top / f"{place}.csv").write_text("\n".join(("age", *map(str, ages), "")))
    files = {f"clinic-{place}": f"{place}.csv" for place in range(3)}
    return {"data": {"files": files}, "questions": [AGE], "clinics": None, "records_each": None}


def expected() -> dict[str, Any]:
    """What all providers would find in the clear."""
    measured = [one for clinic in clinics.measurements(3, EACH, 0) for one in clinic]
    return {name: in_the_clear(name, measured) for name in clinics.FUNCTIONS}


def values(result: Mapping[str, Any]) -> dict[str, Any]:
    return {one["function"]: one["value"] for one in result["reports"][0]["answers"] if "value" in one}
