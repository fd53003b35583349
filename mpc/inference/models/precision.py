"""How close fixed point comes to the float layers: bits for small weights, a derived bound, and what samples show.

Weights at 2^f are good enough where they are of the size that training gives them. A mean over a wide window or a small
scale makes them smaller, and then too few bits are left. Two powers of two mend that, both exact:

* A private layer's weights have g fraction bits of their own, g > f. Its outputs carry f + g, and the non-linearity
  behind it drops g. The g are public.
* Activations that stay small are scaled by 2^s, by the weights before them, and back by the weights behind. Every layer
  in between commutes with a positive factor. The s are in the weights and private.

Both are chosen as large as needed, and lowered where the ring does not hold the worst case.

The bound follows each value's error from layer to layer as an interval [low, high], per sample. Inputs err by half a
unit, weights by their rounding times the value that they meet, every dropped bit rounds down. Nothing in it is
estimated. A network outside its bound is refused, and one whose labels would differ warns.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from mpc.errors import ParameterError, RangeError
from mpc.inference.models.arithmetic import windows_of
from mpc.inference.models.converted import DOUBLE, ConvertedLayers
from mpc.inference.models.fixed import (
    AnyLayer,
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
from mpc.inference.models.quantiser import Quantised, RealWeights
from mpc.inference.models.ranges import LayerRange
from mpc.inference.models.shapes import Shape

_COARSE, _FINE = 2.0**-6, 2.0**-8  # relative rounding of an output's weights: above the first, bits up to the second
_NEGLIGIBLE = 2.0**-10  # an output's weights beside the largest of its layer
_SMALL = 2.0**-3  # activations below are scaled up
_LARGEST_NORM_BITS = 20  # of a layer whose weights get more bits
_LARGEST_SCALE = 24
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
class Scales:
    """The weights' fraction bits g of every private layer, and the scale s of the activations behind it."""

    fraction_bits: int
    weight_bits: tuple[int, ...]
    scale_bits: tuple[int, ...]

    @property
    def public(self) -> tuple[int, ...] | msgspec.UnsetType:
        """The g as an architecture carries them."""
        plain = all(bits == self.fraction_bits for bits in self.weight_bits)
        return msgspec.UNSET if plain else self.weight_bits

    def fixed(self, quantised: Quantised) -> list[FixedWeights]:
        """Round the weights. See :meth:`~mpc.inference.models.quantiser.RealWeights.fixed`."""
        before = (0, *self.scale_bits)
        return [
            real.fixed(self.fraction_bits, bits, before[index], before[index + 1])
            for index, (real, bits) in enumerate(zip(quantised.weights, self.weight_bits, strict=True))
        ]

    def lowered(self, topology: Topology, ranges: Sequence[LayerRange]) -> Scales | None:
        """Return coarser scales where a range leaves the ring because of them, or None if there is nothing to lower."""
        bits, scales = list(self.weight_bits), list(self.scale_bits)
        private, changed = -1, False
        for step, found in zip(topology.steps(), ranges[1:], strict=True):
            private += isinstance(step.layer, PrivateLayer)
            excess = found.ring_bits - topology.ring_bits
            if private < 0 or excess <= 0:
                continue
            given = min(excess, bits[private] - self.fraction_bits)
            bits[private] -= given
            back = min(excess - given, scales[private])
            scales[private] -= back
            changed = given + back > 0
            if changed:
                break  # what follows depends on it
        return Scales(self.fraction_bits, tuple(bits), tuple(scales)) if changed else None


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


def choose_scales(quantised: Quantised, topology: Topology, samples: Floats) -> Scales:
    """Choose bits that are fine enough for the weights, and scales for activations that stay small on samples."""
    fraction_bits, scale_bits = topology.fraction_bits, [0] * len(quantised.weights)
    most = topology.ring_bits - 1 - fraction_bits
    values, private = samples[: 4 * _COMPARED], -1
    for place, layer in enumerate(quantised.layers):
        private += isinstance(layer, PrivateLayer)
        values = _real(layer, values, quantised, place, private)
        if isinstance(layer, Nonlinearity) and private >= 0:
            largest = float(np.abs(values).max(initial=0))
            if 0 < largest < _SMALL:
                scale_bits[private] = min(math.floor(-math.log2(largest)), _LARGEST_SCALE)
    scale_bits[-1] = 0
    weight_bits = [
        _weight_bits(np.ldexp(real.weight, after - before), fraction_bits, most)
        for real, before, after in zip(quantised.weights, [0, *scale_bits], scale_bits, strict=False)
    ]
    return Scales(fraction_bits, tuple(weight_bits), tuple(scale_bits))


def _weight_bits(weight: Floats, fraction_bits: int, most: int) -> int:
    """The fraction bits for weights of one layer, f if these are fine enough."""
    rows = weight.reshape(len(weight), -1)
    norms = np.linalg.norm(rows, axis=1)
    if not 0 < norms.max() < np.inf:
        return fraction_bits
    rows, norms = rows[norms > _NEGLIGIBLE * norms.max()], norms[norms > _NEGLIGIBLE * norms.max()]
    lost = np.linalg.norm(rows - np.ldexp(np.rint(np.ldexp(rows, fraction_bits)), -fraction_bits), axis=1) / norms
    if lost.max() <= _COARSE:
        return fraction_bits
    unit = np.sqrt((rows != 0).sum(axis=1) / 12) / norms  # relative rounding for one unit of the last place
    wanted = math.ceil(math.log2(float(unit.max()) / _FINE))
    allowed = _LARGEST_NORM_BITS - math.ceil(math.log2(float(np.linalg.norm(weight))))
    return max(fraction_bits, min(wanted, allowed, most))


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
        ParameterError: a difference beyond what was derived, with the numbers.
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
            f"expected logits in fixed point within {bound:.3g} of the float layers', found a difference of "
            f"{np.abs(difference).max():.3g}"
        )
    _refuse_lost(quantised, scales)
    return Precision(float(np.abs(difference).max()), bound, _labels(expected, logits, topology), original)


def _refuse_lost(quantised: Quantised, scales: Scales) -> None:
    before = (0, *scales.scale_bits)
    for index, (real, fixed) in enumerate(zip(quantised.weights, scales.fixed(quantised), strict=True)):
        bits = scales.weight_bits[index]
        weight = np.ldexp(real.weight, before[index + 1] - before[index])
        norm = float(np.linalg.norm(weight))
        lost = float(np.linalg.norm(weight - np.ldexp(fixed.weights.astype(np.float64), -bits)))
        if lost > _LOST * norm:
            more = math.ceil(math.log2(lost / norm / _FINE))
            raise RangeError(
                f"expected weights of {real.name} that survive rounding to {bits} fraction bits, found that "
                f"{lost / norm:.0%} of their norm is lost: about {bits + more} bits would do, in a wider ring or "
                "with a smaller input range"
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
            f"labels in fixed point differ from the float layers' on {1 - agree:.0%} of {len(same)} sample queries, as "
            f"logits err by up to {worst:.3g} and the two largest lie {np.median(margins):.3g} apart in the median; "
            f"about {topology.fraction_bits + more} fraction bits instead of {topology.fraction_bits} would do",
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
            values = _real(layer, np.ldexp(values, -before[private]), quantised, place, private)
            low, high = (np.ldexp(one, -before[private + 1]) for one in (low, high))
        elif isinstance(layer, Nonlinearity):
            scaled = math.ldexp(unit, -before[private + 1] if private >= 0 else 0)
            low, high = _dropped_error(layer, step.dropped_bits, scaled, unit, values, low, high)
            values = _real(layer, values, quantised, place, private)
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
    stray = _product(layer, np.abs(rounded - weight), largest)
    rising, falling = np.maximum(weight, 0), np.minimum(weight, 0)
    constant = bias.reshape(-1, *(1,) * (stray.ndim - 2))
    return (
        _product(layer, rising, low) + _product(layer, falling, high) - stray + constant,
        _product(layer, rising, high) + _product(layer, falling, low) + stray + constant,
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


def _product(layer: PrivateLayer, weight: Floats, values: Floats) -> Floats:
    """A private layer's product without its bias, in floats."""
    stride = layer.convolution(values.shape[1:]).stride
    pixels: Any = layer.as_pixels(values)
    windows = np.lib.stride_tricks.sliding_window_view(pixels, weight.shape[2:], axis=(2, 3))
    windows = windows[:, :, :: stride[0], :: stride[1]]
    return np.asarray(layer.from_pixels(np.einsum("nchwij,ocij->nohw", windows, weight, optimize=True)))


def _real(layer: AnyLayer, values: Floats, quantised: Quantised, place: int, private: int) -> Floats:
    """A fixed-point layer's meaning for real numbers, in which nothing is rounded."""
    if isinstance(layer, PrivateLayer):
        real: RealWeights = quantised.weights[private]
        product = _product(layer, real.weight, values)
        return np.asarray(product + real.bias.reshape(-1, *(1,) * (product.ndim - 2)))
    if isinstance(layer, LeakyRectify):
        return np.asarray(np.where(values >= 0, values, quantised.slopes[place] * values))
    if isinstance(layer, MaxPool):
        largest = windows_of(values, layer.kernel, layer.stride, layer.padding).max(axis=-1)
        return np.asarray(np.maximum(largest, 0) if layer.rectify else largest)
    if isinstance(layer, Rectify):
        return np.maximum(values, 0)
    return np.asarray(values if isinstance(layer, Nonlinearity) else layer.apply(values))
