"""How features are prepared, in a file beside the private key that belongs to one key pair.

`preparation.npz` is a model without weights (:mod:`parties.encrypted.model`) with two arrays more:

    key_id   ()     of the key pair, in hex
    nonce    (32,)  bytes of the operating system

Its digest stands in the private key's file and in the headers of all files of the job. So a preparation of another key
pair, or one that was changed, is refused before it is used. The nonce hides what the digest is of. Without it whoever
sees a header could try out records until one gives the digest.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np

from parties.encrypted.container import FileError
from parties.encrypted.model import LinearModel, array_of
from parties.learning.records import DataError

PREPARATION = "preparation.npz"
_NONCE_BYTES = 32


def pack_preparation(model: LinearModel, key_id: str = "") -> tuple[bytes, str]:
    """Return the content of the file for a key pair, or for one run of pooled training, and its digest in hex."""
    nonce = np.frombuffer(os.urandom(_NONCE_BYTES), np.uint8)
    content = model.to_bytes({"key_id": np.array(key_id), "nonce": nonce})
    return content, hashlib.sha256(content).hexdigest()


def read_preparation(path: Path, key_id: str, digest: str) -> LinearModel:
    """Read the preparation of a key pair.

    Args:
        digest: of the file, as the private key's file or the header of a signed file has it.

    Raises:
        FileError: it is that of another key pair, or it is not as it was written. DataError: it is no such file.
    """
    return preparation_from(path, _content(path, f"the preparation of the key pair {key_id}"), key_id, digest)


def read_agreed(path: Path, digest: str) -> LinearModel:
    """Read the preparation that all owners of a pooled training have agreed on.

    Raises:
        FileError: it is another one, or it was changed. DataError: it is no such file.
    """
    content = _content(path, "a preparation")
    if (found := hashlib.sha256(content).hexdigest()) != digest:
        raise FileError(
            f"{path}: expected the preparation {digest[:16]} that all owners use, found {found[:16]}: it is that of "
            "another run, or was changed"
        )
    return LinearModel.from_bytes(path, content)


def preparation_from(path: Path, content: bytes, key_id: str, digest: str) -> LinearModel:
    """Return the preparation in such a file's content, see `read_preparation`. `path` is named in errors."""
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        named = _key_id(content)
        if named != key_id:
            other = f"that of {named}" if named else "one of no key pair"
            raise FileError(f"{path}: expected the preparation of the key pair {key_id}, found {other}")
        raise FileError(
            f"{path}: expected the preparation {digest[:16]} of the key pair {key_id}, found {found[:16]}: it was "
            "changed after the keys were made"
        )
    return LinearModel.from_bytes(path, content)


def _content(path: Path, expected: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileError(f"{path}: expected {expected}, found none that can be read ({error.strerror})") from error


def _key_id(content: bytes) -> str | None:
    """Return the key pair that a file names, or None."""
    try:
        found = str(array_of(content, "key_id"))
    except DataError:
        return None
    return found if found and all(letter in "0123456789abcdef" for letter in found) else None
