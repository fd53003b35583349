"""An architecture by a function of the user's own becomes a text, and torch trains it."""

from __future__ import annotations

import json
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from parties.frame.errors import ConfigError
from parties.learning.architectures import described, own_architecture
from parties.learning.datasets import load_dataset
from parties.learning.extensions import registry
from parties.learning.models import architecture
from parties.learning.records import DataError
from parties.learning.training import train
from parties.learning.training_settings import TrainingSettings
from tests.parties.learning.extensions.own_code import write_code

SHAPE = (1, 8, 8)


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_code(tmp_path_factory.mktemp("code"))


def settings(template: str | None, name: str = "researchers:mlp") -> TrainingSettings:
    return TrainingSettings(
        architecture=name, image_shape=SHAPE, classes=10, seed=1, epochs=3, learning_rate=0.01, weight_decay=0.1,
        batch=32, template=template,
    )  # fmt: skip


def test_what_is_built_in_has_no_text() -> None:
    assert own_architecture("mlp", SHAPE, 10, None) is None


def test_float_layers_become_a_text_without_their_weights(code: Path) -> None:
    text = own_architecture("researchers:mlp", SHAPE, 10, code)
    assert text is not None
    assert json.loads(text)[1] == {"kind": "Linear", "weights": [[7, 64], [7]]}
    layers = described(text)
    assert [type(layer).__name__ for layer in layers] == ["Flatten", "Linear", "ReLU", "Linear"]
    assert not np.any(layers[1].weight)  # type: ignore[attr-defined]
    assert "parties.learning.extensions.child" not in sys.modules
    assert "researchers" not in sys.modules


@pytest.mark.parametrize(("name", "shapes"), [("torch_mlp", [[5, 64], [10, 5]]), ("conv", [[3, 1, 3, 3], [10, 48]])])
def test_a_torch_module_is_converted_and_its_text_is_trained(code: Path, name: str, shapes: list[list[int]]) -> None:
    text = own_architecture(f"researchers:{name}", SHAPE, 10, code)
    assert [one["weights"][0] for one in json.loads(str(text)) if one["weights"]] == shapes
    dataset = load_dataset("digits", None)
    first, again = (train(settings(text), dataset.pool) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first.weights[0], again.weights[0], strict=True))
    assert dataset.test is not None
    right = (first.logits(dataset.test.images).argmax(axis=1) == dataset.test.labels).mean()
    assert right > 0.6


def test_the_cached_model_of_a_built_in_architecture_keeps_its_name_and_texts_differ(code: Path) -> None:
    assert "template" not in settings(None, "mlp").identity()
    texts = [own_architecture(f"researchers:{name}", SHAPE, 10, code) for name in ("mlp", "torch_mlp")]
    assert len({settings(text).identity() for text in texts}) == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("narrow", r"expected 10 outputs, one for each class, found \(9,\)"),
        ("relu_last", "expected a dense layer as the last, which gives the logits, found ReLU"),
        ("no_layers", "expected a float layer in place 0, found int"),
        ("no_module", "expected a torch module or a list of float layers, found int"),
        ("normed", "expected no batch normalisation, .*, found one in place 1"),
        ("tanh", "Tanh"),
        ("value", "expected a function value in researchers, found int"),
    ],
)
def test_what_is_no_architecture_is_refused_by_its_name(code: Path, name: str, words: str) -> None:
    with pytest.raises(DataError, match=f"^models researchers:{name}: .*{words}") as refused:
        own_architecture(f"researchers:{name}", SHAPE, 10, code)
    assert "\n" not in str(refused.value)


def test_an_unknown_name_is_refused_with_those_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("wide", "researchers:mlp", "capc.models")
    monkeypatch.setattr(registry, "_installed", lambda group: (point,) if group == "capc.models" else ())
    assert own_architecture("resnet", SHAPE, 10, None) is None
    with pytest.raises(ConfigError, match=r"'resnet' is not known; there are linear, .*, sklearn-mlp, wide, or a func"):
        architecture("resnet", SHAPE, 10)


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "[]", "[1]", '[{"kind": "Sigmoid", "weights": []}]', '[{"kind": "Linear", "weights": []}]',
        '[{"kind": "Linear", "weights": [[0, 4], [0]]}]', '[{"kind": "Linear", "weights": [[1000000, 1000000], [1]]}]',
        '[{"kind": "ReLU", "weights": [], "more": 1}]',
    ],
)  # fmt: skip
def test_a_text_that_is_no_architecture_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="an architecture cannot be read from its text"):
        described(text)
