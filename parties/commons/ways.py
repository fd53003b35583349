"""A party's connections: a line to every trustee but itself, and a desk where others ask it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
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

    def reader(self, log: Follower) -> LogReader:
        """Return what follows the log and writes to it."""
        return LogReader(log, self.trustees, self.settings.log_deadline_s)

    def line(self, peer: Peer, role: str) -> Line:
        """Return a line to another party. Whoever asks for it closes it."""
        return Line(self.connections, peer, role, self.settings.message_deadline_s)

    @contextmanager
    def desk(self, address: Address, questions: Mapping[str, Question]) -> Iterator[Desk]:
        """Answer questions of all other parties within this block."""
        settings, progress = self.settings, self.progress
        listener = self.connections.listen(address)
        roles = {name: role for name, role in settings.roles.items() if name != settings.name}
        desk = Desk(self.connections, listener, roles, questions, settings.run_deadline_s, progress.note)
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
        try:
            yield Ways(settings, progress, connections, lines)
        finally:
            for line in lines:
                line.close()
