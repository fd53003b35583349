"""The quantiser. It folds layers into each other while they are still floats, and then brings them to fixed point.

Average pooling is a sum over windows, a public map that each party applies to its own shares, times 1 / (window size).
The factor goes into the weights of a neighbouring private layer:

* A pool on narrow values (after a ReLU, or on the input) goes into the weights of the next private layer, but not into
  its bias.
* A pool on wide values (between a private layer and its ReLU, or after the last one) goes into the weights and the
  bias of that private layer.

Weights that this makes too small for f fraction bits get more of them. See :mod:`mpc.inference.models.precision`.

Batch normalisation is folded into the private layer before it, or else into the next one. Neither is exact where a
non-linearity or zero padding lies between. It is then a private layer of its own, with a number a channel.

Adaptive pooling over unequal windows goes into the Linear layer after it. Max pooling and ReLU, in either order, are
one circuit.

The circuits drop bits, which rounds down. Half a unit of what stays goes into the bias before them. Activations are
so rounded to nearest, for free.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpc.errors import ParameterError, RangeError
from mpc.inference.models.bounds import up_to
from mpc.inference.models.fixed import (
    AnyLayer,
    Convolve,
    Dense,
    FixedWeights,
    FlattenShape,
    LeakyRectify,
    MaxPool,
    Rectify,
    Rescale,
    SumPool,
)
from mpc.inference.models.pending import Floats, Pending
from mpc.inference.models.shapes import Pair, Shape, Sides

LARGEST_WEIGHT_BITS = 32  # of a fixed-point weight's magnitude
LARGEST_BIAS_BITS = 62


@dataclass(repr=False)
class RealWeights:
    """The weights ``(outputs, channels, kh, kw)`` and bias of a private layer, with all that was folded into them.

    Attributes:
        half: what the bias gets besides, so that dropping bits rounds to nearest.
    """

    name: str
    weight: Floats
    bias: Floats
    half: float = 0.0

    def fixed(self, fraction_bits: int, weight_bits: int, before: int, after: int) -> FixedWeights:
        """Return the weights at 2^weight_bits, for inputs at 2^(f + before) and activations at 2^(f + after).

        Raises:
            RangeError: a weight or bias that is not finite or far too large.
        """
        weight, bias = np.ldexp(self.weight, after - before), np.ldexp(self.bias, after) + self.half
        return FixedWeights(
            _scaled(weight, weight_bits, LARGEST_WEIGHT_BITS, self.name),
            _scaled(bias, fraction_bits + weight_bits, LARGEST_BIAS_BITS, self.name),
        )


@dataclass(frozen=True, repr=False)
class Quantised:
    """A network whose layers are public and whose private weights are still real numbers.

    Attributes:
        slopes: of leaky ReLUs, before rounding, by their place.
    """

    layers: list[AnyLayer]
    weights: list[RealWeights]
    slopes: dict[int, float]


class Quantiser:
    """The public layers so far, and the private ones still as floats. Each float layer calls what it needs."""

    def __init__(self, input_shape: Shape, fraction_bits: int) -> None:
        self._public: list[AnyLayer] = []
        self._floats: list[RealWeights] = []
        self._slopes: dict[int, float] = {}
        self._input_shape = input_shape
        self._fraction_bits = fraction_bits
        self._wide = False  # values carry f + g fraction bits: after a private layer, up to the next non-linearity
        self._pending = Pending.nothing()  # what layers on narrow values leave to the next private layer
        self._share = 1.0  # the factor that pools on wide values put into the last private layer
        self._edges = False  # a pool on wide values padded them: a constant no longer goes into the bias before it
        self._positive = False  # values cannot be negative

    def shape(self) -> Shape:
        """Return one query's shape after the layers so far.

        Raises:
            ParameterError: a layer that does not fit its input, with its name.
        """
        shape = self._input_shape
        for index, public in enumerate(self._public):
            shape = public.output_shape(shape, f"layer {index} ({public.kind})")
        return shape

    def finish(self, last: str) -> Quantised:
        """Return the public layers and the private weights.

        Args:
            last: the name of the last float layer.

        Raises:
            ParameterError: the network does not end with a private layer.
        """
        self.refuse_unequal_means("nothing")
        self._settle()
        if not self._wide:
            raise ParameterError(f"expected a Conv2d or Linear layer to give the logits, found {last} at the end")
        for layer in self._floats:
            if not (np.isfinite(layer.weight).all() and np.isfinite(layer.bias).all()):
                raise RangeError(f"expected finite weights in {layer.name}, found NaN or infinity")
        return Quantised(self._public, self._floats, self._slopes)

    def refuse_unequal_means(self, found: str) -> None:
        """Refuse a layer that cannot follow means over unequal windows, if there are any."""
        if self._pending.windows is not None:
            raise ParameterError(
                f"expected Flatten and Linear right after {self._pending.name}, whose output does not divide its "
                f"input, found {found}"
            )

    def add_private(
        self, public: Convolve | Dense, weight: Floats, bias: Floats, name: str, *, padded: bool = False
    ) -> None:
        """Add a private layer with weights ``(outputs, channels, kh, kw)``. Behind another one it gets a rescaling.

        Args:
            padded: with zeros, which a pending shift would change.
        """
        if self._wide:
            self._narrow(Rescale(), positive=False)
        if padded and self._settle():
            self._narrow(Rescale(), positive=False)
        self._add(public, *self._pending.absorbed(weight, bias), name)

    def normalise(self, factor: Floats, shift: Floats, name: str) -> None:
        """Map every channel x to factor x + shift."""
        if self._wide and (self._edges or len(factor) != len(self._floats[-1].bias)):
            self._narrow(Rescale(), positive=False)
        if self._wide:
            before = self._floats[-1]
            before.weight = before.weight * factor.reshape(-1, 1, 1, 1)
            before.bias = before.bias * factor + shift * self._share
        else:
            self._pending = self._pending.then(factor, shift, name)

    def rectify(self, name: str) -> None:
        """Add a ReLU, if values can be negative.

        Raises:
            ParameterError: narrow values that no circuit gives.
        """
        self._settle()
        if self._wide:
            self._narrow(Rectify(), positive=True)
        elif not self._positive:
            place = len(self._public) - 1
            while place >= 0 and self._public[place] == FlattenShape():
                place -= 1
            together = self._public[place].rectified() if place >= 0 else None
            if together is None:
                raise ParameterError(f"expected a Conv2d or Linear layer before {name}, found none")
            self._public[place] = together
            self._positive = True

    def rectify_leakily(self, slope: float, name: str) -> None:
        """Add a leaky ReLU, with its slope as a fixed-point number.

        Raises:
            ParameterError: a slope that is not between 0 and 1 in steps of 2^-f.
        """
        fixed = round(math.ldexp(slope, self._fraction_bits)) if 0 < slope < 1 else 0
        if not 0 < fixed < 1 << self._fraction_bits:
            raise ParameterError(
                f"expected a slope from 0 to 1 in steps of 2^-{self._fraction_bits} in {name}, found {slope}"
            )
        self._settle()
        if self._wide or not self._positive:
            self._narrow(LeakyRectify(fixed), positive=False)
            self._slopes[len(self._public) - 1] = slope

    def maximum(self, kernel: Pair, stride: Pair, padding: Sides) -> None:
        """Add max pooling."""
        self._settle()
        positive = not self._wide and self._positive
        if self._public and self._public[-1] == Rectify():
            # The largest of what ReLU leaves is what ReLU leaves of the largest.
            self._public[-1] = MaxPool(kernel, stride, padding, rectify=True)
        else:
            rectify = positive and any(padding)  # changes nothing but admits padding
            self._narrow(MaxPool(kernel, stride, padding, rectify), positive=positive)

    def average(self, kernel: Pair, stride: Pair, padding: Sides) -> None:
        """Add average pooling."""
        if any(padding):
            self._settle()
        self._public.append(SumPool(kernel, stride, padding))
        share = 1.0 / math.prod(kernel)
        if self._wide:
            before = self._floats[-1]
            before.weight, before.bias = before.weight * share, before.bias * share
            self._share *= share
            self._edges |= any(padding)
        else:
            self._pending = self._pending.then_times(share)

    def average_unequally(self, rows: Floats, columns: Floats, name: str) -> None:
        """Leave means over rows ``(oh, h)`` and columns ``(ow, w)`` to the Linear layer that must follow."""
        if self._wide:
            self._narrow(Rescale(), positive=False)
        self._pending = self._pending.then_means(rows, columns, name)

    def flatten(self) -> None:
        """Add the flattening of every query."""
        self._public.append(FlattenShape())

    def _add(self, public: Convolve | Dense, weight: Floats, bias: Floats, name: str) -> None:
        self._floats.append(RealWeights(name, weight, bias))
        self._public.append(public)
        self._wide, self._pending, self._share, self._edges = True, Pending.nothing(), 1.0, False

    def _settle(self) -> bool:
        """Do what cannot wait by a private layer with a number a channel. Returns whether there was anything."""
        if not self._pending.affine:
            return False
        shape = self.shape()
        scale, shift = self._pending.over(shape[0])
        public = Convolve(shape[0], (1, 1)) if len(shape) == 3 else Dense(shape[0])
        self._add(public, np.diag(scale).reshape(*2 * shape[:1], 1, 1), shift, self._pending.name)
        return True

    def _narrow(self, layer: AnyLayer, *, positive: bool) -> None:
        """Add a layer after which values are narrow. Wide ones before it are rounded to nearest."""
        if self._wide:
            self._floats[-1].half = math.ldexp(0.5, -self._fraction_bits) * self._share
        self._public.append(layer)
        self._wide, self._positive = False, positive


def _scaled(reals: Floats, scale_bits: int, largest_bits: int, name: str) -> NDArray[np.int64]:
    """round(real * 2^scale_bits), ties to even."""
    if not np.isfinite(reals).all():
        raise RangeError(f"expected finite weights in {name}, found NaN or infinity")
    scaled = np.rint(np.ldexp(reals, scale_bits))
    limit = 2.0**largest_bits
    if np.abs(scaled).max(initial=0) >= limit:
        raise RangeError(
            f"expected weights below {up_to(limit * 2.0**-scale_bits)} in {name}, found some up to "
            f"{up_to(float(np.abs(reals).max()))}"
        )
    return scaled.astype(np.int64)
