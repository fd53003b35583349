"""Records as bytes, in one way only. Two different byte strings never stand for the same record.

A record is a frozen dataclass whose fields have been declared by :func:`coded`. Its encoding is that of its fields in
order. Integers have fixed widths with the highest byte first. What has no fixed length is preceded by its length or
its count. Decoding refuses leftover bytes, so whatever decodes encodes to the same bytes again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Protocol, TypeVar

from mpc.errors import ParameterError, ProtocolError

R = TypeVar("R")

MOST_NAME = 128
NAME = re.compile(rf"[a-z0-9][a-z0-9._/-]{{0,{MOST_NAME - 1}}}")
"""Names of logs, tasks, functions and identities. No space and no plus sign, which signed notes forbid."""


class Reader:
    """Bytes that are read from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int, what: str) -> bytes:
        """Return the next bytes. Raises `ProtocolError` where there are fewer."""
        end = self._at + count
        if end > len(self._data):
            raise ProtocolError(f"expected {count} bytes of {what}, found {len(self._data) - self._at}")
        part, self._at = self._data[self._at : end], end
        return part

    def end(self, what: str) -> None:
        """Raise `ProtocolError` where bytes are left."""
        if left := len(self._data) - self._at:
            raise ProtocolError(f"expected the end of {what}, found {left} more bytes")


class Codec(Protocol):
    """How values of one type are written and read. `what` names the value in sentences."""

    def write(self, out: bytearray, value: Any, what: str) -> None:
        """Append the value's bytes. Raises `ParameterError` for a value that has none."""
        ...

    def read(self, data: Reader, what: str) -> Any:
        """Return the next value. Raises `ProtocolError` where it is not written as :meth:`write` does."""
        ...


@dataclass(frozen=True)
class Unsigned:
    """An integer from 0 to 256^size - 1."""

    size: int

    def write(self, out: bytearray, value: Any, what: str) -> None:
        if not isinstance(value, int) or not 0 <= value < 1 << 8 * self.size:
            raise ParameterError(f"expected {what} from 0 to 2^{8 * self.size} - 1, found {value!r}")
        out += value.to_bytes(self.size, "big")

    def read(self, data: Reader, what: str) -> int:
        return int.from_bytes(data.take(self.size, what), "big")


@dataclass(frozen=True)
class Fixed:
    """A byte string of one length."""

    size: int

    def write(self, out: bytearray, value: Any, what: str) -> None:
        if not isinstance(value, bytes) or len(value) != self.size:
            found = f"{len(value)} bytes" if isinstance(value, bytes) else type(value).__name__
            raise ParameterError(f"expected {self.size} bytes of {what}, found {found}")
        out += value

    def read(self, data: Reader, what: str) -> bytes:
        return data.take(self.size, what)


@dataclass(frozen=True)
class Blob:
    """A byte string of any length up to a limit."""

    most: int

    def write(self, out: bytearray, value: Any, what: str) -> None:
        if not isinstance(value, bytes) or len(value) > self.most:
            found = f"{len(value)} bytes" if isinstance(value, bytes) else type(value).__name__
            raise ParameterError(f"expected at most {self.most} bytes of {what}, found {found}")
        out += len(value).to_bytes(4, "big") + value

    def read(self, data: Reader, what: str) -> bytes:
        size = int.from_bytes(data.take(4, what), "big")
        if size > self.most:
            raise ProtocolError(f"expected at most {self.most} bytes of {what}, found {size}")
        return data.take(size, what)


@dataclass(frozen=True)
class Name:
    """A name as :data:`NAME` allows it."""

    def write(self, out: bytearray, value: Any, what: str) -> None:
        if not isinstance(value, str) or not NAME.fullmatch(value):
            raise ParameterError(f"expected as {what} a name of a-z, 0-9, '.', '_', '/' and '-', found {value!r}")
        out += bytes([len(value)]) + value.encode("ascii")

    def read(self, data: Reader, what: str) -> str:
        raw = data.take(data.take(1, what)[0], what)
        text = raw.decode("ascii", "replace")
        if not NAME.fullmatch(text):
            raise ProtocolError(f"expected as {what} a name of a-z, 0-9, '.', '_', '/' and '-', found {raw!r}")
        return text


@dataclass(frozen=True)
class Many:
    """A tuple of values of one type."""

    item: Codec
    most: int

    def write(self, out: bytearray, value: Any, what: str) -> None:
        if not isinstance(value, tuple) or len(value) > self.most:
            found = f"{len(value)}" if isinstance(value, Sequence) else type(value).__name__
            raise ParameterError(f"expected a tuple of at most {self.most} {what}, found {found}")
        out += len(value).to_bytes(4, "big")
        for item in value:
            self.item.write(out, item, what)

    def read(self, data: Reader, what: str) -> tuple[Any, ...]:
        count = int.from_bytes(data.take(4, what), "big")
        if count > self.most:
            raise ProtocolError(f"expected at most {self.most} {what}, found {count}")
        return tuple(self.item.read(data, what) for _ in range(count))


@dataclass(frozen=True)
class Nested:
    """A record within a record."""

    kind: type[Any]

    def write(self, out: bytearray, value: Any, what: str) -> None:
        if type(value) is not self.kind:
            raise ParameterError(f"expected {what} of type {self.kind.__name__}, found {type(value).__name__}")
        _write(out, value)

    def read(self, data: Reader, what: str) -> Any:
        return _read(self.kind, data)


U8, U16, U32, U64 = Unsigned(1), Unsigned(2), Unsigned(4), Unsigned(8)
DIGEST = KEY = Fixed(32)
SIGNATURE = Fixed(64)


def coded(codec: Codec) -> Any:
    """Return a dataclass field that is encoded so."""
    return field(metadata={"codec": codec})


class Record:
    """Base of all records. A subclass may look at whole records in `check`, which is called in both directions."""

    _layouts: ClassVar[dict[type, tuple[tuple[str, Codec], ...]]] = {}

    def check(self) -> str:
        """Return what is wrong with this record, or nothing."""
        return ""


def encode(record: Record) -> bytes:
    """Return the bytes of a record. Raises `ParameterError` where a field is out of its range."""
    out = bytearray()
    _write(out, record)
    return bytes(out)


def decode(kind: type[R], data: bytes) -> R:
    """Return the record that these bytes stand for. Raises `ProtocolError` where they stand for none."""
    reader = Reader(data)
    record = _read(kind, reader)
    reader.end(kind.__name__)
    return record


def _layout(kind: type[Any]) -> tuple[tuple[str, Codec], ...]:
    found = Record._layouts.get(kind)
    if found is None:
        found = tuple((one.name, one.metadata["codec"]) for one in fields(kind))
        Record._layouts[kind] = found
    return found


def _write(out: bytearray, record: Any) -> None:
    if complaint := record.check():
        raise ParameterError(complaint)
    for name, codec in _layout(type(record)):
        codec.write(out, getattr(record, name), name)


def _read(kind: type[R], data: Reader) -> R:
    record = kind(**{name: codec.read(data, name) for name, codec in _layout(kind)})
    if complaint := record.check():  # type: ignore[attr-defined]
        raise ProtocolError(complaint)
    return record
