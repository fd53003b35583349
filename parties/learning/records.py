"""Records of one data owner, with labels or to be asked about, in memory and in a file."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from parties.frame.errors import ConfigError
from parties.frame.private_files import write_private
from parties.learning.labels import Label, Labels, label_of

Images = NDArray[np.float32]  # (n, channels, height, width), 0..1


def image_digests(images: Images) -> set[bytes]:
    """Return SHA-256 of each image ``(n, ...)``, as a set. Neither their order nor their labels change it."""
    return {hashlib.sha256(np.ascontiguousarray(image, "<f4").tobytes()).digest() for image in images}


Kind = TypeVar("Kind", bound="AskedRecords")


class DataError(ConfigError):
    """A data file that cannot be used. The message names the file and says what is wrong with it."""


@dataclass(frozen=True)
class AskedRecords:
    """Images that one party asks about. Their labels are the truth, where an experiment knows it, or None."""

    images: Images
    labels: Labels | None

    def __post_init__(self) -> None:
        shape = self.images.shape[:1] if self.labels is None else self.labels.shape
        if self.images.ndim != 4 or len(shape) not in (1, 2) or shape[:1] != self.images.shape[:1]:
            raise DataError(
                "expected images (n, channels, height, width) and labels (n,), or (n, labels), "
                f"found {self.images.shape} and {shape}"
            )

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(images={self.images.shape})"

    def take(self: Kind, indices: slice | NDArray[np.intp]) -> Kind:
        """Return the records at these indices."""
        labels = None if self.labels is None else self.labels[indices]
        return replace(self, images=self.images[indices], labels=labels)

    def truth(self, index: int) -> Label | None:
        """Return the label of one record, or None where nobody knows it."""
        return None if self.labels is None else label_of(self.labels[index])

    def digest(self) -> str:
        """Return SHA-256 of shapes, images and labels, in hex."""
        shape = None if self.labels is None else self.labels.shape
        digest = hashlib.sha256(repr((self.images.shape, shape)).encode())
        digest.update(self.images.astype("<f4").tobytes())
        if self.labels is not None:
            digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()

    def write(self, path: Path) -> None:
        """Write for the owner alone (0600), atomically. A file without truth has no array of labels."""
        arrays = {"images": self.images} | ({} if self.labels is None else {"labels": self.labels})
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the arrays for allow_pickle
        write_private(path, buffer.getvalue())

    @classmethod
    def read(cls: type[Kind], path: Path) -> Kind:
        """Read what `write` wrote. Nothing is unpickled. Raises `DataError` for a damaged file."""
        try:
            with np.load(path, allow_pickle=False) as file:
                labels = file["labels"].astype(np.int64) if cls._labelled or "labels" in file.files else None
                return cls(file["images"].astype(np.float32), labels)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"{path} cannot be read as a party's records ({type(error).__name__})") from error

    _labelled: ClassVar[bool] = False


@dataclass(frozen=True, repr=False)
class Records(AskedRecords):
    """Labelled images that one party holds in one file."""

    labels: Labels

    _labelled: ClassVar[bool] = True
