"""A federation for private tensors: two who compute, a provider, and a registry that gives data and reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import yaml

from parties.tensors.records import FILE, Line
from tests.federations import MembersHere, members
from tests.ports import free_ports

PROGRAM = """
import numpy as np


def program(s, here):
    x = s.input("hospital", lambda: np.loadtxt(here.file("x")), shape=(3,), bound=100)
    y = s.input("registry", lambda: np.loadtxt(here.file("y")), shape=(3,), bound=100)
    kept = x
    for step in range(here.whole("steps")):
        kept = (kept * 1.0).clip(-100, 100)
        here.advance(step + 1, here.whole("steps"), "steps")
    product = s.reveal((kept * y).sum(), to=("laboratory", "registry"))
    return {"product": product, "largest": s.reveal(x.max(), to="hospital")}
"""
X, Y = (1.5, -2.0, 30.0), (4.0, 5.25, -6.0)
PRODUCT, LARGEST = sum(x * y for x, y in zip(X, Y, strict=True)), max(X)
ROLES: Mapping[str, Any] = {
    "hospital": ["computing", "asking"], "laboratory": ["computing", "asking"], "provider": "provider",
    "registry": "outside",
}  # fmt: skip


class TensorsHere(MembersHere):
    """The members' folders and services."""

    def records(self, name: str) -> list[Line]:
        """What a member has written down."""
        path = self.folder(name) / "durable" / name / FILE
        lines = path.read_bytes().splitlines() if path.exists() else []
        return [msgspec.json.decode(line, type=Line) for line in lines]

    def changed(self, name: str, program: str | None = None, **choices: Any) -> Path:
        """Another shared file, beside copies of all that it names, in a folder of its own."""
        top = self.top / name
        write_files(top, self.roles, program or PROGRAM)
        document = yaml.safe_load(self.file.read_text())
        document["tensors"] |= choices
        (top / "federation.yaml").write_text(yaml.safe_dump(document))
        return top / "federation.yaml"


def write_files(folder: Path, roles: Mapping[str, Any], program: str = PROGRAM) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "own.py").write_text(program)
    (folder / "x.txt").write_text(" ".join(map(str, X)))
    (folder / "y.txt").write_text(" ".join(map(str, Y)))


def document(hosts: Mapping[str, str], roles: Mapping[str, Any] = ROLES, **choices: Any) -> dict[str, Any]:
    """A shared file whose members have these roles."""
    port = free_ports(len(roles))
    listed = [
        {"name": name, "role": role} | ({} if role == "asking" else {"host": hosts[name], "port": port + number})
        for number, (name, role) in enumerate(roles.items())
    ]
    tensors = {
        "program": "own.py", "computing": [name for name, role in roles.items() if "computing" in role],
        "outside": [name for name, role in roles.items() if role in ("asking", "outside")],
        "reveal": {"product": ["laboratory", "registry"], "largest": ["hospital"]},
        "files": {"hospital": {"x": "x.txt"}, "registry": {"y": "y.txt"}}, "arguments": {"steps": 200},
        "outputs": {"registry": "registry.npz"},
        "connect_deadline_s": 60, "message_deadline_s": 60, "run_deadline_s": 200,
    }  # fmt: skip
    if "provider" in roles:
        tensors["provider"] = "provider"
    return {"protocol": "tensors", "federation": {"name": "study", "members": listed}, "tensors": tensors | choices}


@contextmanager
def federation(
    top: Path,
    roles: Mapping[str, Any] = ROLES,
    hosts: Mapping[str, str] | None = None,
    within: dict[str, tuple[str, ...]] | None = None,
    **choices: Any,
) -> Iterator[TensorsHere]:
    """A federation whose members have certificates. Nothing of it runs at the end."""
    first = {name: role if isinstance(role, str) else role[0] for name, role in roles.items()}
    here = TensorsHere(top, within or {}, roles=first)
    write_files(top, roles)
    here.file.write_text(yaml.safe_dump(document(hosts or dict.fromkeys(roles, "127.0.0.1"), roles, **choices)))
    with members(here):
        yield here
