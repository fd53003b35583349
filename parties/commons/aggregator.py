"""An aggregator opens its boxes of granted batches, says whether its shares are good, and sums those that all accept.

It learns which reports are valid, and its own shares of them, which are uniform. It learns no measurement and no
result.

Run: ``python -m parties.commons.aggregator --settings PATH``.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

from mpc.commons.access import request_of
from mpc.commons.attachments import MemoryAttachments
from mpc.commons.encoding import decode
from mpc.commons.entries import Entry
from mpc.commons.functions import noise_of
from mpc.commons.group import SecretScalar
from mpc.commons.identities import Identity
from mpc.commons.proceedings import coins_to_toss, function_of, task_of_grant
from mpc.commons.roles.aggregator import Aggregator
from mpc.commons.steps import Complaint, Step
from mpc.errors import MpcError, ProtocolError
from parties.commons.answering import Question
from parties.commons.faults import Fault
from parties.commons.settings import AGGREGATOR, CONSUMER, POINT, SEED, AggregatorSettings
from parties.commons.ways import Ways, home, ways
from parties.frame.lifetime import serving
from parties.frame.process import Party, run_party

Act = Callable[[bytes], None]

_WAIT_S = 2.0  # of a consumer for a sum that is not there yet
_TRIES = 5  # of a step, because what stands in the way may pass


def aggregator(party: Party[AggregatorSettings]) -> None:
    """Play an aggregator."""
    settings, place = party.settings, home(party)
    with ways(party, AGGREGATOR) as way:
        way.stand_by()
        identity = Identity((place / SEED).read_bytes())
        point = SecretScalar((place / POINT).read_bytes())
        role = Aggregator(settings.founding, identity, point, MemoryAttachments())
        counter = Counter(settings, role)
        with way.desk(settings.listen, counter.questions) as desk:
            work = Work(role, way, counter, Fault(settings.fault))
            with serving():
                if settings.home is not None:
                    way.until_all_are_there(way.trustees[:1], desk.check)
                    work.reader.catch_up()
                    work.leave_delivered()
                while True:
                    desk.check()
                    work.reader.advance()
                    work.go_on()


class Counter:
    """Where consumers get the sums of their grants."""

    def __init__(self, settings: AggregatorSettings, role: Aggregator) -> None:
        self._names = {bytes.fromhex(key): name for name, key in settings.consumers.items()}
        self._role = role
        self._changed = threading.Condition()
        self._sums: dict[bytes, tuple[str, bytes]] = {}  # whose it is, and the sum

    @property
    def questions(self) -> dict[str, Question]:
        """What consumers may ask."""
        return {"sum": Question((CONSUMER,), self._sum)}

    def put(self, grant: bytes, message: bytes) -> None:
        """Keep a sum for the consumer that has asked for it."""
        asked = request_of(self._role.log.state, grant).author
        with self._changed:
            self._sums[grant] = self._names.get(asked, ""), message
            self._changed.notify_all()

    def _sum(self, peer: str, grant: bytes) -> bytes:
        with self._changed:
            self._changed.wait_for(lambda: grant in self._sums, _WAIT_S)
            name, message = self._sums.get(grant, ("", b""))
        if not message:
            raise ProtocolError("expected a grant whose sum is there, found none yet")
        if name != peer:
            raise ProtocolError(f"expected the consumer that has asked, found {peer}")
        return message


class Work:
    """What an aggregator does for each grant: its noise, its words, and its sum once the verdict stands.

    A step that fails is tried again, with the same entries, for as long as the log waits for it. What the log has of
    this aggregator already is left out: after a start it would be said with fresh randomness, and so be a second one.
    """

    def __init__(self, role: Aggregator, way: Ways, counter: Counter, fault: Fault) -> None:
        self.reader = way.reader(role.log)
        self._role, self._way, self._counter, self._fault = role, way, counter, fault
        self._said: set[tuple[bytes, Step]] = set()
        self._done: set[bytes] = set()
        self._tries: dict[tuple[bytes, Act], int] = {}
        self._drawn: dict[tuple[bytes, Act], list[tuple[bytes, bytes | None]]] = {}  # entries with randomness

    def leave_delivered(self) -> None:
        """Leave aside all grants whose result is there, as an aggregator that starts again need not sum them anew."""
        self._done |= self._role.log.state.deliveries.keys()

    def go_on(self) -> None:
        """Do what is due now."""
        state = self._role.log.state
        for grant, found in list(state.grants.items()):
            if grant in self._done or grant not in state.hand_ons:
                continue
            of_grant = f"the grant of entry {found.index}"
            if self._is_due(grant, Step.NOISE):
                with self._way.progress.step("3", f"deal noise for {of_grant}"):
                    if self._is_over(grant, self._say_noise):
                        self._said.add((grant, Step.NOISE))
            elif self._is_due(grant, Step.WORDS):
                with self._way.progress.step("5", f"check the shares of {of_grant}"):
                    if self._is_over(grant, self._say_words):
                        self._said.add((grant, Step.WORDS))
            if grant in state.verdicts:
                with self._way.progress.step("6", f"sum the shares of {of_grant}"):
                    if self._is_over(grant, self._say_sum):
                        self._done.add(grant)

    def _is_due(self, grant: bytes, step: Step) -> bool:
        """Return whether a step is to be taken now."""
        state = self._role.log.state
        if (grant, step) in self._said or (grant, step) in state.ended:
            return False
        try:
            return bool(noise_of(function_of(state, grant))) if step is Step.NOISE else not coins_to_toss(state, grant)
        except ProtocolError:  # others may still deal noise
            return False

    def _is_over(self, grant: bytes, act: Act) -> bool:
        """Take a step, and return whether it was taken or is given up."""
        try:
            act(grant)
            return True
        except MpcError as error:
            tries = self._tries[grant, act] = self._tries.get((grant, act), 0) + 1
            self._way.progress.note(f"nothing said: {error}")
            return tries == _TRIES

    def _say_noise(self, grant: bytes) -> None:
        self._fault.fail()
        drawn, state = self._drawn, self._role.log.state
        if (grant, self._place(grant)) in state.noises:
            return
        if (key := (grant, self._say_noise)) not in drawn:
            drawn[key] = [self._role.noise(grant)]
        self.reader.write(drawn[key], "a part of the noise")

    def _say_words(self, grant: bytes) -> None:
        role, state = self._role, self._role.log.state
        self.reader.fetch(lambda: role.wants(grant), role.attachments)
        if (key := (grant, self._say_words)) not in self._drawn:
            self._drawn[key] = [(entry, None) for entry in role.complaints(grant)]
        place = self._place(grant)
        said_before = {report for about, report, one in state.complaints if (about, one) == (grant, place)}
        if complaints := [one for one in self._drawn[key] if _report_of(one[0]) not in said_before]:
            self._way.progress.note(f"complains about {len(complaints)} boxes")
            self.reader.write(complaints, "complaints")
        entry, said = role.words(grant)
        entry, said = self._fault.of_words(role.identity, state.founding.origin, grant, said, entry)
        self.reader.write([(entry, said)], "verifier words")

    def _place(self, grant: bytes) -> int | None:
        return task_of_grant(self._role.log.state, grant).place_of(self._role.identity.key)

    def _say_sum(self, grant: bytes) -> None:
        self.reader.fetch(lambda: self._role.wants(grant), self._role.attachments)
        self._counter.put(grant, self._fault.of_sum(self._role.sum(grant)))


def _report_of(complaint: bytes) -> int:
    """Return the report that a complaint is about."""
    found = decode(Entry, complaint).contents()
    if not isinstance(found, Complaint):
        raise ProtocolError(f"expected a complaint, found {type(found).__name__}")
    return found.report


if __name__ == "__main__":
    sys.exit(run_party(AggregatorSettings, aggregator))
