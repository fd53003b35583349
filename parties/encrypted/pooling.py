"""Ridge regression on records of several owners, by files.

    key's holder   encrypt_moments  ->  keys/private.key      for the holder alone
                                        keys/preparation.npz  for the other owners: how features are prepared
                                        keys/public.key       for the other owners and the trainer
                                        its encrypted moments
    other owners   join_moments     ->  their encrypted moments, under the holder's key
    anybody        pool             ->  the sum of all moments, encrypted
    trainer        solve_file       ->  the encrypted weights
    key's holder   decrypt_ridge    ->  the model in the clear

The holder is an owner here, and must not get what the others have encrypted. Whoever adds and trains must not be the
holder. How features are prepared was computed from the holder's records and goes to the other owners in the clear.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations
from pathlib import Path
from time import perf_counter

import msgspec
import numpy as np
from numpy.typing import NDArray

from mpc.encrypted.packing import power_of_two
from mpc.encrypted.pooled import (
    MOST_FEATURES,
    RidgeJob,
    add_moments,
    bound,
    check_bound,
    foresee_ridge,
    holder_decrypt,
    holder_make_keys,
    largest_eigenvalue,
    owner_encrypt_moments,
    owner_moments,
    owner_public_key,
    trainer_solve,
)
from mpc.encrypted.programs.ridge import Ridge
from mpc.encrypted.ranges import Foreseen
from mpc.encrypted.release import verified
from mpc.encrypted.training import owner_make_secret
from parties.encrypted.container import (
    Container,
    FileError,
    Header,
    pack_container,
    read_container,
    write_container,
    write_packed,
)
from parties.encrypted.jobs import check_parts, following, key_job, match, of_preparation, ridge_header, ridge_job_of
from parties.encrypted.kept import PREPARATION, pack_preparation, read_preparation
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
from parties.encrypted.preparation import Preparation
from parties.encrypted.records import LabelledTable
from parties.frame.private_files import write_private
from parties.learning.records import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MomentChoices:
    """What the key's holder chooses for all owners.

    Attributes:
        records: n', which all owners together have at most, or None for the holder's own, padded to a power of two.
    """

    ridge: Ridge
    records: int | None
    components: int | None
    whiten: float | None
    clip: float
    norm: float | None


@dataclass(frozen=True)
class EncryptedMoments:
    """What was made: the header and the job, how much was cut, the owner's largest eigenvalue, sizes and seconds.

    Attributes:
        key_bytes: of the public key, or 0 where another owner has made the keys.
    """

    header: Header
    job: RidgeJob
    cut: int
    numbers: int
    eigenvalue: float
    data_bytes: int
    key_bytes: int
    seconds: float


def share_of(records: int) -> int:
    """Return how many records others are told at most: their number, rounded up to what three bits and zeros say."""
    step = 1 << max(0, records.bit_length() - 3)
    return -(-records // step) * step


def encrypt_moments(
    table: LabelledTable, output: Path, keys: Path, choices: MomentChoices, passphrase: str | None
) -> EncryptedMoments:
    """Make keys and encrypt the moments of an owner's records. Nothing is written before they were checked.

    Raises:
        PartyError: there are keys already, or a file cannot be written.
        MpcError: the records are out of the range that was chosen.
    """
    started = perf_counter()
    if (keys / PRIVATE).exists():
        raise KeyFileError(
            f"{keys / PRIVATE}: expected no private key yet, found one: a key pair serves one job, so choose another "
            "--keys_dir"
        )
    _check_width(table, choices.components)
    records = choices.records or power_of_two(len(table.features))
    share = _share(len(table.features), records)
    preparation = Preparation.of(
        table.features, choices.components, choices.whiten, choices.clip, choices.norm, table.extractor
    )
    job = RidgeJob.of(records, power_of_two(preparation.outputs), choices.ridge, table.targets)
    prepared, signs, cut = _prepared(job, preparation, table, table.classes)
    moments = owner_moments(job, prepared, signs)
    foresee_ridge(job, *moments)
    seed = new_seed()
    secret = owner_make_secret(job.parameters, seed)
    key_id = secret.key_id.hex()
    public, parts = holder_make_keys(job, secret), owner_encrypt_moments(job, secret, *moments)
    signer = signing_key(keys)
    shown, preparation_digest = pack_preparation(LinearModel.untrained(preparation, table.classes, 0), key_id)
    header = of_preparation(ridge_header("data", job, key_id, share=share), table.extractor, preparation_digest)
    encrypted, digest = pack_container(header, parts, signer)
    write_private_key(keys / PRIVATE, PrivateKey(seed, key_job(header, digest), key_id), passphrase)
    write_private(keys / PREPARATION, shown)
    write_container(keys / PUBLIC, following(ridge_header("public key", job, key_id), header), public, signer)
    write_packed(output, encrypted)
    key_bytes = (keys / PUBLIC).stat().st_size
    return _made(output, job, (cut, table, preparation), largest_eigenvalue(prepared), key_bytes, started)


def _share(count: int, records: int) -> int:
    """Return how many records others are told at most. Raises `DataError` where all owners have room for fewer."""
    share = share_of(count)
    if count <= records < share:  # more records than there is room for are refused with the moments
        raise DataError(
            f"all_records: expected at least {share} for {count} records, as others are told their number rounded up, "
            f"found {records}"
        )
    return share


def _check_width(table: LabelledTable, components: int | None) -> None:
    """Raise `DataError` for more features than moments have room for, which fewer directions would not be."""
    most, found = MOST_FEATURES - 1, table.features.shape[1]
    if min(found, components or found) > most:
        raise DataError(
            f"expected at most {most} features for ridge regression, and the constant 1 beside them, found "
            f"{found if components is None else components}: take fewer directions (--components {most})"
        )


def join_moments(
    table: LabelledTable, output: Path, keys: Path, public_key: Path, shown: Path, signed_by: str | None
) -> EncryptedMoments:
    """Encrypt the moments of an owner's records under another owner's public key.

    Args:
        keys: the folder of this owner's own signing key.
        shown: the file that says how the holder prepares features.

    Raises:
        PartyError: the files are not what they should be, or the records have other classes or features.
        MpcError: the records are out of the range that the holder has chosen.
    """
    started = perf_counter()
    public = read_container(public_key, "public key", signed_by)
    job = ridge_job_of(public_key, public.header)
    check_parts(public_key, public.header, job.key_sizes())
    share = _share(len(table.features), job.records)
    kept = read_preparation(shown, public.header.key_id, public.header.preparation)
    if (power_of_two(kept.preparation.outputs), len(kept.weights)) != (job.features, job.targets):
        raise FileError(
            f"{shown}: expected a preparation that gives at most {job.features} numbers, for {job.targets} target(s), "
            f"found {kept.preparation.outputs} and {len(kept.weights)}"
        )
    prepared, signs, cut = _prepared(job, kept.preparation, table, kept.classes)
    moments = owner_moments(job, prepared, signs)
    foresee_ridge(job, *moments)
    key = owner_public_key(job, public.parts)
    if key.key_id.hex() != public.header.key_id:
        raise FileError(f"{public_key}: expected the key pair {public.header.key_id}, found {key.key_id.hex()}")
    header = ridge_header("data", job, public.header.key_id, share=share)
    write_container(
        output, following(header, public.header), owner_encrypt_moments(job, key, *moments), signing_key(keys)
    )
    return _made(output, job, (cut, table, kept.preparation), largest_eigenvalue(prepared), 0, started)


def _made(
    output: Path,
    job: RidgeJob,
    prepared: tuple[int, LabelledTable, Preparation],
    eigenvalue: float,
    key_bytes: int,
    started: float,
) -> EncryptedMoments:
    cut, table, preparation = prepared
    numbers = len(table.features) * (preparation.outputs - 1)
    header, size = read_container(output, "data").header, output.stat().st_size
    return EncryptedMoments(header, job, cut, numbers, eigenvalue, size, key_bytes, perf_counter() - started)


def _prepared(
    job: RidgeJob, preparation: Preparation, table: LabelledTable, classes: Sequence[str]
) -> tuple[Floats, Floats, int]:
    """Return the records ``(n, d')``, t for each target ``(targets, n)``, and how many numbers were cut."""
    if unknown := [one for one in table.classes if one not in classes]:
        raise FileError(f"dataset: expected the classes {', '.join(classes)}, found {', '.join(unknown)}")
    places = np.array([classes.index(one) for one in table.classes])[table.places]
    whole = replace(table, places=places, classes=tuple(classes))
    found, cut = preparation.prepare(whole)
    padded = np.zeros((len(found), job.features))
    padded[:, : found.shape[1]] = found
    return padded, np.stack([whole.signs(target) for target in range(job.targets)]), cut


@dataclass(frozen=True)
class Pooled:
    """What was added up: the header, the fingerprints of the files' creators, the size and the seconds."""

    header: Header
    fingerprints: tuple[str, ...]
    data_bytes: int
    seconds: float


def pool(inputs: Sequence[Path], output: Path, keys: Path) -> Pooled:
    """Add up the encrypted moments of several owners.

    Raises:
        PartyError: the files are no moments of one job under one key, one owner's moments come twice, also
            inside of a sum, two files have one signer, or the owners
            have more records together than the job allows.
    """
    started = perf_counter()
    if len(inputs) < 2:
        raise FileError(f"inputs: expected the files of at least 2 owners, with commas between, found {len(inputs)}")
    given = [read_container(path, "data") for path in inputs]
    jobs = [_moments_of(path, one, inputs[0], given[0]) for path, one in zip(inputs, given, strict=True)]
    digests = [one.header.pooled or (one.digest,) for one in given]
    creators = [one.header.creators or (one.header.creator,) for one in given]
    for names in (digests, creators):
        for before, place in combinations(range(len(given)), 2):
            if {*names[before]} & {*names[place]}:
                raise FileError(
                    f"{inputs[place]}: expected each owner's moments once, found those of {inputs[before]}, or a part "
                    "of them, or others that the same owner has signed"
                )
    owners, share = sum(job.owners for job in jobs), sum(one.header.share for one in given)
    job = ridge_job_of(inputs[0], given[0].header, owners)
    if share > job.records:
        raise FileError(
            f"inputs: expected owners who have at most {job.records} records together, as the key's holder has said, "
            f"found files that say up to {share}"
        )
    parts = add_moments(job, [one.parts for one in given])
    source = hashlib.sha256("".join(sorted(one.digest for one in given)).encode()).hexdigest()
    header = msgspec.structs.replace(
        following(ridge_header("data", job, given[0].header.key_id, source, share), given[0].header),
        pooled=tuple(sorted(chain.from_iterable(digests))),
        creators=tuple(sorted(chain.from_iterable(creators))),
    )
    write_container(output, header, parts, signing_key(keys))
    fingerprints = tuple(one.header.fingerprint for one in given)
    return Pooled(header, fingerprints, output.stat().st_size, perf_counter() - started)


def _moments_of(path: Path, one: Container, first: Path, other: Container) -> RidgeJob:
    job = ridge_job_of(path, one.header)
    match(first, other.header, path, one.header)
    check_moments(path, one.header, job)
    return job


def check_moments(path: Path, header: Header, job: RidgeJob) -> None:
    """Raise `FileError` for moments whose parts are not those of the job. The holder's have half of the length."""
    seeded = sum(part.size for part in header.parts) == sum(job.moment_sizes(True).values())
    check_parts(path, header, job.moment_sizes(seeded))


def solve_file(
    data: Path, records: Container, public_key: Path, public: Container, tell: Callable[[int, int], None]
) -> tuple[RidgeJob, dict[str, bytes]]:
    """Return the job of encrypted moments, and every target's encrypted weights by name.

    Args:
        tell: is told how many steps are done, of how many.

    Raises:
        PartyError: the files do not belong together.
        MpcError: their content is not what it should be.
    """
    job = ridge_job_of(data, records.header)
    check_moments(data, records.header, job)
    check_parts(public_key, public.header, job.key_sizes())
    return job, trainer_solve(job, public.parts, records.parts, tell)


def decrypt_ridge(
    path: Path, found: Container, private_path: Path, key: PrivateKey, records: LabelledTable | None
) -> tuple[LinearModel, float | None]:
    """Decrypt weights that were found from moments. It answers once for a key pair.

    Returns:
        The model, which is the twin's where there are `records`, and then the bound within which the decrypted one is.

    Raises:
        PartyError: the file is not what it should be, or the key pair has released something else.
        CheatingError: the weights are not those of the twin, or of no records in the range.
    """
    job = ridge_job_of(path, found.header)
    check_parts(path, found.header, job.weight_sizes())
    kept = read_preparation(private_path.with_name(PREPARATION), key.key_id, key.job.preparation)
    outputs = kept.preparation.outputs
    if (power_of_two(outputs), len(kept.weights)) != (job.features, job.targets):
        raise FileError(f"{path}: expected a model of {len(kept.weights)} targets as in {PREPARATION}, found another")
    twins = None
    if records is not None:
        if job.owners > 1 or found.header.source != key.job.source:
            raise FileError(
                f"verify: expected none for a model of {job.owners} owners' records, which no owner can train alone "
                f"({path})"
            )
        prepared, signs, _ = _prepared(job, kept.preparation, records, kept.classes)
        twins = foresee_ridge(job, *owner_moments(job, prepared, signs))
        check_bound(job, twins)
    secret = owner_make_secret(key.job.parameters, key.seed)
    check_key_id(private_path, key, secret.key_id)
    record_release(private_path.parent, key.key_id, Release(found.digest, verified=twins is not None))
    weights = holder_decrypt(job, secret, found.parts)
    if twins is not None:
        limit = np.full(job.features, bound(job))
        twin = Foreseen(twins.reshape(-1), np.zeros(twins.size), np.tile(limit, job.targets), ())
        weights = verified(weights.reshape(-1), twin).reshape(twins.shape)
    model = LinearModel(weights[:, :outputs], kept.preparation, kept.classes, 0)
    return model, None if twins is None else bound(job)
