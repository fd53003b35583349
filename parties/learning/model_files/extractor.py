"""A public network, or its first layers, that turns each record into features for a last layer.

Whoever trains a last layer on such features must use one extractor with all others. So it has a digest, over what the
layers are, to the last number, and the shape of the records that they take. It is that of one file, or of the layers
as NPZ. The same network from files of two kinds can have two: an ONNX export folds batch normalisation, for one.
"""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mpc.errors import ParameterError
from mpc.inference.models.floats import FloatLayer, Floats, run
from parties.frame.child import ending, run_child
from parties.frame.errors import ConfigError
from parties.learning.model_files.extraction import ExtractionJob, as_taken, sizes_behind
from parties.learning.model_files.layers_file import arrays_of, read_layers, settings_of, write_layers
from parties.learning.model_files.source import ModelSource, missing_to_read, model_source
from parties.learning.records import DataError

LAYERS_FILE = ".npz"
_AT_ONCE, _SAMPLES = 256, 64  # records
_NUMBERS_AT_ONCE = 1 << 26
_DEADLINE_S = 600.0


@dataclass(frozen=True, repr=False)
class Extractor:
    """Layers, and the shape of one record as the first one takes it: ``(d,)`` or ``(channels, height, width)``.

    Raises:
        DataError: the layers do not take records of the shape.
    """

    layers: tuple[FloatLayer, ...]
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        sizes_behind(self.layers, self.shape)

    def __repr__(self) -> str:
        return f"Extractor({self.shape} -> {self.outputs})"

    @property
    def outputs(self) -> int:
        """How many features a record becomes."""
        current = self.shape
        for layer in self.layers:
            current = layer.output_shape(current)
        return math.prod(current)

    @property
    def digest(self) -> str:
        """SHA-256 over the layers with all their numbers and over the shape of a record, in hex."""
        digest = hashlib.sha256(b"capc extractor\0")
        for part in _described(self.layers, self.shape):
            digest.update(len(part).to_bytes(8, "little") + part)
        return digest.hexdigest()

    def digest_for(self, shape: tuple[int, ...]) -> str:
        """Return the digest of these layers on records that come in a shape, in hex.

        Layers that take rows fit images of any layout, whose values come in another order then. So the layout is a
        part of the digest. Rows, and images as the layers take them, have the layers' own digest.
        """
        shown = (1, *shape) if len(shape) == 2 else shape
        if len(self.shape) > 1 or len(shape) == 1:
            return self.digest
        return hashlib.sha256(f"capc extractor of rows\0{self.digest} {list(shown)}".encode()).hexdigest()

    def apply(self, records: Floats) -> Floats:
        """Return the features ``(n, outputs)`` of records ``(n, *shape)``, in floats of 64 bits.

        Images may be ``(n, height, width)``. Where rows of values are taken, each record is put in a row.

        Raises:
            DataError: the records have another shape, or a feature is no finite number.
        """
        records = as_taken(records, len(self.shape) == 1)
        if records.ndim == 2 and self.shape[:-1] == (1, 1):
            records = records[:, None, None]
        if records.shape[1:] != self.shape:
            raise DataError(f"expected records of {self.shape} for the extractor, found {records.shape[1:]}")
        found = np.empty((len(records), self.outputs))
        at_once = max(1, min(_AT_ONCE, _NUMBERS_AT_ONCE // max(sizes_behind(self.layers, self.shape))))
        with np.errstate(over="ignore", invalid="ignore"):  # what is no number is refused below
            for start in range(0, len(records), at_once):
                some = records[start : start + at_once]
                try:
                    found[start : start + len(some)] = run(self.layers, some).reshape(len(some), -1)
                except (ParameterError, ValueError, TypeError) as error:  # of numbers that do not fit their layer
                    raise DataError(f"expected an extractor for records of {self.shape}: {error}") from error
        finite = np.isfinite(found).all(axis=1)
        if not finite.all():
            raise DataError(
                f"row {int(finite.argmin()) + 1}: expected finite features of the extractor, found NaN or infinity"
            )
        return found

    def write(self, path: Path) -> None:
        """Write the layers as an NPZ file that describes itself, for its owner alone."""
        write_layers(path, self.layers, self.shape)

    @classmethod
    def read(cls, path: Path) -> Extractor:
        """Read what `write` wrote. Raises `DataError`."""
        layers, shape, _ = read_layers(path)
        return cls(layers, shape)


def _described(layers: Sequence[FloatLayer], shape: tuple[int, ...]) -> list[bytes]:
    parts = [json.dumps(list(shape)).encode()]
    for layer in layers:
        settings: dict[str, Any] = {"kind": type(layer).__name__} | settings_of(layer)
        parts.append(json.dumps(settings, sort_keys=True).encode())
        for name, array in arrays_of(layer).items():
            parts += [f"{name} {array.shape}".encode(), np.ascontiguousarray(array, "<f8").tobytes()]
    return parts


def load_extractor(
    file: Path, factory: str | None, path: Path | None, trust_pickle: bool, layers: int | None, records: Floats
) -> tuple[Extractor, list[str]]:
    """Return the extractor of a model's file for records ``(n, ...)``, and what was made of it, in sentences.

    A file of layers (``.npz``, as `write_layers` writes it) is read here. All others are converted in a process of its
    own, where the layers are held to the original on some of the records.

    Args:
        layers: how many layers are used, from the first one. None is all of them.

    Raises:
        ConfigError: there is no such file, or it cannot be converted.
        DataError: it takes no such records, or has fewer layers.
    """
    if file.suffix.lower() == LAYERS_FILE:
        if factory is not None:
            raise ConfigError(f"features {file}: expected no factory with a file of layers, found {factory}.")
        beside = {"folder of a factory": path, "trust in its pickle": trust_pickle or None}
        for name, value in beside.items():
            if value is not None:
                raise ConfigError(f"features {file}: expected no {name} with a file of layers, found {value}.")
        read, shape, _ = read_layers(file)
        found, words = list(read), list[str]()
    else:
        source = model_source(file, factory, path, trust_pickle, ())
        if complaint := missing_to_read(source):
            raise ConfigError(f"features: {complaint}.")
        found, shape, words = _in_child(source, records)
    if layers is not None:
        if not 1 <= layers <= len(found):
            raise DataError(f"{file}: expected 1 to {len(found)} layers of the extractor, found {layers}")
        words = [f"{layers} of its {len(found)} layers are used, from the first one"]
        found = found[:layers]
    return Extractor(tuple(found), shape), words


def _in_child(source: ModelSource, records: Floats) -> tuple[list[FloatLayer], tuple[int, ...], list[str]]:
    with tempfile.TemporaryDirectory(prefix="capc-extractor-") as name:  # 0700
        samples, made = Path(name) / "samples.npy", Path(name) / "layers.npz"
        np.save(samples, records[:_SAMPLES])
        job = ExtractionJob(source=source, samples=samples, layers=made)
        try:
            child = run_child("parties.learning.model_files.extraction", job, _DEADLINE_S)
        except subprocess.TimeoutExpired:
            raise ConfigError(
                f"features {source.file}: expected its layers within {_DEADLINE_S:g} s, found none"
            ) from None
        if child.returncode != 0:
            raise ConfigError(f"features {source.file}: {ending(child)}")
        layers, shape, _ = read_layers(made)
        words: list[str] = json.loads(child.stdout.splitlines()[-1])
    return list(layers), shape, words
