"""Public bounds on private weights: fraction bits and the largest norm of every private layer.

Both follow from the shapes of the layers and from what the parties agree on. The weights play no part, so that nothing
here says anything about them. Weights beyond a bound are scaled down (:mod:`mpc.inference.models.scales`) or refused.

- The norm. With N the agreed ``weight_norm``, the Euclidean norm of all weights of a layer with o outputs is at most
  N sqrt(o). Each output's weights then have a norm of at most N in the root mean square. The usual initialisations give
  sqrt(2) or less, and training with weight decay 1 to 5. Of a mean over p values the layer holds the factor 1/p, so
  that its bound is p times smaller.
- The fraction bits g. They are f unless weights of the size of an initialisation, 1 / sqrt(inputs) each and divided by
  p, would lose more than 2^-6 of their norm by rounding. Then they are so many that these lose 2^-8.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mpc.errors import ParameterError
from mpc.inference.models.fixed import PrivateLayer, SumPool, Topology
from mpc.inference.models.limits import require

Beyond = Literal["refuse", "scale"]
"""What becomes of weights beyond the public bounds: they are refused, or scaled down by a power of two."""

WEIGHT_NORM = 4
LARGEST_WEIGHT_NORM = 1 << 16
LARGEST_NORM_BITS = 29  # of fixed-point weights, for which the ciphertexts' noise is derived
COARSE, FINE = 2.0**-6, 2.0**-8  # relative rounding of an output's weights: above the first, bits up to the second
_HEADROOM_BITS = 8  # that finer weights leave in the ring for magnitudes of 1 and more


def check_weight_norm(weight_norm: int) -> None:
    """Refuse a norm that is not a power of two.

    Raises:
        ParameterError: not a power of two from 1 to 2^16.
    """
    valid = 1 <= weight_norm <= LARGEST_WEIGHT_NORM and weight_norm & (weight_norm - 1) == 0
    require(valid, f"a weight norm that is a power of two from 1 to {LARGEST_WEIGHT_NORM}", weight_norm)


def public_weight_bits(topology: Topology) -> tuple[int, ...]:
    """Return g for every private layer, from shapes, f and l."""
    most = topology.ring_bits - 1 - topology.fraction_bits - _HEADROOM_BITS
    found = []
    for (_, _, shape), pooled in zip(topology.private_layers(), _pooled_values(topology), strict=True):
        inputs = math.prod(shape.weight_shape[1:])
        unit = pooled * math.sqrt(inputs / 12)  # relative rounding if weights were whole numbers
        bits = topology.fraction_bits
        if math.ldexp(unit, -bits) > COARSE:
            bits = max(bits, min(math.ceil(math.log2(unit / FINE)), most))
        found.append(bits)
    return tuple(found)


def public_bits_ring(topology: Topology) -> int:
    """Return how many bits of a ring :func:`public_weight_bits` takes up, if it is to give these weight bits again."""
    finer = [bits for bits in topology.private_bits if bits != topology.fraction_bits]
    return topology.fraction_bits + (max(finer) + _HEADROOM_BITS if finer else topology.fraction_bits)


def stated_weight_bits(topology: Topology, stated: int | Sequence[int]) -> tuple[int, ...]:
    """Return g for every private layer as stated, either one number for all or one for each.

    Raises:
        ParameterError: another number of layers. What the ring does not hold is refused by the topology.
    """
    layers = len(list(topology.private_layers()))
    bits = (stated,) * layers if isinstance(stated, int) else tuple(stated)
    require(len(bits) == layers, f"weight bits of {layers} private layers", len(bits))
    return bits


def public_norm_bits(topology: Topology, weight_norm: int) -> tuple[int, ...]:
    """Return n for every private layer. The norm of its weights, in fixed point, is at most 2^n."""
    check_weight_norm(weight_norm)
    found = []
    layers = zip(topology.private_layers(), _pooled_values(topology), topology.private_bits, strict=True)
    for (_, _, shape), pooled, bits in layers:
        squared = weight_norm**2 * shape.outputs << (2 * bits)
        # 2^n is the smallest power of two with 4^n >= squared / pooled^2.
        whole = max(-(-squared // pooled**2), 1)
        found.append(min(((whole - 1).bit_length() + 1) // 2, LARGEST_NORM_BITS))
    return tuple(found)


def public_ring_bits(topology: Topology, weight_norm: int) -> int:
    """Return a ring for networks within the bounds, whose biases are within them as well.

    It follows the largest value m and the Euclidean norm a of all values. A layer with norm w gives values up to
    w min(a, m sqrt(inputs)) + w. For networks with more than a few layers this is far above what they reach.
    """
    low, high = topology.input_range
    largest = max(abs(low), abs(high)) / 2.0**topology.fraction_bits
    norm = largest * math.sqrt(math.prod(topology.input_shape))
    needed = max(abs(low), abs(high)).bit_length() + 1
    bounds = zip(public_norm_bits(topology, weight_norm), topology.private_bits, strict=True)
    scale = topology.fraction_bits
    for step in topology.steps():
        size = math.prod(step.after)
        if isinstance(step.layer, PrivateLayer):
            norm_bits, bits = next(bounds)
            weights, shape = math.ldexp(1.0, norm_bits - bits), step.layer.convolution(step.before)
            overlap = math.prod(-(-k // s) for k, s in zip(shape.kernel, shape.stride, strict=True))
            inputs = math.prod(shape.weight_shape[1:])
            positions = shape.output_height * shape.output_width
            largest = weights * min(norm, largest * math.sqrt(inputs)) + weights
            norm = min(weights * (norm * math.sqrt(overlap) + math.sqrt(positions)), largest * math.sqrt(size))
            scale = topology.fraction_bits + bits
        elif isinstance(step.layer, SumPool):
            largest *= math.prod(step.layer.kernel)
            norm = largest * math.sqrt(size)
        elif step.dropped_bits:
            scale = topology.fraction_bits
        needed = max(needed, math.ceil(math.log2(largest + 1)) + scale + 1)
    return needed


def norm_squared(weights: NDArray[np.int64]) -> int:
    """Return the exact sum of squares of integers below 2^32, at most 2^26 of them."""
    if weights.size and int(np.abs(weights).max()) >= 1 << 32:
        raise ParameterError("expected fixed-point weights below 2^32, found larger ones")
    high, low = weights >> 16, weights & 0xFFFF  # every sum below stays within 63 bits
    squares, crossed, rest = (int((a * b).sum()) for a, b in ((high, high), (high, low), (low, low)))
    return (squares << 32) + (crossed << 17) + rest


def within_norm(weights: NDArray[np.int64], norm_bits: int) -> bool:
    """Return whether the norm of fixed-point weights is at most 2^norm_bits."""
    return norm_squared(weights) <= 1 << (2 * norm_bits)


def up_to(value: float) -> str:
    """Return the smallest power of two that is not below the value, for sentences that must not show the value."""
    return "0" if value == 0 else f"2^{math.ceil(math.log2(value))}" if math.isfinite(value) else "infinity"


def _pooled_values(topology: Topology) -> list[int]:
    """For every private layer the number p of values that the pools take means of whose 1/p its weights hold.

    A pool on wide values leaves its factor to the private layer before it, and one on narrow values to the next.
    """
    found, waiting, wide = [], 1, False
    for layer in topology.layers:
        if isinstance(layer, PrivateLayer):
            found.append(waiting)
            waiting = 1
        elif isinstance(layer, SumPool):
            values = math.prod(layer.kernel)
            if wide:
                found[-1] *= values
            else:
                waiting *= values
        wide = layer.leaves_wide(wide)
    return found
