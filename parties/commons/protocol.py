"""Decentralised aggregation as a run of processes and as commands, in the form that a launcher asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mpc.errors import MpcError
from parties.commons.config import CommonsConfig
from parties.frame.errors import ConfigError
from parties.frame.plan import Command, Plan, Run, Summary


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

    def summary(self, result: Mapping[str, Any]) -> Summary:
        """Show the results, who has lied, and the timeline."""
        from parties.commons.report import summary  # noqa: PLC0415

        return summary(result["reports"])


PROTOCOL = Commons()
