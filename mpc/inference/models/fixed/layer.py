"""What every fixed-point layer can say about itself, and the three kinds of layers.

Values are in fixed point. Inputs and activations carry f fraction bits ("narrow"). The weights of a private layer carry
g, which is f unless they are small, and its outputs f + g ("wide"). A non-linearity brings wide values back to narrow
ones, exactly. Logits leave wide.

A layer's class owns its output shape, its range and how its inputs lie. Beyond that each kind owns what both parties
do with it:

- A :class:`PrivateLayer` is linear and has secret weights. The parties prepare a correlation for it.
- A :class:`Nonlinearity` is a garbled circuit on additive shares.
- A :class:`PublicMap` is linear and has no weights. Each party applies it to its own share.

Layers cross the wire inside an architecture. Their tags and fields are part of the wire format.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from mpc._core import Circuit
from mpc.inference.models.arithmetic import Integers, Number, convolve, convolve_integers
from mpc.inference.models.limits import require
from mpc.inference.models.shapes import Convolution, Shape
from mpc.ring import Words

Kind = TypeVar("Kind", bound="Layer")


class Layer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """One layer of a network in fixed point."""

    @property
    def kind(self) -> str:
        """The layer's name in sentences and reports."""
        return str(self.__struct_config__.tag).lower()

    def check_place(self, name: str, wide: bool, fraction_bits: int) -> None:
        """Check that the layer may stand behind values that are wide or narrow.

        Raises:
            ParameterError: it may not, with the layer's name.
        """

    @abstractmethod
    def output_shape(self, shape: Shape, name: str) -> Shape:
        """Return one query's shape after the layer.

        Raises:
            ParameterError: the layer does not fit its input, with the layer's name.
        """

    @abstractmethod
    def leaves_wide(self, wide: bool) -> bool:
        """Return whether values are wide after the layer, given whether they were before."""

    def rectified(self: Kind) -> Kind | None:
        """Return this layer with max(0, .) behind it in the same circuit, or None if there is no such circuit."""
        return None


@dataclass(frozen=True, repr=False)
class FixedWeights:
    """The weights of one private layer: ``(outputs, channels, kh, kw)`` at 2^g, bias ``(outputs,)`` at 2^(f + g)."""

    weights: NDArray[np.int64]
    bias: NDArray[np.int64]

    def __repr__(self) -> str:
        return f"FixedWeights(shape={self.weights.shape})"


class PrivateLayer(Layer, frozen=True):
    """A linear layer with secret weights and bias, narrow to wide."""

    def check_place(self, name: str, wide: bool, fraction_bits: int) -> None:
        """Refuse a place right behind another private layer."""
        require(not wide, f"a ReLU or rescaling before {name}", "two private layers in a row")

    def leaves_wide(self, wide: bool) -> bool:
        """Products carry f + g fraction bits."""
        return True

    @abstractmethod
    def convolution(self, shape: Shape) -> Convolution:
        """Return the layer as the encoding sees it, for inputs of this shape."""

    @abstractmethod
    def as_pixels(self, values: NDArray[Number]) -> NDArray[Number]:
        """Lay the layer's input out as ``(n, channels, height, width)``, padded with zeros."""

    @abstractmethod
    def from_pixels(self, pixels: NDArray[Number]) -> NDArray[Number]:
        """Lay the layer's output out as the next layer takes it."""

    def apply(self, values: Words, fixed: FixedWeights) -> Words:
        """Apply weights and bias to values, or to one share of them, ``(n, *shape)``, modulo 2^64."""
        pixels = self.as_pixels(values)
        product = self.from_pixels(convolve(pixels, fixed.weights, self.convolution(values.shape[1:]).stride))
        return product + fixed.bias.astype(np.uint64).reshape(-1, *(1 for _ in product.shape[2:]))

    def interval(self, low: Integers, high: Integers, fixed: FixedWeights) -> tuple[Integers, Integers]:
        """Return the ends of every output, from those of the inputs ``(*shape)``.

        A positive weight takes the same end of its input, a negative one the other end.
        """
        stride = self.convolution(low.shape).stride
        low, high = self.as_pixels(low[None]), self.as_pixels(high[None])
        rising, falling = np.maximum(fixed.weights, 0), np.minimum(fixed.weights, 0)
        bias = fixed.bias.astype(object).reshape(-1, 1, 1)
        lowest = convolve_integers(low, rising, stride) + convolve_integers(high, falling, stride) + bias
        highest = convolve_integers(high, rising, stride) + convolve_integers(low, falling, stride) + bias
        return self.from_pixels(lowest)[0], self.from_pixels(highest)[0]


class Nonlinearity(Layer, frozen=True):
    """A garbled circuit on additive shares, to narrow values."""

    def leaves_wide(self, wide: bool) -> bool:
        """Circuits drop the bits that make values wide."""
        return False

    @property
    @abstractmethod
    def signed(self) -> bool:
        """Whether outputs can be negative."""

    @abstractmethod
    def circuit(self, ring_bits: int, dropped_bits: int, fraction_bits: int) -> Circuit:
        """Return the circuit of one output.

        It takes shares of ``ring_bits`` bits and has one output, ``dropped_bits`` shorter, which is in two's
        complement if :attr:`signed`.
        """

    @abstractmethod
    def clear(self, values: NDArray[Number], dropped_bits: int, fraction_bits: int) -> NDArray[Number]:
        """Compute in the clear what the circuit computes, bit by bit.

        Args:
            values: signed, ``(n, *shape)``, in 64 bits or as Python integers of any size.
            dropped_bits: how many of their lowest bits are dropped.
        """

    def circuit_rows(self, shares: Words) -> Words:
        """Lay one party's shares out as the circuit takes them, with a row an output and a word a value."""
        return np.ascontiguousarray(shares.reshape(-1, 1))

    def interval(
        self, low: Integers, high: Integers, dropped_bits: int, fraction_bits: int
    ) -> tuple[Integers, Integers]:
        """Return the ends of every output, from those of the inputs.

        Every non-linearity rises with its input.
        """
        lowest, highest = (self.clear(end[None], dropped_bits, fraction_bits)[0] for end in (low, high))
        return lowest, highest


class PublicMap(Layer, frozen=True):
    """A linear map without weights, of wide values or of narrow ones."""

    def leaves_wide(self, wide: bool) -> bool:
        """A public map leaves the scale of values alone."""
        return wide

    @abstractmethod
    def apply(self, values: NDArray[Number]) -> NDArray[Number]:
        """Map values, or one share of them, ``(n, *shape)``, modulo 2^64."""

    def interval(self, low: Integers, high: Integers) -> tuple[Integers, Integers]:
        """Return the ends of every output, from those of the inputs.

        No factor of a public map is negative.
        """
        return self.apply(low[None])[0], self.apply(high[None])[0]
