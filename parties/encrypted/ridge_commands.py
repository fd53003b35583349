"""What a person sees of ridge regression on pooled records, see :mod:`parties.encrypted.pooling`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mpc.encrypted.pooled import bound
from mpc.encrypted.programs.ridge import Ridge
from parties.encrypted import pooling
from parties.encrypted.container import Header
from parties.encrypted.jobs import RIDGE
from parties.encrypted.keys import read_passphrase
from parties.encrypted.options import (
    DEFAULT_DEGREE,
    DEFAULT_EIGENVALUE,
    DEFAULT_REGULARISATION,
    RIDGE_NORM,
    EncryptDatasetOptions,
    PoolOptions,
)
from parties.encrypted.records import LabelledTable
from parties.encrypted.words import digests_seen, in_a_sentence, megabytes
from parties.frame.errors import ConfigError
from parties.frame.plan import Summary

_OF_LOGISTIC = {"iterations", "learning_rate", "sigmoid_degree"}
_OF_JOINING = {"public_key", "preparation", "signed_by"}
_OF_CHOOSING = {"regularisation", "largest_eigenvalue", "inverse_degree", "all_records"}
_OF_HOLDER = _OF_CHOOSING | {"components", "whiten", "clip", "norm", "passphrase_file"}


def check_flags(options: EncryptDatasetOptions) -> None:
    """Raise `ConfigError` for flags that have no meaning beside the others."""
    given = options.model_fields_set
    if options.algorithm != RIDGE:
        _refuse(given & (_OF_JOINING | _OF_CHOOSING), "with --algorithm ridge alone")
        return
    _refuse(given & _OF_LOGISTIC, "with --algorithm logistic alone")
    if options.public_key is None:
        _refuse(given & _OF_JOINING, "with --public_key alone")
        return
    _refuse(given & _OF_HOLDER, "from the owner whose public key it is, not with --public_key")
    if options.preparation is None:
        raise ConfigError("preparation: expected the key holder's preparation.npz with --public_key, found none.")


def _refuse(names: set[str], expected: str) -> None:
    if names:
        raise ConfigError(f"{min(names)}: expected {expected}, found it here.")


def encrypt_moments(table: LabelledTable, options: EncryptDatasetOptions, told: Sequence[tuple[str, str]]) -> Summary:
    """Make keys and encrypt the moments of an owner's records, or encrypt them under another owner's key.

    What is `told` about the records' features is shown with the rest.
    """
    if options.public_key is not None and options.preparation is not None:
        made = pooling.join_moments(
            table, options.output, options.keys_dir, options.public_key, options.preparation, options.signed_by
        )
    else:
        made = pooling.encrypt_moments(
            table, options.output, options.keys_dir, _choices(options), read_passphrase(options.passphrase_file)
        )
    ridge, job = made.job.choices, made.job
    lines = [
        ("records", f"{len(table.features)} of {table.features.shape[1]} features, {len(table.classes)} classes"),
        *told,
        ("prepared", f"{made.cut} of {made.numbers} numbers cut"),
        ("ridge", f"regularisation {ridge.regularisation:g}, eigenvalues up to {ridge.largest:g}, of which yours reach "
         f"{made.eigenvalue:.3g}; the polynomial of degree {ridge.degree} is within {ridge.error:.2g} of the inverse"),
        ("error", f"at most {bound(job):.2g} in each weight of the encrypted run"),
        ("parameters", f"{job.parameters}, {job.records} records of all owners at most"),
    ]  # fmt: skip
    if made.key_bytes:
        lines += [
            ("private key", f"{options.keys_dir / 'private.key'}, for you alone"),
            ("public key", f"{options.keys_dir / 'public.key'}, {megabytes(made.key_bytes)}"),
            ("other owners need", f"the public key and {options.keys_dir / 'preparation.npz'}, which tells means and "
             "deviations of your features"),
        ]  # fmt: skip
    lines += [
        ("encrypted moments", f"{options.output}, {megabytes(made.data_bytes)}"),
        ("your fingerprint", made.header.fingerprint),
        ("time", f"{made.seconds:.1f} s"),
        ("a trainer sees", seen_of_moments(made.header)),
    ]
    if not made.key_bytes:
        lines.append(("the key's holder", f"must not get {options.output}, which it could decrypt"))
    return Summary(tuple(lines))


def _choices(options: EncryptDatasetOptions) -> pooling.MomentChoices:
    return pooling.MomentChoices(
        Ridge(
            options.regularisation or DEFAULT_REGULARISATION,
            options.largest_eigenvalue or DEFAULT_EIGENVALUE,
            options.inverse_degree or DEFAULT_DEGREE,
        ),
        options.all_records,
        options.components or None,
        options.whiten or None,
        options.clip,
        (RIDGE_NORM if options.norm is None else options.norm) or None,
    )


def seen_of_moments(header: Header) -> str:
    """Return what a trainer sees of moments, which is all that the header says."""
    return (
        f"{header.owners} owner(s) of at most {header.share} records, at most {header.records} in all, up to "
        f"{header.features} numbers each, {header.targets} target(s), the choices, the key pair's id, the "
        f"owners' signing keys, {digests_seen(header)} and the time, but no record and no label"
    )


def pool(_: object, __: Path, options: PoolOptions) -> Summary:
    """Add up the encrypted moments of several owners. Raises `PartyError`."""
    inputs = [Path(name.strip()) for name in options.inputs.split(",")]
    with in_a_sentence():
        made = pooling.pool(inputs, options.output, options.keys_dir)
    lines = [(str(path), f"signed by {one}") for path, one in zip(inputs, made.fingerprints, strict=True)]
    return Summary(
        (
            *lines,
            ("pooled", f"{options.output}, {megabytes(made.data_bytes)}, of {made.header.owners} owners"),
            ("time", f"{made.seconds:.1f} s"),
            ("you see", seen_of_moments(made.header)),
        )
    )
