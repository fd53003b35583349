"""Follow a run to its end: every party's events, every process's exit, the deadlines.

A run ends well when every process has ended with status 0 and said so. At the first sign of the contrary the watch
waits a moment for what the failure drags down, then names the party in which it began.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import RunFailed
from orchestrator.events import Event, EventFile, PartyState, Status, read_status
from orchestrator.launchers import Exit, Launcher
from parties.frame.plan import Plan, RunFolders

POLL_S = 0.1
SETTLE_S = 1.0  # after the first failure, for the failures that it causes


@dataclass(frozen=True)
class Failure:
    """How one party failed. `spoke` tells whether it left last words or was cut off."""

    party: str
    reason: str
    step: str | None
    peer: str | None
    when: float
    spoke: bool


@dataclass
class Watch:
    """`tell` is called with each party's new events, in the order in which they happened, after its state in `states`
    has taken them in."""

    plan: Plan
    folders: RunFolders
    launcher: Launcher
    silence_s: float
    tell: Callable[[str, Event], None]
    states: dict[str, PartyState] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [process.name for process in self.plan.processes]
        for name in names:
            self.states.setdefault(name, PartyState(name))
        self._files = {name: EventFile(self.folders.events(name)) for name in names}
        self._logs = [self.folders.log(name) for name in names]
        self._failures: dict[str, Failure] = {}
        self._done: set[str] = set()

    def until_done(self, between_rounds: Callable[[], None] = lambda: None) -> None:
        """Returns when all parties have ended well. Raises `RunFailed` otherwise."""
        started = last_sign = time.monotonic()
        heard = self._volume()
        settling: float | None = None
        while True:
            exits = self.launcher.ended()  # asked before the reading: all that these parties said is known then
            news = self._read_events()
            self._take_exits(exits)
            between_rounds()
            now = time.monotonic()
            volume = self._volume()
            if news or volume != heard:
                heard, last_sign = volume, now
            if self._failures:
                settling = settling or now
                ended = len(self._done) + len(self._failures) == len(self.states)
                if ended or now - settling > SETTLE_S:
                    raise self._verdict()
            elif len(self._done) == len(self.states):
                return
            elif now - started > self.plan.deadline_s:
                raise self._overdue(f"the run's deadline of {self.plan.deadline_s:g} s passed")
            elif now - last_sign > self.silence_s:
                raise self._overdue(f"no party said anything for {self.silence_s:g} s")
            time.sleep(POLL_S)

    def _volume(self) -> int:
        return sum(log.stat().st_size for log in self._logs if log.exists())

    def _read_events(self) -> bool:
        news = [(event, name) for name, file in self._files.items() for event in file.read_new()]
        for event, name in sorted(news, key=lambda one: one[0].t):
            self.states[name].apply(event)
            self.tell(name, event)
            if event.event == "failed":
                self._blame(name, Exit(code=1))
        return bool(news)

    def _take_exits(self, exits: Mapping[str, Exit]) -> None:
        for name, how in exits.items():
            if name in self._done or name in self._failures:
                continue
            status = read_status(self.folders.status(name))
            if how in (Exit(code=0), Exit()) and status is not None and status.ok:
                self.states[name].outcome = "finished"
                self._done.add(name)
                output_file(self.folders, name).unlink(missing_ok=True)  # its log says as much
            else:
                self._blame(name, how)

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
            self._failures[name] = Failure(name, reason, state.step_name, None, time.time(), spoke=False)
        else:
            when = state.failure.t if state.failure else self.folders.status(name).stat().st_mtime
            step = said.step or state.step_name
            output_file(self.folders, name).unlink(missing_ok=True)
            self._failures[name] = Failure(name, said.error or str(how), step, said.peer, when, spoke=True)

    def _last_line(self, name: str) -> str:
        """The last line that the process printed and did not also log."""
        path, log = output_file(self.folders, name), self.folders.log(name)
        if not path.exists():
            return ""
        logged = set(log.read_text(errors="replace").splitlines()) if log.exists() else set()
        printed = [line.strip() for line in path.read_text(errors="replace").splitlines() if line not in logged]
        return next((line[:200] for line in reversed(printed) if line), "")

    def _verdict(self) -> RunFailed:
        """Who was cut off comes before who complains, who blames nobody before who blames a party that failed too,
        and the earlier before the later."""
        failed = set(self._failures)
        first = min(self._failures.values(), key=lambda one: (one.spoke, one.peer in failed, one.when))
        output = output_file(self.folders, first.party)
        printed = not first.spoke and output.exists() and output.stat().st_size > 0
        log = output if printed else self.folders.log(first.party)
        return RunFailed(first.reason, party=first.party, step=first.step, log=log)

    def _overdue(self, reason: str) -> RunFailed:
        stuck, others = stuck_party([state for name, state in self.states.items() if name not in self._done])
        if others:
            reason += f", while it and {' and '.join(others)} waited for each other"
        return RunFailed(reason, party=stuck.name, step=stuck.step_name, log=self.folders.log(stuck.name))


def stuck_party(waiting: Sequence[PartyState]) -> tuple[PartyState, list[str]]:
    """Of the parties that have not ended, the one that keeps the others waiting, and who waits for it in a circle.

    That is a party in a step that needs nobody else; the one that has been there for longest. Where all wait, some
    wait for each other: of those the one that has been silent for longest.
    """
    busy = {state.name: state for state in waiting if state.open_steps}
    if not busy:
        return min(waiting, key=lambda state: state.last_sign), []
    needs = {name: {peer for peer in state.needed if peer in busy} for name, state in busy.items()}
    alone = [state for name, state in busy.items() if not needs[name]]
    if alone:
        return min(alone, key=lambda state: min(step.t for step in state.open_steps.values())), []
    reached = {name: _reached(name, needs) for name in busy}
    circle = [state for name, state in busy.items() if name in reached[name]]
    stuck = min(circle, key=lambda state: state.last_sign)
    return stuck, sorted(name for name in reached[stuck.name] if stuck.name in needs[name])


def _reached(start: str, needs: Mapping[str, set[str]]) -> set[str]:
    """Everybody for whom `start` waits, or for whom those wait."""
    found: set[str] = set()
    fresh = set(needs[start])
    while fresh:
        found |= fresh
        fresh = {peer for name in fresh for peer in needs[name]} - found
    return found


def _last_words(event: Event | None, status: Status | None) -> Status | None:
    """What a failing party said of its failure, in its status or else in its last event."""
    if status is not None and not status.ok:
        return status
    if event is not None:
        return Status(ok=False, error=event.detail, step=event.step, peer=event.peer)
    return None


def output_file(folders: RunFolders, name: str) -> Path:
    """Where a process's own terminal output is kept, beside its log."""
    return folders.log(name).with_suffix(".out")
