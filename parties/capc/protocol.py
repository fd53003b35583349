"""CaPC (Choquette-Choo et al., ICLR 2021) as a run of processes, in the form that a launcher asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from parties.capc import member, summary
from parties.capc.budget_view import budget_measures, budget_view
from parties.capc.casting import (
    RoleAssignment,
    load_data,
    public_parameters,
    refuse_missing_records,
    refuse_unknown_models,
    split_data,
    unneeded_records,
    with_own_queries,
    with_queries,
)
from parties.capc.config import CapcConfig
from parties.capc.memory import TRAININGS_BYTES
from parties.capc.processes import Processes
from parties.capc.releases import with_release
from parties.capc.report import STEPS
from parties.frame.charts import Measure
from parties.frame.members import Federation
from parties.frame.plan import Command, Plan, Reach, Role, Run, RunFolders, Summary, Trials


class Capc:
    """CaPC, for the launcher."""

    name = "capc"
    Config = CapcConfig
    environment: Mapping[str, str] = {"CAPC_DATA_DIR": "folder with the MNIST files where data_dir is not given"}

    @property
    def commands(self) -> Mapping[str, Command]:
        """What can be shown without a run."""
        return {
            "budget": Command(
                "show what each querying party has spent of its privacy budget",
                "parties.capc.budget_view:budget_view",
                group="look at runs",
            ),
            "describe": Command(
                "show what a file of your own holds, and YAML for it",
                "parties.capc.own_data:describe",
                "parties.capc.own_data:DescribeOptions",
                "try settings",
            ),
            "model check": Command(
                "show what a model's file would cost",
                "parties.capc.model_check_view:model_check_command",
                "parties.capc.model_check_view:ModelCheckOptions",
                "try settings",
            ),
            "simulation": Command(
                "run a campaign in the clear, in one process",
                "parties.capc.simulation:simulation",
                "parties.capc.simulation:SimulationOptions",
                "try settings",
            ),
        }

    @property
    def trials(self) -> Trials:
        """How a configuration is tried many times."""
        found: Trials = resolve_name("parties.capc.trial:TRIALS")
        return found

    def plan(self, config: CapcConfig, run: Run) -> Plan:
        """Return the plan of a run, and write each party's own data into its private folder.

        There are the querying parties, the answering parties and one privacy guardian. Querying and answering parties
        get `records.npz`. A querying party also gets `queries.npz`, or in a campaign `unlabelled.npz`, and
        `held_out.npz` where there are records to measure on. A loader of own records runs here, and other functions of
        a user's own in a child process.

        Raises:
            ConfigError: a choice that cannot be run.
        """
        if run.federation is not None:
            config = member.for_members(config, run.federation)
        config = with_own_queries(config, config.qp_id)
        roles = RoleAssignment.of(config, run.federation)
        refuse_missing_records(config, roles)
        dataset = load_data(config)
        config = with_release(config, dataset)
        parameters = public_parameters(config, dataset)
        owners = config.n_parties + 1 if roles.owners is None else roles.owners
        refuse_unknown_models(config, dataset, owners)
        data = split_data(config, dataset, roles.owners)
        config = member.counting_over_all(with_queries(config, data))
        processes = Processes(config, run, dataset, parameters, data, roles)
        processes.refuse_outputs()
        processes.refuse_missing()
        processes.refuse_empty()
        for name, owner in (roles.clients | roles.servers).items():
            data.owned[owner].write(run.folders.party(name) / "records.npz")
        for name, owner in roles.clients.items():
            member.write_asked(data.asked[owner], config, owner, run.folders.party(name))
        unneeded = () if run.federation is None else unneeded_records(config, roles, [*roles.clients])
        first, *others = roles.clients
        return Plan(
            (*processes.clients(), *processes.servers(), processes.guardian()),
            reporter=first,
            deadline_s=config.run_deadline_s,
            more_reporters=tuple(others),
            steps=STEPS,
            tolerates=processes.tolerates(),
            grace_s=30.0,  # for as many processes as there are answering parties, on few processors
            notes=(*dataset.notes, *processes.notes(), *unneeded),
            memory_bytes=TRAININGS_BYTES,
        )

    @property
    def roles(self) -> Mapping[str, Role]:
        """What members of a federation do."""
        return member.ROLES

    def check_federation(self, config: CapcConfig, federation: Federation) -> None:
        """Raise `ConfigError` where these members cannot take part as configured."""
        member.check_federation(config, federation)

    def member(self, config: CapcConfig, federation: Federation, name: str, role: str, run: Run) -> Plan:
        """Return the plan of one member's one process, and write its own data into its private folder."""
        return member.member(config, federation, name, role, run)

    def reach(self, config: CapcConfig, federation: Federation, name: str, folders: RunFolders) -> Reach:
        """Return whom a member should reach, and what it would say. Its own data are read."""
        return member.reach(config, federation, name, folders)

    def accounts(self, config: CapcConfig, files: Path) -> Summary:
        """Return what the accounts in a member's folder hold, in the words of the command `budget`."""
        return budget_view(config, files)

    def measures(self, config: CapcConfig, files: Path) -> Sequence[Measure]:
        """Return the queries and the epsilon of each account in a member's folder."""
        return budget_measures(config, files)

    def summary(self, result: Mapping[str, Any]) -> Summary:
        """Return what came out, for each querying party."""
        return summary.summary(result)


PROTOCOL = Capc()
