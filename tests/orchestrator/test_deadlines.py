"""The watch's deadline, beside those that parties keep themselves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from orchestrator.cli import main
from orchestrator.launchers import ProcessSpec
from orchestrator.launchers.process import ProcessLauncher
from orchestrator.watch import Watch
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
        deadlines.append(watch._started + watch.plan.deadline_s)
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
