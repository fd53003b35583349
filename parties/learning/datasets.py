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

The test set does not depend on the seed. Query number 7 is the same image in every experiment.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from parties.frame.errors import ConfigError
from parties.learning.idx import find_idx, read_idx
from parties.learning.parts import PooledDataset
from parties.learning.records import DataError, Records

_DIGITS_TEST = 360
_DIGITS_SIDE = 8
_MNIST_SIDE = 28
_DEVIATIONS = 4.0  # where a standardised measurement is cut
_TRAITS = {"loop": (0, 6, 8, 9), "bowl": (0, 3, 5, 6, 8), "even": (0, 2, 4, 6, 8)}


def load_dataset(name: str, folder: Path | None) -> PooledDataset:
    """Load the dataset by its name in the configuration. `folder` is needed for mnist only."""
    if name == "digits":
        return _digits()
    if name == "breast-cancer":
        return _breast_cancer()
    if name == "digit-traits":
        return _digit_traits()
    if name == "mnist":
        if folder is None:
            raise ConfigError(
                "dataset mnist needs its files: set data_dir, or the environment variable CAPC_DATA_DIR, to "
                "the folder with t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte (gzipped or not)"
            )
        return _mnist(folder)
    raise ConfigError(f"dataset {name!r} is not known; there are digits, breast-cancer, digit-traits and mnist")


def _named(name: str, classes: int, pool: Records, test: Records, label_names: tuple[str, ...] = ()) -> PooledDataset:
    agreed = {"dataset": name}
    return PooledDataset(name=name, classes=classes, pool=pool, test=test, label_names=label_names, agreed=agreed)


def _digits() -> PooledDataset:
    return _named("digits", 10, *_digit_images())


def _digit_images() -> tuple[Records, Records]:
    """Return pool and test set."""
    rows = np.loadtxt(_shipped("digits.csv.gz"), delimiter=",")
    images = rows[:, :-1].reshape(-1, 1, _DIGITS_SIDE, _DIGITS_SIDE) / 16
    every = Records(images.astype(np.float32), rows[:, -1].astype(np.int64))
    return every.take(slice(_DIGITS_TEST, None)), every.take(slice(_DIGITS_TEST))


def _breast_cancer() -> PooledDataset:
    rows = np.loadtxt(_shipped("breast_cancer.csv"), delimiter=",", skiprows=1)
    data = rows[:, :-1]
    standard = (data - data.mean(axis=0)) / data.std(axis=0)
    values = (np.clip(standard, -_DEVIATIONS, _DEVIATIONS) + _DEVIATIONS) / (2 * _DEVIATIONS)
    every = Records(values[:, None, None].astype(np.float32), rows[:, -1].astype(np.int64))
    tested = np.arange(len(every)) % 5 == 0
    return _named("breast-cancer", 2, every.take(np.flatnonzero(~tested)), every.take(np.flatnonzero(tested)))


def _shipped(name: str) -> Path:
    """A file of scikit-learn's. Asking `sklearn.datasets` for its content takes a second, for what that imports."""
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise DataError("scikit-learn, which brings the small datasets, is not installed")
    return Path(package.origin).parent / "datasets" / "data" / name


def _digit_traits() -> PooledDataset:
    def traits(records: Records) -> Records:
        bits = [np.isin(records.labels, members) for members in _TRAITS.values()]
        return Records(records.images, np.stack(bits, axis=1).astype(np.int64))

    pool, test = _digit_images()
    return _named("digit-traits", len(_TRAITS), traits(pool), traits(test), tuple(_TRAITS))


def _mnist(folder: Path) -> PooledDataset:
    held_out = _mnist_pair(folder, "t10k")
    if find_idx(folder, "train-images-idx3-ubyte") or find_idx(folder, "train-labels-idx1-ubyte"):
        return _named("mnist", 10, _mnist_pair(folder, "train"), held_out)
    border = len(held_out) // 5
    return _named("mnist", 10, held_out.take(slice(border, None)), held_out.take(slice(border)))


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
