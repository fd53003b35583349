"""Trustees and others as threads of one process, over real connections."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from mpc.commons.consensus import Trustee
from mpc.commons.following import Follower
from mpc.commons.roles.trustee import TrusteeRole
from orchestrator import certificates
from parties.commons.agreeing import TrusteeDesk
from parties.commons.answering import Desk
from parties.commons.asking import Line
from parties.commons.keeping import AttachmentFile
from parties.commons.reading import LogReader
from parties.commons.settings import CONSUMER, TRUSTEE
from parties.commons.storage import open_log
from parties.frame.connections import Connections
from parties.frame.plan import RunFolders
from parties.frame.settings import Address, PartySettings, Peer
from tests.mpc.commons.setting import TASK, Log

AGREED = {"protocol": "commons"}
OUTSIDER = "institute"


class Network:
    """The trustees of a log at desks of their own, and one outsider who reads and writes."""

    def __init__(self, folder: Path, n: int = 4) -> None:
        task = replace(TASK, functions=("histogram/10", "sum/100"))
        self.log, self.names = Log(n, tasks=(task,)), [f"trustee-{place}" for place in range(n)]
        self.folders = RunFolders(folder / "files", folder / "logs", "test")
        certificates.issue("test", [(name, self.folders.party(name)) for name in (*self.names, OUTSIDER)])
        self.notes: list[str] = []
        self.answer_s = 10.0
        self.desks: dict[str, Desk] = {}
        self.logs: dict[str, TrusteeDesk] = {}
        self.peers: dict[str, Peer] = {}
        self._stack = ExitStack()
        self._connections: dict[str, Connections] = {}

    def connections(self, name: str, role: str) -> Connections:
        if name not in self._connections:
            settings = PartySettings(
                name=name, session="session-1", log=self.folders.log(name), supervisor=None,
                connect_deadline_s=10, message_deadline_s=10, run_deadline_s=60,
            )  # fmt: skip
            made = Connections(settings, self.folders.party(name), role, AGREED, self.notes.append)
            self._connections[name] = self._stack.enter_context(made)
        return self._connections[name]

    def start(self, place: int) -> None:
        """Start a trustee, or start it again from its disk, at the port that it had."""
        name = self.names[place]
        connections = self.connections(name, TRUSTEE)
        before = self.peers.get(name)
        listener = connections.listen(Address(host="127.0.0.1", port=before.port if before else 0))
        self.peers[name] = Peer(name=name, host="127.0.0.1", port=listener.port)
        private, founding = self.folders.party(name), self.log.founding
        store, attachments = open_log(private / "log", founding), AttachmentFile(private / "attachments")
        role = TrusteeRole(founding, self.log.keys[place], store, attachments)
        self.logs[name] = TrusteeDesk(founding, role, {self.log.consumer.key: OUTSIDER})
        roles = dict.fromkeys(self.names, TRUSTEE) | {OUTSIDER: CONSUMER}
        desk = Desk(connections, listener, roles, self.logs[name].questions, 30.0, self.answer_s, self.notes.append)
        self.desks[name] = desk
        self._stack.callback(desk.close)

    def stop(self, place: int) -> None:
        """End a trustee as a crash does. What it has on its disk stays."""
        name = self.names[place]
        desk = self.desks.pop(name)
        desk.close()
        desk._listener.close()
        self._connections[name].hang_up()

    def line(self, name: str, to: int, role: str = TRUSTEE) -> Line:
        made = Line(self.connections(name, role), self.peers[self.names[to]], TRUSTEE, 10.0)
        self._stack.callback(made.close)
        return made

    def reader(self, deadline_s: float = 10.0) -> LogReader:
        lines = [self.line(OUTSIDER, place, CONSUMER) for place in range(len(self.names))]
        return LogReader(Follower(self.log.founding), lines, deadline_s)

    def trustee(self, place: int) -> Trustee:
        return self.logs[self.names[place]].role.trustee

    def close(self) -> None:
        self._stack.close()


@contextmanager
def network(folder: Path, n: int = 4) -> Iterator[Network]:
    made = Network(folder, n)
    try:
        for place in range(n):
            made.start(place)
        yield made
    finally:
        made.close()
