"""All roles in one process, step by step: what processes do over channels, to be read, tested and tried.

    0  identities, the trustees' key, registrations, policies
    1  reports, encrypted and logged
    2  request, grant or refusal, checkpoint
    3  release to the consumer, which hands the batch on, and noise where the function has some
    4  coin
    5  complaints, verifier words, verdict
    6  sums to the consumer, result

Everybody hears what is said through `Hearing`, by which a test lets a role lie or keep silent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, Protocol, TypeVar

from mpc.commons.access import sentence
from mpc.commons.attachments import Attachments, MemoryAttachments
from mpc.commons.consensus import BehindError
from mpc.commons.entries import Grant, Range, Rules
from mpc.commons.following import Follower
from mpc.commons.founding import AggregatorRecord, Founding, Task, TrusteeRecord
from mpc.commons.functions import noise_of
from mpc.commons.group import SecretScalar
from mpc.commons.identities import Identity, TrusteeKeys
from mpc.commons.key_messages import Phase
from mpc.commons.merkle import leaf_hash
from mpc.commons.proceedings import coins_to_toss, function_of
from mpc.commons.replica import Kept
from mpc.commons.roles.aggregator import Aggregator
from mpc.commons.roles.consumer import Consumer
from mpc.commons.roles.provider import DataProvider
from mpc.commons.roles.trustee import MissingError, TrusteeRole
from mpc.commons.steps import Step
from mpc.commons.summing import Result
from mpc.errors import MpcError, ProtocolError
from mpc.randomness import RoleRandomness

T = TypeVar("T")
P = ParamSpec("P")
Said = bytes | tuple[bytes, bytes]
"""An entry, alone or with its attachment."""
FOREVER = 1 << 40


class Hearing(Protocol):
    """What others hear of what a role says. None is silence."""

    def __call__(self, role: str, place: int, step: str, message: Any) -> Any | None:
        """Return the message that the others get."""
        ...


class MemoryStore:
    """What a trustee has signed, in memory."""

    def __init__(self) -> None:
        self._records: list[Kept] = []

    def load(self) -> list[Kept]:
        """Return all records in order."""
        return list(self._records)

    def append(self, record: Kept) -> None:
        """Add a record."""
        self._records.append(record)


class Cast:
    """All roles of a run."""

    def __init__(
        self,
        founding: Founding,
        trustees: Sequence[TrusteeRole],
        providers: Sequence[DataProvider],
        aggregators: Sequence[Aggregator],
        consumer: Consumer,
    ) -> None:
        self.founding, self.consumer = founding, consumer
        self.trustees, self.providers, self.aggregators = list(trustees), list(providers), list(aggregators)


def _as_it_is(role: str, place: int, step: str, message: Any) -> Any:
    return message


class CommonsRun:
    """A run in memory.

    Attributes:
        away: roles that are not there now, each with its place. They are told nothing, do nothing and say nothing. A
            role that is taken out of it is back, and knows what it knew before.
        unsaid: why a role could not say what it should have, by role, place and step.
        lied: trustees that a step has named, with a sentence each.
    """

    def __init__(self, cast: Cast, hearing: Hearing = _as_it_is) -> None:
        self.cast, self.hearing = cast, hearing
        self.away: set[tuple[str, int]] = set()
        self.unsaid: dict[tuple[str, int, str], str] = {}
        self.lied: dict[int, str] = {}

    # Step 0.

    def make_key(self) -> None:
        """Let the trustees make their key. The order in which they hear is one for all."""
        trustees = self.cast.trustees
        queue = self._of_each("key", [(one.place, one.start_key) for one in trustees])
        while queue or any(one.key_session.phase < Phase.DONE for one in trustees):
            if not queue:  # deadlines pass
                queue = self._of_each("key", [(one.place, one.key_session.expire) for one in trustees])
                if not queue:
                    raise ProtocolError("expected a session that goes on, found one in which all wait")
            message = queue.pop(0)
            queue += self._of_each("key", [(one.place, one.key_session.receive) for one in trustees], message)

    def open_log(self) -> None:
        """Register all who register, and certify the trustees' key."""
        for trustee in self.cast.trustees:
            self._log("trustee", trustee.place, "register", trustee.register)
        for place, provider in enumerate(self.cast.providers):
            self._log("provider", place, "register", provider.register)
        self._log("consumer", 0, "register", self.cast.consumer.register)
        self.certify()

    def certify(self) -> None:
        """Let the trustees agree on all that was handed to the sequencer, and let aggregators and consumer follow.

        Raises:
            ProtocolError: the sequencer says nothing, or too few trustees vote.
        """
        sequencer = self.cast.trustees[0]
        while (waiting := sequencer.propose()) is not None:
            proposal = self.hearing("trustee", 0, "proposal", waiting)
            if proposal is None:
                raise ProtocolError("expected a proposal of the sequencer, found none")
            votes = [
                self._heard("trustee", one.place, "vote", self._vote, one, proposal) for one in self.cast.trustees[1:]
            ]
            certificate = sequencer.collect([one for one in votes if one is not None])
            if certificate is None:
                raise ProtocolError("expected a quorum of trustees that sign a checkpoint, found fewer")
            for trustee in self.cast.trustees[1:]:
                self._heard("trustee", trustee.place, "certify", trustee.certify, certificate)
        self._follow(*(one.log for _, one in self._aggregators()), self.cast.consumer.log)

    # Step 1.

    def report(self, task: str, measurements: Sequence[Mapping[str, Any]], uses: int = 1) -> None:
        """Let each provider make a policy of its own for the consumer, and report under it."""
        consumer = self.cast.consumer.identity.key
        functions = next(one.functions for one in self.cast.founding.tasks if one.name == task)
        policies = [one.policy(task, Rules(functions, (consumer,), 1, uses, FOREVER)) for one in self.cast.providers]
        for place, policy in enumerate(policies):
            self._say("provider", place, "policy", policy)
        self.certify()
        self._follow(*(one.log for one in self.cast.providers))
        for place, (provider, policy, measured) in enumerate(
            zip(self.cast.providers, policies, measurements, strict=True)
        ):
            self._log("provider", place, "report", provider.report, task, leaf_hash(policy), measured)
        self.certify()

    # Step 2.

    def ask(self, task: str, function: str, ranges: Sequence[Range] = ()) -> bytes:
        """Let the consumer ask for a function of all reports so far, and return the grant.

        Raises:
            ProtocolError: the request is refused. The sentence names the entry that stands in the way.
        """
        consumer = self.cast.consumer
        wanted = ranges or [Range(0, consumer.log.size)]
        entry = consumer.sign(consumer.request(task, function, wanted, FOREVER))
        self._say("consumer", 0, "request", entry)
        self.certify()
        answer, leaf = consumer.answer(leaf_hash(entry))
        if not isinstance(answer, Grant):
            raise ProtocolError(f"the request is refused: {sentence(answer)}")
        return leaf

    # Steps 3 to 6.

    def aggregate(self, grant: bytes) -> Result:
        """Carry out a grant, and return the result at the consumer.

        Raises:
            TooManyLiesError, ProtocolError, AggregateError: there is no result.
        """
        self.hand_on(grant)
        self.deal_noise(grant)
        self.toss(grant)
        self.judge(grant)
        return self.sum(grant)

    def hand_on(self, grant: bytes) -> None:
        """Step 3: let the trustees release to the consumer, and let it hand the batch on."""
        consumer = self.cast.consumer
        shares = self._from_trustees("release", [one.release for one in self.cast.trustees], grant)
        self._fetch(consumer.attachments, consumer.wants(grant))
        entry, key, lied = consumer.hand_on(grant, shares)
        self.lied |= lied
        self._say("consumer", 0, "hand on", (entry, key))
        self.certify()

    def deal_noise(self, grant: bytes) -> None:
        """Step 3, where the function has noise: let each aggregator deal a part of it."""
        if not noise_of(function_of(self.cast.consumer.log.state, grant)):
            return
        for place, one in enumerate(self.cast.aggregators):
            self._log("aggregator", place, "noise", one.noise, grant)
        self._close(grant, Step.NOISE)

    def toss(self, grant: bytes) -> None:
        """Step 4: let the trustees toss the coins that the batch needs, mostly one."""
        for about in coins_to_toss(self.cast.consumer.log.state, grant):
            shares = self._from_trustees("coin", [one.coin_share for one in self.cast.trustees], about)
            entry, lied = self.cast.trustees[0].coin(about, shares)
            self.lied |= dict.fromkeys(lied, "expected a part of a coin with a proof that holds, found one without")
            self._say("trustee", 0, "toss", entry)
        self.certify()

    def fetch(self, grant: bytes) -> None:
        """Step 5: let the aggregators fetch what they lack of a batch from the trustees."""
        for _, one in self._aggregators():
            self._fetch(one.attachments, one.wants(grant))

    def judge(self, grant: bytes) -> None:
        """Step 5: let the aggregators complain and say their words, and the trustees say their verdict."""
        self.fetch(grant)
        for place, one in enumerate(self.cast.aggregators):
            for entry in self._heard("aggregator", place, "complaints", one.complaints, grant) or []:
                self.submit(entry)
        self.certify()
        for place, one in enumerate(self.cast.aggregators):
            self._log("aggregator", place, "words", one.words, grant)
        self._close(grant, Step.WORDS)
        for trustee in self.cast.trustees:
            self._log("trustee", trustee.place, "verdict", trustee.verdict, grant)
        self.certify()

    def sum(self, grant: bytes) -> Result:
        """Step 6: let the aggregators send their sums to the consumer, and return its result."""
        said = {
            place: self._heard("aggregator", place, "sum", one.sum, grant)
            for place, one in enumerate(self.cast.aggregators)
        }
        result = self.cast.consumer.result(grant, {place: one for place, one in said.items() if one is not None})
        self._log("consumer", 0, "delivered", self.cast.consumer.delivered, grant)
        self.certify()
        return result

    def _aggregators(self) -> list[tuple[int, Aggregator]]:
        """Return the aggregators that are there, with their places."""
        return [(i, one) for i, one in enumerate(self.cast.aggregators) if ("aggregator", i) not in self.away]

    def _follow(self, *followers: Follower) -> None:
        for one in followers:
            while (update := self.cast.trustees[0].update(one.size)) is not None:
                one.take(update)

    def _close(self, grant: bytes, step: Step) -> None:
        """Let the trustees wait no longer for aggregators that are silent in a step."""
        self.certify()
        if (grant, step) not in self.cast.consumer.log.state.ended:
            for trustee in self.cast.trustees:
                self._log("trustee", trustee.place, "close", trustee.close, grant, step)
            self.certify()

    # -- who hears what ----------------------------------------------------------------------------------------------

    def submit(self, entry: bytes, attachment: bytes | None = None) -> None:
        """Hand an entry to the sequencer. One that it does not take is left out, and the reason kept."""
        try:
            self.cast.trustees[0].submit(entry, attachment)
        except MpcError as error:
            self.unsaid["sequencer", 0, leaf_hash(entry).hex()[:16]] = str(error)

    def _heard(
        self, role: str, place: int, step: str, speak: Callable[P, T], *args: P.args, **named: P.kwargs
    ) -> T | None:
        """Return what others hear of what a role says. A role that is away or cannot speak is silent."""
        if (role, place) in self.away:
            return None
        try:
            message = speak(*args, **named)
        except MpcError as error:
            self.unsaid[role, place, step] = str(error)
            return None
        heard: T | None = self.hearing(role, place, step, message)
        return heard

    def _log(
        self, role: str, place: int, step: str, speak: Callable[P, Said], *args: P.args, **named: P.kwargs
    ) -> None:
        if (role, place) in self.away:
            return
        try:
            said = speak(*args, **named)
        except MpcError as error:
            self.unsaid[role, place, step] = str(error)
        else:
            self._say(role, place, step, said)

    def _say(self, role: str, place: int, step: str, said: Said) -> None:
        heard = self.hearing(role, place, step, said)
        if isinstance(heard, bytes):
            self.submit(heard)
        elif heard is not None:
            self.submit(*heard)

    def _of_each(
        self, step: str, speakers: Sequence[tuple[int, Callable[P, list[bytes]]]], *args: P.args, **named: P.kwargs
    ) -> list[bytes]:
        heard = [self._heard("trustee", place, step, speak, *args, **named) for place, speak in speakers]
        return [message for messages in heard for message in messages or []]

    def _from_trustees(self, step: str, speakers: Sequence[Callable[[bytes], bytes]], grant: bytes) -> dict[int, bytes]:
        heard = {place: self._heard("trustee", place, step, speak, grant) for place, speak in enumerate(speakers)}
        return {place: said for place, said in heard.items() if said is not None}

    def _vote(self, trustee: TrusteeRole, proposal: bytes) -> bytes:
        sequencer = self.cast.trustees[0]
        while True:
            try:
                return trustee.vote(proposal)
            except MissingError as missing:
                given = [data for one in missing.digests if (data := sequencer.attachment(one)) is not None]
                if not given:
                    raise
                for data in given:
                    trustee.keep(data)
            except BehindError as behind:
                proposal = sequencer.proposal_from(behind.size)

    def _fetch(self, attachments: Attachments, digests: Sequence[bytes]) -> None:
        for digest in digests:
            for trustee in self.cast.trustees:
                data = self._heard("trustee", trustee.place, "attachment", trustee.attachment, digest)
                if data is not None:
                    attachments.put(data)
                    break


def make_cast(
    tasks: Mapping[str, Sequence[str]],
    *,
    providers: int,
    trustees: int = 4,
    faulty_trustees: int = 1,
    aggregators: int = 4,
    faulty_aggregators: int = 1,
    smallest_batch: int = 2,
    name: str = "example.org/commons",
    seed: bytes | None = None,
) -> Cast:
    """Return all roles with fresh keys, and a founding record that names them.

    Args:
        tasks: their functions by name.
        seed: for known-answer tests only. None is the operating system's randomness.
    """
    random = RoleRandomness(seed)
    keys = [TrusteeKeys(random.source(f"trustee-{place}-keys").bytes(32)) for place in range(trustees)]
    summing = [
        (Identity.fresh(source), SecretScalar.fresh(source))
        for source in (random.source(f"aggregator-{place}-keys") for place in range(aggregators))
    ]
    records = tuple(
        AggregatorRecord(f"aggregator-{place}", identity.key, point.times_generator().encode())
        for place, (identity, point) in enumerate(summing)
    )
    founding = Founding(
        name,
        keys[0].log.key,
        faulty_trustees,
        tuple(TrusteeRecord(f"trustee-{i}", one.identity.key, one.cosigner.key) for i, one in enumerate(keys)),
        tuple(
            Task(task, tuple(sorted(functions)), smallest_batch, records, faulty_aggregators)
            for task, functions in tasks.items()
        ),
    )
    source = random.source("consumer")
    consumer = Consumer(founding, "consumer", Identity.fresh(source), MemoryAttachments(), source)
    return Cast(
        founding,
        [
            TrusteeRole(founding, one, MemoryStore(), MemoryAttachments(), randomness=random.source(f"trustee-{i}"))
            for i, one in enumerate(keys)
        ],
        [
            DataProvider(founding, f"provider-{i}", Identity.fresh(source), source)
            for i, source in enumerate(random.source(f"provider-{place}") for place in range(providers))
        ],
        [
            Aggregator(founding, identity, point, MemoryAttachments(), random.source(f"aggregator-{i}"))
            for i, (identity, point) in enumerate(summing)
        ],
        consumer,
    )


def run_commons(
    functions: Sequence[str],
    measurements: Sequence[Mapping[str, Any]],
    *,
    hearing: Hearing = _as_it_is,
    **setting: Any,
) -> dict[str, Result]:
    """Run every role in order, and return the result of each function at the consumer.

    Args:
        functions: see :mod:`mpc.commons.functions`.
        measurements: of each provider, one for each function, by its name without noise.
        setting: as in :func:`make_cast`.

    Raises:
        MpcError: there is no result.
    """
    run = CommonsRun(make_cast({"task": functions}, providers=len(measurements), **setting), hearing)
    run.make_key()
    run.open_log()
    run.report("task", measurements, uses=len(functions))
    return {function: run.aggregate(run.ask("task", function)) for function in functions}
