"""A model as HDF5, for programs that read it: all arrays come back, and a name that cannot be written is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mpc import extras
from parties.encrypted.model import LinearModel, check_name
from parties.encrypted.preparation import Preparation
from parties.learning.records import DataError


def model() -> LinearModel:
    random = np.random.default_rng(2)
    preparation = Preparation.of(random.normal(size=(30, 4)), 3, 0.1, 4.0, 2.0, extractor="ab" * 32)
    return LinearModel(random.normal(size=(3, 4)), preparation, ("kör", "dog", "猫"), 3)


@pytest.mark.parametrize("name", ["m.h5", "m.HDF5"])
def test_every_array_comes_back(tmp_path: Path, name: str) -> None:
    h5py = pytest.importorskip("h5py")
    made = model()
    made.write(tmp_path / name)
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    with h5py.File(tmp_path / name) as file:
        found = {key: file[key][()] for key in file}
    classes = tuple(one.decode() for one in found["classes"])
    preparation = Preparation(
        found["mean"], found["deviation"], found["matrix"], float(found["clip"]), float(found["norm"]),
        found["extractor"].decode(),
    )  # fmt: skip
    again = LinearModel(found["weights"], preparation, classes, int(found["degree"]))
    features = np.random.default_rng(3).normal(size=(20, 4))
    np.testing.assert_array_equal(again.scores(features), made.scores(features))
    assert (again.classes, again.degree) == (made.classes, made.degree)
    assert again.preparation.extractor == made.preparation.extractor
    with pytest.raises(DataError, match=r"expected a model as \.npz, found HDF5, which is written for other programs"):
        LinearModel.read(tmp_path / name)


def test_without_the_package_the_sentence_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    with pytest.raises(
        DataError, match=r"expected the package h5py .*pip install h5py, or .*a name that ends in \.npz"
    ):
        model().write(tmp_path / "m.h5")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["m.keras", "m.txt", "m"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(DataError, match=r"expected a model file that ends in \.npz or \.h5, found"):
        check_name(Path(name))
