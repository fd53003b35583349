"""Public numbers on their way into the ring. Each is encoded once, and refused where it does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mpc.errors import ParameterError, RangeError
from mpc.ring import Ring, Words
from mpc.tensors.backends.interface import Shape
from mpc.tensors.ranges import ROOM_BITS, Format, Range

SIGNIFICANT_BITS = 10
"""A factor of several tensors keeps at least so many, or each tensor has its own encoding of it."""
EXACT_BITS = 53
"""Whole numbers up to this many bits are exact as float64."""


@dataclass(frozen=True)
class PublicWords:
    """A public array in the ring.

    Attributes:
        words: two's complement.
        range: of the raw words.
        fraction_bits: zero where all values are whole.
        error: the largest distance from the values that were given, as a real number.
    """

    words: Words
    range: Range
    fraction_bits: int
    error: float

    @property
    def shape(self) -> Shape:
        return self.words.shape


def reals(label: str, values: object) -> NDArray[np.float64]:
    """Return finite numbers as a float64 array, or refuse."""
    try:
        plain = np.asarray(values)
        if plain.dtype == object or plain.dtype.kind not in "biuf":
            raise TypeError
        array = plain.astype(np.float64)
    except (TypeError, ValueError):
        raise ParameterError(f"{label}: expected an array of numbers, found {type(values).__name__}") from None
    if not np.isfinite(array).all():
        raise RangeError(f"{label}: expected finite numbers, found NaN or infinity")
    if plain.dtype.kind in "iu" and plain.size and (int(plain.max()) > 2**EXACT_BITS or int(plain.min()) < -(2**53)):
        raise RangeError(f"{label}: expected whole numbers of at most {EXACT_BITS} bits, found larger ones")
    return array


def encode(label: str, values: object, shape: Shape, stated: Range, fraction_bits: int, ring_bits: int) -> Words:
    """Return an owner's values as ring elements. No sentence of a refusal holds a value."""
    array = reals(label, values)
    if array.shape != shape:
        raise ParameterError(f"{label}: expected an array of shape {shape}, found one of shape {array.shape}")
    scaled = np.ldexp(array, fraction_bits)
    if fraction_bits == 0 and (scaled != np.rint(scaled)).any():
        raise ParameterError(f"{label}: expected whole numbers, found fractions")
    rounded = np.rint(scaled)
    if array.size and (int(rounded.max()) > stated.high or int(rounded.min()) < stated.low):
        raise RangeError(f"{label}: expected values within the stated bound, found one beyond it")
    return Ring(ring_bits).reduce(rounded.astype(np.int64))


def encode_public(label: str, values: object, format: Format, fraction_bits: int | None = None) -> PublicWords:
    """Return public values as ring elements, as whole numbers where they are whole.

    Args:
        label: of the operation, for sentences.
        values: numbers.
        format: of the session.
        fraction_bits: for values that are not whole, or None for the session's. Others stay whole.
    """
    bits = format.fraction_bits if fraction_bits is None else fraction_bits
    if (number := _number(values)) is not None and (known := _known_public(number, bits, format.ring_bits)):
        return known
    return _public(label, values, bits, format.ring_bits)


def _public(label: str, values: object, bits: int, ring_bits: int) -> PublicWords:
    array = reals(label, values)
    whole = bool((array == np.rint(array)).all())
    return _encode(label, array, 0 if whole else bits, ring_bits)


def encode_at(label: str, values: object, format: Format, fraction_bits: int) -> PublicWords:
    """Return public values as ring elements with exactly so many fraction bits."""
    if (number := _number(values)) is not None and (known := _known_at(number, fraction_bits, format.ring_bits)):
        return known
    return _encode(label, reals(label, values), fraction_bits, format.ring_bits)


def encode_factor(label: str, values: object, format: Format, room_bits: int) -> PublicWords:
    """Return public factors as ring elements, small ones with more fraction bits so that they keep their precision.

    Args:
        label: of the operation, for sentences.
        values: numbers.
        format: of the session.
        room_bits: how many bits the largest raw factor may have beside the other one.
    """
    if (number := _number(values)) is not None and (known := _known_factor(number, format, room_bits)):
        return known
    return _factor(label, values, format, room_bits)


def _factor(label: str, values: object, format: Format, room_bits: int) -> PublicWords:
    array = reals(label, values)
    if (array == np.rint(array)).all():
        return _encode(label, array, 0, format.ring_bits)
    return _encode(label, array, _factor_bits(_whole_bits(array), format, room_bits), format.ring_bits)


# A program repeats its numbers in every step, so they are encoded once. Refusals are not kept. They name operations.


def _number(values: object) -> float | None:
    """Return one number of float64, or None."""
    single = isinstance(values, float) or (
        isinstance(values, np.ndarray) and values.shape == () and values.dtype == float
    )
    return float(values) if single else None  # type: ignore[arg-type]  # which is one of the two


@lru_cache(maxsize=1024)
def _known_public(number: float, bits: int, ring_bits: int) -> PublicWords | None:
    try:
        return _public("", number, bits, ring_bits)
    except (ParameterError, RangeError):
        return None


@lru_cache(maxsize=1024)
def _known_at(number: float, fraction_bits: int, ring_bits: int) -> PublicWords | None:
    try:
        return _encode("", reals("", number), fraction_bits, ring_bits)
    except (ParameterError, RangeError):
        return None


@lru_cache(maxsize=1024)
def _known_factor(number: float, format: Format, room_bits: int) -> PublicWords | None:
    try:
        return _factor("", number, format, room_bits)
    except (ParameterError, RangeError):
        return None


def common_room(factor: float, format: Format, rooms: Sequence[int]) -> list[int]:
    """Return how many bits one public factor may have beside several numbers, the least room for all if that is enough.

    Products by factors of as many bits are rounded in one round. It is enough where the factor keeps
    `SIGNIFICANT_BITS`.
    """
    whole_bits = int(np.frexp(abs(factor))[1])
    kept = _factor_bits(whole_bits, format, min(rooms)) + whole_bits
    return [min(rooms)] * len(rooms) if kept >= SIGNIFICANT_BITS else list(rooms)


def _whole_bits(array: NDArray[np.float64]) -> int:
    return int(np.frexp(np.abs(array).max())[1])


def _factor_bits(whole_bits: int, format: Format, room_bits: int) -> int:
    """Return the fraction bits of a factor with so many bits before the point."""
    bits = max(format.fraction_bits, min(2 * format.fraction_bits, format.fraction_bits - whole_bits + 1))
    return max(min(bits, room_bits - whole_bits), min(bits, format.fraction_bits))


def _encode(label: str, array: NDArray[np.float64], fraction_bits: int, ring_bits: int) -> PublicWords:
    rounded = np.rint(np.ldexp(array, fraction_bits))
    largest = float(np.abs(rounded).max()) if rounded.size else 0.0
    if largest >= 2.0 ** (ring_bits - ROOM_BITS):
        raise RangeError(
            f"{label}: expected public values that fit {ring_bits} bits with {fraction_bits} fraction bits, "
            f"found one of magnitude {float(np.abs(array).max()):g}"
        )
    integers = rounded.astype(np.int64)
    low, high = (int(integers.min()), int(integers.max())) if integers.size else (0, 0)
    away = np.ldexp(rounded, -fraction_bits) - array
    error = float(np.abs(away).max()) if away.size else 0.0
    return PublicWords(Ring(ring_bits).reduce(integers), Range(low, high), fraction_bits, error)
