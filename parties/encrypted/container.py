"""The files that parties exchange: a header, chunks with their digests, a digest over all, and a signature.

    magic      8 bytes, CAPCENC1
    length     4 bytes, of the header
    header     JSON, in one form only
    chunk      index (4 bytes), length (4 bytes), SHA-256 (32 bytes), content; as often as the header says
    digest     SHA-256 of all that stands before
    signature  Ed25519 of the creator over the digest (RFC 8032)

Numbers have their lowest byte first. A chunk holds 4 MiB of the content, and the last one what is left. The content is
the parts of the header, one after the other. All lengths follow from the parameters and from the shape, never from a
record.

The signature says that a file is whole and who made it. The fingerprint of the creator's key is shown, and a reader
who knows it can ask for it.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from parties.frame.errors import PartyError
from parties.frame.private_files import write_private

MAGIC = b"CAPCENC1"
VERSION = 5
CHUNK_BYTES = 4 << 20
MOST_HEADER_BYTES = 1 << 20
_SIGNED = b"capc encrypted file\0"

Kind = Literal["public key", "data", "model", "encrypted model"]
Algorithm = Literal["logistic", "squared", "ridge"]

WORDS: Mapping[Kind, str] = {
    "public key": "a public key",
    "data": "an encrypted data set",
    "model": "a trained model, encrypted",
    "encrypted model": "a model to train on, encrypted",
}


class FileError(PartyError):
    """A file that is not what is expected. The message names the file."""


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A piece of the content: its name and its length in bytes."""

    name: str
    size: int


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a file says of itself, all of it public.

    Attributes:
        parameters: the name of the parameters, and `parameters_digest` their digest in hex.
        key_id: of the key pair that the content is encrypted with, in hex.
        algorithm: what is trained.
        records, features: n' and d', which are powers of two.
        targets: how many models are trained, one against the rest each.
        rate: the learning rate that the owner has checked.
        iterations: the steps of training, or 0 where whoever has the records chooses them.
        degree: of the polynomial that stands for the logistic function, or for an inverse.
        regularisation, largest: of ridge regression, see :class:`mpc.encrypted.programs.ridge.Ridge`, or else 0.
        extractor: the digest of the extractor whose features are trained on, in hex. Nothing for records as they are.
        preparation: the digest of the file that says how features are prepared, in hex. That file has random bytes in
            it, so the digest tells nothing of it.
        owners: whose records are in it, added up.
        share: how many records these owners have at most, where owners are added up.
        pooled: the digests of the owners' files that were added up, in hex and in order. None in an owner's own file.
        creators: the public keys of the signatures of these files, in hex and in order.
        source: the digest of the file that this one was made from, in hex, or nothing.
        creator: the public key of the signature, in hex.
    """

    kind: Kind
    version: int
    parameters: str
    parameters_digest: str
    key_id: str
    algorithm: Algorithm
    records: int
    features: int
    targets: int
    rate: float
    iterations: int
    degree: int
    regularisation: float = 0.0
    largest: float = 0.0
    extractor: str = ""
    preparation: str = ""
    owners: int = 1
    share: int = 0
    pooled: tuple[str, ...] = ()
    creators: tuple[str, ...] = ()
    source: str
    parts: tuple[Part, ...]
    creator: str

    @property
    def content_bytes(self) -> int:
        """The length of all parts."""
        return sum(part.size for part in self.parts)

    @property
    def chunks(self) -> int:
        """How many chunks the content has."""
        return -(-self.content_bytes // CHUNK_BYTES)

    @property
    def fingerprint(self) -> str:
        """The creator's fingerprint."""
        return fingerprint(bytes.fromhex(self.creator))


@dataclass(frozen=True, repr=False)
class Container:
    """A whole file that was checked.

    Attributes:
        digest: over all of it, in hex.
    """

    header: Header
    parts: Mapping[str, bytes]
    digest: str

    def __repr__(self) -> str:
        return f"Container({self.header.kind}, parts={len(self.parts)})"


def fingerprint(public_key: bytes) -> str:
    """Return the first 16 bytes of SHA-256 of a public key, in hex, in groups of four."""
    text = hashlib.sha256(public_key).hexdigest()[:32]
    return " ".join(text[place : place + 4] for place in range(0, 32, 4))


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """Return the public key of a signing key, 32 bytes."""
    return key.public_key().public_bytes_raw()


def pack_container(header: Header, parts: Mapping[str, bytes], key: Ed25519PrivateKey) -> tuple[bytes, str]:
    """Return the content of a file and its digest in hex. The header's `parts` and `creator` are filled in."""
    listed = tuple(Part(name, len(content)) for name, content in parts.items())
    whole = msgspec.structs.replace(header, parts=listed, creator=public_bytes(key).hex())
    encoded = msgspec.json.encode(whole)
    out = io.BytesIO()
    out.write(MAGIC + struct.pack("<I", len(encoded)) + encoded)
    content = b"".join(parts.values())
    for index in range(whole.chunks):
        chunk = content[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]
        out.write(struct.pack("<II", index, len(chunk)) + hashlib.sha256(chunk).digest() + chunk)
    digest = hashlib.sha256(out.getbuffer()).digest()
    out.write(digest + key.sign(_SIGNED + digest))
    return out.getvalue(), digest.hex()


def write_container(path: Path, header: Header, parts: Mapping[str, bytes], key: Ed25519PrivateKey) -> str:
    """Write a file as a whole, replacing one of the same name, and return its digest in hex. Raises `OSError`."""
    content, digest = pack_container(header, parts, key)
    write_packed(path, content)
    return digest


def write_packed(path: Path, content: bytes) -> None:
    """Write what `pack_container` gave, replacing a file of the same name. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, content)


def read_container(path: Path, kind: Kind, signed_by: str | None = None) -> Container:
    """Read and check a whole file.

    Args:
        signed_by: the fingerprint that the creator must have, if it is given.

    Raises:
        FileError: it is of another kind or version, cut, changed, longer than it says, or signed by somebody else.
    """
    try:
        with path.open("rb") as file:
            return _read(path, file, kind, signed_by)
    except OSError as error:
        raise FileError(f"{path}: expected {WORDS[kind]}, found none that can be read ({error.strerror})") from error


def read_header(path: Path) -> tuple[Header, int]:
    """Return a file's header and the file's length, without the content. Raises `FileError`."""
    try:
        with path.open("rb") as file:
            return _header(path, _Hashed(path, file)), os.fstat(file.fileno()).st_size
    except OSError as error:
        raise FileError(
            f"{path}: expected an encrypted file, found none that can be read ({error.strerror})"
        ) from error


class _Hashed:
    """Reads exact lengths, and hashes all that was read."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file = path, file
        self.digest = hashlib.sha256()

    def take(self, count: int, what: str) -> bytes:
        found = self._file.read(count)
        if len(found) != count:
            raise FileError(f"{self._path}: expected {count} bytes of {what}, found {len(found)}: it is cut short")
        self.digest.update(found)
        return found


def _header(path: Path, source: _Hashed) -> Header:
    if (magic := source.take(len(MAGIC), "its beginning")) != MAGIC:
        private = " (a private key? It stays with its owner)" if magic.startswith(b"{") else ""
        raise FileError(f"{path}: expected an encrypted file, found another{private}")
    (size,) = struct.unpack("<I", source.take(4, "its header's length"))
    if size > MOST_HEADER_BYTES:
        raise FileError(f"{path}: expected a header of at most {MOST_HEADER_BYTES} bytes, found {size}")
    encoded = source.take(size, "its header")
    try:
        version = msgspec.json.decode(encoded, type=dict[str, object]).get("version")
        if version != VERSION:
            raise FileError(f"{path}: expected a file of version {VERSION}, found {version!r}: use the same release")
        header = msgspec.json.decode(encoded, type=Header)
    except (msgspec.MsgspecError, RecursionError):
        raise FileError(f"{path}: expected a header in its one form, found another") from None
    negative = any(part.size < 0 for part in header.parts)
    if negative or len({part.name for part in header.parts}) < len(header.parts):
        raise FileError(f"{path}: expected parts of different names with their lengths, found others")
    digests = (
        header.key_id, header.parameters_digest, header.extractor, header.preparation, header.source, header.creator,
        *header.pooled, *header.creators,
    )  # fmt: skip
    if (
        msgspec.json.encode(header) != encoded
        or len(header.creator) != 64
        or not all(map(_is_hex, digests))
        or not (header.parameters.isascii() and header.parameters.replace("-", "").isalnum())
    ):
        raise FileError(f"{path}: expected a header in its one form, found another")
    return header


def _is_hex(text: str) -> bool:
    return all(letter in "0123456789abcdef" for letter in text)


def _read(path: Path, file: BinaryIO, kind: Kind, signed_by: str | None) -> Container:
    source = _Hashed(path, file)
    header = _header(path, source)
    if header.kind != kind:
        raise FileError(f"{path}: expected {WORDS[kind]}, found {WORDS[header.kind]}")
    content = bytearray()
    for index in range(header.chunks):
        found, size = struct.unpack("<II", source.take(8, f"chunk {index}"))
        expected = min(CHUNK_BYTES, header.content_bytes - index * CHUNK_BYTES)
        if (found, size) != (index, expected):
            raise FileError(f"{path}: expected chunk {index} of {expected} bytes, found chunk {found} of {size}")
        digest = source.take(32, f"chunk {index}")
        chunk = source.take(size, f"chunk {index}")
        if hashlib.sha256(chunk).digest() != digest:
            raise FileError(f"{path}: expected chunk {index} as its digest says, found it changed")
        content += chunk
    whole = source.digest.digest()
    if source.take(32, "its digest") != whole:
        raise FileError(f"{path}: expected the digest over all of it, found another: it was changed")
    signature = source.take(64, "its signature")
    if file.read(1):
        raise FileError(f"{path}: expected its end after the signature, found more")
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(header.creator)).verify(signature, _SIGNED + whole)
    except (InvalidSignature, ValueError):
        raise FileError(f"{path}: expected the signature of {header.fingerprint}, found another") from None
    if signed_by is not None and signed_by.replace(" ", "") != header.fingerprint.replace(" ", ""):
        raise FileError(f"{path}: expected it from {signed_by}, found it signed by {header.fingerprint}")
    parts, place = {}, 0
    for part in header.parts:
        parts[part.name] = bytes(content[place : place + part.size])
        place += part.size
    return Container(header, parts, whole.hex())
