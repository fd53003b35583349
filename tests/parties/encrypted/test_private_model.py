"""A model stays encrypted while another party trains it on records of its own, by files."""

from __future__ import annotations

import io
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris

from mpc.encrypted.programs.squared import Squared
from parties.encrypted import commands
from parties.encrypted.container import read_container, write_container
from parties.encrypted.keys import signing_key
from parties.encrypted.model import LinearModel
from parties.encrypted.options import DecryptModelOptions, EncryptModelOptions, TrainOptions
from parties.encrypted.preparation import Preparation
from parties.encrypted.records import read_records
from parties.frame.errors import PartyError


def start(folder: Path) -> LinearModel:
    """A model of three classes of iris flowers, with weights of chance."""
    features, classes = load_iris(return_X_y=True)
    preparation = Preparation.of(features[:100:2], 3, 0.01, 4.0)
    weights = np.random.default_rng(0).normal(size=(3, 4))
    model = LinearModel(weights, preparation, ("0", "1", "2"))
    model.write(folder / "start.npz")
    np.savez(folder / "x.npz", X=features, y=classes)
    return model


def encrypt(folder: Path, model: Path) -> None:
    commands.encrypt_model(
        None, folder, EncryptModelOptions(model=model, output=folder / "m.enc", keys_dir=folder / "keys")
    )


def train(folder: Path, **more: Any) -> dict[str, str]:
    given: dict[str, Any] = {
        "encrypted_model": folder / "m.enc",
        "dataset": folder / "x.npz",
        "public_key": folder / "keys" / "public.key",
        "output_model": folder / "trained.enc",
        "keys_dir": folder / "other",
        "iterations": 200,
    }
    return dict(commands.train(None, folder, TrainOptions(**(given | more))).lines)


def decrypt(folder: Path, model: str = "trained.enc", **more: Any) -> Any:
    given: dict[str, Any] = {
        "input_model": folder / model,
        "private_key": folder / "keys" / "private.key",
        "output_model": folder / "end.npz",
    }
    return commands.decrypt_model(None, folder, DecryptModelOptions(**(given | more)))


def test_the_model_is_trained_and_nobody_shows_anything(tmp_path: Path) -> None:
    model = start(tmp_path)
    encrypt(tmp_path, tmp_path / "start.npz")
    for weight in model.weights.ravel():
        assert weight.tobytes() not in (tmp_path / "m.enc").read_bytes()
        assert weight.tobytes() not in (tmp_path / "keys" / "preparation.npz").read_bytes()
    shown = train(tmp_path)
    assert "statistical distance of 2^-3" in shown["the owner sees"]
    summary = decrypt(tmp_path, test=tmp_path / "x.npz")
    (warning,) = summary.warnings
    assert "they are private to its holder" in warning
    assert "--verify" not in warning
    found, table = LinearModel.read(tmp_path / "end.npz"), read_records(tmp_path / "x.npz")
    prepared, _ = model.preparation.apply(table.features)
    rate = 1 / np.linalg.eigvalsh(prepared.T @ prepared / len(prepared))[-1]
    for target in range(3):
        weights = model.weights[target]
        for _ in range(Squared(rate, 200).iterations):
            weights = weights - rate / len(prepared) * ((prepared @ weights - table.signs(target)) @ prepared)
        assert np.abs(found.weights[target] - weights).max() < 1e-4
    assert found.accuracy(table.features, table.places) > 0.75 > model.accuracy(table.features, table.places)

    decrypt(tmp_path)
    content = read_container(tmp_path / "trained.enc", "model")
    other = signing_key(tmp_path / "stranger")
    write_container(tmp_path / "again.enc", content.header, content.parts, other)
    with pytest.raises(PartyError, match="found that it has released another model"):
        decrypt(tmp_path, "again.enc")


def stored(arrays: dict[str, Any], compression: int = zipfile.ZIP_STORED, **raw: bytes) -> bytes:
    """An NPZ file of these arrays, some of them given by their bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, array in arrays.items():
            one = io.BytesIO()
            np.save(one, array)
            archive.writestr(f"{name}.npy", raw.get(name, one.getvalue()))
    return buffer.getvalue()


def test_a_peers_preparation_that_is_too_much_is_refused_before_it_is_made() -> None:
    arrays: dict[str, Any] = {
        "weights": np.zeros((1, 7)), "mean": np.zeros(6), "deviation": np.ones(6), "matrix": np.eye(6),
        "clip": np.float64(4), "norm": np.float64(0), "classes": np.array(["0", "1"]), "degree": np.int64(3),
    }  # fmt: skip
    path, features = Path("peer.enc"), np.full((5, 6), 2.0)
    assert LinearModel.from_bytes(path, stored(arrays)).preparation.apply(features)[0].max() == 2.0
    text = b"{'descr': '<f8', 'fortran_order': False, 'shape': (%d,), }" % (1 << 37)
    huge = b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + text + b" " * (117 - len(text)) + b"\n"
    for content, sentence in (
        (stored(arrays, zipfile.ZIP_DEFLATED), "expected an array 'weights' that is stored without compression"),
        (stored(arrays, mean=huge), "expected an array 'mean' as long as its shape says"),
        (
            stored(arrays | {"deviation": np.zeros(6)}),
            "expected finite constants of preparation, and deviations",
        ),
        (stored(arrays | {"classes": np.array(["\x1b[2J", "1"])}), "expected names of classes that can be printed"),
    ):
        with pytest.raises(PartyError, match=sentence):
            LinearModel.from_bytes(path, content)
    tiny = {"deviation": np.full(6, 1e-200)}
    for more in ({"mean": np.full(6, 1e308)}, {"clip": np.float64(1e200)}):  # what is no number, and what is too large
        model = LinearModel.from_bytes(path, stored(arrays | tiny | more))
        with pytest.raises(PartyError, match="expected prepared numbers of at most 1e"):
            model.preparation.apply(features)
    assert LinearModel.from_bytes(path, stored(arrays | tiny)).preparation.apply(features)[0].max() == 4.0


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    start(tmp_path)
    encrypt(tmp_path, tmp_path / "start.npz")
    with pytest.raises(PartyError, match="found one that is encrypted already: give it back as it is to the holder"):
        encrypt(tmp_path, tmp_path / "m.enc")
    with pytest.raises(PartyError, match="a key pair serves one job, so choose another --keys_dir"):
        encrypt(tmp_path, tmp_path / "start.npz")
    with pytest.raises(PartyError, match=r"expected a learning rate below [\d.]+, with which gradient descent"):
        train(tmp_path, learning_rate=100.0)
    with pytest.raises(PartyError, match="expected your own records with --encrypted_model, found none"):
        train(tmp_path, dataset=None)
    with pytest.raises(PartyError, match="found both: for records and a model that are both encrypted, their owners"):
        train(tmp_path, encrypted_data=tmp_path / "m.enc")
    with pytest.raises(PartyError, match="expected --encrypted_data, or --encrypted_model with --dataset, found none"):
        train(tmp_path, encrypted_model=None)
    table = read_records(tmp_path / "x.npz")
    np.savez(tmp_path / "two.npz", X=table.features[:100], y=table.places[:100])
    with pytest.raises(PartyError, match="dataset: expected the model's classes 0, 1, 2, found 0, 1"):
        train(tmp_path, dataset=tmp_path / "two.npz")
    np.savez(tmp_path / "wide.npz", X=np.tile(table.features, 2), y=table.places)
    with pytest.raises(PartyError, match=r"expected records of 4 features, found shape \(150, 8\)"):
        train(tmp_path, dataset=tmp_path / "wide.npz")
    given = read_container(tmp_path / "m.enc", "encrypted model")
    less = {name: part for name, part in given.parts.items() if name != "weights 2"}
    own = signing_key(tmp_path / "keys")
    write_container(tmp_path / "cut.enc", given.header, less, own)
    with pytest.raises(PartyError, match="expected the weights of 3 targets and a preparation, found other parts"):
        train(tmp_path, encrypted_model=tmp_path / "cut.enc")
    train(tmp_path)
    with pytest.raises(PartyError, match="verify: expected none for a model that another party trained"):
        decrypt(tmp_path, verify=tmp_path / "x.npz")
    shutil.copy(tmp_path / "keys" / "private.key", tmp_path / "alone.key")
    with pytest.raises(
        PartyError, match=r"preparation.npz: expected the preparation of the key pair .*, found none that can be read"
    ):
        decrypt(tmp_path, private_key=tmp_path / "alone.key")
