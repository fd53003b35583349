"""A network as a chain of fixed-point layers, without any weights.

It comes from a peer as a part of its architecture. Everything in it is therefore bounded, and checked before anything
is computed from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from mpc.inference.models.fixed.activations import LeakyRectify, Rectify, Rescale
from mpc.inference.models.fixed.flatten import FlattenShape
from mpc.inference.models.fixed.layer import PrivateLayer
from mpc.inference.models.fixed.pooling import MaxPool, SumPool
from mpc.inference.models.fixed.private import Convolve, Dense
from mpc.inference.models.limits import (
    LARGEST_DEPTH,
    LARGEST_RING_BITS,
    SMALLEST_RING_BITS,
    check_tensor,
    require,
)
from mpc.inference.models.shapes import Convolution, Shape

AnyLayer = Convolve | Dense | Rectify | LeakyRectify | Rescale | MaxPool | SumPool | FlattenShape


@dataclass(frozen=True)
class Step:
    """One layer in its place.

    Attributes:
        name: for sentences.
        before, after: one query's shape at its input and at its output.
        dropped_bits: how many bits a non-linearity drops here. On wide values they are the weight bits of the private
            layer before, on narrow ones there are none.
    """

    name: str
    layer: AnyLayer
    before: Shape
    after: Shape
    dropped_bits: int


class Topology(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The layers' shapes and the fixed-point format.

    Attributes:
        input_shape: of one query, ``(channels, height, width)`` or ``(values,)``.
        input_range: smallest and largest input, as fixed-point integers. The range analysis rests on it, so that the
            querying party refuses a query outside.
        layers: in order. The last private one leaves the logits.
        fraction_bits: f.
        ring_bits: l. All shares lie in Z_2^l.
        weight_bits: g, the fraction bits of each private layer's weights. Its outputs carry f + g, and the
            non-linearity behind it drops g. Left out, they are all f.

    Raises:
        ParameterError: shapes that do not fit each other, or anything beyond the limits.
    """

    input_shape: tuple[int, ...]
    input_range: tuple[int, int]
    layers: tuple[AnyLayer, ...]
    fraction_bits: int
    ring_bits: int
    weight_bits: tuple[int, ...] | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        require(1 <= len(self.layers) <= LARGEST_DEPTH, f"1 to {LARGEST_DEPTH} layers", len(self.layers))
        require(len(self.input_shape) in (1, 3), "an input of 1 or 3 dimensions", self.input_shape)
        widths = f"{SMALLEST_RING_BITS} to {LARGEST_RING_BITS} ring bits"
        require(SMALLEST_RING_BITS <= self.ring_bits <= LARGEST_RING_BITS, widths, self.ring_bits)
        require(1 <= self.fraction_bits <= self.ring_bits // 2, "1 to ring_bits / 2 fraction bits", self.fraction_bits)
        low, high = self.input_range
        limit = 1 << (self.ring_bits - 1)
        require(-limit < low <= high < limit, "an input range within the ring", self.input_range)
        if self.weight_bits is not msgspec.UNSET:
            most = self.ring_bits - 1 - self.fraction_bits
            private = sum(isinstance(layer, PrivateLayer) for layer in self.layers)
            require(len(self.weight_bits) == private, f"weight bits of {private} private layers", len(self.weight_bits))
            require(all(1 <= bits <= most for bits in self.weight_bits), f"1 to {most} weight bits", self.weight_bits)
            canonical = any(bits != self.fraction_bits for bits in self.weight_bits)
            require(canonical, "weight bits left out where all are the fraction bits", self.weight_bits)
        for _ in self.steps():  # checks as it goes
            pass

    @property
    def private_bits(self) -> tuple[int, ...]:
        """The fraction bits of each private layer's weights."""
        if self.weight_bits is not msgspec.UNSET:
            return self.weight_bits
        return (self.fraction_bits,) * sum(isinstance(layer, PrivateLayer) for layer in self.layers)

    @property
    def logit_bits(self) -> int:
        """The fraction bits of the logits."""
        return self.fraction_bits + self.private_bits[-1]

    @property
    def classes(self) -> int:
        """The number of logits."""
        return math.prod(list(self.steps())[-1].after)

    def steps(self) -> Iterator[Step]:
        """Walk through the layers, checking each in its place.

        Raises:
            ParameterError: a layer that does not fit, with its name.
        """
        shape, wide = self.input_shape, False
        check_tensor(shape, "input")
        weight_bits, dropped = iter(self.private_bits), 0
        for index, layer in enumerate(self.layers):
            name = f"layer {index} ({layer.kind})"
            layer.check_place(name, wide, self.fraction_bits)
            after = layer.output_shape(shape, name)
            check_tensor(after, name)
            if isinstance(layer, PrivateLayer):
                dropped = next(weight_bits)
            yield Step(name, layer, shape, after, dropped if wide else 0)
            shape, wide = after, layer.leaves_wide(wide)
        require(wide, "a private layer as the last one but public maps", self.layers[-1].kind)
        require(len(shape) == 1, "one row of logits at the end", shape)

    def private_layers(self) -> Iterator[tuple[str, PrivateLayer, Convolution]]:
        """Walk through the private layers with the name that their messages carry, and their shapes."""
        private = ((step.layer, step.before) for step in self.steps() if isinstance(step.layer, PrivateLayer))
        for index, (layer, before) in enumerate(private):
            yield f"linear/{index}", layer, layer.convolution(before)
