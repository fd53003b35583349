"""A party as a process, started by `python -m MODULE --settings files/<run>/<party>/settings.json`."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from loguru import logger
from pydantic import ValidationError

from parties.frame.lifetime import Ended, heard, ignore_signals, lifetime
from parties.frame.progress import Progress
from parties.frame.settings import PartySettings

__all__ = ["Party", "run_party"]

Settings = TypeVar("Settings", bound=PartySettings)


@dataclass(frozen=True)
class Party(Generic[Settings]):
    """All that a role gets, which is its settings, its private folder, and where to report its progress."""

    settings: Settings
    folder: Path
    progress: Progress

    def in_session(self, session: str) -> Party[Settings]:
        """Return the same party in a session that was brought to it."""
        return replace(self, settings=self.settings.model_copy(update={"session": session}))


def run_party(
    kind: type[Settings], role: Callable[[Party[Settings]], None], arguments: Sequence[str] | None = None
) -> int:
    """Read the settings, play the role and leave a status.

    Return the exit status, which is 0, or 1 when the party failed, or 2 when it never started.
    """
    parser = argparse.ArgumentParser(description=(sys.modules[role.__module__].__doc__ or "").partition("\n")[0])
    parser.add_argument("--settings", type=Path, required=True, help="the party's own settings.json")
    path: Path = parser.parse_args(arguments).settings.resolve()
    try:
        settings = kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        problem = _complaints(error) if isinstance(error, ValidationError) else str(error)
        print(f"{path}: these are no settings for this party: {problem}", file=sys.stderr)
        return 2
    logger.remove()
    supervisor = settings.supervisor
    pid, started = (supervisor.pid, supervisor.started) if supervisor else (None, None)
    # A member of a federation waits to be needed, or in line. Its supervisor applies the deadline from its turn on.
    deadline_s = settings.run_deadline_s if settings.place is None and settings.credentials is None else math.inf
    with Progress(settings.name, settings.log, path.parent, echo=True) as progress:
        try:
            with lifetime(pid, started, deadline_s):
                try:
                    role(Party(settings, path.parent, progress))
                    progress.finished()
                except BaseException as error:  # noqa: BLE001  the status names it, and the process ends
                    ignore_signals()
                    progress.failed(heard(error))
                    return 1
        except Ended as error:  # a signal came outside of the role
            progress.failed(heard(error))
            return 1
    return 0


def _complaints(error: ValidationError) -> str:
    """Say which keys are wrong and why, without their values."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems)
