"""The program of all parties of a measurement: it does the works that the benchmark orders, again and again.

Every party takes the same orders in the same order, so the program is the same at all of them. Inputs are shared anew
for each work. So no mask of an earlier one is used again.
"""

from __future__ import annotations

from functools import partial

import numpy as np

import mpc.tensors as pt
from benchmarks.peers.orders import Order, Orders, Prepared, RefusedError
from benchmarks.peers.works import (
    BOUND,
    RATE,
    SINGLE,
    first_weights,
    images,
    predicted,
    records,
    rows_of,
    train_logistic,
    train_network,
)  # fmt: skip
from benchmarks.tensors.data import real_images, real_records
from mpc.errors import ParameterError
from parties.tensors.programs import Here

LIMIT = 8.0
"""Where a hidden ReLU ends, so that parameters need to be clipped less often. The twin's values stay below it."""
PARAMETER_BOUND = 1.0


def program(s: pt.Session, here: Here) -> dict[str, object]:
    Orders(str(here.arguments["orders"]), s.me).take_all(partial(prepare, s), partial(cost, s))
    return {}


def cost(s: pt.Session) -> dict[str, int]:
    """Return what this party has spent so far."""
    return {"rounds": s.backend.cost.rounds, "sent": s.backend.cost.sent}


def prepare(s: pt.Session, order: Order) -> Prepared:
    """Share the inputs of a work."""
    makers = {"logistic": logistic, "mlp": network} | dict.fromkeys(SINGLE, single)
    if order["work"] not in makers:
        raise RefusedError(f"expected a work among {', '.join(makers)}, found {order['work']!r}")
    run, check = makers[order["work"]](s, order)

    def run_or_refuse() -> object:
        try:
            return run()
        except ParameterError as error:  # such as a range that the ring has no room for
            raise RefusedError(str(error)) from error

    return run_or_refuse, check


def opened(s: pt.Session, tensor: pt.PrivateTensor) -> np.ndarray | None:
    """Open a tensor to the first party. All others get None."""
    revealed = s.reveal(tensor, to=s.backend.computing[0], name="result")
    return revealed.value if revealed.readable else None


def single(s: pt.Session, order: Order) -> Prepared:
    """Do one operation. Its inputs are owned by the first two parties in turn."""
    work = SINGLE[order["work"]]
    values = work.inputs(order["size"])
    tensors = [
        s.input(s.backend.computing[place % 2], partial(np.array, array), shape=array.shape, bound=BOUND)
        for place, array in enumerate(values)
    ]

    def run() -> pt.PrivateTensor:
        if order["work"] == "multiply":
            return tensors[0] * tensors[1]
        if order["work"] == "matmul":
            return tensors[0] @ tensors[1]
        return tensors[0].relu() if order["work"] == "relu" else tensors[0].argmax(axis=1)

    def check(result: pt.PrivateTensor) -> dict[str, float]:
        found = opened(s, result)
        return {} if found is None else {"error": float(np.abs(found - work.reference(*values)).max())}

    return run, check


def logistic(s: pt.Session, order: Order) -> Prepared:
    """Train logistic regression on all records, where one party has the measurements and another the diagnoses."""
    held_out = None
    x, y = records()
    if order.get("real"):
        x, y, *held_out = real_records()
    first, second = s.backend.computing[:2]
    values = s.input(first, lambda: x, shape=x.shape, bound=12)
    labels = s.input(second, lambda: y, shape=y.shape, bound=(0, 1), whole=True)
    weight, offset = (s.constant(np.zeros(shape)) for shape in ((x.shape[1], 1), (1,)))
    linear = pt.nn.Linear(x.shape[1], 1, weight=weight, offset=offset)
    model = pt.nn.Sequential(linear, pt.nn.Sigmoid())
    optimiser = pt.optim.SGD(model.parameters(), lr=RATE, clip_every=order["clip_every"])

    def run() -> list[pt.PrivateTensor]:
        for _ in range(order["steps"]):
            loss = pt.nn.binary_cross_entropy(model(values), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return list(linear.parameters())

    def check(result: list[pt.PrivateTensor]) -> dict[str, float]:
        found, bias = (opened(s, tensor) for tensor in result)
        if found is None or bias is None:
            return {}
        twin, twin_bias = train_logistic(x, y, order["steps"])
        said = {"error": float(np.abs(found - twin).max())}
        if held_out:
            inputs, classes = held_out
            for name, (weights, offsets) in {"accuracy": (found, bias), "twin_accuracy": (twin, twin_bias)}.items():
                said[name] = float(((inputs @ weights + offsets > 0) == (classes > 0)).mean())
        return said

    return run, check


def network(s: pt.Session, order: Order) -> Prepared:
    """Train a network with ReLUs and true softmax, on images that two parties have in turn, batch by batch."""
    sizes, batch, steps = tuple(order["sizes"]), order["batch"], order["steps"]
    held_out = None
    if order.get("real"):
        x, y, *held_out = real_images()
        sizes = (x.shape[1], *sizes[1:])
    else:
        x, y = images(batch * min(steps, 62))
    owner, other = s.backend.computing[:2]
    values = s.input(owner, lambda: x, shape=x.shape, bound=(0, 1))
    classes = s.input(other, lambda: y, shape=y.shape, bound=(0, 1), whole=True)
    layers: list[pt.nn.Module] = []
    for weights in first_weights(sizes):
        inputs, outputs = weights.shape
        first = s.constant(weights)
        layers.append(pt.nn.Linear(inputs, outputs, bias=False, weight=first, bound=PARAMETER_BOUND))
        layers.append(pt.nn.ReLU(limit=LIMIT))
    model = pt.nn.Sequential(*layers[:-1])
    optimiser = pt.optim.SGD(model.parameters(), lr=order["rate"], clip_every=order["clip_every"])

    def run() -> list[pt.PrivateTensor]:
        for step in range(steps):
            rows = rows_of(step, batch, len(x))
            loss = pt.nn.cross_entropy(model(values[rows]), classes[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return list(model.parameters())

    def check(result: list[pt.PrivateTensor]) -> dict[str, float]:
        found = [opened(s, tensor) for tensor in result]
        twin = train_network(sizes, x, y, batch, steps, order["rate"])
        arrays = [array for array in found if array is not None]
        if len(arrays) < len(twin):
            return {}
        said = {"error": max(float(np.abs(mine - his).max()) for mine, his in zip(arrays, twin, strict=True))}
        if held_out:
            inputs, labels = held_out
            for name, weights in {"accuracy": arrays, "twin_accuracy": twin}.items():
                said[name] = float((predicted(weights, inputs) == labels).mean())
        return said

    return run, check
