"""What a run would cost and reveal is shown before it starts, and what would be refused does not start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from parties.frame.errors import ConfigError
from parties.frame.plan import FLAGS, FOLDER, Plan, Run, RunFolders
from parties.tensors.config import TensorsConfig
from parties.tensors.protocol import PROTOCOL, cost

ROOT = Path(__file__).resolve().parents[3]
OWN = """
def program(s, here):
    x = s.input("hospital", lambda: [open(here.file("x")).read()], shape=(3,), bound=BOUND)
    print("words of a program's own")
    for step in range(2):
        x = x * x
        seen = s.reveal(x.sum(), to="hospital", name="seen")
    return {"last": s.reveal(x, to=("hospital", "laboratory"))}
"""
REVEAL = {"seen": ("hospital",), "last": ("hospital", "laboratory")}


def planned(folder: Path, text: str = OWN.replace("BOUND", "2"), **choices: Any) -> Plan:
    (folder / "own.py").write_text(text)
    given = {"program": "own.py", "reveal": REVEAL, "reveal_times": {"seen": 2}} | choices
    config = TensorsConfig.model_validate(given, context={FOLDER: folder})
    return PROTOCOL.plan(config, Run(RunFolders(folder / "files", folder / "logs", "run"), "0" * 32, 40000))


def test_the_plan_shows_what_is_revealed_how_often_and_the_cost(tmp_path: Path) -> None:
    notes = planned(tmp_path).notes
    assert "seen may be revealed to hospital" in notes
    assert "seen (a number) will be revealed to hospital, 2 times" in notes
    assert "last (3) will be revealed to hospital, laboratory" in notes
    (total,) = [note for note in notes if note.startswith("the run takes")]
    assert "rounds and sends" in total
    assert "laboratory 0.00 MB" in total


@pytest.mark.parametrize(
    ("text", "choices", "words"),
    [
        (OWN.replace("BOUND", "2"), {"reveal_times": {}}, r"own\.py, line 7: .*the policy allows it 1 times, found 2"),
        (OWN.replace("BOUND", "2"), {"reveal": {"seen": ("hospital",)}}, r"own\.py line 8: reveal 'last': the policy"),
        (OWN.replace("BOUND", "10**6"), {}, r"own\.py, line 6: multiply #2: needs 74 bits"),
        (OWN, {}, r"own\.py, line 3: NameError: name 'BOUND' is not defined"),
        ("def program(s):\n    if s.input('hospital', None, shape=(), bound=1) > 0:\n        pass\n", {}, "line 2: "),
        ("import sys\ndef program(s):\n    sys.exit(3)\n", {}, "its process ended with status 3"),
    ],
)
def test_a_program_that_would_be_refused_does_not_start(
    tmp_path: Path, text: str, choices: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=f"program: .*{words}"):
        planned(tmp_path, text, **choices)


def test_what_depends_on_a_revealed_number_is_not_held_to(tmp_path: Path) -> None:
    reading = OWN.replace("BOUND", "2").replace("    return", "    assert seen.value > 100\n    return")
    notes = planned(tmp_path, reading).notes
    assert any("not known, because it depends on what it reads on own.py line 8 (seen)" in note for note in notes)
    shown = OWN.replace("BOUND", "2").replace(
        "    return", "    here.advance(1, 1, 'step', seen=float(seen))\n    return"
    )
    plan = planned(tmp_path, shown)
    assert any("this may change with what the program reads on own.py line 8 (seen)" in note for note in plan.notes)
    assert {process.settings.model_dump()["reveals"] for process in plan.processes} == {None}


def test_another_back_end_starts_without_computing_everything_before(tmp_path: Path) -> None:
    three: dict[str, Any] = {"backend": "replicated", "computing": ("hospital", "laboratory", "ministry")}
    plan = planned(tmp_path, **three)
    assert "seen (a number) will be revealed to hospital, 2 times" in plan.notes
    assert any("is shown by the command `cost`" in note for note in plan.notes)
    with pytest.raises(ConfigError, match=r"line 7: .*the policy allows it 1 times"):
        planned(tmp_path, **three, reveal_times={})
    config = TensorsConfig(program=str(tmp_path / "own.py"), reveal=REVEAL, reveal_times={"seen": 2}, **three)
    assert "ministry" in dict(cost(config, tmp_path, None).lines)


def test_a_program_without_an_end_is_followed_until_the_deadline(tmp_path: Path) -> None:
    notes = planned(tmp_path, "def program(s):\n    while True: pass\n", plan_deadline_s=2.0).notes
    assert any("not known, because following it took longer than 2 s" in note for note in notes)


def test_the_command_cost_shows_operations(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    config = TensorsConfig(program=str(tmp_path / "own.py"), reveal=REVEAL, reveal_times={"seen": 2})
    summary = cost(config, tmp_path, None)
    lines = dict(summary.lines)
    assert lines["reveals seen"] == "a number to hospital, 2 times"
    assert lines["reveals last"] == "3 to hospital, laboratory, once"
    assert lines["multiply"].startswith("2 calls, 1 rounds, ")  # the second factor is masked by its rounding
    assert any(summary.lead.split(" by ")[0].replace(", ", " and sends ") in note for note in plan.notes)


def test_a_program_in_a_file_is_looked_for_beside_the_file_and_one_of_a_flag_is_not(tmp_path: Path) -> None:
    context = {FOLDER: tmp_path}
    assert TensorsConfig.model_validate({"program": "own.py"}, context=context).program == str(tmp_path / "own.py")
    assert TensorsConfig.model_validate({"program": "digits"}, context=context).program == "digits"
    flag = TensorsConfig.model_validate({"program": "own.py"}, context=context | {FLAGS: {"program"}})
    assert flag.program == "own.py"


def test_the_launcher_finds_a_program_beside_its_configuration(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN.replace("BOUND", "2"))
    choices = {"program": "own.py", "reveal": REVEAL, "reveal_times": {"seen": 2}}
    (tmp_path / "own.yaml").write_text(json.dumps({"protocol": "tensors", "tensors": choices}))
    command = [sys.executable, str(ROOT / "run_protocol.py"), "cost", "--config", str(tmp_path / "own.yaml")]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)

    assert "reveals last: 3 to hospital" in run().stdout
    assert "expected a file of Python, or one of digits, logistic, found own.py" in run("--program", "own.py").stderr
