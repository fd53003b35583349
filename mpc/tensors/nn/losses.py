"""Losses. Their gradients start where they are simple, at the logits, and need no value of the loss.

A loss's value costs logarithms and exponentials. It is computed only when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mpc.errors import ParameterError, RangeError
from mpc.tensors import autograd
from mpc.tensors.arithmetic import multiply, subtract
from mpc.tensors.autograd import Scaled
from mpc.tensors.exponentials import log_sum_exp, softplus
from mpc.tensors.noise import Scale
from mpc.tensors.reveals import Revealed
from mpc.tensors.tensor import PrivateTensor


class Loss:
    """The mean loss of a batch."""

    def __init__(self, where: PrivateTensor, start: Scaled, compute: Callable[[], PrivateTensor]) -> None:
        self._where = where
        self._start = start
        self._compute = compute
        self._value: PrivateTensor | None = None

    def backward(self) -> None:
        """Add the gradient of this loss to every tensor below it that requires one."""
        if not self._where.requires_grad:
            raise ParameterError("expected a loss that depends on a tensor which requires a gradient, found none")
        autograd.backward_from([(self._where, self._start)])

    def value(self) -> PrivateTensor:
        """Return the loss as a private number, through which no gradient flows."""
        if self._value is None:
            with self._where.session.no_grad():
                self._value = self._compute()
        return self._value

    def reveal(self, to: str | Sequence[str], name: str | None = None, noise: Scale = 0) -> Revealed:
        """Open the value to the named parties."""
        return self.value().reveal(to, name, noise)

    def __repr__(self) -> str:
        return f"Loss(of a tensor of shape {self._where.shape})"


def binary_cross_entropy(probabilities: PrivateTensor, targets: PrivateTensor) -> Loss:
    """Return the mean of -log p for targets 1 and -log(1 - p) for targets 0, of a sigmoid's output.

    With the logits z below, its gradient is (p - y) / n, and its value the mean of softplus(z) - z y.
    """
    node = probabilities.node
    if node is None or node.name != "sigmoid":
        raise ParameterError("binary_cross_entropy: expected the output of a sigmoid that is trained, found another")
    _same_shape("binary_cross_entropy", probabilities, targets)
    _within_one("binary_cross_entropy", targets)
    logits = node.parents[0]
    with logits.session.no_grad():
        difference = subtract(probabilities.detach(), targets)
    z = logits.detach()
    return Loss(
        logits,
        Scaled(difference, 1 / max(1, z.size)),
        lambda: subtract(softplus(z), multiply(z, targets)).mean(),
    )


def cross_entropy(logits: PrivateTensor, targets: PrivateTensor) -> Loss:
    """Return the mean of -log softmax(z) at the target's class, for logits and one-hot targets (batch, classes).

    Its gradient is (softmax(z) - y) / batch, and its value the mean of log(sum e^z) - sum z y.
    """
    _same_shape("cross_entropy", logits, targets)
    _within_one("cross_entropy", targets)
    if logits.ndim != 2:
        raise ParameterError(f"cross_entropy: expected logits of shape (batch, classes), found {logits.shape}")
    z = logits.detach()
    with z.session.no_grad():
        difference = subtract(z.softmax(-1), targets)
    return Loss(
        logits,
        Scaled(difference, 1 / max(1, z.shape[0])),
        lambda: subtract(log_sum_exp(z), multiply(z, targets).sum(axis=-1)).mean(),
    )


def mse(predictions: PrivateTensor, targets: PrivateTensor) -> Loss:
    """Return the mean of (p - y)^2. Its gradient is 2 (p - y) / n."""
    _same_shape("mse", predictions, targets)
    with predictions.session.no_grad():
        difference = subtract(predictions.detach(), targets)
    return Loss(
        predictions,
        Scaled(difference, 2 / max(1, predictions.size)),
        lambda: multiply(difference, difference).mean(),
    )


def _same_shape(name: str, x: PrivateTensor, y: PrivateTensor) -> None:
    if x.shape != y.shape:
        raise ParameterError(f"{name}: expected targets of shape {x.shape}, found {y.shape}")


def _within_one(name: str, targets: PrivateTensor) -> None:
    if targets.range.low < -(1 << targets.fraction_bits) or targets.range.high > 1 << targets.fraction_bits:
        raise RangeError(f"{name}: expected targets with a bound of 1, found {targets.real_bound:g}")
