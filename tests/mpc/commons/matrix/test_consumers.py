"""What a faulty consumer reaches: nothing that was not granted, and no sum over fewer reports than the log says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mpc.commons.access import sentence
from mpc.commons.attachments import MemoryAttachments
from mpc.commons.encoding import decode, encode
from mpc.commons.entries import Range, sign_entry
from mpc.commons.group import GENERATOR
from mpc.commons.identities import Identity
from mpc.commons.merkle import leaf_hash
from mpc.commons.release import BatchKey
from mpc.commons.roles.consumer import Consumer
from mpc.commons.steps import HandOn
from mpc.errors import ProtocolError
from tests.mpc.commons.prepared import FUNCTIONS, SETTINGS, TOTAL, Alter, aggregate, prepared, refusal

SUM = FUNCTIONS[1]


def hand_on(run: Any, change: Any) -> Alter:
    """Return the fault of a consumer that hands on another batch key, whose digest it logs."""

    def alter(said: Any) -> Any:
        state = run.cast.consumer.log.state
        grant = next(reversed(state.grants))
        key = change(decode(BatchKey, said[1]))
        return sign_entry(run.cast.consumer.identity, run.cast.founding.origin, HandOn(grant, key.digest)), encode(key)

    return alter


LIES = {
    "another masked point": (
        lambda key: replace(key, masked=GENERATOR.encode()), "hands on with a proof that holds, found one without"),
    "no point": (lambda key: replace(key, masked=bytes(32)), "what the consumer's key has added"),
    "another proof": (lambda key: replace(key, proof=bytes(64)), "hands on with a proof that holds, found one without"),
    "fewer shares": (lambda key: replace(key, shares=key.shares[:-1]), "expected shares of 2 trustees in order"),
    "the same share twice": (
        lambda key: replace(key, shares=(key.shares[0], key.shares[0])), "expected shares of 2 trustees in order"),
    "fewer reports": (
        lambda key: replace(key, shares=tuple(replace(one, points=one.points[:-1]) for one in key.shares)),
        "expected 4 points of grant"),
    "reports in another order": (
        lambda key: replace(key, shares=tuple(replace(one, points=one.points[::-1]) for one in key.shares)),
        "with a proof that holds, found one without"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_batch_that_is_handed_on_wrongly_is_refused_by_all(lie: str) -> None:
    run, (change, words) = prepared(), LIES[lie]
    with pytest.raises(ProtocolError, match=r"expected a verdict that t \+ 1 trustees have said, found none"):
        aggregate(run, {("consumer", 0, "hand on"): hand_on(run, change)})
    for role in ("aggregator", "trustee"):
        for place in range(4):
            assert words in run.unsaid[role, place, "complaints" if role == "aggregator" else "verdict"]
    assert aggregate(run).value == TOTAL  # the reports are not lost


def test_two_stories_of_a_consumer_are_one_in_the_log() -> None:
    run = prepared()
    grant = run.ask("task", SUM)
    shares = {one.place: one.release(grant) for one in run.cast.trustees}
    run._fetch(run.cast.consumer.attachments, run.cast.consumer.wants(grant))
    entry, key, lied = run.cast.consumer.hand_on(grant, shares)
    other, other_key, _ = run.cast.consumer.hand_on(grant, {place: shares[place] for place in (2, 3)})
    assert lied == {}
    assert refusal(run, entry, other_key) == "expected the attachment with the digest in the entry, found another"
    run.submit(entry, key)
    run.certify()
    assert refusal(run, other, other_key) == "expected a batch that is handed on once, found a second time"
    run.toss(grant)
    run.judge(grant)
    assert run.sum(grant).value == TOTAL


@pytest.mark.parametrize(("n", "t"), SETTINGS)
def test_a_stranger_gets_nothing_for_anothers_grant(n: int, t: int) -> None:
    run = prepared(n, t)
    grant = run.ask("task", SUM)
    founding = run.cast.founding
    stranger = Consumer(founding, "stranger", Identity.fresh(), MemoryAttachments())
    request = stranger.sign(stranger.request("task", SUM, [Range(0, run.cast.consumer.log.size)], 1 << 40))
    assert "expected a registered consumer" in refusal(run, request)
    entry = sign_entry(stranger.identity, founding.origin, HandOn(grant, bytes(32)))
    data = encode(BatchKey((), GENERATOR.encode(), bytes(64)))
    body = HandOn(grant, decode(BatchKey, data).digest)
    assert "found another" in refusal(run, entry, data)
    assert refusal(run, sign_entry(stranger.identity, founding.origin, body), data) == (
        "expected the consumer that has asked, found another"
    )


def test_a_registered_consumer_that_no_policy_names_is_refused() -> None:
    run = prepared()
    other = Consumer(run.cast.founding, f"other-{run.cast.consumer.log.size}", Identity.fresh(), MemoryAttachments())
    run.submit(other.register())
    run.certify()
    entry = other.sign(other.request("task", SUM, [Range(0, run.cast.consumer.log.size)], 1 << 40))
    run.submit(entry)
    run.certify()
    run._follow(other.log)
    answer, _ = other.answer(leaf_hash(entry))
    assert "expects 1 of its consumers to sign a request, found 0" in sentence(answer)  # type: ignore[arg-type]


def test_aggregators_sum_nothing_without_a_verdict() -> None:
    run = prepared()
    grant = run.ask("task", SUM)
    run.hand_on(grant)
    for aggregator in run.cast.aggregators:
        with pytest.raises(ProtocolError, match=r"expected a verdict that t \+ 1 trustees have said, found none"):
            aggregator.sum(grant)
