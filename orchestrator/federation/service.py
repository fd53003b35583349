"""A role that takes part in many sessions, as a small supervisor with a process for each session.

The supervisor binds the port once. It holds no key and reads no message. Each session is served by a process of the
role's own program, which inherits the socket, takes the session that a peer brings and ends with it. A second process
stands by meanwhile, so that the next peer is greeted at once. So memory and open files do not grow, a session that
fails costs itself alone, and its secrets end with its process.

    supervisor                     process 1                     process 2
    binds the port  ------------>  takes the door
                                   takes the session of a peer
                    ----------------------------------------->   stands by
                                   gives the door back           takes the door, and greets the next peer
                                   serves                        waits for the end of process 1
    writes one line  <-----------  ends                          serves

What outlives a session lies in the member's folder: accounts in `durable/`, what can be made again in `cache/`, logs in
`logs/`. The supervisor may be killed and started again at any time.
"""

from __future__ import annotations

import math
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

from loguru import logger

from orchestrator.environment import marker_of, party_environment
from orchestrator.errors import RunFailed
from orchestrator.events import Event, EventFile, read_status
from orchestrator.federation.records import Running, ServiceFolder, SessionEnded
from orchestrator.federation.signs import Signs
from orchestrator.folders import keep_events
from parties.frame.errors import ConfigError
from parties.frame.lifetime import process_started
from parties.frame.plan import Plan, Process, RunFolders, write_settings
from parties.frame.settings import Address, PartySettings, Place, Supervisor
from parties.frame.start import python_command

STANDING_BY = 2  # processes at any time: one that serves or is at the door, and one that stands by
KEPT = 200  # sessions whose logs are kept

_POLL_S = 0.2
_BIND_S = 20.0  # for the processes of a supervisor that was killed to end and free the port
_GRACE_S = 2.0  # beyond the plan's, for a process that is held up to end itself
_PAUSES_S = (1.0, 2.0, 5.0, 15.0, 60.0)  # after so many starts in a row that came to nothing
_BACKLOG = 128
_AGAIN_S = 1.0  # after the first signal to end, as one Ctrl-C may come twice, also from what has started this one
_SHORT_S = 10.0  # a session of its own that fails sooner is a start that came to nothing


@dataclass
class _Session:
    """A process, and how far it is.

    Attributes:
        admitted: the event that says which session it serves, or waits to serve.
        serving_since: when its turn came, by the monotonic clock.
        lasted: whether its session has gone on for so long that its start was not in vain.
    """

    name: str
    process: subprocess.Popen[bytes]
    folders: RunFolders
    events: EventFile
    admitted: Event | None = None
    serving_since: float | None = None
    told_to_end: float | None = None
    lasted: bool = False


@dataclass
class Service:
    """One member's service in one role.

    Attributes:
        folder: what it keeps.
        plan: its one process, as for a single session.
        data: the folder with what the member's own data became.
        address: where it listens.
        credentials: the folder with the member's key and certificate.
        signs: what it shows of itself meanwhile.
    """

    folder: ServiceFolder
    plan: Plan
    data: Path
    address: Address
    credentials: Path
    signs: Signs
    _sessions: list[_Session] = field(default_factory=list)
    _served: int = 0
    _failed: int = 0
    _in_vain: int = 0  # starts in a row that came to nothing
    _not_before: float = 0.0
    _ending: bool = False
    _told: float | None = None  # to end by a signal, when
    _told_again: bool = False

    def run(self) -> None:
        """Serve, alone in the folder, until a signal tells this process to end. Raises `ConfigError` without a port.

        A second SIGTERM or SIGINT kills what has not ended by then.
        """
        before = {number: signal.signal(number, self._end) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
        try:
            self.folder.clear()
            with self._bound() as door:
                self._say(f"serves as {self.folder.role} at {self.address.host}:{door.getsockname()[1]}")
                self._serve(door)
        finally:
            self._end_all()
            self.folder.forget_running()
            self._say("ended")
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self, number: int, _: FrameType | None) -> None:
        self._ending = True
        if self._told is None:
            self._told = time.monotonic()
        elif number != signal.SIGHUP and time.monotonic() - self._told > _AGAIN_S:
            self._told_again = True

    def _bound(self) -> socket.socket:
        """Bind the port. The processes of a supervisor that was killed hold it for a moment."""
        expires = time.monotonic() + _BIND_S
        while True:
            try:
                return socket.create_server((self.address.host, self.address.port), backlog=_BACKLOG)
            except OSError as error:
                if self._ending or time.monotonic() > expires:
                    raise ConfigError(
                        f"port: expected to listen at {self.address.host}:{self.address.port}, found {error.strerror}."
                    ) from error
            time.sleep(_POLL_S)

    def _serve(self, door: socket.socket) -> None:
        while not self._ending:
            for session in list(self._sessions):
                self._follow(session)
            while len(self._sessions) < STANDING_BY and time.monotonic() >= self._not_before and not self._ending:
                self._sessions.append(self._start(door))
                self._publish()
            self.signs.give()
            time.sleep(_POLL_S)

    # -- one session --------------------------------------------------------------------------------------------------

    def _start(self, door: socket.socket) -> _Session:
        """Start a process that stands by for a session."""
        name = f"{self.folder.role}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"
        process = self.plan.processes[0]
        folders = self.folder.session(name)
        for path in self.data.iterdir():
            if path.is_file():
                os.link(path, folders.party(process.name) / path.name)  # files are replaced and never changed
        settings = write_settings(self._placed(process, folders, door.fileno()), folders)
        environment = party_environment(name, 1) | marker_of(name, process.name)
        output = folders.log(process.name).with_suffix(".out")
        try:
            with output.open("wb") as stream:
                child = subprocess.Popen(
                    python_command(process.module, "--settings", str(settings)),
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=(door.fileno(),),
                    cwd="/",
                )
        except OSError as error:
            raise RunFailed(f"it could not be started ({error})", party=process.name) from error
        return _Session(name, child, folders, EventFile(folders.events(process.name)))

    def _placed(self, process: Process, folders: RunFolders, descriptor: int) -> Process:
        """Return the process with what only its supervisor knows."""
        settings = process.settings
        if not isinstance(settings, PartySettings):
            raise TypeError(f"expected settings of a party, found {type(settings).__name__}")
        place = Place(descriptor=descriptor, door=self.folder.door, session=self.folder.turn)
        supervisor = Supervisor(pid=os.getpid(), started=process_started(os.getpid()))
        known = {"log": folders.log(process.name), "supervisor": supervisor, "credentials": self.credentials}
        return replace(process, settings=settings.model_copy(update=known | {"place": place}))

    def _follow(self, session: _Session) -> None:
        """Take in what a process says, hold it to its deadline, and see to its end."""
        exited = session.process.poll() is not None  # asked before the reading, so that all that it said is known
        for event in session.events.read_new():
            self.signs.tell(event)
            if event.event == "admitted" and session.admitted is None:
                session.admitted = event
                self._in_vain = 0 if self._brought(session) else self._in_vain
                self._say(f"session {event.detail}")
                self._publish()
        if exited:
            self._close(session)
        elif session.told_to_end is not None:
            if time.monotonic() - session.told_to_end > self._ends_within_s:
                session.process.kill()
        elif not session.lasted and self._lasts(session):
            session.lasted, self._in_vain = True, 0
            self._publish()
        elif session.admitted is not None and self._serving_for(session) > self.plan.deadline_s:
            self._say(f"session {session.admitted.detail} lasts longer than its deadline of {self.plan.deadline_s:g} s")
            self._tell_to_end(session)

    def _brought(self, session: _Session) -> bool:
        """Return whether a peer has brought the session. A service that goes on and on begins its own."""
        return session.admitted is not None and session.admitted.peer != self.plan.processes[0].name

    @staticmethod
    def _lasts(session: _Session) -> bool:
        return session.admitted is not None and time.time() - session.admitted.t >= _SHORT_S

    @property
    def _ends_within_s(self) -> float:
        return self.plan.grace_s + _GRACE_S

    def _serving_for(self, session: _Session) -> float:
        """Return for how many seconds a session has had its turn, which is that of the oldest."""
        oldest = min(self._sessions, key=lambda one: one.admitted.t if one.admitted else math.inf)
        if session.serving_since is None and session is oldest:
            session.serving_since = time.monotonic()
        return 0.0 if session.serving_since is None else time.monotonic() - session.serving_since

    def _tell_to_end(self, session: _Session) -> None:
        session.told_to_end = time.monotonic()
        session.process.terminate()

    def _close(self, session: _Session) -> None:
        """Write down how a process ended, and remove its private folder."""
        self._sessions.remove(session)
        name, code = self.plan.processes[0].name, session.process.returncode
        status = read_status(session.folders.status(name))
        reason = "" if status is not None and status.ok else (status.error or "") if status else ""
        if not reason and code != 0:
            reason = f"ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with status {code}"
        where = " ".join(filter(None, (status.step and f"step {status.step}", status.peer))) if status else ""
        keep_events(session.folders)
        shutil.rmtree(session.folders.files / session.folders.run, ignore_errors=True)
        if session.admitted is None:
            self._close_idle(session, reason)
            return
        asked_to_end = session.told_to_end is not None or self._ending
        if reason and not asked_to_end and not self._brought(session) and not self._lasts(session):
            pause_s = self._pause()
            self._say(f"it failed at its start; the next process in {pause_s:g} s")
        self._served += 1
        self._failed += bool(reason)
        ended = SessionEnded(
            session=session.admitted.detail or "",
            peer=session.admitted.peer or "",
            began=session.admitted.t,
            ended=time.time(),
            outcome="failed" if reason else "finished",
            reason=f"{where}: {reason}" if where and reason else reason,
            log=session.name,
        )
        self.folder.append(ended)
        self.signs.ended(ended)
        self._say(str(ended))
        self._publish()
        self.folder.prune(KEPT)

    def _close_idle(self, session: _Session, reason: str) -> None:
        """Close a process that no peer has come to. If it failed, wait a little before the next."""
        if session.told_to_end is not None or self._ending:
            shutil.rmtree(session.folders.logs / session.folders.run, ignore_errors=True)
            return
        pause_s = self._pause()
        log = session.folders.logs / session.folders.run
        self._say(
            f"a process ended before a session ({reason or 'without a reason'}); the next in {pause_s:g} s: {log}"
        )
        self._publish()

    def _pause(self) -> float:
        """Put the next start off, the longer the more came to nothing in a row. Return the seconds."""
        pause_s = _PAUSES_S[min(self._in_vain, len(_PAUSES_S) - 1)]
        self._in_vain += 1
        self._not_before = time.monotonic() + pause_s
        return pause_s

    # -- the end ------------------------------------------------------------------------------------------------------

    def _end_all(self) -> None:
        """End all processes in order, and kill those that do not end, or that are left when a second signal comes."""
        self._ending = True
        for session in self._sessions:
            self._tell_to_end(session)
        killed = False
        while self._sessions:
            for session in list(self._sessions):
                self._follow(session)
            if self._told_again and self._sessions and not killed:
                killed = True
                self._say("told to end again: what has not ended is killed")
                for session in self._sessions:
                    session.process.kill()
            self.signs.give()
            time.sleep(_POLL_S / 4)

    def _publish(self) -> None:
        """Write down for `status` what goes on."""
        serving = [session.admitted for session in self._sessions if session.admitted is not None]
        now = [f"{event.detail} since {time.strftime('%H:%M:%S', time.localtime(event.t))}" for event in serving]
        self.folder.write_running(
            Running(
                pid=os.getpid(),
                address=f"{self.address.host}:{self.address.port}",
                served=self._served,
                failed=self._failed,
                in_vain=self._in_vain,
                now=tuple(now),
                ends_within_s=self._ends_within_s,
            )
        )

    @staticmethod
    def _say(text: str) -> None:
        logger.info(text)
