"""A function of the user's own that reads the records, named by its import path ``package.module:function``.

It is called as ``function(source, options)`` for every source, with the path and the options of the configuration. It
returns a mapping with `inputs`, ``(n, values)`` or ``(n, channels, height, width)`` in 0..1, and with `labels` where
there are any. Labels are ``(n,)`` places among the classes, or ``(n, labels)`` of 0 and 1.

The function runs in the program that plans a run, with all of that program's rights. Its module is looked for among the
installed packages and in the folder that the configuration names, never in the current folder.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parties.learning.own.choices import DataChoices
from parties.learning.records import DataError

Loaded = Mapping[str, NDArray[Any] | None]


@contextmanager
def _found_in(folder: Path | None) -> Iterator[None]:
    """Look for modules in this folder as well, after the installed ones."""
    if folder is None:
        yield
        return
    if not folder.is_dir():
        raise DataError(f"path: expected the folder of the loader's package, found nothing at {folder}")
    sys.path.append(str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def loader(choices: DataChoices) -> Callable[[Path], Loaded]:
    """Return the function that a configuration names. Calling it raises `DataError` for whatever it raises."""
    name = str(choices.loader)
    function = _function(name, choices.path)

    def load(source: Path) -> Loaded:
        try:
            with _found_in(choices.path):
                found = function(source, dict(choices.options))
        except Exception as error:
            raise _failure(name, source, error) from error
        return _checked(name, source, found)

    return load


def loader_digest(choices: DataChoices) -> str:
    """Return SHA-256 of the source of the loader's module, in hex, for what the parties agree on."""
    name = str(choices.loader)
    function = _function(name, choices.path)
    try:
        file = inspect.getsourcefile(function)
        content = Path(file).read_bytes() if file else b""
    except (TypeError, OSError):
        content = b""
    if not content:
        raise DataError(f"loader {name}: expected a function in a Python file, found none")
    digest = hashlib.sha256(content).hexdigest()
    if choices.loader_digest not in (None, digest):
        raise DataError(
            f"loader {name}: expected the file with SHA-256 {choices.loader_digest}, found {digest} in {file}"
        )
    return digest


def _function(name: str, folder: Path | None) -> Callable[[Path, dict[str, Any]], Any]:
    module, _, attribute = name.partition(":")
    try:
        with _found_in(folder):
            found = getattr(import_module(module), attribute, None)
    except DataError:
        raise
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(f"{error.name}.")):
            where = "among the installed packages" + (
                f" and in {folder}" if folder else ", and `path:` names no folder"
            )
            raise DataError(f"loader {name}: expected the module {module}, found none {where}") from error
        raise _failure(name, None, error) from error
    except Exception as error:
        raise _failure(name, None, error) from error
    if not callable(found):
        raise DataError(f"loader {name}: expected a function {attribute} in {module}, found {type(found).__name__}")
    result: Callable[[Path, dict[str, Any]], Any] = found
    return result


def _failure(name: str, source: Path | None, error: Exception) -> DataError:
    """Return an error of the user's code as one sentence, with the last line of that code that it passed."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).parent != Path(__file__).parent and frame.lineno]
    own = [frame for frame in own if not frame.filename.startswith("<")]
    if isinstance(error, SyntaxError) and error.filename:
        where = f" ({error.filename}, line {error.lineno})"
    else:
        where = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    words = " ".join(str(error).split()) or "no message"
    for_what = f" for {source}" if source else ""
    return DataError(f"loader {name}{for_what}: {type(error).__name__}: {words}{where}")


def _checked(name: str, source: Path, found: Any) -> Loaded:
    if not isinstance(found, Mapping) or "inputs" not in found or set(found) - {"inputs", "labels"}:
        shape = sorted(map(str, found)) if isinstance(found, Mapping) else type(found).__name__
        raise DataError(f"loader {name} for {source}: expected a mapping with inputs and labels, found {shape}")
    arrays: dict[str, NDArray[Any] | None] = {}
    for key in ("inputs", "labels"):
        value = found.get(key)
        arrays[key] = None if value is None else np.asarray(value)
        if value is not None and np.asarray(value).dtype.kind not in "biuf":
            raise DataError(f"loader {name} for {source}: expected numbers in {key}, found {np.asarray(value).dtype}")
    return arrays
