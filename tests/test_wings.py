"""Any wing can be deleted, with its tests and all that stands on it, and everything else still stands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.copies import copy_project, environment_of
from tests.test_layers import MAY_IMPORT, PROTOCOL_WINGS, wing_of

# Imports every module of each folder that it is told, in a process of its own, and prints what is wrong. What
# the project imports of others is imported before, once, because that takes far longer.
IMPORTER = """
import contextlib, importlib, json, os, pathlib, sys

def import_all(folder):
    wrong = {}
    for path in sorted(pathlib.Path(folder).rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        known = parts[0] in ("capc", "mpc", "parties", "orchestrator") and parts[1] != "tests"
        if (known or parts == ("run_protocol",)) and parts[-1] != "__main__":
            name = ".".join(parts).removesuffix(".__init__")
            try:
                assert importlib.import_module(name).__file__.startswith(folder), "it comes from elsewhere"
            except Exception as error:
                wrong[name] = f"{type(error).__name__}: {error}"
    return wrong

sys.path = [place for place in sys.path if place and not os.path.exists(os.path.join(place, "mpc", "__init__.py"))]
for name in json.loads(sys.stdin.readline()):
    with contextlib.suppress(Exception):  # some cannot be imported by themselves
        importlib.import_module(name)
for line in sys.stdin:
    reading, writing = os.pipe()
    if os.fork() == 0:
        folder = line.strip()
        os.chdir(folder)
        sys.path.insert(0, folder)
        wrong = import_all(folder)
        others = [name for name in sys.modules if name.split(".")[0] not in ("capc", "mpc", "parties", "orchestrator")]
        with os.fdopen(writing, "w") as answer:
            json.dump({"wrong": wrong, "others": others}, answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        print(answer.read(), flush=True)
    os.wait()
"""


class Importer:
    """A process that imports all modules of a folder, each time in a fresh child."""

    def __init__(self, project: Path, others: Iterable[str] = ()) -> None:
        command = [sys.executable, "-c", IMPORTER]
        environment = {**environment_of(project), "PYTHONDONTWRITEBYTECODE": ""}
        self.process = subprocess.Popen(
            command, cwd=project, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._say(json.dumps(list(others)))

    def _say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def ask(self, folder: Path) -> dict[str, Any]:
        """Which modules cannot be imported and why, and which of others were imported on the way."""
        assert self.process.stdout is not None
        self._say(str(folder))
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def end(self) -> None:
        self.process.communicate()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("wings") / "whole")


@pytest.fixture(scope="module")
def importer(project: Path) -> Iterator[Importer]:
    first = Importer(project)
    answer = first.ask(project)
    first.end()
    assert answer["wrong"] == {}
    made = Importer(project, answer["others"])
    yield made
    made.end()


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
    for top in (folder / place, folder / "tests" / place, folder / "tests" / "vectors" / place.name):
        found += [path for path in top.rglob("*") if path.is_file()]
    found += (folder / place.parent).glob(f"{place.name}.*")
    found += (folder / "tests" / place.parent).glob(f"test_{place.name}.py")
    return [path for path in found if wing_of(_mirrored(path.relative_to(folder))) == wing]


def _mirrored(path: Path) -> str:
    """The name of the module that a file holds or tests."""
    parts = path.with_name(path.name.split(".")[0]).parts
    if parts[0] == "tests":
        parts = (*parts[1:-1], parts[-1].removeprefix("test_"))
    if parts[0] == "vectors":  # of a protocol's computation
        parts = ("mpc", *parts[1:])
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


@pytest.mark.parametrize("wing", MAY_IMPORT)
def test_without_a_wing_every_other_module_can_be_imported(
    wing: str, project: Path, importer: Importer, tmp_path: Path
) -> None:
    left = without([wing], project, tmp_path / "left")
    assert not any(files_of(gone, left) for gone in standing_on([wing]))
    assert importer.ask(left)["wrong"] == {}


def test_what_stands_on_a_wing_falls_with_it(project: Path, importer: Importer, tmp_path: Path) -> None:
    left = shutil.copytree(project, tmp_path / "left")
    for path in files_of("mpc.dp", left):
        path.unlink()
    found = importer.ask(left)["wrong"]
    assert "parties.ledger" in found
    assert {wing_of(module) for module in found} <= standing_on(["mpc.dp"]) | {"parties.protocols", "capc"}


@pytest.mark.parametrize("protocol", PROTOCOL_WINGS)
def test_without_any_protocol_there_is_one_sentence(protocol: str, project: Path, tmp_path: Path) -> None:
    left = without(
        [f"{side}.{protocol}" for side in ("mpc", "parties") for protocol in PROTOCOL_WINGS], project, tmp_path / "left"
    )
    command = [sys.executable, "run_protocol.py", "--protocol", protocol]
    done = subprocess.run(command, cwd=left, env=environment_of(left), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "protocol: expected at least one in the folder `parties`, found none.\n"


# Left out: this file, the programs that only a build makes, and one of the two launchers.
LEFT_OUT = ("--ignore", "tests/test_wings.py", "--ignore", "tests/mpc/garbled/test_executables.py", "-k", "not tmux")


@pytest.mark.slow  # two to three minutes
@pytest.mark.timeout(2400)
def test_without_any_protocol_all_tests_of_what_they_share_pass(project: Path, tmp_path: Path) -> None:
    """So none of these tests needs any protocol. Whether one protocol needs another is seen by its imports."""
    left = without(
        [f"{side}.{protocol}" for side in ("mpc", "parties") for protocol in PROTOCOL_WINGS], project, tmp_path / "left"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(os.cpu_count()), "-m", "not slow", "-x"]
    command += [*LEFT_OUT, "-p", "no:cacheprovider"]
    # These files are about what is shipped with a protocol, or about pages that name tests of all of them.
    about_all = ("tests/deploy", "tests/capc", "tests/mutation", "tests/test_references.py")
    command += [f"--ignore={path}" for path in about_all]
    done = subprocess.run(command, cwd=left, env=environment_of(left), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
