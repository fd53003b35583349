"""Between a file's header and the job that it is about."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import msgspec

from mpc.encrypted.packing import Packing
from mpc.encrypted.parameters import SETS, parameters_of
from mpc.encrypted.pooled import RidgeJob
from mpc.encrypted.private_model import PrivateModelJob
from mpc.encrypted.programs.logistic import Logistic
from mpc.encrypted.programs.ridge import Ridge
from mpc.encrypted.shared_release import SharedRelease
from mpc.encrypted.training import Job
from mpc.errors import ParameterError, RangeError
from parties.encrypted.container import VERSION, Algorithm, FileError, Header, Kind
from parties.encrypted.keys import KeyJob, PrivateKey
from parties.encrypted.settings import TrainingSettings

MOST_TARGETS, MOST_ITERATIONS = 1000, 1000
LOGISTIC: Algorithm = "logistic"
SQUARED: Algorithm = "squared"
RIDGE: Algorithm = "ridge"


def header_of(kind: Kind, job: Job, key_id: str, source: str = "") -> Header:
    """Return the header of a file of this job. Its parts and its creator are filled in when it is written."""
    return Header(
        kind=kind,
        version=VERSION,
        parameters=job.parameters,
        parameters_digest=job.core.digest.hex(),
        key_id=key_id,
        algorithm=LOGISTIC,
        records=job.packing.records,
        features=job.packing.features,
        targets=job.targets,
        rate=job.choices.rate,
        iterations=job.choices.iterations,
        degree=job.choices.degree,
        source=source,
        parts=(),
        creator="",
    )


def of_preparation(header: Header, extractor: str, preparation: str) -> Header:
    """Return a header with the digests of what is done to records."""
    return msgspec.structs.replace(header, extractor=extractor, preparation=preparation)


def following(header: Header, given: Header) -> Header:
    """Return the header of a file that is made from a given one, whose records were prepared in the same way."""
    return of_preparation(header, given.extractor, given.preparation)


def job_of_settings(settings: TrainingSettings) -> Job:
    """Return the job that both parties of an online run were told."""
    packing = Packing(settings.records, settings.features, parameters_of(settings.parameters).slots)
    choices = Logistic(settings.rate, settings.iterations, settings.degree, settings.stretch)
    return Job(settings.parameters, packing, choices, settings.targets)


def shared_release(job: Job, noise: float, limit_bits: int, to_trainer: bool) -> SharedRelease:
    """Return the release by two shares of a job's models. Raises `MpcError` where there is no room for it."""
    return SharedRelease(
        job.parameters,
        job.packing,
        job.weight_scale,
        job.targets,
        sigma=Fraction(noise),
        limit_bits=limit_bits,
        to_trainer=to_trainer,
    )


def release_of_settings(settings: TrainingSettings) -> SharedRelease | None:
    """Return the shared release that both parties of an online run were told, or None for a verified one."""
    if settings.release == "verified":
        return None
    to_trainer = settings.release_to == "both"
    return shared_release(job_of_settings(settings), settings.noise, settings.limit_bits, to_trainer)


def job_of(path: Path, header: Header) -> Job:
    """Return the job that a header is about.

    Raises:
        FileError: it is about what this release does not know, or what is no job.
    """
    if header.algorithm != LOGISTIC:
        raise FileError(f"{path}: expected the algorithm {LOGISTIC}, found {header.algorithm}")
    if header.parameters not in SETS:
        raise FileError(f"{path}: expected one of the parameters {', '.join(SETS)}, found {header.parameters}")
    core = parameters_of(header.parameters)
    if core.digest.hex() != header.parameters_digest:
        raise FileError(f"{path}: expected the digest of the parameters {header.parameters}, found another")
    if not 1 <= header.targets <= MOST_TARGETS or not 1 <= header.iterations <= MOST_ITERATIONS:
        raise FileError(
            f"{path}: expected up to {MOST_TARGETS} targets and {MOST_ITERATIONS} iterations, found {header.targets} "
            f"and {header.iterations}"
        )
    try:
        choices = Logistic(header.rate, header.iterations, header.degree)
        packing = Packing(header.records, header.features, core.slots)
        return Job(header.parameters, packing, choices, header.targets)
    except ParameterError as error:
        raise FileError(f"{path}: {error}") from error


def check_rate(path: Path, header: Header, wanted: float | None) -> None:
    """Raise `FileError` for a learning rate that is not the one that the owner has checked."""
    if wanted is not None and wanted != header.rate:
        raise FileError(
            f"learning_rate: expected {header.rate:g}, for which the owner of {path} has checked that training stays "
            f"in range, found {wanted:g}"
        )


def private_header(kind: Kind, job: PrivateModelJob, key_id: str, source: str = "") -> Header:
    """Return the header of a file about a model that stays encrypted. Who has the records chooses rate and steps."""
    return Header(
        kind=kind,
        version=VERSION,
        parameters=job.parameters,
        parameters_digest=job.core.digest.hex(),
        key_id=key_id,
        algorithm=SQUARED,
        records=1,
        features=job.features,
        targets=job.targets,
        rate=0.0,
        iterations=0,
        degree=0,
        source=source,
        parts=(),
        creator="",
    )


def private_job_of(path: Path, header: Header) -> PrivateModelJob:
    """Return the job that a header about an encrypted model names. Raises `FileError`."""
    if header.algorithm != SQUARED:
        raise FileError(f"{path}: expected the algorithm {SQUARED}, found {header.algorithm}")
    if not 1 <= header.targets <= MOST_TARGETS:
        raise FileError(f"{path}: expected up to {MOST_TARGETS} targets, found {header.targets}")
    try:
        job = PrivateModelJob(header.features, header.targets, header.parameters)
        digest = job.core.digest.hex()
    except ParameterError as error:
        raise FileError(f"{path}: {error}") from error
    if header != msgspec.structs.replace(
        following(private_header(header.kind, job, header.key_id, header.source), header),
        parts=header.parts,
        creator=header.creator,
    ):
        raise FileError(f"{path}: expected the header of a model on parameters {digest[:16]}, found another")
    return job


def ridge_header(kind: Kind, job: RidgeJob, key_id: str, source: str = "", share: int = 0) -> Header:
    """Return the header of a file of this job. Its parts and its creator are filled in when it is written."""
    return Header(
        kind=kind,
        version=VERSION,
        parameters=job.parameters,
        parameters_digest=job.core.digest.hex(),
        key_id=key_id,
        algorithm=RIDGE,
        records=job.records,
        features=job.features,
        targets=job.targets,
        rate=0.0,
        iterations=0,
        degree=job.choices.degree,
        regularisation=job.choices.regularisation,
        largest=job.choices.largest,
        owners=job.owners,
        share=share,
        source=source,
        parts=(),
        creator="",
    )


def ridge_job_of(path: Path, header: Header, owners: int | None = None) -> RidgeJob:
    """Return the job that a header about moments names, with as many owners as it says or as are given.

    Raises:
        FileError: it is about what this release does not know, or what is no job.
    """
    if header.algorithm != RIDGE:
        raise FileError(f"{path}: expected the algorithm {RIDGE}, found {header.algorithm}")
    if header.parameters not in SETS:
        raise FileError(f"{path}: expected one of the parameters {', '.join(SETS)}, found {header.parameters}")
    try:
        choices = Ridge(header.regularisation, header.largest, header.degree)
        count = header.owners if owners is None else owners
        job = RidgeJob(header.parameters, header.records, header.features, header.targets, choices, count)
    except (ParameterError, RangeError) as error:
        raise FileError(f"{path}: {error}") from error
    expected = ridge_header(header.kind, job, header.key_id, header.source, header.share)
    added = {
        name: getattr(header, name)
        for name in ("owners", "parts", "creator", "pooled", "creators", "extractor", "preparation")
    }
    filled = msgspec.structs.replace(expected, **added)
    listed = header.owners if header.kind == "data" and header.owners > 1 else 0
    known = all({*map(len, names)} <= {64} for names in (header.pooled, header.creators))
    if not known or any(names != tuple(sorted({*names})) for names in (header.pooled, header.creators)):
        raise FileError(f"{path}: expected each file and each creator that was added up once, found others")
    if not len(header.pooled) == len(header.creators) == listed:
        raise FileError(
            f"{path}: expected the files and creators of {listed} owners that were added up, found "
            f"{len(header.pooled)} and {len(header.creators)}"
        )
    if header != filled or not 0 <= header.share <= header.records:
        raise FileError(
            f"{path}: expected the header of {RIDGE} on parameters {job.core.digest.hex()[:16]}, found another"
        )
    return job


def key_job(header: Header, source: str) -> KeyJob:
    """Return what a key pair is for: the job of the header of its encrypted file, and the digest of that file."""
    fields = {name: getattr(header, name) for name in KeyJob.__struct_fields__}
    return KeyJob(**(fields | {"source": source}))


def check_result(path: Path, header: Header, key: PrivateKey) -> None:
    """Raise `FileError` for a result that is not of the one job that the private key's holder has written down.

    The header of a result is its maker's word. So nothing of it is used before it was compared here.
    """
    if header.key_id != key.key_id:
        raise FileError(f"{path}: expected a model for the key pair {key.key_id}, found one for {header.key_id}")
    for name in KeyJob.__struct_fields__:
        if name == "source" and key.job.algorithm == RIDGE:  # which may be others' moments, too
            continue
        expected, found = getattr(key.job, name), getattr(header, name)
        if expected != found:
            raise FileError(f"{path}: expected {name} {expected}, as the key pair's job has it, found {found}")


def check_parts(path: Path, header: Header, sizes: Mapping[str, int]) -> None:
    """Raise `FileError` for a file whose parts are not those of the job, by name and length."""
    if {part.name: part.size for part in header.parts} != sizes:
        expected, found = sum(sizes.values()), header.content_bytes
        raise FileError(
            f"{path}: expected {len(sizes)} parts of {expected} bytes in all, as the job needs, found "
            f"{len(header.parts)} of {found}"
        )


def match(first: Path, one: Header, second: Path, other: Header) -> None:
    """Raise `FileError` for two files that are not of one key pair and one job."""
    if one.key_id != other.key_id:
        raise FileError(f"{second}: expected the key pair of {first}, found another one")
    for name in KeyJob.__struct_fields__:
        if name != "source" and getattr(one, name) != getattr(other, name):
            raise FileError(
                f"{second}: expected {name} {getattr(one, name)} as in {first}, found {getattr(other, name)}"
            )
