"""An aggregator that is killed between two things that it says of a grant, and starts again."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from mpc.commons.encoding import decode
from mpc.commons.entries import Entry
from mpc.commons.roles.run import CommonsRun
from mpc.errors import ProtocolError
from parties.commons.aggregator import Work
from parties.commons.faults import Fault
from tests.mpc.commons.matrix import test_providers as lies
from tests.mpc.commons.prepared import Faults, ranges_of
from tests.mpc.commons.prepared import reported as honest

PLACE = 1


class Killed(BaseException):
    """The end of a process in the midst of a call."""


class Here:
    """One aggregator of a run in memory, each start of which has fresh randomness."""

    def __init__(self, run: CommonsRun) -> None:
        run.hearing = Faults()
        self.run, self.role = run, run.cast.aggregators[PLACE]
        self.written: list[str] = []
        self.killed_before = ""

    def work(self) -> Work:
        """What a new process of this aggregator does."""
        reader = SimpleNamespace(write=self._write, fetch=lambda *_: None)
        progress = SimpleNamespace(step=lambda *_, **__: nullcontext(), note=lambda _: None)
        way: Any = SimpleNamespace(reader=lambda _: reader, progress=progress)
        return Work(self.role, way, SimpleNamespace(), Fault(""))  # type: ignore[arg-type]

    def _write(self, entries: list[tuple[bytes, bytes | None]], what: str) -> None:
        if what == self.killed_before:
            raise Killed
        self.written.append(what)
        for entry, attachment in entries:
            if (statement := decode(Entry, entry).statement) not in self.role.log.state.statements:
                self.run.submit(entry, attachment)
                self.run.certify()
            if statement not in self.role.log.state.statements:
                raise ProtocolError(f"{what}: expected what the log takes, found a second one")


def test_complaints_that_the_log_has_are_not_made_anew_and_the_words_follow() -> None:
    run, reports = lies.reported.__wrapped__(4, 1)
    bad = reports[len(lies.HONEST) + list(lies.LIES).index("box_for_nobody")]
    one = Here(run)
    grant = run.ask("task", "sum/7", ranges_of([*reports[: len(lies.HONEST)], bad]))
    run.hand_on(grant)
    run.toss(grant)
    run.fetch(grant)
    state = one.role.log.state
    one.killed_before = "verifier words"
    with pytest.raises(Killed):
        one.work()._say_words(grant)
    assert one.written == ["complaints"]
    assert (grant, bad, PLACE) in state.complaints
    one.killed_before = ""
    one.work()._say_words(grant)
    assert one.written == ["complaints", "verifier words"]
    assert (grant, PLACE) in state.words


def test_noise_that_the_log_has_is_not_dealt_anew() -> None:
    run = honest()
    one = Here(run)
    grant = run.ask("task", "sum/100/noise-20")
    run.hand_on(grant)
    one.work()._say_noise(grant)
    dealt = one.role.log.state.noises[grant, PLACE]
    one.work()._say_noise(grant)
    assert one.written == ["a part of the noise"]
    assert one.role.log.state.noises == {(grant, PLACE): dealt}
