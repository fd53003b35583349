"""Errors of a party's program whose message is one sentence that anybody may read."""

from __future__ import annotations

from mpc.errors import DeadlineError


class PartyError(Exception):
    """Base of every error that a party raises on purpose.

    The message is one sentence for a person and holds no secret, so that the log and the status may show it.
    """


class AbsentError(DeadlineError):
    """None of several awaited parties has connected in time. `awaits` names them."""

    def __init__(self, message: str, *, awaits: tuple[str, ...], step: str = "") -> None:
        super().__init__(message, step=step)
        self.awaits = awaits


class ConfigError(PartyError, ValueError):
    """A configuration that cannot be run. The message is for the person who wrote the configuration."""
