"""What a program has revealed to one party, and the file that the party keeps it in."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from parties.frame.errors import PartyError
from parties.frame.private_files import write_private


class OutputsError(PartyError):
    """The outputs cannot be written."""


def own_outputs(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a program's outputs this party has learned, by name."""
    return {name: np.asarray(value) for name, value in found.items() if isinstance(value, np.ndarray | float | int)}


def write_outputs(path: Path, outputs: Mapping[str, Any]) -> None:
    """Write arrays by name as `.npz`, for their owner alone. Raises `OutputsError`."""
    content = io.BytesIO()
    np.savez(content, **outputs)
    try:
        write_private(path, content.getvalue())
    except OSError as error:
        raise OutputsError(f"cannot write {path}: {error.strerror}") from error
