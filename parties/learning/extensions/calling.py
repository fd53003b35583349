"""Calls a function of a user's own in a child process, and returns what it returned, as plain values and arrays.

The processes of a run hold keys, and so does the program that plans it. A function of a user's own runs in neither. The
child has the user's rights all the same, so that only code is to be named that one trusts. Its module is looked for
among the installed packages and in one named folder, never in the current folder.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from parties.frame.child import ending, run_child
from parties.frame.lifetime import process_started
from parties.frame.settings import Supervisor
from parties.learning.extensions.registry import Kind
from parties.learning.records import DataError

DEADLINE_S = 600.0
"""How long one call may take."""

PLAIN, ARRAY = "plain", "array."
"""In a child's file, the name of the plain values as JSON, and the beginning of every array's name."""


class CallJob(BaseModel):
    """The child's task. It exits when `supervisor` is gone.

    Attributes:
        key: the configuration's key, by which the child knows the kind of function.
        name: as the configuration has it, for sentences.
        reference: the import path.
        folder: where the module is looked for after the installed packages, or None.
        given: plain arguments.
        inputs: the child's folder with files that the function may see.
        output: the file that the child writes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    name: str
    reference: str
    folder: Path | None
    given: dict[str, Any]
    inputs: Path
    output: Path
    supervisor: Supervisor


@dataclass(frozen=True)
class Returned:
    """What a function returned, not checked yet.

    Attributes:
        source: the function, for sentences, such as `dataset scans.public:load`.
        plain: numbers, texts and lists by name.
        arrays: arrays of numbers by name.
    """

    source: str
    plain: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]] = field(repr=False)

    def refuse(self, expected: str, found: object) -> DataError:
        """Return the error for something that is not as the interface says."""
        return DataError(f"{self.source}: expected {expected}, found {found}")


class Call:
    """One call of a function, with a private folder for the files that it gets and returns.

    Within ``with Call(...) as call`` files may be written to `call.inputs`. Then :meth:`run` is called.
    """

    def __init__(self, kind: Kind, name: str, folder: Path | None, work: Path | None = None) -> None:
        """Prepare a call. `work` is a private folder that files may lie in, by default the system's for such files."""
        self._kind, self._name, self._folder = kind, name, folder
        if folder is not None and not folder.is_dir():
            raise DataError(f"code_dir: expected the folder of modules of your own, found nothing at {folder}")
        self._files = tempfile.TemporaryDirectory(prefix="call-", dir=work)

    def __enter__(self) -> Call:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.cleanup()

    @property
    def inputs(self) -> Path:
        """The folder with files that the function may see."""
        return Path(self._files.name)

    def run(self, **given: Any) -> Returned:
        """Call the function with plain arguments. Raises `DataError` for whatever goes wrong in it."""
        source, output = f"{self._kind.key} {self._name}", self.inputs / "returned.npz"
        supervisor = Supervisor(pid=os.getpid(), started=process_started(os.getpid()))
        job = CallJob(
            key=self._kind.key, name=self._name, reference=self._kind.reference(self._name), folder=self._folder,
            given=given, inputs=self.inputs, output=output, supervisor=supervisor,
        )  # fmt: skip
        try:
            child = run_child("parties.learning.extensions.child", job, DEADLINE_S)
        except subprocess.TimeoutExpired as error:
            raise DataError(
                f"{source}: expected it to return within {DEADLINE_S:g} s, found it still at work"
            ) from error
        if child.returncode != 0:
            raise DataError(f"{source}: {ending(child).removeprefix(f'{source}: ')}")
        try:
            with np.load(output, allow_pickle=False) as file:
                arrays = {name.removeprefix(ARRAY): file[name] for name in file.files if name != PLAIN}
                plain = json.loads(str(file[PLAIN]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"{source}: expected what it returned in a file, found {type(error).__name__}") from error
        return Returned(source, plain, arrays)
