"""Decentralised aggregation as a run of processes and as commands, in the form that a launcher asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mpc.errors import MpcError
from parties.commons.config import CommonsConfig
from parties.frame.charts import Measure
from parties.frame.errors import ConfigError
from parties.frame.members import Federation
from parties.frame.plan import Command, Plan, Reach, Role, Run, RunFolders, Summary


class Commons:
    """Decentralised aggregation, for the launcher."""

    name = "commons"
    Config = CommonsConfig

    @property
    def commands(self) -> Mapping[str, Command]:
        """What can be done without a run."""
        return {
            "audit": Command(
                "verify a copied log without a network, and show what happened in it",
                "parties.commons.commands:audit_log",
                "parties.commons.options:AuditOptions",
                group="look at runs",
                alone=True,
            ),
            "keys": Command(
                "make a member's own keys of the log, and show the line for the shared file",
                "parties.commons.commands:keys",
                "parties.commons.options:MemberOptions",
                group="join a federation",
                of_member=True,
            ),
            "withdraw": Command(
                "let a provider's service revoke its policy, so that its reports enter no further result",
                "parties.commons.commands:withdraw",
                "parties.commons.options:MemberOptions",
                group="take part in a federation",
                of_member=True,
            ),
            "plain": Command(
                "compute the same from the clinics' measurements in the clear, to compare with",
                "parties.commons.commands:plain",
                group="try settings",
            ),
        }

    def plan(self, config: CommonsConfig, run: Run) -> Plan:
        """Return all processes, and write each party's keys and measurements into its private folder."""
        from parties.commons.planning import plan  # noqa: PLC0415 - the launcher starts without the computation

        try:
            return plan(config, run)
        except MpcError as error:
            raise ConfigError(f"commons: {error}.") from error

    @property
    def roles(self) -> Mapping[str, Role]:
        """What members of a federation do."""
        from parties.commons.member import ROLES  # noqa: PLC0415 - as above

        return ROLES

    def check_federation(self, config: CommonsConfig, federation: Federation) -> None:
        """Raise `ConfigError` where these members cannot take part as configured."""
        from parties.commons.member import check_federation  # noqa: PLC0415

        check_federation(config, federation)

    def member(self, config: CommonsConfig, federation: Federation, name: str, role: str, run: Run) -> Plan:
        """Return the plan of one member's one process, and write a provider's measurements for it."""
        from parties.commons.member import member  # noqa: PLC0415

        try:
            return member(config, federation, name, role, run)
        except MpcError as error:
            raise ConfigError(f"commons: {error}.") from error

    def reach(self, config: CommonsConfig, federation: Federation, name: str, folders: RunFolders) -> Reach:
        """Return whom a member should reach, and what it would say."""
        from parties.commons.member import reach  # noqa: PLC0415

        try:
            return reach(config, federation, name, folders)
        except MpcError as error:
            raise ConfigError(f"commons: {error}.") from error

    def accounts(self, _: CommonsConfig, files: Path) -> Summary:
        """Return what a trustee's log holds, and what a provider has reported."""
        from parties.commons.own_log import kept_view  # noqa: PLC0415

        return kept_view(files)

    def measures(self, _: CommonsConfig, files: Path) -> Sequence[Measure]:
        """Return how long a trustee's log is."""
        from parties.commons.own_log import kept_measures  # noqa: PLC0415

        return kept_measures(files)

    def summary(self, result: Mapping[str, Any]) -> Summary:
        """Show the results, who has lied, and the timeline."""
        from parties.commons.report import summary  # noqa: PLC0415

        return summary(result["reports"])


PROTOCOL = Commons()
