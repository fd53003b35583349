"""What Prio3 gives, what it refuses, and what a client that lies can reach."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from mpc.commons.prio import (
    AggregateError,
    DecodeError,
    InvalidProofError,
    JointRandomnessError,
    MeasurementError,
    Messages,
    OutShares,
    Prio3,
    Prio3Count,
    Prio3Histogram,
    Prio3LinearRegression,
    Prio3MultihotCountVec,
    Prio3Sum,
    Prio3SumVec,
    RegressionSums,
    Reports,
    VerifyStates,
)
from mpc.commons.prio.circuits import best_chunk_length
from mpc.errors import ParameterError, ProtocolError

CTX = b"tests"
KEY = bytes(range(32))


def one_of_each(shares: int = 2) -> dict[str, tuple[Prio3[Any, Any], Any]]:
    """Every circuit, and how to draw measurements."""
    rng = np.random.default_rng(5)

    def multihot(n: int) -> Any:
        rows = np.zeros((n, 6), int)
        for row in rows:
            row[rng.choice(6, rng.integers(0, 4), replace=False)] = 1
        return rows

    return {
        "count": (Prio3Count(shares), lambda n: rng.integers(0, 2, n)),
        "sum": (Prio3Sum(shares, 1000), lambda n: rng.integers(0, 1001, n)),
        "sum_vec": (Prio3SumVec(shares, 3, 2**40), lambda n: rng.integers(0, 2**40 + 1, (n, 3))),
        "histogram": (Prio3Histogram(shares, 5), lambda n: rng.integers(0, 5, n)),
        "multihot": (Prio3MultihotCountVec(shares, 6, 3), multihot),
        "regression": (Prio3LinearRegression(shares, 2, 6), lambda n: rng.integers(0, 64, (n, 3))),
    }


def clear_result(name: str, measurements: Any) -> Any:
    """The same sums, of what the clients hold."""
    if name in ("count", "sum"):
        return int(measurements.sum())
    if name == "histogram":
        return np.bincount(measurements, minlength=5).tolist()
    if name == "regression":
        x, y = measurements[:, :2], measurements[:, 2]
        rows = tuple(map(tuple, (x.T @ x).tolist()))
        return RegressionSums(len(x), tuple(x.sum(0).tolist()), int(y.sum()), rows, tuple((x.T @ y).tolist()))
    return measurements.sum(0).tolist()


def verified(prio3: Prio3[Any, Any], reports: Reports, changed: dict[int, Reports] | None = None) -> list[OutShares]:
    """Run both rounds at all aggregators. `changed` has what some of them received instead."""
    seen = [(changed or {}).get(agg_id, reports) for agg_id in range(prio3.SHARES)]
    started = [
        prio3.verify_init_batch(KEY, CTX, agg_id, mine.nonces, mine.public_shares, mine.input_shares[agg_id])
        for agg_id, mine in enumerate(seen)
    ]
    messages = prio3.verifier_shares_to_message_batch(CTX, [shares for _, shares in started])
    return [prio3.verify_next_batch(CTX, states, messages) for states, _ in started]


@pytest.mark.parametrize("name", one_of_each())
def test_the_result_of_a_thousand_reports_is_the_clear_sum(name: str) -> None:
    prio3, draw = one_of_each()[name]
    measurements = draw(1000)
    out = verified(prio3, prio3.shard_batch(CTX, measurements))
    assert all(shares.valid.all() for shares in out)
    assert prio3.unshard([prio3.aggregate(shares) for shares in out], 1000) == clear_result(name, measurements)


@pytest.mark.parametrize("shares", [3, 5, 255])
def test_any_number_of_aggregators(shares: int) -> None:
    for name, (prio3, draw) in one_of_each(shares).items():
        measurements = draw(2)
        out = verified(prio3, prio3.shard_batch(CTX, measurements))
        assert prio3.unshard([prio3.aggregate(each) for each in out], 2) == clear_result(name, measurements)


def test_one_report_at_a_time_is_the_same_as_a_batch() -> None:
    prio3, draw = one_of_each()["histogram"]
    shares = [prio3.agg_init(), prio3.agg_init()]
    measurements = draw(5)
    for measurement in measurements:
        nonce = os.urandom(16)
        public, inputs = prio3.shard(CTX, int(measurement), nonce)
        started = [prio3.verify_init(KEY, CTX, j, nonce, public, inputs[j]) for j in range(2)]
        message = prio3.verifier_shares_to_message(CTX, [share for _, share in started])
        for j, (state, _) in enumerate(started):
            shares[j] = prio3.agg_update(shares[j], prio3.verify_next(CTX, state, message))
    assert prio3.unshard(shares, 5) == clear_result("histogram", measurements)


def test_shares_are_fresh_and_alone_say_nothing() -> None:
    prio3 = Prio3Sum(2, 255)
    one, other = (prio3.shard_batch(CTX, np.full(3, 7)) for _ in range(2))
    for first, second in zip((one.nonces, *one.input_shares), (other.nonces, *other.input_shares), strict=True):
        assert (first != second).any(axis=1).all()
        assert len({row.tobytes() for row in (*first, *second)}) == 6


# ---- changed on the way, and made by a client that lies


def flipped(table: Any, first_byte: int = 0) -> Any:
    """A row for each byte of one report's row, in which that byte is changed."""
    rows = np.repeat(table[:1], table.shape[1] - first_byte, axis=0)
    rows[np.arange(len(rows)), first_byte + np.arange(len(rows))] ^= 0x11
    return rows


def copies(reports: Reports, n: int) -> Reports:
    repeat = [np.repeat(table[:1], n, axis=0) for table in (reports.nonces, reports.public_shares)]
    return Reports(repeat[0], repeat[1], tuple(np.repeat(table[:1], n, axis=0) for table in reports.input_shares))


@pytest.mark.parametrize("name", one_of_each())
def test_every_byte_of_an_input_share_counts(name: str) -> None:
    prio3, draw = one_of_each()[name]
    report = prio3.shard_batch(CTX, draw(1))
    for agg_id in range(2):
        rows = flipped(report.input_shares[agg_id])
        many = copies(report, len(rows))
        inputs = tuple(rows if j == agg_id else table for j, table in enumerate(many.input_shares))
        out = verified(prio3, Reports(many.nonces, many.public_shares, inputs))
        assert not any(shares.valid.any() for shares in out[:1])
        assert not out[agg_id].rows.any()


@pytest.mark.parametrize("name", ["sum_vec", "histogram", "multihot", "regression"])
def test_every_byte_of_the_public_share_counts_but_an_aggregators_own_part(name: str) -> None:
    """An aggregator derives its own part and looks at the others'. So what it received of its own changes nothing."""
    prio3, draw = one_of_each()[name]
    report = prio3.shard_batch(CTX, draw(1))
    rows = flipped(report.public_shares)
    many = copies(report, len(rows))
    changed = Reports(many.nonces, rows, many.input_shares)
    assert not verified(prio3, changed)[0].valid.any()  # both received the same
    out = verified(prio3, many, {0: changed})
    assert out[0].valid.tolist() == [True] * 32 + [False] * 32


@pytest.mark.parametrize("name", one_of_each())
def test_every_byte_of_a_nonce_that_one_aggregator_received_counts(name: str) -> None:
    prio3, draw = one_of_each()[name]
    report = prio3.shard_batch(CTX, draw(1))
    many = copies(report, 16)
    out = verified(prio3, many, {1: Reports(flipped(report.nonces), many.public_shares, many.input_shares)})
    assert not out[0].valid.any()


def test_a_nonce_that_all_received_changed_counts_where_there_is_joint_randomness() -> None:
    """Without joint randomness only the aggregators' test depends on it, and any will do."""
    for name, (prio3, draw) in one_of_each().items():
        report = prio3.shard_batch(CTX, draw(1))
        many = copies(report, 16)
        out = verified(prio3, Reports(flipped(report.nonces), many.public_shares, many.input_shares))
        assert out[0].valid.all() == (name in ("count", "sum"))
        assert out[0].valid.any() == (name in ("count", "sum"))


@pytest.mark.parametrize("name", one_of_each())
def test_every_byte_of_verifier_share_and_message_counts(name: str) -> None:
    prio3, draw = one_of_each()[name]
    report = prio3.shard_batch(CTX, draw(1))
    started = [
        prio3.verify_init_batch(KEY, CTX, j, report.nonces, report.public_shares, report.input_shares[j])
        for j in range(2)
    ]
    rows = flipped(started[0][1])
    messages = prio3.verifier_shares_to_message_batch(CTX, [rows, np.repeat(started[1][1], len(rows), axis=0)])
    states = VerifyStates(np.repeat(started[1][0].rows, len(rows), axis=0), np.zeros(len(rows), np.uint8))
    assert not prio3.verify_next_batch(CTX, states, messages).valid.any()
    honest = prio3.verifier_shares_to_message_batch(CTX, [shares for _, shares in started])
    if honest.rows.size:
        changed = flipped(honest.rows)
        states = VerifyStates(np.repeat(started[1][0].rows, 32, axis=0), np.zeros(32, np.uint8))
        out = prio3.verify_next_batch(CTX, states, Messages(changed, np.zeros(32, np.uint8)))
        assert not out.valid.any()
        assert isinstance(out.failures[5], JointRandomnessError)


@pytest.mark.parametrize("name", one_of_each())
def test_a_measurement_out_of_range_is_not_accepted_whatever_the_proof_was_made_for(name: str) -> None:
    """The client adds to one element of the leader's share, so that the shares add up to something else."""
    prio3, draw = one_of_each()[name]
    report = prio3.shard_batch(CTX, draw(1))
    size, leader = (prio3.modulus.bit_length() + 7) // 8, report.input_shares[0]
    elements = min(40, leader.shape[1] // size)
    rows = np.repeat(leader, 3 * elements, axis=0)
    for row, (place, step) in enumerate((i, k) for i in range(elements) for k in (1, prio3.modulus - 1, 2**32)):
        at = slice(place * size, (place + 1) * size)
        value = (int.from_bytes(rows[row, at].tobytes(), "little") + step) % prio3.modulus
        rows[row, at] = np.frombuffer(value.to_bytes(size, "little"), np.uint8)
    many = copies(report, len(rows))
    out = verified(prio3, Reports(many.nonces, many.public_shares, (rows, many.input_shares[1])))
    assert not out[0].valid.any()
    assert {type(error) for error in out[0].failures.values()} == {InvalidProofError}


def test_reports_that_fail_do_not_touch_the_others() -> None:
    prio3 = Prio3Sum(2, 255)
    reports = prio3.shard_batch(CTX, np.arange(10))
    leader = reports.input_shares[0].copy()
    leader[3, :8] = 255  # no field element
    leader[7, 0] ^= 1
    out = verified(prio3, Reports(reports.nonces, reports.public_shares, (leader, reports.input_shares[1])))
    assert sorted(out[0].failures) == [3, 7]
    assert isinstance(out[0].failures[3], DecodeError)
    assert isinstance(out[1].failures[7], InvalidProofError)
    agreed = out[0].valid & out[1].valid
    assert prio3.unshard([prio3.aggregate(shares.keep(agreed)) for shares in out], 8) == sum(range(10)) - 3 - 7


def test_another_key_context_or_place_is_noticed() -> None:
    prio3 = Prio3Histogram(2, 5)
    nonce = os.urandom(16)
    public, inputs = prio3.shard(CTX, 2, nonce)

    def message(key: bytes = KEY, ctx: bytes = CTX, first: int = 1) -> bytes:
        one = prio3.verify_init(KEY, CTX, 0, nonce, public, inputs[0])[1]
        other = prio3.verify_init(key, ctx, 1, nonce, public, inputs[1])[1]
        return prio3.verifier_shares_to_message(ctx, [one, other][:: first or -1])

    assert len(message()) == 32
    for changes in ({"key": bytes(32)}, {"ctx": b"other"}, {"first": 0}):
        if "first" in changes:
            assert message(**changes) != message()
        else:
            with pytest.raises(InvalidProofError, match="expected a proof that fits"):
                message(**changes)


# ---- refusals


@pytest.mark.parametrize(
    ("name", "measurement", "sentence"),
    [
        ("count", 2, "report 0: a measurement: expected an integer from 0 to 1, found another value"),
        ("count", -1, "expected integers that are not negative"),
        ("sum", 1001, "expected an integer from 0 to 1000"),
        ("sum", 1.5, "expected integers from 0 to 2\\^64 - 1, found something else"),
        ("sum", 2**64, "expected integers from 0 to 2\\^64 - 1"),
        ("sum", "7", "expected integers, found an array"),
        ("sum", [1, 2], "expected an integer each, found an array of shape"),
        ("sum_vec", [1, 2], "expected 3 integers each"),
        ("sum_vec", [1, 2, 2**40 + 1], "an entry of a measurement: expected an integer from 0 to 1099511627776"),
        ("histogram", 5, "expected an integer from 0 to 4"),
        ("multihot", [1, 1, 1, 1, 0, 0], "entries of a measurement that are 1: expected an integer from 0 to 3"),
        ("multihot", [2, 0, 0, 0, 0, 0], "an entry of a measurement: expected an integer from 0 to 1"),
        ("regression", [1, 64, 2], "a feature or the label: expected an integer from 0 to 63"),
    ],
)  # fmt: skip
def test_a_bad_measurement_is_refused_at_the_client(name: str, measurement: Any, sentence: str) -> None:
    with pytest.raises(ParameterError, match=sentence) as refused:
        one_of_each()[name][0].shard(CTX, measurement, bytes(16))
    assert isinstance(refused.value, MeasurementError)


def test_large_integers_are_taken_as_they_are() -> None:
    prio3 = Prio3SumVec(2, 2, 2**64 - 1)
    out = verified(prio3, prio3.shard_batch(CTX, [[2**64 - 1, 1], [1, 2**63]]))
    assert prio3.unshard([prio3.aggregate(shares) for shares in out], 2) == [2**64, 2**63 + 1]


@pytest.mark.parametrize("name", one_of_each())
def test_every_message_of_another_length_is_refused(name: str) -> None:
    prio3, draw = one_of_each()[name]
    report, nonce = prio3.shard_batch(CTX, draw(1)), bytes(16)
    public, inputs = report.public_shares.tobytes(), [table.tobytes() for table in report.input_shares]
    state, share = prio3.verify_init(KEY, CTX, 1, nonce, public, inputs[1])
    for change in (lambda message: message + b"\0", lambda message: message[:-1]):
        if public:
            with pytest.raises(DecodeError, match=f"a public share: expected {len(public)} bytes, found"):
                prio3.verify_init(KEY, CTX, 0, nonce, change(public), inputs[0])
        for agg_id in range(2):
            with pytest.raises(DecodeError, match=f"an input share: expected {len(inputs[agg_id])} bytes, found"):
                prio3.verify_init(KEY, CTX, agg_id, nonce, public, change(inputs[agg_id]))
        with pytest.raises(DecodeError, match="a nonce: expected 16 bytes"):
            prio3.verify_init(KEY, CTX, 0, change(nonce), public, inputs[0])
        with pytest.raises(ParameterError, match="a verification key: expected 32 bytes"):
            prio3.verify_init(change(KEY), CTX, 0, nonce, public, inputs[0])
        with pytest.raises(DecodeError, match="a verifier share: expected"):
            prio3.verifier_shares_to_message(CTX, [share, change(share)])
        with pytest.raises(DecodeError, match="an aggregate share: expected"):
            prio3.merge([change(prio3.agg_init())])
    with pytest.raises(DecodeError, match="a verifier message: expected"):
        prio3.verify_next(CTX, state, bytes(31))
    with pytest.raises(ParameterError, match="expected those of 2 aggregators, found 1"):
        prio3.verifier_shares_to_message(CTX, [share])
    with pytest.raises(ParameterError, match="agg_id: expected 0 to 1, found 2"):
        prio3.verify_init(KEY, CTX, 2, nonce, public, inputs[0])
    with pytest.raises(DecodeError, match="expected field elements below the modulus"):
        prio3.merge([b"\xff" * len(prio3.agg_init())])


def test_aggregates_that_do_not_fit_together_are_refused() -> None:
    count, histogram = Prio3Count(2), Prio3Histogram(2, 5)
    reports = count.shard_batch(CTX, np.ones(4, int))
    out = verified(count, reports)
    one, other = (count.aggregate(shares) for shares in out)
    assert count.unshard([one, other], 4) == 4
    with pytest.raises(AggregateError, match="of the same 3 reports"):
        count.unshard([one, other], 3)
    with pytest.raises(AggregateError, match="of the same 4 reports"):
        count.unshard([one, count.aggregate(out[1].keep(np.array([True, True, True, False])))], 4)
    with pytest.raises(ParameterError, match="num_measurements: expected at least 1"):
        count.unshard([one, other], 0)
    shares = [histogram.aggregate(out) for out in verified(histogram, histogram.shard_batch(CTX, [1, 1]))]
    with pytest.raises(AggregateError, match="buckets that hold 2 in all"):
        histogram.unshard(shares, 3)
    large = Prio3Sum(2, 2**62)
    with pytest.raises(AggregateError, match="expected at most 3 measurements, so that no sum passes the modulus"):
        large.unshard([large.agg_init(), large.agg_init()], 4)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Prio3Count(1), "shares: expected 2 to 255, found 1"),
        (lambda: Prio3Count(256), "shares: expected 2 to 255, found 256"),
        (lambda: Prio3Sum(2, 0), "max_measurement: expected 1 to"),
        (lambda: Prio3Sum(2, 2**63), "max_measurement: expected 1 to"),
        (lambda: Prio3Sum(2, -1), "max_measurement: expected an integer from 0"),
        (lambda: Prio3SumVec(2, 0, 5, 1), "length: expected 1 to"),
        (lambda: Prio3Histogram(2, 5, -1), "chunk_length: expected an integer from 0"),
        (lambda: Prio3MultihotCountVec(2, 4, 5), "max_weight: expected 1 to 4, found 5"),
        (lambda: Prio3LinearRegression(2, 2, 33), "bits: expected 1 to 32, found 33"),
        (lambda: Prio3LinearRegression(2, 0, 3), "features: expected 1 to 1000, found 0"),
    ],
)
def test_parameters_out_of_their_range(make: Any, sentence: str) -> None:
    with pytest.raises(ParameterError, match=sentence):
        make()


def test_tables_of_another_shape_are_refused() -> None:
    prio3 = Prio3Count(2)
    reports = prio3.shard_batch(CTX, [1, 0])
    with pytest.raises(ProtocolError, match=r"input shares: expected a uint8 array of shape \(2, 48\)"):
        prio3.verify_init_batch(KEY, CTX, 0, reports.nonces, reports.public_shares, reports.input_shares[1])
    with pytest.raises(ProtocolError, match="found int64"):
        prio3.shard_batch(CTX, [1, 0], np.zeros((2, 16), int))
    with pytest.raises(ParameterError, match="expected a bool array"):
        verified(prio3, reports)[0].keep(np.array([1, 0]))


def test_nothing_that_holds_a_share_shows_it() -> None:
    prio3 = Prio3Count(2)
    reports = prio3.shard_batch(CTX, [1])
    state, _ = prio3.verify_init(KEY, CTX, 1, *(table.tobytes() for table in (
        reports.nonces, reports.public_shares, reports.input_shares[1])))  # fmt: skip
    out = verified(prio3, reports)[0]
    assert repr(reports) == "Reports(1 reports, 2 aggregators)"
    assert repr(state) == "VerifyState(8 bytes)"
    assert repr(out) == "OutShares(1 reports, 0 of them failed)"


# ---- linear regression


def test_linear_regression_is_least_squares_on_the_same_integers() -> None:
    rng = np.random.default_rng(2)
    x = rng.integers(0, 256, (60, 3))
    y = (x @ [1, 0, 2] // 4 + rng.integers(0, 9, 60)) % 256
    prio3 = Prio3LinearRegression(2, 3, 8)
    out = verified(prio3, prio3.shard_batch(CTX, np.column_stack([x, y])))
    weights, intercept = prio3.unshard([prio3.aggregate(shares) for shares in out], 60).solve()
    expected = np.linalg.lstsq(np.column_stack([x, np.ones(60)]), y, rcond=None)[0]
    assert np.allclose([float(weight) for weight in (*weights, intercept)], expected)
    # The residuals of the exact solution are orthogonal to every feature, and to the constant, without any rounding.
    residuals = [int(label) - sum(w * int(v) for w, v in zip(weights, row, strict=True)) - intercept
                 for row, label in zip(x, y, strict=True)]  # fmt: skip
    assert sum(residuals) == 0
    assert [sum(r * int(v) for r, v in zip(residuals, column, strict=True)) for column in x.T] == [Fraction(0)] * 3


def test_a_regression_with_several_solutions_is_refused() -> None:
    prio3 = Prio3LinearRegression(2, 2, 8)
    out = verified(prio3, prio3.shard_batch(CTX, [[1, 2, 3], [2, 4, 5], [5, 10, 9]]))
    sums = prio3.unshard([prio3.aggregate(shares) for shares in out], 3)
    with pytest.raises(AggregateError, match="found 3 equations of which number 2 follows from the others"):
        sums.solve()


def test_the_best_chunk_length_gives_the_smallest_proof() -> None:
    for products in (1, 2, 7, 100, 1000):
        sizes = {chunk: len(Prio3Histogram(2, products, chunk).shard(CTX, 0, bytes(16))[1][0])
                 for chunk in range(1, products + 1)}  # fmt: skip
        assert sizes[best_chunk_length(products)] == min(sizes.values())
