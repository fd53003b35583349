"""Any wing can be deleted, with its tests and all that stands on it, and everything else still stands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.copies import copy_project, environment_of
from tests.test_layers import MAY_IMPORT, PROTOCOL_WINGS, wing_of

# Imports every module that is left. Tests that import a deleted wing stand in the wrong folder.
IMPORT_ALL = """
import importlib, pathlib, sys
sys.path.insert(0, ".")
wrong = []
for top in ("mpc", "parties", "orchestrator", "run_protocol.py"):
    for path in sorted(pathlib.Path(top).rglob("*.py")) if not top.endswith(".py") else [pathlib.Path(top)]:
        if path.exists() and path.name != "__main__.py":
            name = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
            if "tests" not in path.parts:
                try:
                    assert str(pathlib.Path.cwd()) in importlib.import_module(name).__file__
                except Exception as error:
                    wrong.append(f"{name}: {type(error).__name__}: {error}")
print("\\n".join(wrong))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("wings") / "whole")


def standing_on(wings: Iterable[str]) -> set[str]:
    """These wings, and all that the table lets import them, directly or through others."""
    found = set(wings)
    while more := {wing for wing, below in MAY_IMPORT.items() if found & set(below)} - found:
        found |= more
    return found


def files_of(wing: str, folder: Path) -> list[Path]:
    """The files of a wing and of its tests, without those of wings that lie within it."""
    place = Path(*wing.split("."))
    found = []
    for top in (folder / place, folder / "tests" / place):
        found += [path for path in top.rglob("*") if path.is_file()]
    found += (folder / place.parent).glob(f"{place.name}.*")
    found += (folder / "tests" / place.parent).glob(f"test_{place.name}.py")
    return [path for path in found if wing_of(_mirrored(path.relative_to(folder))) == wing]


def _mirrored(path: Path) -> str:
    """The name of the module that a file holds or tests."""
    parts = path.with_name(path.name.split(".")[0]).parts
    if parts[0] == "tests":
        parts = (*parts[1:-1], parts[-1].removeprefix("test_"))
    name = ".".join(parts).removesuffix(".__init__")
    return re.sub(r"^mpc\.core\b", "mpc._core", name)  # the compiled core and its sources


def without(wings: Iterable[str], project: Path, target: Path) -> Path:
    """A copy of the copy in which these wings and all that stands on them are deleted."""
    shutil.copytree(project, target)
    for wing in standing_on(wings):
        for path in files_of(wing, target):
            path.unlink()
    for folder in sorted((path for path in target.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    return target


def wrong_imports(left: Path) -> str:
    """Every module that is left and cannot be imported, with the reason."""
    command, environment = [sys.executable, "-c", IMPORT_ALL], environment_of(left)
    done = subprocess.run(command, cwd=left, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("wing", MAY_IMPORT)
def test_without_a_wing_every_other_module_can_be_imported(wing: str, project: Path, tmp_path: Path) -> None:
    left = without([wing], project, tmp_path / "left")
    assert not any(files_of(gone, left) for gone in standing_on([wing]))
    assert wrong_imports(left) == ""


def test_what_stands_on_a_wing_falls_with_it(project: Path, tmp_path: Path) -> None:
    left = shutil.copytree(project, tmp_path / "left")
    for path in files_of("mpc.dp", left):
        path.unlink()
    found = {line.split(":")[0] for line in wrong_imports(left).splitlines()}
    assert "parties.ledger" in found
    assert {wing_of(module) for module in found} <= standing_on(["mpc.dp"]) | {"parties.protocols", "run_protocol"}


@pytest.mark.parametrize("protocol", PROTOCOL_WINGS)
def test_without_any_protocol_there_is_one_sentence(protocol: str, project: Path, tmp_path: Path) -> None:
    left = without(
        [f"{side}.{protocol}" for side in ("mpc", "parties") for protocol in PROTOCOL_WINGS], project, tmp_path / "left"
    )
    command = [sys.executable, "run_protocol.py", "--protocol", protocol]
    done = subprocess.run(command, cwd=left, env=environment_of(left), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "protocol: expected at least one in the folder `parties`, found none.\n"


@pytest.mark.slow  # the tests of all that is left: two to three minutes
@pytest.mark.timeout(600)
@pytest.mark.parametrize("protocol", PROTOCOL_WINGS)
def test_without_a_protocol_all_other_tests_pass(protocol: str, project: Path, tmp_path: Path) -> None:
    left = without([f"{side}.{protocol}" for side in ("mpc", "parties")], project, tmp_path / "left")
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(os.cpu_count()), "-m", "not slow", "-x"]
    command += ["--deselect", "tests/test_wings.py", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=left, env=environment_of(left), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
