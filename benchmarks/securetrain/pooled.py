"""Ridge regression on moments, with one key and with a key that three owners hold together.

``ridge`` is the training alone, for one key, by the number of features. ``pooled`` is a whole run of three owners and a
trainer as processes over TLS on this machine, from their keys to the model that is opened with noise.
"""

from __future__ import annotations

import json
import math
import secrets
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.peers.turns import clocked
from benchmarks.securetrain.rivals import ROOT, Row
from mpc.encrypted.packing import Floats
from mpc.encrypted.pooled import (
    RidgeJob,
    bound,
    foresee_ridge,
    holder_decrypt,
    holder_make_keys,
    owner_encrypt_moments,
    owner_moments,
    trainer_solve,
)
from mpc.encrypted.programs.ridge import Ridge
from mpc.encrypted.training import owner_make_secret
from parties.learning.idx import find_idx, read_idx

SIZES = (32, 64, 128, 256)
CHOICES = Ridge(0.025, 0.5, 8)
RECORDS = 2000
DEADLINE_S = 900.0
BREAST_CANCER, DIGITS = "breast cancer", "MNIST, 3 against 8, 14 x 14"


def measure_ridge(size: int, rounds: int) -> Row:
    """Train on the encrypted moments of random records of so many features, and compare with the twin.

    Raises:
        ValueError: the weights are not within the derived bound of the twin's.
    """
    random = np.random.default_rng(size)
    records = random.normal(size=(RECORDS, size)) * np.linspace(1, 0.1, size)
    records /= np.linalg.norm(records, axis=1, keepdims=True)
    signs = np.where(records @ random.normal(size=size) > 0, 1.0, -1.0)[None]
    job = RidgeJob.of(RECORDS, size, CHOICES)
    moments = owner_moments(job, records, signs)
    twin = foresee_ridge(job, *moments)
    secret = owner_make_secret(job.parameters, secrets.token_bytes(32))
    keys, parts = holder_make_keys(job, secret), owner_encrypt_moments(job, secret, *moments)
    found: list[Floats] = []

    def work() -> None:
        found.append(holder_decrypt(job, secret, trainer_solve(job, keys, parts)))

    turns = [clocked(work) for _ in range(rounds)]
    error = max(float(np.abs(one - twin).max()) for one in found)
    if not error <= bound(job):
        raise ValueError(f"expected weights within {bound(job):.2g} of the twin's, found {error:.2g}")
    return {
        "turns": turns,
        "error": error,
        "bound": bound(job),
        "key_bytes": sum(job.key_sizes().values()),
        "data_bytes": sum(job.moment_sizes(seeded=True).values()),
    }


def small_digits(folder: Path) -> tuple[Floats, np.ndarray[Any, Any]]:
    """Return the threes and eights of MNIST's test files as averages of 2 x 2 pixels ``(n, 196)``, and their names.

    Raises:
        ValueError: a file is missing.
    """
    paths = [find_idx(folder, f"t10k-{name}-ubyte") for name in ("images-idx3", "labels-idx1")]
    if paths[0] is None or paths[1] is None:
        raise ValueError(f"{folder}: expected t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, found one missing")
    images, labels = read_idx(paths[0], 3), read_idx(paths[1], 1)
    chosen = np.isin(labels, (3, 8))
    small: Floats = images[chosen].reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(-1, 196)
    return small, labels[chosen]


def _free_port() -> int:
    """Return a port that was free a moment ago, as most likely the next one is."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measure_pooled(work: str, folder: Path, digits: Path | None) -> Row:
    """Run three owners and a trainer as processes.

    Args:
        folder: for the run's files.
        digits: the folder of MNIST, for the work that needs it.

    Raises:
        ValueError: the run has failed, or its model is far from the same in the clear.
    """
    given = yaml.safe_load((ROOT / "configs" / "pooled-training.yaml").read_text())
    if work == DIGITS and digits is not None:
        features, labels = small_digits(digits)
        np.savez(folder / "digits.npz", X=features, y=labels)
        given["securetrain"]["dataset"] = str(folder / "digits.npz")
    (folder / "run.yaml").write_text(yaml.safe_dump(given))
    command = [
        sys.executable, "run_protocol.py", "--config", str(folder / "run.yaml"), "--launcher", "process",
        "--start_port", str(_free_port()), "--files_dir", str(folder / "files"),
        "--logs_dir", str(folder / "logs"),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
    if done.returncode:
        raise ValueError(f"{work}: expected a run that ends well, found\n{done.stderr[-2000:]}")
    (path,) = (folder / "files").glob("*/result.json")
    *owners, trainer = json.loads(path.read_text())["result"]["reports"]
    first = owners[0]
    if not abs(first["accuracy"] - first["twin"]["accuracy"]) < 4 * math.sqrt(0.25 / first["held_out"]):
        raise ValueError(f"{work}: expected an accuracy near that in the clear, found {first['accuracy']:.3f}")
    return {
        "seconds": max(one["seconds"] for one in owners),
        "training_seconds": trainer["training_seconds"],
        "sent": max(one["sent"] for one in owners),
        "received": max(one["received"] for one in owners),
        "trainer_sent": trainer["sent"],
        "accuracy": first["accuracy"],
        "twin": first["twin"],
        "leak": first["leak"],
        "records": trainer["seen"]["records"],
    }
