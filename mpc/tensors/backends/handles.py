"""Shared arrays and their masks, as one party holds them.

A mask a is a uniform array that nobody knows but the provider. The computing parties hold shares of it. A value x is
*masked* once x - a is opened, which shows nothing about x. From then on x = opened + a, with `opened` public, and every
product, truncation or comparison of x is a public function of what the provider deals about a. So the mask stays with
its value, and later products of the same value open nothing more.

Why a mask may serve for long: all that is ever opened under a is the one array x - a. Whoever sees it once or in many
products sees the same array. What must never happen is two different values under one mask, because the difference of
what is opened would be the difference of the values. A mask is drawn for one handle, whose value never changes, and is
put there once. A linear function f of masked values is masked by f of the masks. Its opened array is f of the opened
arrays, which everybody could compute already.

An input of a computing party is masked by its owner alone, who knows the whole mask. The shares of all others are zero,
of the input as of the mask. So the owner alone has something to open, and products take less work. The mask hides the
input from the others, and hides nothing from its owner.

What all parties know already, such as initial weights that are public, needs no mask. Its mask is zero, and its opened
array is the value.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import NamedTuple

import numpy as np

from mpc.errors import OrderError
from mpc.ring import Words
from mpc.tensors.backends.interface import Linear, Shape

LONGEST_ORIGIN = 8  # linear functions one after the other whose masks are derived and not drawn anew
LARGEST_WHOLE = 1 << 24  # words of an input that is masked as a whole when a part of it is used


class Owed:
    """What the shares of a product, or of its mask, miss. The provider knows it and deals it only if shares are needed.

    Attributes:
        value: the array, which the provider alone knows.
        dealt: whether it was dealt.
        share: this computing party's share of it, once it was dealt.
    """

    __slots__ = ("dealt", "shape", "share", "value")

    def __init__(self, shape: Shape, value: Words | None) -> None:
        self.shape = shape
        self.value = value
        self.dealt = False
        self.share: Words | None = None

    def __repr__(self) -> str:
        return f"Owed(shape={self.shape}, dealt={self.dealt})"


class Top(NamedTuple):
    """What is taken off the mask of a rounded value: lift * top, of which the provider does not know the public lift.

    Attributes:
        bits: top counts modulo 2^bits, because lift is a multiple of 2^(ring_bits - bits).
        lift: a public array, of which a computing party alone knows.
        share: this computing party's share of top.
        value: top itself, which the provider alone knows.
    """

    bits: int
    lift: Words | None = None
    share: Words | None = None
    value: Words | None = None

    def __repr__(self) -> str:
        return f"Top(bits={self.bits}, <hidden>)"


class Mask(NamedTuple):
    """What a party knows of a masked value x = opened + sign * a.

    Attributes:
        opened: the public array, of which a computing party alone knows.
        sign: 1 or -1 for each element, or None for ones. Only bits have others.
        share: this computing party's share of a.
        value: a itself, which the provider alone knows.
        owed: what the shares of a miss, or None. Rounding and comparing need no shares of a.
        tops: what is taken off a. Only rounded values, and sums with them, have any.
        public: whether all parties know x, so that nothing hides it. Then a is zero.
        lacking: whether this party's share of a is zero, because another one knows all of a.
        source: the first mask with the same a, such as before public numbers were added, or None for this one.
    """

    opened: Words | None = None
    sign: Words | None = None
    share: Words | None = None
    value: Words | None = None
    owed: Owed | None = None
    tops: tuple[Top, ...] = ()
    public: bool = False
    lacking: bool = False
    source: object = None

    @property
    def first(self) -> object:
        """The same object for all masks with the same a."""
        return self if self.source is None else self.source

    @property
    def whole_bits(self) -> int:
        """How many of the highest bits what is taken off a counts in, which may be none."""
        return max([top.bits for top in self.tops], default=0)

    def __repr__(self) -> str:
        return "Mask(<hidden>)"


class Later:
    """A mask of a rounded value, whose arrays are made when they are first needed, if ever.

    Args:
        depth: how many others wait for each other below it, itself included.

    Attributes:
        tops: how many tops it has.
    """

    __slots__ = ("_depth", "_make", "_mask", "tops")

    def __init__(self, make: Callable[[], Mask] | None, tops: int, mask: Mask | None = None, *, depth: int = 1) -> None:
        self._make = make
        self._mask = mask
        self._depth = depth
        self.tops = tops

    @classmethod
    def of(cls, mask: Mask) -> Later:
        """Return a mask that is there already."""
        return cls(None, len(mask.tops), mask)

    @property
    def depth(self) -> int:
        """How many masks one after the other are still to be made for it, or 0 where it is there."""
        return 0 if self._mask is not None else self._depth

    @property
    def mask(self) -> Mask:
        if self._mask is None:
            if self._make is None:
                raise OrderError("expected a mask or what makes it, found neither")
            self._mask, self._make = self._make(), None  # which holds arrays that nobody needs any more
        return self._mask

    def __repr__(self) -> str:
        return f"Later(tops={self.tops})"


def zeros(shape: Shape) -> Words:
    """Return zeros that take no memory."""
    return np.broadcast_to(np.uint64(0), shape)


def mask_of_public(opened: Words | None, shape: Shape) -> Mask:
    """Return the mask of a value that all parties know. A party without shares gives None."""
    return Mask(opened=opened, share=zeros(shape), value=zeros(shape), public=True)


class Origin(NamedTuple):
    """How a handle came out of others: function(*parents) + offset, for a function that is linear.

    Attributes:
        checked: whether the function is the caller's, who might have changed what it depends on.
        same: whether the function returns its argument, so that the mask stays the same.
        low: whether it serves only to find masks for comparisons, because some parents have one that was rounded.
        shares: this party's shares of the parents at that time.
        share: this party's share of the handle at that time, before anything was dealt that it misses.
    """

    function: Linear
    parents: tuple[Handle, ...]
    offset: Words | None
    checked: bool
    same: bool
    low: bool
    length: int
    shares: tuple[Words | None, ...]
    share: Words | None

    def __repr__(self) -> str:
        return f"Origin(parents={self.parents})"


class Handle:
    """A shared array, as one party of one session holds it. It prints its shape and never a share.

    Attributes:
        session: of the back-end that made it.
        share: this party's share, or None for a party that does not compute.
        owed: what the shares miss, or None.
        given: whether it is an input that is masked as a whole when a part of it is used. Parts of an input come again
            in every epoch.
        owner: of an input of a computing party, who alone has shares of it and of its mask, or None.
        drawn: whether its mask was drawn for it, so that all of its bits are uniform, and not derived from others'.
    """

    __slots__ = (
        "_bit_mask", "_later", "_mask", "_rounded", "drawn", "given", "origin", "owed", "owner", "session", "shape",
        "share", "size",
    )  # fmt: skip

    def __init__(self, session: object, shape: Shape, share: Words | None, *, given: bool = False) -> None:
        self.session = session
        self.shape = shape
        self.share = share
        self.origin: Origin | None = None
        self.owed: Owed | None = None
        self.owner: str | None = None
        self.size = prod(shape)
        self.given = given and self.size <= LARGEST_WHOLE
        self.drawn = False
        self._mask: Mask | None = None
        self._bit_mask: Mask | None = None
        self._rounded: Later | None = None  # of its own rounding
        self._later: Later | None = None  # that it has only until it gets one of sign 1

    @property
    def mask(self) -> Mask | None:
        """The mask of sign 1, if the value has one."""
        return self._mask

    @mask.setter
    def mask(self, mask: Mask) -> None:
        if self._mask is not None:
            raise OrderError(f"expected {self!r} without a mask, found that it has one already")
        self._mask = mask
        self.origin = self._later = None

    def complete_mask(self, mask: Mask) -> None:
        """Take the same mask with whole shares."""
        if self._mask is None or self._mask.opened is not mask.opened:
            raise OrderError(f"expected the mask of {self!r} with more of its shares, found another")
        self._mask = mask

    @property
    def bit_mask(self) -> Mask | None:
        """The mask with signs that a bit got when it was made, which serves element-wise products alone."""
        return self._bit_mask

    @bit_mask.setter
    def bit_mask(self, mask: Mask) -> None:
        if self._bit_mask is not None:
            raise OrderError(f"expected {self!r} without a bit's mask, found that it has one already")
        self._bit_mask = mask

    @property
    def rounded_mask(self) -> Mask | None:
        """The mask that a value got when it was rounded, which serves element-wise products and comparisons."""
        later = self._rounded or self._later
        return None if later is None else later.mask

    @rounded_mask.setter
    def rounded_mask(self, mask: Mask) -> None:
        self.round_by(Later.of(mask))

    @property
    def rounded_later(self) -> Later | None:
        """The same mask, which need not be made yet."""
        return self._rounded or self._later

    def round_by(self, later: Later) -> None:
        """Take the mask of a rounding."""
        if self._rounded is not None:
            raise OrderError(f"expected {self!r} without a mask of its rounding, found that it has one already")
        self._rounded = later

    def round_later(self, later: Later) -> None:
        """Take a mask as a rounded value has it, for as long as there is none of sign 1."""
        self._later = later

    @property
    def is_derived(self) -> bool:
        """Whether a mask of this may be derived from masks of what it came from."""
        return self.origin is not None and not self.origin.low

    @property
    def is_masked(self) -> bool:
        """Whether the value has a mask of sign 1, or one that it got when it was rounded."""
        return self._mask is not None or self._rounded is not None or self._later is not None

    def came_from(
        self,
        function: Linear,
        *parents: Handle,
        offset: Words | None = None,
        checked: bool = False,
        same: bool = False,
    ) -> None:
        """Remember what this is a linear function of, where that can ever spare an opening.

        It can where all parents are masked or inputs, or where they are not larger than this. Where they are rounded
        it can spare what a comparison opens. Long chains are cut, so that a value that is updated for ever holds no
        memory of all that it was.
        """
        length, size, known, masked = 0, 0, True, True
        for parent in parents:
            origin = parent.origin
            size += parent.size
            if origin is not None:
                length = max(length, origin.length)
            if parent._mask is None and not parent.given and (origin is None or origin.low):
                known = False
            masked = masked and (origin is not None or parent.is_masked)
        low = not known and size > self.size
        if (masked or not low) and length < LONGEST_ORIGIN:
            self.origin = Origin(
                function, parents, offset, checked, same, low, length + 1, tuple([each.share for each in parents]),
                self.share,
            )  # fmt: skip

    def __repr__(self) -> str:
        return f"Handle(shape={self.shape})"


def roots_of(handle: Handle) -> list[Handle]:
    """Return the handles to draw masks for, so that this one has a mask or gets one by derivation.

    That is the handle itself, unless it is a linear function of others and fewer words are opened for those.
    """
    if handle.mask is not None:
        return []
    if handle.origin is None or handle.origin.low:
        return [handle]
    roots: dict[int, Handle] = {}
    for parent in handle.origin.parents:
        roots.update((id(root), root) for root in roots_of(parent))
    if sum(root.size for root in roots.values() if not root.given) <= handle.size:
        return list(roots.values())
    return [handle]
