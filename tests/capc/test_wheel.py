"""The wheel has all that its programs need: it is built, installed into a fresh environment, and run from there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from parties.protocols import PROTOCOLS
from tests.environments import environment_without, packages_of
from tests.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("capc", "mpc", "parties", "orchestrator", "configs")
FILES = ("pyproject.toml", "README.md", "LICENSE")
OURS = ("capc", "mpc", "parties", "orchestrator")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]  # it compiles the core


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of a copy of the sources, built without reaching for the network."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = folder / "sources"
    left_out = shutil.ignore_patterns("__pycache__", "*.so", "bin", "build")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, sources / name, ignore=left_out)
    for name in FILES:
        shutil.copy(ROOT / name, sources)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [*command, "--wheel-dir", str(folder), str(sources)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment with the wheel, what it depends on, and nothing of this checkout."""
    here = {path.name for path in Path(packages_of(Path(sys.prefix))).glob("*.pth")}  # a checkout installed by a path
    ours = (*OURS, *(name.partition(".")[0] for name in here), "_editable_skbc_capc", "_capc_editable")
    python = environment_without(ours, tmp_path_factory.mktemp("installed") / "environment")
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(command, check=True, capture_output=True)
    return python.parent


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, timeout=600, check=False)


def test_it_holds_what_the_folders_hold_and_no_sources_of_the_core(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in OURS:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix in (".py", ".pyi", ".typed", ".conf", ".css"):
                assert str(path.relative_to(ROOT)) in names
    assert {f"capc/configs/{path.name}" for path in (ROOT / "configs").glob("*.yaml")} <= names
    assert not [name for name in names if name.endswith((".cpp", ".hpp", "CMakeLists.txt"))]
    assert {name.partition("/")[0] for name in names if "dist-info" not in name} == set(OURS)


def test_its_modules_come_from_the_installation(environment: Path, tmp_path: Path) -> None:
    program = (
        "import capc, mpc, mpc._core, mpc.inference, parties.protocols; print(capc.__version__, mpc._core.__file__)"
    )
    done = run(tmp_path, str(environment / "python"), "-c", program)
    assert done.returncode == 0, done.stderr
    version, place = done.stdout.split()
    assert version == metadata.version("capc")
    assert Path(place).is_relative_to(environment.parent)


def test_its_command_runs_from_an_empty_folder(environment: Path, tmp_path: Path) -> None:
    command = str(environment / "capc")
    port = ("--start_port", str(free_ports(5)))
    done = run(tmp_path, command, "--n_parties", "3", "--launcher", "process", *port)
    assert done.returncode == 0, done.stderr
    assert "1 label" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "logs"]
    assert run(tmp_path, command, "--version").stdout.startswith("capc ")


def test_its_configurations_are_there_by_name(environment: Path, tmp_path: Path) -> None:
    done = run(tmp_path, str(environment / "capc"), "budget", "--config", "hospitals")
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing was spent" in done.stdout


@pytest.mark.skipif(not shutil.which("tmux"), reason="no tmux")
def test_its_panes_have_their_configuration(environment: Path, tmp_path: Path) -> None:
    port = ("--start_port", str(free_ports(3)))
    done = run(tmp_path, str(environment / "capc"), "--quiet", *port)
    assert (done.returncode, done.stderr) == (0, "")


if not PROTOCOLS:  # nothing would run
    pytestmark.append(pytest.mark.skip(reason="no protocol is there"))
