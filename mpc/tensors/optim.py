"""Gradient descent. Parameters stay within their declared bounds, or the growth of their ranges is known exactly.

All parameters change together, as one vector, in the rounds of one. The learning rate and the factor of the mean are
multiplied by in one rounding. Adam is not offered, because no useful bound of its error is known in fixed point.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpc.errors import OrderError, ParameterError
from mpc.ring import Words
from mpc.tensors.arithmetic import add, multiply, subtract, wrapping
from mpc.tensors.comparing import negated, negative, relu_all
from mpc.tensors.nn.modules import Parameter
from mpc.tensors.ranges import real
from mpc.tensors.reveals import Revealed
from mpc.tensors.shaping import concatenate
from mpc.tensors.tensor import PrivateTensor


class SGD:
    """p <- p - lr v with v <- momentum v + gradient + weight_decay p, and then p within its bound.

    Args:
        parameters: of a module.
        lr: the learning rate.
        momentum, weight_decay: from 0 to less than 1.
        clip_every: after how many steps parameters are clipped to their bounds, which costs comparisons. In between
            their ranges grow by what a step can add, and an operation that has no room for that is refused.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        clip_every: int = 1,
    ) -> None:
        self.parameters = list(parameters)
        if not self.parameters:
            raise ParameterError("SGD: expected parameters, found none")
        if not 0 < lr < float("inf"):
            raise ParameterError(f"SGD: expected a learning rate above zero, found {lr}")
        if not 0 <= momentum < 1 or not 0 <= weight_decay < 1:
            raise ParameterError(
                f"SGD: expected momentum and weight_decay from 0 to below 1, found {momentum} and {weight_decay}"
            )
        if clip_every < 1:
            raise ParameterError(f"SGD: expected clip_every of at least 1, found {clip_every}")
        self.lr, self.momentum, self.weight_decay, self.clip_every = lr, momentum, weight_decay, clip_every
        self._velocity: PrivateTensor | None = None
        self._steps = 0

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.zero_grad()

    def step(self) -> None:
        """Take one step along the gradients since `zero_grad`."""
        session = self.parameters[0].session
        with session.no_grad(), session.scope("sgd"):
            gradients, factors = self._gradients()
            values = self._values()
            if self.momentum or self.weight_decay:
                values = subtract(values, multiply(self._moved(values, gradients, factors), self.lr))
            else:
                values = subtract(values, multiply(gradients, self.lr * factors))
            self._steps += 1
            clips = self._steps % self.clip_every == 0
            self._assign(self._clipped(values) if clips else values, clips)

    def guard(self, share: float = 0.5, name: str = "guard") -> Revealed:
        """Reveal one bit to all: whether any parameter is beyond this share of its declared bound.

        A 1 says that training may be held back by a bound. Nothing else about the parameters is opened.
        """
        if not 0 < share <= 1:
            raise ParameterError(f"guard: expected a share above 0 and up to 1, found {share}")
        session = self.parameters[0].session
        with session.no_grad(), session.scope("guard"):
            values = self._values()
            limits = np.concatenate([np.full(each.size, share * _bound(each)) for each in self.parameters])
            over = negative(concatenate([subtract(limits, values), add(values, limits)]))
            some = negated(negative(subtract(over.sum(), 1)))
            return session.reveal(some, session.parties, name)

    def _values(self) -> PrivateTensor:
        return concatenate([parameter.detach().reshape(-1) for parameter in self.parameters])

    def _gradients(self) -> tuple[PrivateTensor, np.ndarray]:
        """Return all gradients as one vector, and the factor of each entry."""
        parts, factors = [], []
        for parameter in self.parameters:
            if parameter.gradient is None:
                raise OrderError("SGD: expected a gradient of every parameter, found none: call backward before step")
            gradient, factor = parameter.gradient
            parts.append(gradient.reshape(-1))
            factors.append(np.full(parameter.size, factor))
        return concatenate(parts), np.concatenate(factors)

    def _moved(self, values: PrivateTensor, gradients: PrivateTensor, factors: np.ndarray) -> PrivateTensor:
        """Return the velocity after this step."""
        total = multiply(gradients, factors)
        if self.weight_decay:
            total = add(total, multiply(values, self.weight_decay))
        if self.momentum:
            total = total if self._velocity is None else add(total, multiply(self._velocity, self.momentum))
            self._velocity = total
        return total

    def _clipped(self, values: PrivateTensor) -> PrivateTensor:
        """Return values taken back to the declared ranges, by both comparisons in one call."""
        highs = np.concatenate(
            [np.full(each.size, real(each.declared.high, each.fraction_bits)) for each in self.parameters]
        )
        lows = np.concatenate(
            [np.full(each.size, real(each.declared.low, each.fraction_bits)) for each in self.parameters]
        )
        above, below = relu_all([subtract(values, highs), subtract(lows, values)])
        return add(subtract(values, above), below)

    def _assign(self, values: PrivateTensor, clipped: bool) -> None:
        place = 0
        for parameter in self.parameters:
            found = parameter.declared if clipped else values.range
            parameter.assign(_part(values, place, parameter), found)
            place += parameter.size


def _part(values: PrivateTensor, place: int, parameter: Parameter) -> PrivateTensor:
    """Return one parameter's entries of a vector."""
    end, shape = place + parameter.size, parameter.shape

    def cut(words: Words) -> Words:
        return words[place:end].reshape(shape)

    shared = values.session.backend.linear(wrapping(cut), shape, values.shared)
    part = PrivateTensor(values.session, shared, values.range, values.fraction_bits, values.owners)
    part.twin = None if values.twin is None else values.twin[place:end].reshape(shape)
    return part


def _bound(parameter: Parameter) -> float:
    return real(min(parameter.declared.high, -parameter.declared.low), parameter.fraction_bits)


__all__ = ["SGD"]
