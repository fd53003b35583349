"""A model for its owner: what the file holds, and that other libraries compute the same from it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mpc.inference import from_onnx
from mpc.inference.models.floats import BatchNorm, Flatten, FloatLayer, LeakyReLU, Linear, ReLU
from parties.learning.model_files import onnx_file
from parties.learning.models import Model
from tests.parties.learning.test_model_files import EVERY_KIND, SHAPE

onnx = pytest.importorskip("onnx")

RNG = np.random.default_rng(7)
ROWS: list[FloatLayer] = [
    Flatten(),
    BatchNorm(RNG.random(6), RNG.random(6) + 0.5, RNG.random(6), RNG.random(6)),
    Linear(RNG.normal(size=(5, 6)), RNG.normal(size=5)),
    ReLU(),
    Linear(RNG.normal(size=(4, 5)), RNG.normal(size=4)),
    LeakyReLU(0.25),
    Linear(RNG.normal(size=(3, 4)), RNG.normal(size=3)),
]
NETS = {"rows": (ROWS, (1, 1, 6)), "images": (EVERY_KIND, SHAPE)}


@pytest.mark.parametrize("net", NETS)
def test_onnxruntime_reads_back_what_is_written(net: str, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    layers, shape = NETS[net]
    path = tmp_path / "improved.onnx"
    classes = ["a", "b", "c"] if net == "rows" else ["no", "yes"]
    assert onnx_file.write_onnx(path, layers, shape, classes, "class") < 1e-4
    assert path.stat().st_mode & 0o777 == 0o600
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (entry,), (result,) = session.get_inputs(), session.get_outputs()
    wanted = ["batch", 6] if net == "rows" else ["batch", *shape]
    assert (entry.name, entry.shape, result.name) == ("records", wanted, "logits")
    properties = session.get_modelmeta().custom_metadata_map
    assert (json.loads(properties["classes"]), properties["labelling"]) == (classes, "class")
    assert {one.domain: one.version for one in onnx.load(path).opset_import} == {"": onnx_file.OPSET}
    images = RNG.random((5, *shape))
    given = images.reshape(5, *wanted[1:]).astype(np.float32)
    (found,) = session.run(None, {"records": given})
    np.testing.assert_allclose(found, Model(shape, tuple(layers)).logits(images), atol=1e-4)


def test_this_project_reads_it_back_too(tmp_path: Path) -> None:
    onnx_file.write_onnx(tmp_path / "net.onnx", ROWS, (1, 1, 6), ["a", "b", "c"], "class")
    layers = from_onnx(tmp_path / "net.onnx")
    rows = RNG.random((4, 6))
    assert layers.compare(rows) < 1e-5


def test_a_file_that_computes_something_else_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other(graph: object, layer: object, shape: object) -> None:
        graph.node("LeakyRelu", alpha=0.5)  # type: ignore[attr-defined]

    monkeypatch.setitem(onnx_file._WRITERS, ReLU, other)
    with pytest.raises(Exception, match="expected the converted layers to compute what the file"):
        onnx_file.write_onnx(tmp_path / "net.onnx", ROWS, (1, 1, 6), ["a", "b", "c"], "class")
    assert not list(tmp_path.iterdir())
