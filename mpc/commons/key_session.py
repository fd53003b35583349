"""One trustee's side of making a key that nobody knows, as a state machine without channels, files or a clock.

This is the protocol of Gennaro, Jarecki, Krawczyk and Rabin, "Secure Distributed Key Generation for Discrete-Log Based
Cryptosystems" (Journal of Cryptology 20, 2007), figure 2. Every dealer shares a random polynomial::

    ANNOUNCE  all: a key for this session alone
    DEAL      all: Pedersen's commitments, and for each trustee, sealed to its key, a share and its blinding
    COMPLAIN  all: dealers whose share does not open or does not fit
    ANSWER    accused dealers: the shares of those who complained
              Out is who has more than t complaints, or does not answer rightly.
    REVEAL    all dealers that are left: Feldman's commitments
    OBJECT    all: shares that fit Pedersen's commitments of a dealer, and not Feldman's
    RECOVER   all: their shares of such dealers, and of those who revealed nothing

The key is the sum of what the dealers that are left have shared. Who is left is decided before anybody reveals anything
of the key. A dealer that stops later, or lies, is opened by the others and stays in the sum. So nobody can choose with
the key before its eyes whether it takes part, which would bias the key. See the paper's section 3.

The paper has private channels on which messages arrive in time. Here shares travel sealed within the public deal. So a
share is never late where its deal is there, and no honest trustee complains about an honest dealer, however slow the
network is. That matters, because each answered complaint makes a share public.

All trustees must receive the same messages in the same order, as a log gives them. Then they agree on every step, on
who is out and why, and on the key. A deadline is a message, too. A phase ends for all when n - t trustees have closed
it. It is assumed that honest trustees are heard before n - t trustees give up waiting. Otherwise a session may fail, or
leave an honest trustee without a share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mpc._core import CurvePoints
from mpc.commons.committee import CommitteeKey, KeySetup, KeyShare
from mpc.commons.encoding import Record, decode, encode
from mpc.commons.group import ORDER, Points, SecretScalar, encodings, generator_base, read_points, same, scalars
from mpc.commons.identities import Identity
from mpc.commons.key_messages import (
    PHASES,
    Announce,
    Answers,
    Close,
    Complaints,
    Deal,
    Handover,
    KeyMessage,
    Objections,
    Opening,
    Phase,
    Recovery,
    Reveal,
    SealedHandover,
    handover_label,
    open_message,
    read_shares,
    sign_message,
)  # fmt: skip
from mpc.commons.sealing import Sealed, proven_points, seal, unseal
from mpc.commons.sharing import Polynomial, committed_value, fits, fits_hidden, lagrange
from mpc.errors import MpcError, OrderError, ProtocolError
from mpc.randomness import SYSTEM, Randomness

Shares = tuple[SecretScalar, SecretScalar]


class KeySession:
    """One trustee in one session. It prints its place and phase alone.

    Attributes:
        phase: where the session is.
        faults: by place, what each trustee has done that no honest one does.
        evidence: pairs of signed messages that one trustee has sent in one place, each of which says something else.
        failure: why there is no key, if the phase is `FAILED`.
    """

    def __init__(self, setup: KeySetup, place: int, identity: Identity, randomness: Randomness = SYSTEM) -> None:
        self.setup, self.place = setup, place
        self.phase = Phase.ANNOUNCE
        self.faults: dict[int, str] = {}
        self.evidence: list[tuple[bytes, bytes]] = []
        self.failure = ""
        self._identity, self._randomness = identity, randomness
        self._polynomial, self._blinding = (Polynomial.fresh(setup.faulty, randomness) for _ in range(2))
        self._secret = SecretScalar.fresh(randomness)  # of the announced key
        self._first: dict[tuple[int, int, int], tuple[KeyMessage, bytes]] = {}  # by kind, sender and closed phase
        self._spoken: set[int] = set()  # in this phase
        self._closing: set[int] = set()
        self._sent: set[object] = set()  # kinds, and phases that this trustee has closed
        self._keys: dict[int, Points] = {}  # that were announced
        self._deals: dict[int, Points] = {}
        self._handed: dict[int, Sealed] = {}  # to this trustee
        self._shares: dict[int, Shares] = {}  # that fit
        self._accused: dict[int, list[int]] = {}
        self._answers: dict[int, dict[int, Shares]] = {}
        self._left: list[int] = []  # dealers of the key
        self._revealed: dict[int, Points] = {}
        self._opened: dict[int, dict[int, SecretScalar]] = {}  # by dealer and holder
        self._key: CommitteeKey | None = None
        self._share: KeyShare | None = None

    # -- what a program calls ------------------------------------------------------------------------------------------

    def start(self) -> list[bytes]:
        """Return the first messages. Raises `OrderError` the second time."""
        if Announce in self._sent:
            raise OrderError("expected one start of a key session, found another")
        return self._say(Announce(self._secret.times_generator().encode()))

    def receive(self, data: bytes) -> list[bytes]:
        """Take the next message, this trustee's own ones included, and return what this trustee says then.

        What comes out of turn has no effect. What no honest trustee says has none but to name its sender.

        Raises:
            ProtocolError: nobody can be blamed for the message. It is the same for all trustees.
        """
        message = open_message(self.setup, data)
        try:
            contents = message.contents()
        except ProtocolError as error:
            self._blame(message.sender, str(error))
            return []
        slot = (message.kind, message.sender, contents.phase if isinstance(contents, Close) else 0)
        first, its_data = self._first.setdefault(slot, (message, data))
        if first.body != message.body:
            self.evidence.append((its_data, data))
            self._blame(message.sender, f"expected one {type(contents).__name__.lower()}, found two that differ")
            return []
        if isinstance(contents, Close):
            if contents.phase == self.phase:
                self._closing.add(message.sender)
        elif PHASES[type(contents)] is self.phase and message.sender not in self._spoken:
            self._spoken.add(message.sender)
            try:
                self._take(message.sender, contents)
            except ProtocolError as error:
                self._blame(message.sender, str(error))
        return self._go_on()

    def expire(self) -> list[bytes]:
        """Say that the phase's deadline has passed for this trustee, and return its messages."""
        if self.phase >= Phase.DONE or self.phase in self._sent:
            return []
        self._sent.add(self.phase)
        return [sign_message(self.setup, self.place, self._identity, Close(self.phase))]

    @property
    def key(self) -> CommitteeKey:
        """What everybody knows of the key. Raises `OrderError` before it is there."""
        if self._key is None:
            raise OrderError(f"expected a key session that is done, found one in phase {self.phase.name}")
        return self._key

    @property
    def share(self) -> KeyShare:
        """This trustee's part of the secret key. Raises `OrderError` where there is none."""
        if self._share is None:
            missing = [dealer for dealer in self._left if dealer not in self._shares]
            why = f"without shares of dealers {missing}" if self._key else f"in phase {self.phase.name}"
            raise OrderError(f"expected a key session that is done with a share of the key, found one {why}")
        return self._share

    def __repr__(self) -> str:
        return f"KeySession(trustee {self.place}, {self.phase.name})"

    # -- what others have said ---------------------------------------------------------------------------------------

    def _take(self, sender: int, contents: Record) -> None:
        """Check a message in its turn and keep what it says. Raises `ProtocolError`, for which the sender is blamed."""
        takers: dict[type[Record], Callable[[int, Any], None]] = {
            Announce: self._take_announcement,
            Deal: self._take_deal,
            Complaints: self._take_complaints,
            Answers: self._take_answers,
            Reveal: self._take_reveal,
            Objections: self._take_objections,
            Recovery: self._take_recovery,
        }
        takers[type(contents)](sender, contents)

    def _take_announcement(self, sender: int, announcement: Announce) -> None:
        self._keys[sender] = read_points([announcement.point], "a key")

    def _take_deal(self, sender: int, deal: Deal) -> None:
        receivers = [one.receiver for one in deal.handovers]
        if receivers != sorted(self._keys):
            raise ProtocolError(f"expected handovers to trustees {sorted(self._keys)}, found some to {receivers}")
        self._deals[sender] = self._commitments(deal.commitments)
        for one in deal.handovers:
            if one.receiver == self.place:
                self._handed[sender] = one.sealed

    def _take_complaints(self, sender: int, complaints: Complaints) -> None:
        if complaints.dealers and sender not in self._keys:
            raise ProtocolError("expected complaints of trustees that have announced a key, found some of another")
        if not set(complaints.dealers) <= self._deals.keys() - {sender}:
            raise ProtocolError(f"expected complaints about other dealers, found some about {complaints.dealers}")
        for dealer in complaints.dealers:
            self._accused.setdefault(dealer, []).append(sender)

    def _take_answers(self, sender: int, answers: Answers) -> None:
        wanted = sorted(self._accused.get(sender, []))
        if [one.place for one in answers.openings] != wanted or sender not in self._answering():
            raise ProtocolError(f"expected openings for trustees {wanted}, found others")
        self._answers[sender] = {one.place: self._fitting(sender, one.place, one) for one in answers.openings}

    def _take_reveal(self, sender: int, reveal: Reveal) -> None:
        if sender not in self._left:
            raise ProtocolError("expected commitments of a dealer of the key, found some of another trustee")
        self._revealed[sender] = self._commitments(reveal.commitments)

    def _take_objections(self, sender: int, objections: Objections) -> None:
        for one in objections.openings:
            if one.place not in self._revealed:
                raise ProtocolError(f"expected an objection to a dealer that has revealed, found {one.place}")
            share, _ = self._fitting(one.place, sender, one)
            if fits(self._revealed[one.place], sender + 1, share):
                raise ProtocolError(f"expected a share that dealer {one.place} has not revealed, found one it has")
        for one in objections.openings:
            self._opened.setdefault(one.place, {})

    def _take_recovery(self, sender: int, recovery: Recovery) -> None:
        if not {one.place for one in recovery.openings} <= self._opened.keys():
            raise ProtocolError(f"expected shares of dealers {sorted(self._opened)}, found others")
        found = {one.place: self._fitting(one.place, sender, one)[0] for one in recovery.openings}
        for dealer, share in found.items():
            self._opened[dealer][sender] = share

    def _commitments(self, data: Sequence[bytes]) -> Points:
        if len(data) != self.setup.faulty + 1:
            raise ProtocolError(f"expected {self.setup.faulty + 1} commitments, found {len(data)}")
        return read_points(data, "commitments")

    def _fitting(self, dealer: int, holder: int, opening: Opening) -> Shares:
        """Return an opened share that fits Pedersen's commitments. Raises `ProtocolError`."""
        share, blinding = opening.values()
        if not fits_hidden(self._deals[dealer], holder + 1, share, blinding):
            raise ProtocolError(f"expected the share that dealer {dealer} has committed to for {holder}, found another")
        return share, blinding

    def _blame(self, place: int, what: str) -> None:
        self.faults.setdefault(place, f"{self.phase.name}: {what}")

    # -- how the session goes on -------------------------------------------------------------------------------------

    def _go_on(self) -> list[bytes]:
        """End phases for as long as they are over, and return what this trustee says in the next ones."""
        said: list[bytes] = []
        steps: dict[Phase, tuple[Callable[[], set[int]], Callable[[], list[bytes]]]] = {
            Phase.ANNOUNCE: (self._everybody, self._after_announcements),
            Phase.DEAL: (self._everybody, self._after_deals),
            Phase.COMPLAIN: (self._everybody, self._after_complaints),
            Phase.ANSWER: (self._answering, self._after_answers),
            Phase.REVEAL: (lambda: set(self._left), self._after_reveals),
            Phase.OBJECT: (self._everybody, self._after_objections),
            Phase.RECOVER: (self._everybody, self._after_recovery),
        }
        while self.phase < Phase.DONE:
            expected, end = steps[self.phase]
            missing = expected() - self._spoken
            if missing and len(self._closing) < self.setup.enough and not self._all_recovered():
                break
            if not self._all_recovered():
                for place in sorted(missing):
                    self._blame(place, "expected a message in time, found none")
            self._spoken, self._closing = set(), set()
            said += end()
        return said

    def _everybody(self) -> set[int]:
        return set(range(len(self.setup.keys)))

    def _answering(self) -> set[int]:
        """Dealers that are accused, and not by so many that they are out whatever they answer."""
        return {dealer for dealer, by in self._accused.items() if len(by) <= self.setup.faulty}

    def _after_announcements(self) -> list[bytes]:
        if len(self._keys) < self.setup.enough:
            return self._fail(f"expected keys of {self.setup.enough} trustees at least, found {len(self._keys)}")
        self.phase = Phase.DEAL
        handovers = []
        for receiver, key in sorted(self._keys.items()):
            share, blinding = self._polynomial.at(receiver + 1), self._blinding.at(receiver + 1)
            contents = encode(Handover(share.reveal(), blinding.reveal()))
            sealed = seal(key, handover_label(self.setup, self.place, receiver), contents, self._randomness)
            handovers.append(SealedHandover(receiver, sealed))
        commitments = encodings(self._polynomial.hidden_commitments(self._blinding))
        return self._say(Deal(commitments, tuple(handovers)))

    def _after_deals(self) -> list[bytes]:
        if len(self._deals) < self.setup.enough:
            return self._fail(f"expected deals of {self.setup.enough} trustees at least, found {len(self._deals)}")
        self.phase = Phase.COMPLAIN
        wrong = []
        for dealer, sealed in sorted(self._handed.items()):
            shares = self._opened_handover(dealer, sealed)
            if shares and fits_hidden(self._deals[dealer], self.place + 1, *shares):
                self._shares[dealer] = shares
            else:
                wrong.append(dealer)
        return self._say(Complaints(tuple(wrong)))

    def _opened_handover(self, dealer: int, sealed: Sealed) -> Shares | None:
        """Return what a dealer has handed to this trustee, or None where that is no pair of scalars."""
        label = handover_label(self.setup, dealer, self.place)
        (point,) = proven_points([sealed], [label])
        if point is None:
            return None
        try:
            found = decode(Handover, unseal(sealed, label, self._secret.times(point)))
            return read_shares(found.share, found.blinding)
        except ProtocolError:
            return None

    def _after_complaints(self) -> list[bytes]:
        self.phase = Phase.ANSWER
        if self.place not in self._answering():
            return []
        openings = []
        for holder in sorted(self._accused[self.place]):
            share, blinding = self._polynomial.at(holder + 1), self._blinding.at(holder + 1)
            openings.append(Opening(holder, share.reveal(), blinding.reveal()))
        return self._say(Answers(tuple(openings)))

    def _after_answers(self) -> list[bytes]:
        for dealer in sorted(self._accused.keys() - self._answers.keys()):
            self._blame(dealer, f"expected at most {self.setup.faulty} complaints and answers to them, found others")
        self._left = sorted(self._deals.keys() - (self._accused.keys() - self._answers.keys()))
        for dealer, answers in self._answers.items():
            if self.place in answers:
                self._shares[dealer] = answers[self.place]
        if len(self._left) < self.setup.enough:
            return self._fail(f"expected {self.setup.enough} dealers at least to be left, found {len(self._left)}")
        self.phase = Phase.REVEAL
        return self._say(Reveal(encodings(self._polynomial.commitments()))) if self.place in self._left else []

    def _after_reveals(self) -> list[bytes]:
        self._opened = {dealer: {} for dealer in self._left if dealer not in self._revealed}
        self.phase = Phase.OBJECT
        wrong = [
            self._opening_of(dealer)
            for dealer, commitments in sorted(self._revealed.items())
            if dealer in self._shares and not fits(commitments, self.place + 1, self._shares[dealer][0])
        ]
        return self._say(Objections(tuple(wrong)))

    def _after_objections(self) -> list[bytes]:
        for dealer in self._opened.keys() & self._revealed.keys():
            self._blame(dealer, "expected Feldman's commitments to what was dealt, found others")
        if not self._opened:
            return self._finish()
        self.phase = Phase.RECOVER
        return self._say(Recovery(tuple(self._opening_of(one) for one in sorted(self._opened) if one in self._shares)))

    def _all_recovered(self) -> bool:
        enough = self.setup.faulty + 1
        return self.phase is Phase.RECOVER and all(len(shares) >= enough for shares in self._opened.values())

    def _after_recovery(self) -> list[bytes]:
        lost = [dealer for dealer, shares in self._opened.items() if len(shares) <= self.setup.faulty]
        if lost:
            return self._fail(f"expected {self.setup.faulty + 1} shares of dealer {lost[0]} at least, found fewer")
        return self._finish()

    def _finish(self) -> list[bytes]:
        """Add up what the dealers have shared, and check the sum against itself and this trustee's own share."""
        indices = range(len(self.setup.keys) + 1)  # 0 is the key
        total = None
        for dealer in self._left:
            if dealer in self._opened:
                values = self._recovered(self._opened[dealer], indices)
            else:
                values = CurvePoints.join([committed_value(self._revealed[dealer], index) for index in indices])
            total = values if total is None else total + values
        if total is None:
            raise OrderError("expected dealers of the key, found none")
        every = encodings(total)
        key = CommitteeKey(self.setup.session, self.setup.faulty, every[0], every[1:], tuple(self._left))
        encode(key)  # raises unless the parts fit each other
        if all(dealer in self._shares for dealer in self._left):
            secret = SecretScalar.of(0)
            for dealer in self._left:
                secret = secret.plus(self._shares[dealer][0])
            if not same(secret.times_generator(), key.part(self.place)):
                raise MpcError("expected this trustee's share to fit the key that all have made, found another")
            self._share = KeyShare(self.place, secret)
        self._key, self.phase = key, Phase.DONE
        return []

    def _recovered(self, shares: dict[int, SecretScalar], indices: Sequence[int]) -> Points:
        """Return G times the values of a polynomial that is public now, from t + 1 of them."""
        used = sorted(shares)[: self.setup.faulty + 1]
        known = [int.from_bytes(shares[holder].reveal(), "little") for holder in used]
        found = []
        for index in indices:
            factors = lagrange([holder + 1 for holder in used], at=index)
            found.append(sum(factor * value for factor, value in zip(factors, known, strict=True)) % ORDER)
        return generator_base().multiply(scalars(found))

    def _opening_of(self, dealer: int) -> Opening:
        share, blinding = self._shares[dealer]
        return Opening(dealer, share.reveal(), blinding.reveal())

    def _fail(self, why: str) -> list[bytes]:
        self.phase, self.failure = Phase.FAILED, why
        return []

    def _say(self, contents: Record) -> list[bytes]:
        self._sent.add(type(contents))
        return [sign_message(self.setup, self.place, self._identity, contents)]


def run_in_memory(sessions: Sequence[KeySession]) -> None:
    """Run the sessions of all trustees, and hand every message to all of them in one order.

    Deadlines pass when nothing else is left to do. Afterwards each session has its key, or says why there is none.
    """
    queue = [data for session in sessions for data in session.start()]
    while queue or any(session.phase < Phase.DONE for session in sessions):
        if not queue:
            queue = [data for session in sessions for data in session.expire()]
            if not queue:
                raise OrderError("expected sessions that go on, found all waiting")
        data = queue.pop(0)
        queue += [answer for session in sessions for answer in session.receive(data)]
