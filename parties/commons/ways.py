"""A party's connections: a line to every trustee but itself, and a desk where others ask it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from mpc.commons.following import Follower
from parties.commons.answering import Desk, Question
from parties.commons.asking import Line
from parties.commons.reading import LogReader
from parties.commons.settings import TRUSTEE, CommonsSettings
from parties.frame.connections import Connections
from parties.frame.process import Party
from parties.frame.progress import Progress
from parties.frame.settings import Address, Peer

LAST_STEP = "8"
"""Under which all messages are counted. A party asks others in several steps at once."""

Settings = TypeVar("Settings", bound=CommonsSettings)


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
            questions,
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
        try:
            made = Ways(settings, progress, connections, lines, all_lines)
            yield made
            made.report()
        finally:
            for line in all_lines:
                line.close()
