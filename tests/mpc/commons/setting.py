"""A log in memory with its trustees, and parties that write to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from mpc.commons.committee import CommitteeKey, KeySetup, KeyShare
from mpc.commons.consensus import Sequencer, Trustee
from mpc.commons.encoding import Record, decode, encode
from mpc.commons.entries import NONE, Entry, Kind, Policy, Range, Register, Report, Request, Role, Rules, sign_entry
from mpc.commons.founding import AggregatorRecord, Founding, Task, TrusteeRecord
from mpc.commons.functions import layout_of
from mpc.commons.group import SecretScalar
from mpc.commons.identities import Identity, TrusteeKeys
from mpc.commons.key_session import KeySession, run_in_memory
from mpc.commons.merkle import Tree, leaf_hash
from mpc.commons.notes import Checkpoint, Note, sign_as_log
from mpc.commons.release import ConsumerKey
from mpc.commons.replica import Accepted, Kept
from mpc.commons.steps import Close, HandOn, Step
from mpc.randomness import SeededRandomness

AGGREGATORS = tuple(
    AggregatorRecord(
        f"aggregator-{place}",
        Identity(bytes([place + 1]) * 32).key,
        SecretScalar.of(place + 1).times_generator().encode(),
    )
    for place in range(4)
)
TASK = Task("heights", ("histogram/10", "sum/100"), 2, AGGREGATORS, 1)
FOREVER = 1 << 40


@lru_cache
def made_key(n: int, t: int, attempt: int = 0) -> tuple[CommitteeKey, tuple[KeyShare, ...]]:
    """Return a key that the trustees of :class:`Log` have made, and their shares."""
    identities = [keys.identity for keys in trustee_keys(n)]
    setup = KeySetup("example.org/clinics", attempt, t, tuple(one.key for one in identities))
    sessions = [
        KeySession(setup, place, one, SeededRandomness(bytes([attempt, place]))) for place, one in enumerate(identities)
    ]
    run_in_memory(sessions)
    return sessions[0].key, tuple(session.share for session in sessions)


@lru_cache
def trustee_keys(n: int) -> tuple[TrusteeKeys, ...]:
    random = SeededRandomness(b"trustees of tests")
    return tuple(TrusteeKeys(random.bytes(32)) for _ in range(n))


class MemoryStore:
    """A disk that keeps what was written, and fails when it is told to.

    Attributes:
        failing: "before" or "after" the next record is on the disk.
    """

    def __init__(self, records: Iterable[Kept] = ()) -> None:
        self.records = list(records)
        self.failing = ""

    def load(self) -> list[Kept]:
        return list(self.records)

    def append(self, record: Kept) -> None:
        if self.failing == "before":
            raise OSError("the disk is full")
        self.records.append(record)
        if self.failing == "after":
            raise OSError("the power is gone")


class Log:
    """n trustees in one process, and some identities."""

    def __init__(self, n: int = 4, t: int = 1, tasks: Sequence[Task] = (TASK,)) -> None:
        random = SeededRandomness(b"a log of tests")
        self.keys = trustee_keys(n)
        self.key, self.shares = made_key(n, t)
        self.consumer_key = ConsumerKey.fresh(random)
        self.founding = Founding(
            "example.org/clinics",
            self.keys[0].log.key,
            t,
            tuple(
                TrusteeRecord(f"trustee-{place}", keys.identity.key, keys.cosigner.key)
                for place, keys in enumerate(self.keys)
            ),
            tuple(tasks),
        )
        self.origin = self.founding.origin
        self.stores = [MemoryStore() for _ in range(n)]
        self.trustees = [self.start(place) for place in range(n)]
        self.sequencer = Sequencer(self.trustees[0], self.founding, self.keys[0])
        self.owner, self.provider, self.other_provider, self.consumer, self.other_consumer = (
            Identity(random.bytes(32)) for _ in range(5)
        )
        self.aggregators = [Identity(bytes([place + 1]) * 32) for place in range(4)]

    @property
    def public_share(self) -> bytes:
        """Bytes of the length that a report's public part has. Nobody looks into them before a batch is opened."""
        task = self.founding.task("heights")
        assert task is not None
        return bytes(layout_of(self.origin, task).public_size)

    @property
    def copy(self):
        return self.trustees[0].copy

    def start(self, place: int) -> Trustee:
        """Start a trustee from what is on its disk."""
        return Trustee(self.founding, self.keys[place], self.stores[place], clock=lambda: 1_700_000_000.0)

    def sign(self, identity: Identity, contents: Record) -> bytes:
        return sign_entry(identity, self.origin, contents)

    def submit(self, identity: Identity, contents: Record) -> bytes:
        """Hand an entry to the sequencer, and return its leaf hash."""
        entry = self.sign(identity, contents)
        self.sequencer.submit(entry)
        return leaf_hash(entry)

    def step(self, voters: Iterable[int] | None = None) -> bytes | None:
        """Let the sequencer propose, and these trustees vote, or all. Return the certificate."""
        proposal = self.sequencer.propose()
        assert proposal is not None
        places = range(1, len(self.trustees)) if voters is None else voters
        certificate = self.sequencer.collect([self.trustees[place].vote(proposal) for place in places])
        if certificate:
            for place in places:
                self.trustees[place].certify(certificate)
        return certificate

    def register_all(self) -> None:
        """Register everybody."""
        for identity, name, role in (
            (self.owner, "owner", Role.OWNER),
            (self.provider, "clinic-1", Role.PROVIDER),
            (self.other_provider, "clinic-2", Role.PROVIDER),
            (self.consumer, "institute", Role.CONSUMER),
            (self.other_consumer, "university", Role.CONSUMER),
        ):
            self.submit(identity, Register(name, role, b""))
        for place, keys in enumerate(self.keys):
            self.submit(keys.identity, Register(f"trustee-{place}", Role.TRUSTEE, encode(self.key)))

    def rules(self, **changes: object) -> Rules:
        usual: dict[str, object] = {
            "functions": ("histogram/10", "sum/100"),
            "consumers": tuple(sorted((self.consumer.key, self.other_consumer.key))),
            "threshold": 1,
            "uses": 2,
            "not_after": FOREVER,
        }
        return Rules(**(usual | changes))  # type: ignore[arg-type]

    def policy(self, owner: Identity | None = None, **changes: object) -> bytes:
        """Submit a policy's first version, and return its name."""
        owner = owner or self.owner
        return self.submit(owner, Policy(0, NONE, owner.key, "heights", self.rules(**changes)))

    def report(self, policy: bytes, number: int, provider: Identity | None = None) -> bytes:
        """Submit a report, and return its leaf hash."""
        contents = Report("heights", policy, number.to_bytes(16, "big"), bytes([number % 256]) * 32, self.public_share)
        return self.submit(provider or self.provider, contents)

    def request(self, ranges: Sequence[tuple[int, int]] = (), **changes: object) -> Request:
        """Return a request that the consumer will log, for all reports so far or those in some ranges."""
        usual: dict[str, object] = {
            "task": "heights",
            "function": "sum/100",
            "consumer_key": NONE,
            "proof": bytes(64),
            "ranges": tuple(Range(*one) for one in ranges or [(0, self.copy.size)]),
            "not_after": FOREVER,
            "endorsements": (),
        }
        request = Request(**(usual | changes))  # type: ignore[arg-type]
        return self.consumer_key.sign(self.origin, self.consumer.key, request, SeededRandomness(b"proof"))

    def close_words(self, grant: bytes) -> None:
        """Hand the batch on, and let t + 1 trustees close the aggregators' words."""
        self.submit(self.consumer, HandOn(grant, NONE))
        for place in range(self.founding.faulty + 1):
            self.submit(self.keys[place].identity, Close(grant, Step.WORDS))
        self.step()

    def answer(self, leaf: bytes):
        """Return the answer to a request in the sequencer's copy."""
        return self.copy.state.requests[leaf].answer

    def kinds(self) -> list[Kind]:
        return [Kind(decode(Entry, entry).kind) for entry in self.copy.entries]

    def ready(self, reports: int = 3) -> bytes:
        """Register everybody, and log a policy and so many reports of two providers. Return the policy's name."""
        self.register_all()
        policy = self.policy()
        for number in range(reports):
            self.report(policy, number, (self.provider, self.other_provider)[number % 2])
        self.step()
        return policy


def asked(log: Log, **changes: object):
    """Log a request of the consumer, and return its answer."""
    leaf = log.submit(log.consumer, log.request(**changes))
    log.sequencer.refused.clear()
    log.step()
    assert not log.sequencer.refused
    return log.answer(leaf)


def refused(log: Log) -> str:
    """Let the sequencer look at what it was handed, and return why the last entry cannot be logged."""
    log.sequencer.propose()
    return log.sequencer.refused[-1][1]


def grant_of(log: Log) -> bytes:
    return list(log.copy.state.grants)[-1]


def proposal_of(log: Log, first: int, entries: list[bytes], before: list[bytes] | None = None) -> bytes:
    """What a faulty sequencer can sign: these entries behind others, with their right root."""
    tree = Tree()
    for entry in [*(log.copy.entries[:first] if before is None else before), *entries]:
        tree.append(leaf_hash(entry))
    text = Checkpoint(log.origin, len(tree), tree.root()).text
    note = bytes(Note(text, (sign_as_log(log.keys[0].log, log.origin, text),)))
    return encode(Accepted(first, tuple(entries), note))


def newcomer(log: Log, number: int) -> bytes:
    """An entry that is always valid."""
    return log.sign(Identity(bytes([number]) * 32), Register(f"newcomer-{number}", Role.CONSUMER, b""))
