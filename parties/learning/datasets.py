"""The datasets that have a name. Each is split into a test set and a training pool, which is split among its owners.

- ``digits``: 1,797 images of 8x8, 17 grey levels, from scikit-learn. Images 0..359 are the test set, the
  rest the pool.
- ``breast-cancer``: 569 biopsies of 30 measurements, from scikit-learn. 0 is malignant, 1 benign. Every fifth is in the
  test set. A measurement is standardised, cut at 4 standard deviations and moved to 0..1. The 30 means and deviations
  are public constants of the dataset, as any group that wants to compare measurements has to agree on them.
- ``digit-traits``: the images of ``digits``, each with three labels, any number of which hold: ``loop`` (a closed loop
  is written: 0, 6, 8, 9), ``bowl`` (the bottom is round: 0, 3, 5, 6, 8) and ``even``.
- ``mnist``: the IDX files in a folder, gzipped or not. With the training files there, those are the pool and
  all of t10k is the test set. With t10k alone its first fifth (images 0..1999) is the test set, the rest the
  pool.

A function of a user's own is a dataset, too (:func:`load_dataset`).

The test set does not depend on the seed. Query number 7 is the same image in every experiment.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parties.frame.errors import ConfigError
from parties.learning.extensions.calling import Call, Returned
from parties.learning.extensions.registry import Kind
from parties.learning.idx import find_idx, read_idx
from parties.learning.labels import Labels
from parties.learning.parts import PooledDataset
from parties.learning.records import AskedRecords, DataError, Images, Records

_DIGITS_TEST = 360
_DIGITS_SIDE = 8
_MNIST_SIDE = 28
_DEVIATIONS = 4.0  # where a standardised measurement is cut
_ARRAYS = ("inputs", "labels", "test_inputs", "test_labels", "unlabelled_inputs")
_TRAITS = {"loop": (0, 6, 8, 9), "bowl": (0, 3, 5, 6, 8), "even": (0, 2, 4, 6, 8)}


def load_dataset(name: str, folder: Path | None, code: Path | None = None) -> PooledDataset:
    """Load the dataset by its name in the configuration. Raises `ConfigError`.

    A function of a user's own is called in a child process, with `folder`, the folder of the data files. Its module is
    looked for in the folder `code` as well. It returns a mapping::

        inputs, labels             of the training pool
        test_inputs, test_labels   of the test set
        classes                    how many there are, or a list of their names
        unlabelled_inputs          what a campaign may ask about (optional). Otherwise that is drawn from the pool

    Inputs are ``(n, values)`` or ``(n, channels, height, width)``, finite, in 0..1. Labels are ``(n,)``, each 0 up to
    the number of classes less 1. Where a record has several labels they are ``(n, labels)`` of 0 and 1, and `classes`
    is the list of the labels' names.
    """
    if name in _BUILT_IN:
        return _dataset(name, Returned(f"dataset {name}", *_BUILT_IN[name](folder)), {"dataset": name})
    with Call(DATASETS, name, code) as call:
        found = call.run(folder=None if folder is None else str(folder.absolute()))
    dataset = _dataset(name, found, {})
    return replace(dataset, agreed={"dataset": name, "digest": _digest(dataset)})


def _dataset(name: str, found: Returned, agreed: dict[str, Any]) -> PooledDataset:
    """Return the dataset that a function returned, after every check of it."""
    if unknown := sorted(found.arrays.keys() - _ARRAYS):
        raise found.refuse(f"nothing but classes, {', '.join(_ARRAYS)}", ", ".join(unknown))
    for key in _ARRAYS[:4]:
        if key not in found.arrays:
            raise found.refuse(key, "none")
    names = _class_names(found)
    several = found.arrays["labels"].ndim == 2
    classes = names if isinstance(names, int) else len(names)
    pool, test = (
        Records(_inputs(found, f"{part}inputs"), _labels(found, f"{part}labels", classes, several))
        for part in ("", "test_")
    )
    unlabelled = None
    if "unlabelled_inputs" in found.arrays:
        unlabelled = AskedRecords(_inputs(found, "unlabelled_inputs"), None)
    for key, part in (("test_inputs", test), ("unlabelled_inputs", unlabelled)):
        if part is not None and part.images.shape[1:] != pool.images.shape[1:]:
            raise found.refuse(f"{key} of shape {pool.images.shape[1:]} each", part.images.shape[1:])
    if several and isinstance(names, int):
        raise found.refuse("the names of the labels as classes, where a record has several labels", names)
    named = () if isinstance(names, int) else names
    return PooledDataset(
        name=name, classes=classes, pool=pool, test=test, unlabelled=unlabelled, agreed=agreed,
        label_names=named if several else (), class_values=() if several else named,
    )  # fmt: skip


def _class_names(found: Returned) -> int | tuple[str, ...]:
    """Return the number of classes, or the names of classes or labels."""
    classes = found.plain.get("classes")
    if isinstance(classes, list) and all(isinstance(name, str) for name in classes):
        if len(classes) == len(set(classes)) and len(classes) > 0:
            return tuple(classes)
    elif isinstance(classes, int) and not isinstance(classes, bool) and classes >= 2:
        return classes
    raise found.refuse("classes as a number of at least 2, or as a list of different names", repr(classes))


def _inputs(found: Returned, key: str) -> Images:
    """Return the inputs of one part as ``(n, channels, height, width)``."""
    array = found.arrays[key]
    if array.ndim not in (2, 4) or 0 in array.shape:
        raise found.refuse(f"{key} (n, values) or (n, channels, height, width), none of them 0", array.shape)
    if not np.isfinite(array).all():
        raise found.refuse(f"finite {key}", f"{int((~np.isfinite(array)).sum())} infinite or undefined ones")
    if array.min() < 0 or array.max() > 1:
        raise found.refuse(f"{key} in 0..1", f"{array.min():g}..{array.max():g}")
    images: Images = array.reshape(len(array), *(array.shape[1:] if array.ndim == 4 else (1, 1, -1))).astype(np.float32)
    return images


def _labels(found: Returned, key: str, classes: int, several: bool) -> Labels:
    """Return the labels of one part, which are as many as its inputs."""
    array, count = found.arrays[key], len(found.arrays[key.replace("labels", "inputs")])
    shape = (count, classes) if several else (count,)
    if array.shape != shape:
        raise found.refuse(f"{key} of shape {shape}", array.shape)
    most = 1 if several else classes - 1
    if not (np.isfinite(array).all() and (array == np.floor(array)).all()):
        raise found.refuse(f"whole numbers as {key}", array.dtype)
    if array.min() < 0 or array.max() > most:
        raise found.refuse(f"{key} in 0..{most}", f"{array.min():g}..{array.max():g}")
    return array.astype(np.int64)


def _digest(dataset: PooledDataset) -> str:
    """Return SHA-256 of all records and of the names, in hex, for what the parties agree on."""
    parts = (dataset.pool, dataset.test, dataset.unlabelled)
    digests = [None if part is None else part.digest() for part in parts]
    names = (dataset.classes, dataset.label_names, dataset.class_values)
    return hashlib.sha256(json.dumps([digests, names]).encode()).hexdigest()


_Built = tuple[dict[str, Any], dict[str, NDArray[Any]]]
"""What a function of the project's own returns, `classes` apart from the arrays."""


def _built(classes: int | list[str], pool: Records, test: Records) -> _Built:
    arrays: dict[str, NDArray[Any]] = {"inputs": pool.images, "labels": pool.labels}
    arrays |= {"test_inputs": test.images, "test_labels": test.labels}
    return {"classes": classes}, arrays


def _digits(_: Path | None) -> _Built:
    return _built(10, *_digit_images())


def _digit_images() -> tuple[Records, Records]:
    """Return pool and test set."""
    rows = np.loadtxt(_shipped("digits.csv.gz"), delimiter=",")
    images = rows[:, :-1].reshape(-1, 1, _DIGITS_SIDE, _DIGITS_SIDE) / 16
    every = Records(images.astype(np.float32), rows[:, -1].astype(np.int64))
    return every.take(slice(_DIGITS_TEST, None)), every.take(slice(_DIGITS_TEST))


def _breast_cancer(_: Path | None) -> _Built:
    rows = np.loadtxt(_shipped("breast_cancer.csv"), delimiter=",", skiprows=1)
    data = rows[:, :-1]
    standard = (data - data.mean(axis=0)) / data.std(axis=0)
    values = (np.clip(standard, -_DEVIATIONS, _DEVIATIONS) + _DEVIATIONS) / (2 * _DEVIATIONS)
    every = Records(values[:, None, None].astype(np.float32), rows[:, -1].astype(np.int64))
    tested = np.arange(len(every)) % 5 == 0
    return _built(2, every.take(np.flatnonzero(~tested)), every.take(np.flatnonzero(tested)))


def _shipped(name: str) -> Path:
    """A file of scikit-learn's. Asking `sklearn.datasets` for its content takes a second, for what that imports."""
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise DataError("scikit-learn, which brings the small datasets, is not installed")
    return Path(package.origin).parent / "datasets" / "data" / name


def _digit_traits(_: Path | None) -> _Built:
    def traits(records: Records) -> Records:
        bits = [np.isin(records.labels, members) for members in _TRAITS.values()]
        return Records(records.images, np.stack(bits, axis=1).astype(np.int64))

    pool, test = _digit_images()
    return _built(list(_TRAITS), traits(pool), traits(test))


def _mnist(folder: Path | None) -> _Built:
    if folder is None:
        raise ConfigError(
            "dataset mnist needs its files: set data_dir, or the environment variable CAPC_DATA_DIR, to "
            "the folder with t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte (gzipped or not)"
        )
    held_out = _mnist_pair(folder, "t10k")
    if find_idx(folder, "train-images-idx3-ubyte") or find_idx(folder, "train-labels-idx1-ubyte"):
        return _built(10, _mnist_pair(folder, "train"), held_out)
    border = len(held_out) // 5
    return _built(10, held_out.take(slice(border, None)), held_out.take(slice(border)))


def _mnist_pair(folder: Path, prefix: str) -> Records:
    images_path = _required(folder, f"{prefix}-images-idx3-ubyte")
    labels_path = _required(folder, f"{prefix}-labels-idx1-ubyte")
    images = read_idx(images_path, 3)
    labels = read_idx(labels_path, 1)
    if images.shape[1:] != (_MNIST_SIDE, _MNIST_SIDE):
        raise DataError(f"{images_path} holds images of {images.shape[1:]}, expected 28 x 28")
    if len(images) != len(labels):
        raise DataError(f"{images_path} holds {len(images)} images but {labels_path} {len(labels)} labels")
    if len(labels) and labels.max() > 9:
        raise DataError(f"{labels_path} holds the label {labels.max()}, expected 0..9")
    return Records((images[:, None] / np.float32(255)).astype(np.float32), labels.astype(np.int64))


def _required(folder: Path, name: str) -> Path:
    path = find_idx(folder, name)
    if path is None:
        raise DataError(f"{folder} holds neither {name} nor {name}.gz")
    return path


_BUILT_IN: dict[str, Callable[[Path | None], _Built]] = {
    "digits": _digits,
    "breast-cancer": _breast_cancer,
    "digit-traits": _digit_traits,
    "mnist": _mnist,
}

DATASETS = Kind("dataset", "datasets", tuple(_BUILT_IN))
"""The datasets that have a name."""
