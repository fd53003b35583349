"""A data owner's private key, everybody's signing key, and the record of what a key pair has released.

The private key is 32 bytes, from which the secret polynomial follows. A passphrase seals them: scrypt (RFC 7914) gives
a key, and AES-GCM encrypts with it. A key pair serves one job, which stands in the private key's file, and the seal
holds it, too. So what a trainer says of the job is compared with the owner's own record.

Before a result is released, a record beside the private key says which one, and it is on the disk. Another result is
refused from then on. The same one may be taken again, so that a crash after the record loses nothing.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from parties.encrypted.container import Algorithm, FileError
from parties.frame.errors import PartyError
from parties.frame.private_files import make_private_folder, write_private

SEED_BYTES = 32
PRIVATE, PUBLIC, SIGNING, RELEASED = "private.key", "public.key", "signing.key", ".released"
_KIND = "capc private key"
_SCRYPT_COST = 1 << 17  # with blocks of 8 this takes 128 MiB and about half a second
_LARGEST_COST = 1 << 20
_SHORTEST_PASSPHRASE = 8


class KeyFileError(PartyError):
    """A key that cannot be used."""


class Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A seed under a passphrase. All bytes are in hex."""

    cost: int
    salt: str
    nonce: str
    box: str


class KeyJob(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The one job of a key pair. The header of a result repeats all of it, see `parties.encrypted.container.Header`.

    Attributes:
        source: the digest of the file that was encrypted with the key pair, in hex. A result of ridge regression may
            come from what other owners have encrypted, too.
        extractor, preparation: digests of what is done to records, as in the header.
    """

    parameters: str
    parameters_digest: str
    algorithm: Algorithm
    records: int
    features: int
    targets: int
    rate: float
    iterations: int
    degree: int
    regularisation: float
    largest: float
    extractor: str
    preparation: str
    source: str


class KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The private key's file. It has the seed, or the sealed one."""

    kind: str
    job: KeyJob
    key_id: str
    seed: str | Sealed

    def __repr__(self) -> str:
        return f"KeyFile({self.key_id})"


class _AnyKey(msgspec.Struct, frozen=True):
    """As much of a private key's file as all releases have: the first ones had no job in it."""

    kind: str
    job: dict[str, object] = {}

    def __repr__(self) -> str:
        return "_AnyKey()"


@dataclass(frozen=True, repr=False)
class PrivateKey:
    """A seed, the job that it is for, and the id that goes with the seed."""

    seed: bytes
    job: KeyJob
    key_id: str

    def __repr__(self) -> str:
        return f"PrivateKey({self.job.parameters}, {self.key_id})"


def new_seed() -> bytes:
    """Return 32 bytes of the operating system."""
    return os.urandom(SEED_BYTES)


def write_private_key(path: Path, key: PrivateKey, passphrase: str | None = None) -> None:
    """Write a private key into a file that only its owner can read.

    Raises:
        KeyFileError: there is a key already, or the passphrase is too short.
    """
    if path.exists():
        raise KeyFileError(
            f"{path}: expected no private key yet, found one: a key pair serves one job, so choose another --keys_dir"
        )
    seed: str | Sealed = key.seed.hex() if passphrase is None else _sealed(key, passphrase)
    make_private_folder(path.parent)
    write_private(path, msgspec.json.encode(KeyFile(_KIND, key.job, key.key_id, seed)) + b"\n")


def _sealed(key: PrivateKey, passphrase: str) -> Sealed:
    if len(passphrase) < _SHORTEST_PASSPHRASE:
        raise KeyFileError(f"passphrase: expected at least {_SHORTEST_PASSPHRASE} characters, found {len(passphrase)}")
    salt, nonce = os.urandom(16), os.urandom(12)
    box = AESGCM(_stretched(passphrase, salt, _SCRYPT_COST)).encrypt(nonce, key.seed, _bound(key.job, key.key_id))
    return Sealed(_SCRYPT_COST, salt.hex(), nonce.hex(), box.hex())


def _stretched(passphrase: str, salt: bytes, cost: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=cost, r=8, p=1).derive(passphrase.encode())


def _bound(job: KeyJob, key_id: str) -> bytes:
    """Return what the seal holds together with the seed."""
    return f"{_KIND}/{key_id}/".encode() + msgspec.json.encode(job)


def read_private_key(path: Path, passphrase: str | None = None) -> PrivateKey:
    """Read a private key.

    Raises:
        KeyFileError: the file is no private key, others may read it, or the passphrase is missing or wrong.
    """
    try:
        status, content = path.stat(), path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"{path}: expected a private key, found none that can be read ({error.strerror})") from error
    if status.st_mode & 0o077:
        raise KeyFileError(f"{path}: expected a file that only its owner can read (chmod 600), found others may")
    try:
        found = msgspec.json.decode(content, type=KeyFile)
        if found.kind != _KIND:
            raise ValueError
        seed = (
            bytes.fromhex(found.seed) if isinstance(found.seed, str) else _opened(path, found, found.seed, passphrase)
        )
        if len(seed) != SEED_BYTES:
            raise ValueError
    except ValueError:  # also of msgspec, and its message may hold a part of the key
        other = "one of another release: use that release" if _of_another_release(content) else "another file"
        raise KeyFileError(f"{path}: expected a private key, found {other}") from None
    return PrivateKey(seed, found.job, found.key_id)


def _of_another_release(content: bytes) -> bool:
    """Return whether a file is a private key whose job has other fields than this release's."""
    try:
        found = msgspec.json.decode(content, type=_AnyKey)
    except ValueError:
        return False
    return found.kind == _KIND and found.job.keys() != {*KeyJob.__struct_fields__}


def check_key_id(path: Path, key: PrivateKey, found: bytes) -> None:
    """Raise `KeyFileError` where the seed of the private key in ``path`` gives another key id than the file says."""
    if found.hex() != key.key_id:
        raise KeyFileError(f"{path}: expected the seed of the key pair {key.key_id}, found that of {found.hex()}")


def _opened(path: Path, found: KeyFile, sealed: Sealed, passphrase: str | None) -> bytes:
    if passphrase is None:
        raise KeyFileError(f"{path}: expected the key's passphrase (--passphrase_file), found none")
    if not 2 <= sealed.cost <= _LARGEST_COST or sealed.cost & (sealed.cost - 1):
        raise KeyFileError(f"{path}: expected a cost of scrypt of at most {_LARGEST_COST}, found {sealed.cost}")
    key = _stretched(passphrase, bytes.fromhex(sealed.salt), sealed.cost)
    try:
        bound = _bound(found.job, found.key_id)
        return AESGCM(key).decrypt(bytes.fromhex(sealed.nonce), bytes.fromhex(sealed.box), bound)
    except InvalidTag:
        raise KeyFileError(f"{path}: expected the key's passphrase, found another, or the file was changed") from None


def read_passphrase(path: Path | None) -> str | None:
    """Return the first line of a file, or None without a file. Raises `KeyFileError`."""
    if path is None:
        return None
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{path}: expected a passphrase in its first line, found no text to read") from error
    if not lines or not lines[0]:
        raise KeyFileError(f"{path}: expected a passphrase in its first line, found none")
    return lines[0]


def signing_key(folder: Path) -> Ed25519PrivateKey:
    """Return the folder's signing key, which is made where there is none. Raises `KeyFileError`."""
    path = folder / SIGNING
    if not path.exists():
        make_private_folder(folder)
        write_private(path, Ed25519PrivateKey.generate().private_bytes_raw())
    content = path.read_bytes()
    if len(content) != 32:
        raise KeyFileError(f"{path}: expected a signing key of 32 bytes, found {len(content)}")
    return Ed25519PrivateKey.from_private_bytes(content)


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a key pair has released: the digest of the result's file, and whether its twin stands for it."""

    digest: str
    verified: bool


def record_release(folder: Path, key_id: str, release: Release) -> None:
    """Write down, durably, what is about to be released. The record is named by the key pair, not by a file.

    Raises:
        FileError: the key pair has released something else, or the record cannot be read.
    """
    path = folder / f"{key_id}{RELEASED}"
    if not write_once(path, msgspec.json.encode(release)):
        _same_release(path, release)


def write_once(path: Path, content: bytes) -> bool:
    """Write a record durably, and return whether it was written: False where there is one already.

    The record gets its name after it is whole and on the disk. So a crash leaves none, or this one.
    """
    folder = path.parent
    handle, unfinished = tempfile.mkstemp(dir=folder, prefix=".new-")  # mkstemp makes it 0600
    written = True
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(unfinished, path)
    except FileExistsError:
        written = False
    finally:
        Path(unfinished).unlink(missing_ok=True)
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
    return written


def _same_release(path: Path, release: Release) -> None:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Release)
    except msgspec.MsgspecError:
        raise FileError(f"{path}: expected the record of a release, found another file") from None
    if found != release:
        raise FileError(
            f"{path}: expected the first release of this key pair, found that it has released "
            f"{_words(found, release)}: a second one would tell of the key, so train again with new keys"
        )


def _words(found: Release, asked: Release) -> str:
    if found.digest != asked.digest:
        return f"another model ({found.digest[:16]})"
    return "this model's verified twin" if found.verified else "this model's decrypted numbers"
