"""tf-encrypted's words for private graphs, for programs that were written with them (tf-encrypted 0.5).

A graph is built first and run by a session, as in TensorFlow 1. Two servers compute, a crypto producer deals
correlations, and the party that runs the session gets what is revealed. With ``Session(backend="replicated")`` all
three of them compute, as with tf-encrypted's ABY3. All are threads of this process. Arrays are
numpy's, so ``import numpy as tf`` gives ``tf.ones``. Other than there, numbers have a bound, and what overflows is
refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mpc.errors import ParameterError
from mpc.tensors.backends.interface import Shape
from mpc.tensors.backends.kinds import kind_of
from mpc.tensors.session import Session as TensorSession
from mpc.tensors.simulation import simulate
from mpc.tensors.tensor import PrivateTensor

BOUND = 2.0**10
SERVERS = ("server0", "server1")
CRYPTO_PRODUCER = "server2"
RECEIVER = "master"
Values = dict["Node", Any]


class Node:
    """A private tensor of a graph that is not run yet."""

    __array_priority__ = 1000
    __hash__ = object.__hash__

    def __init__(self, compute: Callable[..., Any], *inputs: object, owner: str | None = None) -> None:
        self._compute = compute
        self._inputs = inputs
        self.owner = owner

    def evaluate(self, session: TensorSession, known: Values) -> Any:
        """Return this node's tensor in a party's session, computing each node of the graph once."""
        if self not in known:
            inputs = [each.evaluate(session, known) if isinstance(each, Node) else each for each in self._inputs]
            known[self] = self._compute(session, *inputs)
        return known[self]

    def owners(self) -> set[str]:
        """Return the names of those whose inputs this node needs."""
        below = set().union(*(each.owners() for each in self._inputs if isinstance(each, Node)))
        return below | ({self.owner} if self.owner else set())

    def reveal(self) -> RevealedNode:
        """Return a node that a session opens to the party that runs it."""
        return RevealedNode(self)

    def __add__(self, other: object) -> Node:
        return add(self, other)

    def __sub__(self, other: object) -> Node:
        return sub(self, other)

    def __mul__(self, other: object) -> Node:
        return mul(self, other)

    def __matmul__(self, other: object) -> Node:
        return matmul(self, other)

    def __getitem__(self, index: object) -> Node:
        return Node(lambda _, x: x[index], self)

    __radd__ = __add__
    __rmul__ = __mul__


class RevealedNode:
    """A node whose numbers a session gives to the party that runs it."""

    def __init__(self, node: Node) -> None:
        self.node = node


class Session:
    """Runs graphs. It is used with `with`, as TensorFlow's."""

    def __init__(self, backend: str = "dealer") -> None:
        self._backend = backend

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def run(self, what: object) -> Any:
        """Return the numbers of a revealed node, or of a list of them. An initializer has nothing to do."""
        if isinstance(what, list | tuple):
            return self._run_all(what)
        return None if what is _INITIALIZER else self._run_all([what])[0]

    def _run_all(self, whats: Sequence[object]) -> list[NDArray[np.float64]]:
        nodes = []
        for what in whats:
            if not isinstance(what, RevealedNode):
                raise ParameterError(f"run: expected revealed nodes, found {type(what).__name__}: call reveal() first")
            nodes.append(what.node)
        owners = set().union(*(node.owners() for node in nodes))

        def program(s: TensorSession) -> dict[str, object]:
            known: Values = {}
            return {str(i): node.evaluate(s, known).reveal(to=RECEIVER) for i, node in enumerate(nodes)}

        kind = kind_of(self._backend)
        servers = (*SERVERS, CRYPTO_PRODUCER) if kind.parties == 3 else SERVERS
        dealer = CRYPTO_PRODUCER if kind.dealt else None
        outside = tuple(dict.fromkeys((RECEIVER, *sorted(owners - set(servers)))))
        result = simulate(program, servers, backend=self._backend, dealer=dealer, outside=outside)
        return [result.outputs[RECEIVER][str(i)] for i in range(len(nodes))]


_INITIALIZER = object()


def global_variables_initializer() -> object:
    """Return what a session runs first. Variables here are shared when a graph that needs them is run."""
    return _INITIALIZER


def define_private_variable(initial_value: ArrayLike, bound: float = BOUND) -> Node:
    """Return a private tensor of numbers that the party which runs the session has."""
    return _input(RECEIVER, np.asarray(initial_value, dtype=np.float64), bound)


def define_private_input(player: str, inputter_fn: Callable[[], ArrayLike], bound: float = BOUND) -> Node:
    """Return a private tensor of a player's numbers.

    The function is called once, here, because a graph needs the shape. Its numbers are then the player's input. On
    separate machines, :meth:`mpc.tensors.Session.input` calls it at the player alone.
    """
    return _input(player, np.asarray(inputter_fn(), dtype=np.float64), bound)


def _input(owner: str, values: NDArray[np.float64], bound: float) -> Node:
    def compute(session: TensorSession) -> PrivateTensor:
        return session.input(owner, lambda: values, shape=values.shape, bound=bound)

    return Node(compute, owner=owner)


def _binary(function: Callable[[Any, Any], Any]) -> Callable[[object, object], Node]:
    def apply(x: object, y: object) -> Node:
        return Node(lambda _, a, b: function(a, b), x, y)

    return apply


def _unary(name: str) -> Callable[[Node], Node]:
    def apply(x: Node) -> Node:
        return Node(lambda _, a: getattr(a, name)(), x)

    return apply


add = _binary(lambda x, y: x + y)
sub = _binary(lambda x, y: x - y)
mul = _binary(lambda x, y: x * y)
matmul = _binary(lambda x, y: x @ y)
relu = _unary("relu")
sigmoid = _unary("sigmoid")
tanh = _unary("tanh")


def reshape(x: Node, shape: Shape) -> Node:
    return Node(lambda _, a: a.reshape(shape), x)


def reduce_sum(x: Node, axis: int | None = None, keepdims: bool = False) -> Node:
    return Node(lambda _, a: a.sum(axis, keepdims), x)


_ACTIVATIONS: dict[str | None, Callable[[Node], Node]] = {
    None: lambda x: x,
    "linear": lambda x: x,
    "relu": relu,
    "sigmoid": sigmoid,
    "tanh": tanh,
}


class Dense:
    """A layer x W + b with an activation, as Keras's. Its weights are private variables.

    Args:
        units: the size of the last axis after.
        activation: `relu`, `sigmoid`, `tanh`, `linear` or None.
        input_dim: the size of the last axis before.
        bound: of its weights.
    """

    def __init__(self, units: int, activation: str | None = None, *, input_dim: int, bound: float = 4.0) -> None:
        if activation not in _ACTIVATIONS:
            known = ", ".join(str(name) for name in _ACTIVATIONS)
            raise ParameterError(f"Dense: expected an activation among {known}, found {activation!r}")
        self._activation = activation
        self._bound = bound
        limit = 1 / sqrt(input_dim)
        kernel = np.random.default_rng((input_dim, units)).uniform(-limit, limit, (input_dim, units))
        self.set_weights([kernel, np.zeros(units)])

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Take a kernel of shape (input_dim, units) and a bias of shape (units,)."""
        self._kernel, self._bias = (define_private_variable(each, self._bound) for each in weights)

    def __call__(self, x: Node) -> Node:
        return _ACTIVATIONS[self._activation](add(matmul(x, self._kernel), self._bias))


class Sequential:
    """Layers one after the other, as Keras's."""

    def __init__(self, layers: Sequence[Callable[[Node], Node]] = ()) -> None:
        self.layers = list(layers)

    def add(self, layer: Callable[[Node], Node]) -> None:
        self.layers.append(layer)

    def __call__(self, x: Node) -> Node:
        for layer in self.layers:
            x = layer(x)
        return x


keras = SimpleNamespace(Sequential=Sequential, layers=SimpleNamespace(Dense=Dense))
