"""The members of the federation: a start-up folder, a key and a certificate each, by the commands of the manual."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from sklearn.datasets import load_breast_cancer

from parties.frame.private_files import make_private_folder
from tests.parties.capc.clinics import BOUNDS, CLASSES
from tests.parties.capc.federations import ANSWERING, COMMAND, GUARDIAN, FederationHere
from tests.ports import free_ports
from tests.slow_networks import Networks

ASKING = "laboratory"
MEMBERS = (GUARDIAN, *ANSWERING, ASKING)
SERVING = MEMBERS[:-1]
_READY = "labels.json"  # written last


def found(top: Path, networks: Networks, n_queries: int, **choices: Any) -> tuple[FederationHere, list[str]]:
    """Make the members' folders in `top`, or take those of an earlier time, and return the labels to be expected.

    These are the labels of the same file and the same records in a run of all members on this machine.
    """
    here = FederationHere(top, dict(networks.within))
    ready = top / _READY
    if not ready.exists():
        _make(here, networks.hosts, n_queries, choices)
        ready.write_text(json.dumps(_rehearsed(top)))
    labels: list[str] = json.loads(ready.read_text())
    return here, labels


def start_folder(top: Path, name: str) -> Path:
    """Where a member's own file, records and commands are."""
    return top / "machines" / name


def _make(here: FederationHere, hosts: Mapping[str, str], n_queries: int, choices: dict[str, Any]) -> None:
    top, port = here.top, free_ports(len(SERVING))
    roles = {GUARDIAN: "guardian", ASKING: "asking"}
    places: dict[str, dict[str, Any]] = {
        name: {"host": hosts[name], "port": port + number} for number, name in enumerate(SERVING)
    }
    members = [{"name": name, "role": roles.get(name, "answering")} | places.get(name, {}) for name in MEMBERS]
    owners = [{"name": name, "records": f"{name}.csv"} for name in (*ANSWERING, ASKING)]
    owners[-1]["unlabelled"] = "ask.csv"
    protocol = {
        "data": {
            "features": list(BOUNDS),
            "label": "diagnosis",
            "classes": CLASSES,
            "scale": {name: {"minimum": low, "maximum": high} for name, (low, high) in BOUNDS.items()},
            "parties": owners,
        },
        "models": ["logistic-regression"],
        "n_parties": len(ANSWERING),
        "n_queries": n_queries,
        "dp_noise_scale": 0,
        "paillier_bits": 2048,
        **choices,
    }
    document = {"protocol": "capc", "federation": {"name": "clinics", "members": members}, "capc": protocol}
    for name in ("coordinator", "rehearsal", *MEMBERS):
        folder = start_folder(top, name)
        folder.mkdir(parents=True)
        (folder / "federation.yaml").write_text(yaml.safe_dump(document))
    _write_records(top, n_queries)
    coordinator, authority = start_folder(top, "coordinator"), top / "authority"
    said = run(coordinator, "init", "federation.yaml", "--dir", authority)
    of_authority = _fingerprint(said)
    for name in MEMBERS:
        own, state = start_folder(top, name), make_private_folder(here.folder(name))
        asked = run(own, "request", "--config", "federation.yaml", "--name", name, "--dir", state)
        signing = ("--config", "federation.yaml", "--dir", authority, "--fingerprint", _fingerprint(asked))
        certificate = own / f"{name}.crt"
        run(coordinator, "approve", state / "request.csr", *signing, "--out", certificate)
        run(own, "install", certificate, "--dir", state, "--fingerprint", of_authority)


def _write_records(top: Path, n_queries: int) -> None:
    """Write each member's records beside its own file, and all of them where the federation is rehearsed."""
    biopsies = load_breast_cancer()
    columns = [*biopsies.feature_names, "diagnosis"]
    rows = [[*x, CLASSES[y]] for x, y in zip(biopsies.data.tolist(), biopsies.target, strict=True)]
    asked, rest = rows[:n_queries], rows[n_queries:]
    files = {f"{name}.csv": (name, rest[number::4]) for number, name in enumerate((*ANSWERING, ASKING))}
    for file, (name, own) in files.items():
        for place in (name, "rehearsal"):
            _write(start_folder(top, place) / file, [columns, *own])
    for place in (ASKING, "rehearsal"):
        _write(start_folder(top, place) / "ask.csv", [row[:-1] for row in [columns, *asked]])


def _write(path: Path, rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def _rehearsed(top: Path) -> list[str]:
    flags = ("--launcher", "process", "--start_port", str(free_ports(len(SERVING))), "--json")
    said = run(start_folder(top, "rehearsal"), "--config", "federation.yaml", *flags)
    return labels_of(json.loads(said))


def labels_of(document: dict[str, Any]) -> list[str]:
    return [query["predicted"] for query in document["result"]["queries"]]


def run(folder: Path, *words: object, status: int = 0) -> str:
    """Run a command in a folder, which must end with this status, and return all that it says."""
    command = (*COMMAND, *map(str, words))
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout or done.stderr


def _fingerprint(said: str) -> str:
    return said.split("compare: ")[1].split(maxsplit=1)[0]
