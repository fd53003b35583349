"""How the trustees make their key as processes: the sequencer orders their messages, and each takes all of them.

    trustee                                sequencer
    --  key  what it says, how many  ---->  appends to the one list
        messages it has
    <--  the messages behind those  ------

All trustees must receive the same messages in the same order. A sequencer that shows them different ones makes their
keys differ, and then no key gets the quorum that a log demands. A trustee that keeps silent is waited for in one phase
and not longer, once n - t trustees have said so.

The list takes a trustee's own signed messages alone, and two of a kind at most: a second one proves that it tells two
stories. So whatever a trustee sends takes no place from others. A list that a faulty sequencer fills or keeps back ends
with the deadline of each trustee.

Trustees of a federation start when they like, and a key without one of them is without it for good. So they begin once
all of them are there, and there at the same time:

    trustee                                sequencer
    --  ready  --------------------------> twice within one round each, while all others say so, too
    <--  nothing yet  -------------------
    --  ready  -------------------------->
    <--  begin  --------------------------  once it has begun itself

A trustee that was seen before and is away when the last one comes is waited for again. Nobody has begun then.

What a trustee has of the key is on its disk before it registers the key.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpc.commons.committee import CommitteeKey, KeySetup, KeyShare
from mpc.commons.encoding import U8, U32, Blob, Fixed, Many, Record, coded, decode, encode
from mpc.commons.founding import Founding
from mpc.commons.group import SCALAR_BYTES, SecretScalar
from mpc.commons.key_messages import MOST_BODY_BYTES, Close, Phase, open_message
from mpc.commons.roles.trustee import TrusteeRole
from mpc.errors import OrderError, ProtocolError
from parties.commons.answering import Question
from parties.commons.settings import TRUSTEE
from parties.frame.errors import PartyError
from parties.frame.private_files import write_private

KEPT = "trustees-key"
MOST_MESSAGES = 1 << 12
MOST_EACH = 2  # of one trustee and kind, or phase that it closes
NEWS_BYTES = 1 << 20  # of messages, after which no further one goes into an answer
MOST_TURN_BYTES = 1 << 22  # of what a trustee says at once
BEGIN = b"begin"
_WAIT_MS = 250
_ROUND_S = 10.0  # in which all other trustees say that they are ready
_ROUNDS = 2  # one after the other, the last of which takes no longer than one answer of each
_PATIENCES = 4 * Phase.RECOVER  # in which a key is made, or never: trustees may come late, and computing takes time
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
    """The next messages of the list, in order. More may follow."""

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
    """The sequencer's list of all messages of one key session, and where trustees say that they are ready for it.

    Args:
        made: whether the sequencer has the key of an earlier start. Nobody is ready for another one then.
    """

    def __init__(self, founding: Founding, *, made: bool = False) -> None:
        self._setup = KeySetup.of(founding)
        self._places = {one.name: place for place, one in enumerate(founding.trustees)}
        self._messages: list[bytes] = []
        self._known: set[bytes] = set()
        self._said: Counter[tuple[int, int, int]] = Counter()  # by sender, kind and closed phase
        self._changed = threading.Condition()
        self._made, self._begun = made, False
        self._ready: set[str] = set()  # who has said so in this round

    @property
    def questions(self) -> dict[str, Question]:
        """What trustees may ask."""
        return {
            "key": Question((TRUSTEE,), lambda peer, body: self._answer(self._places[peer], body), MOST_TURN_BYTES),
            "ready": Question((TRUSTEE,), lambda peer, _: self._take_ready(peer), 0),
        }

    def answer(self, body: bytes) -> bytes:
        """Answer the sequencer itself, see :func:`make_key`. With its first question the session has begun."""
        with self._changed:
            self._begun = True
            self._changed.notify_all()
        return self._answer(0, body)

    def await_all(self, check: Callable[[], None], note: Callable[[str], None], within_s: float = _ROUND_S) -> None:
        """Wait until all other trustees are ready at the same time, without a deadline. At the sequencer.

        Args:
            check: is called again and again, and raises to end the wait.
            note: gets a sentence whenever others are missing than before.
            within_s: how long a round may last.
        """
        whole, said = 0, ""
        while whole < _ROUNDS:
            missing = self._missing(check, within_s)
            whole = 0 if missing else whole + 1
            sentence = f"the trustees' key is not begun, as these are not there: {', '.join(missing)}"
            if missing and sentence != said:
                said = sentence
                note(sentence)

    def _missing(self, check: Callable[[], None], within_s: float) -> list[str]:
        """Return which trustees have not said within a new round that they are ready."""
        others = [name for name, place in self._places.items() if place != 0]
        with self._changed:
            self._ready.clear()
        expires = time.monotonic() + within_s
        while True:
            check()
            with self._changed:
                missing = [name for name in others if name not in self._ready]
                if not missing or time.monotonic() > expires:
                    return missing
                self._changed.wait(_WAIT_MS / 1e3)

    def _take_ready(self, peer: str) -> bytes:
        """Take that a trustee is ready, and return whether the session has begun, after a moment if it has not.

        Raises:
            ProtocolError: the key was made in an earlier start of the sequencer.
        """
        if self._made:
            raise ProtocolError(
                f"expected {peer} with its part of the trustees' key, which was made before, found it without: it "
                "restores what its disk had, or counts as lost"
            )
        with self._changed:
            self._ready.add(peer)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._begun, _WAIT_MS / 1e3)
            return BEGIN if self._begun else b""

    def _answer(self, place: int, body: bytes) -> bytes:
        """Take what a trustee says, and return what it has not heard, after a moment if there is nothing yet.

        Raises:
            ProtocolError: a message is not signed by this trustee for this session, or is a third one of its kind.
        """
        turn = decode(KeyTurn, body)
        with self._changed:
            for message in turn.said:
                if message not in self._known:
                    self._take(place, message)
            self._changed.wait_for(lambda: len(self._messages) > turn.count, _WAIT_MS / 1e3)
            return encode(KeyNews(self._news(turn.count)))

    def _take(self, place: int, message: bytes) -> None:
        found = open_message(self._setup, message)
        if found.sender != place:
            raise ProtocolError(f"expected messages of trustee {place}, found one of trustee {found.sender}")
        try:
            contents = found.contents()
            closed = contents.phase if isinstance(contents, Close) else 0
        except ProtocolError:  # all trustees shall see that it says nothing that is allowed
            closed = 0
        slot = place, found.kind, closed
        if self._said[slot] >= MOST_EACH:
            raise ProtocolError(f"expected at most {MOST_EACH} messages like {found!r}, found one more")
        self._said[slot] += 1
        self._known.add(message)
        self._messages.append(message)
        self._changed.notify_all()

    def _news(self, count: int) -> tuple[bytes, ...]:
        last, total = count, 0
        while last < len(self._messages) and total < NEWS_BYTES:
            total += len(self._messages[last])
            last += 1
        return tuple(self._messages[count:last])


def make_key(role: TrusteeRole, exchange: Exchange, patience_s: float) -> tuple[CommitteeKey, KeyShare]:
    """Return the key and this trustee's share of it.

    Args:
        exchange: asks the sequencer.
        patience_s: how long a phase may last before this trustee says that it is over.

    Raises:
        PartyError: the session failed, or did not end in time, or has left this trustee without a share, or the
            sequencer did not answer.
    """
    expires = time.monotonic() + _PATIENCES * patience_s
    said: Sequence[bytes] = role.start_key()
    session = role.key_session
    count, phase, since = 0, session.phase, time.monotonic()
    while session.phase < Phase.DONE:
        if time.monotonic() > expires:
            within = f"{_PATIENCES * patience_s:g} s"
            raise PartyError(f"expected the trustees' key within {within}, found phase {session.phase.name} going on")
        try:
            news = decode(KeyNews, exchange(encode(KeyTurn(count, tuple(said)))))
        except TimeoutError:
            raise PartyError("expected the sequencer to answer what makes the trustees' key, found silence") from None
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
    try:
        return session.key, session.share
    except OrderError as error:
        raise PartyError(str(error)) from error


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
