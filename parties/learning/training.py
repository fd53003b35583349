"""Training a party's model on its own records, in a child process, with the result kept for the next run.

The child (``python -m parties.learning.training``) imports torch or scikit-learn. It trains on one thread under a fixed
seed, writes the weights into the party's private cache and ends. A party that serves thus never holds torch in memory.
The child ends with its party, and a signal that ends it leaves no half-written model.
The file's name is a digest of records, architecture, seed and every hyper-parameter.
"""

from __future__ import annotations

import fcntl
import hashlib
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from mpc.extras import missing
from parties.frame.errors import PartyError
from parties.frame.lifetime import Ended, lifetime, process_started
from parties.frame.settings import Supervisor
from parties.frame.start import python_command
from parties.learning.models import SKLEARN, Model
from parties.learning.records import DataError, Records
from parties.learning.training_settings import TrainingSettings

_FORMAT = 3  # raise it when the same settings would train another model, or its layers are described otherwise


class TrainingError(PartyError):
    """Training failed. The message is one sentence."""


class TrainingJob(BaseModel):
    """The child's task, with the paths of the records and of the model. The child exits when `supervisor` is gone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: TrainingSettings
    records: Path
    model: Path
    supervisor: Supervisor


def model_path(settings: TrainingSettings, records: Records, cache: Path) -> Path:
    """Return the file in the party's cache for exactly this model."""
    key = f"{_FORMAT}\n{settings.model_dump_json()}\n{settings.layers}\n{records.digest()}"
    return cache / f"model-{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"


def trained_model(settings: TrainingSettings, records: Path, cache: Path, slot: Path) -> tuple[Model, bool]:
    """Return the party's model, and whether the cache had it.

    `slot` is a lock file. Of the parties that share one, a single one trains at a time.
    Raises `TrainingError` when the child fails.
    """
    path = model_path(settings, Records.read(records), cache)
    if path.exists():
        try:
            return Model.read(path, settings.image_shape, settings.layers), True
        except DataError:
            path.unlink()  # a damaged cache is no reason to fail: train again
    supervisor = Supervisor(pid=os.getpid(), started=process_started(os.getpid()))
    job = TrainingJob(settings=settings, records=records, model=path, supervisor=supervisor)
    with _turn(slot):
        child = subprocess.run(
            python_command("parties.learning.training"),
            input=job.model_dump_json().encode(),
            capture_output=True,
            check=False,
        )
    if child.returncode != 0:
        raise TrainingError(f"training the model failed: {_ending(child)}")
    return Model.read(path, settings.image_shape, settings.layers), False


def _ending(child: subprocess.CompletedProcess[bytes]) -> str:
    """Say how the child ended, by its own last words where it has chosen its end."""
    if child.returncode < 0:
        return f"its process was ended by {signal.Signals(-child.returncode).name}"
    words = child.stderr.decode(errors="replace").strip().splitlines()
    return words[-1] if words else f"its process ended with status {child.returncode} and no message"


@contextmanager
def _turn(slot: Path) -> Iterator[None]:
    slot.parent.mkdir(parents=True, exist_ok=True)
    with slot.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # freed with the file, also when the process dies
        yield


def missing_to_train(settings: TrainingSettings) -> str:
    """Return what is wrong where the framework that would train this model is not installed, or nothing."""
    if settings.architecture in SKLEARN:
        return ""
    complaint = missing("torch", f"training {settings.architecture}")
    return complaint and f"{complaint}; models that scikit-learn trains are {', '.join(SKLEARN)}"


def train(settings: TrainingSettings, records: Records) -> Model:
    """Train by the framework that the architecture belongs to. The same input gives the same weights.

    Raises `TrainingError` where that framework is not installed.
    """
    if complaint := missing_to_train(settings):
        raise TrainingError(f"{complaint}.")
    if settings.architecture in SKLEARN:
        from parties.learning.training_sklearn import fit  # noqa: PLC0415  only the child pays for it
    else:
        from parties.learning.training_torch import fit  # noqa: PLC0415  only the child pays for it
    return fit(settings, records)


def main() -> int:
    """Run the child and return its exit status. A `TrainingJob` comes on standard input."""
    job = TrainingJob.model_validate_json(sys.stdin.read())
    try:
        with lifetime(job.supervisor.pid, job.supervisor.started, math.inf):
            train(job.settings, Records.read(job.records)).write(job.model)
    except (Ended, TrainingError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
