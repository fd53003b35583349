"""A federation on this machine: each member has a folder, a key that it made there, and services of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import yaml

from mpc.capc.clear import plaintext_labels
from mpc.capc.quorum import with_voters
from orchestrator.federation.authority import Authority, fingerprint
from orchestrator.federation.identity import Identity
from orchestrator.federation.records import ServiceFolder
from orchestrator.federation.shared import read_shared
from orchestrator.federation.state import MemberFolder
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
from tests.ports import free_ports

COMMAND = (sys.executable, str(Path(__file__).resolve().parents[3] / "run_protocol.py"))
GUARDIAN, ANSWERING = "trustee", ("clinic-a", "clinic-b", "clinic-c")
ASKING = ("clinic-a", "clinic-b")
QUICK = {
    "n_parties": 2, "n_queries": 2, "batch_size": 1, "epochs": 3, "dp_noise_scale": 0, "paillier_bits": 2048,
    "connect_deadline_s": 60, "message_deadline_s": 60, "run_deadline_s": 200,
}  # fmt: skip
PATIENCE_S = 120.0


@dataclass
class FederationHere:
    """The folders, and the services that were started.

    `within` holds, by member, the words before each of its commands, and `flags` those after its `serve`.
    """

    top: Path
    within: dict[str, tuple[str, ...]] = field(default_factory=dict)
    flags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    services: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.top / "federation.yaml"

    def folder(self, name: str) -> Path:
        return self.top / name

    def service(self, name: str) -> ServiceFolder:
        return ServiceFolder(self.folder(name), "guardian" if name == GUARDIAN else "answering")

    # -- services -----------------------------------------------------------------------------------------------------

    def serve(self, *names: str) -> None:
        """Start those of these services that do not run, and wait until each listens."""
        for name in names:
            if name not in self.services or self.services[name].poll() is not None:
                self.start_serving(name)
        for name in names:
            self.until(lambda name=name: self.service(name).running() is not None, f"{name} serves")

    def start_serving(self, name: str) -> None:
        with (self.top / f"{name}.out").open("ab") as log:
            command = (*self.within.get(name, ()), *COMMAND, "serve", "--dir", str(self.folder(name)))
            command += self.flags.get(name, ())
            self.services[name] = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")

    def end(self, name: str, number: signal.Signals) -> int:
        service = self.services.pop(name)
        service.send_signal(number)
        return service.wait(PATIENCE_S)

    def until(self, condition: Any, what: str) -> None:
        expires = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < expires, f"expected that {what}"
            time.sleep(0.02)

    def processes(self, name: str, of: str = "sessions") -> list[int]:
        """The processes of a member's sessions, or those whose folder begins with another word."""
        marker = str(self.folder(name) / of).encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if marker in (entry / "cmdline").read_bytes():
                        found.append(int(entry.name))
                except OSError:  # it has just ended
                    continue
        return found

    def serving(self, name: str, event: str) -> int:
        """The process that serves a session, once its events hold a text."""
        found: list[Path] = []

        def look() -> bool:
            for path in self.folder(name).glob(f"sessions/*/{name}/events.jsonl"):
                try:
                    if event in path.read_text():
                        found.append(path)
                except OSError:  # that session has just ended
                    continue
            return bool(found)

        self.until(look, f"{name} comes to {event}")
        folder = str(found[0].parent).encode()
        return next(pid for pid in self.processes(name) if folder in Path(f"/proc/{pid}/cmdline").read_bytes())

    # -- asking -------------------------------------------------------------------------------------------------------

    def start_asking(self, name: str, **more: str | None) -> subprocess.Popen[str]:
        """Start a session with these flags. One whose value is None has none."""
        command = self.asking_command(name, **more)
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/")

    def asking_command(self, name: str, **more: str | None) -> tuple[str, ...]:
        flags = [part for key, value in more.items() for part in (f"--{key}", value) if part is not None]
        asking = ("ask", "--dir", str(self.folder(name)), "--json", "--progress", "none", *flags)
        return (*self.within.get(name, ()), *COMMAND, *asking)

    def answer(self, asked: subprocess.Popen[str]) -> list[int]:
        """The labels of a session that must end well."""
        return [query["predicted"] for query in self.result(asked)["queries"]]

    def result(self, asked: subprocess.Popen[str]) -> dict[str, Any]:
        """The result of a session that must end well."""
        output, errors = asked.communicate(timeout=PATIENCE_S)
        assert asked.returncode == 0, errors + self.logs()
        result: dict[str, Any] = json.loads(output)["result"]
        return result

    def refusal(self, name: str, status: int = 1, **more: str | None) -> str:
        """What a session that must fail says."""
        asked = self.start_asking(name, **more)
        _, errors = asked.communicate(timeout=PATIENCE_S)
        assert asked.returncode == status, errors
        return errors

    def ask(self, name: str) -> list[int]:
        return self.answer(self.start_asking(name))

    def said(self, name: str, text: str) -> bool:
        """Whether a member's service has written a text to any log."""
        return any(text in path.read_text() for path in self.folder(name).glob("logs/**/*.log"))

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.top.glob("*.out")))

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
    members: list[dict[str, Any]] = [
        {"name": name, "role": "guardian" if name == GUARDIAN else ["answering"], "host": hosts[n], "port": port + n}
        for n, name in enumerate((GUARDIAN, *ANSWERING))
    ]
    for member in members:
        if member["name"] in ASKING:
            member["role"] = ["answering", "asking"]
    write_file(here.file, members, **choices)
    shared = read_shared(here.file, PROTOCOLS)
    authority = Authority.make(make_private_folder(top / "authority"), shared.federation)
    for name in shared.federation.names:
        join(here, authority, name)
    caches = [make_private_folder(here.folder(name) / "cache" / name) for name in ANSWERING]
    trained.fill(caches)
    try:
        yield here
    finally:
        for service in here.services.values():
            service.terminate()
        for service in here.services.values():
            service.wait(PATIENCE_S)
        trained.keep(caches)


def write_file(path: Path, members: list[dict[str, Any]], **choices: Any) -> None:
    document = {"protocol": "capc", "federation": {"name": "clinics", "members": members}, "capc": QUICK | choices}
    path.write_text(yaml.safe_dump(document))


def join(here: FederationHere, authority: Authority, name: str) -> None:
    """Make a member's key in its folder, and install the certificate of an authority."""
    folder = make_private_folder(here.folder(name))
    (folder / "member.json").write_bytes(msgspec.json.encode({"name": name, "shared_file": str(here.file)}))
    identity = Identity(name, MemberFolder(folder))
    request, _ = identity.request()
    identity.install(authority.approve(request.read_bytes()), fingerprint(authority.certificate))


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
