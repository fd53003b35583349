"""Several owners pool what they have encrypted, by files, and get the model of all their records."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from parties.encrypted import commands, ridge_commands
from parties.encrypted.container import read_container, read_header, write_container
from parties.encrypted.keys import signing_key
from parties.encrypted.model import LinearModel
from parties.encrypted.options import (
    DecryptModelOptions,
    EncryptDatasetOptions,
    InspectOptions,
    PoolOptions,
    TrainOptions,
)
from parties.encrypted.pooling import share_of
from parties.frame.errors import PartyError
from parties.learning.records import DataError

REGULARISATION, LARGEST, DEGREE, ALL = 0.2, 0.8, 4, 450
SHARES = {"alice": slice(0, 150), "bob": slice(150, 250), "carol": slice(250, 400)}


def lines(summary: Any) -> dict[str, str]:
    return dict(summary.lines)


def write_records(path: Path, rows: slice, flip: bool = False, features: int = 7) -> Path:
    x, classes = load_breast_cancer(return_X_y=True)
    np.savez(path, X=x[rows, :features], y=1 - classes[rows] if flip else classes[rows])
    return path


def encrypt(folder: Path, dataset: Path, **more: Any) -> Any:
    options: dict[str, Any] = {
        "algorithm": "ridge",
        "dataset": dataset,
        "output": folder / "x.enc",
        "keys_dir": folder / "keys",
    }
    return commands.encrypt_dataset(None, folder, EncryptDatasetOptions(**(options | more)))


CHOICES = {
    "regularisation": REGULARISATION,
    "largest_eigenvalue": LARGEST,
    "inverse_degree": DEGREE,
    "all_records": ALL,
    "whiten": 0.0,
}


@pytest.fixture(scope="module")
def owners(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each owner. The first one has made the keys."""
    top = tmp_path_factory.mktemp("owners")
    for name, rows in SHARES.items():
        (top / name).mkdir()
        dataset = write_records(top / name / "x.npz", rows)
        holder = {"public_key": top / "alice/keys/public.key", "preparation": top / "alice/keys/preparation.npz"}
        shown = lines(encrypt(top / name, dataset, **(CHOICES if name == "alice" else holder)))
        assert "of which yours reach 0." in shown["ridge"]
        assert ("the key's holder" in shown) == (name != "alice") == ("private key" not in shown)
    return top


def pooled(owners: Path, folder: Path, names: tuple[str, ...] = tuple(SHARES)) -> Path:
    inputs = ",".join(str(owners / name / "x.enc") for name in names)
    options = PoolOptions(inputs=inputs, output=folder / "pooled.enc", keys_dir=folder / "trainer")
    shown = lines(ridge_commands.pool(None, folder, options))
    assert f"of {len(names)} owners" in shown["pooled"]
    return folder / "pooled.enc"


def trained(owners: Path, data: Path, folder: Path, **more: Any) -> Any:
    options: dict[str, Any] = {
        "encrypted_data": data,
        "public_key": owners / "alice/keys/public.key",
        "output_model": folder / "m.enc",
        "keys_dir": folder / "trainer",
    }
    return commands.train(None, folder, TrainOptions(**(options | more)))


def decrypted(owners: Path, folder: Path, **more: Any) -> Any:
    keys = shutil.copytree(owners / "alice/keys", folder / "keys", dirs_exist_ok=True)
    options: dict[str, Any] = {
        "input_model": folder / "m.enc",
        "private_key": keys / "private.key",
        "output_model": folder / "m.npz",
    }
    return commands.decrypt_model(None, folder, DecryptModelOptions(**(options | more)))


def test_the_model_is_that_of_all_records(owners: Path, tmp_path: Path) -> None:
    data = pooled(owners, tmp_path)
    seen = lines(trained(owners, data, tmp_path))["you see"]
    assert seen.startswith("3 owner(s) of at most 432 records, at most 450 in all")
    summary = decrypted(owners, tmp_path)
    assert "private to its holder" in summary.warnings[0]
    found = LinearModel.read(tmp_path / "m.npz")
    x, classes = load_breast_cancer(return_X_y=True)
    prepared, _ = found.preparation.apply(x[:400, :7])
    t = np.where(classes[:400] == 1, 1.0, -1.0)
    whole = prepared.T @ prepared / ALL + REGULARISATION * np.eye(8)
    exact = np.linalg.solve(whole, prepared.T @ t / ALL)
    assert np.linalg.norm(found.weights[0] - exact) < 0.05 * np.linalg.norm(exact)
    alone = prepared[:150]
    first = np.linalg.solve(alone.T @ alone / ALL + REGULARISATION * np.eye(8), alone.T @ t[:150] / ALL)
    assert np.linalg.norm(found.weights[0] - first) > 0.1 * np.linalg.norm(exact)
    assert found.accuracy(x[400:, :7], classes[400:]) > 0.9
    shown = lines(commands.inspect(None, tmp_path, InspectOptions(file=tmp_path / "m.enc")))
    assert shown["algorithm"].startswith("ridge, regularisation 0.2, eigenvalues up to 0.8, degree 4, 1 target(s), 3")

    with pytest.raises(PartyError, match="verify: expected none for a model of 3 owners' records"):
        decrypted(owners, tmp_path, verify=owners / "alice/x.npz")
    trained(owners, pooled(owners, tmp_path, ("alice", "bob")), tmp_path)
    with pytest.raises(PartyError, match="found that it has released another model"):
        decrypted(owners, tmp_path)


def test_one_owners_model_is_verified(owners: Path, tmp_path: Path) -> None:
    trained(owners, owners / "alice/x.enc", tmp_path)
    summary = decrypted(owners, tmp_path, verify=owners / "alice/x.npz")
    assert summary.warnings == ()
    assert lines(summary)["released"] == "the twin's weights"
    assert "scikit-learn" in lines(summary)["accuracy on the records"]

    other = tmp_path / "other"
    other.mkdir()
    trained(owners, owners / "bob/x.enc", other)  # a trainer that gives back another owner's model as hers
    content = read_container(other / "m.enc", "model")
    header = read_header(tmp_path / "m.enc")[0]
    write_container(other / "m.enc", header, content.parts, signing_key(other / "stranger"))
    with pytest.raises(PartyError, match="not all are: the trainer ran something else, or on other records"):
        decrypted(owners, other, verify=owners / "alice/x.npz")


def test_what_an_owner_sends_does_not_depend_on_its_labels(owners: Path, tmp_path: Path) -> None:
    flipped = write_records(tmp_path / "x.npz", SHARES["bob"], flip=True)
    holder = {"public_key": owners / "alice/keys/public.key", "preparation": owners / "alice/keys/preparation.npz"}
    encrypt(tmp_path, flipped, **holder)
    first, second = (read_container(path / "x.enc", "data") for path in (owners / "bob", tmp_path))
    assert {name: len(part) for name, part in first.parts.items()} == {
        name: len(part) for name, part in second.parts.items()
    }
    assert first.header.share == second.header.share == 112
    assert first.header.records == ALL
    assert sorted(path.name for path in (owners / "bob/keys").iterdir()) == ["signing.key"]


def test_files_that_do_not_belong_together_are_refused(owners: Path, tmp_path: Path) -> None:
    with pytest.raises(PartyError, match=r"expected each owner's moments once, found those of .*bob/x\.enc"):
        pooled(owners, tmp_path, ("alice", "bob", "bob"))
    with pytest.raises(PartyError, match="expected the files of at least 2 owners, with commas between, found 1"):
        pooled(owners, tmp_path, ("alice",))
    some = pooled(owners, tmp_path, ("alice", "bob", "carol"))
    holder = {"public_key": owners / "alice/keys/public.key", "preparation": owners / "alice/keys/preparation.npz"}
    again, dave = tmp_path / "again", tmp_path / "dave"
    again.mkdir()
    shutil.copytree(owners / "bob/keys", again / "keys")  # bob encrypts his records a second time
    encrypt(again, owners / "bob/x.npz", **holder)
    dave.mkdir()
    encrypt(dave, write_records(dave / "x.npz", slice(400, 500)), **holder)
    for first, second, sentence in (
        (some, owners / "bob/x.enc", r"bob/x\.enc: expected each owner's moments once, found those of .*pooled\.enc"),
        (
            owners / "bob/x.enc",
            again / "x.enc",
            "expected each owner's moments once, .* that the same owner has signed",
        ),
        (some, again / "x.enc", "expected each owner's moments once, .* that the same owner has signed"),
        (some, dave / "x.enc", "expected owners who have at most 450 records together, .* up to 544"),
    ):
        with pytest.raises(PartyError, match=sentence):
            ridge_commands.pool(None, tmp_path, PoolOptions(inputs=f"{first},{second}", output=tmp_path / "p.enc"))
    with pytest.raises(PartyError, match=r"learning_rate: expected none for ridge regression"):
        trained(owners, some, tmp_path, learning_rate=1.0)
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    encrypt(stranger, owners / "bob/x.npz", **CHOICES)
    inputs = f"{owners / 'alice/x.enc'},{stranger / 'x.enc'}"
    with pytest.raises(PartyError, match=r"expected the key pair of .*alice/x\.enc, found another one"):
        ridge_commands.pool(None, tmp_path, PoolOptions(inputs=inputs, output=tmp_path / "p.enc"))
    with pytest.raises(PartyError, match=r"expected the key pair of .*x\.enc, found another one"):
        trained(owners, stranger / "x.enc", tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"algorithm": "logistic", "regularisation": 1.0}, "regularisation: expected with --algorithm ridge alone"),
        ({"iterations": 3}, "iterations: expected with --algorithm logistic alone, found it here"),
        ({"preparation": Path("p.npz")}, "preparation: expected with --public_key alone, found it here"),
        ({"public_key": Path("k")}, "preparation: expected the key holder's preparation.npz with --public_key"),
        ({"public_key": Path("k"), "norm": 1.0}, "norm: expected from the owner whose public key it is"),
        ({"largest_eigenvalue": 0.1}, r"expected records whose second moments have eigenvalues of at most 0\.1, found"),
        ({"regularisation": 0.001}, "expected a polynomial within 0.05 of the inverse"),
        ({"inverse_degree": 5}, "expected an even degree of 2 to 64, found 5"),
        ({"all_records": 150}, "all_records: expected at least 160 for 150 records, as others are told .* found 150"),
        ({"all_records": 9}, "expected 1 to 9 records, which all owners have together, found 150"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    owners: Path, tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(PartyError, match=sentence):
        encrypt(tmp_path, owners / "alice/x.npz", **({} if "public_key" in change else {"whiten": 0.0}), **change)
    assert list(tmp_path.iterdir()) == []


def test_records_that_are_not_like_the_holders_are_refused(owners: Path, tmp_path: Path) -> None:
    holder = {"public_key": owners / "alice/keys/public.key", "preparation": owners / "alice/keys/preparation.npz"}
    with pytest.raises((PartyError, DataError), match="expected records of 7 features"):
        encrypt(tmp_path, write_records(tmp_path / "x.npz", SHARES["bob"], features=6), **holder)
    np.savez(tmp_path / "y.npz", X=np.zeros((4, 7)), y=np.array([0, 1, 2, 1]))
    with pytest.raises(PartyError, match="dataset: expected the classes 0, 1, found 2"):
        encrypt(tmp_path, tmp_path / "y.npz", **holder)
    with pytest.raises(PartyError, match="expected it from 0000, found it signed by"):
        encrypt(tmp_path, owners / "bob/x.npz", signed_by="0000", **holder)


def test_shares_are_rounded_up() -> None:
    assert [share_of(n) for n in (1, 7, 8, 9, 100, 112, 150, 455)] == [1, 7, 8, 10, 112, 112, 160, 512]
