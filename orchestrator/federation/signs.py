"""What a service shows of itself while it runs: a sign of life, what is wrong with its certificate, and figures."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from orchestrator.events import Event
from orchestrator.federation.identity import Identity
from orchestrator.federation.records import ServiceFolder, SessionEnded
from parties.frame.errors import PartyError

DAYS_LEFT = 21
"""A certificate that is valid for fewer days is warned about."""

SIGN_S = 5.0  # between two signs of life
SILENT_S = 60.0
"""A service without a sign of life for so long hangs, or was stopped."""

IN_VAIN = 3
"""Processes in a row that ended before a session, with which a service is not well."""

_CERTIFICATE_S = 3600.0  # between two looks at the certificate


class Listening(Protocol):
    """Whoever is told what happens in a service."""

    def tell(self, event: Event) -> None: ...
    def ended(self, session: SessionEnded) -> None: ...


@dataclass
class Signs:
    """The signs of one service.

    Attributes:
        folder: of the service.
        identity: of the member.
        say: writes a sentence to the service's log.
        listening: is told of events and of ends of sessions, if there is somebody.
    """

    folder: ServiceFolder
    identity: Identity
    say: Callable[[str], None]
    listening: Listening | None = None
    _given: float = float("-inf")
    _look_at: float = float("-inf")

    def give(self) -> None:
        """Give a sign of life, and look at the certificate, each if it is time again."""
        now = time.monotonic()
        if now - self._given >= SIGN_S:
            self._given = now
            self.folder.give_sign()
        if now >= self._look_at:
            self._look_at = now + _CERTIFICATE_S
            if words := certificate_words(self.identity):
                self.say(words)
            with contextlib.suppress(PartyError):
                if (left_s := self.identity.days_left() * 86400) > 0:  # its end is said at once
                    self._look_at = min(self._look_at, now + left_s + 1)

    def tell(self, event: Event) -> None:
        """Take in an event of a session's process."""
        if self.listening is not None:
            self.listening.tell(event)

    def ended(self, session: SessionEnded) -> None:
        """Take in the end of a session."""
        if self.listening is not None:
            self.listening.ended(session)


def complaint(folder: ServiceFolder, identity: Identity) -> str:
    """Return what is wrong with a service in a few words, or nothing."""
    running = folder.running()
    if running is None:
        return "no service runs"
    silent_s = folder.silent_for()
    if silent_s > SILENT_S:
        return f"process {running.pid} has given no sign of life for {silent_s:.0f} s"
    if running.in_vain >= IN_VAIN:
        return f"{running.in_vain} processes in a row ended before a session, see {folder.log}"
    try:
        ended = identity.days_left() <= 0
    except PartyError as error:
        return str(error)
    return certificate_words(identity) if ended else ""


def certificate_words(identity: Identity) -> str:
    """Return what to do about a certificate that has ended or soon will, or nothing."""
    try:
        days = identity.days_left()
    except PartyError as error:
        return str(error)
    if days > DAYS_LEFT:
        return ""
    mend = "a new one is made by `cert renew`, `approve` and `install`"
    if days <= 0:
        return f"certificate: it ended on {identity.ends():%Y-%m-%d %H:%M} UTC and every handshake is refused; {mend}"
    return f"certificate: {days:.1f} days left; {mend}"
