"""The libraries that read files, which are an optional part of the installation."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from parties.learning.records import DataError

_PACKAGES = {"pyarrow": "pyarrow", "PIL": "pillow"}


def library(module: str) -> Any:
    """Import a module of pyarrow or Pillow. Raises `DataError` with the command that installs it."""
    try:
        return import_module(module)
    except ImportError as error:
        package = _PACKAGES[module.partition(".")[0]]
        raise DataError(
            f"reading this file takes {package}, which is not installed: `pip install {package}`, or install this "
            "project with `pip install '.[data]'`"
        ) from error
