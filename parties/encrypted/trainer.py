"""The trainer: computes on what others have encrypted. It holds no private key and asks for none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from mpc.encrypted.training import trainer_train
from parties.encrypted.container import Container, FileError, Header, read_container, write_container
from parties.encrypted.jobs import RIDGE, check_parts, check_rate, following, header_of, job_of, match, ridge_header
from parties.encrypted.keys import signing_key
from parties.encrypted.pooling import solve_file


@dataclass(frozen=True)
class Trained:
    """What was made: the header of the data, whose it was, and sizes and times."""

    header: Header
    model_bytes: int
    seconds: float
    training_seconds: float


def train_on_encrypted_data(
    data: Path,
    public_key: Path,
    output: Path,
    keys: Path,
    rate: float | None,
    signed_by: str | None,
    tell: Callable[[int, int], None],
) -> Trained:
    """Train on encrypted records and write the encrypted model.

    Args:
        keys: the folder of the trainer's own signing key.
        tell: is told how many iterations are done, of how many.

    Raises:
        PartyError: the files are not what they should be, or do not belong together.
        MpcError: their content is not what it should be.
    """
    started = perf_counter()
    records = read_container(data, "data", signed_by)
    pooled = records.header.algorithm == RIDGE  # what was added up is signed by whoever did
    public = read_container(public_key, "public key", None if pooled else records.header.fingerprint)
    match(data, records.header, public_key, public.header)
    if not pooled:
        check_rate(data, records.header, rate)
    elif rate is not None:
        raise FileError(f"learning_rate: expected none for ridge regression ({data}), found {rate:g}")
    begun = perf_counter()
    train = _solve if pooled else _descend
    header, weights = train(data, records, public_key, public, tell)
    ended = perf_counter()
    write_container(output, header, weights, signing_key(keys))
    return Trained(records.header, output.stat().st_size, perf_counter() - started, ended - begun)


def _descend(
    data: Path, records: Container, public_key: Path, public: Container, tell: Callable[[int, int], None]
) -> tuple[Header, dict[str, bytes]]:
    job = job_of(data, records.header)
    check_parts(data, records.header, job.record_sizes())
    check_parts(public_key, public.header, job.key_sizes())
    weights, total = {}, job.targets * job.choices.iterations
    for done, step in enumerate(trainer_train(job, public.parts, records.parts), 1):
        tell(done, total)
        if step.weights is not None:
            weights[f"weights {step.target}"] = step.weights
    header = header_of("model", job, records.header.key_id, records.digest)
    return following(header, records.header), weights


def _solve(
    data: Path, records: Container, public_key: Path, public: Container, tell: Callable[[int, int], None]
) -> tuple[Header, dict[str, bytes]]:
    job, weights = solve_file(data, records, public_key, public, tell)
    header = ridge_header("model", job, records.header.key_id, records.digest)
    return following(header, records.header), weights
