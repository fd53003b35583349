"""What faulty trustees reach: up to t change nothing and are named, and a faulty sequencer stops the log at most."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mpc.commons import consensus
from mpc.commons.attachments import MemoryAttachments
from mpc.commons.consensus import Sequencer
from mpc.commons.encoding import decode, encode
from mpc.commons.entries import Entry, Grant, Range, batch_digest, sign_entry
from mpc.commons.group import GENERATOR
from mpc.commons.identities import Identity
from mpc.commons.key_messages import Announce, sign_message
from mpc.commons.merkle import leaf_hash
from mpc.commons.notes import Checkpoint, Note, cosign, sign_as_log
from mpc.commons.proceedings import toss_of
from mpc.commons.release import ReleaseShare
from mpc.commons.replica import Accepted
from mpc.commons.roles.run import CommonsRun
from mpc.commons.steps import CoinShare, Verdict
from mpc.errors import ProtocolError
from tests.mpc.commons.prepared import (
    FUNCTIONS,
    ROWS,
    SETTINGS,
    TOTAL,
    Alter,
    Faults,
    aggregate,
    fresh,
    prepared,
    refusal,
    signed_anew,
    silent,
)  # fmt: skip

NOISY = FUNCTIONS[2]
STEPS = ("key", "register", "vote", "certify", "attachment", "release", "coin", "close", "verdict")


def identity_of(run: CommonsRun, place: int) -> Any:
    return run.cast.trustees[place]._keys.identity


@pytest.mark.parametrize(("n", "t"), SETTINGS)
def test_t_trustees_that_were_never_there_stop_nothing(n: int, t: int) -> None:
    away = range(n - t, n)
    hearing = Faults({("trustee", place, step): silent for place in away for step in STEPS})
    run = fresh(n, t, hearing, name=f"example.org/away-{n}")
    run.report("task", ROWS)
    found = run.aggregate(run.ask("task", FUNCTIONS[1]))
    assert (found.value, found.liars, found.silent) == (TOTAL, (), ())
    assert run.lied == {}


@pytest.mark.parametrize(("n", "t"), SETTINGS)
@pytest.mark.parametrize("step", ["vote", "release", "coin", "close", "verdict", "attachment"])
def test_t_silent_trustees_stop_nothing(step: str, n: int, t: int) -> None:
    run = prepared(n, t)
    places = range(t) if step == "attachment" else range(1, t + 1)  # of whom others ask first
    faults: dict[tuple[str, int, str], Alter] = {("trustee", place, step): silent for place in places}
    if step == "close":
        faults["aggregator", 0, "words"] = silent  # so that there is something to close
    function = NOISY if step == "coin" else FUNCTIONS[1]  # whose noise needs a coin of its own each time
    assert abs(aggregate(run, faults, function).value - TOTAL) < (3000 if step == "coin" else 1)


@pytest.mark.parametrize(
    ("n", "t", "function", "until"),
    [(4, 1, FUNCTIONS[1], "sum"), (4, 1, NOISY, "hand_on"), (4, 1, NOISY, "deal_noise"), (4, 1, NOISY, "sum"),
     (7, 2, NOISY, "sum")],
)  # fmt: skip
def test_t_trustees_that_were_away_catch_up_and_are_needed(n: int, t: int, function: str, until: str) -> None:
    """They come back after a step of an aggregate. Then as many others go, so nothing is certified without them."""
    run = prepared(n, t)
    run.away = {("trustee", place) for place in range(n - t, n)}
    try:
        grant = run.ask("task", function)
        for step in (run.hand_on, run.deal_noise, run.toss, run.judge, run.sum):
            step(grant)
            if step.__name__ == until:
                run.away = {("trustee", place) for place in range(1, t + 1)}
        found = run.aggregate(run.ask("task", function))
    finally:
        run.away = set()
    assert abs(found.value - TOTAL) < (3000 if function == NOISY else 1)
    assert all(run.cast.trustees[at].trustee.copy.size == run.cast.consumer.log.size for at in range(n - t, n))


def false_release(said: bytes) -> bytes:
    share = decode(ReleaseShare, said)
    return encode(replace(share, points=(share.points[1], share.points[0], *share.points[2:])))


def false_coin(said: bytes) -> bytes:
    share = decode(CoinShare, said)
    return encode(replace(share, point=GENERATOR.encode()))


@pytest.mark.parametrize(("n", "t"), SETTINGS)
@pytest.mark.parametrize("lie", [false_release, lambda said: said[:-1], lambda said: b""])
def test_false_shares_of_a_release_are_named_and_others_open(lie: Alter, n: int, t: int) -> None:
    run = prepared(n, t)
    found = aggregate(run, {("trustee", place, "release"): lie for place in range(t)})
    assert found.value == TOTAL
    assert sorted(run.lied) == list(range(t))


@pytest.mark.parametrize(("n", "t"), SETTINGS)
@pytest.mark.parametrize("lie", [false_coin, lambda said: said[:-1]])
def test_false_parts_of_a_coin_are_named_and_others_toss_it(lie: Alter, n: int, t: int) -> None:
    run = prepared(n, t)
    found = aggregate(run, {("trustee", place, "coin"): lie for place in range(t)}, NOISY)
    assert abs(found.value - TOTAL) < 3000
    assert sorted(run.lied) == list(range(t))


@pytest.mark.parametrize(("n", "t"), SETTINGS)
@pytest.mark.parametrize("lie", ["unsigned", "another's", "of another text"])
def test_false_votes_of_t_trustees_do_not_count_and_stop_nothing(lie: str, n: int, t: int) -> None:
    run = prepared(n, t)

    def vote(said: bytes) -> bytes:
        note = Note.read(said)
        by_log = tuple(one for one in note.signatures if one.name == run.cast.founding.origin)
        if lie == "another's":
            keys, name = run.cast.trustees[1]._keys, run.cast.founding.cosigners[0].name
            return bytes(Note(note.text, (*by_log, cosign(keys.cosigner, name, note.text, 1))))
        return bytes(Note(note.text + "x\n" if lie == "of another text" else note.text, by_log))

    assert aggregate(run, {("trustee", place, "vote"): vote for place in range(1, t + 1)}).value == TOTAL
    with pytest.raises(ProtocolError, match="expected a quorum of trustees that sign a checkpoint, found fewer"):
        aggregate(run, {("trustee", place, "vote"): vote for place in range(1, t + 2)})
    run.certify()


@pytest.mark.parametrize(("n", "t"), SETTINGS)
def test_false_verdicts_of_t_trustees_do_not_stand(n: int, t: int) -> None:
    """They reject an honest report, and blame an honest aggregator."""
    run = prepared(n, t)

    def lie(place: int) -> Alter:
        def change(said: Verdict) -> Verdict:
            reports = run.cast.consumer.log.state.of_task["task"]
            return replace(said, rejected=(reports[0],), liars=(0,))

        return lambda said: signed_anew(identity_of(run, place), run.cast.founding.origin, said, change)  # type: ignore[arg-type]

    found = aggregate(run, {("trustee", place, "verdict"): lie(place) for place in range(t)})
    assert (found.value, found.rejected, found.liars) == (TOTAL, (), ())


def test_more_than_t_silent_trustees_of_a_release_are_a_refusal() -> None:
    faults: Any = {("trustee", place, "release"): silent for place in range(3)}
    with pytest.raises(ProtocolError, match="expected 2 proven shares of a release, found 1; lied: nobody"):
        aggregate(prepared(), faults)


def test_more_than_t_silent_voters_stop_the_log_and_it_goes_on_with_them() -> None:
    run = prepared()
    with pytest.raises(ProtocolError, match="expected a quorum of trustees that sign a checkpoint, found fewer"):
        aggregate(run, {("trustee", place, "vote"): silent for place in (1, 2)})
    assert aggregate(run).value == TOTAL


def test_two_stories_of_a_trustee_are_evidence_and_one_verdict() -> None:
    """In the session that makes the key, both signed messages are kept. In the log, one verdict of a trustee counts."""
    run = fresh(name="example.org/stories", hearing=Faults({("trustee", 3, "key"): lambda said: said}))
    session = run.cast.trustees[0].key_session
    told = [session._first[1, 3, 0][1]]
    other = sign_message(session.setup, 3, identity_of(run, 3), Announce(GENERATOR.encode()))
    for trustee in run.cast.trustees:
        trustee.key_session.receive(other)
        assert trustee.key_session.evidence == [(told[0], other)]
        assert 3 in trustee.key_session.faults
    run = prepared()
    grant = run.ask("task", FUNCTIONS[1])
    run.hand_on(grant)
    run.toss(grant)
    run.fetch(grant)
    for aggregator in run.cast.aggregators:
        run.submit(*aggregator.words(grant))
    run.certify()
    entry = run.cast.trustees[2].verdict(grant)
    run.submit(entry)
    run.certify()
    second = signed_anew(
        identity_of(run, 2),
        run.cast.founding.origin,
        entry,
        lambda said: replace(said, liars=(1,)),  # type: ignore[type-var]
    )
    assert refusal(run, second) == "expected one verdict of trustee 2 for each grant, found a second one"


# -- t trustees together with others ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "t"), SETTINGS)
def test_t_trustees_and_the_consumer_open_nothing_without_a_grant(n: int, t: int) -> None:
    """They compute their shares for a grant that only they have seen, which is not certified."""
    run = prepared(n, t)
    consumer = run.cast.consumer
    request = consumer.request("task", FUNCTIONS[1], [Range(0, consumer.log.size)], 1 << 40)
    entry = consumer.sign(request)
    state = run.cast.trustees[0].state
    reports = state.of_task["task"]
    faked = sign_entry(
        identity_of(run, 0), run.cast.founding.origin,
        Grant(leaf_hash(entry), batch_digest(reports), len(reports)),
    )  # fmt: skip
    for trustee in run.cast.trustees:
        with pytest.raises(ProtocolError, match="expected a grant under a certified checkpoint, found none"):
            trustee.release(leaf_hash(faked))
        with pytest.raises(ProtocolError, match="expected the hash of a grant"):
            trustee.coin_share(leaf_hash(faked))
    granted = run.ask("task", FUNCTIONS[1])  # and with t shares of a true grant they have too few
    run._fetch(consumer.attachments, consumer.wants(granted))
    shares = {place: run.cast.trustees[place].release(granted) for place in range(t)}
    with pytest.raises(ProtocolError, match=f"expected {t + 1} proven shares of a release, found {t}"):
        consumer.hand_on(granted, shares)


def test_an_uncertified_grant_releases_nothing() -> None:
    run = prepared()
    grants = set(run.cast.trustees[0].state.grants)
    with pytest.raises(ProtocolError, match="expected a quorum"):
        aggregate(run, {("trustee", place, "vote"): silent for place in (1, 2)})
    (grant,) = set(run.cast.trustees[0].state.grants) - grants
    with pytest.raises(ProtocolError, match="expected a grant under a certified checkpoint, found none"):
        run.cast.trustees[0].release(grant)
    with pytest.raises(ProtocolError, match="expected a coin about a certified entry"):
        run.cast.trustees[0].coin_share(grant)
    run.certify()


def test_t_parts_of_a_coin_are_no_coin() -> None:
    run = prepared()
    grant = run.ask("task", FUNCTIONS[1])
    toss = toss_of(run.cast.trustees[0].state, grant)
    share = decode(CoinShare, run.cast.trustees[3].coin_share(grant))
    with pytest.raises(ProtocolError, match="expected parts of a coin by 2 trustees, found 1"):
        toss.choose({3: share})
    with pytest.raises(ProtocolError, match="expected parts of 2 trustees in order"):
        toss.value((share,))


# -- the sequencer ---------------------------------------------------------------------------------------------------


def test_without_the_sequencer_the_log_stops_and_goes_on_when_it_is_back() -> None:
    run = prepared()
    size = run.cast.consumer.log.size
    with pytest.raises(ProtocolError, match="expected a proposal of the sequencer, found none"):
        aggregate(run, {("trustee", 0, "proposal"): silent})
    assert run.cast.consumer.log.size == size
    sequencer = run.cast.trustees[0]
    sequencer.sequencer = Sequencer(sequencer.trustee, run.cast.founding, sequencer._keys)  # started again
    run.certify()
    assert run.cast.consumer.log.size > size
    assert aggregate(run).value == TOTAL


@pytest.mark.parametrize("cut", ["entries", "note", "entry"])
def test_a_false_proposal_gets_no_votes(cut: str) -> None:
    run = prepared()

    def lie(said: bytes) -> bytes:
        found = decode(Accepted, said)
        if cut == "entries":
            return encode(replace(found, entries=found.entries[:-1]))
        if cut == "note":
            return encode(replace(found, note=found.note[:-9] + b"AAAAAAA=\n"))
        return encode(replace(found, entries=(*found.entries[:-1], found.entries[0])))

    with pytest.raises(ProtocolError, match="expected a quorum of trustees that sign a checkpoint, found fewer"):
        aggregate(run, {("trustee", 0, "proposal"): lie})
    assert all(("trustee", place, "vote") in run.unsaid for place in (1, 2, 3))
    run.certify()


@pytest.mark.parametrize(("n", "t"), SETTINGS)
def test_two_stories_of_the_sequencer_are_evidence_and_no_fork(n: int, t: int) -> None:
    run = prepared(n, t)
    aggregate(run)
    keys, founding = run.cast.trustees[0]._keys, run.cast.founding
    for trustee in run.cast.trustees[1:]:
        size, kept = trustee.trustee.copy.size, len(trustee.trustee.copy.evidence)
        checkpoint = Checkpoint(founding.origin, size, bytes(31) + bytes([trustee.place]))
        story = bytes(Note(checkpoint.text, (sign_as_log(keys.log, founding.origin, checkpoint.text),)))
        entry = trustee.trustee.copy.entries[-1]
        with pytest.raises(ProtocolError):
            trustee.vote(encode(Accepted(size - 1, (entry,), story)))
        assert trustee.trustee.see(story) is not None
        assert len(trustee.trustee.copy.evidence) == kept + 1
    assert aggregate(run).value == TOTAL  # what was certified stays, and the log goes on


def test_an_attachment_that_the_sequencer_keeps_back_is_never_certified() -> None:
    """Otherwise a provider together with the sequencer could log a report that stops every batch it is in."""
    run = fresh(name="example.org/kept-back")
    sequencer = run.cast.trustees[0]
    run.report("task", ROWS[:3] + ROWS[:1], uses=9)
    policy = run.cast.trustees[0].state.reports[run.cast.trustees[0].state.of_task["task"][0]].policy
    run.submit(*run.cast.providers[0].report("task", policy, ROWS[0]))
    attachment: Callable[[bytes], bytes | None] = sequencer.attachment
    sequencer.attachment = lambda digest: None  # type: ignore[method-assign]
    with pytest.raises(ProtocolError, match="expected a quorum of trustees"):
        run.certify()
    assert "expected the attachments of all proposed entries, found 1 missing" in run.unsaid["trustee", 1, "vote"]
    sequencer.attachment = attachment  # type: ignore[method-assign]
    run.certify()
    assert run.ask("task", FUNCTIONS[1])


def test_the_sequencer_keeps_nothing_of_entries_that_are_refused() -> None:
    """Anybody may hand in anything. What nobody has signed is refused at once, and what may not stand there later."""
    run = fresh(name="example.org/junk")
    run.report("task", ROWS, uses=9)
    sequencer, provider = run.cast.trustees[0], run.cast.providers[0]
    held = sequencer.attachments
    assert isinstance(held, MemoryAttachments)
    before = len(held._held)
    policy = sequencer.state.reports[sequencer.state.of_task["task"][0]].policy
    for number in range(4):
        entry, data = provider.report("task", policy, ROWS[0])
        forged = encode(replace(decode(Entry, entry), signature=bytes([number]) * 64))
        assert "has signed for this log, found another" in refusal(run, forged, data)
        stranger = signed_anew(Identity.fresh(), run.cast.founding.origin, (entry, data), lambda body: body)
        assert "expected a registered provider" in refusal(run, *stranger)
    assert len(held._held) == before
    assert sequencer.sequencer is not None
    assert sequencer.sequencer._waiting_bytes == 0
    entry, data = provider.report("task", policy, ROWS[0])
    run.submit(entry, data)
    assert len(held._held) == before  # it waits in memory
    assert sequencer.sequencer._waiting_bytes == len(entry) + len(data)
    run.certify()
    assert len(held._held) == before + 1
    assert run.cast.trustees[3].attachment(hashlib.sha256(data).digest()) == data


def test_attachments_that_wait_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    run = prepared()
    sequencer, provider = run.cast.trustees[0], run.cast.providers[0]
    policy = sequencer.state.reports[sequencer.state.of_task["task"][0]].policy
    entry, data = provider.report("task", policy, ROWS[0])
    monkeypatch.setattr(consensus, "MOST_PENDING_BYTES", len(entry) + len(data) - 1)
    with pytest.raises(ProtocolError, match=f"bytes that wait, found {len(entry) + len(data)} more"):
        sequencer.submit(entry, data)
    assert sequencer.attachment(hashlib.sha256(data).digest()) is None
