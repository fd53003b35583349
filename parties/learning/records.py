"""Labelled records of one data owner, in memory and in a file."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parties.frame.errors import ConfigError
from parties.frame.private_files import write_private
from parties.learning.labels import Labels

Images = NDArray[np.float32]  # (n, channels, height, width), 0..1


class DataError(ConfigError):
    """A data file that cannot be used. The message names the file and says what is wrong with it."""


@dataclass(frozen=True)
class Records:
    """Labelled images that one party holds in one file."""

    images: Images
    labels: Labels

    def __post_init__(self) -> None:
        shape = self.labels.shape
        if self.images.ndim != 4 or len(shape) not in (1, 2) or shape[:1] != self.images.shape[:1]:
            raise DataError(
                "expected images (n, channels, height, width) and labels (n,), or (n, labels), "
                f"found {self.images.shape} and {shape}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Records(images={self.images.shape})"

    def take(self, indices: slice | NDArray[np.intp]) -> Records:
        """Return the records at these indices."""
        return Records(self.images[indices], self.labels[indices])

    def digest(self) -> str:
        """Return SHA-256 of shapes, images and labels, in hex."""
        digest = hashlib.sha256(repr((self.images.shape, self.labels.shape)).encode())
        digest.update(self.images.astype("<f4").tobytes())
        digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()

    def write(self, path: Path) -> None:
        """Write for the owner alone (0600), atomically."""
        buffer = io.BytesIO()
        np.savez(buffer, images=self.images, labels=self.labels)
        write_private(path, buffer.getvalue())

    @classmethod
    def read(cls, path: Path) -> Records:
        """Read what `write` wrote. Nothing is unpickled."""
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls(file["images"].astype(np.float32), file["labels"].astype(np.int64))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"{path} cannot be read as a party's records ({type(error).__name__})") from error
