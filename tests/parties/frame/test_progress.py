"""What a party says: steps with seconds and bytes, one sentence when it fails, and never a value."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpc.channels.memory import memory_pair
from mpc.errors import CheatingError, DeadlineError, ParameterError, ProtocolError, TransportError
from parties.frame.charts import Figure
from parties.frame.errors import AbsentError, PartyError
from parties.frame.lifetime import Ended
from parties.frame.progress import Progress


@pytest.fixture
def progress(tmp_path: Path) -> Iterator[Progress]:
    with Progress("server-0", tmp_path / "logs" / "server-0.log", tmp_path, echo=False) as opened:
        yield opened


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def status(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "status.json").read_text())
    return content


def log(folder: Path) -> str:
    return (folder / "logs" / "server-0.log").read_text()


def test_a_step_tells_its_seconds_and_the_bytes_of_its_channel(progress: Progress, tmp_path: Path) -> None:
    ours, theirs = memory_pair("server-0", "client")
    ours.send("before", b"x" * 50)
    with progress.step("1a", "inference", channel=ours):
        ours.send("word", b"x" * 100)
        theirs.recv("before")
        theirs.recv("word")
        theirs.send("answer", b"y" * 7)
        ours.recv("answer")
    with progress.step("1a", "inference", channel=ours):
        ours.send("word", b"x" * 10)
    started, first, _, second = events(tmp_path)
    assert (started["event"], started["step"], started["peer"]) == ("step_started", "1a", "client")
    assert first["event"] == "step_finished"
    assert first["seconds"] >= 0
    frame = first["sent"] - 100
    assert second["sent"] == 10 + frame  # the step's own, not the channel's total
    assert first["received"] > 7
    assert second["received"] == 0
    assert "step 1a: inference with client: done in" in log(tmp_path)
    assert (tmp_path / "events.jsonl").stat().st_mode & 0o777 == 0o600


def test_the_log_says_how_far_the_work_is_with_every_figure(progress: Progress, tmp_path: Path) -> None:
    figures = (Figure("epsilon", 1.23456, of=10.0), Figure("labels", 3.0), Figure("strategy", "entropy"))
    progress.advance(7, 30, "queries", figures)
    assert "7 of 30 queries, epsilon 1.23 of 10, labels 3, strategy entropy\n" in log(tmp_path)
    (event,) = events(tmp_path)
    assert [figure["name"] for figure in event["figures"]] == ["epsilon", "labels", "strategy"]


def test_events_of_many_threads_stay_whole(progress: Progress, tmp_path: Path) -> None:
    def work(index: int) -> None:
        for _ in range(20):
            with progress.step("1c", "vote", peer=f"server-{index}"):
                pass

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(events(tmp_path)) == 8 * 20 * 2


def test_a_party_that_finishes_says_so(progress: Progress, tmp_path: Path) -> None:
    progress.listening(4711)
    progress.finished()
    assert status(tmp_path) == {"ok": True, "error": None, "step": None, "peer": None}
    assert [event["event"] for event in events(tmp_path)] == ["listening", "finished"]


def test_a_protocol_error_is_one_sentence_with_its_place(progress: Progress, tmp_path: Path) -> None:
    error = ProtocolError.mismatch("16 bytes", 16, 3, peer="client", step="1c")
    progress.failed(error)
    assert status(tmp_path) == {"ok": False, "error": str(error), "step": "1c", "peer": "client"}
    assert "Traceback" not in log(tmp_path)
    assert "File" not in log(tmp_path)


def fail_in_step(progress: Progress, error: BaseException) -> None:
    secret_share = np.array([123456789])
    with pytest.raises(type(error)) as caught, progress.step("2", "masks", peer="client"):
        assert len(secret_share)
        raise error
    progress.failed(caught.value)


def test_an_error_without_a_place_gets_that_of_the_step_that_failed(progress: Progress, tmp_path: Path) -> None:
    fail_in_step(progress, ProtocolError("expected words of 8 bits, found wider ones"))
    assert (status(tmp_path)["step"], status(tmp_path)["peer"]) == ("2", "client")


@pytest.mark.parametrize(
    "error",
    [
        PartyError("the book is full"),
        OSError("no space"),
        ValueError("a bug"),
        ParameterError("expected a number, found none"),
        CheatingError("one of several has cheated"),
    ],
)
def test_an_error_of_its_own_or_of_nobody_knows_whom_blames_no_peer(
    progress: Progress, tmp_path: Path, error: Exception
) -> None:
    fail_in_step(progress, error)
    assert (status(tmp_path)["step"], status(tmp_path)["peer"]) == ("2", None)
    assert events(tmp_path)[-1]["event"] == "failed"
    assert not events(tmp_path)[-1].get("peer")


def test_a_party_that_is_told_to_end_blames_no_peer(progress: Progress, tmp_path: Path) -> None:
    fail_in_step(progress, Ended("told to end"))
    assert status(tmp_path) == {"ok": False, "error": "told to end", "step": "2", "peer": None}


def test_a_peer_that_said_nothing_in_time_is_told_from_one_that_said_the_wrong_thing(
    progress: Progress, tmp_path: Path
) -> None:
    fail_in_step(progress, DeadlineError("no message within 3 s", peer="client", step="2"))
    assert status(tmp_path)["late"] is True
    fail_in_step(progress, TransportError("the peer closed the connection", peer="client", step="2"))
    assert "late" not in status(tmp_path)
    fail_in_step(progress, AbsentError("no connection from a, b within 3 s", awaits=("a", "b"), step="accept"))
    found = status(tmp_path)
    assert (found["late"], found["awaits"], found["peer"]) == (True, ["a", "b"], None)


def test_a_full_disk_is_one_sentence(progress: Progress, tmp_path: Path) -> None:
    descriptor = progress._events
    assert descriptor is not None
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, descriptor)
    os.close(full)
    with pytest.raises(PartyError, match=r"cannot write to .*events\.jsonl: No space left on device"):
        progress.note("something")
    progress.failed(PartyError("it is over"))  # as well as it can
    assert status(tmp_path)["error"] == "it is over"


def test_a_bug_leaves_a_traceback_in_the_log_and_no_value_anywhere(progress: Progress, tmp_path: Path) -> None:
    fail_in_step(progress, ValueError(f"cannot add {np.array([987654321])}"))
    assert status(tmp_path)["error"].startswith("unexpected ValueError (message withheld")
    assert "fail_in_step" in log(tmp_path)
    everything = log(tmp_path) + (tmp_path / "events.jsonl").read_text() + (tmp_path / "status.json").read_text()
    assert "987654321" not in everything
    assert "123456789" not in everything


def test_a_missing_module_is_named(progress: Progress, tmp_path: Path) -> None:
    progress.failed(ModuleNotFoundError("No module named 'phe'"))
    assert status(tmp_path)["error"] == "unexpected ModuleNotFoundError: No module named 'phe'"


def test_two_parties_in_one_process_keep_their_logs_apart(progress: Progress, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with Progress("client", other / "client.log", other, echo=False) as second:
        progress.note("for the server")
        second.note("for the client")
    assert "for the client" not in log(tmp_path)
    assert "for the server" not in (other / "client.log").read_text()


def test_an_unexpected_error_is_told_without_the_value_of_any_variable(progress: Progress, tmp_path: Path) -> None:
    share = int.from_bytes(os.urandom(8), "big") | 1 << 63

    def divide(share: int, by: int) -> int:
        return share // by

    try:
        divide(share, 0)
    except ZeroDivisionError as error:
        progress.failed(error)
    assert "share // by" in log(tmp_path)  # the line is told, what it computed with is not
    for path in (tmp_path / "logs" / "server-0.log", tmp_path / "events.jsonl", tmp_path / "status.json"):
        assert str(share) not in path.read_text()


def test_a_party_that_begins_again_has_left_its_steps_and_is_blamed_for_the_later_one(
    progress: Progress, tmp_path: Path
) -> None:
    with pytest.raises(TransportError), progress.step("1a", "inference", peer="client"):
        raise TransportError("the peer closed the connection", peer="client")
    progress.begin_again("a session with client broke")
    assert (events(tmp_path)[-1]["event"], events(tmp_path)[-1]["detail"]) == (
        "began_again", "a session with client broke",
    )  # fmt: skip
    assert "a session with client broke" in log(tmp_path)
    with pytest.raises(TransportError), progress.step("3", "release", peer="privacy-guardian"):
        raise TransportError("no more")
    progress.failed(TransportError("no more"))
    assert (status(tmp_path)["step"], status(tmp_path)["peer"]) == ("3", "privacy-guardian")
