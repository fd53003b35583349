"""Scaling, shifting and means that layers on narrow values leave to the next private layer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mpc.errors import ParameterError

Floats = NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Pending:
    """The map scale x + shift that the next private layer still has to apply to its input.

    Scale and shift are one number for all channels, or a number a channel.

    Attributes:
        normalised: whether there is a number a channel. It follows from the layers' kinds, never from the numbers.
        windows: behind it, the means of rows ``(oh, h)`` and of columns ``(ow, w)`` of adaptive pooling over unequal
            windows.
        name: of the layer that left this.
    """

    scale: Floats
    shift: Floats
    normalised: bool = False
    windows: tuple[Floats, Floats] | None = None
    name: str = ""

    @classmethod
    def nothing(cls) -> Pending:
        """Return what changes nothing."""
        return cls(np.ones(1), np.zeros(1))

    @property
    def affine(self) -> bool:
        """Whether it may be more than a positive factor for all, and so not commute with non-linearities and zeros."""
        return self.normalised

    def over(self, channels: int) -> tuple[Floats, Floats]:
        """Return scale and shift for each of so many channels, or for each value of a flattened image.

        Raises:
            ParameterError: the channels do not divide the number asked for.
        """
        if channels % len(self.scale):
            raise ParameterError(f"expected a multiple of {len(self.scale)} inputs after {self.name}, found {channels}")
        times = channels // len(self.scale)
        return np.repeat(self.scale, times), np.repeat(self.shift, times)

    def then(self, factor: Floats, shift: Floats, name: str) -> Pending:
        """Return this with factor x + shift behind it."""
        scale, before = self.over(len(factor))
        return replace(self, scale=scale * factor, shift=before * factor + shift, normalised=True, name=name)

    def then_times(self, share: float) -> Pending:
        """Return this with a positive factor for all."""
        return replace(self, scale=self.scale * share)

    def then_means(self, rows: Floats, columns: Floats, name: str) -> Pending:
        """Return this with means over unequal windows behind it."""
        return replace(self, windows=(rows, columns), name=name)

    def absorbed(self, weight: Floats, bias: Floats) -> tuple[Floats, Floats]:
        """Return weights ``(outputs, channels, kh, kw)`` and bias of a layer that does this first."""
        if self.windows is not None:
            rows, columns = self.windows
            shape = (len(weight), -1, len(rows), len(columns))
            weight = np.einsum("ocij,ih,jw->ochw", weight.reshape(shape), rows, columns).reshape(len(weight), -1, 1, 1)
        if not self.affine:
            return weight * self.scale[0], bias
        scale, shift = (numbers.reshape(1, -1, 1, 1) for numbers in self.over(weight.shape[1]))
        return weight * scale, bias + (weight * shift).sum(axis=(1, 2, 3))
