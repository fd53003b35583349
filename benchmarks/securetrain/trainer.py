"""The project's trainer in a process of its own, which takes turns with its peers.

    python -m benchmarks.securetrain.trainer --folder FOLDER [--table FILE --steps STEPS]

It reads the files that the commands make, and writes ``trained.enc`` for ``decrypt-model``. With a table it has records
of its own, and the model is encrypted.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.turns import take_turns
from mpc.encrypted.private_model import records_owner_train
from mpc.encrypted.programs.squared import Squared, linear_map
from mpc.encrypted.training import trainer_train
from parties.encrypted.container import read_container, write_container
from parties.encrypted.jobs import following, header_of, job_of, private_header, private_job_of
from parties.encrypted.keys import PUBLIC, signing_key

DATA, MODEL, TRAINED = "records.enc", "model.enc", "trained.enc"


def on_records(folder: Path) -> None:
    """Train on encrypted records."""
    data, public = read_container(folder / DATA, "data"), read_container(folder / PUBLIC, "public key")
    job = job_of(folder / DATA, data.header)
    made: dict[str, bytes] = {}

    def work() -> None:
        for step in trainer_train(job, public.parts, data.parts):
            if step.weights is not None:
                made[f"weights {step.target}"] = step.weights

    def end() -> dict[str, Any]:
        header = following(header_of("model", job, data.header.key_id, data.digest), data.header)
        write_container(folder / TRAINED, header, made, signing_key(folder))
        return {}

    take_turns({}, work, end)


def on_a_model(folder: Path, records: Path, steps: int) -> None:
    """Train an encrypted model on records of one's own, which are prepared already."""
    given, public = read_container(folder / MODEL, "encrypted model"), read_container(folder / PUBLIC, "public key")
    job = private_job_of(folder / MODEL, given.header)
    with np.load(records) as file:
        prepared, labels, rate = file["records"], file["labels"], float(file["rate"])
    made: dict[str, Any] = {}

    def work() -> None:
        maps = [linear_map(prepared, labels, Squared(rate, steps))]
        made["parts"], made["flood"] = records_owner_train(job, public.parts, given.parts, maps)

    def end() -> dict[str, Any]:
        header = following(private_header("model", job, given.header.key_id, given.digest), given.header)
        write_container(folder / TRAINED, header, made["parts"], signing_key(folder))
        return {"flood_bits": made["flood"].bits}

    take_turns({}, work, end)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--steps", type=int, default=0)
    chosen = parser.parse_args()
    if chosen.table is None:
        on_records(chosen.folder)
    else:
        on_a_model(chosen.folder, chosen.table, chosen.steps)


if __name__ == "__main__":
    main()
