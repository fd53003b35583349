"""The child process that calls one function of a user's own (``python -m parties.learning.extensions.child``).

It holds no key. It imports the function, calls it, writes what it returned into a file of arrays, and ends. What is
returned is checked by who called, and here only turned into numbers.
"""

from __future__ import annotations

import io
import json
import math
import sys
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpc.errors import MpcError
from parties.frame.errors import PartyError
from parties.frame.lifetime import Ended, lifetime
from parties.frame.private_files import write_private
from parties.learning.extensions.calling import ARRAY, PLAIN, CallJob
from parties.learning.records import DataError

Found = tuple[dict[str, Any], dict[str, NDArray[Any]]]
"""Plain values and arrays, by name."""


def function_of(job: CallJob) -> Callable[..., Any]:
    """Import the function. Raises `DataError` where there is none, or where its module fails."""
    module, _, attribute = job.reference.partition(":")
    if job.folder is not None:
        sys.path.append(str(job.folder))
    try:
        found = getattr(import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(f"{error.name}.")):
            where = "among the installed packages" + (f" and in {job.folder}" if job.folder else "")
            raise _refused(job, f"expected the module {module}, found none {where}") from error
        raise _failure(job, error) from error
    except Exception as error:
        raise _failure(job, error) from error
    if not callable(found):
        raise _refused(job, f"expected a function {attribute} in {module}, found {type(found).__name__}")
    result: Callable[..., Any] = found
    return result


def called(job: CallJob, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call the function. Whatever it raises becomes one sentence (`DataError`) with the line of its code."""
    try:
        return function(*arguments)
    except Exception as error:
        raise _failure(job, error) from error


def _refused(job: CallJob, words: str) -> DataError:
    return DataError(f"{job.key} {job.name}: {words}")


def _failure(job: CallJob, error: Exception) -> DataError:
    """Return an error of the user's code as one sentence, with the last line of that code that it passed."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).parent != Path(__file__).parent and frame.lineno]
    own = [frame for frame in own if not frame.filename.startswith("<")]
    where = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    if isinstance(error, SyntaxError) and error.filename:
        where = f" ({error.filename}, line {error.lineno})"
    words = " ".join(str(error).split()) or "no message"
    return _refused(job, f"{type(error).__name__}: {words}{where}")


def _numbers(job: CallJob, name: str, value: Any) -> NDArray[Any]:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise _refused(job, f"expected an array of numbers as {name}, found {type(value).__name__}") from error
    if array.dtype.kind not in "biuf":
        raise _refused(job, f"expected an array of numbers as {name}, found {array.dtype}")
    return array


def _mapping(job: CallJob, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _refused(job, f"expected names and values, found {type(value).__name__}")
    return dict(value)


def _plain(job: CallJob, values: dict[str, Any]) -> dict[str, Any]:
    """Return values that JSON has, numpy's own numbers among them. Raises `DataError` for any other."""
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}
    try:
        found: dict[str, Any] = json.loads(json.dumps(plain, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise _refused(job, f"expected numbers, texts and lists, found another value ({error})") from error
    return found


def _dataset(job: CallJob, function: Callable[..., Any]) -> Found:
    folder = job.given["folder"]
    found = _mapping(job, called(job, function, None if folder is None else Path(folder)))
    plain = _plain(job, {"classes": found.pop("classes", None)})
    return plain, {name: _numbers(job, name, value) for name, value in found.items() if value is not None}


def _model(job: CallJob, function: Callable[..., Any]) -> Found:
    from parties.learning.architectures import describe  # noqa: PLC0415  only this kind needs it

    found = called(job, function, tuple(job.given["input_shape"]), job.given["classes"])
    return {"layers": describe(found, f"{job.key} {job.name}")}, {}


def _strategy(job: CallJob, function: Callable[..., Any]) -> Found:
    from parties.learning.selection import Candidates  # noqa: PLC0415  only this kind needs it

    candidates = Candidates.read(job.inputs, job.given["seed"])
    return {}, {"scores": _numbers(job, "scores", called(job, function, candidates))}


def _release(job: CallJob, function: Callable[..., Any]) -> Found:
    return _plain(job, _mapping(job, called(job, function, job.given["parties"], job.given["classes"]))), {}


_KINDS: dict[str, Callable[[CallJob, Callable[..., Any]], Found]] = {
    "dataset": _dataset,
    "models": _model,
    "strategy": _strategy,
    "release": _release,
}


def main() -> int:
    """Run the child and return its exit status. A `CallJob` comes on standard input."""
    job = CallJob.model_validate_json(sys.stdin.read())
    output, sys.stdout = sys.stdout, sys.stderr  # what the user's code prints is no part of the result
    try:
        with lifetime(job.supervisor.pid, job.supervisor.started, math.inf):
            plain, arrays = _KINDS[job.key](job, function_of(job))
            buffer, named = io.BytesIO(), {f"{ARRAY}{name}": array for name, array in arrays.items()}
            np.savez(buffer, **{PLAIN: np.array(json.dumps(plain))}, **named)  # type: ignore[arg-type]
            write_private(job.output, buffer.getvalue())
    except (Ended, MpcError, PartyError, SystemExit) as error:
        print(
            f"{job.key} {job.name}: it ended its process" if isinstance(error, SystemExit) else error, file=sys.stderr
        )
        return 1
    finally:
        sys.stdout = output
    return 0


if __name__ == "__main__":
    sys.exit(main())
