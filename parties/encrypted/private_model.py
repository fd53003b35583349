"""A model that its owner does not show, trained on records that their owner does not show. Both sides, by files.

    model's owner     encrypt_model  ->  the encrypted model, keys/public.key
    records' owner    train_model    ->  the trained model, encrypted under the model owner's key
    model's owner     decrypt_model  ->  the model in the clear

What was done to features, such as means and directions, goes with the encrypted model in the clear, because the
records' owner does the same to its own. It was computed from the records that the model was first trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from mpc.encrypted.private_model import (
    Flood,
    PrivateModelJob,
    model_owner_decrypt,
    model_owner_encrypt,
    model_owner_make_keys,
    records_owner_train,
)
from mpc.encrypted.programs.squared import Squared, linear_map
from mpc.encrypted.training import owner_make_secret
from parties.encrypted.answers import Answer, Answered, record_answer
from parties.encrypted.container import (
    MAGIC,
    Container,
    FileError,
    Header,
    pack_container,
    read_container,
    write_container,
    write_packed,
)
from parties.encrypted.jobs import (
    check_parts,
    following,
    key_job,
    match,
    of_preparation,
    private_header,
    private_job_of,
)
from parties.encrypted.kept import PREPARATION, pack_preparation, preparation_from, read_preparation
from parties.encrypted.keys import (
    PRIVATE,
    PUBLIC,
    KeyFileError,
    PrivateKey,
    Release,
    check_key_id,
    new_seed,
    record_release,
    signing_key,
    write_private_key,
)
from parties.encrypted.model import LinearModel
from parties.encrypted.records import LabelledTable
from parties.frame.private_files import write_private
from parties.learning.records import DataError

Floats = NDArray[np.float64]
_IN_THE_FILE = "preparation"


@dataclass(frozen=True)
class EncryptedModel:
    """What was made: the header, sizes and seconds."""

    header: Header
    model_bytes: int
    key_bytes: int
    seconds: float


def encrypt_model(model: Path, output: Path, keys: Path, passphrase: str | None) -> EncryptedModel:
    """Make keys and encrypt a model's weights.

    Raises:
        PartyError: the file is no model in the clear, or there are keys already.
    """
    started = perf_counter()
    if model.is_file() and model.open("rb").read(len(MAGIC)) == MAGIC:
        raise FileError(
            f"{model}: expected a model in the clear, found one that is encrypted already: give it back as it is to "
            "the holder of its private key, who alone can decrypt it. A private key is never sent to anybody"
        )
    kept = plain_model(model)
    if (keys / PRIVATE).exists():
        raise KeyFileError(
            f"{keys / PRIVATE}: expected no private key yet, found one: a key pair serves one job, so choose another "
            "--keys_dir"
        )
    job = PrivateModelJob.of(kept.preparation.outputs, len(kept.weights))
    seed = new_seed()
    secret = owner_make_secret(job.parameters, seed)
    key_id = secret.key_id.hex()
    public, weights = model_owner_make_keys(job, secret), model_owner_encrypt(job, secret, kept.weights)
    shown = LinearModel.untrained(kept.preparation, kept.classes, kept.degree)
    signer = signing_key(keys)
    content, preparation_digest = pack_preparation(shown, key_id)
    header = of_preparation(private_header("encrypted model", job, key_id), "", preparation_digest)
    encrypted, digest = pack_container(header, weights | {_IN_THE_FILE: content}, signer)
    write_private_key(keys / PRIVATE, PrivateKey(seed, key_job(header, digest), key_id), passphrase)
    write_private(keys / PREPARATION, content)
    write_container(keys / PUBLIC, following(private_header("public key", job, key_id), header), public, signer)
    write_packed(output, encrypted)
    header = read_container(output, "encrypted model").header
    return EncryptedModel(header, output.stat().st_size, (keys / PUBLIC).stat().st_size, perf_counter() - started)


def plain_model(path: Path) -> LinearModel:
    """Read a model in the clear that others are to train on their records as they are. Raises `DataError`."""
    kept = LinearModel.read(path)
    if kept.preparation.extractor:
        raise DataError(
            f"{path}: expected a model of records as they are, found a last layer on features of the extractor "
            f"{kept.preparation.extractor[:16]}: an encrypted model takes no extractor"
        )
    return kept


@dataclass(frozen=True)
class TrainedModel:
    """What was made: the header of the encrypted model, the rate, what the flood is worth, sizes and seconds."""

    header: Header
    rate: float
    cut: int
    flood: Flood
    answered: Answered
    model_bytes: int
    seconds: float


def train_model(
    model: Path,
    public_key: Path,
    output: Path,
    keys: Path,
    table: LabelledTable,
    rate: float | None,
    iterations: int,
    signed_by: str | None,
    moments_known: bool = False,
) -> TrainedModel:
    """Train an encrypted model on records in the clear, as their owner, and write the result, encrypted and flooded.

    Raises:
        PartyError: the files are not what they should be, the records have other classes or features, or they would
            answer so often that their second moments are known, without `moments_known`.
        RangeError: the rate is too large for these records.
    """
    started = perf_counter()
    given = read_container(model, "encrypted model", signed_by)
    public = read_container(public_key, "public key", given.header.fingerprint)
    match(model, given.header, public_key, public.header)
    job = private_job_of(model, given.header)
    shown = _shown(model, job, given)
    weights = {name: part for name, part in given.parts.items() if name != _IN_THE_FILE}
    check_parts(public_key, public.header, job.key_sizes())
    done = train_on_records(job, public.parts, weights, shown, table, rate, iterations)
    answer = Answer(given.header.key_id, given.digest, job.targets)
    answered = record_answer(keys, table, answer, shown.preparation.outputs, moments_known)
    header = following(private_header("model", job, given.header.key_id, given.digest), given.header)
    write_container(output, header, done.results, signing_key(keys))
    seconds = perf_counter() - started
    return TrainedModel(given.header, done.rate, done.cut, done.flood, answered, output.stat().st_size, seconds)


@dataclass(frozen=True)
class TrainedWeights:
    """What the records' owner makes of encrypted weights: the results by name, the rate, what was cut and the flood."""

    results: Mapping[str, bytes]
    rate: float
    cut: int
    flood: Flood


def train_on_records(
    job: PrivateModelJob,
    keys: Mapping[str, bytes],
    weights: Mapping[str, bytes],
    shown: LinearModel,
    table: LabelledTable,
    rate: float | None,
    iterations: int,
) -> TrainedWeights:
    """Train encrypted weights on records in the clear, as their owner, and flood the results.

    Args:
        shown: how the model's owner prepares features, and its classes.
        rate: without one it is the reciprocal of the largest variance of the prepared records.

    Raises:
        FileError: the records have other classes. DataError: they have other features.
        RangeError: the rate is too large for these records.
    """
    if table.classes != shown.classes:
        raise FileError(
            f"dataset: expected the model's classes {', '.join(shown.classes)}, found {', '.join(table.classes)}"
        )
    maps, choices, cut = maps_of(shown, table, rate, iterations)
    results, flood = records_owner_train(job, keys, weights, maps)
    return TrainedWeights(results, choices.rate, cut, flood)


def maps_of(
    shown: LinearModel, table: LabelledTable, rate: float | None, iterations: int
) -> tuple[list[tuple[Floats, Floats]], Squared, int]:
    """Return each target's map ``w -> A w + c`` of all steps on a table, the steps, and how many numbers were cut."""
    prepared, cut = shown.preparation.prepare(table)
    largest = float(np.linalg.eigvalsh(prepared.T @ prepared / len(prepared))[-1])
    choices = Squared(1 / largest if rate is None else rate, iterations)
    return [linear_map(prepared, table.signs(target), choices) for target in range(table.targets)], choices, cut


def _shown(path: Path, job: PrivateModelJob, given: Container) -> LinearModel:
    """Return the preparation in an encrypted model's file, whose parts are those of the job and this one."""
    sizes = {part.name: part.size for part in given.header.parts if part.name != _IN_THE_FILE}
    if _IN_THE_FILE not in given.parts or sizes != job.model_sizes():
        raise FileError(f"{path}: expected the weights of {job.targets} targets and a preparation, found other parts")
    content = given.parts[_IN_THE_FILE]
    preparation_from(path, content, given.header.key_id, given.header.preparation)
    return shown_model(path, job, content)


def shown_model(source: Path, job: PrivateModelJob, content: bytes) -> LinearModel:
    """Return how features are prepared for an encrypted model, as its owner shows it. Errors name the source.

    Raises:
        DataError: it is no model in the clear. FileError: it is one of another shape than the job.
    """
    shown = LinearModel.from_bytes(source, content)
    if PrivateModelJob.of(shown.preparation.outputs, len(shown.weights)) != job:
        raise FileError(f"{source}: expected a preparation that gives {job.features} numbers at most, found another")
    return shown


def decrypt_private_model(
    path: Path, found: Container, private_path: Path, key: PrivateKey, output: Path
) -> LinearModel:
    """Decrypt a model that was trained by the records' owner, and write it. It answers once for a key pair.

    Raises:
        PartyError: the file is not what it should be, or the key pair has released something else.
    """
    job = private_job_of(path, found.header)
    check_parts(path, found.header, job.result_sizes())
    kept = read_preparation(private_path.with_name(PREPARATION), key.key_id, key.job.preparation)
    if PrivateModelJob.of(kept.preparation.outputs, len(kept.weights)) != job:
        raise FileError(f"{path}: expected a model of {len(kept.weights)} targets as in {PREPARATION}, found another")
    secret = owner_make_secret(key.job.parameters, key.seed)
    check_key_id(private_path, key, secret.key_id)
    record_release(private_path.parent, key.key_id, Release(found.digest, verified=False))
    weights = [model_owner_decrypt(job, secret, found.parts[f"weights {target}"]) for target in range(job.targets)]
    model = model_of(kept, weights)
    model.write(output)
    return model


def model_of(kept: LinearModel, weights: Sequence[Floats]) -> LinearModel:
    """Return the trained model in the clear, from each target's decrypted numbers ``(d',)``."""
    stacked = np.stack(weights)[:, : kept.preparation.outputs]
    return LinearModel(stacked, kept.preparation, kept.classes, kept.degree)
