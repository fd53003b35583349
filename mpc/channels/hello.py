"""The first messages each way, by which two parties see that they are in the same run.

dialling side                                             listening side
role, session, digest, wire version  ------------------>
                                     <------------------  role, session, digest, wire version
only where the digests differ:
public parameters                    ------------------>
                                     <------------------  public parameters

Both sides then name every parameter that differs, with both values. All of these messages hold public values only.

A listening side may have no session of its own. It then takes the session of the first fitting hello (`Admission`), and
tells others to come again.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from mpc.channels.frames import WIRE_VERSION, Channel
from mpc.errors import BusyError, PeerError, ProtocolError, RefusedError, TransportError

_HELLO_BYTES = 1 << 12  # the longest hello
_AGREED_BYTES = 1 << 16  # the longest list of public parameters
_DIFFERENCE_S = 3.0  # how long the other side's list may take
_LISTED = 8  # differences that a sentence lists
_SHOWN = 80  # characters of a value that a sentence shows


class Hello(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a party says of itself.

    Attributes:
        role: its part in the protocol.
        session: the run that it is in.
        parameters: digest of the public parameters that all parties must agree on, see :func:`digest_of`.
        version: of the frames.
        refused: why the party goes no further, where it does not. It expects another name in the peer's certificate
            ("name"), or serves another session now ("busy").
    """

    role: str
    session: str
    parameters: str
    version: int = WIRE_VERSION
    refused: Literal["name", "busy"] | UnsetType = UNSET


class Agreed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The public parameters behind a digest, each by its name, with the value as text."""

    parameters: dict[str, str]


def digest_of(parameters: Mapping[str, str]) -> str:
    """Return the SHA-256, in hex, of the parameters' canonical encoding, which is MessagePack in the order of names."""
    return hashlib.sha256(msgspec.msgpack.encode(sorted(parameters.items()))).hexdigest()


CHECKING = "checking"
"""The role of a party that looks whether a service would accept it, and hangs up."""

NO_SESSION = "none"
"""What a listening side says of its session before it has taken one."""

_SESSION = re.compile(r"[a-z0-9-]{1,63}/[0-9a-f]{32}")


def session_of(name: str, digits: str) -> str:
    """Return the name of a session that this party opens, which says whose it is. `digits` are 32 hex digits."""
    return f"{name}/{digits}"


class Admission:
    """The one session of a listening side that has none of its own. The first fitting hello brings it.

    A service that goes on and on has one session from the beginning, whose name all members know.

    A session is called after the party that opened it (`session_of`), whose certificate has the same name. So all
    parties of the session know that they serve the same one. Several threads may use an admission at once.
    """

    def __init__(self, session: str = "") -> None:
        self._lock = threading.Lock()
        self._session = session
        self._brought_by: object = None

    @property
    def session(self) -> str:
        """The session, or nothing before there is one."""
        with self._lock:
            return self._session

    def answer(self, own: Hello, other: Hello, role: str | None, peer: str, arrival: object) -> Hello:
        """Return this side's hello to a peer that should have this role, after taking its session if that fits.

        A peer that only checks gets the answer that it would get in its own session. One that has no role now is told
        to come again while there is a session, and is refused for its name before. `arrival` stands for the
        connection, see :meth:`withdraw`.
        """
        if other.role == CHECKING:
            return msgspec.structs.replace(own, session=other.session)
        fits = (other.version, other.role, other.parameters) == (own.version, role, own.parameters)
        opens = _SESSION.fullmatch(other.session) is not None and other.session.rpartition("/")[0] == peer
        with self._lock:
            if self._session and other.session != self._session:
                return msgspec.structs.replace(own, refused="busy")
            if role is None:
                return msgspec.structs.replace(own, refused="name")
            if not self._session and not opens:
                return own
            if not self._session and fits:
                self._session, self._brought_by = other.session, arrival
        return msgspec.structs.replace(own, session=other.session)

    def withdraw(self, arrival: object) -> None:
        """Forget the session if this connection has brought it and came to nothing."""
        with self._lock:
            if self._brought_by is arrival:
                self._session, self._brought_by = "", None


def exchange_hello(
    channel: Channel,
    own: Hello,
    expected_role: str | None,
    *,
    speaks_first: bool,
    agreed: Mapping[str, str] | None = None,
    answer: Callable[[Hello], Hello] | None = None,
) -> Hello:
    """Send this side's hello, and return the other side's.

    Args:
        expected_role: the other side's. None refuses the other side, unless it only checks.
        answer: of a side that does not speak first, returns what it says after it has read the other side's hello. None
            stands for ``own``.
        agreed: the parameters that ``own.parameters`` is the digest of. Where both sides have them, the error for
            other parameters names each that differs. Without them it can only show the digests.

    Raises:
        RefusedError: the other side expects another name in this party's certificate.
        BusyError: the listening side serves another session now.
        ProtocolError: the other side has another role than expected, or the two differ in anything else.
    """
    with channel.in_step("hello"):
        return _exchange_hello(channel, own, expected_role, speaks_first, agreed, answer)


def _exchange_hello(
    channel: Channel,
    own: Hello,
    expected_role: str | None,
    speaks_first: bool,
    agreed: Mapping[str, str] | None,
    answer: Callable[[Hello], Hello] | None,
) -> Hello:
    if speaks_first:
        with suppress(TransportError):  # a refusal may have come before, and is to be read now
            channel.send_message("hello", own)
        other = channel.recv_message("hello", Hello, limit=_HELLO_BYTES)
    else:
        other = channel.recv_message("hello", Hello, limit=_HELLO_BYTES)
        own = answer(other) if answer else own
        if other.refused is UNSET:
            channel.send_message("hello", own)
    if "busy" in (own.refused, other.refused):
        raise BusyError("the listening side serves another session", peer=channel.peer, step="hello")
    if own.refused == "name":
        raise RefusedError("this party is not expected now", peer=channel.peer, step="hello")
    if other.refused is not UNSET:
        raise RefusedError(
            "the peer refused this party: it expects another name in this party's certificate",
            peer=channel.peer,
            step="hello",
        )
    differences = f"expected digest of public parameters {own.parameters}, found {other.parameters}"
    if agreed is not None and _alike_but_for_parameters(own, other):
        differences = _exchange_parameters(channel, agreed, other, differences, speaks_first=speaks_first)
    for what, expected, found in (
        ("wire version", own.version, other.version),
        ("role", CHECKING if answer and other.role == CHECKING else expected_role, other.role),
        ("session", own.session, other.session),
    ):
        if expected != found:
            raise ProtocolError.mismatch(what, _shown(expected), _shown(found), peer=channel.peer, step="hello")
    if own.parameters != other.parameters:
        raise ProtocolError(differences, peer=channel.peer, step="hello")
    if answer and other.role == CHECKING:
        raise RefusedError("it only checked, and found the same parameters", peer=channel.peer, step="hello")
    return other


def _alike_but_for_parameters(own: Hello, other: Hello) -> bool:
    """Return whether both sides, which see the same two hellos, exchange their parameters."""
    return (own.version, own.session) == (other.version, other.session) and own.parameters != other.parameters


def _exchange_parameters(
    channel: Channel, agreed: Mapping[str, str], other: Hello, differences: str, *, speaks_first: bool
) -> str:
    """Send this side's parameters and return what differs in the other side's, or ``differences`` without them."""
    patience_s, channel.deadline_s = channel.deadline_s, min(channel.deadline_s, _DIFFERENCE_S)
    try:
        if speaks_first:
            channel.send_message("hello/parameters", Agreed(dict(agreed)))
        theirs = channel.recv_message("hello/parameters", Agreed, limit=_AGREED_BYTES).parameters
        if not speaks_first:
            channel.send_message("hello/parameters", Agreed(dict(agreed)))
    except PeerError:
        return differences  # the hello is refused all the same
    finally:
        channel.deadline_s = patience_s
    if digest_of(theirs) != other.parameters:
        return f"{differences}, whose parameters have another digest ({digest_of(theirs)})"
    return differing(agreed, theirs, channel.peer)


def differing(own: Mapping[str, str], theirs: Mapping[str, str], peer: str) -> str:
    """Return a sentence that names each parameter with other values here and at ``peer``, which may say anything."""
    names = [name for name in (*own, *sorted(theirs.keys() - own.keys())) if own.get(name) != theirs.get(name)]
    shown = [f"{_shown(name)}: here {_value(own, name)}, at {peer} {_value(theirs, name)}" for name in names[:_LISTED]]
    more = [f"and {len(names) - _LISTED} more"] if len(names) > _LISTED else []
    return f"the public parameters differ in {'; '.join(shown + more)}"


def _value(parameters: Mapping[str, str], name: str) -> str:
    return _shown(parameters[name]) if name in parameters else "absent"


def _shown(value: object) -> str:
    """Return what a peer may have sent for a sentence, which is cut to a length and in printable ASCII."""
    text = str(value)
    text = text if text.isascii() and text.isprintable() else ascii(text)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
