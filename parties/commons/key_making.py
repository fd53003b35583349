"""How the trustees make their key as processes: the sequencer orders their messages, and each takes all of them.

    trustee                                sequencer
    --  key  what it says, how many  ---->  appends to the one list
        messages it has
    <--  the messages behind those  ------

All trustees must receive the same messages in the same order. A sequencer that shows them different ones makes their
keys differ, and then no key gets the quorum that a log demands. A trustee that keeps silent is waited for in one phase
and not longer, once n - t trustees have said so.

What a trustee has of the key is on its disk before it registers the key.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpc.commons.committee import CommitteeKey, KeyShare
from mpc.commons.encoding import U8, U32, Blob, Fixed, Many, Record, coded, decode, encode
from mpc.commons.group import SCALAR_BYTES, SecretScalar
from mpc.commons.key_messages import MOST_BODY_BYTES, Phase
from mpc.commons.roles.trustee import TrusteeRole
from mpc.errors import ProtocolError
from parties.commons.answering import Question
from parties.commons.settings import TRUSTEE
from parties.frame.errors import PartyError
from parties.frame.private_files import write_private

KEPT = "trustees-key"
MOST_MESSAGES = 1 << 12
_WAIT_MS = 250
_MESSAGE = Blob(MOST_BODY_BYTES + 256)

Exchange = Callable[[bytes], bytes]
"""Asks the sequencer `key`, and returns its answer."""


@dataclass(frozen=True)
class KeyTurn(Record):
    """What a trustee says, and how many messages it has."""

    count: int = coded(U32)
    said: tuple[bytes, ...] = coded(Many(_MESSAGE, MOST_MESSAGES))


@dataclass(frozen=True)
class KeyNews(Record):
    """The next messages of the list, in order."""

    messages: tuple[bytes, ...] = coded(Many(_MESSAGE, MOST_MESSAGES))


@dataclass(frozen=True)
class KeptKey(Record):
    """What a trustee keeps of the key. It prints nothing of its share."""

    key: bytes = coded(Blob(1 << 16))
    trustee: int = coded(U8)
    secret: bytes = coded(Fixed(SCALAR_BYTES))

    def __repr__(self) -> str:
        return f"KeptKey(trustee {self.trustee})"


class KeyBoard:
    """The sequencer's list of all messages of one key session."""

    def __init__(self) -> None:
        self._messages: list[bytes] = []
        self._known: set[bytes] = set()
        self._changed = threading.Condition()

    @property
    def questions(self) -> dict[str, Question]:
        """What trustees may ask."""
        return {"key": Question((TRUSTEE,), lambda _, body: self.answer(body))}

    def answer(self, body: bytes) -> bytes:
        """Take what a trustee says, and return what it has not heard, after a moment if there is nothing yet."""
        turn = decode(KeyTurn, body)
        with self._changed:
            for message in turn.said:
                if message not in self._known and len(self._messages) < MOST_MESSAGES:
                    self._known.add(message)
                    self._messages.append(message)
                    self._changed.notify_all()
            self._changed.wait_for(lambda: len(self._messages) > turn.count, _WAIT_MS / 1e3)
            return encode(KeyNews(tuple(self._messages[turn.count :])))


def make_key(role: TrusteeRole, exchange: Exchange, patience_s: float) -> tuple[CommitteeKey, KeyShare]:
    """Return the key and this trustee's share of it.

    Args:
        exchange: asks the sequencer.
        patience_s: how long a phase may last before this trustee says that it is over.

    Raises:
        PartyError: the session failed, or has left this trustee without a share.
    """
    said: Sequence[bytes] = role.start_key()
    session = role.key_session
    count, phase, since = 0, session.phase, time.monotonic()
    while session.phase < Phase.DONE:
        news = decode(KeyNews, exchange(encode(KeyTurn(count, tuple(said)))))
        said = []
        for message in news.messages:
            count += 1
            try:
                said = [*said, *session.receive(message)]
            except ProtocolError:
                continue  # it is nobody's, and all trustees see that
        if session.phase != phase:
            phase, since = session.phase, time.monotonic()
        elif time.monotonic() - since > patience_s:
            said = [*said, *session.expire()]
            since = time.monotonic()
    if session.phase is Phase.FAILED:
        raise PartyError(f"expected a key of the trustees, found a session that failed: {session.failure}")
    return session.key, session.share


def keep_key(folder: Path, key: CommitteeKey, share: KeyShare) -> None:
    """Write the key and the share to the trustee's disk."""
    write_private(folder / KEPT, encode(KeptKey(encode(key), share.trustee, share.secret.reveal())))


def kept_key(folder: Path) -> tuple[CommitteeKey, KeyShare] | None:
    """Return what the disk has of the key, or None. Raises `PartyError` where it cannot be read."""
    path = folder / KEPT
    if not path.exists():
        return None
    try:
        kept = decode(KeptKey, path.read_bytes())
        return decode(CommitteeKey, kept.key), KeyShare(kept.trustee, SecretScalar(kept.secret))
    except (OSError, ProtocolError) as error:
        raise PartyError(f"{path}: expected a trustee's key, found what cannot be read ({error})") from error
