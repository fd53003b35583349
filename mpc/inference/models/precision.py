"""How close fixed point comes to the float layers: bits for small weights, a derived bound, and what samples show.

Weights at 2^f are good enough where they are of the size that training gives them. A mean over a wide window or a small
scale makes them smaller, and then too few bits are left. Two powers of two mend that, both exact:

* A private layer's weights have g fraction bits of their own, g > f. Its outputs carry f + g, and the non-linearity
  behind it drops g. The g are public and follow from shapes (:mod:`mpc.inference.models.bounds`).
* Activations are scaled by 2^s. The s are in the weights and private (:mod:`mpc.inference.models.scales`).

The bound follows each value's error from layer to layer as an interval [low, high], per sample. Inputs err by half a
unit, weights by their rounding times the value that they meet, every dropped bit rounds down. Nothing in it is
estimated. A network outside its bound is refused, and one whose labels would differ warns.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mpc.errors import ParameterError, RangeError
from mpc.inference.models.arithmetic import windows_of
from mpc.inference.models.bounds import FINE, up_to
from mpc.inference.models.converted import DOUBLE, ConvertedLayers
from mpc.inference.models.fixed import (
    FixedWeights,
    LeakyRectify,
    MaxPool,
    Nonlinearity,
    PrivateLayer,
    Rectify,
    Topology,
)
from mpc.inference.models.floats import FloatLayer, run
from mpc.inference.models.floats.layer import Floats, reals, rounding
from mpc.inference.models.quantiser import Quantised
from mpc.inference.models.scales import Scales
from mpc.inference.models.shapes import Shape
from mpc.inference.models.unrounded import linear_product, real_layer

_COMPARED = 8  # samples that the original runs
_FLIPPED = 0.03  # of sample queries, above which a network warns
_LOST = 0.5  # relative rounding of a whole layer's weights, above which a network is refused


@dataclass(frozen=True)
class Precision:
    """What the comparison with the float layers found.

    Attributes:
        error, bound: the largest error of a logit on samples, and the largest that was derived for one of them.
        labels: the share of samples whose largest logit is the same.
        original: the largest difference between the float layers and the model that they come from, or None.
    """

    error: float
    bound: float
    labels: float
    original: float | None


@dataclass(frozen=True)
class Samples:
    """Sample queries ``(n, *shape)``, of which the caller's are the first."""

    all: Floats
    given: int

    @property
    def compared(self) -> Floats:
        """Those on which the original runs, which can be slow: the caller's, the corners, and a few others."""
        return np.concatenate([self.all[: self.given], self.all[self.given :][-4 - _COMPARED :]])


def draw_samples(shape: Shape, ends: tuple[float, float], quantised: Quantised, given: ArrayLike | None) -> Samples:
    """Return sample queries: the caller's, uniform ones, and corners of the range.

    They are the same in every run. No secret depends on them.

    Raises:
        ParameterError: samples of another shape.
        RangeError: samples outside the range.
    """
    low, high = ends
    work = sum(real.weight.size for real in quantised.weights) + math.prod(shape)
    pixels = math.prod(shape[1:])
    count = int(np.clip((1 << 25) // (work * max(pixels // 4, 1)), 4, 256))
    rng = np.random.default_rng(0)
    drawn = rng.uniform(low, high, (count, *shape))
    corners = rng.choice(np.array([low, high]), (2, *shape))
    samples = [drawn, np.full((1, *shape), low), np.full((1, *shape), high), corners]
    mine = np.empty((0, *shape))
    if given is not None:
        mine = reals(given, "samples")
        if mine.shape[1:] != shape or not len(mine):
            raise ParameterError(f"expected samples of shape (n, {', '.join(map(str, shape))}), found {mine.shape}")
        if not (mine.min() >= low and mine.max() <= high):
            raise RangeError(f"expected samples from {low} to {high}, found {mine.min()} to {mine.max()}")
    return Samples(np.concatenate([mine, *samples]), len(mine))


def check_precision(
    layers: Sequence[object],
    quantised: Quantised,
    scales: Scales,
    topology: Topology,
    drawn: Samples,
    logits: Floats,
) -> Precision:
    """Hold the fixed-point logits of samples to the float layers, and these to the model that they come from.

    Raises:
        ParameterError: a difference beyond what was derived, with the powers of two above.
        RangeError: a layer whose weights are mostly lost in rounding, with the bits that would do.
    """
    original = layers.compare(drawn.compared) if isinstance(layers, ConvertedLayers) else None
    floats, samples = [layer for layer in layers if isinstance(layer, FloatLayer)], drawn.all
    expected = run(floats, samples)
    low, high = _error_bound(quantised, scales, topology, samples)
    # Folding and the comparison itself are done in float64.
    slack = 64 * rounding(floats, samples, DOUBLE) + 1e-12
    difference = logits - expected.reshape(logits.shape)
    beyond = np.maximum(low - slack - difference, difference - high - slack)
    bound = float(np.maximum(np.abs(low), np.abs(high)).max())
    if (beyond > 0).any():
        raise ParameterError(
            f"expected logits in fixed point within {up_to(bound)} of the float layers', found a difference of up to "
            f"{up_to(float(np.abs(difference).max()))}"
        )
    _refuse_lost(quantised, scales)
    return Precision(float(np.abs(difference).max()), bound, _labels(expected, logits, topology), original)


def _refuse_lost(quantised: Quantised, scales: Scales) -> None:
    for index, (real, fixed) in enumerate(zip(quantised.weights, scales.fixed(quantised), strict=True)):
        bits = scales.weight_bits[index]
        weight = np.ldexp(real.weight, scales.scale_bits[index] - scales.before[index])
        norm = float(np.linalg.norm(weight))
        lost = float(np.linalg.norm(weight - np.ldexp(fixed.weights.astype(np.float64), -bits)))
        if lost > _LOST * norm:
            more = math.ceil(math.log2(lost / norm / FINE))
            raise RangeError(
                f"expected weights of {real.name} that survive rounding to {bits} fraction bits, found that more than "
                f"half of their norm is lost: about {bits + more} bits would do (weight_bits), in a wider ring or with "
                "a smaller input range"
            )


def _labels(expected: Floats, found: Floats, topology: Topology) -> float:
    """The share of samples with the same label. Warns if it is low."""
    expected = expected.reshape(found.shape)
    if len(found[0]) == 1:
        expected = np.concatenate([np.zeros_like(expected), expected], axis=1)
        found = np.concatenate([np.zeros_like(found), found], axis=1)
    same = expected.argmax(axis=1) == found.argmax(axis=1)
    agree, worst = float(same.mean()), float(np.abs(found - expected).max())
    ordered = np.sort(expected, axis=1)
    margins = ordered[:, -1] - ordered[:, -2]
    if 1 - agree > _FLIPPED and (margins > 0).any():
        close = float(np.quantile(margins[margins > 0], _FLIPPED))
        more = max(1, math.ceil(math.log2(2 * worst / close)))
        warnings.warn(
            f"labels in fixed point differ from the float layers' on more than {_FLIPPED:.0%} of {len(same)} sample "
            f"queries; about {topology.fraction_bits + more} fraction bits instead of {topology.fraction_bits} would "
            "do, and Network.precision has the figures",
            stacklevel=4,
        )
    return agree


def _error_bound(quantised: Quantised, scales: Scales, topology: Topology, samples: Floats) -> tuple[Floats, Floats]:
    """The least and the greatest error of each sample's logits."""
    unit = math.ldexp(1.0, -topology.fraction_bits)
    low, high = np.full(samples.shape, -unit / 2), np.full(samples.shape, unit / 2)
    values, private, before = samples, -1, (0, *scales.scale_bits)
    fixed = scales.fixed(quantised)
    for place, step in enumerate(topology.steps()):
        layer = step.layer
        if isinstance(layer, PrivateLayer):
            private += 1
            values, low, high = (np.ldexp(one, before[private]) for one in (values, low, high))
            low, high = _private_error(layer, fixed[private], scales, private, quantised, values, low, high)
            values = real_layer(layer, np.ldexp(values, -before[private]), quantised, place, private)
            low, high = (np.ldexp(one, -before[private + 1]) for one in (low, high))
        elif isinstance(layer, Nonlinearity):
            scaled = math.ldexp(unit, -before[private + 1] if private >= 0 else 0)
            low, high = _dropped_error(layer, step.dropped_bits, scaled, unit, values, low, high)
            values = real_layer(layer, values, quantised, place, private)
        else:
            low, high, values = layer.apply(low), layer.apply(high), layer.apply(values)
    return low, high


def _private_error(
    layer: PrivateLayer,
    fixed: FixedWeights,
    scales: Scales,
    index: int,
    quantised: Quantised,
    values: Floats,
    low: Floats,
    high: Floats,
) -> tuple[Floats, Floats]:
    """The error behind a private layer, all in units of scaled activations."""
    before, real = (0, *scales.scale_bits), quantised.weights[index]
    bits = scales.weight_bits[index]
    weight = np.ldexp(real.weight, before[index + 1] - before[index])
    rounded = np.ldexp(fixed.weights.astype(np.float64), -bits)
    bias = np.ldexp(fixed.bias.astype(np.float64), -bits - scales.fraction_bits) - np.ldexp(
        real.bias, before[index + 1]
    )
    largest = np.abs(values) + np.maximum(np.abs(low), np.abs(high))
    stray = linear_product(layer, np.abs(rounded - weight), largest)
    rising, falling = np.maximum(weight, 0), np.minimum(weight, 0)
    constant = bias.reshape(-1, *(1,) * (stray.ndim - 2))
    return (
        linear_product(layer, rising, low) + linear_product(layer, falling, high) - stray + constant,
        linear_product(layer, rising, high) + linear_product(layer, falling, low) + stray + constant,
    )


def _dropped_error(
    layer: Nonlinearity,
    dropped_bits: int,
    unit: float,
    slope_unit: float,
    values: Floats,
    low: Floats,
    high: Floats,
) -> tuple[Floats, Floats]:
    """The error behind a non-linearity, which drops bits first and then neither stretches nor turns."""
    low = low - unit if dropped_bits else low
    if isinstance(layer, LeakyRectify):
        stray = slope_unit / 2 * (np.abs(values) + np.maximum(np.abs(low), np.abs(high)))
        return np.minimum(low, 0) - unit - stray, np.maximum(high, 0) + stray
    if isinstance(layer, MaxPool):
        low, high = (
            -windows_of(-low, layer.kernel, layer.stride, layer.padding).max(axis=-1),
            windows_of(high, layer.kernel, layer.stride, layer.padding).max(axis=-1),
        )
    if isinstance(layer, Rectify) or (isinstance(layer, MaxPool) and layer.rectify):
        low, high = np.minimum(low, 0), np.maximum(high, 0)
    return low, high
