"""Labelled frames, and a channel that sends them to one peer and receives them from it.

A frame is a fixed header, a label and a raw body::

    2 B magic "CP" | 1 B version | 1 B label length | 4 B sequence number | 8 B body length | label | body

The label names the message, as in ``garbled/0/relu(32, 8)/400/tables``. A receiver says which label it expects and,
where it can, which length. Anything else is a :class:`~mpc.errors.ProtocolError`.

A conversation is ordered and half-duplex. At any time one side speaks and the other listens, because two sides that
both send first can jam, and two threads on one TLS socket fail. Confidentiality and authentication come from the
transport.
"""

from __future__ import annotations

import struct
import threading
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import msgspec

from mpc.errors import ParameterError, ProtocolError
from mpc.ring import Words, pack_words, packed_size, unpack_words

WIRE_VERSION = 1
_MAGIC = b"CP"
_HEADER = struct.Struct("<2sBBIQ")
LARGEST_BODY = 1 << 30  # bytes
_JOINED_BODY = 1 << 16  # a body up to this size leaves in one write with its header

_DECODERS = threading.Lock()  # to be held for `_decoder`

Buffer = bytes | bytearray | memoryview
Message = TypeVar("Message", bound=msgspec.Struct)


@cache
def _decoder(kind: type[Message]) -> msgspec.msgpack.Decoder[Message]:
    """Return the decoder for one kind of message. The caller holds ``_DECODERS``.

    msgspec (0.22) looks into a class when it first meets it, and may crash where two threads meet it at once.
    """
    return msgspec.msgpack.Decoder(kind, strict=True)


@dataclass
class Traffic:
    """Bytes of one step over one channel, with headers."""

    sent: int = 0
    received: int = 0


class Channel(ABC):
    """A conversation with one peer in labelled frames. Subclasses move the bytes.

    Attributes:
        peer: name of the party at the other end.
        deadline_s: longest wait for one message, in seconds.
        step: the step of the protocol that goes on, see :meth:`in_step`.
        traffic: bytes by step.
    """

    def __init__(self, peer: str, deadline_s: float) -> None:
        self.peer = peer
        self.deadline_s = deadline_s
        self.step = ""
        self.traffic: dict[str, Traffic] = defaultdict(Traffic)
        self._sent_frames = 0
        self._received_frames = 0

    @abstractmethod
    def _write(self, parts: list[Buffer]) -> None:
        """Send the parts in order. Raises TransportError."""

    @abstractmethod
    def _read(self, target: memoryview, expires: float) -> None:
        """Fill ``target`` before the monotonic instant ``expires``. Raises TransportError or DeadlineError."""

    @abstractmethod
    def close(self) -> None:
        """End the conversation. It may be ended again."""

    @contextmanager
    def in_step(self, step: str) -> Iterator[Channel]:
        """Count traffic under ``step``, which errors name, too."""
        outer, self.step = self.step, step
        try:
            yield self
        finally:
            self.step = outer

    @contextmanager
    def naming_peer(self) -> Iterator[None]:
        """Add peer and step to a ProtocolError of a layer that knows neither."""
        try:
            yield
        except ProtocolError as error:
            if error.peer:
                raise
            raise ProtocolError(str(error.args[0]), peer=self.peer, step=self.step) from error

    def send(self, label: str, *parts: Buffer) -> None:
        """Send one frame whose body is the parts, one after the other."""
        name = label.encode("ascii")
        length = sum(memoryview(part).nbytes for part in parts)
        if len(name) > 255 or length > LARGEST_BODY:
            raise ParameterError(
                f"expected at most 255 B of label and {LARGEST_BODY} B of body, found {len(name)} and {length}"
            )
        head = _HEADER.pack(_MAGIC, WIRE_VERSION, len(name), self._sent_frames & 0xFFFFFFFF, length) + name
        if length <= _JOINED_BODY:
            self._write([b"".join((head, *parts))])
        else:
            self._write([head, *parts])
        self._sent_frames += 1
        self.traffic[self.step].sent += len(head) + length

    def recv(self, label: str, size: int | None = None, *, limit: int = LARGEST_BODY) -> memoryview:
        """Receive the next frame, which must carry ``label``.

        Args:
            label: the message that the protocol expects now.
            size: its exact length in bytes, where the protocol fixes the length.
            limit: the longest body that is accepted where the protocol does not.
        """
        expires = time.monotonic() + self.deadline_s
        body = memoryview(bytearray(self._read_head(label, size, limit, expires)))
        self._read_body(body, expires)
        return body.toreadonly()

    def recv_into(self, label: str, target: memoryview) -> None:
        """Receive the next frame, whose body must have the length of ``target``, into that memory.

        Large messages that follow each other need no fresh pages so.
        """
        expires = time.monotonic() + self.deadline_s
        self._read_head(label, len(target), LARGEST_BODY, expires)
        self._read_body(target, expires)

    def _read_head(self, label: str, size: int | None, limit: int, expires: float) -> int:
        """Receive and check all that comes before a body, and return the body's length."""
        head = bytearray(_HEADER.size)
        self._read(memoryview(head), expires)
        magic, version, name_length, sequence, length = _HEADER.unpack(head)
        if magic != _MAGIC or version != WIRE_VERSION:
            raise self._mismatch(f"a frame of version {WIRE_VERSION} for '{label}'", "another format")
        name = bytearray(name_length)
        self._read(memoryview(name), expires)
        if name != label.encode("ascii"):
            raise self._mismatch(f"message '{label}'", f"message '{name.decode('ascii', 'replace')}'")
        if sequence != self._received_frames & 0xFFFFFFFF:
            raise self._mismatch(f"frame number {self._received_frames} for '{label}'", f"{sequence}")
        if size is not None and length != size:
            raise self._mismatch(f"{size} bytes in '{label}'", f"{length}")
        if length > limit:
            raise self._mismatch(f"at most {limit} bytes in '{label}'", f"{length}")
        self.traffic[self.step].received += _HEADER.size + name_length
        return int(length)

    def _read_body(self, target: memoryview, expires: float) -> None:
        self._read(target, expires)
        self._received_frames += 1
        self.traffic[self.step].received += len(target)

    def send_words(self, label: str, words: Words, bits: int) -> None:
        """Send ring elements of Z_2^bits, bit-packed."""
        self.send(label, pack_words(words, bits))

    def recv_words(self, label: str, shape: tuple[int, ...], bits: int) -> Words:
        """Receive ring elements of Z_2^bits. The length must be that of the shape."""
        count = 1
        for extent in shape:
            count *= extent
        body = self.recv(label, packed_size(count, bits))
        with self.naming_peer():
            return unpack_words(body, shape, bits)

    def send_message(self, label: str, message: msgspec.Struct) -> None:
        """Send a typed control message (MessagePack)."""
        self.send(label, msgspec.msgpack.encode(message))

    def recv_message(self, label: str, kind: type[Message], *, limit: int = 1 << 20) -> Message:
        """Receive a typed control message. Unknown fields, wrong types and leftover bytes are refused."""
        body = self.recv(label, limit=limit)
        with _DECODERS:
            decoder: msgspec.msgpack.Decoder[Message] = _decoder(kind)
        try:
            return decoder.decode(body)
        except msgspec.DecodeError as error:
            raise self._mismatch(f"a {kind.__name__} in '{label}'", f"({error})") from error

    def _mismatch(self, expected: str, found: str) -> ProtocolError:
        return ProtocolError(f"expected {expected}, found {found}", peer=self.peer, step=self.step)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(peer={self.peer!r})"
