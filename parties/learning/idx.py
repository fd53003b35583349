"""The IDX file format of the MNIST files (LeCun, Cortes, Burges), plain or gzipped, read strictly.

A file starts with two zero bytes and a type byte. The only type accepted is 8, for unsigned bytes. The number of
dimensions follows in one byte, and each dimension as a big-endian 32-bit integer. Then there are exactly as many bytes
as the dimensions say.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parties.learning.records import DataError

_LARGEST = 1 << 30  # bytes; a header that announces more is not believed


def find_idx(folder: Path, name: str) -> Path | None:
    """Find `name` or `name.gz` in the folder, the plain one first. Returns None when neither is there."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    return None


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read the file's array. Raises `DataError` for another format, another rank, too few bytes or too many."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            header = file.read(4 + 4 * dimensions)
            if len(header) < 4 or header[:3] != b"\x00\x00\x08":
                raise DataError(f"{path} is not an IDX file of unsigned bytes (wrong magic number)")
            if header[3] != dimensions:
                raise DataError(f"{path} holds {header[3]} dimensions, expected {dimensions}")
            if len(header) < 4 + 4 * dimensions:
                raise DataError(f"{path} ends inside its header")
            shape = struct.unpack(f">{dimensions}I", header[4:])
            size = math.prod(shape)
            if size > _LARGEST:
                raise DataError(f"{path} announces {size} bytes, more than the {_LARGEST} that are accepted")
            body = file.read(size + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file ({error})") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from error
    if len(body) < size:
        raise DataError(f"{path} is truncated: its header announces {size} bytes, {len(body)} follow")
    if len(body) > size:
        raise DataError(f"{path} has bytes left over after the {size} that its header announces")
    return np.frombuffer(body, np.uint8).reshape(shape)
