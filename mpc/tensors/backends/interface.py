"""What every back-end offers: exact arithmetic on shared integers of a ring.

All parties call the same methods in the same order, each on its own back-end object. A back-end knows neither fixed
point nor bounds of real numbers. Its caller states bounds as integers, and a back-end may rely on them.

There are three kinds of party. A computing party holds a share of every value. A provider of correlations, which some
back-ends have, follows the program and holds no share. An outside party gives inputs or takes outputs, and does not
compute. Whoever holds no share has a :class:`Shared` with a shape alone, and calls the same methods.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from mpc.ring import Words

Shape = tuple[int, ...]
Rounding = Literal["stochastic", "floor", "nearest"]
Linear = Callable[..., Words]


@dataclass(frozen=True)
class Times:
    """The linear function that multiplies every element by one public integer, so that masks stay what they are."""

    factor: int

    def __call__(self, words: Words) -> Words:
        factor = np.uint64(self.factor % (1 << 64))
        if words.ndim:  # numpy warns of single numbers alone
            return np.asarray(words * factor)
        with np.errstate(over="ignore"):
            return np.asarray(words * factor)


class Shared(Protocol):
    """A shared array of ring elements. It prints its shape and never a share."""

    @property
    def shape(self) -> Shape: ...


@dataclass
class Cost:
    """What an execution has cost one party so far.

    Attributes:
        rounds: messages that had to wait for one of another computing party.
        sent, received: bytes, with headers.
        correlations: how many words of each kind the provider gave, by kind.
    """

    rounds: int = 0
    sent: int = 0
    received: int = 0
    correlations: dict[str, int] = field(default_factory=dict)


class Backend(Protocol):
    """Exact arithmetic in Z_2^ring_bits on shared arrays. Signed values are two's complement.

    Attributes:
        name: of the back-end, as in a configuration.
        trust: who must be trusted for what, in one sentence. Every result states it.
        ring_bits: 64, or less where a back-end allows that.
        me: this party's name.
        computing: the names of the computing parties, in their order.
        cost: what has been spent so far.
    """

    name: str
    ring_bits: int
    me: str
    computing: tuple[str, ...]

    @property
    def trust(self) -> str: ...

    @property
    def cost(self) -> Cost: ...

    def close(self) -> None:
        """End this party's part. Whoever waits for it ends with an error that names it."""
        ...

    # -- in and out ---------------------------------------------------------------------------------------------------

    def input(self, owner: str, words: Words | None, shape: Shape) -> Shared:
        """Share an array of its owner, who alone gives `words`. All others give None. One message a computing party."""
        ...

    def constant(self, words: Words) -> Shared:
        """Return a sharing of public values, without communication."""
        ...

    def open(self, values: Sequence[Shared], to: Sequence[str]) -> list[Words] | None:
        """Open values to these parties. All others get None and learn nothing.

        It takes one round, and more in a back-end that checks first what the values depend on.
        """
        ...

    # -- local, but for linear functions that a back-end cannot compute on shares --------------------------------------

    def add(self, x: Shared, y: Shared) -> Shared:
        """Return x + y, which broadcast."""
        ...

    def subtract(self, x: Shared, y: Shared) -> Shared:
        """Return x - y, which broadcast."""
        ...

    def add_public(self, x: Shared, words: Words) -> Shared:
        """Return x + words, which broadcast."""
        ...

    def linear(self, function: Linear, shape: Shape, *values: Shared) -> Shared:
        """Return function(*values), of this shape, for a function that is linear over the ring in all arrays at once.

        Examples are reshape, slices, transposition, sums, stacking, products with public integers, im2col. The function
        takes uint64 arrays and returns one. What it returns is reduced to the ring. It must not change its arguments.
        Give :class:`Times` for the product with one integer, which a back-end can do more with.
        """
        ...

    # -- products -----------------------------------------------------------------------------------------------------

    def multiply(self, pairs: Sequence[tuple[Shared, Shared]]) -> Sequence[Shared]:
        """Return the element-wise products, which broadcast. All pairs share one round."""
        ...

    def matmul(self, pairs: Sequence[tuple[Shared, Shared]]) -> Sequence[Shared]:
        """Return matrix products `(..., m, k) @ (..., k, n)`, as numpy's. All pairs share one round."""
        ...

    def truncate(self, values: Sequence[Shared], bits: int, bound: int, rounding: Rounding) -> Sequence[Shared]:
        """Return values / 2^bits, rounded. Every value has a magnitude of at most `bound` < 2^(ring_bits - 2).

        `stochastic` is off by less than one unit and unbiased. `floor` and `nearest` (ties up) are exact.
        """
        ...

    # -- comparisons --------------------------------------------------------------------------------------------------

    def negative(self, values: Sequence[Shared], bound: int) -> Sequence[Shared]:
        """Return 1 where a value is below zero, else 0, in the ring. Every magnitude is at most `bound`."""
        ...

    def keep_if(self, bits: Sequence[Shared], values: Sequence[Shared]) -> Sequence[Shared]:
        """Return bit * value, which broadcast, for bits that `negative` gave or that are linear in such."""
        ...

    def relu(self, values: Sequence[Shared], bound: int) -> tuple[Sequence[Shared], Sequence[Shared]]:
        """Return max(0, value), and 1 where a value is at least zero, else 0. Every magnitude is at most `bound`."""
        ...


@runtime_checkable
class ManyEnds(Protocol):
    """What a back-end may offer besides: a value compared with several public numbers, for less than one by one."""

    def below(self, value: Shared, ends: Sequence[int], bound: int) -> Sequence[Shared]:
        """Return for each end 1 where value < end. No value is further than `bound` from an end."""
        ...

    def between(
        self, values: Sequence[Shared], ends: Sequence[tuple[int, int]], bound: int
    ) -> tuple[Sequence[Shared], Sequence[Shared]]:
        """Return 1 where low <= value < high, and 1 where value < high, for public ends low <= high of each value.

        No value is further than `bound` from an end. `keep_if` takes the bits.
        """
        ...


@runtime_checkable
class RoundedProducts(Protocol):
    """What a back-end may offer besides: products that are rounded at once, for fewer messages."""

    def multiply_rounded(
        self, pairs: Sequence[tuple[Shared, Shared]], bits: int, bound: int, rounding: Rounding
    ) -> Sequence[Shared]:
        """Return what `truncate` makes of what `multiply` gives."""
        ...


@runtime_checkable
class Ahead(Protocol):
    """What a back-end may offer besides: openings that share a round with earlier ones."""

    def mask_ahead(self, values: Sequence[Shared]) -> None:
        """Note values that products or comparisons will soon take. They are masked with whatever is masked next."""
        ...


@runtime_checkable
class Fingerprints(Protocol):
    """What a back-end offers besides that notices parties who cheat: sums whose terms are chosen late."""

    def subset_sums(self, rows: Shared, coins: bytes | None) -> Shared:
        """Return for each of `(n, count)` rows the sums of subsets that coins choose, without a message.

        The computing parties have drawn the coins together, after `rows` was fixed. A party that does not compute gives
        None, so that the provider may be ahead. See :mod:`mpc.tensors.backends.subsets`.
        """
        ...
