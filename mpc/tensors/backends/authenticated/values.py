"""Authenticated arrays and their masks, as one party holds them.

Masks serve as those of the back-end `dealer` do (:mod:`mpc.tensors.backends.handles`). A mask is opened for one value
once, and stays with it. An input has a mask from the start, because its owner publishes its difference from one.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from mpc.errors import OrderError
from mpc.ring import Words
from mpc.tensors.backends.authenticated.wide import Wide
from mpc.tensors.backends.interface import Shape


@dataclass(frozen=True, repr=False)
class Dealt:
    """An array that the provider authenticated.

    Attributes:
        share: of a computing party.
        value: the array itself, which the provider alone knows.
    """

    share: Wide | None = None
    value: Words | None = None

    def __repr__(self) -> str:
        return "Dealt(<hidden>)"


@dataclass(frozen=True, repr=False)
class Mask:
    """What a party knows of a masked value x = opened + sign * a.

    Attributes:
        dealt: a, as the party holds it.
        opened: the public array, of which a computing party alone knows.
        sign: a public factor of each element, or None for ones. Only bits have others.
    """

    dealt: Dealt
    opened: Words | None = None
    sign: Words | None = None

    def __repr__(self) -> str:
        return "Mask(<hidden>)"


class Value:
    """A shared array, as one party of one session holds it. It prints its shape and never a share.

    Attributes:
        session: of the back-end that made it.
        share: this party's share with its MAC's, or None for a party that does not compute.
        bit_mask: the mask with signs that a bit got when it was made, which serves element-wise products alone.
    """

    __slots__ = ("_mask", "bit_mask", "session", "shape", "share", "size")

    def __init__(self, session: object, shape: Shape, share: Wide | None) -> None:
        self.session = session
        self.shape = shape
        self.share = share
        self.size = prod(shape)
        self.bit_mask: Mask | None = None
        self._mask: Mask | None = None

    @property
    def mask(self) -> Mask | None:
        """The mask of sign 1, if the value has one."""
        return self._mask

    @mask.setter
    def mask(self, mask: Mask) -> None:
        if self._mask is not None:
            raise OrderError(f"expected {self!r} without a mask, found that it has one already")
        self._mask = mask

    def any_mask(self) -> Mask:
        """Return the mask of sign 1, or else the one with signs."""
        mask = self._mask or self.bit_mask
        if mask is None:
            raise OrderError(f"expected a mask of {self!r}, found none")
        return mask

    def __repr__(self) -> str:
        return f"Value(shape={self.shape})"
