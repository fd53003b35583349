"""The watch's deadline, beside those that parties keep themselves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from orchestrator.cli import main
from orchestrator.errors import RunFailed
from orchestrator.launchers import Exit, ProcessSpec
from orchestrator.launchers.process import ProcessLauncher
from orchestrator.watch import Watch
from parties.frame.plan import Plan, Process, RunFolders
from parties.frame.settings import Address
from tests.orchestrator.conftest import free_ports
from tests.orchestrator.game import Game as GameProtocol


def test_the_runs_deadline_begins_before_the_parties_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or else the first of many parties, whose own deadline passes first, would be blamed for all."""
    started, deadlines = [], []
    start, until_done = ProcessLauncher.start, Watch.until_done

    def slow_start(launcher: ProcessLauncher, specs: Sequence[ProcessSpec]) -> Mapping[str, int]:
        started.append(time.monotonic())
        return start(launcher, specs)

    def noted(watch: Watch, between_rounds: Callable[[], None]) -> None:
        deadlines.append(watch._began + watch.plan.deadline_s)
        until_done(watch, between_rounds)

    monkeypatch.setattr(ProcessLauncher, "start", slow_start)
    monkeypatch.setattr(Watch, "until_done", noted)
    places = ("--files_dir", f"{tmp_path}/files", "--logs_dir", f"{tmp_path}/logs")
    flags = ("--launcher", "process", "--deadline_s", "50", "--start_port", str(free_ports(3)), "--progress", "none")
    umask = os.umask(0o077)
    try:
        assert main({"game": GameProtocol()}, [*flags, *places]) == 0
    finally:
        os.umask(umask)
    assert deadlines[0] <= started[0] + 50


class _Idle:
    """A launcher whose processes go on and on."""

    def ended(self) -> Mapping[str, Exit]:
        return {}


def test_the_deadline_counts_from_the_turn_and_not_in_line(tmp_path: Path) -> None:
    folders = RunFolders(tmp_path / "files", tmp_path / "logs", "run")
    process = Process("asker", "nowhere", Address(host="", port=1), "asker")
    watch = Watch(
        Plan((process,), "asker", deadline_s=1.0), folders, _Idle(), 60.0,  # type: ignore[arg-type]
        lambda *_: None, lambda _: None, lambda _: None,
    )  # fmt: skip
    began, left = time.monotonic(), [0.0]

    def say(event: str) -> None:
        with folders.events("asker").open("a") as events:
            events.write(f'{{"event": "{event}", "t": {time.time()}}}\n')

    def wait_in_line() -> None:
        if not left[0] and time.monotonic() - began > 2.5:
            say("out_of_line")
            left[0] = time.monotonic()

    say("in_line")
    with pytest.raises(RunFailed, match="the run's deadline of 1 s passed"):
        watch.until_done(wait_in_line)
    assert left[0]
    assert time.monotonic() - left[0] > 0.9
