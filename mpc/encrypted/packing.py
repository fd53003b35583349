"""How records and weights lie in the slots of ciphertexts, feature by feature.

A ciphertext has ``slots`` real numbers. With d' features and r = slots / d' rows, slot j * r + i holds feature j of
record i. So a block of r slots belongs to one feature, and a weight is repeated over its block. All of n', d' and
slots are powers of two. Records that are no records are rows of zeros, which change no sum. More records than rows lie
in several ciphertexts, called chunks.

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
        records: n', the records with those that pad them.
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

    @classmethod
    def fit(cls, records: int, features: int, slots: int) -> Packing:
        """Return the packing of ``records`` by ``features``, where the constant feature has been counted."""
        if records < 1 or features < 1:
            raise ParameterError(f"expected records and features, found {records} and {features}")
        wide = power_of_two(features)
        if wide > slots:
            raise ParameterError(f"expected at most {slots} features in one ciphertext, found {features}")
        return cls(max(power_of_two(records), slots // wide), wide, slots)

    @property
    def rows(self) -> int:
        """How many records one ciphertext holds."""
        return self.slots // self.features

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
        """The rotation that takes the first slot of each block to its last one."""
        return (1 - self.rows) % self.slots

    @property
    def rotations(self) -> tuple[int, ...]:
        """All rotations that training needs a key for, in order and each once."""
        return tuple(sorted({*self.across_features, *self.across_rows, self.to_the_end} - {0}))

    def pack(self, records: Floats) -> Floats:
        """Pack ``(n, d)`` numbers, n <= n' and d <= d', into ``(chunks, slots)``."""
        if records.ndim != 2 or records.shape[0] > self.records or records.shape[1] > self.features:
            raise ParameterError(
                f"expected at most {self.records} records of {self.features} features, found shape {records.shape}"
            )
        whole = np.zeros((self.records, self.features))
        whole[: records.shape[0], : records.shape[1]] = records
        packed = whole.reshape(self.chunks, self.rows, self.features).transpose(0, 2, 1)
        return np.ascontiguousarray(packed).reshape(self.chunks, self.slots)

    def unpack(self, packed: Floats) -> Floats:
        """Return the ``(n', d')`` numbers in ``(chunks, slots)``."""
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

    def firsts(self, value: float) -> Floats:
        """Return ``(slots,)`` with the value in the first slot of each block and 0 elsewhere."""
        mask = np.zeros(self.slots)
        mask[:: self.rows] = value
        return mask
