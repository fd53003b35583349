"""The trainer: computes on what others have encrypted. It holds no private key and asks for none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from mpc.encrypted.training import trainer_train
from parties.encrypted.container import Header, read_container, write_container
from parties.encrypted.jobs import check_parts, check_rate, header_of, job_of, match
from parties.encrypted.keys import signing_key


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
    public = read_container(public_key, "public key", records.header.fingerprint)
    match(data, records.header, public_key, public.header)
    check_rate(data, records.header, rate)
    job = job_of(data, records.header)
    check_parts(data, records.header, job.record_sizes())
    check_parts(public_key, public.header, job.key_sizes())
    begun = perf_counter()
    weights, total = {}, job.targets * job.choices.iterations
    for done, step in enumerate(trainer_train(job, public.parts, records.parts), 1):
        tell(done, total)
        if step.weights is not None:
            weights[f"weights {step.target}"] = step.weights
    ended = perf_counter()
    header = header_of("model", job, records.header.key_id, records.digest)
    write_container(output, header, weights, signing_key(keys))
    return Trained(records.header, output.stat().st_size, perf_counter() - started, ended - begun)
