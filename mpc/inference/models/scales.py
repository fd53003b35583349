"""Private powers of two in the weights, by which small values keep their bits and large weights meet public bounds.

A network with max(0, .) and the like commutes with positive factors. Activations behind private layer i are therefore
scaled by 2^s_i, by the weights before them, and back by the weights behind. What the last layer scales stays in the
logits. Their order and signs are those of the model, and its owner decodes them.

The s are a part of the private weights, and nothing public depends on them. They are

* as large as small weights and small activations need,
* lowered where the layer's public norm bound or the ring does not hold the result,
* below zero where the layer's weights are beyond its public norm bound, or are finer than 2^-f by its public fraction
  bits and the ring is too narrow for that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mpc.errors import RangeError
from mpc.inference.models.bounds import COARSE, FINE, Beyond, within_norm
from mpc.inference.models.fixed import FixedWeights, Nonlinearity, PrivateLayer, Topology
from mpc.inference.models.floats.layer import Floats
from mpc.inference.models.quantiser import LARGEST_WEIGHT_BITS, Quantised
from mpc.inference.models.ranges import LayerRange
from mpc.inference.models.unrounded import real_layer

_NEGLIGIBLE = 2.0**-10  # an output's weights beside the largest of its layer
_SMALL = 2.0**-3  # activations below are scaled up
_LARGEST_SCALE = 24
_LOOKED_AT = 32  # samples on which activations are looked at


@dataclass(frozen=True, repr=False)
class Scales:
    """The public fraction bits g of every private layer, and the private scale s of the values behind it.

    Attributes:
        lowest: for each layer the least s to which the ring may lower it.
        room: for each layer how much s may be above the one before it, for the layer's norm bound.
    """

    fraction_bits: int
    weight_bits: tuple[int, ...]
    scale_bits: tuple[int, ...]
    lowest: tuple[int, ...]
    room: tuple[int, ...]

    @property
    def before(self) -> tuple[int, ...]:
        """The scale of each private layer's input."""
        return 0, *self.scale_bits[:-1]

    def fixed(self, quantised: Quantised) -> list[FixedWeights]:
        """Round the weights. See :meth:`~mpc.inference.models.quantiser.RealWeights.fixed`."""
        return [
            real.fixed(self.fraction_bits, bits, before, after)
            for real, bits, before, after in zip(
                quantised.weights, self.weight_bits, self.before, self.scale_bits, strict=True
            )
        ]

    def lowered(self, topology: Topology, ranges: Sequence[LayerRange]) -> Scales | None:
        """Return coarser scales where a range leaves the ring, or None if there is nothing to lower."""
        private = -1
        for step, found in zip(topology.steps(), ranges[1:], strict=True):
            private += isinstance(step.layer, PrivateLayer)
            excess = found.ring_bits - topology.ring_bits
            if private < 0 or excess <= 0:
                continue
            given = min(excess, self.scale_bits[private] - self.lowest[private])
            if given > 0:  # what follows depends on it
                return self._with(private, self.scale_bits[private] - given)
        return None

    def _with(self, private: int, scale: int) -> Scales:
        """Return these scales with a lower one, which those behind it follow where their norm bounds demand it."""
        scales = [*self.scale_bits[:private], scale]
        for bits, room in zip(self.scale_bits[private + 1 :], self.room[private + 1 :], strict=True):
            scales.append(min(bits, scales[-1] + room))
        return replace(self, scale_bits=tuple(scales))


def choose_scales(
    quantised: Quantised, topology: Topology, norm_bits: Sequence[int], samples: Floats, beyond_bounds: Beyond
) -> Scales:
    """Choose scales that are fine enough for the weights and for activations on samples, within the norm bounds.

    Raises:
        RangeError: weights beyond a layer's norm bound that are not to be scaled down, or by more than 24 bits. The
            sentence has the layer's name and the bound, and the bits that would be needed.
    """
    wanted = _for_small_activations(quantised, samples)
    scales: list[int] = []
    rooms: list[int] = []
    before = 0
    layers = zip(quantised.weights, topology.private_bits, norm_bits, wanted, strict=True)
    for real, bits, bound, small in layers:
        room = _room(real.weight, bits, bound)
        if room < (0 if beyond_bounds == "refuse" else -_LARGEST_SCALE):
            raise RangeError(
                f"expected weights of a fixed-point norm up to 2^{bound} in {real.name}, the public bound, found a "
                f"norm that needs {bound - room} bits: smaller weights would do, or a weight_norm 2^{-room} times as "
                "large" + (", or beyond_bounds: scale" if room >= -_LARGEST_SCALE else "")
            )
        scale = small + _bits_missing(np.ldexp(real.weight, small - before), bits)
        scale = min(scale, before + room, _LARGEST_SCALE)
        scales.append(scale)
        rooms.append(room)
        before = scale
    lowest = tuple(topology.fraction_bits - bits for bits in topology.private_bits)
    return Scales(topology.fraction_bits, topology.private_bits, tuple(scales), lowest, tuple(rooms))


def _for_small_activations(quantised: Quantised, samples: Floats) -> list[int]:
    """The scale that activations behind each private layer want where they stay small. It is 0 for the logits."""
    wanted, values, private = [0] * len(quantised.weights), samples[:_LOOKED_AT], -1
    for place, layer in enumerate(quantised.layers):
        private += isinstance(layer, PrivateLayer)
        values = real_layer(layer, values, quantised, place, private)
        if isinstance(layer, Nonlinearity) and private >= 0:
            largest = float(np.abs(values).max(initial=0))
            if 0 < largest < _SMALL:
                wanted[private] = min(math.floor(-math.log2(largest)), _LARGEST_SCALE)
    wanted[-1] = 0
    return wanted


def _bits_missing(weight: Floats, bits: int) -> int:
    """How many more fraction bits the weights of one layer need, 0 if these are fine enough."""
    rows = weight.reshape(len(weight), -1)
    norms = np.linalg.norm(rows, axis=1)
    if not 0 < norms.max() < np.inf:
        return 0
    rows, norms = rows[norms > _NEGLIGIBLE * norms.max()], norms[norms > _NEGLIGIBLE * norms.max()]
    lost = np.linalg.norm(rows - np.ldexp(np.rint(np.ldexp(rows, bits)), -bits), axis=1) / norms
    if lost.max() <= COARSE:
        return 0
    unit = np.sqrt((rows != 0).sum(axis=1) / 12) / norms  # relative rounding for one unit of the last place
    return max(0, math.ceil(math.log2(float(unit.max()) / FINE)) - bits)


def _room(weight: Floats, bits: int, norm_bits: int) -> int:
    """The largest exponent e with which the norm of round(weight 2^(bits + e)) is at most 2^norm_bits."""
    norm, largest = float(np.linalg.norm(weight)), float(np.abs(weight).max(initial=0))
    if not 0 < norm < np.inf:
        return _LARGEST_SCALE
    room = min(
        norm_bits - bits - math.ceil(math.log2(norm)) + 1,
        LARGEST_WEIGHT_BITS - 1 - bits - math.ceil(math.log2(largest)),
    )
    while not within_norm(np.rint(np.ldexp(weight, bits + room)).astype(np.int64), norm_bits):
        room -= 1
    return room
