"""Records are read strictly, and prepared as the model's owner says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from parties.encrypted import commands
from parties.encrypted.config import PoolConfig, SecureTrainConfig
from parties.encrypted.model import LinearModel
from parties.encrypted.options import EncryptDatasetOptions
from parties.encrypted.preparation import Preparation
from parties.encrypted.protocol import PROTOCOL
from parties.encrypted.records import read_records
from parties.frame.plan import Run, RunFolders
from parties.learning.records import DataError


def random(n: int, d: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, d)) @ np.random.default_rng(1).normal(size=(d, d)) + 3


def test_npz_and_csv_give_the_same_records(tmp_path: Path) -> None:
    features, classes = random(20, 3), np.arange(20) % 2
    np.savez(tmp_path / "a.npz", X=features, y=classes)
    text = "\n".join(
        f"{a!r},{b!r},{'yes' if y else 'no'},{c!r}" for (a, b, c), y in zip(features.tolist(), classes, strict=True)
    )
    (tmp_path / "a.csv").write_text(f"a,b,ill,c\n{text}\n")
    first, second = read_records(tmp_path / "a.npz"), read_records(tmp_path / "a.csv", "ill")
    assert np.array_equal(first.features, second.features)
    assert np.array_equal(first.places, second.places)
    assert (first.classes, second.classes) == (("0", "1"), ("no", "yes"))
    assert np.array_equal(first.signs(0), 2.0 * classes - 1)
    assert first.targets == 1
    assert repr(first) == "LabelledTable(features=(20, 3))"


def test_several_classes_are_one_against_the_rest(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=random(6, 2), y=np.array([2.0, 5.0, 9.0] * 2))
    found = read_records(tmp_path / "a.npz")
    assert found.classes == ("2", "5", "9")
    assert found.targets == 3
    assert [found.signs(target).tolist()[:3] for target in range(3)] == [[1, -1, -1], [-1, 1, -1], [-1, -1, 1]]


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"X": np.zeros((3, 2)), "y": np.zeros(3)}, "expected 2 to 20 classes, found 1"),
        ({"X": np.zeros((3, 2)), "y": np.array([0, 1])}, r"expected a class for each of 3 records, found shape \(2,\)"),
        ({"X": np.zeros(3), "y": np.array([0, 1, 1])}, r"array 'X': expected numbers \(n, d\), found float64"),
        ({"X": np.array([[1.0], [np.inf]]), "y": np.array([0, 1])}, "array 'X', row 2: expected finite numbers"),
        ({"X": np.zeros((2, 1)), "y": np.array([0, np.nan])}, "row 2: expected a class, found none"),
    ],
)
def test_bad_arrays_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], sentence: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=sentence):
        read_records(tmp_path / "a.npz")


def test_bad_tables_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,label\n1,x\nb,y\n")
    with pytest.raises(DataError, match="row 2, column 'a': expected a number, found 'b'"):
        read_records(path)
    path.write_text("a,kind\n1,x\n2,y\n")
    with pytest.raises(DataError, match="expected a column 'label' for the classes, found none among"):
        read_records(path)
    path.write_text("label\nx\ny\n")
    with pytest.raises(DataError, match="expected columns of features beside 'label', found none"):
        read_records(path)
    with pytest.raises(DataError, match=r"expected a file of .*: write X and y into an NPZ file"):
        read_records(tmp_path / "a.h5")


def test_preparation_is_scaling_turning_and_whitening() -> None:
    features = random(200, 6)
    scaled = StandardScaler().fit_transform(features)
    plain, cut = Preparation.of(features, None, None, 100.0).apply(features)
    assert np.allclose(plain[:, :-1], scaled)
    assert (plain[:, -1] == 1).all()
    assert cut == 0
    turned, _ = Preparation.of(features, 4, None, 100.0).apply(features)
    expected = PCA(4).fit_transform(scaled)
    assert np.allclose(np.abs(turned[:, :-1]), np.abs(expected))
    white, _ = Preparation.of(features, 4, 0.01, 100.0).apply(features)
    variances = expected.var(axis=0)
    assert np.allclose(white[:, :-1].var(axis=0), variances / (variances + 0.01))
    clipped, cut = Preparation.of(features, 4, 0.01, 1.0).apply(features)
    assert np.abs(clipped).max() == 1.0
    assert cut == int((np.abs(white[:, :-1]) > 1).sum()) > 0


def test_a_feature_that_never_changes_is_nothing() -> None:
    features = random(50, 3)
    features[:, 1] = 7.0
    prepared, _ = Preparation.of(features, None, None, 4.0).apply(features)
    assert np.allclose(prepared[:, 1], 0)
    other, _ = Preparation.of(features, None, 0.01, 4.0).apply(features)
    assert np.isfinite(other).all()


def test_bad_preparations_are_refused() -> None:
    with pytest.raises(DataError, match="components: expected 1 to 3, as many as there are features, found 4"):
        Preparation.of(random(9, 3), 4, None, 4.0)
    with pytest.raises(DataError, match="expected at least 2 records, found 1"):
        Preparation.of(random(1, 3), None, None, 4.0)
    made = Preparation.of(random(9, 3), None, None, 4.0)
    with pytest.raises(DataError, match=r"expected records of 3 features, found shape \(2, 4\)"):
        made.apply(np.zeros((2, 4)))
    with pytest.raises(DataError, match="expected finite constants of preparation, and deviations, a clip"):
        Preparation(made.mean, made.deviation, made.matrix, 0.0)
    assert repr(made) == "Preparation(3 -> 3)"


def test_long_records_are_scaled_down_and_predicted_alike() -> None:
    features = random(200, 6)
    plain, _ = Preparation.of(features, 4, 0.1, 3.0).apply(features)
    bounded, _ = Preparation.of(features, 4, 0.1, 3.0, 2.0).apply(features)
    norms, shorter = np.linalg.norm(plain, axis=1), np.linalg.norm(bounded, axis=1)
    assert 20 < (norms > 2.0).sum() < 200
    assert np.allclose(shorter, np.minimum(norms, 2.0))
    assert np.allclose(bounded * norms[:, None], plain * shorter[:, None])
    preparation = Preparation.of(features, 4, 0.1, 3.0, 2.0)
    weights = np.random.default_rng(2).normal(size=(3, 5))
    model = LinearModel(weights, preparation, ("a", "b", "c"))
    assert np.array_equal(model.predict(features), (plain @ weights.T).argmax(axis=1))
    assert LinearModel.from_bytes(Path("m"), model.to_bytes()).preparation.norm == 2.0
    for norm in (0.0, -1.0, np.inf):
        with pytest.raises(DataError, match="a clip and a norm above 0, found others"):
            Preparation.of(features, 4, 0.1, 3.0, norm)


def with_an_empty_line(path: Path) -> Path:
    features = random(60, 3)
    rows = [f"{a!r},{b!r},{c!r},{place % 2}" for place, (a, b, c) in enumerate(features.tolist())]
    path.write_text("\n".join(["a,b,c,label", *rows[:20], "", *rows[20:]]) + "\n")
    return path


@pytest.mark.parametrize(
    "choices",
    [{}, {"encrypted": "model"}, {"pool": PoolConfig(regularisation=0.1, largest_eigenvalue=0.7, degree=4)}],
    ids=["records", "model", "pool"],
)
def test_owners_are_told_of_empty_lines_wherever_a_table_is_read(tmp_path: Path, choices: dict[str, Any]) -> None:
    path = with_an_empty_line(tmp_path / "a.csv")
    note = "a.csv: 1 empty line between rows, the first in line 22, is skipped: is a row missing there?"
    found = read_records(path)
    assert (len(found.features), found.notes, found.part(np.arange(4)).notes) == (60, (note,), (note,))
    table, told = commands._read(path, EncryptDatasetOptions(dataset=path, output=tmp_path / "out"))
    assert (len(table.features), told) == (60, [("note", note)])
    config = SecureTrainConfig(dataset=path, iterations=1, **choices)
    run = Run(RunFolders(tmp_path / "files", tmp_path / "logs", "run"), "0" * 32, 23700)
    assert PROTOCOL.plan(config, run).notes.count(note) == 1


def test_each_owner_of_a_pool_is_told_by_name_where_files_have_one_name(tmp_path: Path) -> None:
    files = {}
    for name in ("public", "ada", "bea"):
        (tmp_path / name).mkdir()
        files[name] = with_an_empty_line(tmp_path / name / "a.csv")
    public, pool = files.pop("public"), {"regularisation": 0.1, "largest_eigenvalue": 0.7, "degree": 4}
    config = SecureTrainConfig(dataset=public, pool=PoolConfig(**pool, owners=("ada", "bea"), files=files))
    run = Run(RunFolders(tmp_path / "files", tmp_path / "logs", "run"), "0" * 32, 23700)
    note = "a.csv: 1 empty line between rows, the first in line 22, is skipped: is a row missing there?"
    told = [found for found in PROTOCOL.plan(config, run).notes if note in found]
    assert told == [note, f"ada: {note}", f"bea: {note}"]
