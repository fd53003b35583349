"""How records and weights lie in the slots of ciphertexts, feature by feature.

A ciphertext has ``slots`` real numbers. With d' features and r = slots / d' rows, slot j * r + i holds feature j of
record i. So a block of r slots belongs to one feature, and a weight is repeated over its block. All of n', d' and
slots are powers of two. Records that are no records are rows of zeros, which change no sum. More records than rows lie
in several ciphertexts, called chunks.

The last sixteenth of the last chunk's rows holds no records. It is spare, and holds d' numbers that go with the
records, each repeated over the spare slots of its block. So they need no ciphertext of their own, and four rotations
take them to all slots of their blocks.

What is packed is Z = t * x with the label t in {-1, +1}. So nothing that is sent belongs to the labels alone, and its
length follows from n', d' and the parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpc.errors import ParameterError

Floats = NDArray[np.float64]


def power_of_two(least: int) -> int:
    """Return the smallest power of two that is at least ``least``, which is 1 or more."""
    return 1 << (least - 1).bit_length()


@dataclass(frozen=True)
class Packing:
    """The shape of a data set in slots. All three numbers are powers of two, and public.

    Attributes:
        records: n', the records with those that pad them and with the spare rows.
        features: d', the features with the constant 1 and those that pad them.
        slots: of one ciphertext.

    Raises:
        ParameterError: the numbers are no powers of two, or do not fit each other.
    """

    records: int
    features: int
    slots: int

    def __post_init__(self) -> None:
        for name, value in (("records", self.records), ("features", self.features), ("slots", self.slots)):
            if value < 1 or value & (value - 1):
                raise ParameterError(f"expected a power of two for {name}, found {value}")
        if self.features > self.slots:
            raise ParameterError(f"expected at most {self.slots} features in one ciphertext, found {self.features}")
        if self.records < self.rows:
            raise ParameterError(f"expected at least {self.rows} records, padded ones among them, found {self.records}")
        if self.capacity < 1:
            raise ParameterError(f"expected room for a record beside a spare row, found {self.records} rows in all")

    @classmethod
    def fit(cls, records: int, features: int, slots: int) -> Packing:
        """Return the packing of ``records`` by ``features``, where the constant feature has been counted."""
        if records < 1 or features < 1:
            raise ParameterError(f"expected records and features, found {records} and {features}")
        wide = power_of_two(features)
        if wide > slots:
            raise ParameterError(f"expected at most {slots} features in one ciphertext, found {features}")
        padded = max(power_of_two(records), slots // wide)
        return cls(padded if records <= padded - _spare(slots // wide) else 2 * padded, wide, slots)

    @property
    def rows(self) -> int:
        """How many records one ciphertext holds."""
        return self.slots // self.features

    @property
    def spare(self) -> int:
        """How many of the last chunk's rows are spare, a power of two."""
        return _spare(self.rows)

    @property
    def capacity(self) -> int:
        """How many records there is room for."""
        return self.records - self.spare

    @property
    def places(self) -> NDArray[np.int64]:
        """The slots that repeat each weight, ``(d', rows)``."""
        return np.arange(self.slots).reshape(self.features, self.rows)

    @property
    def chunks(self) -> int:
        """How many ciphertexts hold all records."""
        return self.records // self.rows

    @property
    def across_features(self) -> tuple[int, ...]:
        """The rotations whose doubling sum adds up all features of a record, in every block."""
        return tuple(self.rows << k for k in range(self.features.bit_length() - 1))

    @property
    def across_rows(self) -> tuple[int, ...]:
        """The rotations whose doubling sum adds up ``rows`` slots from each slot on."""
        return tuple(1 << k for k in range(self.rows.bit_length() - 1))

    @property
    def to_the_end(self) -> int:
        """The rotation that takes the first slot of each block to its last one.

        After it a sum of ``rows`` slots from each slot on is one of ``rows`` slots up to it.
        """
        return (1 - self.rows) % self.slots

    @property
    def from_the_spare(self) -> tuple[int, ...]:
        """The rotations whose doubling sum takes the spare slots of each block to all of it, if the others are 0."""
        return tuple(step for step in self.across_rows if step >= self.spare)

    @property
    def rotations(self) -> tuple[int, ...]:
        """All rotations that training needs a key for, in order and each once."""
        return tuple(sorted({*self.across_features, *self.across_rows, self.to_the_end} - {0}))

    def pack(self, records: Floats, spare: Floats | None = None) -> Floats:
        """Pack ``(n, d)`` numbers, and ``(d,)`` into the spare rows or else zeros, into ``(chunks, slots)``, d <= d'.

        Raises:
            ParameterError: there are more records or numbers than there is room for.
        """
        if records.ndim != 2 or records.shape[0] > self.capacity or records.shape[1] > self.features:
            raise ParameterError(
                f"expected at most {self.capacity} records of {self.features} features, found shape {records.shape}"
            )
        spare = np.zeros(0) if spare is None else spare
        if spare.ndim != 1 or len(spare) > self.features:
            raise ParameterError(f"expected at most {self.features} spare numbers, found shape {spare.shape}")
        whole = np.zeros((self.records, self.features))
        whole[: records.shape[0], : records.shape[1]] = records
        whole[self.capacity :, : len(spare)] = spare
        packed = whole.reshape(self.chunks, self.rows, self.features).transpose(0, 2, 1)
        return np.ascontiguousarray(packed).reshape(self.chunks, self.slots)

    def unpack(self, packed: Floats) -> Floats:
        """Return the ``(n', d')`` numbers in ``(chunks, slots)``, the spare rows among them."""
        blocks = packed.reshape(self.chunks, self.features, self.rows)
        return np.ascontiguousarray(blocks.transpose(0, 2, 1)).reshape(self.records, self.features)

    def repeat(self, weights: Floats) -> Floats:
        """Return ``(d,)`` weights, d <= d', each repeated over its block, as ``(slots,)``."""
        if weights.ndim != 1 or len(weights) > self.features:
            raise ParameterError(f"expected at most {self.features} weights, found shape {weights.shape}")
        whole = np.zeros(self.features)
        whole[: len(weights)] = weights
        return np.repeat(whole, self.rows)

    def weights(self, slots: Floats) -> Floats:
        """Return the ``(d',)`` weights that ``(slots,)`` repeat, as each block's mean."""
        mean: Floats = slots.reshape(self.features, self.rows).mean(axis=1)
        return mean

    def only_spare(self, chunk: int) -> Floats:
        """Return a mask ``(slots,)`` of 1 in the spare slots of a chunk."""
        mask = np.zeros((self.features, self.rows))
        if chunk == self.chunks - 1:
            mask[:, self.rows - self.spare :] = 1
        return mask.reshape(-1)

    def halves(self, chunk: int | None = None) -> tuple[Floats, ...]:
        """Return masks ``(slots,)`` of 1 in every other block, first in the even ones, then in the odd ones.

        A block between two that are empty is all that the slots around it add. For d' = 1 there is one mask.

        Args:
            chunk: whose spare slots are left out, if it is given.
        """
        odd = np.repeat(np.arange(self.features) % 2, self.rows).astype(np.float64)
        kept = 1.0 if chunk is None else 1 - self.only_spare(chunk)
        return ((1 - odd) * kept, odd * kept) if self.features > 1 else ((1 - odd) * kept,)


def _spare(rows: int) -> int:
    return max(1, rows // 16)
