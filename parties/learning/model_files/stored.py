"""The arrays of an NPZ file that somebody else may have made."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parties.learning.records import DataError


def stored_arrays(
    content: bytes, names: Iterable[str] | None = None, optional: Iterable[str] = ()
) -> dict[str, NDArray[Any]]:
    """Return the arrays of an NPZ file, which may be another party's: those of these names, or all.

    Every array is stored as it is, and the shape that it names needs just the bytes that are there. So a small file
    cannot name a large array.

    Raises:
        DataError: an array is compressed, longer or shorter than its shape says, or of objects. Errors of `zipfile` and
            of numpy for what is no such file come as they are.
    """
    found = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        there = archive.namelist()
        if names is None:
            names = [name.removesuffix(".npy") for name in there]
        for name in (*names, *(name for name in optional if f"{name}.npy" in there)):
            member = archive.getinfo(f"{name}.npy")
            if member.compress_type != zipfile.ZIP_STORED or not member.file_size == member.compress_size <= len(
                content
            ):
                raise DataError(f"expected an array {name!r} that is stored without compression, found another")
            stored = io.BytesIO(archive.read(member))
            version = np.lib.format.read_magic(stored)
            if version != (1, 0):
                raise DataError(f"expected an array {name!r} of version 1.0 of the NPY format, found {version}")
            shape, _, dtype = np.lib.format.read_array_header_1_0(stored)
            size = math.prod(shape) * dtype.itemsize
            if dtype.hasobject or min(shape, default=0) < 0 or size != member.file_size - stored.tell():
                raise DataError(f"expected an array {name!r} as long as its shape says, found another or objects")
            stored.seek(0)
            found[name] = np.lib.format.read_array(stored, allow_pickle=False)
    return found
