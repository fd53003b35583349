"""Linear functions that only pick elements and change signs, such as 1 - bit, slices and transpositions.

A bit comes with a mask that has signs, b = t + S beta, of which the provider does not know S. So a linear function of b
is masked only where every element of the result is one element of b or its negative. Whether it is so is asked of the
function itself, on two public arrays, at all parties alike. A computing party also holds its own share to the answer.
Where that is true for the share of each party, it is true for their sum, which is the bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from mpc.errors import ParameterError
from mpc.ring import Words
from mpc.tensors.backends.handles import Mask
from mpc.tensors.backends.interface import Linear, Shape
from mpc.tensors.backends.kernels import SEED_BYTES, KeyStream
from mpc.tensors.backends.party import Party


@dataclass(frozen=True)
class Gather:
    """For each element of the result its place in the flat operand, and 1 or -1 in the ring."""

    places: Words
    sign: Words

    def of(self, words: Words) -> Words:
        """Return the elements without their signs."""
        return np.asarray(words.reshape(-1)[self.places])


@cache
def _public_words(count: int) -> Words:
    """Return the same words at every party, with no relation between them."""
    words = KeyStream(bytes(SEED_BYTES)).words(count)
    words.setflags(write=False)
    return words


def gather_of(function: Linear, before: Shape, after: Shape) -> Gather | None:
    """Return how a function picks elements, or None where it does something else."""
    count = int(np.prod(before))
    if count == 0:
        return None
    numbers = np.arange(1, count + 1, dtype=np.uint64).reshape(before)
    found = np.asarray(function(numbers)).view(np.int64)
    magnitudes = np.abs(found)
    if found.shape != after or found.size == 0 or magnitudes.min() < 1 or magnitudes.max() > count:
        return None
    sign = np.where(found < 0, np.int64(-1), np.int64(1)).view(np.uint64)
    gather = Gather((magnitudes - 1).view(np.uint64), sign)
    words = _public_words(count).reshape(before)
    return gather if np.array_equal(np.asarray(function(words)), sign * gather.of(words)) else None


def gathered(party: Party, gather: Gather, mask: Mask, share: Words | None, result: Words | None) -> Mask:
    """Return the mask of the elements that are picked.

    Args:
        gather: what the function does.
        mask: of the bit.
        share, result: what this computing party holds of the bit and of the result.

    Raises:
        ParameterError: the function did something else with this party's share.
    """
    if not party.computes:
        return mask if mask.value is None else Mask(value=gather.of(mask.value))
    picked = party.reduce(gather.sign * gather.of(party.known(share)))
    if not np.array_equal(picked, party.known(result)):
        raise ParameterError("expected a linear function that does with every array what it did with another")
    sign = party.reduce(gather.sign * gather.of(party.known(mask.sign)))
    opened = party.reduce(gather.sign * gather.of(party.known(mask.opened)))
    return Mask(opened=opened, sign=sign, share=gather.of(party.known(mask.share)))
