"""What the bootstrap says before anything is installed."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.orchestrator.conftest import ROOT

SCRIPT = ROOT / "bootstrap.py"


@pytest.fixture
def bootstrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script as a module, in a folder with nothing but what its digest is made of."""
    spec = importlib.util.spec_from_file_location("bootstrap", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "mpc").mkdir()
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


def test_an_old_python_is_told_so() -> None:
    program = f"import sys; sys.version_info = (3, 9, 2, 'final', 0); exec(open({str(SCRIPT)!r}).read())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("CaPC needs Python 3.10 or newer, and this is Python 3.9")
    assert done.stderr.count("\n") == 1


def test_it_parses_on_an_old_python() -> None:
    ast.parse(SCRIPT.read_text(), feature_version=(3, 7))


def test_it_needs_only_the_standard_library() -> None:
    for node in ast.walk(ast.parse(SCRIPT.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert all(name.split(".")[0] in sys.stdlib_module_names for name in names)


def test_without_a_compiler_it_says_what_to_install(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "dnf").symlink_to("/bin/true")
    (tools / "g++").write_text("#!/bin/sh\nexit 1\n")  # one that knows no C++17
    (tools / "g++").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(SystemExit) as left:
        bootstrap.find_compiler()
    assert left.value.code == 1
    said = capsys.readouterr().err
    assert said == (
        "bootstrap.py: CaPC builds a C++17 extension and found no compiler for it: sudo dnf install gcc-c++\n"
    )


def test_an_unknown_command_is_one_sentence() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "fly"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "bootstrap.py: expected one of build, demo, demo-securetrain, test, clean, found 'fly'.\n"


def test_the_digest_follows_the_sources(bootstrap: ModuleType, tmp_path: Path) -> None:
    seen = {bootstrap.sources_digest()}
    for name in ("mpc/CMakeLists.txt", "mpc/core.cpp", "mpc/core.hpp"):
        (tmp_path / name).write_text("first")
        seen.add(bootstrap.sources_digest())
        (tmp_path / name).write_text("second")
        seen.add(bootstrap.sources_digest())
    assert len(seen) == 7
    module = tmp_path / "mpc" / "module.py"
    module.write_text("first")
    with_module = bootstrap.sources_digest()
    assert with_module not in seen  # an editable installation finds only the modules that it has seen
    module.write_text("second")
    assert bootstrap.sources_digest() == with_module


def test_it_reads_the_build_requirements(bootstrap: ModuleType) -> None:
    for key, names in (("requires", ["scikit-build-core", "nanobind"]), ("train", ["torch"])):
        assert [bootstrap.bare_name(line) for line in bootstrap.requirements(key)] == names


def test_the_makefile_calls_it() -> None:
    for target in ("demo", "test"):
        command = ["make", "--dry-run", target]
        done = subprocess.run(
            command, cwd=ROOT, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True
        )
        assert done.stdout == f"python3 bootstrap.py {target}\n"


TRIED = ["torch==2.13.0+cpu"]
FROM_ITS_INDEX = ["torch>=2.6,<3", "--index-url", "https://download.pytorch.org/whl/cpu"]


@pytest.mark.parametrize(
    ("there", "system", "found_by", "asked", "said"),
    [
        (True, "linux", None, [], ""),
        (False, "darwin", None, [], ""),
        (False, "linux", TRIED, [TRIED], ""),
        (False, "linux", FROM_ITS_INDEX, [TRIED, FROM_ITS_INDEX], ""),
        (False, "linux", None, [TRIED, FROM_ITS_INDEX], "== found no torch without CUDA at https://download."),
    ],
)
def test_torch_comes_without_cuda(
    bootstrap: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    there: bool,
    system: str,
    found_by: list[str] | None,
    asked: list[list[str]],
    said: str,
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str]) -> bool:
        if command[0] != "pip":
            return there
        commands.append(command[4:])
        assert command[:4] == ["pip", "--no-deps", "--only-binary", ":all:"]
        return command[4:] == found_by

    monkeypatch.setattr(bootstrap, "succeeds", run)
    monkeypatch.setattr(bootstrap.sys, "platform", system)
    bootstrap.install_torch(["pip"])
    assert commands == asked
    assert capsys.readouterr().out.startswith(said)
    assert bool(said) == (len(commands) == 2 and found_by is None)


def test_the_demo_installs_what_its_parties_train_with(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done: list[list[str]] = []
    monkeypatch.setattr(bootstrap, "ENVIRONMENT", tmp_path / ".venv")
    (tmp_path / ".venv").mkdir()
    for name in ("find_compiler", "check_python_parts", "install_torch"):
        monkeypatch.setattr(bootstrap, name, lambda *_: "c++")
    monkeypatch.setattr(bootstrap, "execute", lambda command, **_: done.append(command))
    bootstrap.install(with_tests=False)
    assert done[-1][-1] == f"{tmp_path}[train]"
    bootstrap.install(with_tests=True)
    assert done[-1][-1] == f"{tmp_path}[train,test]"
