"""Checkpoints as signed notes, with the signatures of the log and of its cosigners.

The formats are C2SP's signed-note, tlog-checkpoint and tlog-cosignature (Ed25519, v1), at https://c2sp.org. A note is
a text, an empty line, and a line for each signature. Here a note is read strictly. Whatever is read is written as the
same bytes again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from mpc.commons.identities import SIGNATURE_BYTES, Identity, is_signed
from mpc.commons.merkle import HASH_BYTES
from mpc.errors import ParameterError, ProtocolError

LOG_SIGNATURE = 0x01
COSIGNATURE = 0x04
MOST_SIGNATURES = 65  # of 64 trustees and the log
LATEST_TIME = (1 << 63) - 1
_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+=*)")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,19}")


@dataclass(frozen=True)
class Verifier:
    """A key that signs notes under a name.

    Attributes:
        kind: `LOG_SIGNATURE` or `COSIGNATURE`.
        key: an Ed25519 public key, 32 bytes.
    """

    name: str
    kind: int
    key: bytes

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that go before a signature."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.key).digest()[:4]

    @property
    def vkey(self) -> str:
        """The verifier key as other tools take it."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(bytes([self.kind]) + self.key).decode()}"

    def has_signed(self, text: str, line: SignatureLine) -> bool:
        """Return whether a signature line of a note with this text is this key's."""
        if (line.name, line.key_id) != (self.name, self.key_id):
            return False
        if self.kind == LOG_SIGNATURE:
            return len(line.signature) == SIGNATURE_BYTES and is_signed(self.key, line.signature, text.encode())
        if len(line.signature) != 8 + SIGNATURE_BYTES:
            return False
        time = int.from_bytes(line.signature[:8], "big")
        return time <= LATEST_TIME and is_signed(self.key, line.signature[8:], _cosigned(text, time))


@dataclass(frozen=True)
class SignatureLine:
    """One signature of a note."""

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"— {self.name} {base64.b64encode(self.key_id + self.signature).decode()}\n"


@dataclass(frozen=True)
class Note:
    """A text, which ends with a newline, and its signatures. None of them is checked."""

    text: str
    signatures: tuple[SignatureLine, ...]

    @classmethod
    def read(cls, data: bytes) -> Note:
        """Return the note that these bytes are. Raises `ProtocolError` where they are none."""
        try:
            whole = data.decode()
        except UnicodeDecodeError as error:
            raise ProtocolError(f"expected a note in UTF-8, found byte {data[error.start]:#04x}") from None
        text, gap, lines = whole.rpartition("\n\n")
        if not gap or any(ord(letter) < 0x20 and letter != "\n" for letter in whole) or not lines.endswith("\n"):
            raise ProtocolError("expected a text, an empty line and signature lines, found something else")
        signatures = tuple(_signature_line(line) for line in lines[:-1].split("\n"))
        if len(signatures) > MOST_SIGNATURES:
            raise ProtocolError(f"expected at most {MOST_SIGNATURES} signatures of a note, found {len(signatures)}")
        note = cls(f"{text}\n", signatures)
        if bytes(note) != data:
            raise ProtocolError("expected a note in its one way of writing, found another")
        return note

    def __bytes__(self) -> bytes:
        return "".join([self.text, "\n", *map(str, self.signatures)]).encode()

    def with_signatures(self, more: Iterable[SignatureLine]) -> Note:
        """Return the same note with more signatures behind."""
        return Note(self.text, (*self.signatures, *more))


@dataclass(frozen=True)
class Checkpoint:
    """How many entries a log has, and their root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text of the note."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def read(cls, text: str) -> Checkpoint:
        """Return the checkpoint that a note's text is. Raises `ProtocolError`, also where it has extension lines."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] or not lines[0]:
            raise ProtocolError(f"expected origin, size and root in a checkpoint, found {max(0, len(lines) - 1)} lines")
        if not _DECIMAL.fullmatch(lines[1]):
            raise ProtocolError(f"expected a decimal size in a checkpoint, found {lines[1][:24]!r}")
        root = from_base64(lines[2], "the root")
        if len(root) != HASH_BYTES:
            raise ProtocolError(f"expected a root of {HASH_BYTES} bytes, found {len(root)}")
        return cls(lines[0], int(lines[1]), root)


def sign_as_log(identity: Identity, name: str, text: str) -> SignatureLine:
    """Return the log's own signature of a checkpoint."""
    key_id = Verifier(name, LOG_SIGNATURE, identity.key).key_id
    return SignatureLine(name, key_id, identity.sign(text.encode()))


def cosign(identity: Identity, name: str, text: str, time: int) -> SignatureLine:
    """Return a cosignature of a checkpoint at a POSIX time in seconds."""
    if not 0 <= time <= LATEST_TIME:
        raise ParameterError(f"expected a time from 0 to 2^63 - 1, found {time}")
    key_id = Verifier(name, COSIGNATURE, identity.key).key_id
    return SignatureLine(name, key_id, time.to_bytes(8, "big") + identity.sign(_cosigned(text, time)))


def from_base64(text: str, what: str) -> bytes:
    """Return what a text stands for in base 64 (RFC 4648, section 4). Raises `ProtocolError` for any other writing."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if base64.b64encode(data).decode() != text:
        raise ProtocolError(f"expected {what} in base 64, found {text[:24]!r}")
    return data


def _signature_line(line: str) -> SignatureLine:
    found = _LINE.fullmatch(line)
    if not found:
        raise ProtocolError(f"expected a signature line of a note, found {line[:24]!r}")
    data = from_base64(found[2], "a signature")
    if len(data) <= 4:
        raise ProtocolError(f"expected a key ID of 4 bytes and a signature, found {len(data)} bytes")
    return SignatureLine(found[1], data[:4], data[4:])


def _cosigned(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()
