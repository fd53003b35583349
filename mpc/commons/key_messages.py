"""The messages of a session that makes a key. Each is signed by its sender, for one session, place and kind.

All of them are public, and all trustees must see the same ones in the same order. A log gives them that, in which an
encoded :class:`KeyMessage` may stand as it is. What is for one trustee alone is sealed to it within a public message.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from mpc.commons.committee import POINT, KeySetup
from mpc.commons.encoding import DIGEST, SIGNATURE, U8, Blob, Fixed, Many, Nested, Record, coded, decode, encode
from mpc.commons.founding import MOST_TRUSTEES
from mpc.commons.group import SCALAR_BYTES, SecretScalar
from mpc.commons.identities import Identity, is_signed
from mpc.commons.sealing import Sealed
from mpc.errors import ParameterError, ProtocolError

SCALAR = Fixed(SCALAR_BYTES)
MOST_BODY_BYTES = 1 << 16


class Phase(IntEnum):
    """Where a session is. Each but the last two ends when all have spoken who must, or by :class:`Close`."""

    ANNOUNCE = 1
    DEAL = 2
    COMPLAIN = 3
    ANSWER = 4
    REVEAL = 5
    OBJECT = 6
    RECOVER = 7
    DONE = 8
    FAILED = 9


@dataclass(frozen=True)
class Opening(Record):
    """A share and its blinding, made public. `place` is that of the other trustee, see the message it is in."""

    place: int = coded(U8)
    share: bytes = coded(SCALAR)
    blinding: bytes = coded(SCALAR)

    def values(self) -> tuple[SecretScalar, SecretScalar]:
        """Return both scalars. Raises `ProtocolError` where they are none."""
        return read_shares(self.share, self.blinding)


@dataclass(frozen=True)
class Announce(Record):
    """A fresh key of the sender, to which dealers seal its shares."""

    point: bytes = coded(POINT)


@dataclass(frozen=True)
class Handover(Record):
    """The values of a dealer's two polynomials for one trustee, which are sealed to it."""

    share: bytes = coded(SCALAR)
    blinding: bytes = coded(SCALAR)

    def __repr__(self) -> str:
        return "Handover(<hidden>)"


@dataclass(frozen=True)
class SealedHandover(Record):
    """A handover for one trustee, as everybody sees it."""

    receiver: int = coded(U8)
    sealed: Sealed = coded(Nested(Sealed))  # noqa: RUF009  (a field, as all others)


@dataclass(frozen=True)
class Deal(Record):
    """Pedersen's commitments to the coefficients of the sender's polynomial, and handovers to all who announced a key.

    They stand in one message, so that nobody sees the commitments and lacks its share.
    """

    commitments: tuple[bytes, ...] = coded(Many(POINT, MOST_TRUSTEES))
    handovers: tuple[SealedHandover, ...] = coded(Many(Nested(SealedHandover), MOST_TRUSTEES))


@dataclass(frozen=True)
class Complaints(Record):
    """The dealers whose handover does not open, or does not fit their commitments. Mostly none."""

    dealers: tuple[int, ...] = coded(Many(U8, MOST_TRUSTEES))

    def check(self) -> str:
        return "" if list(self.dealers) == sorted(set(self.dealers)) else "expected different dealers in order"


@dataclass(frozen=True)
class _Openings(Record):
    openings: tuple[Opening, ...] = coded(Many(Nested(Opening), MOST_TRUSTEES))

    def check(self) -> str:
        places = [one.place for one in self.openings]
        return "" if places == sorted(set(places)) else "expected openings of different trustees in order"


@dataclass(frozen=True)
class Answers(_Openings):
    """A dealer opens what it has handed to each trustee, `place`, that has complained."""


@dataclass(frozen=True)
class Reveal(Record):
    """Feldman's commitments to the coefficients of the sender's polynomial."""

    commitments: tuple[bytes, ...] = coded(Many(POINT, MOST_TRUSTEES))


@dataclass(frozen=True)
class Objections(_Openings):
    """The sender's shares of those dealers, `place`, whose two commitments are not to one polynomial. Mostly none."""


@dataclass(frozen=True)
class Recovery(_Openings):
    """The sender's shares of those dealers, `place`, whose polynomial must be opened."""


@dataclass(frozen=True)
class Close(Record):
    """The sender has waited long enough for those who have not spoken in a phase."""

    phase: int = coded(U8)

    def check(self) -> str:
        known = Phase.ANNOUNCE <= self.phase <= Phase.RECOVER
        return "" if known else f"expected a phase from {Phase.ANNOUNCE:d} to {Phase.RECOVER:d}, found {self.phase}"


KINDS: dict[int, type[Record]] = dict(
    enumerate((Announce, Deal, Complaints, Answers, Reveal, Objections, Recovery, Close), 1)
)
_NUMBERS = {body: kind for kind, body in KINDS.items()}
PHASES: dict[type[Record], Phase] = {
    Announce: Phase.ANNOUNCE,
    Deal: Phase.DEAL,
    Complaints: Phase.COMPLAIN,
    Answers: Phase.ANSWER,
    Reveal: Phase.REVEAL,
    Objections: Phase.OBJECT,
    Recovery: Phase.RECOVER,
}


@dataclass(frozen=True)
class KeyMessage(Record):
    """What a trustee says in a session. `kind` is a number of :data:`KINDS`."""

    session: bytes = coded(DIGEST)
    sender: int = coded(U8)
    kind: int = coded(U8)
    body: bytes = coded(Blob(MOST_BODY_BYTES))
    signature: bytes = coded(SIGNATURE)

    def check(self) -> str:
        return "" if self.kind in KINDS else f"expected a kind of message from 1 to {max(KINDS)}, found {self.kind}"

    def contents(self) -> Record:
        """Return the body as a record. Raises `ProtocolError`."""
        return decode(KINDS[self.kind], self.body)

    def __repr__(self) -> str:
        return f"KeyMessage({KINDS[self.kind].__name__} of {self.sender})"


def sign_message(setup: KeySetup, sender: int, identity: Identity, contents: Record) -> bytes:
    """Return the encoded message by which a trustee says something. Raises `ParameterError` for another's key."""
    if identity.key != setup.keys[sender]:
        raise ParameterError(f"expected the identity of trustee {sender}, found {identity.key.hex()[:16]}")
    kind, body = _NUMBERS[type(contents)], encode(contents)
    signature = identity.sign(_signed(setup.session, sender, kind, body))
    return encode(KeyMessage(setup.session, sender, kind, body, signature))


def open_message(setup: KeySetup, data: bytes) -> KeyMessage:
    """Return a message of this session. Its body is not looked at.

    Raises:
        ProtocolError: it is not of this session, or not by the trustee that it names. Nobody can be blamed for it.
    """
    message = decode(KeyMessage, data)
    if message.session != setup.session:
        found = message.session.hex()[:16]
        raise ProtocolError(f"expected a message of key session {setup.session.hex()[:16]}, found one of {found}")
    if message.sender >= len(setup.keys):
        raise ProtocolError(f"expected a sender from 0 to {len(setup.keys) - 1}, found {message.sender}")
    signed = _signed(message.session, message.sender, message.kind, message.body)
    if not is_signed(setup.keys[message.sender], message.signature, signed):
        raise ProtocolError(f"expected the signature of trustee {message.sender} on {message!r}, found another")
    return message


def handover_label(setup: KeySetup, dealer: int, receiver: int) -> bytes:
    """Return the label of a sealed handover."""
    return b"commons handover v1\n" + setup.session + bytes([dealer, receiver])


def read_shares(share: bytes, blinding: bytes) -> tuple[SecretScalar, SecretScalar]:
    """Return both as scalars. Raises `ProtocolError` where they are none."""
    try:
        return SecretScalar(share), SecretScalar(blinding)
    except ParameterError as error:
        raise ProtocolError(str(error)) from None


def _signed(session: bytes, sender: int, kind: int, body: bytes) -> bytes:
    return b"commons key message v1\n" + session + bytes([sender, kind]) + body
