"""Measurements as 64-bit words. What is no integer is refused, and nothing is rounded."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpc.commons.prio.errors import MeasurementError

Words = NDArray[np.uint64]


def words_of(measurements: Any, width: int) -> Words:
    """Return ``u64[n, width]``, from n integers if `width` is 1, else from n rows of `width` integers.

    Raises:
        MeasurementError: another shape, or an entry that is no integer from 0 to 2^64 - 1. It names no entry.
    """
    try:
        array = np.asarray(measurements)
    except ValueError:
        raise MeasurementError(f"measurements: expected {_shape(width)}, found rows of several lengths") from None
    if array.dtype.kind in "fO":  # what lists of large integers become, but also fractions
        array = np.asarray(measurements, dtype=object)
        if not all(isinstance(entry, Integral) and 0 <= int(entry) < 2**64 for entry in array.flat):
            raise MeasurementError("measurements: expected integers from 0 to 2^64 - 1, found something else")
    elif array.dtype.kind not in "bui":
        raise MeasurementError(f"measurements: expected integers, found an array of {array.dtype}")
    elif array.dtype.kind == "i" and array.size and array.min() < 0:
        raise MeasurementError("measurements: expected integers that are not negative, found a negative one")
    if width == 1 and array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] != width:
        raise MeasurementError(f"measurements: expected {_shape(width)}, found an array of shape {array.shape}")
    return np.ascontiguousarray(array, dtype=np.uint64)


def _shape(width: int) -> str:
    return "an integer each" if width == 1 else f"{width} integers each"
