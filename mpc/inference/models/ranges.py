"""Worst-case magnitudes, layer by layer. A network that could overflow its ring is refused when it is loaded.

This is exact integer interval arithmetic from the public input range, with the quantised weights. The bound holds for
every admissible query, and layer by layer some meet it. Nothing is sampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mpc.errors import RangeError
from mpc.inference.models.fixed import FixedWeights, Nonlinearity, PrivateLayer, Topology
from mpc.inference.models.limits import LARGEST_RING_BITS


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


def worst_case(topology: Topology, weights: Sequence[FixedWeights]) -> list[LayerRange]:
    """Return the interval after the input and after every layer."""
    low, high = (np.full(topology.input_shape, end, dtype=object) for end in topology.input_range)
    ranges = [LayerRange("input", *topology.input_range)]
    remaining = iter(weights)
    for step in topology.steps():
        if isinstance(step.layer, PrivateLayer):
            low, high = step.layer.interval(low, high, next(remaining))
        elif isinstance(step.layer, Nonlinearity):
            low, high = step.layer.interval(low, high, step.dropped_bits, topology.fraction_bits)
        else:
            low, high = step.layer.interval(low, high)
        ranges.append(LayerRange(step.name, int(low.min()), int(high.max())))
    return ranges


def check_ranges(topology: Topology, weights: Sequence[FixedWeights]) -> list[LayerRange]:
    """Return the intervals, if all fit the ring.

    Raises:
        RangeError: a layer could reach 2^(ring_bits - 1). The sentence has its name, bit lengths, and a ring that
            would do. It has no magnitude, which would be an extreme of the weights.
    """
    ranges = worst_case(topology, weights)
    needed = max(r.ring_bits for r in ranges)
    for found in ranges:
        if found.ring_bits > topology.ring_bits:
            raise RangeError(
                f"{found.name} can reach 2^{found.ring_bits - 2} or more, and the ring of "
                f"{topology.ring_bits} bits holds magnitudes below 2^{topology.ring_bits - 1}; "
                + _advice(needed, topology.fraction_bits)
            )
    return ranges


def _advice(needed: int, fraction_bits: int) -> str:
    if needed <= LARGEST_RING_BITS:
        return f"expected ring_bits of at least {needed} with {fraction_bits} fraction bits"
    # Every fraction bit less takes two bits off the widest values.
    fewer = fraction_bits - -(-(needed - LARGEST_RING_BITS) // 2)
    if fewer >= 1:
        return (
            f"{needed} bits would be needed and {LARGEST_RING_BITS} are possible: "
            f"expected about {fewer} fraction bits with ring_bits {LARGEST_RING_BITS}, or smaller weights"
        )
    return f"{needed} bits would be needed and {LARGEST_RING_BITS} are possible: expected smaller weights"
