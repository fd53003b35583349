"""What is known of a computation before it runs, and what each of its parties is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from parties.frame.errors import ConfigError
from parties.frame.plan import Process, Run
from parties.frame.settings import Address, Peer
from parties.tensors.config import TensorsConfig
from parties.tensors.foreseeing import Foreseen, binding, foresee, notes
from parties.tensors.links import awaited, dialled, role_of
from parties.tensors.programs import Here, Program, ProgramError, built_in, digest, program_path
from parties.tensors.settings import Computation, TensorsSettings

PARTY = "parties.tensors.party"


class KnownProgram:
    """What is known of a program before it runs. Making it raises `ConfigError` for one that cannot run."""

    def __init__(self, config: TensorsConfig) -> None:
        try:
            self.path = program_path(config.program)
            self.digest = digest(self.path)
        except ProgramError as error:
            raise ConfigError(f"program: {error}") from error
        own = config.program not in built_in()
        if own and config.reveal is None:
            raise ConfigError(
                "reveal: expected which output may be revealed to whom for a program of your own, found none"
            )
        built = {} if own else _constants(config.program)
        if not own and config.computing != tuple(built["COMPUTING"]) and config.reveal is None:
            raise ConfigError(
                f"computing: expected {', '.join(built['COMPUTING'])} for the program {config.program}, found "
                f"{', '.join(config.computing)}"
            )
        self.reveal: dict[str, tuple[str, ...]] = dict(
            built.get("REVEAL", {}) if config.reveal is None else config.reveal
        )
        if unknown := sorted(config.arguments.keys() - built.get("ARGUMENTS", config.arguments).keys()):
            raise ConfigError(f"arguments: expected {', '.join(built['ARGUMENTS'])}, found {', '.join(unknown)}")
        self.arguments = built.get("ARGUMENTS", {}) | config.arguments
        self.twin = {} if own else Program(self.path).twin(Here(self.arguments))


def computation_of(config: TensorsConfig, known: KnownProgram) -> Computation:
    """Return what is computed, as all parties know it."""
    return Computation(
        backend=config.backend,
        computing=config.computing,
        provider=config.dealing,
        outside=config.outside,
        ring_bits=config.ring_bits,
        fraction_bits=config.fraction_bits,
        rounding=config.rounding,
        program=known.path,
        program_digest=known.digest,
        policy={output: tuple(sorted(to)) for output, to in known.reveal.items()},
        times=config.reveal_times,
        noise=config.reveal_noise,
        seed=config.seed,
        arguments=known.arguments,
    )


@dataclass(frozen=True)
class Planned:
    """A computation that is about to run.

    Attributes:
        known: the program.
        computation: what all parties know.
        foreseen: what the program was found to cost and reveal, or None where that took too long.
    """

    config: TensorsConfig
    known: KnownProgram
    computation: Computation
    foreseen: Foreseen | None

    @classmethod
    def of(cls, config: TensorsConfig) -> Planned:
        """Return what a configuration says, after following its program. Raises `ConfigError`."""
        known = KnownProgram(config)
        computation = computation_of(config, known)
        return cls(config, known, computation, foresee(computation, config.plan_deadline_s, costs=False))

    def process(self, run: Run, name: str, addresses: Mapping[str, Address], **more: Any) -> Process:
        """Return the process of one party, which knows its own files alone.

        Args:
            run: that it belongs to.
            name: of the party.
            addresses: where parties are reached that others connect to. This one listens at its own.
            more: what it is told besides, or in place of what it would be told.
        """
        config, computation, role = self.config, self.computation, role_of(self.computation, name)
        listen = addresses.get(name)
        told: dict[str, Any] = {
            **run.common_settings(name),
            **vars(computation),
            "connect_deadline_s": config.connect_deadline_s,
            "message_deadline_s": config.message_deadline_s,
            "run_deadline_s": config.run_deadline_s,
            "role": role,
            "reveals": binding(self.foreseen),
            "files": {label: path.resolve() for label, path in config.files.get(name, {}).items()},
            "outputs": _absolute(config.outputs.get(name)),
            "listen": listen,
            "dials": tuple(peer_at(addresses, peer) for peer in dialled(computation, name)),
            "awaits": awaited(computation, name),
        }
        settings = TensorsSettings(**(told | more))
        return Process(name, PARTY, settings, f"{name} ({role})", listen.port if listen else None)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person is shown before it runs."""
        allowed = (
            f"{output} may be revealed to {', '.join(sorted(to))}{_least_noise(self.config, output)}"
            for output, to in sorted(self.known.reveal.items())
        )
        return (*allowed, *notes(self.foreseen, self.config.plan_deadline_s))


def peer_at(addresses: Mapping[str, Address], name: str) -> Peer:
    """Return a party to connect to."""
    return Peer(name=name, host=addresses[name].host, port=addresses[name].port)


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()


def _least_noise(config: TensorsConfig, output: str) -> str:
    least = config.reveal_noise.get(output, 0.0)
    return f", with noise of at least {least:g} by each computing party" if least else ""


def _constants(program: str) -> dict[str, Any]:
    return vars(import_module(f"parties.tensors.examples.{program}"))
