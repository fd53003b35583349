"""How a run can end badly. Every message is one sentence for the person at the terminal.

A configuration that cannot be run is `parties.frame.errors.ConfigError`. The owner of the wrong key raises it.
"""

from __future__ import annotations

import signal
from pathlib import Path


class RunFailed(Exception):
    """The run ended without a result. It names the party, the step, the reason, and the file to read on."""

    def __init__(self, reason: str, *, party: str | None = None, step: str | None = None, log: Path | None = None):
        self.reason = reason
        self.party = party
        self.step = step
        self.log = log
        self.report: Path | None = None  # of what the run has left
        where = f" in step {step}" if step else ""
        subject = f"{party} failed{where}: " if party else ""
        pointer = f" (see {log})" if log else ""
        super().__init__(f"{subject}{reason.rstrip('. ')}{pointer}.")


class LaunchError(RunFailed):
    """A process or a pane could not be started."""


class Interrupted(BaseException):
    """A signal asked the orchestrator to end. Not an `Exception`: only the teardown may act on it."""

    def __init__(self, number: int):
        self.number = signal.Signals(number)
        super().__init__(f"Ended by {self.number.name}.")
