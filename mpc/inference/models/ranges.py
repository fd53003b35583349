"""Worst-case magnitudes, layer by layer: a network that could overflow its ring is refused when it is loaded.

Exact integer interval arithmetic from the public input range, with the quantised weights: the bound holds for
every admissible query, and is met by some (layer by layer). No sampling, no "usually".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpc.errors import RangeError
from mpc.inference.linear.rlwe import LARGEST_PLAIN_BITS
from mpc.inference.models.architecture import NONLINEAR, PRIVATE, Architecture, Convolve, SumPool, convolution
from mpc.inference.models.quantise import FixedWeights
from mpc.inference.models.tensors import nonlinear, windows_of

Integers = NDArray[np.object_]  # Python integers: intervals can leave 64 bits before they are refused


@dataclass(frozen=True)
class LayerRange:
    """The interval of all values after one layer, as fixed-point integers."""

    name: str
    low: int
    high: int

    @property
    def ring_bits(self) -> int:
        """The narrowest ring with room for the interval: |y| < 2^(bits - 1)."""
        return max(abs(self.low), abs(self.high)).bit_length() + 1


def worst_case(architecture: Architecture, weights: Sequence[FixedWeights]) -> list[LayerRange]:
    """The interval after the input and after every layer."""
    shape = architecture.input_shape
    low = np.full(shape, architecture.input_range[0], dtype=object)
    high = np.full(shape, architecture.input_range[1], dtype=object)
    ranges = [LayerRange("input", *architecture.input_range)]
    remaining = iter(weights)
    for (name, layer, before, after), dropped in zip(architecture.steps(), architecture.dropped_bits(), strict=True):
        if isinstance(layer, PRIVATE):
            shape_of = convolution(layer, before)
            padding = layer.padding if isinstance(layer, Convolve) else (0, 0, 0, 0)
            low, high = _private(low, high, next(remaining), padding, shape_of.stride)
            low, high = low.reshape(after), high.reshape(after)
        elif isinstance(layer, NONLINEAR):  # all of them rise with their input
            low, high = (nonlinear(layer, side[None], dropped, architecture.fraction_bits)[0] for side in (low, high))
        elif isinstance(layer, SumPool):
            low, high = (windows_of(layer, side[None])[0].sum(axis=-1) for side in (low, high))
        else:
            low, high = low.reshape(after), high.reshape(after)
        ranges.append(LayerRange(name, int(low.min()), int(high.max())))
    return ranges


def check_ranges(architecture: Architecture, weights: Sequence[FixedWeights]) -> list[LayerRange]:
    """The intervals, if all fit the ring.

    Raises:
        RangeError: a layer could reach 2^(ring_bits - 1); with its name, the bound, and a ring that would do.
    """
    ranges = worst_case(architecture, weights)
    needed = max(r.ring_bits for r in ranges)
    for found in ranges:
        if found.ring_bits > architecture.ring_bits:
            magnitude = max(abs(found.low), abs(found.high))
            raise RangeError(
                f"{found.name} can reach {magnitude} (2^{magnitude.bit_length() - 1} or more), and the ring of "
                f"{architecture.ring_bits} bits holds magnitudes below 2^{architecture.ring_bits - 1}; "
                + _advice(needed, architecture)
            )
    return ranges


def _advice(needed: int, architecture: Architecture) -> str:
    if needed <= LARGEST_PLAIN_BITS:
        return f"expected ring_bits of at least {needed} with {architecture.fraction_bits} fraction bits"
    # Every fraction bit less takes two bits off the widest values.
    fewer = architecture.fraction_bits - -(-(needed - LARGEST_PLAIN_BITS) // 2)
    if fewer >= 1:
        return (
            f"{needed} bits would be needed and {LARGEST_PLAIN_BITS} are possible: "
            f"expected about {fewer} fraction bits with ring_bits {LARGEST_PLAIN_BITS}, or smaller weights"
        )
    return f"{needed} bits would be needed and {LARGEST_PLAIN_BITS} are possible: expected smaller weights"


def _private(
    low: Integers, high: Integers, fixed: FixedWeights, padding: tuple[int, int, int, int], stride: tuple[int, int]
) -> tuple[Integers, Integers]:
    """Each output's interval: positive weights take the same end, negative ones the other."""
    top, bottom, left, right = padding
    pixels = ((0, 0), (top, bottom), (left, right))
    shape = low.shape if low.ndim == 3 else (*low.shape, 1, 1)
    low, high = (np.pad(side.reshape(shape), pixels) for side in (low, high))
    rising, falling = np.maximum(fixed.weights, 0), np.minimum(fixed.weights, 0)
    bias = fixed.bias.astype(object).reshape(-1, 1, 1)
    return (
        _product(low, rising, stride) + _product(high, falling, stride) + bias,
        _product(high, rising, stride) + _product(low, falling, stride) + bias,
    )


def _product(values: Integers, weights: NDArray[np.int64], stride: tuple[int, int]) -> Integers:
    """Convolution of one image, exact: in 64 bits where the sum of magnitudes fits, else in Python integers."""
    windows = np.lib.stride_tricks.sliding_window_view(values, weights.shape[2:], axis=(1, 2))
    windows = windows[:, :: stride[0], :: stride[1]].transpose(1, 2, 0, 3, 4)
    height, width = windows.shape[:2]
    rows = windows.reshape(height * width, -1)
    columns = weights.reshape(len(weights), -1).T
    largest = max(int(np.abs(rows).max()), 1) * int(np.abs(columns).sum(axis=0).max())
    exact: NDArray[np.generic] = rows.astype(np.int64) @ columns if largest < 1 << 62 else rows @ columns.astype(object)
    return exact.astype(object).reshape(height, width, -1).transpose(2, 0, 1)
