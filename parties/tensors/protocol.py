"""Private tensors as a run of processes, in the form that a launcher asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from parties.frame.charts import Measure
from parties.frame.errors import ConfigError
from parties.frame.members import Federation
from parties.frame.plan import Command, Plan, Reach, Role, Run, RunFolders, Summary
from parties.frame.settings import Address
from parties.tensors import member
from parties.tensors.config import TensorsConfig
from parties.tensors.foreseeing import foresee
from parties.tensors.foreseeing import summary as forecast_of
from parties.tensors.links import everybody, provider_listens
from parties.tensors.planning import KnownProgram, Planned, computation_of
from parties.tensors.records import revealed_measures, revealed_view
from parties.tensors.report import STEPS, headlines, lead, lines, sections, unfinished
from parties.tensors.serving import planning
from parties.tensors.serving import report as served
from parties.tensors.serving.quota import asked_measures, asked_view
from parties.tensors.serving.settings import CLIENT, OWNER


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
            "revealed": Command(
                "show what sessions with other members have revealed, to whom and how often", revealed,
                group="look at runs",
            ),
        }  # fmt: skip

    def plan(self, config: TensorsConfig, run: Run) -> Plan:
        """Return a process for each party. Nothing is written, because every party loads its own data."""
        if config.serving is not None:
            return planning.plan(config, config.serving, run)
        planned = Planned.of(config)
        listening = [*config.computing, *([config.dealing] if provider_listens(planned.computation) else [])]
        addresses = {
            str(name): Address(host=run.host, port=run.start_port + index) for index, name in enumerate(listening)
        }
        first = config.computing[0]
        processes = [
            planned.process(run, name, addresses, twin=planned.known.twin if name == first else {})
            for name in everybody(planned.computation)
        ]
        return Plan(
            tuple(processes),
            reporter=first,
            more_reporters=(*config.computing[1:], *config.outside),
            deadline_s=config.run_deadline_s,
            steps=STEPS,
            notes=planned.notes,
        )

    @property
    def roles(self) -> Mapping[str, Role]:
        """What members of a federation do."""
        return member.ROLES

    def check_federation(self, config: TensorsConfig, federation: Federation) -> None:
        """Raise `ConfigError` where these members cannot take part as configured."""
        member.check_federation(config, federation)

    def member(self, config: TensorsConfig, federation: Federation, name: str, role: str, run: Run) -> Plan:
        """Return the plan of one member's one process."""
        return member.member(config, federation, name, role, run)

    def reach(self, config: TensorsConfig, federation: Federation, name: str, folders: RunFolders) -> Reach:
        """Return whom a member should reach, and what it would say."""
        return member.reach(config, federation, name, folders)

    def accounts(self, config: TensorsConfig, files: Path) -> Summary:
        """Return what the sessions of a member have revealed, in the words of the command `revealed`."""
        return revealed(config, files, None)

    def measures(self, config: TensorsConfig, files: Path) -> Sequence[Measure]:
        """Return the sessions and reveals of a member as figures to watch."""
        return revealed_measures(files) if config.serving is None else asked_measures(files)

    def summary(self, result: Mapping[str, Any]) -> Summary:
        """Show what came out, what it cost, and who has to be trusted."""
        reports = result.get("reports", [result])
        if reports[0]["role"] in (CLIENT, OWNER):
            return served.summary(reports) if len(reports) > 1 else served.own_summary(reports[0])
        return Summary(
            lines(reports),
            warnings=unfinished(reports),
            headlines=headlines(reports),
            sections=sections(reports),
            lead=lead(reports),
        )


def plain(config: TensorsConfig, _: Path, __: object) -> Summary:
    """Return what a built-in program gives in the clear."""
    twin = KnownProgram(config).twin
    if not twin:
        raise ConfigError(f"program: expected a built-in program with a twin, found {config.program}")
    return Summary(tuple((name, f"{value:.4g}") for name, value in twin.items()))


def cost(config: TensorsConfig, _: Path, __: object) -> Summary:
    """Return what a run would cost and reveal."""
    found = foresee(computation_of(config, KnownProgram(config)), config.plan_deadline_s)
    return forecast_of(found, config.plan_deadline_s)


def revealed(config: TensorsConfig, files: Path, _: object) -> Summary:
    """Return what the sessions of a member have revealed, or about how many records it has answered."""
    return revealed_view(files) if config.serving is None else asked_view(files)


PROTOCOL = Tensors()
