"""A run of a service on one machine: its processes, and what each of them is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpc.errors import MpcError
from mpc.tensors.ranges import Format
from parties.frame.errors import ConfigError
from parties.frame.plan import Plan, Process, Run
from parties.frame.settings import Address, Peer
from parties.tensors.programs import ProgramError, digest
from parties.tensors.serving.config import ServingConfig
from parties.tensors.serving.model import built_in_models, model_path
from parties.tensors.serving.report import STEPS
from parties.tensors.serving.settings import CLIENT, COMPUTING, OWNER, PROVIDER, ServingRole, ServingSettings
from parties.tensors.serving.trying import Answers, try_out

if TYPE_CHECKING:
    from parties.tensors.config import TensorsConfig

KEEPER = "parties.tensors.serving.keeper"
MODULES = {OWNER: "parties.tensors.serving.owner", CLIENT: "parties.tensors.serving.client"}


def plan(config: TensorsConfig, serving: ServingConfig, run: Run) -> Plan:
    """Return a process for each party. Raises `ConfigError` for a model that cannot be served."""
    known = _KnownModel(config, serving)
    addresses = {
        name: Address(host=run.host, port=run.start_port + index) for index, name in enumerate(config.computing)
    }
    roles: dict[str, ServingRole] = {}
    roles |= dict.fromkeys(config.computing, COMPUTING)
    if config.dealing:
        roles[config.dealing] = PROVIDER
    roles[serving.owner] = OWNER
    roles |= dict.fromkeys(serving.clients, CLIENT)
    processes = []
    for name, role in roles.items():
        earlier = config.computing[: config.computing.index(name)] if role == COMPUTING else config.computing
        own = run.folders.party(name).resolve()
        more: dict[str, Any] = {}
        if role == COMPUTING:
            more = {"share": own / "model.share", "accounts": own / "accounts.jsonl", "listen": addresses[name]}
        if role == CLIENT:
            client = serving.clients[name]
            more = {
                "ask": client.ask, "pause_ms": client.pause_ms, "twin": known.twin(name),
                "outputs": None if client.outputs is None else client.outputs.absolute(),
            }  # fmt: skip
        settings = ServingSettings(
            **run.common_settings(name),
            connect_deadline_s=config.connect_deadline_s,
            message_deadline_s=config.message_deadline_s,
            run_deadline_s=config.run_deadline_s,
            role=role,
            backend=config.backend,
            computing=config.computing,
            provider=config.dealing,
            owner=serving.owner,
            clients=tuple(serving.clients),
            ring_bits=config.ring_bits,
            fraction_bits=config.fraction_bits,
            rounding=config.rounding,
            seed=config.seed,
            model=known.path,
            model_digest=known.digest,
            arguments=known.arguments,
            lanes=serving.lanes,
            max_wait_ms=serving.max_wait_ms,
            queue=serving.queue,
            quota=serving.quota,
            pool=serving.pool,
            low_water=serving.low_water,
            return_s=serving.return_s,
            answer_s=serving.answer_s,
            restarts=serving.restarts,
            files={label: path.resolve() for label, path in config.files.get(name, {}).items()},
            dials=tuple(Peer(name=peer, host=addresses[peer].host, port=addresses[peer].port) for peer in earlier),
            **more,
        )
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
        grace_s=60.0,
        notes=("an answer is open to the client that asked, and to nobody else",),
    )


class _KnownModel:
    """What is known of a model before it is served."""

    def __init__(self, config: TensorsConfig, serving: ServingConfig) -> None:
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

    def twin(self, client: str) -> Answers:
        """Return a client's answers in the clear, where all data are built in."""
        return self._twins.get(client, ())
