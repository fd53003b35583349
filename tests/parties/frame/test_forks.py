"""Processes that are forked from one that has imported their modules: what each has of its own, and how each ends."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from parties.frame import child
from parties.frame.forks import FORKED_BY, Order, bind, fork, server_command, server_environment

ECHO = "tests.parties.frame.echo"
PATIENCE_S = 200.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Path]:
    """The folder of a fork server that has imported the echo."""
    folder = tmp_path / ("long" * 40)  # a socket's own name may have 108 bytes
    folder.mkdir()
    environment = server_environment({"PATH": os.defpath, "COMMON": "1"})
    with bind(folder) as door:
        process = subprocess.Popen(
            server_command(door.fileno(), [ECHO]),
            env=environment,
            stdin=subprocess.PIPE,
            pass_fds=(door.fileno(),),
            start_new_session=True,
            cwd="/",
        )
    yield folder
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(PATIENCE_S) in (0, -signal.SIGKILL)


def ordered(server: Path, *arguments: str, output: Path | None = None, **more: object) -> child.Fork:
    order = Order(ECHO, arguments, {"COMMON": "2", "OWN": "1"}, **more)  # type: ignore[arg-type]
    with open("/dev/null", "r+b") as nothing, (output or Path("/dev/null")).open("wb") as written:
        return fork(str(server), order, (nothing.fileno(), written.fileno(), written.fileno()), PATIENCE_S)


def told(server: Path, tmp_path: Path, **more: object) -> dict[str, object]:
    output = tmp_path / secrets.token_hex(4)
    process = ordered(server, "tell", output=output, **more)
    assert process.wait(PATIENCE_S) == 0, output.read_text()
    return {"pid": process.pid, **json.loads(output.read_text())}


def test_a_forked_process_looks_like_one_that_was_started_directly(server: Path, tmp_path: Path) -> None:
    found = told(server, tmp_path)
    assert found["command"] == [sys.executable, "-I", "-u", found["start"], ECHO, "tell"]
    assert found["arguments"] == ["tell"]
    assert found["variables"] == found["outside"] == {"COMMON": "2", "OWN": "1"}
    assert found["name"] == "__main__"
    assert found["session"] == found["pid"]
    assert found["files"] == [0, 1, 2]
    assert found["isolated"] == 1
    assert found["default_handlers"] == [True, True]


def test_nothing_random_is_common_to_two_forked_processes(server: Path, tmp_path: Path) -> None:
    """Each kind of generator that a party might use draws after the fork, also in a server apart."""
    drawn = [told(server, tmp_path)["random"] for _ in range(3)]
    drawn += [told(server, tmp_path, apart=True)["random"] for _ in range(3)]
    for source in zip(*(list(one) for one in drawn), strict=True):  # type: ignore[call-overload]
        assert len(set(source)) == len(drawn)


def test_imports_happen_once_and_state_is_never_shared(server: Path, tmp_path: Path) -> None:
    first, second = told(server, tmp_path), told(server, tmp_path)
    assert first["imported_by"] == second["imported_by"] != first["pid"]
    assert (first["counted"], second["counted"]) == (1, 1)
    assert "colorsys" not in first["modules"]
    apart = [told(server, tmp_path, apart=True, imports=("colorsys",)) for _ in range(2)]
    assert all("colorsys" in one["modules"] for one in apart)
    assert apart[0]["parent"] == apart[1]["parent"] != first["parent"]
    assert "colorsys" not in told(server, tmp_path)["modules"]


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(
    ("how", "status"), [("exit", 7), ("compute", 7), ("raise", 1), ("compute and raise", 1), ("kill", -signal.SIGKILL)]
)
def test_its_end_is_told(server: Path, how: str, status: int, apart: bool) -> None:
    process = ordered(server, how, apart=apart)
    assert process.wait(PATIENCE_S) == status
    assert process.poll() == (status,)


def test_a_signal_is_passed_on_and_who_leaves_ends_its_process(server: Path) -> None:
    process = ordered(server, "sleep")
    assert process.poll() is None
    with pytest.raises(TimeoutError):
        process.wait(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == -signal.SIGTERM
    left = ordered(server, "sleep")
    left.close()
    await_end(left.pid)


def test_a_server_that_dies_is_an_end_that_nobody_can_tell(server: Path, tmp_path: Path) -> None:
    process = ordered(server, "sleep")
    os.kill(int(told(server, tmp_path)["parent"]), signal.SIGKILL)  # type: ignore[call-overload]
    assert process.wait(PATIENCE_S) is None
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(OSError, match="refused"):
        ordered(server, "tell")


def test_a_module_that_does_not_import_says_so_itself(server: Path, tmp_path: Path) -> None:
    order = Order("tests.parties.frame.no_such", (), {}, apart=True)
    with open("/dev/null", "r+b") as nothing, (tmp_path / "said").open("wb") as written:
        process = fork(str(server), order, (nothing.fileno(), written.fileno(), written.fileno()), PATIENCE_S)
    assert process.wait(PATIENCE_S) == 1
    assert "No module named tests.parties.frame.no_such" in (tmp_path / "said").read_text()


class Job(BaseModel):
    how: str


@pytest.mark.parametrize("how", ["exit", "raise", "kill", "tell"])
def test_a_child_ends_the_same_way_with_and_without_a_server(
    server: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = child.run_child(ECHO, Job(how=how))
    monkeypatch.setenv(FORKED_BY, str(server))
    forked = child.run_child(ECHO, Job(how=how))
    assert forked.returncode == alone.returncode
    if how == "tell":
        assert set(json.loads(forked.stdout)) == set(json.loads(alone.stdout))
    else:
        assert child.ending(forked) == child.ending(alone)


def test_a_child_that_takes_too_long_is_killed(server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FORKED_BY, str(server))
    monkeypatch.setattr(child, "fork", lambda *given: started.append(fork(*given)) or started[-1])
    started: list[child.Fork] = []
    with pytest.raises(subprocess.TimeoutExpired):
        child.run_child(ECHO, Job(how="sleep"), 0.5)
    await_end(started[0].pid)


def await_end(pid: int) -> None:
    expires = time.monotonic() + PATIENCE_S
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.kill(pid, 0)
            assert time.monotonic() < expires
            time.sleep(0.02)
