"""The commands of encrypted training, as a person calls them.

Each does one party's part, reads and writes files, and shows sizes, times and what the other party can see.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mpc.encrypted.packing import Packing
from mpc.encrypted.parameters import parameters_of
from mpc.encrypted.programs.logistic import Logistic
from parties.encrypted import owner, private_model, trainer
from parties.encrypted.container import WORDS, Header, read_container, read_header
from parties.encrypted.features import features_of
from parties.encrypted.jobs import LOGISTIC, RIDGE
from parties.encrypted.keys import PRIVATE, PUBLIC, read_passphrase
from parties.encrypted.model import LinearModel, check_name
from parties.encrypted.options import (
    DEFAULT_COMPONENTS,
    DEFAULT_NORM,
    DecryptModelOptions,
    EncryptDatasetOptions,
    EncryptModelOptions,
    InspectOptions,
    TrainOptions,
)
from parties.encrypted.records import LabelledTable, read_records
from parties.encrypted.ridge_commands import check_flags, encrypt_moments, seen_of_moments
from parties.encrypted.words import PRIVATE_WARNING, digests_seen, in_a_sentence, megabytes
from parties.frame.errors import ConfigError
from parties.frame.plan import Summary

_VERIFY = " With --verify and the records the twin's numbers are released, which hold none."


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal's standard error, and nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _read(
    path: Path, options: EncryptDatasetOptions | DecryptModelOptions
) -> tuple[LabelledTable, list[tuple[str, str]]]:
    """Return an owner's records, or their features of an extractor, and what is said of it."""
    file = options.extractor
    table = read_records(path, options.label, options.delimiter, images=file is not None)
    told = [("note", note) for note in table.notes]
    if file is None:
        return table, told
    made = features_of(table, file)
    return made.table, [*told, ("features", made.line)]


def encrypt_dataset(_: object, __: Path, options: EncryptDatasetOptions) -> Summary:
    """Make keys and encrypt an owner's records, or join those of another owner. Raises `PartyError`."""
    check_flags(options)
    table, told = _read(options.dataset, options)
    if options.algorithm == RIDGE:
        with in_a_sentence():
            return encrypt_moments(table, options, told)
    features = table.features.shape[1]
    components = min(DEFAULT_COMPONENTS, features) if options.components is None else options.components
    choices = owner.Choices(
        Logistic(options.learning_rate, options.iterations, options.sigmoid_degree),
        components or None,
        options.whiten or None,
        options.clip,
        (DEFAULT_NORM if options.norm is None else options.norm) or None,
    )
    steps = ["the twin in the clear", "keys", "records", "files"]
    with in_a_sentence(), _bar("encrypt-dataset") as bar:
        made = owner.encrypt_dataset(
            table,
            options.output,
            options.keys_dir,
            choices,
            read_passphrase(options.passphrase_file),
            lambda step: bar(steps.index(step), len(steps)),
        )
    header = made.header
    lines = [
        ("records", f"{len(table.features)} of {features} features, {len(table.classes)} classes"),
        *told,
        *padded(_packing(header), len(table.features), options.learning_rate),
        ("prepared", _prepared(options, components, made)),
        ("twin", f"z within {made.reach:.2g} of the sigmoid's 8, accuracy on these records {made.accuracy:.4f}"),
        ("error", f"at most {made.bound:.2g} in each weight of the encrypted run"),
        ("parameters", f"{header.parameters}, {options.iterations} iterations"),
        ("private key", f"{options.keys_dir / 'private.key'}, for you alone"),
        ("public key", f"{options.keys_dir / 'public.key'}, {megabytes(made.key_bytes)}"),
        ("encrypted records", f"{options.output}, {megabytes(made.data_bytes)}"),
        ("your fingerprint", header.fingerprint),
        ("time", f"{made.seconds:.1f} s"),
        ("a trainer sees", _seen(header)),
    ]
    return Summary(tuple(lines))


def _packing(header: Header) -> Packing:
    return Packing(header.records, header.features, parameters_of(header.parameters).slots)


def padded(packing: Packing, records: int, rate: float) -> list[tuple[str, str]]:
    """Return a line on what padding does to the rate, where records are less than half of what they are padded to."""
    if 2 * records >= packing.records:
        return []
    counts = rate * records / packing.records
    return [
        ("padding", f"records are {records} of {packing.records} rows: the learning rate that counts is {counts:.2g}")
    ]


def _prepared(options: EncryptDatasetOptions, components: int, made: owner.EncryptedDataset) -> str:
    turned = f"{components} directions" if components else "all features"
    whitened = f", whitened with {options.whiten:g}" if options.whiten else ""
    norm = DEFAULT_NORM if options.norm is None else options.norm
    shortened = f", records longer than {norm:g} scaled down" if norm else ""
    return f"{turned}{whitened}, {made.cut} of {made.numbers} numbers cut at {options.clip:g}{shortened}"


def _seen(header: Header) -> str:
    """Return what a trainer sees of the records, which is all that the header says."""
    return (
        f"at most {_packing(header).capacity} records of {header.features} numbers, padded to powers of two, "
        f"{header.targets} target(s), {header.iterations} iterations of degree {header.degree} at rate "
        f"{header.rate:g}, the key pair's id, {digests_seen(header)} and the time, but no record and no label"
    )


def train(_: object, __: Path, options: TrainOptions) -> Summary:
    """Train on encrypted records, or an encrypted model on records of one's own. Raises `PartyError`."""
    if options.encrypted_data is not None and options.encrypted_model is not None:
        raise ConfigError(
            "train: expected --encrypted_data or --encrypted_model, found both: for records and a model that are both "
            "encrypted, their owners need a joint key, which is not there yet."
        )
    if options.encrypted_model is not None:
        return _train_private_model(options, options.encrypted_model)
    if options.encrypted_data is None:
        raise ConfigError("train: expected --encrypted_data, or --encrypted_model with --dataset, found none.")
    if options.dataset is not None:
        raise ConfigError("dataset: expected with --encrypted_model alone, found it with --encrypted_data.")
    with in_a_sentence(), _bar("train") as bar:
        made = trainer.train_on_encrypted_data(
            options.encrypted_data,
            options.public_key,
            options.output_model,
            options.keys_dir,
            options.learning_rate,
            options.signed_by,
            bar,
        )
    return Summary(
        (
            ("records signed by", made.header.fingerprint),
            ("encrypted model", f"{options.output_model}, {megabytes(made.model_bytes)}"),
            ("time", f"{made.seconds:.1f} s, of which training {made.training_seconds:.2f} s"),
            ("accuracy", "unknown here, because the model is encrypted: decrypt-model shows it to the key's holder"),
            ("you see", (seen_of_moments if made.header.algorithm == RIDGE else _seen)(made.header)),
        )
    )


def _train_private_model(options: TrainOptions, model: Path) -> Summary:
    if options.dataset is None:
        raise ConfigError("dataset: expected your own records with --encrypted_model, found none.")
    table = read_records(options.dataset, options.label, options.delimiter)
    with in_a_sentence():
        made = private_model.train_model(
            model,
            options.public_key,
            options.output_model,
            options.keys_dir,
            table,
            options.learning_rate,
            options.iterations,
            options.signed_by,
            options.moments_known,
        )
    numbers = len(table.features) * (made.header.features - 1)
    return Summary(
        (
            *(("note", note) for note in table.notes),
            ("model signed by", made.header.fingerprint),
            ("trained", f"{options.iterations} steps of the squared loss at rate {made.rate:.3g}, {made.cut} of up to "
             f"{numbers} numbers cut"),
            ("encrypted model", f"{options.output_model}, {megabytes(made.model_bytes)}"),
            ("time", f"{made.seconds:.1f} s"),
            ("you see", f"how features are prepared, {made.header.targets} target(s), the key pair's id, no weight"),
            ("the owner sees", "the trained model, and nothing of your records beyond it: what is decrypted is within "
             f"a statistical distance of 2^-{made.flood.bits:.1f} of noise around the model as computed, whose numbers "
             f"are rounded by up to {made.flood.rounding:.1g} times the largest weight"),
            ("answered", f"{made.answered.targets} result(s) in {made.answered.trainings} training(s) of these records "
             "in all, to whoever asked"),
            ("flood", f"changes each weight by a deviation of {made.flood.deviation:.1g}"),
        )
    )  # fmt: skip


def encrypt_model(_: object, __: Path, options: EncryptModelOptions) -> Summary:
    """Make keys and encrypt a model. Raises `PartyError`."""
    with in_a_sentence():
        made = private_model.encrypt_model(
            options.model, options.output, options.keys_dir, read_passphrase(options.passphrase_file)
        )
    return Summary(
        (
            ("encrypted model", f"{options.output}, {megabytes(made.model_bytes)}"),
            ("private key", f"{options.keys_dir / PRIVATE}, for you alone"),
            ("public key", f"{options.keys_dir / PUBLIC}, {megabytes(made.key_bytes)}"),
            ("your fingerprint", made.header.fingerprint),
            ("time", f"{made.seconds:.1f} s"),
            ("a records' owner sees", f"how features are prepared, {made.header.targets} target(s) of up to "
             f"{made.header.features - 1} weights, the key pair's id, and no weight"),
        )
    )  # fmt: skip


def decrypt_model(_: object, __: Path, options: DecryptModelOptions) -> Summary:
    """Decrypt a trained model. Raises `PartyError`."""
    check_name(options.output_model)
    given = (options.verify, options.test)
    if options.extractor is not None and not any(given):
        raise ConfigError("features: expected with the records of --verify or --test, found it without.")
    records, test = (None if path is None else _read(path, options)[0] for path in given)
    with in_a_sentence():
        made = owner.decrypt_model(
            options.input_model,
            options.private_key,
            options.output_model,
            records,
            read_passphrase(options.passphrase_file),
            options.signed_by,
            test,
        )
        lines = [("trained by", made.header.fingerprint), ("model", str(options.output_model))]
        if made.bound is not None:
            lines += [
                ("verified", f"all decrypted weights are within the bound of {made.bound:.2g} of the twin's"),
                ("released", "the twin's weights"),
            ]
        lines += [("note", note) for table in (records, test) if table is not None for note in table.notes]
        lines += _accuracies(made.model, records, test)
        lines.append(("time", f"{made.seconds:.1f} s"))
    if made.verified:
        return Summary(tuple(lines))
    return Summary(tuple(lines), warnings=(PRIVATE_WARNING + _VERIFY * (made.header.algorithm == LOGISTIC),))


def _accuracies(model: LinearModel, records: LabelledTable | None, test: LabelledTable | None) -> list[tuple[str, str]]:
    lines = []
    beside = None if records is None else owner.scikit_learn(records)
    for name, table in (("accuracy on the records", records), ("accuracy on the test", test)):
        if table is None:
            continue
        found = f"{model.accuracy_on(table):.4f}"
        if beside is not None:
            found += f" (scikit-learn, in the clear: {beside.score(table.features, table.places):.4f})"
        lines.append((name, found))
    return lines


def inspect(_: object, __: Path, options: InspectOptions) -> Summary:
    """Show what a file says of itself, after it was checked to its last byte. Raises `PartyError`."""
    header, size = read_header(options.file)
    found = read_container(options.file, header.kind)
    return Summary(
        (
            ("kind", WORDS[header.kind]),
            ("size", f"{megabytes(size)} in {header.chunks} chunks and {len(header.parts)} parts, all as signed"),
            ("signed by", header.fingerprint),
            ("key pair", header.key_id),
            ("parameters", f"{header.parameters} ({header.parameters_digest[:16]})"),
            ("algorithm", _algorithm(header)),
            ("shape", f"{header.records} records of {header.features} numbers, both padded to powers of two"),
            *([("extractor", header.extractor)] if header.extractor else []),
            *([("preparation", header.preparation)] if header.preparation else []),
            ("digest", found.digest),
            *([("made from", header.source)] if header.source else []),
        )
    )  # fmt: skip


def _algorithm(header: Header) -> str:
    if header.algorithm == RIDGE:
        return (
            f"{header.algorithm}, regularisation {header.regularisation:g}, eigenvalues up to {header.largest:g}, "
            f"degree {header.degree}, {header.targets} target(s), {header.owners} owner(s) of up to {header.share} "
            "records"
        )
    return (
        f"{header.algorithm}, {header.iterations} iterations, rate {header.rate:g}, degree {header.degree}, "
        f"{header.targets} target(s)"
    )
