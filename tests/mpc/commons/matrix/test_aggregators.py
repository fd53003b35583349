"""What faulty aggregators reach: up to t change nothing and are named, and more stop a result but make no wrong one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mpc.commons.encoding import decode, encode
from mpc.commons.entries import sign_entry
from mpc.commons.judging import SaidWords
from mpc.commons.prio import AggregateError, TooManyLiesError
from mpc.commons.reports import open_to_all
from mpc.commons.roles.run import CommonsRun
from mpc.commons.steps import Complaint, Words
from mpc.commons.summing import SumShare, result_of
from mpc.errors import ProtocolError
from tests.mpc.commons.prepared import ROWS, SETTINGS, TOTAL, Alter, aggregate, fresh, prepared, refusal, silent

Fault = Callable[[CommonsRun, int], dict[str, Alter]]
"""What an aggregator at a place does, by step."""


def words_by(run: CommonsRun, place: int, change: Callable[[tuple[bytes, ...]], tuple[bytes, ...]]) -> Alter:
    """Return the fault of an aggregator that signs other words than its own."""

    def alter(said: Any) -> Any:
        _, data = said
        grant = next(reversed(run.cast.consumer.log.state.grants))
        anew = encode(SaidWords(change(decode(SaidWords, data).words)))
        body = Words(grant, hashlib.sha256(anew).digest())
        return sign_entry(run.cast.aggregators[place].identity, run.cast.founding.origin, body), anew

    return alter


def flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def sum_with(**changes: Any) -> Alter:
    def alter(said: bytes) -> bytes:
        found = decode(SumShare, said)
        return encode(replace(found, **{name: change(getattr(found, name)) for name, change in changes.items()}))

    return alter


def false_complaint(run: CommonsRun, place: int) -> Alter:
    """Open a good box of an honest report to all, and call it bad."""

    def alter(said: list[bytes]) -> list[bytes]:
        assert said == []
        aggregator = run.cast.aggregators[place]
        grant = next(reversed(run.cast.consumer.log.state.grants))
        batch, _ = aggregator._opened(grant)
        one = batch.items[1]
        point, proof = open_to_all(aggregator._secret, one.label, one.digests, place, one.boxes[place])
        complaint = Complaint(grant, one.index, point, proof)
        return [sign_entry(aggregator.identity, run.cast.founding.origin, complaint)]

    return alter


def unproven_complaint(run: CommonsRun, place: int) -> Alter:
    def alter(said: list[bytes]) -> list[bytes]:
        aggregator, state = run.cast.aggregators[place], run.cast.consumer.log.state
        grant = next(reversed(state.grants))
        complaint = Complaint(grant, state.grants[grant].reports[0], bytes(32), bytes(64))
        return [sign_entry(aggregator.identity, run.cast.founding.origin, complaint)]

    return alter


# Of each fault: whether the aggregator is named, and whether it counts as silent at the end.
FAULTS: dict[str, tuple[Fault, bool, bool]] = {
    "crash": (lambda run, place: {"complaints": silent, "words": silent, "sum": silent}, False, True),
    "silent words": (lambda run, place: {"words": silent}, False, False),
    "silent sum": (lambda run, place: {"sum": silent}, False, True),
    "false words": (lambda run, place: {"words": words_by(run, place, lambda w: tuple(map(flipped, w)))}, True, False),
    "false word of one report": (
        lambda run, place: {"words": words_by(run, place, lambda w: (flipped(w[0]), *w[1:]))}, True, False),
    "too few words": (lambda run, place: {"words": words_by(run, place, lambda w: w[:-1])}, True, False),
    "too many words": (lambda run, place: {"words": words_by(run, place, lambda w: (*w, w[0]))}, True, False),
    "empty words": (lambda run, place: {"words": words_by(run, place, lambda w: (b"",) * len(w))}, True, False),
    "words of no field": (
        lambda run, place: {"words": words_by(run, place, lambda w: (b"\xff" * len(w[0]), *w[1:]))}, True, False),
    "false complaint": (lambda run, place: {"complaints": false_complaint(run, place)}, True, False),
    "complaint without proof": (lambda run, place: {"complaints": unproven_complaint(run, place)}, True, False),
    "false sum": (lambda run, place: {"sum": sum_with(share=flipped)}, True, False),
    "sum over others": (lambda run, place: {"sum": sum_with(batch=flipped)}, True, False),
    "sum of another grant": (lambda run, place: {"sum": sum_with(grant=flipped)}, True, False),
    "no sum": (lambda run, place: {"sum": lambda said: said[:-1]}, True, False),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_one_of_four_changes_nothing_and_is_named(fault: str) -> None:
    check_faults(4, 1, {2: fault})


@pytest.mark.parametrize(
    "faults",
    [
        ("crash", "false words"), ("false words", "false sum"), ("false complaint", "complaint without proof"),
        ("too few words", "empty words"), ("sum over others", "silent words"), ("words of no field", "silent sum"),
        ("false word of one report", "too many words"), ("no sum", "sum of another grant"), ("crash", "crash"),
    ],
)  # fmt: skip
def test_two_of_seven_change_nothing_and_are_named(faults: tuple[str, str]) -> None:
    check_faults(7, 2, dict(zip((1, 5), faults, strict=True)))


def check_faults(n: int, t: int, faults: dict[int, str]) -> None:
    run = prepared(n, t)
    altered = {
        ("aggregator", place, step): alter
        for place, fault in faults.items()
        for step, alter in FAULTS[fault][0](run, place).items()
    }
    found = aggregate(run, altered)
    assert found.value == TOTAL
    assert found.rejected == ()
    assert found.liars == tuple(f"aggregator-{place}" for place, one in sorted(faults.items()) if FAULTS[one][1])
    assert found.silent == tuple(f"aggregator-{place}" for place, one in sorted(faults.items()) if FAULTS[one][2])


@pytest.mark.parametrize("until", ["hand_on", "deal_noise", "judge"])
def test_an_aggregator_that_was_away_goes_on_when_it_is_back(until: str) -> None:
    """It joins what has not ended, and is needed for the next result, as another one is away then."""
    run, noisy = prepared(), "sum/100/noise-20"
    run.away = {("aggregator", 2)}
    try:
        grant = run.ask("task", noisy)
        for step in (run.hand_on, run.deal_noise, run.toss, run.judge):
            step(grant)
            if step.__name__ == until:
                run.away = set()
                run.certify()
                run._follow(run.cast.aggregators[2].log)
        found = run.sum(grant)
        run.away = {("aggregator", 0)}
        others = run.aggregate(run.ask("task", noisy))
    finally:
        run.away = set()
        run._follow(run.cast.aggregators[0].log)
    assert abs(found.value - TOTAL) < 3000
    assert (found.liars, found.silent) == ((), ("aggregator-2",) if until == "judge" else ())
    assert abs(others.value - TOTAL) < 3000
    assert (others.liars, others.silent) == ((), ("aggregator-0",))


@pytest.mark.parametrize(("n", "t"), SETTINGS)
def test_aggregators_that_lie_in_every_step_are_named_once(n: int, t: int) -> None:
    run = prepared(n, t)
    steps = {"words": "false words", "sum": "false sum"}
    faults = {
        ("aggregator", place, step): FAULTS[fault][0](run, place)[step]
        for place in range(t)
        for step, fault in steps.items()
    }
    found = aggregate(run, faults)
    assert (found.value, found.liars) == (TOTAL, tuple(f"aggregator-{place}" for place in range(t)))


def test_a_report_for_which_the_coin_gives_no_word_is_left_out_and_nobody_is_blamed() -> None:
    """The chance is below 2^-50, and then no honest aggregator has a word."""
    run = prepared()
    faults = {
        ("aggregator", place, "words"): words_by(run, place, lambda words: (*words[:-1], b"")) for place in range(4)
    }
    found = aggregate(run, faults)
    assert found.value == TOTAL - ROWS[-1]["sum/100"]
    assert (len(found.rejected), found.liars) == (1, ())


def test_two_stories_of_words_are_one_in_the_log() -> None:
    run = prepared()
    grant = run.ask("task", "sum/100")
    run.hand_on(grant)
    run.toss(grant)
    run.fetch(grant)
    said = run.cast.aggregators[1].words(grant)
    other = words_by(run, 1, lambda words: tuple(map(flipped, words)))(said)
    assert refusal(run, said[0], other[1]) == "expected the attachment with the digest in the entry, found another"
    run.submit(*other)  # the false story comes first, and is the one that all trustees judge
    run.certify()
    assert refusal(run, *said) == "expected nothing of aggregator 1 behind its words, found more"
    run.judge(grant)
    found = run.sum(grant)
    assert (found.value, found.liars) == (TOTAL, ("aggregator-1",))


def test_two_stories_of_a_sum_to_two_consumers_are_corrected_at_each() -> None:
    run = prepared()
    grant = run.ask("task", "sum/100")
    run.hand_on(grant)
    run.toss(grant)
    run.judge(grant)
    state, sums = run.cast.consumer.log.state, {i: one.sum(grant) for i, one in enumerate(run.cast.aggregators)}
    for story in (sum_with(share=flipped)(sums[3]), sums[0]):
        found = result_of(state, grant, sums | {3: story})
        assert (found.value, found.liars) == (TOTAL, ("aggregator-3",))


# -- more than t -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "t"), SETTINGS)
def test_more_than_t_silent_ones_stop_the_verdict(n: int, t: int) -> None:
    run = prepared(n, t)
    faults: Any = {("aggregator", place, "words"): silent for place in range(t + 1)}
    with pytest.raises(ProtocolError, match=r"expected a verdict that t \+ 1 trustees have said, found none"):
        aggregate(run, faults)
    assert run.unsaid["trustee", 0, "verdict"] == f"expected at least {n - t} of {n} aggregators, found {n - t - 1}"


@pytest.mark.parametrize(("n", "t"), SETTINGS)
def test_more_than_t_silent_ones_stop_the_result(n: int, t: int) -> None:
    with pytest.raises(TooManyLiesError, match=f"expected at least {n - t} of {n} aggregators, found {n - t - 1}"):
        aggregate(prepared(n, t), {("aggregator", place, "sum"): silent for place in range(t + 1)})


@pytest.mark.parametrize(("n", "t"), SETTINGS)
@pytest.mark.parametrize("step", ["words", "sum"])
def test_more_than_t_false_ones_are_refused(step: str, n: int, t: int) -> None:
    """Each lies by itself here. Together t + 1 of 3t + 1 could agree on one wrong polynomial, which is not covered."""
    run = prepared(n, t)
    faults = {
        ("aggregator", place, step): (
            sum_with(share=flipped) if step == "sum" else FAULTS["false words"][0](run, place)["words"]
        )
        for place in range(t + 1)
    }
    words = r"expected points of one polynomial|expected a verdict"
    with pytest.raises((TooManyLiesError, ProtocolError), match=words):
        aggregate(run, faults)


def test_one_liar_and_one_silent_one_of_four_are_refused() -> None:
    run = prepared()
    faults = {("aggregator", 0, "sum"): silent, ("aggregator", 1, "sum"): sum_with(share=flipped)}
    with pytest.raises(TooManyLiesError, match="with at most 0 lies"):
        aggregate(run, faults)


def test_liars_together_are_refused_within_the_formula() -> None:
    """Of five with t = 1, two that shift their sums along one polynomial are noticed: 2 <= 5 - 0 - 1 - 1 - 1."""
    run = prepared(5, 1)
    modulus = 2**64 - 2**32 + 1

    def shifted(place: int) -> Alter:
        """Add 9 (1 - x / 3) at x, which the aggregator at place 2 need not join, as it is 0 there."""

        def change(share: bytes) -> bytes:
            value = int.from_bytes(share, "little") + 9 - 3 * (place + 1)
            return (value % modulus).to_bytes(8, "little")

        return sum_with(share=change)

    with pytest.raises((TooManyLiesError, AggregateError)):
        aggregate(run, {("aggregator", place, "sum"): shifted(place) for place in (0, 1)})


def test_nobody_takes_an_aggregators_place() -> None:
    run, other = prepared(), fresh(name="example.org/other")
    grant = run.ask("task", "sum/100")
    run.hand_on(grant)
    run.toss(grant)
    stranger = other.cast.aggregators[0].identity
    words = sign_entry(stranger, run.cast.founding.origin, Words(grant, hashlib.sha256(b"").digest()))
    data = encode(SaidWords(()))
    entry = sign_entry(stranger, run.cast.founding.origin, Words(grant, hashlib.sha256(data).digest()))
    assert "expected an aggregator of the task, found the key" in refusal(run, entry, data)
    assert "expected the attachment with the digest" in refusal(run, words, data)
