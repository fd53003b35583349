"""The benchmark of encrypted training: its flags, its table of a made-up result, and one quick row that is real."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.securetrain import report
from benchmarks.securetrain.__main__ import parse
from benchmarks.securetrain.measure import check_seal, measure_model
from benchmarks.securetrain.pooled import measure_ridge, small_digits
from benchmarks.securetrain.random_programs import measure_random
from benchmarks.securetrain.rivals import RivalError, in_turns, rival
from benchmarks.securetrain.works import RANDOM_TITLE, REFRESHED_TITLE, WORKS
from benchmarks.speed_report import SECURETRAIN
from mpc.encrypted.twin import Twin


def side(*times: float, **more: Any) -> dict[str, Any]:
    return {"turns": [{"ms": took, "wall_ms": took} for took in times], "error": 1e-5, **more}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--peer", "tenseal=/nowhere/python"], "expected seal or tenseal and its Python, found tenseal=/nowhere"),
        (["--peer", f"openfhe={sys.executable}"], "expected seal or tenseal and its Python, found openfhe="),
        (["--rounds", "0"], "--rounds: expected at least 1, found 0"),
        (["--splits", "0"], "--splits: expected at least 1, found 0"),
        (["--programs", "0"], "--programs: expected at least 1, found 0"),
        (["--tenseal_records", "456"], "--tenseal_records: expected at most 455, found 456"),
        (["--quick", "--docs"], "--docs: expected figures of several rounds, found --quick"),
        (["--only", "medium"], "invalid choice: 'medium'"),
    ],
)
def test_flags_that_cannot_be_are_refused(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(words)
    assert expected in capsys.readouterr().err


def test_quick_is_one_round_and_one_split() -> None:
    chosen = parse(["--quick", "--peer", f"tenseal={sys.executable}"])
    assert (chosen.rounds, chosen.splits, chosen.tenseal_records, chosen.programs) == (1, 1, 10, 10)
    assert chosen.pythons == {"seal": sys.executable, "tenseal": sys.executable}


def test_a_made_up_result_becomes_rows_with_ratios_and_goals() -> None:
    ours = side(200, 240, 300, keys_ms=100, key_bytes=90e6, memory_mb=400, bound=2e-5)
    results = {
        "small": {"ours": ours, "SEAL": side(800, 1200, 1500, keys_ms=900, key_bytes=270e6, memory_mb=600)},
        "refreshed": side(2000, bound=1e-6, iterations=20, refreshes=9, refresh_bytes=900e3, data_bytes=2e6),
        "tenseal": side(1000, records=91, of=455, data_bytes=8e6),
        "ridge": {"256": side(4000, 6000, 7000, bound=1e-4, key_bytes=80e6, data_bytes=2e6)},
        "pooled": {
            "breast cancer": {
                "seconds": 9.0,
                "training_seconds": 1.5,
                "sent": 120e6,
                "received": 45e6,
                "trainer_sent": 130e6,
                "accuracy": 0.96,
                "leak": 7e-4,
                "records": "398",
                "twin": {"accuracy": 0.95, "alone": 0.94, "scikit-learn": 0.98},
            }
        },
        "random": {"programs": 100, "operations": 900, "part": 0.125, "mean_part": 0.05},
        "accuracy": {"without refresh": [0.95, 0.97], "with refresh": [0.97, 0.97], "scikit-learn": [0.97, 0.976]},
    }
    found = report.rows(results)
    assert all(len(row) == len(SECURETRAIN.head) for row in found)
    assert len({tuple(row[: SECURETRAIN.keys]) for row in found}) == len(found)
    rows = {(row[0], row[1]): row[2:] for row in found}
    small = WORKS[0].title
    assert rows[small, "training"] == [
        "240 ms [200 ms, 300 ms]", "SEAL 1.2 s [800 ms, 1.5 s]", "5.0 [4.0-5.0]", "at most 250 ms", "met",
    ]  # fmt: skip
    assert rows[small, "keys sent"] == ["90 MB", "SEAL 270 MB", "3.0", "at most 85 MB", "not met"]
    assert rows[small, "making keys"] == ["100 ms", "SEAL 900 ms", "9.0", "", ""]
    assert rows[small, "memory of the trainer"] == ["400 MB", "SEAL 600 MB", "1.5", "at most 1.2 GB", "met"]
    assert rows[small, "largest error"] == ["1.0e-05", "SEAL 1.0e-05", "", "at most 2.0e-05, derived", "met"]
    assert rows[REFRESHED_TITLE, "training"][1:] == [
        "TenSEAL, one epoch 5 s, from 91 of 455 records", "50", "at most 3 s", "met",
    ]  # fmt: skip
    assert rows[REFRESHED_TITLE, "largest error"][-1] == "not met"
    accuracy = {key[1]: row for key, row in rows.items() if key[1].endswith("refresh")}
    assert accuracy["with refresh"] == [
        "0.9700", "scikit-learn 0.9730 over 2 splits", "", "at most 0.5 points below", "met",
    ]  # fmt: skip
    assert accuracy["without refresh"][-2:] == ["", ""]
    assert rows["ridge, 256 features, any number of records", "training"] == [
        "6 s [4 s, 7 s]", "", "", "at most 5 s", "not met",
    ]  # fmt: skip
    pooled = "three owners' joint key, breast cancer, 398 records"
    assert rows[pooled, "an owner sends, receives"][0] == "120 MB, 45 MB"
    assert rows[pooled, "accuracy, opened with noise"][:2] == [
        "0.9600", "scikit-learn, logistic 0.9800; in the clear 0.9500; one owner alone 0.9400",
    ]  # fmt: skip
    assert rows[RANDOM_TITLE, "largest error"] == [
        "0.12 of its bound, on average 0.05", "", "",
        "at most the bound, in 100 random programs of 900 operations in all", "met",
    ]  # fmt: skip
    assert report.markdown(SECURETRAIN.head, found).count("\n") == len(found) + 1


def test_random_programs_are_within_their_bounds_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measure_random(4)
    assert found["programs"] == 4
    assert 16 <= found["operations"] <= 64
    assert 0 < found["mean_part"] <= found["part"] <= 1
    errors = Twin.errors
    monkeypatch.setattr(Twin, "errors", lambda *given: tuple(one / 1000 for one in errors(*given)))
    with pytest.raises(ValueError, match="expected errors within their bounds, found one of"):
        measure_random(1)


def test_ridge_is_measured_within_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measure_ridge(32, 1)
    assert 0 < found["error"] <= found["bound"]
    assert found["turns"][0]["ms"] > 0
    monkeypatch.setattr("benchmarks.securetrain.pooled.bound", lambda _: 1e-12)
    with pytest.raises(ValueError, match=r"expected weights within 1e-12 of the twin's"):
        measure_ridge(32, 1)


def test_digits_without_their_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found one missing"):
        small_digits(tmp_path)


def test_a_wrong_result_of_seal_ends_the_benchmark() -> None:
    check_seal({"ours": side(1), "SEAL": side(1)})
    with pytest.raises(ValueError, match=r"expected an error below 0.001 of SEAL's weights, found 0.02"):
        check_seal({"SEAL": side(1) | {"error": 0.02}})


def test_one_works_at_a_time_and_each_once_a_round(tmp_path: Path) -> None:
    program = (
        "import json, pathlib, sys\n"
        "sys.path.insert(0, '.')\n"
        "from benchmarks.peers.turns import take_turns\n"
        "log = pathlib.Path(sys.argv[1])\n"
        "take_turns({'ready': 1}, lambda: log.open('a').write(sys.argv[2]), lambda: {'done': 1})\n"
    )
    log = tmp_path / "log"
    commands = {name: [sys.executable, "-c", program, str(log), name] for name in "ab"}
    found = in_turns(commands, 2)
    assert log.read_text() == "abab"
    for row in found.values():
        assert (row["ready"], row["done"], len(row["turns"])) == (1, 1, 2)
        assert row["memory_mb"] > 1


def test_a_process_that_does_not_answer_is_ended() -> None:
    began = time.monotonic()
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with (
        pytest.raises(RivalError, match=r"slow: expected an answer within 0.2 s, found that the process has ended"),
        rival("slow", command, deadline_s=0.2) as one,
    ):
        one.answer()
    assert time.monotonic() - began < 55


def test_a_quick_row_is_measured_beside_seal(tmp_path: Path) -> None:
    found = measure_model(next(work for work in WORKS if work.steps == 2), {"seal": sys.executable}, 1, tmp_path)
    assert {*found} == {"ours", "SEAL"}
    for row in found.values():
        assert len(row["turns"]) == 1
        assert row["turns"][0]["ms"] > 0
        assert row["error"] < 1e-4
        assert row["memory_mb"] > 10
    assert found["SEAL"]["key_bytes"] > 2 * found["ours"]["key_bytes"]
    assert found["ours"]["key_bytes"] == (tmp_path / "public.key").stat().st_size
