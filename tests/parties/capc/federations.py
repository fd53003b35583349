"""A federation of CaPC on this machine, with real processes."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import yaml

from mpc.capc.clear import plaintext_labels
from mpc.capc.quorum import with_voters
from orchestrator.federation.shared import read_shared
from parties.capc.settings import AnsweringSettings
from parties.frame.plan import Run, RunFolders
from parties.frame.private_files import make_private_folder
from parties.learning.models import Model
from parties.learning.network import fixed_point
from parties.learning.records import Records
from parties.learning.training import model_path, train
from parties.ledger import Charge
from parties.protocols import PROTOCOLS
from tests import trained
from tests.federations import COMMAND, PATIENCE_S, MembersHere, Stopped, is_alive, join, members, stopped
from tests.ports import free_ports

__all__ = [
    "ANSWERING",
    "ASKING",
    "COMMAND",
    "GUARDIAN",
    "PATIENCE_S",
    "QUICK",
    "FederationHere",
    "federation",
    "is_alive",
    "join",
    "stopped",
    "write_file",
]

GUARDIAN, ANSWERING = "trustee", ("clinic-a", "clinic-b", "clinic-c")
ASKING = ("clinic-a", "clinic-b")
QUICK = {
    "n_parties": 2, "n_queries": 2, "batch_size": 1, "epochs": 3, "dp_noise_scale": 0, "paillier_bits": 2048,
    "connect_deadline_s": 60, "message_deadline_s": 60, "run_deadline_s": 200,
}  # fmt: skip


class FederationHere(MembersHere):
    """The folders of a guardian and of owners, and the services that were started."""

    def role(self, name: str) -> str:
        return "guardian" if name == GUARDIAN else "answering"

    def answer(self, asked: subprocess.Popen[str]) -> list[int]:
        """The labels of a session that must end well."""
        return [query["predicted"] for query in self.result(asked)["queries"]]

    def ask(self, name: str) -> list[int]:
        return self.answer(self.start_asking(name))

    def stop_halfway(self, name: str) -> Stopped:
        """Stop a member's process in a session of `clinic-a` that has two batches, of which the last one goes on."""
        if name == GUARDIAN:
            return self.stop(name, "clinic-a", at='"step": "2"', before='"step_finished", "step": "3"', times=2)
        return self.stop(name, "clinic-a", at='"step": "0\'"', before='"step_finished", "step": "2"', times=3)

    def charged(self, name: str) -> dict[str, int]:
        """How many answers a member's ledger or odometer holds, by account."""
        found: dict[str, int] = {}
        for path in (
            *self.folder(name).glob("durable/*/ledger.jsonl"),
            *self.folder(name).glob("durable/*/odometer.jsonl"),
        ):
            for line in path.read_bytes().splitlines():
                charge = msgspec.json.decode(line, type=Charge)
                found[charge.account] = found.get(charge.account, 0) + sum(cost.count for cost in charge.costs)
        return found

    def answering(self, name: str, folders: RunFolders) -> AnsweringSettings:
        """A member's settings for the role that answers, with its records in its folder of a run."""
        shared = read_shared(self.file, PROTOCOLS)
        config = shared.configuration.settings
        plan = PROTOCOLS["capc"].member(config, shared.federation, name, "answering", Run(folders, "0" * 32, 0))
        settings = plan.processes[0].settings
        assert isinstance(settings, AnsweringSettings)
        return settings

    def train_all(self) -> None:
        """Put the models into the members' caches, so that all of them come to a session at once."""
        folders = RunFolders(self.top / "trained", self.top / "trained", "run")
        for name in ANSWERING:
            training = self.answering(name, folders).training
            records = Records.read(folders.party(name) / "records.npz")
            train(training, records).write(model_path(training, records, self.folder(name) / "cache" / name))

    def expected(self, asking: str, voters: Collection[str] = ANSWERING) -> list[int]:
        """The majority of the very models that those of the others have trained who vote, in the clear."""
        shared = read_shared(self.file, PROTOCOLS)
        config, networks, parameters = shared.configuration.settings, [], None
        folders = RunFolders(self.top / "expected", self.top / "expected", "run")
        run = Run(folders, "0" * 32, 0)
        for name in ANSWERING:
            if name != asking and name in voters:
                settings = self.answering(name, folders)
                training, parameters = settings.training, settings.parameters
                records = Records.read(folders.party(name) / "records.npz")
                path = model_path(training, records, self.folder(name) / "cache" / name)
                model = Model.read(path, training.image_shape, training.layers)
                networks.append(fixed_point(model, parameters, 1, settings.beyond_bounds))
        PROTOCOLS["capc"].member(config, shared.federation, asking, "asking", run)
        queries = Records.read(folders.party(asking) / "queries.npz")
        assert parameters is not None
        parameters = with_voters(parameters, len(networks))
        return [int(label) for label in plaintext_labels(queries.images, networks, parameters)]


@contextmanager
def federation(
    top: Path,
    hosts: Sequence[str] = ("127.0.0.1",) * 4,
    within: dict[str, tuple[str, ...]] | None = None,
    **choices: Any,
) -> Iterator[FederationHere]:
    """A federation whose members have certificates. Nothing of it runs at the end."""
    here = FederationHere(top, within or {})
    port = free_ports(4)
    listed: list[dict[str, Any]] = [
        {"name": name, "role": "guardian" if name == GUARDIAN else ["answering"], "host": hosts[n], "port": port + n}
        for n, name in enumerate((GUARDIAN, *ANSWERING))
    ]
    for member in listed:
        if member["name"] in ASKING:
            member["role"] = ["answering", "asking"]
    write_file(here.file, listed, **choices)
    caches = [make_private_folder(here.folder(name) / "cache" / name) for name in ANSWERING]
    try:
        with members(here):
            trained.fill(caches)
            yield here
    finally:
        trained.keep(caches)


def write_file(path: Path, members: list[dict[str, Any]], **choices: Any) -> None:
    document = {"protocol": "capc", "federation": {"name": "clinics", "members": members}, "capc": QUICK | choices}
    path.write_text(yaml.safe_dump(document))
