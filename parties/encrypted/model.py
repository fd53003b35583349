"""A trained model in the clear: weights with the preparation of its features, so that it takes raw records.

It is an NPZ file with these arrays, and nothing in it is pickled:

    weights      (targets, k + 1)   the last one goes with the constant 1
    mean, deviation  (d,)           see `parties.encrypted.preparation`
    matrix       (d, k)
    clip         ()
    norm         ()                 0 for none
    classes      (classes,)         as text, in order
    degree       ()                 of the polynomial that stood for the logistic function
"""

from __future__ import annotations

import io
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parties.encrypted.preparation import Preparation
from parties.frame.private_files import write_private
from parties.learning.records import DataError

Floats = NDArray[np.float64]
_NAMES = ("weights", "mean", "deviation", "matrix", "clip", "norm", "classes", "degree")


@dataclass(frozen=True, repr=False)
class LinearModel:
    """Weights ``(targets, k + 1)`` on prepared features, and the names of the classes."""

    weights: Floats
    preparation: Preparation
    classes: tuple[str, ...]
    degree: int = 3

    def __post_init__(self) -> None:
        if not all(one.isprintable() for one in self.classes):
            raise DataError("expected names of classes that can be printed, found others")
        targets = 1 if len(self.classes) == 2 else len(self.classes)
        if self.weights.shape != (targets, self.preparation.outputs):
            raise DataError(
                f"expected weights of shape {(targets, self.preparation.outputs)}, found {self.weights.shape}"
            )

    def __repr__(self) -> str:
        return f"LinearModel(weights={self.weights.shape})"

    @classmethod
    def untrained(cls, preparation: Preparation, classes: tuple[str, ...], degree: int) -> LinearModel:
        """Return the model with weights of 0, which an owner keeps while another party trains."""
        targets = 1 if len(classes) == 2 else len(classes)
        return cls(np.zeros((targets, preparation.outputs)), preparation, classes, degree)

    def scores(self, features: Floats) -> Floats:
        """Return the score of each target ``(n, targets)`` for raw features ``(n, d)``."""
        prepared, _ = self.preparation.apply(features)
        found: Floats = prepared @ self.weights.T
        return found

    def predict(self, features: Floats) -> NDArray[np.int64]:
        """Return the place of each record's class, ``(n,)``. With two targets or more the largest score wins."""
        scores = self.scores(features)
        return (scores[:, 0] > 0).astype(np.int64) if scores.shape[1] == 1 else scores.argmax(axis=1)

    def accuracy(self, features: Floats, places: NDArray[np.int64]) -> float:
        """Return which part of the records is predicted rightly."""
        return float((self.predict(features) == places).mean())

    def write(self, path: Path) -> None:
        """Write the file for its owner alone. Raises `DataError` for a name that ends in something else."""
        check_name(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, self.to_bytes())

    def to_bytes(self) -> bytes:
        """Return the content of the file."""
        arrays = {
            "weights": self.weights,
            "mean": self.preparation.mean,
            "deviation": self.preparation.deviation,
            "matrix": self.preparation.matrix,
            "clip": np.float64(self.preparation.clip),
            "norm": np.float64(self.preparation.norm or 0.0),
            "classes": np.array(self.classes),
            "degree": np.int64(self.degree),
        }
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the arrays for allow_pickle
        return buffer.getvalue()

    @classmethod
    def read(cls, path: Path) -> LinearModel:
        """Read what `write` wrote. Raises `DataError`."""
        try:
            return cls.from_bytes(path, path.read_bytes())
        except OSError as error:
            raise DataError(f"{path}: expected a model, found none that can be read ({error.strerror})") from error

    @classmethod
    def from_bytes(cls, path: Path, content: bytes) -> LinearModel:
        """Return the model of what `to_bytes` gave. `path` is named in errors. Raises `DataError`."""
        try:
            found = _arrays(content)
            mean, deviation, matrix = (found[name].astype(np.float64) for name in ("mean", "deviation", "matrix"))
            norm = float(found["norm"]) or None
            preparation = Preparation(mean, deviation, matrix, float(found["clip"]), norm)
            classes = tuple(str(one) for one in found["classes"])
            return cls(found["weights"].astype(np.float64), preparation, classes, int(found["degree"]))
        except (
            OSError,
            ValueError,
            KeyError,
            EOFError,
            TypeError,
            NotImplementedError,
            RuntimeError,
            TokenError,
            zipfile.BadZipFile,
        ) as error:
            if isinstance(error, DataError):
                raise DataError(f"{path}: {error}") from error
            raise DataError(
                f"{path}: expected a model with {', '.join(_NAMES)}, found another file ({type(error).__name__})"
            ) from error


def _arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of an NPZ file, which may be another party's.

    Every array is stored as it is, and the shape that it names needs just the bytes that are there. So a small file
    cannot name a large array.
    """
    found = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in _NAMES:
            member = archive.getinfo(f"{name}.npy")
            if member.compress_type != zipfile.ZIP_STORED or not member.file_size == member.compress_size <= len(
                content
            ):
                raise DataError(f"expected an array {name!r} that is stored without compression, found another")
            stored = io.BytesIO(archive.read(member))
            version = np.lib.format.read_magic(stored)
            if version != (1, 0):
                raise DataError(f"expected an array {name!r} of version 1.0 of the NPY format, found {version}")
            shape, _, dtype = np.lib.format.read_array_header_1_0(stored)
            size = math.prod(shape) * dtype.itemsize
            if dtype.hasobject or min(shape, default=0) < 0 or size != member.file_size - stored.tell():
                raise DataError(f"expected an array {name!r} as long as its shape says, found another or objects")
            stored.seek(0)
            found[name] = np.lib.format.read_array(stored, allow_pickle=False)
    return found


def check_name(path: Path) -> None:
    """Raise `DataError` for a file that is not to be an NPZ file, before anything is done for it."""
    if path.suffix.lower() in (".h5", ".hdf5", ".keras"):
        raise DataError(
            f"{path}: expected a model file that ends in .npz, found {path.suffix}: numpy.load reads it, and its "
            "arrays can be stored in any other form from there"
        )
    if path.suffix.lower() != ".npz":
        raise DataError(f"{path}: expected a model file that ends in .npz, found {path.suffix or 'no ending'}")
