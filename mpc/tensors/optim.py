"""Gradient descent. Parameters stay within their declared bounds, or the growth of their ranges is known exactly.

All parameters change together, in the rounds of one. The learning rate and the factor of the mean are
multiplied by in one rounding. Adam is not offered, because no useful bound of its error is known in fixed point.
"""

from __future__ import annotations

from collections.abc import Sequence

from mpc.errors import OrderError, ParameterError
from mpc.tensors.arithmetic import add, scale_all, subtract, with_fraction_bits
from mpc.tensors.comparing import clip_all, negated, negative, negative_all
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
        self._velocities: list[PrivateTensor] = []
        self._steps = 0

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.zero_grad()

    def step(self) -> None:
        """Take one step along the gradients since `zero_grad`."""
        session = self.parameters[0].session
        with session.no_grad(), session.scope("sgd"):
            values = [parameter.detach() for parameter in self.parameters]
            gradients, factors = self._gradients()
            if self.momentum or self.weight_decay:
                gradients, factors = self._moved(values, gradients, factors), [1.0] * len(values)
            moves = scale_all(gradients, [self.lr * factor for factor in factors])
            values = [subtract(value, move) for value, move in zip(values, moves, strict=True)]
            self._steps += 1
            if self._steps % self.clip_every == 0:
                values = self._clipped(values)
            for parameter, value in zip(self.parameters, values, strict=True):
                parameter.assign(value)

    def guard(self, share: float = 0.5, name: str = "guard") -> Revealed:
        """Reveal one bit to all: whether any parameter is beyond this share of its declared bound, above or below zero.

        A 1 says that training may be held back by a bound. Nothing else about the parameters is opened.
        """
        if not 0 < share <= 1:
            raise ParameterError(f"guard: expected a share above 0 and up to 1, found {share}")
        session = self.parameters[0].session
        with session.no_grad(), session.scope("guard"):
            rooms = []
            for parameter in self.parameters:
                low, high = (
                    share * real(end, parameter.fraction_bits)
                    for end in (parameter.declared.low, parameter.declared.high)
                )
                if high > 0:
                    rooms.append(subtract(high, parameter.detach()))
                if low < 0:
                    rooms.append(subtract(parameter.detach(), low))
            beyond = concatenate([bits.reshape(-1) for bits in negative_all(rooms)])
            some = negated(negative(subtract(beyond.sum(), 1)))
            return session.reveal(some, session.parties, name)

    def _gradients(self) -> tuple[list[PrivateTensor], list[float]]:
        """Return all gradients, and the factor of each that is not multiplied out yet."""
        found = [parameter.gradient for parameter in self.parameters]
        there = [each for each in found if each is not None]
        if len(there) < len(found):
            raise OrderError("SGD: expected a gradient of every parameter, found none: call backward before step")
        return aligned_exactly([gradient for gradient, _ in there]), [factor for _, factor in there]

    def _moved(
        self, values: list[PrivateTensor], gradients: list[PrivateTensor], factors: list[float]
    ) -> list[PrivateTensor]:
        """Return the velocities after this step."""
        totals = scale_all(gradients, factors)
        for others, factor in ((values, self.weight_decay), (self._velocities, self.momentum)):
            if factor and others:
                decayed = scale_all(others, [factor] * len(others))
                totals = [add(total, other) for total, other in zip(totals, decayed, strict=True)]
        if self.momentum:
            self._velocities = totals
        return totals

    def _clipped(self, values: list[PrivateTensor]) -> list[PrivateTensor]:
        """Return values taken back to the declared ranges, by all comparisons in one call."""
        clipped = clip_all(values, [(each.declared.low, each.declared.high) for each in self.parameters])
        for parameter, value in zip(self.parameters, clipped, strict=True):
            value.range = parameter.declared
        return clipped


def aligned_exactly(tensors: list[PrivateTensor]) -> list[PrivateTensor]:
    """Return tensors with as many fraction bits each, so that they are rounded together, where the ring has room.

    Products of matrices have the fraction bits of both sides, and sums those of one.
    """
    most = max(tensors, key=lambda x: x.fraction_bits)
    room = max(x.range.bits for x in tensors)

    def fits(x: PrivateTensor) -> bool:
        return x.range.shift_left(most.fraction_bits - x.fraction_bits).bits <= room

    return [with_fraction_bits(x, most.fraction_bits) if fits(x) else x for x in tensors]
