"""Programs that hold keys import nothing from the current folder or from where the user's PYTHON* variables point."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec, PathFinder
from pathlib import Path

import pytest

from parties.frame.start import HOME, find_own, python_command
from parties.protocols import PROTOCOLS

SHADOWS = ("calendar", "queue", "random", "secrets", "sitecustomize", "usercustomize", "numpy", "mpc", "parties")
ECHO = "tests.parties.frame.echo"
PROGRAMS = {
    "a launcher": (sys.executable, str(HOME / "run_protocol.py"), "--help"),
    "a dashboard": python_command("orchestrator.dashboard", "--help"),
    "a party": python_command("tests.orchestrator.scorekeeper", "--help"),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_nothing_is_imported_from_the_current_folder(program: str, tmp_path: Path) -> None:
    mark = tmp_path / "was-imported"
    for name in SHADOWS:
        (tmp_path / f"{name}.py").write_text(f"open({str(mark)!r}, 'a').write({name!r})\n")
    environment = {**os.environ, "PYTHONPATH": "."}
    before = subprocess.run([sys.executable, "-c", "import queue"], cwd=tmp_path, env=environment, check=True)
    assert before.returncode == 0
    assert "queue" in mark.read_text()  # which is what the rest is about
    if program == "a launcher":
        environment.pop("PYTHONPATH")  # its first moments are before it leaves the user's variables
    mark.unlink()
    done = subprocess.run(PROGRAMS[program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    without_protocols = "expected at least one in the folder `parties`" in done.stderr  # which a launcher says first
    assert without_protocols or (done.returncode == 0 and "usage:" in done.stdout), done.stderr
    assert not mark.exists(), mark.read_text()


def test_an_editable_installation_is_asked_for_the_compiled_core_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Editable:
        """The finder of an installation that keeps the core elsewhere. It knows the project's packages, too."""

        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec:
            asked.append(name)
            return ModuleSpec(name, None, origin="elsewhere")

    monkeypatch.setattr(sys, "meta_path", [BuiltinImporter, FrozenImporter, PathFinder, Editable])
    find_own(["told"])
    asked.clear()
    own = sys.meta_path[0]
    assert Editable not in sys.meta_path
    assert own.find_spec("nowhere", None, None) is None
    assert own.find_spec("told.nowhere", None, None) is None
    assert asked == []
    nowhere = own.find_spec("mpc._core", [], None)
    assert nowhere is not None
    assert nowhere.origin == "elsewhere"
    assert asked == ["mpc._core"]


def test_the_users_variables_do_not_reach_a_program(tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text("import sys; print(sys.flags.isolated, sys.flags.optimize, sys.argv)\n")
    start = tmp_path / "parties" / "frame" / "start.py"
    start.parent.mkdir(parents=True)
    start.write_bytes((HOME / "parties" / "frame" / "start.py").read_bytes())
    environment = {**os.environ, "PYTHONOPTIMIZE": "2", "PYTHONINSPECT": "1", "PYTHONSTARTUP": "told.py"}
    command = [str(start) if word.endswith("start.py") else word for word in python_command("told", "a;", "#{b}")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("1 0 [")
    assert done.stdout.endswith("'a;', '#{b}']\n")


def test_ctrl_c_before_a_program_heeds_it_is_no_traceback(tmp_path: Path) -> None:
    start = tmp_path / "parties" / "frame" / "start.py"
    start.parent.mkdir(parents=True)
    start.write_bytes((HOME / "parties" / "frame" / "start.py").read_bytes())
    (tmp_path / "slow.py").write_text("import time; print('begun', flush=True); time.sleep(60)\n")
    heed = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    hearing = [sys.executable, "-c", heed]  # Ctrl-C may be ignored where tests run
    command = [*hearing, sys.executable, "-I", str(start), "slow"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"begun\n"
        program.send_signal(signal.SIGINT)
        _, said = program.communicate(timeout=60)
    assert (program.returncode, said) == (-signal.SIGINT, b"")


@pytest.mark.parametrize(
    ("how", "status"), [("exit", 7), ("compute", 7), ("words", 1), ("raise", 1), ("compute and raise", 1), ("none", 0)]
)
def test_a_program_ends_with_its_own_status(how: str, status: int) -> None:
    """Also while a thread computes in the core. Python would break it off there, which aborts the process."""
    done = subprocess.run(python_command(ECHO, how), capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    said = done.stderr.splitlines()
    if "raise" in how:
        assert said[0] == "Traceback (most recent call last):"
        assert said[-1] == "ArithmeticError: the ball is square"
    else:
        assert said == (["the ball is square"] if how == "words" else [])


def test_a_programs_last_words_are_heard() -> None:
    """Threads that are no daemons are waited for. Then comes what was registered, and what was written is flushed."""
    done = subprocess.run(python_command(ECHO, "last words"), capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["thread", "registered"]


@pytest.mark.parametrize(("how", "status"), [("exit", 7), ("none", 0)])
def test_a_program_ends_where_standard_streams_are_closed(how: str, status: int) -> None:
    closed = ["bash", "-c", '"$@" <&- >&- 2>&-', "bash", *python_command(ECHO, how)]
    assert subprocess.run(closed, check=False).returncode == status


def test_a_deleted_part_of_the_project_is_not_taken_from_an_installation(tmp_path: Path) -> None:
    for name in ("parties/frame/start.py", "parties/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((HOME / name).read_bytes())
    (tmp_path / "ask.py").write_text("from importlib.util import find_spec; print(find_spec('parties.ledger'))\n")
    command = [sys.executable, "-I", str(tmp_path / "parties" / "frame" / "start.py"), "ask"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "None\n"


@pytest.mark.skipif(not PROTOCOLS, reason="no protocol is there to be explained")
def test_the_launcher_works_where_standard_streams_are_closed(tmp_path: Path) -> None:
    script = f"'{sys.executable}' '{HOME}/run_protocol.py' --help <&- >&- 2>&-; echo $? > status"
    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True)
    assert (tmp_path / "status").read_text() == "0\n"
