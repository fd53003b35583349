"""Copies of the project in which a test may change and delete files."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_FOLDERS = ("capc", "mpc", "parties", "orchestrator", "tests", "configs", "benchmarks", "docs", "notebooks")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.so", "bin", "build", ".*")

# An installation of the project elsewhere must not lend a copy what was deleted in it.
_SITE = """
import sys
from pathlib import Path
sys.meta_path[:] = [finder for finder in sys.meta_path if not type(finder).__module__.startswith("_editable")]
sys.path[:] = [
    place for place in sys.path
    if Path(place or ".").resolve() == Path(__file__).resolve().parent or not Path(place, "mpc", "__init__.py").exists()
]
"""


def copy_project(target: Path) -> Path:
    """Copy the sources of the project, with its compiled core, into an empty folder, and return the folder."""
    target.mkdir(parents=True, exist_ok=True)
    for name in _FOLDERS:
        shutil.copytree(ROOT / name, target / name, ignore=_LEFT_OUT)
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith("."):
            shutil.copy(path, target)
    core = find_spec("mpc._core")
    assert core is not None
    assert core.origin is not None
    shutil.copy(core.origin, target / "mpc")
    (target / "sitecustomize.py").write_text(_SITE)
    return target


def environment_of(copy: Path) -> dict[str, str]:
    """The environment in which a process imports the copy, and nothing of this project."""
    return {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
