"""Labelled frames, and a channel that sends them to one peer and receives them from it.

A frame is a fixed header, a label and a raw body::

    2 B magic "CP" | 1 B version | 1 B label length | 4 B sequence number | 8 B body length | label | body

The label names the message, as in ``garbled/0/relu(32, 8)/400/tables``. A receiver says which label it expects and,
where it can, which length. Anything else is a :class:`~mpc.errors.ProtocolError`.

One label is expected everywhere: with ``lost`` a side says, before it leaves, which party it has lost. The receiver's
error names that party and who said so.

A conversation is ordered and half-duplex. At any time one side speaks and the other listens, because two sides that
both send first can jam, and two threads on one TLS socket fail. The exception is :func:`exchange_all`, by which all
sides send and receive at once, in one thread. Confidentiality and authentication come from the transport.
"""

from __future__ import annotations

import re
import select
import struct
import threading
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import msgspec
import numpy as np

from mpc.errors import DeadlineError, ParameterError, ProtocolError, TransportError
from mpc.ring import Words, pack_words, packed_size, unpack_words

WIRE_VERSION = 1
_MAGIC = b"CP"
_HEADER = struct.Struct("<2sBBIQ")
LARGEST_BODY = 1 << 30  # bytes
_JOINED_BODY = 1 << 16  # a body up to this size leaves in one write with its header
SMALL_BODY = 1 << 18  # in an exchange, a body up to this size may be sent before the other side's is received

_LOST = "lost"
_LOST_WITHIN_S = 1.0  # for a word that is a courtesy
_NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)  # of a party

_DECODERS = threading.Lock()  # to be held for `_decoder`

Buffer = bytes | bytearray | memoryview
Message = TypeVar("Message", bound=msgspec.Struct)


def frame_size(label: str, body: int) -> int:
    """Return the bytes of a frame with this label and a body of so many bytes."""
    return _HEADER.size + len(label) + body


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
        small_body: bytes of a body that leaves at once, although the peer receives nothing yet.
    """

    small_body = SMALL_BODY

    def __init__(self, peer: str, deadline_s: float) -> None:
        self.peer = peer
        self.deadline_s = deadline_s
        self.step = ""
        self.traffic: dict[str, Traffic] = defaultdict(Traffic)
        self._sent_frames = 0
        self._received_frames = 0
        self._busy = threading.Lock()  # held while a frame is on its way
        self._broken_off = False  # whether a part of a frame has left, and the rest never will

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
        with self._busy:
            self._write(self._outgoing(label, *parts))

    def say_lost(self, name: str) -> None:
        """Tell the peer that this side leaves because it lost the party `name`. Any thread may do so.

        Nothing may be sent after it. It does nothing where a frame is on its way or was broken off, or where the peer
        has left.
        """
        if name == self.peer or not _NAME.fullmatch(name) or not self._busy.acquire(blocking=False):
            return
        try:
            if self._broken_off:
                return
            self.deadline_s = min(self.deadline_s, _LOST_WITHIN_S)
            self._write(self._outgoing(_LOST, name.encode("ascii")))
        except TransportError:
            pass  # the peer notices by itself
        finally:
            self._busy.release()

    def _outgoing(self, label: str, *parts: Buffer) -> list[Buffer]:
        """Return the next frame in pieces, and count it as sent."""
        name = label.encode("ascii")
        length = sum(memoryview(part).nbytes for part in parts)
        if len(name) > 255 or length > LARGEST_BODY:
            raise ParameterError(
                f"expected at most 255 B of label and {LARGEST_BODY} B of body, found {len(name)} and {length}"
            )
        head = _HEADER.pack(_MAGIC, WIRE_VERSION, len(name), self._sent_frames & 0xFFFFFFFF, length) + name
        self._sent_frames += 1
        self.traffic[self.step].sent += len(head) + length
        return [b"".join((head, *parts))] if length <= _JOINED_BODY else [head, *parts]

    def recv(self, label: str, size: int | None = None, *, limit: int = LARGEST_BODY) -> memoryview:
        """Receive the next frame, which must carry ``label``.

        Args:
            label: the message that the protocol expects now.
            size: its exact length in bytes, where the protocol fixes the length.
            limit: the longest body that is accepted where the protocol does not.
        """
        return self._take(label, size, limit, None).toreadonly()

    def recv_into(self, label: str, target: memoryview) -> None:
        """Receive the next frame, whose body must have the length of ``target``, into that memory.

        Large messages that follow each other need no fresh pages so.
        """
        self._take(label, len(target), LARGEST_BODY, target)

    def exchange(self, label: str, body: Buffer, size: int) -> memoryview:
        """Send a body, and at the same time receive one of ``size`` bytes under the same label.

        Neither side waits for the other to speak first, and bodies of any length do not jam. Everything must have
        crossed within the deadline.

        Raises:
            ProtocolError: another label, length or number of the frame.
            TransportError: the connection broke. DeadlineError: the peer is late.
        """
        target = np.empty(size, dtype=np.uint8).data
        exchange_all(label, [(self, [body], target)])
        return target.toreadonly()

    @abstractmethod
    def begin_exchange(self, label: str, parts: Sequence[Buffer] | None, target: memoryview | None) -> Exchange:
        """Return one frame each way, to be moved by :func:`exchange_all`. None is no frame."""

    def _take(self, label: str, size: int | None, limit: int, target: memoryview | None) -> memoryview:
        """Receive the next frame within the deadline, and return its body, which is `target` where that is given."""
        expires = time.monotonic() + self.deadline_s
        with self._busy:
            if (body := self._take_whole(label, size, limit, target, expires)) is not None:
                return body
            parts = self._incoming(label, size, limit, target)
            while True:
                try:
                    part = next(parts)
                except StopIteration as end:
                    return end.value  # type: ignore[no-any-return]  # the generator's
                self._read(part, expires)

    def _take_whole(
        self, label: str, size: int | None, limit: int, target: memoryview | None, expires: float
    ) -> memoryview | None:
        """Return the body of the next frame if all of it is at hand, and None to have it received part by part."""
        return None

    def _whole_frame(
        self, unread: memoryview, label: str, size: int | None, limit: int, target: memoryview | None
    ) -> tuple[memoryview, memoryview] | None:
        """Return the body of the frame that `unread` begins with, and what follows the frame.

        Return None, and change nothing, where the frame is not there as a whole or is not what is expected. Then
        :meth:`_incoming` finds what is wrong with it.
        """
        name = label.encode("ascii")
        begin = _HEADER.size + len(name)
        if len(unread) < begin or unread[_HEADER.size : begin] != name:
            return None
        magic, version, name_length, sequence, length = _HEADER.unpack_from(unread)
        end = begin + length
        expected = (_MAGIC, WIRE_VERSION, len(name), self._received_frames & 0xFFFFFFFF)
        if (magic, version, name_length, sequence) != expected or end > len(unread):
            return None
        if length > limit or (size is not None and length != size):
            return None
        body = np.empty(length, dtype=np.uint8).data if target is None else target
        body[:] = unread[begin:end]
        self._received_frames += 1
        self.traffic[self.step].received += end
        return body, unread[end:]

    def _incoming(
        self, label: str, size: int | None, limit: int, target: memoryview | None = None
    ) -> Generator[memoryview, None, memoryview]:
        """Yield the parts of the next frame, each of which is filled before the next is asked for. Return the body.

        All that comes before a body is checked before the body is asked for.
        """
        head = bytearray(_HEADER.size)
        yield memoryview(head)
        magic, version, name_length, sequence, length = _HEADER.unpack(head)
        if magic != _MAGIC or version != WIRE_VERSION:
            raise self._mismatch(f"a frame of version {WIRE_VERSION} for '{label}'", "another format")
        name = bytearray(name_length)
        yield memoryview(name)
        if name == _LOST.encode() and length <= 64:
            lost = bytearray(length)
            yield memoryview(lost)
            self._take_in_loss(lost)
        if name != label.encode("ascii"):
            raise self._mismatch(f"message '{label}'", f"message '{name.decode('ascii', 'replace')}'")
        if sequence != self._received_frames & 0xFFFFFFFF:
            raise self._mismatch(f"frame number {self._received_frames} for '{label}'", f"{sequence}")
        if size is not None and length != size:
            raise self._mismatch(f"{size} bytes in '{label}'", f"{length}")
        if length > limit:
            raise self._mismatch(f"at most {limit} bytes in '{label}'", f"{length}")
        self.traffic[self.step].received += _HEADER.size + name_length
        body = np.empty(length, dtype=np.uint8).data if target is None else target
        yield body
        self._received_frames += 1
        self.traffic[self.step].received += len(body)
        return body

    def _take_in_loss(self, name: Buffer) -> None:
        """Raise TransportError in the name of the party that the peer says it has lost, where it is a name."""
        if _NAME.fullmatch(who := bytes(name).decode("ascii", "replace")):
            raise TransportError(f"{self.peer} has no connection to it", peer=who, step=self.step)

    def _look_for_loss(self, unread: memoryview) -> None:
        """Raise as :meth:`_take_in_loss` where a frame among those that are not read yet says so. They stay unread."""
        while len(unread) >= _HEADER.size:
            magic, _, name_length, _, length = _HEADER.unpack(unread[: _HEADER.size])
            if magic != _MAGIC:
                return
            body = _HEADER.size + name_length
            if unread[_HEADER.size : body] == _LOST.encode() and length <= 64:
                self._take_in_loss(unread[body : body + length])
            unread = unread[body + length :]

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


class Exchange(ABC):
    """One frame each way over one channel, which move at the same time."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    @abstractmethod
    def move(self) -> bool:
        """Move what can be moved now, and return whether both frames have crossed. Raises as the channel does."""

    @property
    @abstractmethod
    def sent(self) -> bool:
        """Whether all of the frame to send has left."""

    @abstractmethod
    def awaited(self) -> tuple[int, int]:
        """Return the file and the events of ``poll`` after which :meth:`move` can go on."""

    @abstractmethod
    def end(self) -> None:
        """Leave the channel ready for what comes next."""


def exchange_all(label: str, messages: Sequence[tuple[Channel, Sequence[Buffer] | None, memoryview | None]]) -> None:
    """Send and receive one frame over each of many channels, all at once, in one thread.

    Args:
        label: of every frame.
        messages: for each channel the parts of the body to send, in bytes, and memory of the length of the body that is
            received. None stands for no frame in that direction.

    Raises:
        ProtocolError, TransportError: as :meth:`Channel.exchange`, of the first channel that fails.
    """
    if all(sum(map(len, parts or ())) <= channel.small_body for channel, parts, _ in messages):
        for channel, parts, _ in messages:
            if parts is not None:
                channel.send(label, *parts)
        for channel, _, target in messages:
            if target is not None:
                channel.recv_into(label, target)
        return
    expires = time.monotonic() + max(channel.deadline_s for channel, _, _ in messages)
    begun: list[Exchange] = []
    try:
        for message in messages:
            begun.append(message[0].begin_exchange(label, *message[1:]))
        pending = [exchange for exchange in begun if not exchange.move()]
        while pending:
            poll = select.poll()
            for exchange in pending:
                poll.register(*exchange.awaited())
            if not poll.poll(max(0.0, expires - time.monotonic()) * 1e3):
                late = pending[0].channel
                raise DeadlineError(
                    f"no message '{label}' within {late.deadline_s:g} s", peer=late.peer, step=late.step
                )
            pending = [exchange for exchange in pending if not exchange.move()]
    except TransportError:
        _send_the_rest(begun)
        raise
    finally:
        for exchange in begun:
            exchange.end()


def _send_the_rest(begun: Sequence[Exchange]) -> None:
    """Send what is left of frames that are half sent, for a moment. Then their peers can be told who was lost."""
    expires = time.monotonic() + _LOST_WITHIN_S
    waiting = [exchange for exchange in begun if not exchange.sent]
    while waiting and time.monotonic() < expires:
        poll = select.poll()
        for exchange in waiting:
            poll.register(*exchange.awaited())
        poll.poll(max(0.0, expires - time.monotonic()) * 1e3)
        for exchange in list(waiting):
            try:
                exchange.move()
            except (TransportError, ProtocolError):
                waiting.remove(exchange)  # it is lost as well
        waiting = [exchange for exchange in waiting if not exchange.sent]
