"""Environments that lack some packages, made of links to those that are installed here."""

from __future__ import annotations

import sysconfig
import venv
from collections.abc import Iterable
from pathlib import Path

__all__ = ["environment_without", "packages_of"]


def environment_without(lacking: Iterable[str], folder: Path) -> Path:
    """Make an environment of links to what is installed here, but for these distributions or modules.

    Return its Python.
    """
    lacking = {name.lower() for name in lacking}
    venv.create(folder, with_pip=False, symlinks=True)
    target = packages_of(folder)
    for place in {Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")}:
        for path in place.iterdir():
            name = path.name.lower().partition("-")[0].partition(".")[0]
            if name not in lacking and not (target / path.name).exists():
                (target / path.name).symlink_to(path)
    return folder / "bin" / "python"


def packages_of(environment: Path) -> Path:
    """Return the folder in which an environment keeps its packages."""
    (found,) = environment.glob("lib/python*/site-packages")
    return found
