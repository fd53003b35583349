"""What `RobustPrio` gives when aggregators lie or are silent, and what a client that lies can reach."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mpc.commons.prio import (
    Complaint,
    HeldShare,
    MeasurementError,
    Prio3Count,
    Prio3Histogram,
    Prio3LinearRegression,
    Prio3MultihotCountVec,
    Prio3Sum,
    Prio3SumVec,
    RobustPrio,
    TooManyLiesError,
)
from mpc.errors import OrderError, ParameterError
from mpc.randomness import SeededRandomness
from tests.mpc.commons.forger import Forger
from tests.mpc.commons.turboshake import xof

CTX, COIN = b"tests", bytes(range(32))

CIRCUITS: dict[str, tuple[Any, list[Any], Any]] = {
    "count": (Prio3Count(2), [1, 0, 1], 2),
    "sum": (Prio3Sum(2, 100), [100, 0, 7], 107),
    "sum_vec": (Prio3SumVec(2, 2, 9), [[1, 9], [0, 5]], [1, 14]),
    "histogram": (Prio3Histogram(2, 4), [3, 0, 3], [1, 0, 0, 2]),
    "multihot": (Prio3MultihotCountVec(2, 4, 2), [[1, 1, 0, 0], [0, 1, 0, 0]], [1, 2, 0, 0]),
}


class Run:
    """Some reports dealt and checked by all aggregators."""

    def __init__(self, robust: RobustPrio[Any], measurements: list[Any]) -> None:
        self.robust, self.count = robust, len(measurements)
        self.held: list[list[HeldShare]] = []
        for measurement in measurements:
            nonce = os.urandom(16)
            public, shares = robust.deal(measurement, nonce)
            found = [robust.check(j, nonce, public, share) for j, share in enumerate(shares, 1)]
            self.held.append([held for held in found if isinstance(held, HeldShare)])
            assert len(self.held[-1]) == robust.n

    def words(self, report: int = 0) -> dict[int, bytes]:
        return {held.number: self.robust.verifier(held, COIN) for held in self.held[report]}

    def sums(self) -> dict[int, bytes]:
        return {j: self.robust.aggregate([held[j - 1] for held in self.held]) for j in range(1, self.robust.n + 1)}


def changed(message: bytes) -> bytes:
    """Another point, of which each element is a field element."""
    return bytes([message[0] ^ 1]) + message[1:]


@pytest.mark.parametrize(("n", "t"), [(3, 1), (4, 1), (7, 2)])
@pytest.mark.parametrize("name", CIRCUITS)
def test_honest_parties_get_the_clear_result_and_name_nobody(name: str, n: int, t: int) -> None:
    circuit, measurements, expected = CIRCUITS[name]
    run = Run(RobustPrio(circuit, n, t, CTX), measurements)
    for report in range(run.count):
        verdict = run.robust.decide(run.words(report))
        assert (verdict.valid, verdict.liars) == (True, ())
    assert run.robust.combine(run.sums(), run.count) == (expected, ())


def test_linear_regression_among_seven() -> None:
    circuit = Prio3LinearRegression(2, 1, 6)
    run = Run(RobustPrio(circuit, 7, 2, CTX), [[1, 5], [2, 7], [3, 9], [10, 23]])
    assert all(run.robust.decide(run.words(report)).valid for report in range(4))
    sums = run.sums()
    sums[3], sums[6] = changed(sums[3]), changed(sums[6])
    result, liars = run.robust.combine(sums, 4)
    assert (result.solve(), liars) == (((2,), 3), (3, 6))


# ---- aggregators that lie or are silent


@pytest.mark.parametrize(("n", "t"), [(3, 1), (4, 1), (5, 2), (6, 2), (7, 2)])
def test_every_number_of_liars_and_silent_ones_is_corrected_or_refused_as_the_formula_says(n: int, t: int) -> None:
    robust = RobustPrio(Prio3Sum(2, 100), n, t, CTX)
    run = Run(robust, [42, 13])
    assert robust.corrections == min(t, n - 2 * t - 1)
    for silent in range(n):
        for lying in range(n - silent):
            names = tuple(range(silent + 1, silent + lying + 1))
            for messages, ask in (
                (run.words(), lambda points: (robust.decide(points).valid, robust.decide(points).liars)),
                (run.sums(), lambda points: robust.combine(points, 2)),
            ):
                points = {j: message for j, message in messages.items() if j > silent}
                points |= {j: changed(points[j]) for j in names}
                if lying + silent <= t and lying <= robust.corrections:
                    assert ask(points) == (True if len(messages[1]) != 8 else 55, names)
                elif silent > t or 0 < lying <= max(t - silent, n - silent - t - 1 - robust.corrections):
                    with pytest.raises(TooManyLiesError):
                        ask(points)


def on_another_polynomial(robust: RobustPrio[Any], sums: dict[int, bytes], liars: tuple[int, ...]) -> dict[int, bytes]:
    """Lies that fit together: x - j for the honest ones j, up to t of them, is added to the points of all liars."""
    p, honest = robust.circuit.modulus, [j for j in sums if j not in liars][: robust.t]
    lies = dict(sums)
    for liar in liars:
        shift = 1
        for j in honest:
            shift = shift * (liar - j) % p
        value = (int.from_bytes(sums[liar], "little") + shift) % p
        lies[liar] = value.to_bytes(8, "little")
    return lies


def test_two_that_lie_together_of_four_are_noticed_if_nothing_is_corrected() -> None:
    """With one correction, two of four that lie together falsify a result where t is 1. This is beyond the formula."""
    circuit = Prio3Sum(2, 100)
    for corrections, falsified in ((0, False), (1, True)):
        robust = RobustPrio(circuit, 4, 1, CTX, corrections)
        run = Run(robust, [42, 13])
        lies = on_another_polynomial(robust, run.sums(), (3, 4))
        if falsified:
            result, liars = robust.combine(lies, 2)
            assert result != 55
            assert liars == (2,)
        else:
            with pytest.raises(TooManyLiesError, match="with at most 0 lies, found more lies among 4 aggregators"):
                robust.combine(lies, 2)


def test_two_stories_and_messages_of_another_form_are_lies() -> None:
    robust = RobustPrio(Prio3Sum(2, 100), 4, 1, CTX)
    run = Run(robust, [42])
    for lie in (b"", bytes(7), b"\xff" * 8, bytes(9)):
        assert robust.combine(run.sums() | {2: lie}, 1) == (42, (2,))
    constant = {j: (5).to_bytes(8, "little") for j in range(1, 5)}  # points of a polynomial of degree 0
    too_large = (5 + robust.circuit.modulus).to_bytes(8, "little")
    assert robust.combine(constant | {2: too_large}, 1) == (5, (2,))
    for lie in (b"", b"\xff" * len(run.words()[2])):
        verdict = robust.decide(run.words() | {2: lie})
        assert (verdict.valid, verdict.liars) == (True, (2,))
    for story in (changed(run.sums()[2]), run.sums()[3]):  # each receiver decides the same, whatever it was told
        assert robust.combine(run.sums() | {2: story}, 1) == (42, (2,))
    with pytest.raises(TooManyLiesError, match="expected at least 3 of 4 aggregators, found 2"):
        robust.combine({1: run.sums()[1], 2: run.sums()[2]}, 1)
    with pytest.raises(ParameterError, match="expected aggregators 1 to 4, found number 5"):
        robust.combine(run.sums() | {5: bytes(8)}, 1)


def test_a_sum_over_other_reports_than_the_agreed_ones_is_a_lie() -> None:
    robust = RobustPrio(Prio3Sum(2, 100), 4, 1, CTX)
    run = Run(robust, [5, 6, 7])
    sums = run.sums()
    sums[1] = robust.aggregate([held[0] for held in run.held[1:]])
    assert robust.combine(sums, 3) == (18, (1,))
    sums[2] = robust.aggregate([run.held[0][1], run.held[2][1]])
    with pytest.raises(TooManyLiesError):
        robust.combine(sums, 3)


def test_liars_are_looked_for_in_one_number_of_each_aggregator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise each report with t liars costs the time of all sets, times the length of the words."""
    robust = RobustPrio(Prio3Histogram(2, 10), 10, 3, CTX)
    run = Run(robust, [3])
    words = run.words()
    length = len(words[1]) // robust._sizes["element"]
    for liar in (1, 2, 3):
        words[liar] = changed(words[liar])
    computed, at = [0], RobustPrio._at

    def counted(self: Any, read: Any, chosen: Any, place: int) -> Any:
        computed[0] += len(read[chosen[0]])
        return at(self, read, chosen, place)

    monkeypatch.setattr(RobustPrio, "_at", counted)
    verdict = robust.decide(words)
    assert (verdict.valid, verdict.liars) == (True, (1, 2, 3))
    assert length > 8
    assert computed[0] <= 210 * 6 + 7 * length  # each set in one number, and one set in all


# ---- a client that lies


def test_a_batch_is_decided_as_its_reports_one_by_one() -> None:
    robust = RobustPrio(Prio3Histogram(2, 4), 7, 2, CTX)
    run = Run(robust, [0, 1, 2, 3])
    words = [run.words(report) for report in range(4)]
    words[0][3] = changed(words[0][3])  # one lies about the first report, and another one about the third
    words[2][6] = words[2][6][:-1]
    del words[3][1]
    expected = [robust.decide(one) for one in words]
    assert [one.liars for one in expected] == [(3,), (), (6,), ()]
    assert robust.decide_batch(words) == ([True] * 4, (3, 6))
    # Each adds a number of another size, so that no five of them are on a polynomial of degree 2.
    words[1] = {n: word[: n - 1] + bytes([word[n - 1] ^ 1]) + word[n:] for n, word in words[1].items()}
    with pytest.raises(TooManyLiesError):
        robust.decide_batch(words)
    forgers = [Forger(RobustPrio(Prio3Sum(2, 7), 7, 2, CTX)) for _ in range(2)]
    forgers[0].add(0, 1)
    said = [
        {one.number: forger.robust.verifier(one, COIN) for one in forger.checked() if isinstance(one, HeldShare)}
        for forger in forgers
    ]
    assert forgers[0].robust.decide_batch(said) == ([False, True], ())


def test_a_batch_in_which_each_report_can_be_decided_is_decided_though_all_lies_together_cannot() -> None:
    robust = RobustPrio(Prio3Sum(2, 7), 4, 1, CTX)
    run = Run(robust, [1, 2])
    words = [run.words(report) for report in range(2)]
    words[0][3], words[1][2] = changed(words[0][3]), changed(words[1][2])
    assert robust.decide_batch(words) == ([True, True], (2, 3))


def test_liars_of_a_batch_are_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    robust = RobustPrio(Prio3Count(2), 10, 3, CTX)
    run = Run(robust, [1] * 20)
    words = [run.words(report) for report in range(20)]
    for one in words:
        one |= {liar: changed(one[liar]) for liar in (1, 2, 3)}
    mixed, decoded = [0], RobustPrio._mixed

    def counted(self: Any, read: Any) -> Any:
        mixed[0] += 1
        return decoded(self, read)

    monkeypatch.setattr(RobustPrio, "_mixed", counted)
    assert robust.decide_batch(words) == ([True] * 20, (1, 2, 3))
    assert mixed[0] == 1


def flips(message: bytes) -> list[bytes]:
    return [message[:i] + bytes([message[i] ^ 0x40]) + message[i + 1 :] for i in range(len(message))]


@pytest.mark.parametrize("name", ["count", "histogram"])
def test_every_changed_byte_of_share_and_public_share_gives_a_complaint(name: str) -> None:
    robust = RobustPrio(CIRCUITS[name][0], 4, 1, CTX)
    nonce = os.urandom(16)
    public, shares = robust.deal(CIRCUITS[name][1][0], nonce)
    for share in flips(shares[1]):
        assert isinstance(robust.check(2, nonce, public, share), Complaint)
    for other in flips(public):
        assert all(isinstance(robust.check(j, nonce, other, shares[j - 1]), Complaint) for j in range(1, 5))
    for other in flips(nonce):
        assert isinstance(robust.check(2, other, public, shares[1]), Complaint)
    assert robust.check(3, nonce, public, shares[1]) == Complaint(
        3, "expected the share that the public share has a hash of, found another"
    )
    assert isinstance(robust.check(2, nonce, public, shares[1][:-1]), Complaint)


def test_what_the_client_computes_is_what_is_specified() -> None:
    """The forger's own sponge and polynomials give the public share of an honest report."""
    forger = Forger(RobustPrio(Prio3Sum(2, 7), 4, 1, CTX))
    nonce = forger.nonce
    public, shares = forger.robust.deal(5, nonce, SeededRandomness(b"fixed"))
    forger.blinds = [share[-32:] for share in shares]
    forger.values = [[int.from_bytes(s[i : i + 8], "little") for i in range(0, len(s) - 32, 8)] for s in shares]
    assert forger.public() == public


def test_a_measurement_out_of_range_is_found_invalid_whatever_is_made_anew() -> None:
    assert Forger(RobustPrio(Prio3Sum(2, 7), 4, 1, CTX)).verdict(COIN).valid
    for element in range(Forger.bits + 4):
        forger = Forger(RobustPrio(Prio3Sum(2, 7), 4, 1, CTX))
        for j in range(4):
            forger.values[j][element] = (forger.values[j][element] + 1) % forger.p
        assert all(isinstance(one, HeldShare) for one in forger.checked())
        assert not forger.verdict(COIN).valid


def test_shares_that_lie_on_no_line_give_a_complaint_and_would_split_the_aggregators() -> None:
    forger = Forger(RobustPrio(Prio3Sum(2, 7), 4, 1, CTX))
    forger.values[3][0] = (forger.values[3][0] + 1) % forger.p
    found = forger.checked()
    assert found[3] == Complaint(4, "expected a share on the published polynomial, found one beside it")
    assert all(isinstance(one, HeldShare) for one in found[:3])
    # Without this check an honest aggregator would be called a liar.
    blind = HeldShare(4, forger.nonce, forger.public(), forger.share(3))
    words = {one.number: forger.robust.verifier(one, COIN) for one in (*found[:3], blind) if isinstance(one, HeldShare)}
    assert forger.robust.decide(words).liars == (4,)


def test_one_coin_a_report() -> None:
    run = Run(RobustPrio(Prio3Count(2), 3, 1, CTX), [1])
    assert run.words() == run.words()
    with pytest.raises(OrderError, match="expected one coin a report"):
        run.robust.verifier(run.held[0][0], bytes(32))
    assert repr(run.held[0][0]).startswith("HeldShare(aggregator 1, ")


@pytest.mark.parametrize("measurement", [0, 1])
def test_words_under_two_coins_give_the_measurement_away(measurement: int) -> None:
    """The attack: an aggregator that starts again, or that serves a second batch, takes another coin.

    A batch's aggregators see all words. The one after the first is the proof's wire at the tested place, which is a
    line through the measurement. Two places give the line. So a report has one coin for ever, see `coins_of`.
    """
    robust = RobustPrio(Prio3Count(2), 4, 1, CTX)
    p, nonce = robust.circuit.modulus, os.urandom(16)
    public, shares = robust.deal(measurement, nonce)
    seen = []
    for coin in (COIN, bytes(32)):
        held = [robust.check(j, nonce, public, share) for j, share in enumerate(shares, 1)]  # a new process
        words = {one.number: robust.verifier(one, coin) for one in held if isinstance(one, HeldShare)}
        whole, _ = robust._decode(words, robust._sizes["verifier"])
        tag = bytes([1, 0xC0, 0, 0, 0, 1, 8, 4, 1]) + CTX
        seen.append((int.from_bytes(xof(tag, coin, nonce, 8), "little"), whole[1]))
    (one, value), (two, other) = seen
    slope = (other - value) * pow(two - one, -1, p)
    assert (value + slope * (-1 - one)) % p == measurement


# ---- what t aggregators see


def views(measurement: int, deals: int) -> np.ndarray[Any, Any]:
    """The highest bytes of one aggregator's elements and of the published polynomial, in many deals."""
    robust = RobustPrio(Prio3Count(2), 4, 1, CTX)
    seeds = SeededRandomness(hashlib.sha256(bytes([measurement])).digest())
    rows = []
    for _ in range(deals):
        public, shares = robust.deal(measurement, bytes(16), seeds)
        rows.append([*shares[1][7:-32:8], *public[8 * 32 + 7 :: 8]])
    return np.array(rows)


def test_what_one_of_four_sees_is_uniform_whatever_the_measurement_is() -> None:
    for measurement in (0, 1):
        seen = views(measurement, 512)
        counts = np.stack([np.bincount(column // 32, minlength=8) for column in seen.T])
        assert ((counts - 64) ** 2 / 64).sum(axis=1).max() < 40  # chi-square, 7 degrees of freedom


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda c: RobustPrio(c, 2, 1, CTX), "expected t of at least 1 and n of at least 2t \\+ 1, found 2 and 1"),
        (lambda c: RobustPrio(c, 3, 0, CTX), "found 3 and 0"),
        (lambda c: RobustPrio(c, 40, 13, CTX), "expected at most 20000 sets of t \\+ 1"),
        (lambda c: RobustPrio(c, 4, 1, CTX, 2), "corrections: expected 0 to 1, found 2"),
        (lambda c: RobustPrio(c, 4, 1, bytes(65527)), "ctx: expected at most 65526 bytes"),
    ],
)
def test_parameters_out_of_their_range(make: Callable[[Any], Any], sentence: str) -> None:
    with pytest.raises(ParameterError, match=sentence):
        make(Prio3Count(2))


def test_the_longest_context_works() -> None:
    assert Run(RobustPrio(Prio3Count(2), 3, 1, bytes(65526)), [1]).count == 1


def test_a_bad_measurement_is_refused_at_the_client() -> None:
    with pytest.raises(MeasurementError, match="expected an integer from 0 to 1, found another value"):
        RobustPrio(Prio3Count(2), 3, 1, CTX).deal(2, bytes(16))
