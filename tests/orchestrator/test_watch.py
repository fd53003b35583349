"""When the watch judges after a failure, with a launcher that says what it is told to say."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from orchestrator import watch as watching
from orchestrator.errors import RunFailed
from orchestrator.launchers import Exit
from orchestrator.losses import Loss
from orchestrator.watch import Watch
from parties.frame.plan import NoOptions, Plan, Process, RunFolders, Tolerance

NAMES = ("cause", "victim", "bystander")
KILLED = Exit(signal=9)


class Told:
    """A launcher whose processes end when a test says so, in seconds from its start."""

    def __init__(self, ends: Mapping[str, tuple[float, Exit]]) -> None:
        self.began, self.ends = time.monotonic(), ends

    def ended(self) -> Mapping[str, Exit]:
        past = time.monotonic() - self.began
        return {name: how for name, (when, how) in self.ends.items() if past >= when}

    def keep_output(self, name: str) -> None:
        pass


class Clock:
    """A time that goes on while somebody sleeps, and only then."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def watched(tmp_path: Path) -> Callable[..., tuple[Watch, list[Loss], list[str]]]:
    def watched(
        ends: Mapping[str, tuple[float, Exit]], tolerates: tuple[Tolerance, ...] = ()
    ) -> tuple[Watch, list[Loss], list[str]]:
        folders = RunFolders(tmp_path / "files", tmp_path / "logs", "the-run")
        for folder in (folders.logs / folders.run, folders.files / folders.run):
            folder.mkdir(parents=True)
        for name in NAMES:
            folders.party(name).mkdir(parents=True, exist_ok=True)
            folders.log(name).touch()
        processes = tuple(Process(name, "nowhere", NoOptions(), name) for name in NAMES)
        plan = Plan(processes, NAMES[0], 60.0, tolerates=tolerates)
        lost: list[Loss] = []
        made_to_end: list[str] = []
        watch = Watch(plan, folders, Told(ends), 30.0, lambda *_: None, lost.append, made_to_end.append)  # type: ignore[arg-type]
        return watch, lost, made_to_end

    return watched


def fails(watch: Watch, name: str, error: str, peer: str | None = None, *, late: bool = False) -> None:
    status = {"ok": False, "error": error, "late": late, **({"peer": peer} if peer else {})}
    watch.folders.status(name).write_text(json.dumps(status))


def test_the_failures_that_a_failure_causes_are_waited_for(
    watched: Callable[..., tuple[Watch, list[Loss], list[str]]],
) -> None:
    watch, _, _ = watched({"victim": (0.0, Exit(code=1)), "cause": (0.4, KILLED)})
    fails(watch, "victim", "the connection to cause is lost", "cause")
    with pytest.raises(RunFailed) as found:
        watch.until_done()
    assert found.value.party == "cause"


@pytest.mark.parametrize("stopped", [False, True])
def test_whoever_is_told_of_a_loss_may_end_before_the_one_that_waited_in_vain(
    watched: Callable[..., tuple[Watch, list[Loss], list[str]]], monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    """One that waits says first whom it has lost, and reports its own failure after that."""
    ends = {"bystander": (0.0, Exit(code=1))} | ({} if stopped else {"victim": (0.3, Exit(code=1))})
    watch, _, _ = watched(ends)
    monkeypatch.setattr(watch, "is_stopped", lambda name: stopped and name == "cause")
    fails(watch, "bystander", "cause: victim has no connection to it", "cause")
    if not stopped:
        fails(watch, "victim", "cause: no message within 8 s", "cause", late=True)
    with pytest.raises(RunFailed) as found:
        watch.until_done()
    assert found.value.party == "cause"
    assert f"{'bystander' if stopped else 'victim'} waited for it in vain" in str(found.value)


def test_nothing_is_waited_for_once_every_party_has_ended(
    watched: Callable[..., tuple[Watch, list[Loss], list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "SETTLE_S", 1000.0)
    watch, _, _ = watched(dict.fromkeys(NAMES, (0.0, KILLED)))
    began = time.monotonic()
    with pytest.raises(RunFailed):
        watch.until_done()
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_lost_party_is_made_to_end_where_the_run_goes_on(
    watched: Callable[..., tuple[Watch, list[Loss], list[str]]], goes_on: bool
) -> None:
    ends = {"victim": (0.0, KILLED), "bystander": (0.0, KILLED if not goes_on else Exit(code=0))}
    watch, lost, made_to_end = watched(ends | {"cause": (1.5, Exit(code=0))}, (Tolerance(("victim",), 1),))
    for name in ("bystander", "cause"):
        if goes_on or name == "cause":
            watch.folders.status(name).write_text(json.dumps({"ok": True}))
    if goes_on:
        watch.until_done()
    else:
        with pytest.raises(RunFailed, match="SIGKILL"):
            watch.until_done()
    assert [loss.party for loss in lost] == ["victim"]
    assert made_to_end == (["victim"] if goes_on else [])


def speaks(watch: Watch, how: str) -> None:
    """Write a line that the watch sees, as an event of a party or in its log."""
    name = NAMES[0]
    if how == "log":
        with watch.folders.log(name).open("a") as log:
            log.write("a line\n")
    else:
        with watch.folders.events(name).open("a") as events:
            events.write(json.dumps({"t": time.time(), "event": "note", "title": "still here"}) + "\n")


@pytest.mark.parametrize("how", ["log", "event"])
def test_silence_is_counted_from_the_last_sign_of_any_party(
    watched: Callable[..., tuple[Watch, list[Loss], list[str]]], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    clock = Clock()
    monkeypatch.setattr(watching, "time", clock)
    watch, _, _ = watched({})
    watch.silence_s = 2.0
    stops = 5.0
    last = [0.0]

    def speak() -> None:
        if clock.now < stops and clock.now - last[0] > 0.5:
            speaks(watch, how)
            last[0] = clock.now

    with pytest.raises(RunFailed, match="no party said anything for 2 s"):
        watch.until_done(speak)
    assert last[0] > stops - 1.0  # it was not given up while it spoke
    assert 2.0 < clock.now - last[0] < 2.5
