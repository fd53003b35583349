"""A softmax and the like behind the logits: dropped if asked to, held to the whole model, refused elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mpc.errors import ParameterError
from mpc.inference import from_onnx, from_torch
from mpc.inference.models.endings import ENDINGS, check_endings
from mpc.inference.models.floats import Linear

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional

RNG = np.random.default_rng(3)
SAMPLES = RNG.random((7, 6))


class Called(nn.Module):
    """A module whose forward ends with one call."""

    def __init__(self, last: object) -> None:
        super().__init__()
        self.hidden, self.logits, self.last = nn.Linear(6, 5), nn.Linear(5, 3), last

    def forward(self, x: object) -> object:
        return self.last(self.logits(torch.relu(self.hidden(x))))


LASTS = {
    "softmax": lambda z: functional.softmax(z, dim=1),
    "log softmax": lambda z: z.log_softmax(-1),
    "sigmoid": torch.sigmoid,
    "log sigmoid": functional.logsigmoid,
    "arg max": lambda z: z.argmax(dim=1),
}


@pytest.mark.parametrize("ending", LASTS)
def test_a_call_behind_the_logits_is_dropped(ending: str) -> None:
    module = Called(LASTS[ending])
    with pytest.raises(ParameterError, match="expected one of"):
        from_torch(module)
    found = from_torch(module, drop_endings=True)
    assert found.endings == (ending,)
    assert found.compare(SAMPLES) < 1e-6
    with torch.no_grad():
        values = torch.as_tensor(SAMPLES, dtype=torch.float32)
        logits = module.logits(torch.relu(module.hidden(values))).double().numpy()
    np.testing.assert_allclose(found.original(SAMPLES), logits, atol=1e-6)


def test_modules_are_dropped_as_well_and_in_a_row() -> None:
    module = nn.Sequential(nn.Linear(6, 3), nn.Softmax(dim=1), nn.Dropout(), nn.LogSoftmax(dim=1))
    found = from_torch(module, drop_endings=True)
    assert found.endings == ("softmax", "log softmax")
    assert len(found) == 1
    found.compare(SAMPLES)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (
            nn.Sequential(nn.Linear(6, 3), nn.Softmax(dim=1), nn.Linear(3, 2)),
            "softmax as the last step, found module 2",
        ),
        (nn.Sequential(nn.Linear(6, 3), nn.Softmax(dim=0)), "axis of the classes in module 1"),
        (Called(lambda z: z.argmax()), "axis of the classes in call argmax"),
        (Called(lambda z: torch.sigmoid(z) * 2), "sigmoid as the last step, found call mul"),
    ],
)
def test_what_is_no_ending_is_refused_by_name(module: nn.Module, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        from_torch(module, drop_endings=True)


@pytest.mark.parametrize("batch", ["any", "one"])
@pytest.mark.parametrize("image", [False, True])
def test_an_exported_program_converts(image: bool, batch: str) -> None:
    shape = (1, 6, 6) if image else (6,)
    if image:
        module = nn.Sequential(
            nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(),
            nn.Linear(12, 4), nn.Softmax(dim=1),
        )  # fmt: skip
        module(torch.rand(9, *shape))  # statistics other than 0 and 1
    else:
        module = nn.Sequential(nn.Linear(6, 5), nn.LeakyReLU(), nn.Linear(5, 4), nn.LogSoftmax(dim=1))
    module.eval()
    sizes = ({0: torch.export.Dim("batch")},) if batch == "any" else None
    program = torch.export.export(module, (torch.rand(2 if batch == "any" else 1, *shape),), dynamic_shapes=sizes)
    found, same = from_torch(program, drop_endings=True), from_torch(module, drop_endings=True)
    assert [type(layer) for layer in found] == [type(layer) for layer in same]
    samples = RNG.random((5, *shape))
    found.compare(samples)
    np.testing.assert_allclose(found.original(samples), same.original(samples), atol=1e-6)


@pytest.mark.parametrize(
    ("node", "ending"),
    [
        (("Softmax", {"axis": 1}), "softmax"),
        (("LogSoftmax", {}), "log softmax"),
        (("Sigmoid", {}), "sigmoid"),
        (("ArgMax", {"axis": 1}), "arg max"),
        (("ArgMax", {"axis": -1, "keepdims": 0}), "arg max"),
        (("Softmax", {"axis": 0}), None),
        (("ArgMax", {}), None),  # over the queries
        (("ArgMax", {"axis": 1, "select_last_index": 1}), None),
    ],
)
def test_a_node_behind_the_logits_is_dropped(
    node: tuple[str, dict[str, int]], ending: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "net.onnx"
    weight = RNG.normal(size=(6, 3)).astype(np.float32)
    _write(path, weight, [node])
    with pytest.raises(ParameterError):
        from_onnx(path)
    if ending is None:
        with pytest.raises(ParameterError, match=f"node 1 \\({node[0]}\\)"):
            from_onnx(path, drop_endings=True)
        return
    found = from_onnx(path, drop_endings=True)
    assert found.endings == (ending,)
    assert found.compare(SAMPLES) < 1e-5
    np.testing.assert_allclose(found.original(SAMPLES), SAMPLES @ weight, atol=1e-5)


def test_a_node_in_the_middle_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "net.onnx", RNG.normal(size=(6, 3)).astype(np.float32), [("Softmax", {}), ("Relu", {})])
    with pytest.raises(ParameterError, match=r"softmax as the last node, found node 2 \(Relu\) behind it"):
        from_onnx(tmp_path / "net.onnx", drop_endings=True)


def test_outputs_that_are_not_the_ending_of_the_logits_are_refused() -> None:
    logits = RNG.normal(size=(6, 3))
    for ending, function in ENDINGS.items():
        check_endings([ending], logits, function(logits), np.zeros_like(logits), "it")
        with pytest.raises(ParameterError, match=f"expected the {ending} over the classes at the end of it"):
            check_endings([ending], logits, function(logits[:, ::-1]), np.zeros_like(logits), "it")
    with pytest.raises(ParameterError, match=r"outputs of shape \(6,\) behind the softmax, then arg max"):
        check_endings(["softmax", "arg max"], logits, logits, np.zeros_like(logits), "it")


def test_ties_may_fall_either_way() -> None:
    logits = np.array([[1.0, 1.0, 0.0]])
    check_endings(["arg max"], logits, np.array([1.0]), np.full_like(logits, 1e-7), "it")


def test_a_converted_model_whose_ending_is_another_is_refused() -> None:
    found = from_torch(Called(LASTS["softmax"]), drop_endings=True)
    assert isinstance(found[-1], Linear)
    found.whole = lambda values: np.exp(found.original(values)) / np.exp(found.original(values)).sum(axis=0)
    with pytest.raises(ParameterError, match="expected the softmax over the classes"):
        found.compare(SAMPLES)


def _write(path: Path, weight: np.ndarray, nodes: list[tuple[str, dict[str, int]]]) -> None:
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    made = [helper.make_node("MatMul", ["x", "w"], ["t0"])]
    for index, (kind, attributes) in enumerate(nodes):
        made.append(helper.make_node(kind, [f"t{index}"], [f"t{index + 1}"], **attributes))
    kind = onnx.TensorProto.INT64 if nodes[-1][0] == "ArgMax" else onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        made,
        "net",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 6])],
        [helper.make_tensor_value_info(f"t{len(nodes)}", kind, None)],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
