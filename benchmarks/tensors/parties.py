"""The project's parties, as the processes of a real run over mutual TLS, with a program that takes orders."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tensors.groups import Command
from mpc.errors import ParameterError
from mpc.tensors.backends.kinds import KINDS, check_parties
from orchestrator import certificates
from parties.frame.plan import Plan, Process, Run, RunFolders, write_settings
from parties.tensors.config import TensorsConfig
from parties.tensors.protocol import PROTOCOL
from parties.tensors.settings import TensorsSettings
from tests.ports import free_ports

PROGRAM = Path(__file__).with_name("program.py")
NAMES = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy")
PROVIDER = "dealer"
FEWEST = 2
Hosts = Mapping[str, str]


@dataclass(frozen=True)
class Cast:
    """Who takes part: how many compute, and whether somebody provides correlations."""

    backend: str
    computing: int
    provided: bool

    @property
    def names(self) -> tuple[str, ...]:
        return (*NAMES[: self.computing], *([PROVIDER] if self.provided else []))

    @property
    def nobody_trusted(self) -> bool:
        """Whether each of two parties relies on itself alone."""
        return self.computing == 2 and not self.provided


def backends() -> tuple[str, ...]:
    """Return the names of the back-ends that a run may have."""
    return tuple(KINDS)


def cast(backend: str, computing: int | None = None) -> Cast | None:
    """Return a cast of the back-end, with as few parties as it can have, or with so many. None where it cannot."""
    kind = KINDS[backend]
    found = Cast(backend, computing or kind.parties or FEWEST, kind.dealt)
    try:
        check_parties(backend, NAMES[: found.computing], PROVIDER if found.provided else None)
    except ParameterError:
        return None
    return found


def _plan(cast: Cast, folder: Path, orders: str, port: int) -> Plan:
    config = TensorsConfig.model_validate(
        {
            "program": str(PROGRAM),
            "computing": NAMES[: cast.computing],
            "provider": PROVIDER if cast.provided else None,
            "backend": cast.backend,
            "reveal": {"result": NAMES[:1]},
            "reveal_times": {"result": 1 << 20},
            "arguments": {"orders": orders},
            "plan_deadline_s": 0.01,  # its course depends on orders, so nothing of it can be foreseen
            "message_deadline_s": 600,
            "run_deadline_s": 7200,
        }
    )
    folders = RunFolders(folder / "files", folder / "logs", "run")
    return PROTOCOL.plan(config, Run(folders, secrets.token_hex(16), port, supervisor_pid=os.getpid()))


def commands(
    cast: Cast,
    folder: Path,
    orders: Path,
    hosts: Hosts | None = None,
    within: Mapping[str, tuple[str, ...]] | None = None,
) -> list[Command]:
    """Write every party's settings and keys, and return how to start it.

    Args:
        folder: for settings, keys and logs.
        orders: the socket that orders come over.
        hosts: each party's address, where that is not this machine's loopback.
        within: words before each party's command.
    """
    plan = _plan(cast, folder, str(orders), free_ports(len(NAMES)))
    folders = RunFolders(folder / "files", folder / "logs", "run")
    certificates.issue("run", [(process.name, folders.party(process.name)) for process in plan.processes])
    found = []
    for process in plan.processes:
        told = process.settings
        assert isinstance(told, TensorsSettings)
        if hosts is not None:
            listen = told.listen and told.listen.model_copy(update={"host": hosts[process.name]})
            dials = tuple(peer.model_copy(update={"host": hosts[peer.name]}) for peer in told.dials)
            told = told.model_copy(update={"listen": listen, "dials": dials})
        path = write_settings(Process(process.name, process.module, told, process.pane), folders)
        words = (sys.executable, "-m", process.module, "--settings", str(path))
        log = folders.logs / f"{process.name}.out"
        found.append(Command(process.name, words, log, (within or {}).get(process.name, ())))
    return found
