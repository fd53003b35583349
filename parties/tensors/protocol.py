"""Private tensors as a run of processes, in the form that a launcher asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from parties.frame.errors import ConfigError
from parties.frame.plan import Command, Plan, Process, Run, Summary
from parties.frame.settings import Address, Peer
from parties.tensors.config import TensorsConfig
from parties.tensors.foreseeing import binding, foresee, notes
from parties.tensors.foreseeing import summary as forecast_of
from parties.tensors.programs import Here, Program, ProgramError, built_in, digest, program_path
from parties.tensors.report import STEPS, headlines, lead, lines, sections
from parties.tensors.serving import planning
from parties.tensors.serving import report as served
from parties.tensors.serving.settings import CLIENT
from parties.tensors.settings import COMPUTING, OUTSIDE, PROVIDER, Computation, Role, TensorsSettings

PARTY = "parties.tensors.party"


class Tensors:
    """Private tensors, for the launcher."""

    name = "tensors"
    Config = TensorsConfig

    @property
    def commands(self) -> Mapping[str, Command]:
        """What can be done without a run."""
        return {
            "plain": Command(
                "run a built-in program's twin in the clear, to compare with", plain, group="try settings"
            ),
            "cost": Command(
                "show what a run would cost each party, by operation, and what it would reveal", cost,
                group="try settings",
            ),
        }  # fmt: skip

    def plan(self, config: TensorsConfig, run: Run) -> Plan:
        """Return a process for each party. Nothing is written, because every party loads its own data."""
        if config.serving is not None:
            return planning.plan(config, config.serving, run)
        known = KnownProgram(config)
        addresses = {
            name: Address(host=run.host, port=run.start_port + index) for index, name in enumerate(config.computing)
        }
        providers = (config.dealing,) if config.dealing else ()
        if config.dealing and config.backend == "dealer_mac" and config.outside:  # who get their masks from it
            addresses[config.dealing] = Address(host=run.host, port=run.start_port + len(config.computing))
        others = _roles(providers, PROVIDER) | _roles(config.outside, OUTSIDE)
        everybody = [*config.computing, *others]
        agreed = _agreed(config, known)
        foreseen = foresee(agreed, config.plan_deadline_s, costs=False)
        processes = []
        for name in everybody:
            role = others.get(name, COMPUTING)
            earlier = config.computing[: config.computing.index(name)] if role == COMPUTING else config.computing
            if role == OUTSIDE:
                earlier = (*earlier, *(provider for provider in providers if provider in addresses))
            later = config.computing[config.computing.index(name) + 1 :] if role == COMPUTING else ()
            listen = addresses.get(name)
            settings = TensorsSettings(
                **run.common_settings(name),
                **vars(agreed),
                connect_deadline_s=config.connect_deadline_s,
                message_deadline_s=config.message_deadline_s,
                run_deadline_s=config.run_deadline_s,
                role=role,
                reveals=binding(foreseen),
                files={label: path.resolve() for label, path in config.files.get(name, {}).items()},
                outputs=_absolute(config.outputs.get(name)),
                twin=known.twin if name == config.computing[0] else {},
                listen=listen,
                dials=tuple(Peer(name=peer, host=addresses[peer].host, port=addresses[peer].port) for peer in earlier),
                awaits=_awaited(role, _roles(later, COMPUTING), others, listen),
            )
            processes.append(Process(name, PARTY, settings, f"{name} ({role})", listen.port if listen else None))
        return Plan(
            tuple(processes),
            reporter=config.computing[0],
            more_reporters=(*config.computing[1:], *config.outside),
            deadline_s=config.run_deadline_s,
            steps=STEPS,
            notes=(
                *(
                    f"{output} may be revealed to {', '.join(sorted(to))}{_least_noise(config, output)}"
                    for output, to in sorted(known.reveal.items())
                ),
                *notes(foreseen, config.plan_deadline_s),
            ),
        )

    def summary(self, result: Mapping[str, Any]) -> Summary:
        """Show what came out, what it cost, and who has to be trusted."""
        reports = result["reports"]
        if reports[0]["role"] == CLIENT:
            return served.summary(reports)
        return Summary(lines(reports), headlines=headlines(reports), sections=sections(reports), lead=lead(reports))


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


def _agreed(config: TensorsConfig, known: KnownProgram) -> Computation:
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


def _least_noise(config: TensorsConfig, output: str) -> str:
    least = config.reveal_noise.get(output, 0.0)
    return f", with noise of at least {least:g} by each computing party" if least else ""


def _constants(program: str) -> dict[str, Any]:
    return vars(import_module(f"parties.tensors.examples.{program}"))


def _awaited(role: Role, later: dict[str, Role], others: dict[str, Role], listen: Address | None) -> dict[str, Role]:
    """Return who connects to a party: all others to a computing one, and outside parties to a provider that listens."""
    if role == COMPUTING:
        return later | others
    listens = role == PROVIDER and listen is not None
    return {name: each for name, each in others.items() if listens and each == OUTSIDE}


def _roles(names: Sequence[str], role: Role) -> dict[str, Role]:
    return dict.fromkeys(names, role)


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()


def plain(config: TensorsConfig, _: Path, __: object) -> Summary:
    """Return what a built-in program gives in the clear."""
    twin = KnownProgram(config).twin
    if not twin:
        raise ConfigError(f"program: expected a built-in program with a twin, found {config.program}")
    return Summary(tuple((name, f"{value:.4g}") for name, value in twin.items()))


def cost(config: TensorsConfig, _: Path, __: object) -> Summary:
    """Return what a run would cost and reveal."""
    found = foresee(_agreed(config, KnownProgram(config)), config.plan_deadline_s)
    return forecast_of(found, config.plan_deadline_s)


PROTOCOL = Tensors()
