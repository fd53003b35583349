"""A sweep tries each cell with each seed once, into a table that is whole at every moment, and goes on where it was."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.grid.cells import as_text, grid_of, seeds_of
from orchestrator.grid.workers import Task, Workers
from parties.frame.errors import ConfigError
from tests.orchestrator.grid import games
from tests.ports import free_ports

ROOT = Path(__file__).resolve().parents[3]
Rows = list[dict[str, str]]


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIED", str(tmp_path / "tried.txt"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "games.csv"


def rows(out: Path) -> Rows:
    with out.open(newline="") as file:
        return list(csv.DictReader(file, strict=True))


def tried(out: Path) -> list[tuple[int, int]]:
    """Players and seed of every trial that a worker has begun."""
    path = out.with_name("tried.txt")
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [(int(players), int(seed)) for players, seed, _ in map(str.split, lines)]


def workers(out: Path) -> list[int]:
    """The processes, still there, that were told where to note what they try."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if f"TRIED={out.with_name('tried.txt')}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def gone(out: Path) -> bool:
    expires = time.monotonic() + 200
    while workers(out):
        if time.monotonic() > expires:
            return False
        time.sleep(0.05)
    return True


def test_every_cell_is_tried_with_every_seed_and_gets_a_row(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert games.run("--grid", "players=2,3,4", "--grid", "label=a,b", "--seeds", "0-1,7", "--out", str(out)) == 0
    found = rows(out)
    expected = [(str(n), label, str(seed)) for seed in (0, 1, 7) for n in (2, 3, 4) for label in "ab"]
    assert [(row["players"], row["label"], row["seed"]) for row in found] == expected
    for row in found:
        assert int(row["catches"]) == int(row["players"]) * 10 + int(row["seed"])
        assert row["drops"] == ("" if row["seed"] == "1" else "0.5")
        assert (row["failed"], row["how"], row["version"], row["configuration"]) == ("", "clear", "1.2", "{}")
    assert gone(out)
    printed, said = capsys.readouterr()
    assert "18 of 18 trials" in said
    assert "22.67 ± 3.8" in printed  # 20, 21 and 27
    assert printed.splitlines()[-1] == f"Table: {out}"
    assert sorted(path.name for path in out.parent.iterdir()) == ["games.csv", "tried.txt"]


def test_the_same_command_goes_on_and_more_values_and_seeds_are_added(out: Path) -> None:
    assert games.run("--grid", "players=2,3", "--seeds", "0", "--out", str(out)) == 0
    assert games.run("--grid", "players=2,3", "--seeds", "0", "--out", str(out)) == 0
    assert sorted(tried(out)) == [(2, 0), (3, 0)]
    assert games.run("--grid", "players=3,4", "--seeds", "0,1", "--out", str(out)) == 0
    assert sorted(tried(out)) == [(2, 0), (3, 0), (3, 1), (4, 0), (4, 1)]
    assert len(rows(out)) == 5


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        ("raise", "the ball is lost"),
        ("silent_exit", "it ended with status 3 (last words)"),
        ("hang", "expected figures within 2 s, found none"),
    ],
)
def test_a_trial_that_fails_is_a_row_with_its_reason_and_is_tried_again(
    out: Path, capsys: pytest.CaptureFixture[str], manner: str, reason: str
) -> None:
    command = ["--seeds", "0-3", "--out", str(out), "--manner", manner, "--who", "2", "--deadline_s", "2"]
    assert games.run(*command) == 1
    assert [(row["seed"], row["failed"], row["catches"]) for row in rows(out)] == [
        ("0", "", "30"),
        ("1", "", "31"),
        ("2", reason, ""),
        ("3", "", "33"),
    ]
    assert f"1 of 4 trials failed, the first because of this: {reason}" in capsys.readouterr().err
    assert games.run(*command) == 1
    assert sorted(tried(out)) == [(3, 0), (3, 1), (3, 2), (3, 2), (3, 3)]
    assert len(rows(out)) == 4
    assert gone(out)


def start(out: Path, *more: str) -> subprocess.Popen[bytes]:
    arguments = ("--grid", "players=2,3,4,5", "--seeds", "0-4", "--throw_s", "0.3", "--out", str(out), *more)
    environment = os.environ | {"TRIED": str(out.with_name("tried.txt")), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.orchestrator.grid.games", *arguments],
        cwd=out.parent, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def rows_when_some_are_there(out: Path, process: subprocess.Popen[bytes], count: int) -> Rows:
    """Read the table again and again, as it must be whole each time, until it has so many rows."""
    expires = time.monotonic() + 200
    while True:
        found = rows(out) if out.exists() else []
        assert all(None not in row.values() and row["configuration"] for row in found)
        if len(found) >= count:
            return found
        assert process.poll() is None
        assert time.monotonic() < expires
        time.sleep(0.01)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_sweep_that_is_ended_leaves_nothing_running_and_goes_on(
    out: Path, number: signal.Signals, status: int
) -> None:
    process = start(out)
    before = rows_when_some_are_there(out, process, 3)
    process.send_signal(number)
    _, said = process.communicate(timeout=600)
    assert process.returncode == status
    assert number == signal.SIGKILL or "games.csv is whole. The same command goes on." in said.decode()
    assert gone(out)
    assert len(rows(out)) >= len(before)
    again = start(out)
    assert again.wait(600) == 0
    found = rows(out)
    assert len({(row["players"], row["seed"]) for row in found}) == len(found) == 20
    assert [row for row in found if row in before] == before  # they were not tried again
    assert not [path for path in out.parent.iterdir() if path.name.startswith(".games.csv.new")]


def test_a_worker_that_answers_something_else_is_ended(out: Path) -> None:
    with Workers("tests.orchestrator.grid.liar", [Task(0, 0, {}, 60)]) as pool:
        (answer,) = (one for one in pool.answers() if one is not None)
    assert answer.failed == "expected figures or a reason why there are none, found another answer"
    assert gone(out)


def test_two_sweeps_do_not_write_one_table(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = start(out)
    rows_when_some_are_there(out, process, 1)
    assert games.run("--grid", "players=2,3", "--out", str(out), "--throw_s", "0.3") == 2
    assert f"out: expected one sweep at a time for {out}, found another that goes on." in capsys.readouterr().err
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=600)


def test_another_configuration_than_the_tables_is_refused_by_name(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ["--grid", "players=2,3", "--seeds", "0", "--out", str(out), "--label", "x"]
    assert games.run(*first) == 0
    text = out.read_bytes()
    capsys.readouterr()
    for change, words in (
        (["--label", "y"], f"label: expected x as in {out}, found y."),
        (["--judges", "2"], f"judges: expected its default as in {out}, found 2."),
        (["--grid", "who=0"], f"grid: expected players as in {out}, found players, who."),
        (["--real"], f"how: expected clear as in {out}, found real."),
    ):
        assert games.run(*first, *change) == 2
        assert capsys.readouterr().err == f"{words}\n"
    for old, new, words in (
        (b"clear,1.2", b"clear,1.1", f"version: expected 1.1 as in {out}, found 1.2."),
        (b"catches", b"goals", f"out: expected a new file or the table of such a sweep, found another in {out}."),
        (b"\n3,0,", b"\n2,0,", f"out: expected each trial once in {out}, found seed 0 twice."),
        (b',"{""label"": ""x""}"', b"", f"out: expected whole rows in {out}, found one that is cut."),
    ):
        out.write_bytes(text.replace(old, new))
        assert games.run(*first) == 2
        assert capsys.readouterr().err == f"{words}\n"
        assert out.read_bytes() == text.replace(old, new)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "games.txt"], "out: expected a name that ends in .csv, in a folder that is there, found games.txt."),
        (
            ["--out", "no/games.csv"],
            "out: expected a name that ends in .csv, in a folder that is there, found no/games.",
        ),
        ([], "out: expected --out with the name of a CSV file, found none."),
        (["--grid", "player=2"], "grid: expected a key of game, found player, did you mean 'players'?"),
        (["--grid", "players"], "grid: expected a key and its values, such as key=1,2,3, found 'players'."),
        (["--grid", "players=2,99"], "players: expected a number of at most 40, found 99 in --grid."),
        (["--grid", "throw_s=2,2.0"], "grid: expected each value of a key once, found one twice."),
        (["--grid", "players=2", "--grid", "players=3"], "grid: expected each key once, found players twice."),
        (["--grid", "seed=1,2"], "grid: expected the values of seed as --seeds, found them in the grid."),
        (["--seeds", "3-1"], "seeds: expected whole numbers and ranges of them, such as 0-4,7, found '3-1'."),
        (["--seeds", "1,0-2"], "seeds: expected each seed once, found '1,0-2'."),
        (["--seeds", "0-99999", "--grid", "players=2,3"], "grid: expected at most 100000 trials, found 200000."),
        (["--colour", "red"], "--colour: unknown flag."),
    ],
)
def test_what_cannot_be_tried_is_refused_before_anything_starts(
    out: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    file = [] if not arguments or "--out" in arguments else ["--out", str(out)]
    assert games.run(*arguments, *file) == 2
    assert capsys.readouterr().err.startswith(words)
    assert not out.exists()
    assert tried(out) == []


def test_the_summary_is_a_document_too(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert games.run("--grid", "players=[2,3]", "--out", str(out)) == 2  # a list is no number
    capsys.readouterr()
    assert games.run("--grid", "players=2", "--seeds", "0,1", "--out", str(out), "--json") == 0
    (cell,) = json.loads(capsys.readouterr().out)["cells"]
    assert cell["catches"] == {"mean": 20.5, "deviation": pytest.approx(0.5**0.5)}
    assert (cell["players"], cell["trials"], cell["drops"]) == ("2", 2, {"mean": 0.5, "deviation": None})


def test_for_real_each_trial_is_a_run_of_its_own(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = str(free_ports(8))
    command = ["--grid", "players=2,3", "--seeds", "0", "--out", str(out), "--real", "--start_port", port]
    assert games.run(*command) == 0
    assert [(row["players"], row["catches"], row["how"]) for row in rows(out)] == [
        ("2", "6", "real"),
        ("3", "6", "real"),
    ]
    assert tried(out) == []
    assert list((out.parent / "files" / "sweeps").iterdir()) == []
    assert "silent" not in capsys.readouterr().err


def test_for_real_a_run_that_fails_is_a_row(out: Path) -> None:
    port = str(free_ports(8))
    command = ["--seeds", "0", "--out", str(out), "--real", "--start_port", port, "--manner", "raise"]
    assert games.run(*command) == 1
    (row,) = rows(out)
    assert row["failed"].startswith("player-1 failed")
    assert row["catches"] == ""


def test_texts_of_values_seeds_and_grids() -> None:
    assert [as_text(value) for value in (2, 2.0, "2.50", "1e-5", "x", True, None, ["a"])] == [
        "2", "2", "2.5", "0.00001", "x", "true", "null", '["a"]',
    ]  # fmt: skip
    assert seeds_of("0-2, 9") == [0, 1, 2, 9]
    assert grid_of(["a=1,x,[y,z],null", "b=2.5"]) == {"a": [1, "x", ["y", "z"], None], "b": [2.5]}
    with pytest.raises(ConfigError, match="expected values with commas between them"):
        grid_of(["a={b: 1}"])
