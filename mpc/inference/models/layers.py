"""Float layers of a trained network, as an answering party hands them over to :mod:`mpc.inference.models.quantise`."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

Pair = int | tuple[int, int]
Sides = int | tuple[int, int, int, int]


@dataclass(frozen=True, repr=False)
class Conv2d:
    """Cross-correlation, as torch's: weight ``(outputs, inputs, kh, kw)``, bias ``(outputs,)``.

    ``padding`` is one number for every side, or ``(top, bottom, left, right)``. With ``groups`` g the weight is
    ``(outputs, inputs / g, kh, kw)``; it is filled up with zeros, so that g is not public.
    """

    weight: ArrayLike
    bias: ArrayLike
    stride: Pair = 1
    padding: Sides = 0
    groups: int = 1


@dataclass(frozen=True, repr=False)
class Linear:
    """Matrix product on a flat input: weight ``(outputs, inputs)``, bias ``(outputs,)``."""

    weight: ArrayLike
    bias: ArrayLike


@dataclass(frozen=True)
class ReLU:
    """max(0, x)."""


@dataclass(frozen=True)
class LeakyReLU:
    """x where x >= 0, else slope x with 0 <= slope < 1, rounded to f fraction bits; the slope is public."""

    slope: float = 0.01


@dataclass(frozen=True, repr=False)
class BatchNorm:
    """Trained batch normalisation, a number a channel (or feature): (x - mean) scale / sqrt(variance + e) + shift."""

    mean: ArrayLike
    variance: ArrayLike
    scale: ArrayLike = 1.0
    shift: ArrayLike = 0.0
    epsilon: float = 1e-5


@dataclass(frozen=True)
class AvgPool2d:
    """Mean over windows, padding counted as zeros; the stride is the kernel unless given."""

    kernel: Pair
    stride: Pair | None = None
    padding: Sides = 0


@dataclass(frozen=True)
class AdaptiveAvgPool2d:
    """Mean over windows, ``output`` (height, width) of them, as torch's: the i-th of n from floor(i size / n) to
    ceil((i + 1) size / n). Where n does not divide the size, Flatten and Linear must follow."""

    output: Pair = 1


@dataclass(frozen=True)
class MaxPool2d:
    """Largest value of each window; the stride is the kernel unless given. Padding wants a ReLU next to it."""

    kernel: Pair
    stride: Pair | None = None
    padding: Sides = 0


@dataclass(frozen=True)
class Flatten:
    """``(channels, height, width)`` to one row."""


SUPPORTED = (Conv2d, Linear, BatchNorm, ReLU, LeakyReLU, AvgPool2d, AdaptiveAvgPool2d, MaxPool2d, Flatten)
