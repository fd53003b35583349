"""A party's model, trained on its own records or taken from its own file, in a child process that is kept for later.

The child (``python -m parties.learning.training``) imports torch, onnx or scikit-learn. It trains on one thread under a
fixed seed, or converts the file, writes the model into the party's private cache and ends. A party that serves thus
never holds such a library in memory. The child ends with its party, and a signal that ends it leaves no half-written
model. The file's name is a digest of records, architecture, seed and every hyper-parameter, or of the file and what it
is fitted to.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from mpc.errors import MpcError
from mpc.extras import missing
from parties.frame.child import ending, run_child
from parties.frame.errors import PartyError
from parties.frame.lifetime import Ended, lifetime, process_started
from parties.frame.private_files import write_private
from parties.frame.progress import Progress
from parties.frame.settings import Supervisor
from parties.learning.model_files.layers_file import read_layers, write_layers
from parties.learning.model_files.source import missing_to_read
from parties.learning.models import SKLEARN, Model
from parties.learning.records import DataError, Records
from parties.learning.training_settings import TrainingSettings

if TYPE_CHECKING:
    from parties.learning.model_files.conversion import Report

_FORMAT = 3  # raise it when the same settings would train another model, or its layers are described otherwise


OWN_MODEL = "own-model.txt"
"""What a party is told about its model from a file, in its private folder that outlives the run."""


class TrainingError(PartyError):
    """Training failed. The message is one sentence."""


class TrainingJob(BaseModel):
    """The child's task, with the paths of the records and of the model. The child exits when `supervisor` is gone.

    Attributes:
        start: the model to train further, or None to train a new one or to convert a file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: TrainingSettings
    records: Path
    model: Path
    supervisor: Supervisor
    start: Path | None = None


def model_path(settings: TrainingSettings, records: Records, cache: Path, further: bool = False) -> Path:
    """Return the file in the party's cache for exactly this model."""
    layers = f"{settings.layers}" if settings.source is None else f"further {further}"
    key = f"{_FORMAT}\n{settings.identity()}\n{layers}\n{records.digest()}"
    return cache / f"model-{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"


def trained_model(settings: TrainingSettings, records: Path, cache: Path, slot: Path) -> tuple[Model, bool]:
    """Return the party's model, and whether the cache had it.

    A model from a file is converted and fitted. Its report for the owner lies beside it in the cache, see
    :func:`own_report`. `slot` is a lock file. Of the parties that share one, a single one trains at a time.
    Raises `TrainingError` when the child fails.
    """
    path = model_path(settings, Records.read(records), cache)
    if path.exists() and (settings.source is None or (settings.source.cacheable and _report_of(path).exists())):
        try:
            return _read(path, settings), True
        except DataError:
            path.unlink()  # a damaged cache is no reason to fail: train again
    _in_child(_job(settings, records, path), slot)
    return _read(path, settings), False


def trained_further(
    settings: TrainingSettings, start: Path, records: Path, cache: Path, slot: Path
) -> tuple[Model, bool]:
    """Return the party's model after more training, and whether the cache had it.

    A model of an architecture is trained anew on these records. One from a file goes on from its weights. `start` holds
    the records that it was converted with.
    """
    if settings.source is None:
        return trained_model(settings, records, cache, slot)
    path = model_path(settings, Records.read(records), cache, further=True)
    if path.exists() and settings.source.cacheable:
        try:
            return _read(path, settings), True
        except DataError:
            path.unlink()
    _in_child(_job(settings, records, path, model_path(settings, Records.read(start), cache)), slot)
    return _read(path, settings), False


def own_report(settings: TrainingSettings, records: Path, cache: Path) -> list[str]:
    """Return what the owner of a model from a file is told about it, in sentences that are for the owner alone."""
    path = _report_of(model_path(settings, Records.read(records), cache))
    try:
        return [str(line) for line in json.loads(path.read_bytes())["lines"]]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} cannot be read as a report about a model ({type(error).__name__})") from error


def _report_of(model: Path) -> Path:
    return model.with_suffix(".json")


def tell_owner(settings: TrainingSettings, cache: Path, folder: Path, progress: Progress) -> None:
    """Write what the owner of a model from a file is told about it beside the model, for the owner alone.

    The log, which everybody may read, says only where.
    """
    if settings.source is None:
        return
    lines = own_report(settings, folder / "records.npz", cache)
    write_private(cache / OWN_MODEL, "".join(f"{line}\n" for line in lines).encode())
    progress.note(f"what was found about the model is for its owner alone, in {OWN_MODEL} in the private cache")


def _read(path: Path, settings: TrainingSettings) -> Model:
    if settings.source is None:
        return Model.read(path, settings.image_shape, settings.layers)
    layers, shape, _ = read_layers(path)
    if shape != settings.image_shape:
        raise DataError(f"{path}: expected a model for records of {settings.image_shape}, found {shape}")
    return Model(settings.image_shape, layers)


def _job(settings: TrainingSettings, records: Path, model: Path, start: Path | None = None) -> TrainingJob:
    supervisor = Supervisor(pid=os.getpid(), started=process_started(os.getpid()))
    return TrainingJob(settings=settings, records=records, model=model, supervisor=supervisor, start=start)


def _in_child(job: TrainingJob, slot: Path) -> None:
    with _turn(slot):
        child = run_child("parties.learning.training", job, imports=_imports(job))
    if child.returncode != 0:
        what = "training the model failed" if job.settings.source is None else "the party's own model"
        raise TrainingError(f"{what}: {ending(child)}")


def _imports(job: TrainingJob) -> tuple[str, ...]:
    """Return what the child imports for its job, of which nothing depends on the party."""
    if job.settings.source is not None and job.start is None:
        return ("parties.learning.model_files.conversion",)
    by_scikit_learn = job.settings.architecture in SKLEARN and job.start is None
    return ("parties.learning.training_sklearn" if by_scikit_learn else "parties.learning.training_torch",)


@contextmanager
def _turn(slot: Path) -> Iterator[None]:
    slot.parent.mkdir(parents=True, exist_ok=True)
    with slot.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # freed with the file, also when the process dies
        yield


def missing_to_train(settings: TrainingSettings) -> str:
    """Return what is wrong where what trains this model, or converts its file, is not installed, or nothing."""
    if settings.source is not None:
        return missing_to_read(settings.source)
    if settings.architecture in SKLEARN:
        return ""
    complaint = missing("torch", f"training {settings.architecture}")
    return complaint and f"{complaint}; models that scikit-learn trains are {', '.join(SKLEARN)}"


def missing_to_train_further(settings: TrainingSettings) -> str:
    """Return what is wrong where what trains a model further that comes from a file is not installed, or nothing."""
    if settings.source is None:
        return missing_to_train(settings)
    complaint = missing("torch", "training a model from a file further")
    return complaint and f"{complaint}; a party without torch can ask with an architecture that scikit-learn trains"


def train(settings: TrainingSettings, records: Records, start: Model | None = None) -> Model:
    """Train by the framework that the architecture belongs to, or further from a model.

    Of a `source` alone nothing is trained. The file is converted. The same input gives the same weights.
    Raises `TrainingError` where what does that is not installed.
    """
    if settings.source is not None and start is None:
        return _converted(settings, records)[0]
    if complaint := missing_to_train(settings) if start is None else missing_to_train_further(settings):
        raise TrainingError(f"{complaint}.")
    if settings.architecture in SKLEARN and start is None:
        from parties.learning.training_sklearn import fit  # noqa: PLC0415  only the child pays for it

        return fit(settings, records)
    from parties.learning.training_torch import fit as fit_by_torch  # noqa: PLC0415  only the child pays for it

    return fit_by_torch(settings, records, start)


def _converted(settings: TrainingSettings, records: Records) -> tuple[Model, Report]:
    """Return the model of a party's own file, and the report for its owner."""
    if complaint := missing_to_train(settings):
        raise TrainingError(f"{complaint}.")
    from parties.learning.model_files.conversion import convert  # noqa: PLC0415  only the child pays for it

    return convert(settings, records)


def main() -> int:
    """Run the child and return its exit status. A `TrainingJob` comes on standard input."""
    job = TrainingJob.model_validate_json(sys.stdin.read())
    records, source = Records.read(job.records), job.settings.source
    try:
        with lifetime(job.supervisor.pid, job.supervisor.started, math.inf):
            if source is None:
                train(job.settings, records).write(job.model)
                return 0
            if job.start is not None:
                model = train(job.settings, records, _read(job.start, job.settings))
            else:
                model, report = _converted(job.settings, records)
                write_private(_report_of(job.model), json.dumps(report.plain()).encode())
            write_layers(job.model, model.layers, model.image_shape, source.class_names)
    except (Ended, MpcError, PartyError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
