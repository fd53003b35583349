"""Owners train a last layer on features of a public extractor: one function for all, at home, and refused otherwise."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from mpc.inference.models.floats import Conv2d, Flatten, FloatLayer, Linear, MaxPool2d, ReLU
from parties.encrypted import commands, ridge_commands
from parties.encrypted.features import features_of
from parties.encrypted.model import LinearModel
from parties.encrypted.options import (
    DecryptModelOptions,
    EncryptDatasetOptions,
    EncryptModelOptions,
    InspectOptions,
    PoolOptions,
    TrainOptions,
)
from parties.encrypted.preparation import Preparation
from parties.encrypted.records import LabelledTable, read_records
from parties.frame.errors import ConfigError, PartyError
from parties.learning.model_files import extractor
from parties.learning.model_files.choices import ExtractorFile
from parties.learning.model_files.extractor import Extractor
from parties.learning.model_files.layers_file import write_layers
from parties.learning.model_files.onnx_file import write_onnx
from parties.learning.records import DataError

NET = """
from torch import nn


def make():
    return nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 12), nn.ReLU(), nn.Linear(12, 3)
    )
"""
REGULARISATION, ALL = 0.2, 400


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One network in files of three kinds, and records of two owners."""
    folder = tmp_path_factory.mktemp("features")
    draw = np.random.default_rng(5)

    def weights(*shape: int) -> Any:
        return draw.normal(0, 0.4, shape).astype(np.float32).astype(np.float64)

    layers: list[FloatLayer] = [
        Conv2d(weights(2, 1, 3, 3), weights(2)),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Linear(weights(12, 18), weights(12)),
        ReLU(),
        Linear(weights(3, 12), weights(3)),
    ]
    write_layers(folder / "net.npz", layers, (1, 8, 8))
    write_onnx(folder / "net.onnx", layers, (1, 8, 8), ("a", "b", "c"), "class")
    (folder / "ournet.py").write_text(NET)
    names = {0: layers[0], 4: layers[4], 6: layers[6]}
    state = {
        f"{place}.{name}": torch.tensor(getattr(one, name), dtype=torch.float32)
        for place, one in names.items()
        for name in ("weight", "bias")
    }
    torch.save(state, folder / "net.pt")
    images, classes = load_digits(n_class=3, return_X_y=True)
    images = images.reshape(-1, 8, 8) / 16
    for name, rows in {"ada": slice(0, 150), "bea": slice(150, 350), "test": slice(350, None)}.items():
        (folder / name).mkdir()
        np.savez(folder / name / "x.npz", X=images[rows], y=classes[rows])
    return folder


def read(folder: Path) -> LabelledTable:
    return read_records(folder / "x.npz", images=True)


def encrypt(top: Path, name: str, output: Path, **more: Any) -> dict[str, str]:
    joined = {"public_key": top / "ada/keys/public.key", "preparation": top / "ada/keys/preparation.npz"}
    chosen = {"regularisation": REGULARISATION, "largest_eigenvalue": 0.8, "inverse_degree": 4, "all_records": ALL}
    options: dict[str, Any] = {
        "algorithm": "ridge",
        "dataset": top / name / "x.npz",
        "output": output / "x.enc",
        "keys_dir": output / "keys",
        "features": top / "net.npz",
        "features_layers": 6,
        **(chosen if name == "ada" else joined),
    }
    given = {flag: value for flag, value in (options | more).items() if value is not None}
    summary = commands.encrypt_dataset(None, top, EncryptDatasetOptions(**given))
    return dict(summary.lines)


@pytest.fixture(scope="module")
def owners(top: Path) -> Path:
    """Both have encrypted, each with the network from a file of another kind."""
    shown = encrypt(top, "ada", top / "ada")
    assert shown["features"].startswith("12 features of the extractor ")
    assert shown["features"].endswith("6 of its 7 layers are used, from the first one")
    other = encrypt(top, "bea", top / "bea", features=top / "net.onnx")
    assert other["features"] == shown["features"]
    digest = shown["features"].removeprefix("12 features of the extractor ").split(";")[0]
    for one in (shown, other):
        assert "a digest of how features are prepared, which tells nothing of it" in one["a trainer sees"]
        assert f"the extractor's digest {digest}, which tells who knows the extractor" in one["a trainer sees"]
    return top


def test_one_network_is_one_extractor_whatever_file_it_comes_from(top: Path) -> None:
    table = read(top / "test")
    files = (
        ExtractorFile(file=top / "net.npz", layers=6),
        ExtractorFile(file=top / "net.onnx", layers=6),
        ExtractorFile(file=top / "net.pt", factory="ournet:make", path=top, layers=6),
    )
    made = [features_of(table, file) for file in files]
    assert len({one.extractor.digest for one in made}) == 1
    assert {one.table.extractor for one in made} == {made[0].extractor.digest}
    scope: dict[str, Any] = {}
    exec(NET, scope)  # noqa: S102 - the text above
    module = scope["make"]()
    module.load_state_dict(torch.load(top / "net.pt", weights_only=True))
    with torch.no_grad():
        expected = module[:6](torch.tensor(table.features[:, None], dtype=torch.float32)).numpy()
    for one in made:
        assert one.table.features.shape == (len(table.features), 12)
        np.testing.assert_allclose(one.table.features, expected, atol=1e-5)
    others = [
        features_of(table, ExtractorFile(file=top / "net.npz", layers=5)).extractor,
        features_of(table, ExtractorFile(file=top / "net.npz")).extractor,
        replace(made[0].extractor, layers=(made[0].extractor.layers[0], *made[0].extractor.layers[1:5], ReLU())),
    ]
    assert [one.digest == made[0].extractor.digest for one in others] == [False, False, True]
    moved = Linear(np.asarray(made[0].extractor.layers[4].weight) + 1e-12, made[0].extractor.layers[4].bias)
    near = (*made[0].extractor.layers[:4], moved, ReLU())
    assert replace(made[0].extractor, layers=near).digest != made[0].extractor.digest


def test_a_last_layer_is_that_of_all_owners_features(owners: Path, tmp_path: Path) -> None:
    inputs = f"{owners / 'ada/x.enc'},{owners / 'bea/x.enc'}"
    pool = PoolOptions(inputs=inputs, output=tmp_path / "p.enc", keys_dir=tmp_path / "t")
    ridge_commands.pool(None, tmp_path, pool)
    train = TrainOptions(
        encrypted_data=tmp_path / "p.enc",
        public_key=owners / "ada/keys/public.key",
        output_model=tmp_path / "m.enc",
        keys_dir=tmp_path / "t",
    )
    commands.train(None, tmp_path, train)
    asked: dict[str, Any] = {
        "input_model": tmp_path / "m.enc",
        "private_key": owners / "ada/keys/private.key",
        "output_model": tmp_path / "m.npz",
        "test": owners / "test/x.npz",
        "features": owners / "net.pt",
        "features_factory": "ournet:make",
        "features_path": owners,
        "features_layers": 6,
    }
    np.savez(tmp_path / "classes.npz", X=np.zeros((4, 8, 8)), y=np.arange(4) % 2)
    np.savez(tmp_path / "wide.npz", X=np.zeros((6, 9, 9)), y=np.arange(6) % 3)
    for change, sentence in (
        ({"features_layers": 5}, r"test: expected features of the extractor .*, found features of the extractor"),
        ({"test": tmp_path / "classes.npz"}, "test: expected records with the classes 0, 1, 2, found 0, 1"),
        ({"test": tmp_path / "wide.npz"}, "test: expected features of the extractor"),
    ):
        with pytest.raises(PartyError, match=sentence):
            commands.decrypt_model(None, tmp_path, DecryptModelOptions(**(asked | change)))
        assert not (tmp_path / "m.npz").exists()  # nothing is released for records that it is not measured on
        assert not [*(owners / "ada/keys").glob("*.released")]
    shown = dict(commands.decrypt_model(None, tmp_path, DecryptModelOptions(**asked)).lines)
    head = LinearModel.read(tmp_path / "m.npz")
    extractor = Extractor.read(owners / "net.npz")
    extractor = replace(extractor, layers=extractor.layers[:6])
    assert head.preparation.extractor == extractor.digest
    tables = [read(owners / name) for name in ("ada", "bea")]
    prepared = np.vstack([head.preparation.apply(extractor.apply(one.features))[0] for one in tables])
    places = np.concatenate([one.places for one in tables])
    signs = np.stack([np.where(places == target, 1.0, -1.0) for target in range(3)])
    whole = prepared.T @ prepared / ALL + REGULARISATION * np.eye(13)
    exact = np.linalg.solve(whole, prepared.T @ signs.T / ALL).T
    assert np.linalg.norm(head.weights - exact) < 0.06 * np.linalg.norm(exact)
    test = read(owners / "test")
    accuracy = head.accuracy(extractor.apply(test.features), test.places)
    assert shown["accuracy on the test"] == f"{accuracy:.4f}"
    assert accuracy > 0.85

    encrypt_model = EncryptModelOptions(model=tmp_path / "m.npz", output=tmp_path / "s.enc", keys_dir=tmp_path / "k")
    with pytest.raises(DataError, match="expected a model of records as they are, found a last layer on features"):
        commands.encrypt_model(None, tmp_path, encrypt_model)
    seen = dict(commands.inspect(None, tmp_path, InspectOptions(file=tmp_path / "m.enc")).lines)
    assert seen["extractor"] == extractor.digest


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"features_layers": 5}, "expected features of the extractor [0-9a-f]{16} .*, found features of the extractor"),
        ({"features_layers": 7}, "expected features of the extractor [0-9a-f]{16} .*, found features of the extractor"),
        ({"features_layers": 8}, "expected 1 to 7 layers of the extractor, found 8"),
        (
            {"features": None, "features_layers": None},
            r"expected numbers \(n, d\), found float64 of shape \(200, 8, 8\): images need an extractor",
        ),
        ({"features": None}, "features_layers: expected with --features alone, found it without"),
        ({"features": Path("none.onnx")}, "none.onnx: expected a file, found none"),
        ({"features": Path("net.joblib")}, "net.joblib: expected a file, found none"),
        ({"features_factory": "a:b"}, "expected no factory with a file of layers, found a:b"),
        ({"features_path": Path("some")}, "expected no folder of a factory with a file of layers, found some"),
        ({"trust_pickle": True}, "expected no trust in its pickle with a file of layers, found True"),
    ],
)
def test_another_extractor_is_refused(owners: Path, tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PartyError, match=sentence):
        encrypt(owners, "bea", tmp_path, **change)
    assert list(tmp_path.iterdir()) == []


def test_rows_of_images_of_another_layout_do_not_meet(tmp_path: Path) -> None:
    """Layers that take rows fit channels first and channels last, whose values come in another order."""
    draw = np.random.default_rng(2)
    write_layers(tmp_path / "rows.npz", [Linear(draw.normal(size=(4, 48)), np.zeros(4)), ReLU()], (48,))
    first, classes = draw.normal(size=(60, 3, 4, 4)), np.arange(60) % 2
    shapes = {"first": first, "last": first.transpose(0, 2, 3, 1), "flat": first.reshape(60, 48)}
    for name, images in shapes.items():
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / "x.npz", X=images, y=classes)
    net = ExtractorFile(file=tmp_path / "rows.npz")
    made = {name: features_of(read(tmp_path / name), net) for name in shapes}
    np.testing.assert_array_equal(made["first"].table.features, made["flat"].table.features)
    assert len({one.table.extractor for one in made.values()}) == 3
    assert made["last"].table.extractor[:16] in made["last"].line
    extractor = made["flat"].extractor
    assert made["flat"].table.extractor == extractor.digest
    assert extractor.digest_for((8, 6)) == extractor.digest_for((1, 8, 6)) != extractor.digest_for((6, 8))
    kept = Preparation.of(made["first"].table.features, None, None, 4.0, extractor=made["first"].table.extractor)
    kept.prepare(made["first"].table)
    for other in ("last", "flat"):
        with pytest.raises(DataError, match=r"expected features of the extractor .*the shape of records as they come"):
            kept.prepare(made[other].table)


def test_records_as_they_are_do_not_meet_features(owners: Path, tmp_path: Path) -> None:
    """Twelve numbers a record, as the extractor gives, but of no extractor."""
    np.savez(tmp_path / "x.npz", X=np.random.default_rng(0).normal(size=(60, 12)), y=np.arange(60) % 3)
    with pytest.raises(DataError, match=r"expected features of the extractor .* found records as they are, without an"):
        encrypt(owners, "bea", tmp_path, dataset=tmp_path / "x.npz", features=None, features_layers=None)


def test_features_that_are_no_numbers_or_too_many_are_refused(top: Path, tmp_path: Path) -> None:
    wide = [Flatten(), Linear(np.full((300, 64), 1.0), np.zeros(300))]
    write_layers(tmp_path / "wide.npz", wide, (1, 8, 8))
    with pytest.raises(DataError, match=r"expected at most 255 features .* found 300: take fewer .*--components 255"):
        encrypt(top, "ada", tmp_path, features=tmp_path / "wide.npz", features_layers=2)
    large = [Flatten(), Linear(np.full((2, 64), 1e308), np.zeros(2))]
    write_layers(tmp_path / "large.npz", large, (1, 8, 8))
    with pytest.raises(DataError, match="row 1: expected finite features of the extractor, found NaN or infinity"):
        encrypt(top, "ada", tmp_path, features=tmp_path / "large.npz", features_layers=2)
    small = [Conv2d(np.ones((1, 3, 3, 3)), np.zeros(1)), Flatten()]
    write_layers(tmp_path / "small.npz", small, (3, 8, 8))
    with pytest.raises(DataError, match=r"expected records of \(3, 8, 8\) for the extractor, found \(1, 8, 8\)"):
        encrypt(top, "ada", tmp_path, features=tmp_path / "small.npz", features_layers=2)
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"layer": {"kind": "AdaptiveAvgPool2d", "output": [100000, 1000000]}}, "expected whole numbers of 1 to 65536"),
        (
            {"layer": {"kind": "AdaptiveAvgPool2d", "output": [60000, 60000]}},
            "at most 16777216 numbers a record, found",
        ),
        (
            {"layer": {"kind": "AdaptiveAvgPool2d", "output": [1.5, 2]}},
            "expected whole numbers of 1 to 65536 as output",
        ),
        (
            {"layer": {"kind": "MaxPool2d", "kernel": 2, "padding": -1}},
            "expected whole numbers of 0 to 65536 as padding",
        ),
        ({"layer": {"kind": "MaxPool2d", "kernel": 1, "stride": 60000, "padding": 60000}}, "at most 16777216 numbers"),
        ({"layer": {"kind": "LeakyReLU", "slope": "x"}}, "layer 0: expected a number as slope, found 'x'"),
        ({"layer": {"kind": "LeakyReLU", "slope": float("inf")}}, "layer 0: expected a number as slope, found inf"),
        ({"layer": {"kind": "Conv2d", "groups": 1}, "0.weight": np.ones((2, 3)), "0.bias": np.ones(2)}, "layer 0"),
        (
            {
                "layer": {"kind": "BatchNorm", "epsilon": 0.1},
                **{f"0.{name}": np.ones(3) for name in ("running_mean", "running_var", "weight", "bias")},
            },
            r"expected an extractor for records of \(1, 8, 8\): ",
        ),
        ({"input_shape": []}, r"an input shape \(\), not \(d,\) or \(channels, height, width\)"),
        ({"input_shape": [0]}, "an input shape"),
        ({"input_shape": [1, 8, 8.0]}, "an input shape"),
        ({"input_shape": [1000, 1000, 1000]}, "at most 16777216 numbers a record, found 1000000000"),
        ({"layers": [[]]}, "cannot be read as a model"),
    ],
)
def test_layers_that_somebody_else_has_made_up_end_in_a_sentence(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    layers = [change["layer"]] if "layer" in change else [{"kind": "ReLU"}]
    described = {"format": 1, "input_shape": [1, 8, 8], "classes": [], "layers": layers}
    described |= {name: value for name, value in change.items() if name in ("input_shape", "layers")}
    arrays = {name: value for name, value in change.items() if name.startswith("0.")}
    np.savez(tmp_path / "net.npz", description=np.array(json.dumps(described)), **arrays)
    images = LabelledTable(np.ones((2, 8, 8)), np.arange(2), ("a", "b"))
    with pytest.raises(DataError, match=sentence):
        features_of(images, ExtractorFile(file=tmp_path / "net.npz"))


def test_compressed_layers_and_arrays_longer_than_they_are_stored_are_refused(top: Path, tmp_path: Path) -> None:
    """A few kilobytes could name gigabytes of zeros."""
    path = tmp_path / "net.npz"
    with np.load(top / "net.npz") as file:
        arrays = {name: file[name] for name in file.files}
    np.savez_compressed(path, **arrays)
    with pytest.raises(DataError, match="stored without compression, found another"):
        Extractor.read(path)
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            stored = io.BytesIO()
            np.lib.format.write_array(stored, array)
            content = stored.getvalue()
            if name == "4.weight":
                content = content.replace(b"(12, 18)", b"(12000000000, 18)").replace(b" " * 9 + b"\n", b"\n")
            archive.writestr(f"{name}.npy", content)
    with pytest.raises(DataError, match=r"expected an array '4\.weight' as long as its shape says, found another"):
        Extractor.read(path)


def test_rows_for_layers_of_images_end_in_a_sentence(top: Path) -> None:
    rows = LabelledTable(np.ones((4, 64)), np.arange(4) % 2, ("a", "b"))
    for file in (
        ExtractorFile(file=top / "net.npz", layers=6),
        ExtractorFile(file=top / "net.onnx", layers=6),
        ExtractorFile(file=top / "net.pt", factory="ournet:make", path=top, layers=6),
    ):
        with pytest.raises(PartyError, match=r"expected (records|an extractor for records|an input) .*\(64,\)"):
            features_of(rows, file)


def test_a_file_that_is_not_converted_in_time_ends_in_a_sentence(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extractor, "_DEADLINE_S", 0.001)
    with pytest.raises(ConfigError, match=r"features .*net.onnx: expected its layers within 0.001 s, found none"):
        features_of(read(top / "test"), ExtractorFile(file=top / "net.onnx"))


def test_one_owners_last_layer_is_verified(top: Path, tmp_path: Path) -> None:
    """Logistic regression, whose owner compares with the twin on the same features."""
    images, classes = load_digits(n_class=2, return_X_y=True)
    np.savez(tmp_path / "x.npz", X=images.reshape(-1, 1, 8, 8) / 16, y=classes)
    made: dict[str, Any] = {"features": top / "net.onnx", "features_layers": 6}
    encrypted = EncryptDatasetOptions(
        dataset=tmp_path / "x.npz", output=tmp_path / "x.enc", keys_dir=tmp_path / "keys", iterations=1, **made
    )
    shown = dict(commands.encrypt_dataset(None, tmp_path, encrypted).lines)
    assert "the extractor's digest " in shown["a trainer sees"]
    assert "a digest of how features are prepared" in shown["a trainer sees"]
    train = TrainOptions(
        encrypted_data=tmp_path / "x.enc",
        public_key=tmp_path / "keys/public.key",
        output_model=tmp_path / "m.enc",
        keys_dir=tmp_path / "t",
    )
    commands.train(None, tmp_path, train)
    asked: dict[str, Any] = {
        "input_model": tmp_path / "m.enc",
        "private_key": tmp_path / "keys/private.key",
        "output_model": tmp_path / "m.npz",
        "verify": tmp_path / "x.npz",
    }
    with pytest.raises(PartyError, match=r"expected features of the extractor .*, found features of the extractor"):
        commands.decrypt_model(None, tmp_path, DecryptModelOptions(**(made | asked | {"features_layers": 5})))
    shown = dict(commands.decrypt_model(None, tmp_path, DecryptModelOptions(**made, **asked)).lines)
    assert shown["released"] == "the twin's weights"
    assert float(shown["accuracy on the records"].split()[0]) > 0.9
