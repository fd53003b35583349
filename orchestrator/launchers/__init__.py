"""Ways to start a run's processes: in panes of a terminal multiplexer, or plainly.

Both start the same commands with the same environment; they differ in what a person can look at.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Command:
    """One party's process. What it prints to its terminal may be kept in `output`, beside its own `log`."""

    name: str
    arguments: tuple[str, ...]
    log: Path
    output: Path


@dataclass(frozen=True)
class LogView:
    """A pane that follows log files."""

    title: str
    logs: tuple[Path, ...]


@dataclass(frozen=True)
class Exit:
    """How a process ended: by itself with a code, by a signal, or (both None) in a way that nobody saw."""

    code: int | None = None
    signal: int | None = None

    def __str__(self) -> str:
        if self.signal is not None:
            return f"it was ended by {signal.Signals(self.signal).name}"
        if self.code is not None:
            return f"it ended with status {self.code}"
        return "it disappeared"


class Launcher(Protocol):
    """Starts processes and tells which have ended. Ending them is the teardown's work."""

    def start(
        self,
        commands: Sequence[Command],
        views: Sequence[LogView],
        environment: Mapping[str, str],
        dashboard: Sequence[str] = (),
    ) -> tuple[int, ...]:
        """Start everything; returns the process groups. Raises `LaunchError`.

        `dashboard` is a program to look at where there are panes; how it ends is nobody's concern.
        """
        ...

    def ended(self) -> Mapping[str, Exit]:
        """The processes that have ended so far."""
        ...

    def keep_output(self, name: str) -> None:
        """Put what the process printed to its terminal into its `output` file."""
        ...

    def close(self) -> None:
        """Let go of what was started, after it has ended."""
        ...
