"""Ways to start a run's processes, in panes of a terminal multiplexer or plainly.

Both start the same processes with the same environment, by one process that has imported the parties' modules. They
differ in what a person can look at.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from orchestrator.launchers.forks import Forks


@dataclass(frozen=True)
class ProcessSpec:
    """How to start one party's process, which is `python -m module --settings PATH`.

    What the process prints to its terminal may be kept in `output`, beside its own `log`.
    """

    name: str
    module: str
    settings: Path
    environment: Mapping[str, str]
    log: Path
    output: Path


@dataclass(frozen=True)
class LogView:
    """A pane that follows log files."""

    title: str
    logs: tuple[Path, ...]


@dataclass(frozen=True)
class Exit:
    """How a process ended. It has a code or a signal. Both are None where the launcher could not see it.

    `lost` then says why, if the launcher knows.
    """

    code: int | None = None
    signal: int | None = None
    lost: str = ""

    def __str__(self) -> str:
        if self.signal is not None:
            return f"it was ended by {signal.Signals(self.signal).name}"
        if self.code is not None:
            return f"it ended with status {self.code}"
        return self.lost or "it disappeared"


class Launcher(Protocol):
    """Starts processes and tells which of them have ended. Ending them is the teardown's work."""

    def open(
        self, forks: Forks, views: Sequence[LogView], environment: Mapping[str, str], dashboard: Sequence[str] = ()
    ) -> tuple[int, ...]:
        """Start the fork server, make the panes to look at, and return their process groups. Raises `LaunchError`.

        `dashboard` is a program that is shown where there are panes. The run does not depend on how it ends.
        """
        ...

    def start(self, specs: Sequence[ProcessSpec]) -> Mapping[str, int]:
        """Start these processes and return each one's process group. Raises `LaunchError`. May be called again."""
        ...

    def ended(self) -> Mapping[str, Exit]:
        """Return the processes that have ended so far. Raises `LaunchError` when that cannot be told any more."""
        ...

    def ask_to_end(self, name: str) -> None:
        """Send SIGTERM to a process that was started, if it still runs."""
        ...

    def bring_back(self, name: str | None = None) -> None:
        """End a party, or all, where they run on other machines, and bring their files here.

        What runs on this machine is the teardown's.
        """
        ...

    def keep_output(self, name: str) -> None:
        """Put what the process printed to its terminal into its `output` file."""
        ...

    def close(self) -> None:
        """Release what belongs to processes that have ended."""
        ...
