"""Training in private, against the same training on floats."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits

import mpc.tensors as pt
from mpc.errors import OrderError, ParameterError, RangeError
from tests.mpc.tensors.sessions import opened, private, session

STEPS = 50


def breast_cancer() -> tuple[np.ndarray, ...]:
    """Return 455 records to train on and 114 to test on, scaled, and their classes."""
    data = load_breast_cancer()
    order = np.random.default_rng(0).permutation(len(data.target))
    x = (data.data - data.data[order[:455]].mean(0)) / data.data[order[:455]].std(0)
    y = data.target.reshape(-1, 1).astype(float)
    return x[order[:455]], y[order[:455]], x[order[455:]], y[order[455:]]


def accuracy(weights: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    return float(((x @ weights[:-1] + weights[-1] > 0) == (y[:, 0] > 0.5)).mean())


def test_logistic_regression_is_as_good_as_on_floats() -> None:
    x, y, x_test, y_test = breast_cancer()

    def program(s: pt.Session) -> dict[str, object]:
        features = s.input("alice", lambda: x, shape=(455, 30), bound=16)
        labels = s.input("alice", lambda: y, shape=(455, 1), bound=(0, 1), whole=True)
        net = pt.nn.Sequential(pt.nn.Linear(30, 1), pt.nn.Sigmoid())
        assert isinstance(net[0], pt.nn.Linear)
        assert len(net) == 2
        optimiser = pt.optim.SGD(net.parameters(), lr=0.5)
        start = net.weights().reveal(to="alice", name="start")
        early = None
        for step in range(STEPS):
            loss = pt.nn.binary_cross_entropy(net(features), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if step == 9:
                early = net.weights().reveal(to="alice", name="early")
        return {
            "start": start, "early": early, "weights": net.weights().reveal(to="alice"),
            "loss": loss.reveal(to="alice"), "guard": optimiser.guard(),
        }  # fmt: skip

    result = pt.simulate(program, parties=("alice",), backend="clear")
    twin = np.append(result["start"][:30], result["start"][30])
    inputs = np.hstack([x, np.ones((455, 1))])
    for step in range(STEPS):
        probabilities = 1 / (1 + np.exp(-inputs @ twin))
        if step == STEPS - 1:
            loss = float(-np.mean(np.log(np.where(y[:, 0] > 0.5, probabilities, 1 - probabilities))))
        twin = twin - 0.5 / 455 * inputs.T @ (probabilities - y[:, 0])
    assert np.abs(result["weights"] - twin).max() < 5e-3
    assert abs(result["loss"] - loss) < 1e-3
    assert accuracy(result["early"], x_test, y_test) >= 0.956
    assert accuracy(result["weights"], x, y) >= 0.974
    assert abs(accuracy(result["weights"], x_test, y_test) - accuracy(twin, x_test, y_test)) <= 0.005
    assert result["guard"] == 0


@pytest.mark.slow
def test_an_mlp_on_digits_is_as_good_as_on_floats() -> None:
    digits = load_digits()
    order = np.random.default_rng(1).permutation(len(digits.target))
    x, classes = digits.data[order] / 16, digits.target[order]
    y = np.eye(10)[classes]
    batch, batches = 64, 22

    def program(s: pt.Session) -> dict[str, object]:
        features = s.input("alice", lambda: x[:1408], shape=(1408, 64), bound=(0, 1))
        labels = s.input("alice", lambda: y[:1408], shape=(1408, 10), bound=(0, 1), whole=True)
        net = pt.nn.Sequential(pt.nn.Linear(64, 32), pt.nn.ReLU(), pt.nn.Linear(32, 10))
        optimiser = pt.optim.SGD(net.parameters(), lr=0.2, momentum=0.9)
        start = net.weights().reveal(to="alice", name="start")
        for step in range(3 * batches):
            part = slice(step % batches * batch, (step % batches + 1) * batch)
            loss = pt.nn.cross_entropy(net(features[part]), labels[part])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        names = [name for name, _ in net.named_parameters()]
        assert names == ["linear0.weight", "linear0.bias", "linear2.weight", "linear2.bias"]
        return {"start": start, "weights": net.weights().reveal(to="alice"), "guard": optimiser.guard(1.0)}

    result = pt.simulate(program, parties=("alice",), backend="clear")
    shapes = [(64, 32), (32,), (32, 10), (10,)]
    twin = [torch.tensor(part, requires_grad=True) for part in parts(result["start"], shapes)]
    optimiser = torch.optim.SGD(twin, lr=0.2, momentum=0.9)
    for step in range(3 * batches):
        part = slice(step % batches * batch, (step % batches + 1) * batch)
        loss = torch.nn.functional.cross_entropy(
            forward(twin, torch.tensor(x[:1408][part])), torch.tensor(classes[part])
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    private_weights = [torch.tensor(part) for part in parts(result["weights"], shapes)]
    test_x, test_classes = torch.tensor(x[1408:]), torch.tensor(classes[1408:])
    ours, floats = (
        (forward(weights, test_x).argmax(1) == test_classes).double().mean().item()
        for weights in (private_weights, twin)
    )
    assert floats > 0.9
    assert abs(ours - floats) <= 0.005 + 1 / len(test_x)
    assert result["guard"] == 0


def parts(vector: np.ndarray, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(vector, ends[:-1]), shapes, strict=True)]


def forward(weights: list[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    return torch.relu(x @ weights[0] + weights[1]) @ weights[2] + weights[3]


def test_steps_are_torchs_with_momentum_and_weight_decay() -> None:
    values = np.array([[1.0, -2.0], [0.5, 3.0]])
    s = session()
    p = pt.nn.Parameter(private(s, values, 4), 4)
    q = torch.tensor(values, requires_grad=True)
    ours = pt.optim.SGD([p], lr=0.1, momentum=0.9, weight_decay=0.01)
    theirs = torch.optim.SGD([q], lr=0.1, momentum=0.9, weight_decay=0.01)
    for _ in range(4):
        for optimiser, tensor in ((ours, p), (theirs, q)):
            optimiser.zero_grad()
            (tensor * tensor * 0.5).sum().backward()
            optimiser.step()
    assert np.abs(opened(p) - q.detach().numpy()).max() < 1e-3


def test_parameters_stay_within_their_declared_bounds() -> None:
    s = session()
    p = pt.nn.Parameter(private(s, [0.5, -0.5, 0.0], 1), 1)
    optimiser = pt.optim.SGD([p], lr=1.0)
    for _ in range(3):
        optimiser.zero_grad()
        (p * [-1.0, 1.0, 0.25]).sum().backward()
        optimiser.step()
        assert (p.range.low, p.range.high) == (-(2**16), 2**16)
    assert np.abs(opened(p) - [1, -1, -0.75]).max() < 1e-3
    assert bool(optimiser.guard(0.9, "near").value)
    assert not bool(pt.optim.SGD([pt.nn.Parameter(private(s, [0.5], 1), 1)], lr=1).guard(0.9, "far").value)


def test_ranges_grow_exactly_between_clips_and_are_refused_where_they_do_not_fit() -> None:
    s = session()
    p = pt.nn.Parameter(private(s, [1.0], 2.0**12), 2.0**12)
    optimiser = pt.optim.SGD([p], lr=1.0, clip_every=10)
    with pytest.raises(RangeError, match=r"multiply #.*needs"):
        for _ in range(9):
            optimiser.zero_grad()
            (p * p).sum().backward()
            optimiser.step()
    assert p.bound > 2 ** (12 + 16)


def test_unusable_training() -> None:
    s = session()
    p = pt.nn.Parameter(private(s, [1.0], 1), 1)
    with pytest.raises(OrderError, match="call backward before step"):
        pt.optim.SGD([p], lr=1).step()
    for options in ({"lr": 0}, {"lr": 1, "momentum": 1}, {"lr": 1, "clip_every": 0}):
        with pytest.raises(ParameterError, match="SGD: expected"):
            pt.optim.SGD([p], **options)
    with pytest.raises(ParameterError, match="SGD: expected parameters, found none"):
        pt.optim.SGD([], lr=1)
    with pytest.raises(RangeError, match="parameter: expected initial values within its bound 1, found values up to 2"):
        pt.nn.Parameter(private(s, [2.0], 2), 1)
    with pytest.raises(ParameterError, match="expected the output of a sigmoid that is trained, found another"):
        pt.nn.binary_cross_entropy(p, private(s, [1.0], 1))
    with pytest.raises(ParameterError, match=r"cross_entropy: expected targets of shape \(1,\), found \(2,\)"):
        pt.nn.cross_entropy(p, private(s, [1.0, 0.0], 1))


def test_a_network_with_images_learns() -> None:
    s = session(check=False)
    images = np.zeros((8, 1, 6, 6))
    images[:4, :, :3] = 1
    images[4:, :, 3:] = 1
    x, y = private(s, images, 1), private(s, np.repeat([[1.0, 0.0], [0.0, 1.0]], 4, axis=0), 1)
    with s:
        net = pt.nn.Sequential(
            pt.nn.Conv2d(1, 2, 3), pt.nn.ReLU(), pt.nn.AvgPool2d(2), pt.nn.Flatten(), pt.nn.Linear(8, 2, name="head")
        )
        optimiser = pt.optim.SGD(net.parameters(), lr=0.5)
    losses = []
    for _ in range(12):
        loss = pt.nn.cross_entropy(net(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(opened(loss.value())))
    assert losses[-1] < 0.3 < losses[0]
    assert [name for name, _ in net.named_parameters()][2:] == ["head.weight", "head.bias"]
    assert net.split(opened(net.weights()))["conv2d0.weight"].shape == (2, 1, 3, 3)


@pytest.mark.parametrize(("limit", "fits"), [(8, True), (None, False)])
def test_limited_activations_let_an_epoch_go_without_clipping(limit: float | None, fits: bool) -> None:
    """The ranges of 784-128-10 at 16 fraction bits have room for 62 steps, if no activation is above 8."""
    s = session(check=False)
    rng = np.random.default_rng(0)
    x, y = private(s, rng.uniform(0, 1, (4, 784)), (0, 1)), private(s, np.eye(10)[:4], (0, 1), whole=True)
    with s:
        net = pt.nn.Sequential(pt.nn.Linear(784, 128, bound=2), pt.nn.ReLU(limit), pt.nn.Linear(128, 10, bound=2))
    optimiser = pt.optim.SGD(net.parameters(), lr=0.1, clip_every=62)

    def epoch() -> None:
        for _ in range(62):
            loss = pt.nn.cross_entropy(net(x), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    if fits:
        epoch()
        assert all(parameter.range == parameter.declared for parameter in net.parameters())
        assert float(opened(pt.nn.cross_entropy(net(x), y).value())) < 0.5
    else:
        with pytest.raises(RangeError, match=r"^matmul #\d+ 'linear2': needs \d\d bits"):
            epoch()


@pytest.mark.parametrize("lr", [1.0, 0.3])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
@pytest.mark.parametrize("twice", [False, True])
def test_steps_of_a_layer_are_torchs(lr: float, momentum: float, twice: bool) -> None:
    """Gradients of matrix products are rounded once, with the learning rate. Sums of two gradients come before."""
    x, y = np.array([[0.5, -0.25], [1.0, 0.75]]), np.array([[0.25], [-0.5]])
    s = session()
    features, targets = private(s, x, 1), private(s, y, 1)
    with s:
        net = pt.nn.Linear(2, 1)
    start = opened(net.weights())
    weight, bias = (torch.tensor(part, requires_grad=True) for part in (start[:2].reshape(2, 1), start[2:]))
    ours = pt.optim.SGD(net.parameters(), lr=lr, momentum=momentum)
    theirs = torch.optim.SGD([weight, bias], lr=lr, momentum=momentum)
    for _ in range(2):
        ours.zero_grad()
        theirs.zero_grad()
        pt.nn.mse(net(features), targets).backward()
        torch.nn.functional.mse_loss(torch.tensor(x) @ weight + bias, torch.tensor(y)).backward()
        if twice:
            (net.weight * net.weight).sum().backward()
            (weight * weight).sum().backward()
        assert np.abs(opened(net.weight.grad) - weight.grad.numpy()).max() < 1e-3
        assert net.weight.grad.fraction_bits == 16
        ours.step()
        theirs.step()
    expected = np.append(weight.detach().numpy(), bias.detach().numpy())
    assert np.abs(opened(net.weights()) - expected).max() < 1e-3
