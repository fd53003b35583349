"""How the trustees make their common key, and nobody ever has it.

This is DKG of Gennaro, Jarecki, Krawczyk and Rabin, "Secure distributed key generation for discrete-log based
cryptosystems" (J. Cryptology 20, 2007), section 4. Each trustee deals a secret by Pedersen's sharing, and opens what it
commits to (Feldman) only when it is settled whose secrets count. So nobody can bend the key's distribution.

    each trustee                                          to
    deal       commitments, and a pair of shares          all, and each alone
    complain   whose shares do not fit                    all
    answer     the pairs that others complained about     all
    open       its secret's commitments, if it counts     all
    accuse     pairs that do not fit what was opened      all
    recover    pairs of whoever was accused rightly       all
    finish

A dealer with more than t complaints, or a complaint without a right answer, does not count. What is sent to all must
reach all alike. A trustee that tells two stories is noticed, because the key's copies then differ in `transcript` and
no quorum registers one. That stops the log, and opens nothing.

Private pairs need a confidential channel. Each message is signed by the sender's identity, over session, step, sender
and recipient.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from mpc._core import GroupPoints, scalars_multiply_add
from mpc.commons.committee import KeyShare, TrusteesKey
from mpc.commons.encoding import DIGEST, SIGNATURE, U8, Blob, Fixed, Many, Nested, Record, coded, decode, encode
from mpc.commons.founding import MOST_TRUSTEES
from mpc.commons.group import ONE, POINT_BYTES, SCALAR_BYTES, ZERO, generator, integer, lagrange, scalar
from mpc.commons.identities import Identity, is_signed
from mpc.commons.sharing import Polynomial, committed_at, is_pair, is_share
from mpc.errors import OrderError, ParameterError, ProtocolError
from mpc.randomness import SYSTEM, Randomness

ALL = 255
"""In place of a recipient."""

R = TypeVar("R", bound=Record)


class Step(IntEnum):
    """What a message belongs to."""

    DEAL = 1
    SHARE = 2
    COMPLAIN = 3
    ANSWER = 4
    OPEN = 5
    ACCUSE = 6
    RECOVER = 7


@dataclass(frozen=True)
class Message(Record):
    """A signed message. `recipient` is a place, or `ALL`."""

    session: bytes = coded(DIGEST)
    step: int = coded(U8)
    sender: int = coded(U8)
    recipient: int = coded(U8)
    body: bytes = coded(Blob(1 << 16))
    signature: bytes = coded(SIGNATURE)


@dataclass(frozen=True)
class Commitments(Record):
    """Commitments to the coefficients of a polynomial."""

    points: tuple[bytes, ...] = coded(Many(Fixed(POINT_BYTES), MOST_TRUSTEES))


@dataclass(frozen=True, repr=False)
class Pair(Record):
    """Two values that belong together: of dealer `dealer` for trustee `holder`."""

    dealer: int = coded(U8)
    holder: int = coded(U8)
    share: bytes = coded(Fixed(SCALAR_BYTES))
    other: bytes = coded(Fixed(SCALAR_BYTES))

    def __repr__(self) -> str:
        return f"Pair(dealer {self.dealer}, holder {self.holder}, <hidden>)"


@dataclass(frozen=True)
class Pairs(Record):
    """Several pairs, which are public by now."""

    pairs: tuple[Pair, ...] = coded(Many(Nested(Pair), MOST_TRUSTEES * MOST_TRUSTEES))


@dataclass(frozen=True)
class Complaints(Record):
    """Places of dealers whose pair did not come, or does not fit."""

    dealers: tuple[int, ...] = coded(Many(U8, MOST_TRUSTEES))


Received = Mapping[int, bytes]
"""Messages by the sender's place. Whoever was silent is not in it."""


class KeyGeneration:
    """One trustee's part. Its methods are called once each, in the order in which they stand here.

    Args:
        session: 32 bytes that all trustees agree on and that were never used before.
        place: of this trustee, from 0 on.
        faulty: t.
        keys: the identity keys of all trustees, in order.
        identity: of this trustee.
    """

    def __init__(
        self,
        session: bytes,
        place: int,
        faulty: int,
        keys: Sequence[bytes],
        identity: Identity,
        randomness: Randomness = SYSTEM,
    ) -> None:
        if not 0 <= place < len(keys) or keys[place] != identity.key or len(keys) < 2 * faulty + 1:
            raise ParameterError("expected this trustee's key at its place, and n >= 2 t + 1 trustees, found others")
        self._session = session
        self._place = place
        self._faulty = faulty
        self._keys = list(keys)
        self._identity = identity
        self._secret, self._blind = (Polynomial.fresh(faulty, randomness) for _ in range(2))
        self._step = 0
        self._transcript = hashlib.sha256(b"commons key generation v1\n" + session)
        self._dealt: dict[int, GroupPoints] = {}
        self._pairs: dict[int, Pair] = {}
        self._complained: dict[int, set[int]] = {}
        self._opened: dict[int, GroupPoints] = {}
        self._accused: set[int] = set()
        self._own: dict[int, bytes] = {}
        self.qualified: tuple[int, ...] = ()

    def deal(self) -> tuple[bytes, dict[int, bytes]]:
        """Return this trustee's commitments for all, and the message for each other trustee alone."""
        self._begin(Step.DEAL)
        commitments = _commitments(self._secret.commit_with(self._blind))
        private = {
            place: self._say(Step.SHARE, self._own_pair(place), place)
            for place in range(len(self._keys))
            if place != self._place
        }
        return self._say(Step.DEAL, commitments), private

    def complain(self, deals: Received, shares: Received) -> bytes:
        """Take everybody's commitments, this trustee's own among them, and the pairs. Return the complaints."""
        self._begin(Step.COMPLAIN)
        for dealer, body in self._heard(Step.DEAL, Commitments, deals).items():
            points = self._points(body)
            if points is not None:
                self._dealt[dealer] = points
        pairs = self._heard(Step.SHARE, Pair, shares, self._place)
        pairs[self._place] = self._own_pair(self._place)
        for dealer, pair in pairs.items():
            if self._fits(pair, dealer, self._place):
                self._pairs[dealer] = pair
        return self._say(Step.COMPLAIN, Complaints(tuple(one for one in sorted(self._dealt) if one not in self._pairs)))

    def answer(self, complaints: Received) -> bytes:
        """Take everybody's complaints. Return the pairs of those who complain about this trustee."""
        self._begin(Step.ANSWER)
        for holder, body in self._heard(Step.COMPLAIN, Complaints, complaints).items():
            for dealer in body.dealers:
                self._complained.setdefault(dealer, set()).add(holder)
        mine = sorted(self._complained.get(self._place, ()))
        return self._say(Step.ANSWER, Pairs(tuple(self._own_pair(holder) for holder in mine)))

    def open(self, answers: Received) -> bytes:
        """Take everybody's answers, which settles whose secrets count. Return the commitments of this one's secret."""
        self._begin(Step.OPEN)
        answered: dict[tuple[int, int], Pair] = {}
        for dealer, body in self._heard(Step.ANSWER, Pairs, answers).items():
            for pair in body.pairs:
                if self._fits(pair, dealer, pair.holder):
                    answered[dealer, pair.holder] = pair
        for dealer in sorted(self._dealt):
            holders = self._complained.get(dealer, set())
            if len(holders) > self._faulty or any((dealer, holder) not in answered for holder in holders):
                continue
            if dealer not in self._pairs:
                self._pairs[dealer] = answered[dealer, self._place]
            self.qualified += (dealer,)
        return self._say(Step.OPEN, _commitments(self._secret.commit()))

    def accuse(self, opened: Received) -> bytes:
        """Take what everybody has opened. Return this trustee's pairs that do not fit."""
        self._begin(Step.ACCUSE)
        for dealer, body in self._heard(Step.OPEN, Commitments, opened).items():
            points = self._points(body)
            if dealer in self.qualified and points is not None:
                self._opened[dealer] = points
        wrong = [
            self._pairs[dealer]
            for dealer in sorted(self._opened)
            if not is_share(self._opened[dealer], self._place + 1, self._pairs[dealer].share)
        ]
        return self._say(Step.ACCUSE, Pairs(tuple(wrong)))

    def recover(self, accusations: Received) -> bytes:
        """Take everybody's accusations. Return this trustee's pairs of dealers that opened nothing or a wrong thing."""
        self._begin(Step.RECOVER)
        self._accused = set(self.qualified) - set(self._opened)
        for holder, body in self._heard(Step.ACCUSE, Pairs, accusations).items():
            for pair in body.pairs:
                known = pair.dealer in self._opened and self._fits(pair, pair.dealer, holder)
                if known and not is_share(self._opened[pair.dealer], holder + 1, pair.share):
                    self._accused.add(pair.dealer)
        return self._say(Step.RECOVER, Pairs(tuple(self._pairs[dealer] for dealer in sorted(self._accused))))

    def finish(self, recovered: Received) -> KeyShare:
        """Take what everybody knows of the accused, whose secrets count all the same. Return this trustee's share.

        Raises:
            ProtocolError: more trustees are faulty than may be.
        """
        self._begin(Step.RECOVER + 1)
        known: dict[int, dict[int, Pair]] = {dealer: {} for dealer in self._accused}
        for holder, body in self._heard(Step.RECOVER, Pairs, recovered).items():
            for pair in body.pairs:
                if pair.dealer in known and self._fits(pair, pair.dealer, holder):
                    known[pair.dealer][holder] = pair
        if len(self.qualified) <= self._faulty:
            raise ProtocolError(f"expected more than {self._faulty} dealers that count, found {len(self.qualified)}")
        values = [self._sum_at(index, known) for index in range(len(self._keys) + 1)]
        key = TrusteesKey(self._faulty, values[0], tuple(values[1:]), self._transcript.digest())
        secret = ZERO
        for dealer in self.qualified:
            secret = scalars_multiply_add(self._pairs[dealer].share, ONE, secret)
        return KeyShare(self._place, secret, key)

    def _sum_at(self, index: int, known: dict[int, dict[int, Pair]]) -> bytes:
        """Return the sum of all counting secrets' polynomials at an index, times G."""
        total: GroupPoints | None = None
        for dealer in self.qualified:
            if dealer in known:
                holders = sorted(known[dealer])[: self._faulty + 1]
                if len(holders) <= self._faulty:
                    raise ProtocolError(f"expected pairs of {self._faulty + 1} trustees, found {len(holders)}")
                weights = lagrange([holder + 1 for holder in holders], index)
                value = sum(
                    weight * integer(known[dealer][holder].share)
                    for weight, holder in zip(weights, holders, strict=True)
                )
                part = generator().combine_public(scalar(value))
            else:
                part = committed_at(self._opened[dealer], index)
            total = part if total is None else total + part
        assert total is not None  # noqa: S101  (some dealers count, see finish)
        return total.encode()

    def _own_pair(self, holder: int) -> Pair:
        return Pair(self._place, holder, self._secret.at(holder + 1), self._blind.at(holder + 1))

    def _fits(self, pair: Pair, dealer: int, holder: int) -> bool:
        if (pair.dealer, pair.holder) != (dealer, holder) or dealer not in self._dealt:
            return False
        try:
            integer(pair.share), integer(pair.other)
        except ProtocolError:
            return False
        return is_pair(self._dealt[dealer], holder + 1, pair.share, pair.other)

    def _points(self, body: Commitments) -> GroupPoints | None:
        if len(body.points) != self._faulty + 1:
            return None
        try:
            return GroupPoints.decode(b"".join(body.points))
        except ProtocolError:
            return None

    def _begin(self, step: int) -> None:
        order = [Step.DEAL, Step.COMPLAIN, Step.ANSWER, Step.OPEN, Step.ACCUSE, Step.RECOVER, Step.RECOVER + 1]
        if self._step >= len(order) or order[self._step] != step:
            raise OrderError("expected the steps of a key generation in order and once each, found another")
        self._step += 1

    def _say(self, step: Step, body: Record, recipient: int = ALL) -> bytes:
        data = encode(body)
        signature = self._identity.sign(_signed(self._session, step, self._place, recipient, data))
        message = encode(Message(self._session, step, self._place, recipient, data, signature))
        if recipient == ALL:
            self._own[step] = message
        return message

    def _heard(self, step: Step, kind: type[R], received: Received, recipient: int = ALL) -> dict[int, R]:
        """Return the bodies of all messages that are what they should be. Any other one counts as silence."""
        if recipient == ALL:
            received = {**received, self._place: self._own[step]}
        found: dict[int, R] = {}
        for sender in sorted(received):
            try:
                message = decode(Message, received[sender])
                body = decode(kind, message.body)
            except ProtocolError:
                continue
            if (message.session, message.step, message.sender, message.recipient) != (
                self._session, step, sender, recipient,
            ) or not 0 <= sender < len(self._keys):  # fmt: skip
                continue
            signed = _signed(self._session, step, sender, recipient, message.body)
            if is_signed(self._keys[sender], message.signature, signed):
                found[sender] = body
                if recipient == ALL:
                    self._transcript.update(signed)
        return found


def run_key_generation(
    session: bytes, faulty: int, identities: Sequence[Identity], randomness: Randomness = SYSTEM
) -> list[KeyShare]:
    """Run all trustees in one process, in order. Return their shares of the key."""
    keys = [identity.key for identity in identities]
    parts = [
        KeyGeneration(session, place, faulty, keys, identity, randomness) for place, identity in enumerate(identities)
    ]
    dealt = [part.deal() for part in parts]
    deals = {place: message for place, (message, _) in enumerate(dealt)}
    said = {
        place: part.complain(
            deals, {dealer: private[place] for dealer, (_, private) in enumerate(dealt) if dealer != place}
        )
        for place, part in enumerate(parts)
    }
    said = {place: part.answer(said) for place, part in enumerate(parts)}
    said = {place: part.open(said) for place, part in enumerate(parts)}
    said = {place: part.accuse(said) for place, part in enumerate(parts)}
    said = {place: part.recover(said) for place, part in enumerate(parts)}
    return [part.finish(said) for part in parts]


def _commitments(points: GroupPoints) -> Commitments:
    data = points.encode()
    return Commitments(tuple(data[at : at + POINT_BYTES] for at in range(0, len(data), POINT_BYTES)))


def _signed(session: bytes, step: int, sender: int, recipient: int, body: bytes) -> bytes:
    return b"commons key generation v1\n" + session + bytes([step, sender, recipient]) + body
