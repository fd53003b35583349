"""A trained model in the clear: weights with the preparation of its features, so that it takes raw records.

It is an NPZ file with these arrays, and nothing in it is pickled. As HDF5 (``.h5``) it has data sets of the same names:

    weights      (targets, k + 1)   the last one goes with the constant 1
    mean, deviation  (d,)           see `parties.encrypted.preparation`
    matrix       (d, k)
    clip         ()
    norm         ()                 0 for none
    classes      (classes,)         as text, in order
    degree       ()                 of the polynomial that stood for the logistic function
    extractor    ()                 digest of the extractor whose features the weights are for, or nothing. Files of
                                    earlier releases have no such array
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpc.extras import missing, needed
from parties.encrypted.preparation import Preparation
from parties.encrypted.records import LabelledTable
from parties.frame.private_files import write_private
from parties.learning.model_files.stored import stored_arrays
from parties.learning.records import DataError

Floats = NDArray[np.float64]
_NAMES = ("weights", "mean", "deviation", "matrix", "clip", "norm", "classes", "degree")
_LATER = ("extractor",)
_HDF5, _HDF5_MAGIC = (".h5", ".hdf5"), b"\x89HDF\r\n\x1a\n"
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, repr=False)
class LinearModel:
    """Weights ``(targets, k + 1)`` on prepared features, and the names of the classes.

    The features are records as they are, or what the extractor that the preparation names has made of them.
    """

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
        """Return the score of each target ``(n, targets)`` for features ``(n, d)`` before their preparation."""
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

    def accuracy_on(self, table: LabelledTable) -> float:
        """Return the accuracy on a table. Raises `DataError` for features of another extractor."""
        self.preparation.check_extractor(table)
        return self.accuracy(table.features, table.places)

    def write(self, path: Path) -> None:
        """Write the file for its owner alone. Raises `DataError` for a name that ends in something else."""
        check_name(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, self._to_hdf5() if path.suffix.lower() in _HDF5 else self.to_bytes())

    def _to_hdf5(self) -> bytes:
        buffer = io.BytesIO()
        with needed("h5py", "a model as HDF5").File(buffer, "w") as file:
            for name, array in self._arrays().items():
                file[name] = array.astype(object) if array.dtype.kind == "U" else array
        return buffer.getvalue()

    def to_bytes(self, more: Mapping[str, NDArray[Any]] | None = None) -> bytes:
        """Return the content of the NPZ file, with more arrays by name."""
        arrays: dict[str, Any] = {**self._arrays(), **(more or {})}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        return buffer.getvalue()

    def _arrays(self) -> dict[str, Any]:
        return {
            "weights": self.weights,
            "mean": self.preparation.mean,
            "deviation": self.preparation.deviation,
            "matrix": self.preparation.matrix,
            "clip": np.float64(self.preparation.clip),
            "norm": np.float64(self.preparation.norm or 0.0),
            "classes": np.array(self.classes),
            "degree": np.int64(self.degree),
            "extractor": np.array(self.preparation.extractor),
        }

    @classmethod
    def read(cls, path: Path) -> LinearModel:
        """Read what `write` wrote. Raises `DataError`."""
        try:
            content = path.read_bytes()
            if content.startswith(_HDF5_MAGIC):
                raise DataError(
                    f"{path}: expected a model as .npz, found HDF5, which is written for other programs: decrypt-model "
                    "writes both, the same result as often as it is asked"
                )
            return cls.from_bytes(path, content)
        except OSError as error:
            raise DataError(f"{path}: expected a model, found none that can be read ({error.strerror})") from error

    @classmethod
    def from_bytes(cls, path: Path, content: bytes) -> LinearModel:
        """Return the model of what `to_bytes` gave. `path` is named in errors. Raises `DataError`."""
        try:
            found = stored_arrays(content, _NAMES, _LATER)
            mean, deviation, matrix = (found[name].astype(np.float64) for name in ("mean", "deviation", "matrix"))
            norm = float(found["norm"]) or None
            extractor = str(found.get("extractor", ""))
            if extractor and not _DIGEST.fullmatch(extractor):
                raise DataError("expected the digest of an extractor, found another text")
            preparation = Preparation(mean, deviation, matrix, float(found["clip"]), norm, extractor)
            classes = tuple(str(one) for one in found["classes"])
            return cls(found["weights"].astype(np.float64), preparation, classes, int(found["degree"]))
        except _NO_MODEL as error:
            if isinstance(error, DataError):
                raise DataError(f"{path}: {error}") from error
            raise DataError(
                f"{path}: expected a model with {', '.join(_NAMES)}, found another file ({type(error).__name__})"
            ) from error


_NO_MODEL = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    TypeError,
    NotImplementedError,
    RuntimeError,
    TokenError,
    zipfile.BadZipFile,
)


def array_of(content: bytes, name: str) -> NDArray[Any]:
    """Return one array of a model's file, which may be another party's. Raises `DataError` where there is none."""
    try:
        return stored_arrays(content, (name,))[name]
    except _NO_MODEL as error:
        raise DataError(f"expected an array {name!r}, found none ({type(error).__name__})") from error


def check_name(path: Path) -> None:
    """Raise `DataError` for a file that cannot be written as a model, before anything is done for it."""
    suffix = path.suffix.lower()
    if suffix in _HDF5 and (complaint := missing("h5py", f"a model file that ends in {suffix}")):
        raise DataError(f"{path}: {complaint}, or pip install '.[h5]', or choose a name that ends in .npz")
    if suffix == ".keras":
        raise DataError(
            f"{path}: expected a model file that ends in .npz or .h5, found {suffix}: numpy.load reads an .npz file, "
            "and its arrays can be set as the weights of a layer from there"
        )
    if suffix != ".npz" and suffix not in _HDF5:
        raise DataError(f"{path}: expected a model file that ends in .npz or .h5, found {suffix or 'no ending'}")
