"""A party's connections: a line to every trustee but itself, and a desk where others ask it.

A member of a federation keeps its connections for months. So whenever its list of revoked certificates is another, it
breaks all of them. Whoever may still come connects anew.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from mpc.commons.following import Follower
from mpc.errors import MpcError, ProtocolError
from parties.commons.answering import Desk, Question
from parties.commons.asking import Line, gather
from parties.commons.reading import LogReader
from parties.commons.settings import EVERYBODY, TRUSTEE, CommonsSettings
from parties.frame.connections import Connections
from parties.frame.process import Party
from parties.frame.progress import Progress
from parties.frame.settings import Address, Peer

LAST_STEP = "8"
"""Under which all messages are counted. A party asks others in several steps at once."""

_LOOK_S = 1.0  # between two looks at the list of revoked certificates
_AGAIN_S = 1.0  # before somebody who was not there is asked again

Settings = TypeVar("Settings", bound=CommonsSettings)
Ask = Callable[[Line], "Future[bytes]"]


def _is_there(line: Line) -> Future[bytes]:
    return line.ask("here")


def home(party: Party[Settings]) -> Path:
    """Return the folder with a party's keys, and with all that it must have again when it starts again."""
    return party.settings.home or party.folder


@dataclass(frozen=True)
class Ways:
    """What a party has to reach others.

    Attributes:
        trustees: the lines to all trustees but the party itself, in order.
    """

    settings: CommonsSettings
    progress: Progress
    connections: Connections
    trustees: tuple[Line, ...]
    _lines: list[Line]
    _desks: list[Desk] = field(default_factory=list)

    def report(self) -> None:
        """Report the bytes of all conversations that this party has opened.

        Trustees open conversations both ways. So a trustee adds those that others of them have opened with it, and both
        ends report the same.
        """
        roles = self.settings.roles
        for line in self._lines:
            sent, received = line.moved
            for desk in self._desks if roles[line.peer.name] == roles[self.settings.name] else ():
                asked, answered = desk.moved(line.peer.name)
                sent, received = sent + asked, received + answered
            if sent or received:
                moved = {"sent": sent, "received": received}
                self.progress.event("step_finished", step=LAST_STEP, title="messages", peer=line.peer.name, **moved)

    def break_all(self) -> None:
        """Break all connections. Both sides connect anew when they have something to ask."""
        for line in list(self._lines):
            line.break_off()
        for desk in list(self._desks):
            desk.break_off()

    def stand_by(self) -> None:
        """At a member that serves, wait until the process before this one has ended. Elsewhere there is none.

        So no two processes have one log, and one that was killed has another in its place at once.
        """
        if self.settings.place is not None:
            self.connections.await_turn()
            self.progress.admitted(self.settings.name, self.settings.session)

    def until_all_are_there(
        self, lines: Sequence[Line], check: Callable[[], None], ask: Ask = _is_there, expected: bytes = b""
    ) -> None:
        """Wait until each of these parties was there once, without a deadline. Each new reason why not is noted.

        Args:
            check: is called again and again, and raises to end the wait.
            ask: asks one of them.
            expected: their answer. Whoever gives another one is asked again.

        Raises:
            ProtocolError: one of them was configured otherwise, or refuses, which does not pass by itself.
        """
        missing = {line.peer.name: line for line in lines}
        pending: dict[str, Future[bytes]] = {}
        not_before = dict.fromkeys(missing, 0.0)
        said = set[str]()
        while missing:
            for name, line in missing.items():
                if name not in pending and time.monotonic() >= not_before[name]:
                    pending[name] = ask(line)
            if pending:
                wait(pending.values(), timeout=_AGAIN_S / 2, return_when=FIRST_COMPLETED)
            else:
                time.sleep(_AGAIN_S / 10)
            check()
            for name, answer in [(name, one) for name, one in pending.items() if one.done()]:
                del pending[name]
                try:
                    if answer.result() == expected:
                        del missing[name]
                except ProtocolError:
                    raise
                except (MpcError, CancelledError) as error:
                    not_before[name] = time.monotonic() + _AGAIN_S
                    if (sentence := f"{name} is not there yet: {error}") not in said:
                        said.add(sentence)
                        self.progress.note(sentence)

    def absent(self, lines: Sequence[Line], within_s: float, grace_s: float, least: int) -> dict[str, str]:
        """Return those of these parties that are not there, each with the sentence that says why.

        Args:
            within_s: how long to wait for `least` of them.
            grace_s: how much longer to wait for the others then.
        """
        there = list[str]()
        failed = gather(
            {line.peer.name: line.ask("here") for line in lines},
            within_s,
            take=lambda name, _: there.append(name),
            enough=lambda: len(there) >= least,
            grace_s=grace_s,
        )
        return {name: str(why) for name, why in failed.items()}

    def reader(self, log: Follower) -> LogReader:
        """Return what follows the log and writes to it."""
        return LogReader(log, self.trustees, self.settings.log_deadline_s)

    def line(self, peer: Peer, role: str) -> Line:
        """Return a line to another party."""
        line = Line(self.connections, peer, role, self.settings.message_deadline_s)
        self._lines.append(line)
        return line

    @contextmanager
    def desk(self, address: Address, questions: Mapping[str, Question]) -> Iterator[Desk]:
        """Answer questions of all other parties within this block."""
        settings, progress = self.settings, self.progress
        listener = self.connections.listen(address)
        roles = {name: role for name, role in settings.roles.items() if name != settings.name}
        desk = Desk(
            self.connections,
            listener,
            roles,
            {**questions, "here": Question(EVERYBODY, lambda _, __: b"")},
            settings.run_deadline_s,
            settings.message_deadline_s,
            progress.note,
        )
        self._desks.append(desk)
        progress.listening(listener.port)
        try:
            yield desk
        finally:
            desk.close()


@contextmanager
def ways(party: Party[Settings], role: str) -> Iterator[Ways]:
    """Connect to the trustees as soon as there is something to ask, within this block."""
    settings, progress = party.settings, party.progress
    with Connections(settings, party.folder, role, settings.agreed(), progress.note) as connections:
        lines = tuple(
            Line(connections, peer, TRUSTEE, settings.message_deadline_s)
            for peer in settings.trustees
            if peer.name != settings.name
        )
        all_lines = [*lines]
        over = threading.Event()
        try:
            made = Ways(settings, progress, connections, lines, all_lines)
            if settings.credentials is not None:
                revoked = settings.credentials / "revoked.pem"
                threading.Thread(target=_watch, args=(revoked, made, over), name="revoked", daemon=True).start()
            yield made
            made.report()
        finally:
            over.set()
            for line in all_lines:
                line.close()


def _watch(revoked: Path, way: Ways, over: threading.Event) -> None:
    """Break all connections whenever the list of revoked certificates is another."""
    seen = _mark(revoked)
    while not over.wait(_LOOK_S):
        found = _mark(revoked)
        if found != seen:
            seen = found
            way.progress.note("the list of revoked certificates is another, so all connections are made anew")
            way.break_all()


def _mark(path: Path) -> tuple[int, int, int]:
    """Return what tells a file from the one that replaces it. A file that is not there has a mark of its own."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0, 0, 0
    return status.st_ino, status.st_mtime_ns, status.st_size
