"""Plain processes, each in a session of its own, with their terminal output in a file beside their log."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence

from orchestrator.launchers import Exit, LogView, ProcessSpec
from orchestrator.launchers.forks import Forks, exit_of
from parties.frame.forks import Fork


class ProcessLauncher:
    """Has each process forked, without a terminal."""

    def __init__(self) -> None:
        self._forks: Forks | None = None
        self._parties: dict[str, Fork] = {}

    def open(
        self, forks: Forks, views: Sequence[LogView], environment: Mapping[str, str], dashboard: Sequence[str] = ()
    ) -> tuple[int, ...]:
        """Start the fork server. There are no panes."""
        self._forks = forks
        forks.open(environment)
        return ()

    def start(self, specs: Sequence[ProcessSpec]) -> Mapping[str, int]:
        if self._forks is None:
            raise RuntimeError("expected a launcher that was opened")
        for spec in specs:
            self._parties[spec.name] = self._forks.start(spec)
        return {spec.name: self._parties[spec.name].pid for spec in specs}

    def ended(self) -> Mapping[str, Exit]:
        exits = {name: exit_of(party) for name, party in self._parties.items()}
        return {name: found for name, found in exits.items() if found is not None}

    def ask_to_end(self, name: str) -> None:
        self._parties[name].send_signal(signal.SIGTERM)

    def bring_back(self, name: str | None = None) -> None:
        """Do nothing, because everything is on this machine."""

    def keep_output(self, name: str) -> None:
        """Do nothing, because the output went to the file directly."""

    def close(self) -> None:
        for party in self._parties.values():
            party.close()
        if self._forks is not None:
            self._forks.close()
