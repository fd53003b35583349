"""Follow a run to its end by every party's events, every process's exit, and the deadlines.

A run ends well when every process has ended with status 0 and has said that it finished. Services come last. When all
other processes have ended well, the watch asks the services to end and gives them a grace time.

After a failure the watch waits a moment for failures that follow from it. It then names the party in which the failure
began. Where the plan tolerates the loss of a party, the watch ends that party and the run goes on.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import RunFailed
from orchestrator.events import Event, EventFile, PartyState, Status, read_status
from orchestrator.launchers import Exit, Launcher
from orchestrator.losses import Loss, beyond_tolerance, exceeded
from orchestrator.stuck import stuck_party, waited_for, without_idle_services
from parties.frame.plan import Plan, RunFolders

POLL_S = 0.1
ROOM = 16_384  # bytes that a disk has left at least, or it is full
SETTLE_S = 1.0  # after the first failure, for the failures that it causes
NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Failure:
    """How one party failed.

    `spoke` tells whether it reported the failure itself or was cut off, `late` whether its peers said nothing in time.
    """

    party: str
    reason: str
    step: str | None
    peers: frozenset[str]
    when: float
    spoke: bool
    late: bool = False


@dataclass
class Watch:
    """Follows one run.

    Attributes:
        silence_s: the run fails when no party has said anything for so long.
        tell: called with each party's new events in order, after its state in `states` has taken them in.
        lose: called with each loss that the plan tolerates.
        end_party: ends whatever is left of a lost party's processes.
        is_stopped: tells whether a party's process was stopped from outside.
    """

    plan: Plan
    folders: RunFolders
    launcher: Launcher
    silence_s: float
    tell: Callable[[str, Event], None]
    lose: Callable[[Loss], None]
    end_party: Callable[[str], None]
    states: dict[str, PartyState] = field(default_factory=dict)
    is_stopped: Callable[[str], bool] = lambda _: False

    def __post_init__(self) -> None:
        names = [process.name for process in self.plan.processes]
        for name in names:
            self.states.setdefault(name, PartyState(name))
        self._files = {name: EventFile(self.folders.events(name)) for name in names}
        self._logs = [self.folders.log(name) for name in names]
        self._failures: dict[str, Failure] = {}
        self._done: set[str] = set()
        self._lost: set[str] = set()
        self._asked: dict[str, float] = {}  # the services that were asked to end, and when
        self._began = time.monotonic()  # what the deadline counts from
        self._in_line = False  # for its turn at a service, which the deadline does not cover

    def until_ready(self, between_rounds: Callable[[], None] = lambda: None) -> None:
        """Return when all parties that the plan wants `ready_first` are listening. Raises `RunFailed`."""
        first = self.plan.ready_first
        self._follow(lambda: all(name in self._lost or self.states[name].listening for name in first), between_rounds)

    def until_done(self, between_rounds: Callable[[], None] = lambda: None) -> None:
        """Return when all parties have ended well, the services last. Raises `RunFailed` otherwise."""
        services = set(self.plan.services)
        self._follow(lambda: self._ended >= set(self.states) - services, between_rounds)

        def ask_and_draw() -> None:
            self._ask_services()
            between_rounds()

        self._follow(lambda: self._ended >= services, ask_and_draw)

    @property
    def _ended(self) -> set[str]:
        return self._done | self._lost

    def _follow(self, reached: Callable[[], bool], between_rounds: Callable[[], None]) -> None:
        last_sign, heard = time.monotonic(), self._volume()
        settling: float | None = None
        while True:
            exits = self.launcher.ended()  # asked before the reading, so that all that these parties said is known
            news = self._read_events()
            self._take_exits(exits)
            between_rounds()
            now = time.monotonic()
            volume = self._volume()
            if news or volume != heard:
                heard, last_sign = volume, now
            if self._failures:
                settling = settling or now
                if self._ended | set(self._failures) == set(self.states) or now - settling > SETTLE_S:
                    self._judge()
                    settling, last_sign = None, time.monotonic()
                    continue
            elif reached():
                return
            elif not self._in_line and now - self._began > self.plan.deadline_s:
                raise self._overdue(f"the run's deadline of {self.plan.deadline_s:g} s passed")
            elif now - last_sign > self.silence_s:
                self._break_silence(f"no party said anything for {self.silence_s:g} s")
            time.sleep(POLL_S)

    # -- what the parties say and how they end ------------------------------------------------------------------------

    def _volume(self) -> int:
        total = 0
        for log in self._logs:
            with contextlib.suppress(OSError):
                total += log.stat().st_size
        return total

    def _read_events(self) -> bool:
        news = [(event, name) for name, file in self._files.items() for event in file.read_new()]
        for event, name in sorted(news, key=lambda one: one[0].t):
            self.states[name].apply(event)
            self.tell(name, event)
            if event.event in ("in_line", "out_of_line"):
                self._in_line, self._began = event.event == "in_line", time.monotonic()
            if event.event == "failed" and name not in self._ended:
                self._blame(name, Exit(code=1))
        return bool(news)

    def _take_exits(self, exits: Mapping[str, Exit]) -> None:
        for name, how in exits.items():
            if name in self._ended or name in self._failures:
                continue
            status = read_status(self.folders.status(name))
            if how not in (Exit(code=0), Exit()) or status is None or not status.ok:
                self._blame(name, how)
            elif name in self.plan.services and name not in self._asked:
                self._fail(name, "it is a service and ended before it was asked to")
            else:
                self.states[name].outcome = "finished"
                self._done.add(name)
                output_file(self.folders, name).unlink(missing_ok=True)  # its log says as much

    def _ask_services(self) -> None:
        """Ask every service to end, once it has said something, and fail those whose grace time is over."""
        for name in self.plan.services:
            if name in self._ended or name in self._failures:
                continue
            if name not in self._asked:
                if self.states[name].outcome != "starting":  # before that it may not be ready for a signal
                    self.launcher.ask_to_end(name)
                    self._asked[name] = time.monotonic()
            elif time.monotonic() - self._asked[name] > self.plan.grace_s:
                self._fail(name, f"it was asked to end and had not ended {self.plan.grace_s:g} s later")

    # -- failures and losses ------------------------------------------------------------------------------------------

    def _fail(self, name: str, reason: str) -> None:
        """Hold a failure against a party that did not report it itself."""
        self.states[name].outcome = "failed"
        self._failures[name] = Failure(name, reason, self.states[name].step_name, NOBODY, time.time(), spoke=True)

    def _blame(self, name: str, how: Exit) -> None:
        state = self.states[name]
        state.outcome = "failed"
        if name in self._failures:
            return
        status = read_status(self.folders.status(name))
        said = _last_words(state.failure, status)
        if said is None:
            self.launcher.keep_output(name)
            reason = str(how) if how != Exit(code=0) else "it ended without saying how"
            printed = self._last_line(name)
            reason += f" after printing {printed!r}" if printed else ""
            reason += "".join(f"; the disk of {folder} is full" for folder in _full_disks(self.folders))
            self._failures[name] = Failure(name, reason, state.step_name, NOBODY, time.time(), spoke=False)
        else:
            when = state.failure.t if state.failure else self.folders.status(name).stat().st_mtime
            step = said.step or state.step_name
            output_file(self.folders, name).unlink(missing_ok=True)
            peers = frozenset({said.peer} if said.peer else said.awaits)
            self._failures[name] = Failure(name, said.error or str(how), step, peers, when, spoke=True, late=said.late)

    def _last_line(self, name: str) -> str:
        """Return the last line that the process printed and did not also log."""
        path, log = output_file(self.folders, name), self.folders.log(name)
        if not path.exists():
            return ""
        logged = set(log.read_text(errors="replace").splitlines()) if log.exists() else set()
        printed = [line.strip() for line in path.read_text(errors="replace").splitlines() if line not in logged]
        return next((line[:200] for line in reversed(printed) if line), "")

    def _judge(self) -> None:
        """Go on without the failed parties if the plan tolerates that. Raises `RunFailed` otherwise."""
        fatal = beyond_tolerance(self.plan, self._lost, self._failures)
        for failure in sorted(self._failures.values(), key=lambda one: one.when):
            if failure.party not in fatal:
                self._take_loss(failure, run_goes_on=not fatal)
        if fatal:
            raise self._verdict(fatal)
        self._failures.clear()

    def _take_loss(self, failure: Failure, *, run_goes_on: bool) -> None:
        name = failure.party
        self._lost.add(name)
        self.states[name].outcome = "lost"
        if run_goes_on:  # otherwise the teardown ends all parties
            self.launcher.keep_output(name)
            self.end_party(name)
        self.lose(Loss(name, failure.reason, failure.step, str(self._log_of(failure))))

    def _verdict(self, fatal: set[str]) -> RunFailed:
        """Name the party in which the failure began.

        A party that was cut off comes before one that complains. A party that blames none comes before one that blames
        a party that failed too. Otherwise the earlier comes first. One that was told of a loss may end before the one
        that told it, which counts then. Where the first has only waited in vain, it is the party for which it waited.
        """
        candidates = [self._failures[name] for name in fatal]
        first = min(candidates, key=lambda one: (one.spoke, not one.peers.isdisjoint(self._failures), one.when))
        if not first.late:
            late = [one for one in candidates if one.late and not one.peers.isdisjoint(first.peers)]
            first = min(late, key=lambda one: one.when, default=first)
        waited = self._waited_for(first)
        if waited is not None:
            return waited
        reason, tolerance = first.reason, self.plan.tolerance_of(first.party)
        if tolerance is not None:
            reason = f"{reason.rstrip('. ')}; {exceeded(tolerance, first.party, self._lost | set(self._failures))}"
        return RunFailed(reason, party=first.party, step=first.step, log=self._log_of(first))

    def _waited_for(self, late: Failure) -> RunFailed | None:
        """Return the failure of the party that another has waited for in vain, or None if that is not what happened.

        A party whose process is stopped has kept the others waiting, whatever they say of it.
        """
        stopped = self._stopped()
        if not late.late and late.peers.isdisjoint(stopped):
            return None
        found = waited_for(late.party, late.peers, self._waiting(), stopped)
        if found is None:
            return None
        name = found.party.name
        said = f"{late.party} waited for it in vain ({late.reason.rstrip('. ')})"
        if found.is_stopped:
            said = f"its process is stopped, and {said}"
        return RunFailed(said, party=name, step=found.party.step_name, log=self.folders.log(name))

    def _waiting(self) -> list[PartyState]:
        return [state for name, state in self.states.items() if name not in self._ended]

    def _stopped(self) -> set[str]:
        return {name for name in self.states if name not in self._ended and self.is_stopped(name)}

    def _log_of(self, failure: Failure) -> Path:
        """Return the file to read on, which is what the process printed where it reported nothing."""
        output = output_file(self.folders, failure.party)
        printed = not failure.spoke and output.exists() and output.stat().st_size > 0
        return output if printed else self.folders.log(failure.party)

    # -- a run that stands still --------------------------------------------------------------------------------------

    def _break_silence(self, reason: str) -> None:
        """Give up the stuck party if the plan tolerates that. Raises `RunFailed` otherwise."""
        overdue = self._overdue(reason)
        if overdue.party is None or beyond_tolerance(self.plan, self._lost, [overdue.party]):
            raise overdue
        self._fail(overdue.party, overdue.reason)

    def _overdue(self, reason: str) -> RunFailed:
        waiting, stopped = self._waiting(), self._stopped()
        involved = without_idle_services(waiting, self.plan.services)
        stuck = stuck_party(waiting if stopped else involved, stopped)
        party = stuck.party
        return RunFailed(stuck.words(reason), party=party.name, step=party.step_name, log=self.folders.log(party.name))


def _last_words(event: Event | None, status: Status | None) -> Status | None:
    """Return what a failing party said of its failure, in its status or else in its last event."""
    if status is not None and not status.ok:
        return status
    if event is not None:
        return Status(
            ok=False, error=event.detail, step=event.step, peer=event.peer, late=event.late, awaits=event.awaits
        )
    return None


def _full_disks(folders: RunFolders) -> list[Path]:
    """Return those of the run's folders whose disks have no room for a few lines."""
    found = []
    for folder in (folders.files, folders.logs):
        with contextlib.suppress(OSError):
            left = os.statvfs(folder)
            if left.f_bavail * left.f_frsize < ROOM:
                found.append(folder)
    return found


def output_file(folders: RunFolders, name: str) -> Path:
    """Return where a process's own terminal output is kept, beside its log."""
    return folders.log(name).with_suffix(".out")
