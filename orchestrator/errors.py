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

    def add(self, sentence: str) -> None:
        """Say what went wrong afterwards, too."""
        self.args = (f"{str(self).rstrip('.')}, and {sentence.rstrip('.')}.",)


class LaunchError(RunFailed):
    """A process or a pane could not be started."""


class Interrupted(BaseException):
    """A signal asked the orchestrator to end. Not an `Exception`: only the teardown may act on it."""

    def __init__(self, number: int):
        self.number = signal.Signals(number)
        super().__init__(f"Ended by {self.number.name}.")


def in_a_sentence(error: Exception) -> str:
    """Return what the operating system refused, and of which file if it says so."""
    if not isinstance(error, OSError):
        return str(error)
    what = (error.strerror or str(error) or type(error).__name__).rstrip(".")
    place = error.filename2 or error.filename
    return f"{place}: {what}." if place is not None else f"A file could not be read or written: {what}."
