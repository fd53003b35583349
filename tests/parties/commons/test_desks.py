"""Who gets what at the desks, and what a party takes from a desk that lies."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import pytest

from mpc.commons.attachments import AbsentAttachmentError, MemoryAttachments
from mpc.commons.encoding import Record, decode, encode
from mpc.commons.entries import Range, Register, Revoke, Role
from mpc.commons.following import Follower
from mpc.commons.identities import Identity
from mpc.commons.merkle import leaf_hash
from mpc.commons.prio import TooManyLiesError
from mpc.commons.release import ReleaseShare
from mpc.commons.roles.run import CommonsRun
from mpc.commons.steps import CoinShare
from mpc.errors import ProtocolError
from parties.commons import reading
from parties.commons.aggregator import Counter
from parties.commons.agreeing import TrusteeDesk
from parties.commons.auditor import records_of, settled
from parties.commons.consumer import told
from parties.commons.faults import Fault
from parties.commons.history import history
from parties.commons.reading import Blobs, LogReader, Submission
from parties.commons.released import Released
from parties.commons.settings import AggregatorSettings
from parties.frame.errors import PartyError
from tests.mpc.commons.prepared import ROWS, TOTAL, aggregate, fresh
from tests.mpc.commons.setting import Log

LIES = Fault("lies")


@lru_cache
def granted() -> tuple[CommonsRun, bytes]:
    """A run in memory, and a grant that is certified and that nobody has acted on."""
    run = fresh()
    run.report("task", ROWS, uses=100)
    return run, run.ask("task", "sum/100")


def desk(place: int, fault: Fault = LIES) -> tuple[TrusteeDesk, bytes]:
    run, grant = granted()
    names = {run.cast.consumer.identity.key: "institute"}
    return TrusteeDesk(run.cast.founding, run.cast.trustees[place], names, fault), grant


def test_a_release_is_for_the_consumer_that_has_asked_alone() -> None:
    made, grant = desk(1, Fault())
    with pytest.raises(ProtocolError, match="expected the consumer that has asked, found university"):
        made.questions["release"].answer("university", grant)
    assert decode(ReleaseShare, made.questions["release"].answer("institute", grant)).trustee == 1


def test_a_release_that_is_asked_again_is_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    run, grant = granted()
    role, computed = run.cast.trustees[1], list[bytes]()
    release = role.release
    monkeypatch.setattr(role, "release", lambda body: computed.append(body) or release(body))
    made, _ = desk(1, Fault())
    answers = {made.questions["release"].answer("institute", grant) for _ in range(50)}
    assert (len(answers), computed) == (1, [grant])

    def revoked(_: bytes) -> None:
        raise ProtocolError("expected a grant before any revocation, found one revoked")

    monkeypatch.setattr(role.trustee, "check_release", revoked)
    with pytest.raises(ProtocolError, match="expected a grant before any revocation"):
        made.questions["release"].answer("institute", grant)


def test_shares_that_are_kept_take_so_much_memory_and_refusals_are_kept_too() -> None:
    computed, missing = list[bytes](), [True]

    def compute(grant: bytes) -> bytes:
        computed.append(grant)
        if grant == b"small":
            raise ProtocolError("expected at least 2 valid reports, found 1")
        if grant == b"late" and missing.pop():
            raise AbsentAttachmentError("expected an attachment, found none here")
        return grant * 1000

    kept = Released(compute, most_bytes=5000)
    for _ in range(3):
        with pytest.raises(ProtocolError, match="expected at least 2 valid reports, found 1"):
            kept.share(b"small")
    with pytest.raises(AbsentAttachmentError):
        kept.share(b"late")
    kept = Released(compute, most_bytes=5000)  # room for two answers of a letter
    assert kept.share(b"a") == b"a" * 1000
    kept.share(b"b")
    kept.share(b"a")
    kept.share(b"c")
    kept.share(b"a")
    kept.share(b"b")
    missing.append(False)
    assert kept.share(b"late") == b"late" * 1000
    assert computed == [b"small", b"late", b"a", b"b", b"c", b"b", b"late"]
    assert kept._bytes <= 5000


def test_a_part_of_a_coin_is_for_the_sequencer_alone() -> None:
    made, grant = desk(1, Fault())
    with pytest.raises(ProtocolError, match="expected what trustee-0 asks, found something of trustee-2"):
        made.questions["coin"].answer("trustee-2", grant)
    assert decode(CoinShare, made.questions["coin"].answer("trustee-0", grant)).trustee == 1


def test_only_the_sequencer_takes_entries() -> None:
    assert {"submit", "why"} <= set(desk(0)[0].questions)
    assert not {"submit", "why"} & set(desk(1)[0].questions)


def test_in_a_federation_members_hand_in_their_own_entries_alone_under_the_names_of_the_shared_file() -> None:
    log = Log()
    log.register_all()
    policy = log.policy(log.provider)
    log.step()
    stranger, newcomer = Identity(b"s" * 32), Identity(b"n" * 32)
    members = {newcomer.key: "west", log.provider.key: "north", log.consumer.key: "institute"}
    role: Any = SimpleNamespace(place=0, sequencer=log.sequencer, hand_in=log.trustees[0].hand_in, release=None)
    role.submit = lambda entry, attachment: log.sequencer.submit(entry)
    answers = [TrusteeDesk(log.founding, role, {}, Fault(), one).questions for one in (members, {})]

    def submitted(peer: str, identity: Identity, contents: Record, place: int = 0) -> None:
        entry = log.sign(identity, contents)
        answers[place]["submit"].answer(peer, encode(Submission(entry, ())))

    named = Register("west", Role.PROVIDER, b"")
    for peer, identity, contents, said in (
        ("north", log.provider, replace(named, name="south"), "expected north to register under its own name, found s"),
        ("north", stranger, named, "expected an entry by the key of north in the shared file, found one by "),
        ("north", newcomer, named, "expected an entry by the key of north in the shared file, found one by "),
        ("institute", log.provider, Revoke(policy), "expected an entry by the key of institute in the shared file"),
    ):
        with pytest.raises(ProtocolError, match=said):
            submitted(peer, identity, contents)
    with pytest.raises(ProtocolError, match="expected an entry by the key of north"):
        answers[0]["hand-in"].answer("north", log.sign(stranger, Revoke(policy)))
    submitted("west", newcomer, named)
    answers[0]["hand-in"].answer("north", log.sign(log.provider, Revoke(policy)))
    log.step()
    assert log.copy.state.names["west"] == newcomer.key
    submitted("north", stranger, replace(named, name="other"), place=1)  # in a run anybody may write
    log.step()
    assert log.copy.state.names["other"] == stranger.key


def test_names_are_those_of_the_shared_file_whatever_was_registered() -> None:
    log = Log()
    log.register_all()  # the name clinic-1 among others
    log.policy(log.provider, consumers=(log.consumer.key,))
    log.report(log.policy(log.other_provider), 0, log.other_provider)
    log.step()
    names = {log.provider.key: "north", log.consumer.key: "clinic-1"}
    stranger = log.other_provider.key.hex()[:16]
    events = {one.index: one for one in history(log.copy, reports=True, names=names)}
    registered = {log.copy.state.members[key].name: log.copy.state.members[key].index for key in log.copy.state.members}
    assert events[registered["clinic-1"]].author == "north"
    assert events[registered["institute"]].author == "clinic-1"
    assert events[registered["clinic-2"]].author == stranger
    policies = [one for one in events.values() if one.kind == "policy"]
    assert [one.author for one in policies] == ["north", stranger]
    assert "1 of clinic-1," in policies[0].text
    (report,) = log.copy.state.of_task["heights"]
    plain = {one.index: one.author for one in history(log.copy, reports=True)}
    assert plain[report] == "clinic-2"
    result: Any = SimpleNamespace(rejected=(report,), reports=(), value={}, liars=(), silent=())
    assert told(log.copy.state, result, {}, {})["rejected"] == {"clinic-2": 1}
    assert told(log.copy.state, result, {}, {log.other_provider.key: "east"})["rejected"] == {"east": 1}


def test_a_trustee_that_lies_is_named_by_the_consumer_and_in_the_coin() -> None:
    run, grant = granted()
    shares = {place: desk(place, Fault())[0].questions["release"].answer("institute", grant) for place in range(3)}
    shares[3] = desk(3)[0].questions["release"].answer("institute", grant)
    consumer = run.cast.consumer
    for digest in consumer.wants(grant):
        data = run.cast.trustees[0].attachment(digest)
        assert data is not None
        consumer.attachments.put(data)
    _, _, lied = consumer.hand_on(grant, shares)
    assert list(lied) == [3]
    parts = {place: run.cast.trustees[place].coin_share(grant) for place in range(3)}
    parts[1] = LIES.strike(parts[1])
    assert run.cast.trustees[0].coin(grant, parts)[1] == (1,)


@pytest.mark.parametrize("liars", [1, 2])
def test_an_aggregator_that_lies_as_configured_is_named_and_one_more_is_refused(liars: int) -> None:
    run, _ = granted()
    origin = run.cast.founding.origin

    def of_words(place: int) -> Callable[[Any], Any]:
        def lie(said: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
            grant = next(reversed(run.cast.consumer.log.state.grants))
            return LIES.of_words(run.cast.aggregators[place].identity, origin, grant, said[1], said[0])

        return lie

    faults = {("aggregator", place, "words"): of_words(place) for place in range(liars)}
    faults |= {("aggregator", place, "sum"): LIES.of_sum for place in range(liars)}
    if liars == 1:
        result = aggregate(run, faults)
        assert (result.value, result.liars) == (TOTAL, ("aggregator-0",))
    else:
        with pytest.raises((TooManyLiesError, ProtocolError)):
            aggregate(run, faults)


def test_a_provider_that_lies_as_configured_is_rejected() -> None:
    run = fresh()
    identity, origin = run.cast.providers[0].identity, run.cast.founding.origin

    def lie(said: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
        return LIES.of_report(identity, origin, said[0]), said[1]

    run.hearing.faults[("provider", 0, "report")] = lie  # type: ignore[attr-defined]
    run.report("task", ROWS, uses=100)
    for function in ("sum/100", "histogram/3"):  # every function's part of the report is bad
        assert len(aggregate(run, function=function).rejected) == 1
    entry = run.cast.consumer.log.copy.entries[-1]
    assert Fault().of_report(identity, origin, entry) == entry


def test_a_sum_is_for_the_consumer_that_has_asked_alone() -> None:
    run, grant = granted()
    settings = AggregatorSettings.model_construct(consumers={"institute": run.cast.consumer.identity.key.hex()})
    role = run.cast.aggregators[0]
    counter = Counter(settings, role)
    counter.put(grant, b"a sum")
    assert counter.questions["sum"].answer("institute", grant) == b"a sum"
    with pytest.raises(ProtocolError, match="expected the consumer that has asked, found university"):
        counter.questions["sum"].answer("university", grant)


class FakeLine:
    """A trustee that answers every question alike."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    def ask(self, what: str, body: bytes = b"") -> Future[bytes]:
        answer: Future[bytes] = Future()
        answer.set_result(self.answer)
        return answer


def test_an_attachment_of_another_digest_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    run, grant = granted()
    state = run.cast.consumer.log.state
    digest = state.reports[state.grants[grant].reports[0]].digest
    right = run.cast.trustees[0].attachment(digest)
    assert right is not None
    lines: list[Any] = [FakeLine(encode(Blobs((b"something else",)))), FakeLine(encode(Blobs((b"more", right))))]
    held = MemoryAttachments()
    wants = lambda: [] if held.get(digest) else [digest]  # noqa: E731
    LogReader(Follower(run.cast.founding), lines, 5.0).fetch(wants, held)
    assert repr(held) == "MemoryAttachments(1)"
    monkeypatch.setattr(reading, "_PATIENCE_S", 0.1)
    with pytest.raises(PartyError, match=r"expected 1 attachments of the trustees within 0\.3 s"):
        LogReader(Follower(run.cast.founding), lines[:1], 0.3).fetch(lambda: [digest], held)


def test_the_auditor_counts_what_is_settled_and_copies_what_is_certified() -> None:
    run = fresh()
    run.report("task", ROWS, uses=1)
    log = run.cast.consumer.log
    assert settled(log.state) == 0
    aggregate(run)
    assert settled(log.state) == 1
    with pytest.raises(ProtocolError, match="may enter 1 aggregates and has entered 1"):
        run.ask("task", "sum/100", [Range(0, log.size)])
    assert settled(log.state) == 2
    copied = Follower(run.cast.founding).copy
    for record in records_of(log.copy):
        copied.take(record)
    assert copied.entries == log.copy.entries
    assert leaf_hash(copied.entries[-1]) == leaf_hash(log.copy.entries[-1])
    assert records_of(Follower(run.cast.founding).copy) == []
