"""Reading datasets and dealing them out: deterministic, disjoint, and no damaged file is believed."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parties.frame.errors import ConfigError
from parties.learning.datasets import load_dataset
from parties.learning.idx import read_idx
from parties.learning.parts import PooledDataset as Dataset
from parties.learning.records import DataError, Records
from parties.learning.split import lacking, set_aside, split


def idx_bytes(array: np.ndarray) -> bytes:
    shape = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, 8, array.ndim]) + shape + array.astype(np.uint8).tobytes()


def small_mnist(folder: Path, prefix: str, count: int, *, packed: bool) -> None:
    images = np.arange(count * 784).reshape(count, 28, 28) % 256
    for name, array in (("images-idx3", images), ("labels-idx1", np.arange(count) % 10)):
        content = idx_bytes(array)
        path = folder / f"{prefix}-{name}-ubyte{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(content) if packed else content)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits", None)


def test_digits_test_set_and_pool_are_the_whole_and_fixed(digits: Dataset) -> None:
    assert (len(digits.test), len(digits.pool)) == (360, 1437)
    assert digits.image_shape == (1, 8, 8)
    assert digits.test.labels[:3].tolist() == [0, 1, 2]
    assert digits.pool.images.min() == 0
    assert digits.pool.images.max() == 1


@given(
    owners=st.integers(1, 40),
    seed=st.integers(0, 2**63 - 1),
    labels=st.lists(st.integers(0, 4), min_size=40, max_size=120),
    method=st.sampled_from(["iid", "stratified"]),
)
def test_parts_are_disjoint_cover_the_pool_and_repeat(owners: int, seed: int, labels: list[int], method: str) -> None:
    pool = np.array(labels)
    parts = split(pool, owners, seed, method)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(pool)))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    for part, again in zip(parts, split(pool, owners, seed, method), strict=True):
        assert part.tolist() == again.tolist()
    if method == "stratified":
        for label in range(5):
            counts = [int((pool[part] == label).sum()) for part in parts]
            assert max(counts) - min(counts) <= 1


def test_another_seed_gives_another_split(digits: Dataset) -> None:
    first, second = (split(digits.pool.labels, 3, seed, "stratified")[0] for seed in (1, 2))
    assert first.tolist() != second.tolist()


def test_more_owners_than_records_is_refused() -> None:
    with pytest.raises(ConfigError, match="3 training records cannot be split among 4"):
        split(np.zeros(3, np.int64), 4, 0, "iid")


def test_queries_beyond_the_test_set_are_refused(digits: Dataset) -> None:
    assert len(digits.queries(350, 10)) == 10
    with pytest.raises(ConfigError, match=r"350\.\.360 asked for.*0\.\.359"):
        digits.queries(350, 11)


@pytest.mark.parametrize("packed", [False, True])
def test_t10k_alone_is_split_into_test_set_and_pool(tmp_path: Path, packed: bool) -> None:
    small_mnist(tmp_path, "t10k", 50, packed=packed)
    mnist = load_dataset("mnist", tmp_path)
    assert (len(mnist.test), len(mnist.pool)) == (10, 40)
    assert mnist.test.labels[7] == 7
    assert mnist.test.images[0, 0, 0, 5] == np.float32(5 / 255)


def test_with_training_files_all_of_t10k_is_the_test_set(tmp_path: Path) -> None:
    small_mnist(tmp_path, "t10k", 20, packed=True)
    small_mnist(tmp_path, "train", 30, packed=False)
    mnist = load_dataset("mnist", tmp_path)
    assert (len(mnist.test), len(mnist.pool)) == (20, 30)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="CAPC_DATA_DIR"):
        load_dataset("mnist", None)
    with pytest.raises(DataError, match=r"neither t10k-images-idx3-ubyte nor \S+\.gz"):
        load_dataset("mnist", tmp_path)
    small_mnist(tmp_path, "t10k", 20, packed=True)
    small_mnist(tmp_path, "train", 30, packed=False)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="neither train-labels-idx1-ubyte"):
        load_dataset("mnist", tmp_path)


GOOD = idx_bytes(np.ones((2, 3)))
REFUSED = {
    "empty": (b"", "magic"),
    "wrong magic": (b"\x01" + GOOD[1:], "magic"),
    "another type": (GOOD[:2] + b"\x0d" + GOOD[3:], "magic"),
    "another rank": (idx_bytes(np.ones(6)), "1 dimensions, expected 2"),
    "cut in the header": (GOOD[:9], "inside its header"),
    "cut in the body": (GOOD[:-1], "truncated: its header announces 6 bytes, 5 follow"),
    "left over": (GOOD + b"x", "left over after the 6"),
    "absurd size": (GOOD[:4] + b"\xff" * 8, "more than"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_idx_file_is_refused(tmp_path: Path, name: str, packed: bool) -> None:
    content, words = REFUSED[name]
    path = tmp_path / ("file.gz" if packed else "file")
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError, match=words):
        read_idx(path, 2)


def test_a_whole_idx_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(GOOD)
    assert read_idx(tmp_path / "file", 2).tolist() == [[1, 1, 1], [1, 1, 1]]


@pytest.mark.parametrize(
    "content",
    [b"not gzip", gzip.compress(GOOD)[:-9], gzip.compress(GOOD)[:-1]],
    ids=["another file", "half", "all but a byte"],
)
def test_a_damaged_gzip_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.gz").write_bytes(content)
    with pytest.raises(DataError, match="not a whole gzip file"):
        read_idx(tmp_path / "file.gz", 2)


def test_mnist_files_that_disagree_are_refused(tmp_path: Path) -> None:
    small_mnist(tmp_path, "t10k", 20, packed=False)
    labels = tmp_path / "t10k-labels-idx1-ubyte"
    labels.write_bytes(idx_bytes(np.zeros(19)))
    with pytest.raises(DataError, match=r"20 images but .* 19 labels"):
        load_dataset("mnist", tmp_path)
    labels.write_bytes(idx_bytes(np.full(20, 10)))
    with pytest.raises(DataError, match="label 10"):
        load_dataset("mnist", tmp_path)


def test_records_survive_their_file_and_only_the_owner_may_read_it(digits: Dataset, tmp_path: Path) -> None:
    part = digits.pool.take(slice(5))
    path = tmp_path / "records.npz"
    part.write(path)
    again = Records.read(path)
    assert again.digest() == part.digest()
    assert np.array_equal(again.images, part.images)
    assert path.stat().st_mode & 0o777 == 0o600
    assert part.digest() != digits.pool.take(slice(1, 6)).digest()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="cannot be read"):
        Records.read(path)


@pytest.mark.skipif("CAPC_DATA_DIR" not in os.environ, reason="CAPC_DATA_DIR names no folder with MNIST files")
def test_the_first_mnist_query_is_a_seven() -> None:
    mnist = load_dataset("mnist", Path(os.environ["CAPC_DATA_DIR"]))
    assert mnist.test.labels[0] == 7
    assert mnist.image_shape == (1, 28, 28)


@given(owners=st.integers(1, 25), seed=st.integers(0, 2**63 - 1), missing=st.integers(1, 4))
def test_every_owner_lacks_the_classes_that_it_is_said_to_lack(owners: int, seed: int, missing: int) -> None:
    pool = np.repeat(np.arange(6), 30)
    lacks = lacking(6, owners, seed, missing)
    assert all(len(absent) == missing for absent in lacks)
    if set.intersection(*map(set, lacks)):
        with pytest.raises(ConfigError, match="that all lack it"):
            split(pool, owners, seed, "stratified", missing)
        return
    parts = split(pool, owners, seed, "stratified", missing)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(pool)))
    for part, absent in zip(parts, lacks, strict=True):
        assert set(pool[part].tolist()) == set(range(6)) - absent


def test_what_cannot_be_lacked_is_refused() -> None:
    pool = np.repeat(np.arange(3), 10)
    with pytest.raises(ConfigError, match="fewer than the 3 classes, found 3"):
        split(pool, 5, 0, "stratified", 3)
    with pytest.raises(ConfigError, match="expected split stratified"):
        split(pool, 5, 0, "iid", 1)


def test_what_is_set_aside_is_no_owners(digits: Dataset) -> None:
    aside, rest = set_aside(digits.pool.labels, 240, 3)
    assert (len(aside), len(rest)) == (240, len(digits.pool) - 240)
    assert not set(aside.tolist()) & set(rest.tolist())
    assert aside.tolist() == set_aside(digits.pool.labels, 240, 3)[0].tolist()
    assert aside.tolist() != set_aside(digits.pool.labels, 240, 4)[0].tolist()
    with pytest.raises(ConfigError, match="unlabelled"):
        set_aside(digits.pool.labels, len(digits.pool), 3)


def test_breast_cancer_is_two_classes_of_measurements_in_a_public_range() -> None:
    biopsies = load_dataset("breast-cancer", None)
    assert (len(biopsies.test), len(biopsies.pool), biopsies.image_shape) == (114, 455, (1, 1, 30))
    assert biopsies.pool.images.min() >= 0
    assert biopsies.pool.images.max() <= 1
    assert 0.3 < biopsies.test.labels.mean() < 0.7


def test_the_small_datasets_are_what_scikit_learn_gives(digits: Dataset) -> None:
    from sklearn.datasets import load_breast_cancer, load_digits

    theirs = load_digits()
    parts = (digits.test, digits.pool)
    assert np.array_equal(np.concatenate([part.images.reshape(-1, 64) for part in parts]) * 16, theirs.data)
    assert np.array_equal(np.concatenate([part.labels for part in parts]), theirs.target)
    theirs, biopsies = load_breast_cancer(), load_dataset("breast-cancer", None)
    assert np.array_equal(biopsies.test.labels, theirs.target[::5])
    assert np.corrcoef(biopsies.test.images[:, 0, 0, 0], theirs.data[::5, 0])[0, 1] > 0.999
