"""Models from users' own files: each kind of file, what is done to them, and what is refused."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpc.errors import ParameterError
from mpc.inference.models.converted import SINGLE, ConvertedLayers
from mpc.inference.models.floats import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Flatten,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
)
from parties.frame.errors import ConfigError
from parties.learning.datasets import load_dataset
from parties.learning.model_files import reading
from parties.learning.model_files.conversion import Report, convert
from parties.learning.model_files.layers_file import read_layers, write_layers
from parties.learning.model_files.reading import ReadModel
from parties.learning.model_files.source import ModelSource, model_source
from parties.learning.models import Model
from parties.learning.records import DataError, Records
from parties.learning.training import TrainingError, model_path, own_report, train, trained_further, trained_model
from parties.learning.training_settings import TrainingSettings

torch = pytest.importorskip("torch")
nn = torch.nn

FACTORY = """
from torch import nn

def make_net():
    return nn.Sequential(nn.Linear(30, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid())
"""
BENIGN = ("malignant", "benign")


@pytest.fixture(scope="module")
def biopsies() -> Any:
    return load_dataset("breast-cancer", None)


def rows_of(records: Records) -> np.ndarray:
    return records.images.reshape(len(records), -1).astype(np.float64)


def settings(source: ModelSource | None, **changes: object) -> TrainingSettings:
    values: dict[str, object] = {
        "architecture": "mlp", "image_shape": (1, 1, 30), "classes": 2, "seed": 5, "epochs": 5,
        "learning_rate": 0.005, "weight_decay": 0.01, "batch": 32, "source": source,
    }  # fmt: skip
    return TrainingSettings.model_validate(values | changes)


def source_of(file: Path, names: tuple[str, ...] = BENIGN, **more: Any) -> ModelSource:
    given = {"factory": None, "path": None, "trust_pickle": False} | more
    return model_source(file, given["factory"], given["path"], given["trust_pickle"], names)


def trained(biopsies: Any, outputs: int = 1) -> Any:
    """A small torch net that has learnt a little, with a sigmoid or a softmax at its end."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(30, 8), nn.ReLU(), nn.Linear(8, outputs))
    x, y = torch.tensor(rows_of(biopsies.pool), dtype=torch.float32), torch.tensor(biopsies.pool.labels)
    optimiser = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(150):
        z = net(x)
        binary = nn.functional.binary_cross_entropy_with_logits
        loss = binary(z[:, 0], y.float()) if outputs == 1 else nn.functional.cross_entropy(z, y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return nn.Sequential(*net, nn.Sigmoid() if outputs == 1 else nn.Softmax(dim=1)).eval()


def write_onnx(net: Any, path: Path) -> None:
    torch.onnx.export(net, (torch.rand(2, 30),), path, dynamo=True, verbose=False,
                      dynamic_shapes=({0: torch.export.Dim("batch")},))  # fmt: skip


def estimator(biopsies: Any, names: tuple[Any, ...] = (0, 1), kind: str = "linear") -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    labels = np.array(names)[biopsies.pool.labels]
    last = LogisticRegression() if kind == "linear" else MLPClassifier((8,), max_iter=300, random_state=0)
    return make_pipeline(StandardScaler(), last).fit(rows_of(biopsies.pool), labels)


def write_skops(model: Any, path: Path) -> None:
    pytest.importorskip("skops.io").dump(model, path)


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("kind", ["onnx", "pt", "pt2"])
def test_a_torch_model_answers_as_it_did(kind: str, outputs: int, biopsies: Any, tmp_path: Path) -> None:
    net, path, more = trained(biopsies, outputs), tmp_path / f"net.{kind}", {}
    if kind == "onnx":
        write_onnx(net, path)
    elif kind == "pt":
        torch.save(net.state_dict(), path)
        code = FACTORY if outputs == 1 else FACTORY.replace("(8, 1), nn.Sigmoid()", "(8, 2), nn.Softmax(dim=1)")
        (tmp_path / f"nets{outputs}.py").write_text(code)
        more = {"factory": f"nets{outputs}:make_net", "path": tmp_path}
    else:
        batch = {0: torch.export.Dim("batch")}
        torch.export.save(torch.export.export(net, (torch.rand(2, 30),), dynamic_shapes=(batch,)), path)
        more = {"trust_pickle": True}
    model, report = convert(settings(source_of(path, **more)), biopsies.pool)
    with torch.no_grad():
        chosen = net(torch.tensor(rows_of(biopsies.test), dtype=torch.float32)).numpy()
    expected = (chosen[:, 0] > 0.5).astype(int) if outputs == 1 else chosen.argmax(1)
    found = model.logits(biopsies.test.images)
    assert (found.argmax(1) == expected).all()
    if outputs == 1:
        log_odds = np.log(chosen[:, 0] / (1 - chosen[:, 0]))
        np.testing.assert_allclose(found, np.stack([-log_odds, log_odds], 1) / 2, rtol=1e-3, atol=1e-4)
    words = " ".join(report.lines())
    assert f"the {'sigmoid' if outputs == 1 else 'softmax'} at the end is left out" in words
    assert "given to it as rows of 30 values" in words
    assert ("log-odds of benign against malignant" in words) == (outputs == 1)
    assert ("trust_pickle" in words) == (kind == "pt2")
    assert not report.suspicious


@pytest.mark.parametrize("kind", ["linear", "perceptron"])
def test_a_scikit_learn_model_answers_as_it_did_by_the_names_of_its_classes(
    kind: str, biopsies: Any, tmp_path: Path
) -> None:
    model = estimator(biopsies, ("malignant", "benign"), kind)
    write_skops(model, tmp_path / "clf.skops")
    assert list(model.classes_) == ["benign", "malignant"]  # sorted, which is the other way round
    found, report = convert(settings(source_of(tmp_path / "clf.skops")), biopsies.pool)
    expected = [BENIGN.index(name) for name in model.predict(rows_of(biopsies.test))]
    assert found.logits(biopsies.test.images).argmax(1).tolist() == expected
    assert "in the order benign, malignant, and come as malignant, benign" in " ".join(report.lines())
    assert report.right / report.decisions > 0.9


@pytest.mark.parametrize("end", ["joblib", "pkl"])
def test_a_pickle_needs_its_owners_trust(end: str, biopsies: Any, tmp_path: Path) -> None:
    import joblib

    path = tmp_path / f"clf.{end}"
    model = estimator(biopsies)
    joblib.dump(model, path) if end == "joblib" else path.write_bytes(pickle.dumps(model))
    with pytest.raises(ConfigError, match=r"expected a file that cannot run code, found one by \w+. .*trust_pickle"):
        source_of(path)
    found, report = convert(settings(source_of(path, ("0", "1"), trust_pickle=True)), biopsies.pool)
    assert (found.logits(biopsies.test.images).argmax(1) == model.predict(rows_of(biopsies.test))).all()
    assert any("can run any code" in line for line in report.lines())


class _Harm:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("kind", ["pt", "skops"])
def test_code_in_a_file_does_not_run(kind: str, tmp_path: Path) -> None:
    path, mark = tmp_path / f"net.{kind}", tmp_path / "mark"
    more: dict[str, Any] = {}
    if kind == "pt":
        torch.save({"weight": _Harm(mark)}, path)
        (tmp_path / "harmless.py").write_text(FACTORY)
        more = {"factory": "harmless:make_net", "path": tmp_path}
    else:
        write_skops(_Harm(mark), path)
    with pytest.raises(ParameterError, match=r"does not load|types of scikit-learn"):
        convert(settings(source_of(path, **more)), Records(np.zeros((1, 1, 1, 30), np.float32), np.zeros(1, np.int64)))
    assert not mark.exists()


def test_a_program_with_code_in_it_is_not_loaded_without_trust(tmp_path: Path) -> None:
    """`torch.export.load` runs a pickle that lies among the sample inputs, as was tried with torch 2.13."""
    whole, path, mark = io.BytesIO(), tmp_path / "net.pt2", tmp_path / "mark"
    torch.export.save(torch.export.export(nn.Linear(30, 2), (torch.rand(1, 30),)), whole)
    harm = io.BytesIO()
    torch.save(_Harm(mark), harm)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w") as new:
        for one in old.infolist():
            content = harm.getvalue() if "sample_inputs" in one.filename else old.read(one.filename)
            new.writestr(one.filename, content)
    with pytest.raises(ConfigError, match=r"cannot run code, found one by torch\.export"):
        source_of(path)
    assert not mark.exists()


def test_a_model_at_chance_level_warns_its_owner_alone(biopsies: Any, tmp_path: Path) -> None:
    write_skops(estimator(biopsies, (1, 0)), tmp_path / "clf.skops")  # the classes are the other way round
    chosen, records = settings(source_of(tmp_path / "clf.skops", ("0", "1"))), tmp_path / "records.npz"
    biopsies.pool.write(records)
    _, cached = trained_model(chosen, records, tmp_path, tmp_path / "slot")
    assert not cached
    lines = own_report(chosen, records, tmp_path)
    assert lines[-1].startswith("WARNING: the model is not better than a constant answer")
    private = model_path(chosen, biopsies.pool, tmp_path).with_suffix(".json")
    assert private.stat().st_mode & 0o777 == 0o600


def test_a_report_counts_what_a_constant_answer_gets_right() -> None:
    assert not Report((), 91, 100, 60).suspicious
    assert Report((), 60, 100, 60).suspicious
    assert not Report((), 100, 100, 100).suspicious  # records of one class


def test_the_second_time_the_model_comes_from_the_cache_without_any_library(biopsies: Any, tmp_path: Path) -> None:
    write_skops(estimator(biopsies), tmp_path / "clf.skops")
    chosen = settings(source_of(tmp_path / "clf.skops", ("0", "1")))
    biopsies.pool.write(tmp_path / "records.npz")
    trained_model(chosen, tmp_path / "records.npz", tmp_path, tmp_path / "slot")
    script = f"""
import sys
from pathlib import Path
from parties.learning.training import trained_model
from parties.learning.training_settings import TrainingSettings
folder = Path({str(tmp_path)!r})
settings = TrainingSettings.model_validate_json({chosen.model_dump_json()!r})
model, cached = trained_model(settings, folder / "records.npz", folder, folder / "slot")
assert cached
assert not {{"torch", "sklearn", "onnx", "skops"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_model_whose_report_is_gone_is_converted_again(biopsies: Any, tmp_path: Path) -> None:
    write_skops(estimator(biopsies), tmp_path / "clf.skops")
    chosen, records = settings(source_of(tmp_path / "clf.skops", ("0", "1"))), tmp_path / "records.npz"
    biopsies.pool.write(records)
    trained_model(chosen, records, tmp_path, tmp_path / "slot")
    model_path(chosen, biopsies.pool, tmp_path).with_suffix(".json").unlink()
    _, cached = trained_model(chosen, records, tmp_path, tmp_path / "slot")
    assert not cached
    assert own_report(chosen, records, tmp_path)


def test_a_file_that_changes_after_the_plan_is_refused(biopsies: Any, tmp_path: Path) -> None:
    write_skops(estimator(biopsies), tmp_path / "clf.skops")
    chosen = settings(source_of(tmp_path / "clf.skops", ("0", "1")))
    write_skops(estimator(biopsies, kind="perceptron"), tmp_path / "clf.skops")
    biopsies.pool.write(tmp_path / "records.npz")
    with pytest.raises(TrainingError, match="own model: expected the file that the run was planned with"):
        trained_model(chosen, tmp_path / "records.npz", tmp_path, tmp_path / "slot")


def test_a_models_name_follows_its_file_and_not_its_place(biopsies: Any, tmp_path: Path) -> None:
    for name in ("a.skops", "b.skops"):
        write_skops(estimator(biopsies), tmp_path / name)
    (tmp_path / "b.skops").write_bytes((tmp_path / "a.skops").read_bytes())
    first, second = (settings(source_of(tmp_path / name, ("0", "1"))) for name in ("a.skops", "b.skops"))
    other = settings(source_of(tmp_path / "b.skops", ("1", "0")))
    paths = [model_path(one, biopsies.pool, tmp_path) for one in (first, second, other)]
    assert paths[0] == paths[1] != paths[2]
    assert model_path(first, biopsies.pool, tmp_path, further=True) != paths[0]


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("net.h5", {}, "name that ends in .onnx"),
        ("absent.onnx", {}, "expected a file, found none"),
        ("net.pt", {}, "expected the function that makes the module"),
        ("net.onnx", {"factory": "a:b"}, "expected none with a ONNX file, found a:b"),
        ("net.onnx", {"path": Path()}, "expected `path` with a factory only"),
        ("net.pt2", {}, "found one by torch.export"),
    ],
)
def test_what_cannot_be_a_models_file_is_refused_before_anything_starts(
    name: str, more: dict[str, Any], words: str, tmp_path: Path
) -> None:
    if "absent" not in name:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ConfigError, match=words):
        source_of(tmp_path / name, **more)


@pytest.mark.parametrize(
    ("module", "names", "labelling", "words"),
    [
        (nn.Linear(30, 3), BENIGN, "class", "expected 2 outputs, one for each of malignant, benign, found 3"),
        (nn.Linear(20, 2), BENIGN, "class", r"records of shape \(1, 1, 30\): layer 1: expected 20 inputs"),
        (nn.Conv2d(3, 2, 3), BENIGN, "class", r"records of shape \(1, 1, 30\): layer 0: expected 3 channels"),
        (nn.Sequential(nn.Linear(30, 2), nn.Softmax(1)), BENIGN, "labels", "a yes or no for each label"),
        (nn.Sequential(nn.Linear(30, 1), nn.Softmax(1)), BENIGN, "class", "several outputs before the softmax"),
        (nn.Sequential(nn.Linear(30, 4), nn.Tanh(), nn.Linear(4, 2)), BENIGN, "class", "Tanh"),
    ],
)
def test_a_model_for_other_records_or_classes_is_refused(
    module: Any, names: tuple[str, ...], labelling: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(module.state_dict(), tmp_path / "net.pt")
    monkeypatch.setattr("tests.parties.learning.test_model_files.MADE", module, raising=False)
    records = Records(np.zeros((3, 1, 1, 30), np.float32), np.zeros((3, 2) if labelling == "labels" else 3, np.int64))
    source = source_of(tmp_path / "net.pt", names, factory="tests.parties.learning.test_model_files:made")
    with pytest.raises(ParameterError, match=words):
        convert(settings(source, labelling=labelling), records)


def made() -> Any:
    return MADE  # noqa: F821  (a test sets it)


def test_other_classes_are_refused_by_name(biopsies: Any, tmp_path: Path) -> None:
    write_skops(estimator(biopsies, ("good", "bad")), tmp_path / "clf.skops")
    with pytest.raises(ParameterError, match="of the classes malignant, benign, found one of bad, good"):
        convert(settings(source_of(tmp_path / "clf.skops")), biopsies.pool)


EVERY_KIND = [
    Conv2d(np.random.default_rng(1).normal(size=(4, 1, 3, 3)), np.arange(4) / 9, (1, 2), (1, 0, 1, 2), 2),
    BatchNorm(np.arange(4) / 10, np.ones(4) / 2, np.ones(4) * 2, -np.arange(4) / 5, 1e-3),
    LeakyReLU(0.1),
    MaxPool2d(2, 1, (0, 1, 0, 1)),
    Conv2d(np.random.default_rng(2).normal(size=(4, 4, 2, 2)), np.zeros(4), 1, 1),
    ReLU(),
    AvgPool2d(2, 1, 1),
    AdaptiveAvgPool2d((2, 3)),
    Flatten(),
    Linear(np.random.default_rng(3).normal(size=(2, 24)), np.array([0.1, -0.2])),
]
SHAPE = (2, 8, 9)


def test_every_kind_of_layer_is_written_and_read(tmp_path: Path) -> None:
    write_layers(tmp_path / "net.npz", EVERY_KIND, SHAPE, ("no", "yes"))
    layers, shape, classes = read_layers(tmp_path / "net.npz")
    assert (shape, classes) == (SHAPE, ("no", "yes"))
    images = np.random.default_rng(0).random((3, *SHAPE))
    np.testing.assert_array_equal(Model(SHAPE, layers).logits(images), Model(SHAPE, tuple(EVERY_KIND)).logits(images))
    assert (tmp_path / "net.npz").stat().st_mode & 0o777 == 0o600


def test_a_damaged_or_foreign_file_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    write_layers(path, EVERY_KIND, SHAPE)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    missing = {name: value for name, value in arrays.items() if name != "0.bias"}
    format_2 = arrays | {"description": np.array(json.dumps({"format": 2}))}
    for content in (missing, format_2, arrays | {"99.weight": np.ones(1)}, {"description": np.array("no")}):
        np.savez(path, **content)
        with pytest.raises(DataError, match="cannot be read as a model"):
            read_layers(path)
    path.write_bytes(b"half a file")
    with pytest.raises(DataError, match="cannot be read as a model"):
        read_layers(path)


def test_every_kind_of_layer_is_the_same_in_torch_and_learns_from_its_weights() -> None:
    from parties.learning.training_torch import module_of

    model = Model(SHAPE, tuple(EVERY_KIND))
    rng = np.random.default_rng(0)
    images = rng.random((40, *SHAPE)).astype(np.float32)
    network = module_of(model.layers, filled=True)
    with torch.no_grad():
        np.testing.assert_allclose(network(torch.from_numpy(images)).numpy(), model.logits(images), atol=1e-4)
    records = Records(images, (images.mean(axis=(1, 2, 3)) > 0.5).astype(np.int64))
    chosen = settings(None, image_shape=SHAPE, epochs=30, learning_rate=0.01)
    after = train(chosen, records, model)

    def loss(one: Model) -> float:
        logits = torch.from_numpy(one.logits(images))
        return float(nn.functional.cross_entropy(logits, torch.from_numpy(records.labels)))

    assert loss(after) < 0.7 * loss(model)
    assert [type(layer) for layer in after.layers] == [type(layer) for layer in model.layers]


def test_a_model_from_a_file_goes_on_from_its_weights(biopsies: Any, tmp_path: Path) -> None:
    write_skops(estimator(biopsies), tmp_path / "clf.skops")
    chosen = settings(source_of(tmp_path / "clf.skops", ("0", "1")), epochs=2, learning_rate=1e-4)
    for name, part in (("own", slice(60)), ("more", slice(90))):
        biopsies.pool.take(part).write(tmp_path / f"{name}.npz")
    own, more, slot = tmp_path / "own.npz", tmp_path / "more.npz", tmp_path / "slot"
    before, _ = trained_model(chosen, own, tmp_path, slot)
    after, cached = trained_further(chosen, own, more, tmp_path, slot)
    assert not cached
    moved = np.abs(after.weights[0][0] - before.weights[0][0])
    assert 0 < moved.max() < 0.01  # a few small steps from where it was
    again, cached = trained_further(chosen, own, more, tmp_path, slot)
    assert cached
    np.testing.assert_array_equal(again.weights[0][0], after.weights[0][0])


def test_settings_without_a_file_have_the_names_that_they_had(biopsies: Any) -> None:
    """Caches and journals of campaigns are found by them."""
    plain = settings(None)
    added = {"source", "template"}
    assert json.loads(plain.identity()) == {
        key: value for key, value in json.loads(plain.model_dump_json()).items() if key not in added
    }


def test_a_file_of_another_version_is_read_and_its_owner_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class InconsistentVersionWarning(UserWarning):
        pass

    def read(*_: object) -> ReadModel:
        for _ in range(2):
            warnings.warn("made by version 1.2\nmore about it", InconsistentVersionWarning, stacklevel=1)
        warnings.warn("something else", UserWarning, stacklevel=1)
        return ReadModel(ConvertedLayers([], lambda values: values, "a model", SINGLE))

    monkeypatch.setitem(reading._READERS, "ONNX", read)
    path = tmp_path / "net.onnx"
    path.write_bytes(b"a model")
    assert reading.read_model(model_source(path, None, None, False, ())).words == ["made by version 1.2"]
