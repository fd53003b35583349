"""Several masks in one plaintext, so that their sums do not carry into each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mpc.errors import ParameterError
from mpc.ring import Words

KEY_BITS = 3072


@dataclass(frozen=True)
class Packing:
    """The layout of masks in plaintexts, the first mask in the lowest slot.

    Attributes:
        width: bits of a mask, 1 to 64.
        parties: how many ciphertexts are added at most.
        key_bits: length of the modulus. Plaintexts stay below ``2^(key_bits - 1)``.

    Raises:
        ParameterError: a slot that is wider than a plaintext.
    """

    width: int
    parties: int
    key_bits: int = KEY_BITS

    def __post_init__(self) -> None:
        if self.slots < 1:
            raise ParameterError(f"expected a slot of {self.slot_bits} bits to fit a {self.key_bits}-bit modulus")

    @property
    def slot_bits(self) -> int:
        """Bits of a slot, with room for the carries of all parties' masks."""
        return self.width + (self.parties - 1).bit_length()

    @property
    def slots(self) -> int:
        """Masks in one plaintext."""
        return (self.key_bits - 1) // self.slot_bits

    def plaintexts(self, count: int) -> int:
        """Return how many plaintexts ``count`` masks take."""
        return -(-count // self.slots)

    def pack(self, words: Words) -> list[int]:
        """Pack masks, flattened in C order, into plaintexts."""
        flat = [int(word) for word in words.reshape(-1)]
        packed = []
        for start in range(0, len(flat), self.slots):
            value = 0
            for word in reversed(flat[start : start + self.slots]):
                value = value << self.slot_bits | word
            packed.append(value)
        return packed

    def unpack(self, plaintexts: list[int], shape: tuple[int, ...]) -> Words:
        """Return sums of masks modulo 2^width, in the shape that was packed."""
        count = int(np.prod(shape, dtype=np.int64))
        slot_mask, word_mask = (1 << self.slot_bits) - 1, (1 << self.width) - 1
        words = [
            (plaintexts[index // self.slots] >> (index % self.slots) * self.slot_bits) & slot_mask & word_mask
            for index in range(count)
        ]
        return np.array(words, dtype=np.uint64).reshape(shape)
