"""Gradients of every operation against torch's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

import mpc.tensors as pt
from mpc.errors import ParameterError, RangeError
from mpc.tensors import extremes
from tests.mpc.tensors.sessions import opened, private, session

X = np.array([[0.5, -1.25, 2.0], [1.5, 0.75, -0.5]])
Y = np.array([[1.0, 0.5, -2.0], [0.25, 2.0, 1.0]])
IMAGES = np.random.default_rng(5).uniform(-1, 1, (2, 2, 5, 6))
FILTERS = np.random.default_rng(6).uniform(-1, 1, (3, 2, 3, 3))

# Each on private tensors and on torch's.
OPERATIONS: dict[str, tuple[Callable, Callable]] = {
    "add": (lambda x, y: x + y, lambda x, y: x + y),
    "add public": (lambda x, y: x + 2 + y, lambda x, y: x + 2 + y),
    "subtract": (lambda x, y: x - y, lambda x, y: x - y),
    "subtract from public": (lambda x, y: 1 - x + y, lambda x, y: 1 - x + y),
    "negate": (lambda x, y: -x * y, lambda x, y: -x * y),
    "multiply": (lambda x, y: x * y, lambda x, y: x * y),
    "multiply public": (lambda x, y: x * Y + y * 0.3, lambda x, y: x * torch.tensor(Y) + y * 0.3),
    "square": (lambda x, y: x * x + y.square(), lambda x, y: x * x + y**2),
    "power": (lambda x, y: x**3 + y, lambda x, y: x**3 + y),
    "divide": (lambda x, y: x / (y * y + 1), lambda x, y: x / (y * y + 1)),
    "matmul": (lambda x, y: x @ y.T, lambda x, y: x @ y.T),
    "matmul public": (lambda x, y: x @ Y.T + Y @ y.T, lambda x, y: x @ torch.tensor(Y.T) + torch.tensor(Y) @ y.T),
    "vectors": (lambda x, y: x[0] @ y[1] + x @ y[0], lambda x, y: x[0] @ y[1] + x @ y[0]),
    "broadcast": (lambda x, y: x * y[0] + y[:, :1], lambda x, y: x * y[0] + y[:, :1]),
    "sum": (lambda x, y: x.sum(axis=0) * y, lambda x, y: x.sum(0) * y),
    "mean": (lambda x, y: x.mean(axis=1, keepdims=True) * y, lambda x, y: x.mean(1, keepdim=True) * y),
    "take": (lambda x, y: x[:, 1:] * y[[0, 0], 1:], lambda x, y: x[:, 1:] * y[[0, 0], 1:]),
    "reshape": (lambda x, y: x.reshape(3, 2) @ y, lambda x, y: x.reshape(3, 2) @ y),
    "concatenate": (lambda x, y: pt.concatenate([x, y * x]), lambda x, y: torch.cat([x, y * x])),
    "stack": (lambda x, y: pt.stack([x, y], 1) ** 2, lambda x, y: torch.stack([x, y], 1) ** 2),
    "relu": (lambda x, y: x.relu() * y, lambda x, y: x.relu() * y),
    "abs": (lambda x, y: abs(x) * y, lambda x, y: x.abs() * y),
    "clip": (lambda x, y: x.clip(-1, 1) * y, lambda x, y: x.clamp(-1, 1) * y),
    "where": (lambda x, y: pt.where(x < y, x * 2, y), lambda x, y: torch.where(x < y, x * 2, y)),
    "maximum": (pt.maximum, torch.maximum),
    "max": (lambda x, y: x.max(axis=1) * y[:, 0], lambda x, y: x.max(1).values * y[:, 0]),
    "exp": (lambda x, y: x.exp() * y, lambda x, y: x.exp() * y),
    "log": (lambda x, y: (x * x + 1).log() + y, lambda x, y: (x * x + 1).log() + y),
    "sqrt": (lambda x, y: (x * x + 1).sqrt() * y, lambda x, y: (x * x + 1).sqrt() * y),
    "sigmoid": (lambda x, y: x.sigmoid() * y, lambda x, y: x.sigmoid() * y),
    "tanh": (lambda x, y: x.tanh() * y, lambda x, y: x.tanh() * y),
    "softmax": (lambda x, y: x.softmax(1) * y, lambda x, y: x.softmax(1) * y),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_gradients_are_torchs(name: str) -> None:
    ours, theirs = OPERATIONS[name]
    s = session()
    x, y = (private(s, values, 4).requires_grad_() for values in (X, Y))
    a, b = (torch.tensor(values, requires_grad=True) for values in (X, Y))
    result, expected = ours(x, y), theirs(a, b)
    weights = np.random.default_rng(3).uniform(-1, 1, expected.shape)
    (result * weights).sum().backward()
    (expected * torch.tensor(weights)).sum().backward()
    assert np.abs(opened(result) - expected.detach().numpy()).max() < 1e-3
    for found, torchs in ((x, a), (y, b)):
        if torchs.grad is not None:
            assert found.grad.shape == torchs.shape
            assert np.abs(opened(found.grad) - torchs.grad.numpy()).max() < 2e-3, name


def test_the_gradient_of_a_tournament_is_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extremes, "MOST_VALUES", 1)
    test_gradients_are_torchs("max")


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1)])
def test_convolutions_and_pools_are_torchs(stride: int, padding: int) -> None:
    s = session()
    x, w = private(s, IMAGES, 1).requires_grad_(), private(s, FILTERS, 1).requires_grad_()
    a, b = torch.tensor(IMAGES, requires_grad=True), torch.tensor(FILTERS, requires_grad=True)
    result = pt.conv2d(x, w, None, stride, padding)
    expected = torch.nn.functional.conv2d(a, b, None, stride, padding)
    pooled = pt.max_pool2d(result, 2, 1).sum() + (pt.avg_pool2d(result, 2) ** 2).sum()
    torch_pooled = (
        torch.nn.functional.max_pool2d(expected, 2, 1).sum() + (torch.nn.functional.avg_pool2d(expected, 2) ** 2).sum()
    )
    assert np.abs(opened(result) - expected.detach().numpy()).max() < 1e-3
    pooled.backward()
    torch_pooled.backward()
    assert np.abs(opened(x.grad) - a.grad.numpy()).max() < 5e-3
    assert np.abs(opened(w.grad) - b.grad.numpy()).max() < 5e-3


@pytest.mark.parametrize("kind", ["binary_cross_entropy", "cross_entropy", "mse"])
def test_losses_and_their_gradients_are_torchs(kind: str) -> None:
    s = session()
    targets = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    x, y = private(s, X, 4).requires_grad_(), private(s, targets, (0, 1), whole=True)
    a, b = torch.tensor(X, requires_grad=True), torch.tensor(targets)
    if kind == "binary_cross_entropy":
        loss, expected = (
            pt.nn.binary_cross_entropy(x.sigmoid(), y),
            torch.nn.functional.binary_cross_entropy(a.sigmoid(), b),
        )
    elif kind == "cross_entropy":
        loss, expected = pt.nn.cross_entropy(x, y), torch.nn.functional.cross_entropy(a, b)
    else:
        loss, expected = pt.nn.mse(x, y), torch.nn.functional.mse_loss(a, b)
    loss.backward()
    expected.backward()
    assert abs(opened(loss.value()) - expected.item()) < 1e-3
    assert np.abs(opened(x.grad) - a.grad.numpy()).max() < 1e-3


def test_gradients_add_up_until_they_are_zeroed() -> None:
    s = session()
    x = private(s, X, 4).requires_grad_()
    (x * 3).sum().backward()
    (x * x).mean().backward()
    assert np.abs(opened(x.grad) - (3 + 2 * X / 6)).max() < 1e-3
    x.zero_grad()
    assert x.grad is None


def test_no_gradient_flows_where_none_is_wanted() -> None:
    s = session()
    x, y = private(s, X, 4).requires_grad_(), private(s, Y, 4)
    with s.no_grad():
        assert (x * y).node is None
    (x.detach() * y + x).sum().backward()
    assert opened(x.grad).tolist() == np.ones((2, 3)).tolist()
    assert y.grad is None
    with pytest.raises(ParameterError, match="expected one number to go back from"):
        (x * y).backward()
    with pytest.raises(ParameterError, match="which requires a gradient, found none"):
        y.sum().backward()


def test_the_way_back_leaves_no_trace_for_gradients() -> None:
    """Else every step of a training would hold all that came before it. An operation may use a parameter there."""
    s = session()
    w = pt.nn.Parameter(private(s, [2.0, -1.0], 4), 4)
    halved = s.result(
        s.label("half of the square"), (w * w * 0.5).shared, w.range, w.fraction_bits, (w,),
        reference=lambda a: a * a / 2, error=1e-3, backward=lambda gradient: (w * gradient,),
    )  # fmt: skip
    halved.sum().backward()
    assert np.abs(opened(w.grad) - [2, -1]).max() < 1e-3
    assert w.gradient is not None
    assert w.gradient[0].node is None
    assert not w.gradient[0].requires_grad
    assert w.grad.node is None
    assert w.node is None


def test_gradients_of_a_difference_are_subtracted_without_a_rounding() -> None:
    """Two paths with opposite signs, as a clip has, cost no round together."""

    def program(s: pt.Session) -> dict[str, object]:
        x = s.input("alice", lambda: X, shape=(2, 3), bound=4).requires_grad_()
        y = s.input("bob", lambda: Y, shape=(2, 3), bound=4)
        before = s.backend.cost.rounds
        ((x - x.clip(-1, 1)) * y).mean().backward()
        spent.append(s.backend.cost.rounds - before)
        return {"gradient": x.grad.reveal(to="alice")}

    spent: list[int] = []
    found = pt.simulate(program, parties=("alice", "bob"), dealer="carol")["gradient"]
    assert np.abs(found - Y / 6 * (np.abs(X) > 1)).max() < 1e-3
    # 3 of the comparison, 1 of the product, 1 of its rounding, 1 of the gradient's mask. Bits are masked already.
    assert max(spent) == 6


def test_a_parameter_that_changes_after_the_forward_pass_does_not_change_its_gradient() -> None:
    s = session()
    w = pt.nn.Parameter(private(s, [2.0], 4), 4)
    loss = (w * w).sum()
    w.assign(private(s, [3.0], 4))
    loss.backward()
    assert opened(w.grad).tolist() == [4.0]


def test_a_refusal_on_the_way_back_names_the_layer() -> None:
    s = session(check=False)
    x = private(s, np.ones((4, 2)), 2.0**14)
    with s:
        layer = pt.nn.Linear(2, 2, bound=1, name="fc1")
    loss = pt.nn.mse(layer(x), private(s, np.ones((4, 2)), 2.0**20))
    with pytest.raises(RangeError, match=r"^matmul #\d+ 'fc1 back': needs 71 bits"):
        loss.backward()
