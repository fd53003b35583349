"""What a service writes about itself stays within a stated size."""

from __future__ import annotations

from pathlib import Path

import pytest
from loguru import logger

from orchestrator.federation import commands
from orchestrator.federation.records import OPENED, ServiceFolder, prune_opened
from parties.frame.private_files import make_private_folder


def test_a_services_log_is_put_aside_when_it_is_long_and_the_oldest_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_LOG_BYTES", 2000)
    monkeypatch.setattr(commands, "_LOGS", 3)
    with commands._logging(tmp_path / "{keeper}.log"):
        for number in range(200):
            logger.info(f"line {number} " + "." * 100)
    files = list(tmp_path.iterdir())
    assert 3 <= len(files) <= 4
    assert all(path.stat().st_size <= 2200 for path in files)
    assert "line 199" in (tmp_path / "{keeper}.log").read_text()


def test_old_logs_go_but_none_of_a_session_that_goes_on(tmp_path: Path) -> None:
    service = ServiceFolder(make_private_folder(tmp_path / "member"), "keeper")
    for number in range(4):
        make_private_folder(service.logs / f"{OPENED}-{number}")
        make_private_folder(service.logs / "sessions" / f"keeper-{number}")
    make_private_folder(service.member / f"{OPENED}-0" / "keeper")  # both of these go on
    make_private_folder(service.member / "sessions" / "keeper-1" / "keeper")
    (make_private_folder(service.member / f"{OPENED}-1") / "result.json").write_text("{}")  # and this has ended
    assert prune_opened(service.logs, 0) == 3
    assert [path.name for path in service.logs.glob(f"{OPENED}-*")] == [f"{OPENED}-0"]
    assert service.prune(0) == 3
    assert [path.name for path in (service.logs / "sessions").iterdir()] == ["keeper-1"]
    assert (service.member / f"{OPENED}-1" / "result.json").exists()
