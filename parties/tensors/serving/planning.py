"""A run of a service on one machine: its processes, and what each of them is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mpc.errors import MpcError
from mpc.tensors.ranges import Format
from parties.frame.errors import ConfigError
from parties.frame.plan import Plan, Process, Run
from parties.frame.settings import Address, Peer
from parties.tensors.programs import ProgramError, digest
from parties.tensors.serving.config import ServingConfig
from parties.tensors.serving.model import built_in_models, model_path
from parties.tensors.serving.quota import ACCOUNTS
from parties.tensors.serving.report import STEPS
from parties.tensors.serving.settings import (
    CLIENT,
    COMPUTING,
    OWNER,
    PROVIDER,
    ServingRole,
    ServingSettings,
    lanes_end_s,
)
from parties.tensors.serving.trying import Answers, try_out

if TYPE_CHECKING:
    from parties.tensors.config import TensorsConfig

SHARE = "model.share"
"""The file with a computing party's share of the model."""

NOTES = ("an answer is open to the client that asked, and to nobody else",)
KEEPER = "parties.tensors.serving.keeper"
MODULES: dict[ServingRole, str] = {OWNER: "parties.tensors.serving.owner", CLIENT: "parties.tensors.serving.client"}


def plan(config: TensorsConfig, serving: ServingConfig, run: Run) -> Plan:
    """Return a process for each party. Raises `ConfigError` for a model that cannot be served."""
    known = KnownModel(config, serving)
    addresses = {
        name: Address(host=run.host, port=run.start_port + index) for index, name in enumerate(config.computing)
    }
    processes = []
    for name, role in roles_of(config, serving).items():
        own, more = run.folders.party(name).resolve(), dict[str, Any]()
        if role == COMPUTING:
            more = {"share": own / SHARE, "accounts": own / ACCOUNTS, "listen": addresses[name]}
        settings = known.settings(run, name, addresses, **more)
        listens = settings.listen.port if settings.listen else None
        module = MODULES.get(role, KEEPER)
        processes.append(Process(name, module, settings, f"{name} ({role})", listens, serves=role not in MODULES))
    first, *others = serving.clients
    return Plan(
        tuple(processes),
        reporter=first,
        more_reporters=(*others, serving.owner, *config.computing, *([config.dealing] if config.dealing else [])),
        deadline_s=config.run_deadline_s,
        steps=STEPS,
        grace_s=lanes_end_s(config.message_deadline_s) + 60.0,  # more than the keepers have
        notes=NOTES,
    )


def roles_of(config: TensorsConfig, serving: ServingConfig) -> dict[str, ServingRole]:
    """Return the role of every party by name."""
    roles: dict[str, ServingRole] = {}
    roles |= dict.fromkeys(config.computing, COMPUTING)
    if config.dealing:
        roles[config.dealing] = PROVIDER
    roles[serving.owner] = OWNER
    return roles | dict.fromkeys(serving.clients, CLIENT)


class KnownModel:
    """What is known of a model before it is served, and what each party is told of it.

    Making it raises `ConfigError` for a model that cannot be served.
    """

    def __init__(self, config: TensorsConfig, serving: ServingConfig) -> None:
        self._config, self._serving = config, serving
        if config.reveal or config.reveal_times or config.outputs or config.outside:
            raise ConfigError(
                "serving: expected no reveal, reveal_times, outputs or outside of the program, because a service "
                "has an answer for each client alone, found one"
            )
        try:
            self.path = model_path(config.program)
            self.digest = digest(self.path)
        except (ProgramError, MpcError) as error:
            raise ConfigError(f"program: {error}") from error
        found = try_out(
            self.path, self.digest, config.arguments, Format(config.ring_bits, config.fraction_bits),
            lanes=tuple(serving.lanes),
            clients=tuple(serving.clients) if config.program in built_in_models() else (),
            deadline_s=config.plan_deadline_s,
        )  # fmt: skip
        self.arguments, self._twins = dict(found.arguments), found.twins

    def settings(self, run: Run, name: str, addresses: Mapping[str, Address], **more: Any) -> ServingSettings:
        """Return what one party is told, which knows its own files alone.

        Args:
            run: that it belongs to.
            name: of the party.
            addresses: where the computing parties are reached.
            more: what it is told besides, or in place of what it would be told.
        """
        config, serving = self._config, self._serving
        role = roles_of(config, serving)[name]
        earlier = config.computing[: config.computing.index(name)] if role == COMPUTING else config.computing
        told: dict[str, Any] = {
            **run.common_settings(name),
            "connect_deadline_s": config.connect_deadline_s,
            "message_deadline_s": config.message_deadline_s,
            "run_deadline_s": config.run_deadline_s,
            "role": role,
            "backend": config.backend,
            "computing": config.computing,
            "provider": config.dealing,
            "owner": serving.owner,
            "clients": tuple(serving.clients),
            "ring_bits": config.ring_bits,
            "fraction_bits": config.fraction_bits,
            "rounding": config.rounding,
            "seed": config.seed,
            "model": self.path,
            "model_digest": self.digest,
            "arguments": self.arguments,
            "lanes": serving.lanes,
            "max_wait_ms": serving.max_wait_ms,
            "queue": serving.queue,
            "quota": serving.quota,
            "pool": serving.pool,
            "low_water": serving.low_water,
            "return_s": serving.return_s,
            "answer_s": serving.answer_s,
            "restarts": serving.restarts,
            "files": {label: path.resolve() for label, path in config.files.get(name, {}).items()},
            "dials": tuple(Peer(name=peer, host=addresses[peer].host, port=addresses[peer].port) for peer in earlier),
        }
        if role == CLIENT:
            client = serving.clients[name]
            told |= {
                "ask": client.ask, "pause_ms": client.pause_ms, "twin": self.twin(name),
                "outputs": None if client.outputs is None else client.outputs.absolute(),
            }  # fmt: skip
        return ServingSettings(**(told | more))

    def twin(self, client: str) -> Answers:
        """Return a client's answers in the clear, where all data are built in."""
        return self._twins.get(client, ())
