"""Noise by parts: how much there is, what it costs, and who deals it wrongly."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from mpc.commons.encoding import decode, encode
from mpc.commons.entries import Entry, sign_entry
from mpc.commons.functions import layout_of, noise_circuit
from mpc.commons.noise import epsilon_of, squared_sensitivity
from mpc.commons.prio import AggregateError, Prio3Count, Prio3Sum
from mpc.commons.proceedings import coins_to_toss, noise_end, noises_so_far
from mpc.commons.reports import SealedBoxes
from mpc.commons.roles.run import CommonsRun
from mpc.commons.steps import Close, Noise, Step
from mpc.errors import ParameterError, ProtocolError
from tests.mpc.commons.prepared import ROWS, TOTAL, aggregate, fresh, prepared, refusal, signed_anew, silent
from tests.mpc.commons.setting import TASK

NOISY = "sum/100/noise-20"


def task(*functions: str):
    return replace(TASK, functions=tuple(sorted(functions)))


@pytest.mark.parametrize(("n", "t"), [(4, 1), (7, 2)])
def test_a_noisy_result_is_the_sum_with_noise_of_all_parts(n: int, t: int) -> None:
    run = prepared(n, t)
    circuit = noise_circuit(NOISY, n, t, "any")
    assert circuit is not None
    found = [aggregate(run, function=NOISY).value for _ in range(3)]
    assert len(set(found)) > 1  # each result has noise of its own, but for a chance below 10^-3
    assert all(abs(value - TOTAL) <= n * circuit.bound for value in found)


@pytest.mark.parametrize(("n", "t"), [(4, 1), (5, 1), (7, 2), (16, 5)])
def test_the_fewest_honest_parts_of_a_result_have_the_full_scale(n: int, t: int) -> None:
    """A result has n - t parts at least, and t of these may be dealt by liars."""
    circuit = noise_circuit("sum/100/noise-2.5", n, t, "any")
    assert circuit is not None
    together = (n - 2 * t) * circuit.scale**2
    assert Fraction(5, 2) ** 2 <= together < Fraction(251, 100) ** 2


def test_what_is_drawn_has_the_scale_of_a_part() -> None:
    """The standard deviation of 400 parts is within 20 percent, but for a chance below 10^-7."""
    run = prepared()
    circuit = layout_of("any", run.cast.founding.tasks[0]).parts[NOISY].noise
    assert circuit is not None
    drawn: list[int] = []

    class Kept:
        """In the place of the circuit that deals what was drawn."""

        def deal(self, measurement, nonce, randomness):
            drawn.append(measurement - circuit.bound)
            raise ParameterError("kept")

    grant = run.ask("task", NOISY)
    layout = layout_of(run.cast.founding.origin, run.cast.founding.tasks[0])
    part = layout.parts[NOISY]
    assert part.noise is not None
    real = part.noise.robust
    object.__setattr__(part.noise, "robust", Kept())
    try:
        for _ in range(400):
            with pytest.raises(ParameterError, match="kept"):
                run.cast.aggregators[0].noise(grant)
    finally:
        object.__setattr__(part.noise, "robust", real)
    assert 0.8 < np.std(drawn) / float(circuit.scale) < 1.2
    assert abs(np.mean(drawn)) < float(circuit.scale)


def test_negative_results_are_negative_and_no_sum_wraps() -> None:
    assert Prio3Sum(2, 100).decode_noisy([3], 2, 10) == [-7]
    assert Prio3Sum(2, 100).decode_noisy([0], 2, 10) == [-10]
    assert Prio3Sum(2, 100).decode_noisy([220], 2, 10) == [210]
    with pytest.raises(AggregateError, match="larger than they and the noise can give"):
        Prio3Sum(2, 100).decode_noisy([221], 2, 10)
    modulus = Prio3Count(2).modulus
    with pytest.raises(AggregateError, match="expected sums with noise below the field's modulus, found up to"):
        Prio3Count(2).decode_noisy([0], 10, modulus // 2)
    assert Prio3Count(2).decode_noisy([0], 10, modulus // 2 - 10) == [10 - modulus // 2]


@pytest.mark.parametrize(
    ("function", "moved"),
    [
        ("count/noise-5", 1),
        ("sum/100/noise-500", 10_000),
        ("sum_vec/3/10/noise-50", 300),
        ("histogram/8/noise-5", 2),
        ("histogram/1/noise-5", 1),
        ("multihot/8/2/noise-5", 4),
        ("multihot/3/2/noise-5", 3),
    ],
)
def test_epsilon_is_that_of_the_theorem_on_sums_of_discrete_gaussians(function: str, moved: int) -> None:
    """The bound of Kairouz, Liu and Steinke, computed here from their formula for the two honest parts."""
    assert squared_sensitivity(function) == moved
    circuit = noise_circuit(function, 4, 1, "any")
    assert circuit is not None
    sigma = float(circuit.scale)
    tau = 10 * sum(math.exp(-2 * math.pi**2 * sigma**2 * k / (k + 1)) for k in range(1, 2))
    rho = moved * (1 / (sigma * math.sqrt(2)) + tau) ** 2 / 2
    for results in (1, 3):
        expected = results * rho + 2 * math.sqrt(results * rho * math.log(1e6))
        assert epsilon_of(task(function), function, 1e-6, results) == pytest.approx(expected, rel=1e-6)
    assert epsilon_of(task(function), function, 1e-6) > 0


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("regression/1/6/noise-5", "expected noise on counts and sums alone"),
        ("sum/100/noise-0", "expected a noise scale above 0"),
        ("sum/100/noise-0.5", "each of 2 parts has a scale of at least 1/2"),
        ("sum/100/noise-x", "expected a function of"),
        ("sum/100/noise-9999999999", "expected a noise scale of 0, or of 0.001 to 1e"),
    ],
)
def test_noise_that_cannot_be_accounted_for_is_refused(function: str, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        layout_of("any", task(function))


def test_a_function_without_noise_has_no_epsilon() -> None:
    with pytest.raises(ParameterError, match="expected a function with noise, found sum/100"):
        epsilon_of(task("sum/100"), "sum/100", 1e-6)


# -- who deals it wrongly --------------------------------------------------------------------------------------------


def test_a_silent_aggregators_noise_is_missing_and_the_result_is_there() -> None:
    found = aggregate(prepared(), {("aggregator", 2, "noise"): silent}, NOISY)
    assert abs(found.value - TOTAL) < 2000
    assert found.liars == ()


def test_without_enough_noise_there_is_no_result() -> None:
    with pytest.raises(ProtocolError, match="expected noise of at least 3 aggregators, found 2"):
        aggregate(prepared(), {("aggregator", one, "noise"): silent for one in (0, 2)}, NOISY)


def changed_noise(run: CommonsRun, place: int, change):
    identity, origin = run.cast.aggregators[place].identity, run.cast.founding.origin
    return lambda said: signed_anew(identity, origin, said, change)


@pytest.mark.parametrize("more", [-16, 1, 1 << 20])
def test_noise_whose_public_part_has_another_length_than_its_circuits_is_not_logged(more: int) -> None:
    run = prepared()
    lengths = list[int]()

    def other(noise):
        share = noise.public_share
        lengths.append(len(share))
        return replace(noise, public_share=share[:more] if more < 0 else share + bytes(more))

    found = aggregate(run, {("aggregator", 1, "noise"): changed_noise(run, 1, other)}, NOISY)
    refused = dict(run.cast.trustees[0]._sequencing().refused).values()
    (length,) = lengths
    expected = f"expected {length} bytes as the public part of the noise of {NOISY}, found {length + more}"
    assert [one for one in refused if expected in one]
    assert (found.liars, found.rejected) == ((), ())
    assert abs(found.value - TOTAL) < 2000


def test_noise_that_does_not_fit_its_shares_is_left_out_and_its_dealer_named() -> None:
    run = prepared()

    def other(noise):
        return replace(noise, public_share=bytes([noise.public_share[0] ^ 1]) + noise.public_share[1:])

    found = aggregate(run, {("aggregator", 1, "noise"): changed_noise(run, 1, other)}, NOISY)
    assert found.liars == ("aggregator-1",)
    assert found.rejected == ()
    assert abs(found.value - TOTAL) < 2000


@pytest.mark.parametrize("boxes", [0, 1, 3, 5])
def test_noise_without_a_box_for_each_aggregator_is_left_out_and_its_dealer_named(boxes: int) -> None:
    run = prepared()

    def other(said):
        sealed = decode(SealedBoxes, said[1]).sealed
        data = SealedBoxes((*sealed, *sealed)[:boxes])
        entry = replace(decode(Entry, said[0]).contents(), digest=data.digest)
        return sign_entry(run.cast.aggregators[1].identity, run.cast.founding.origin, entry), encode(data)

    found = aggregate(run, {("aggregator", 1, "noise"): other}, NOISY)
    assert (found.liars, found.rejected) == (("aggregator-1",), ())
    assert abs(found.value - TOTAL) < 2000


def test_noise_is_fixed_before_its_coin() -> None:
    run = prepared()
    grant = run.ask("task", NOISY)
    run.hand_on(grant)
    late = run.cast.aggregators[3].noise(grant)
    for place in range(3):
        run.submit(*run.cast.aggregators[place].noise(grant))
    run.certify()
    with pytest.raises(ProtocolError, match="expected the end of the aggregators' noise in the log, found none yet"):
        coins_to_toss(run.cast.trustees[1].state, grant)
    for place in (1, 2):
        run.submit(run.cast.trustees[place].close(grant, Step.NOISE))
    run.certify()
    end = noise_end(run.cast.trustees[1].state, grant)
    assert end in coins_to_toss(run.cast.trustees[1].state, grant)
    run.toss(grant)
    assert "expected a step that goes on, found one that has ended" in refusal(run, *late)
    run.judge(grant)
    assert len(noises_so_far(run.cast.consumer.log.state, grant)) == 3
    assert abs(run.sum(grant).value - TOTAL) < 2000


def test_reports_of_a_grant_that_its_consumer_has_left_enter_another_one() -> None:
    """Their coin is that of the first grant, which can be tossed without the consumer and the aggregators' noise."""
    run = fresh(name="example.org/left")
    run.report("task", ROWS, uses=2)
    left = run.ask("task", NOISY)
    found = aggregate(run)
    assert found.value == TOTAL
    assert left in run.cast.trustees[0].state.coins


def test_a_function_without_noise_takes_none() -> None:
    run = prepared()
    grant = run.ask("task", "sum/100")
    run.hand_on(grant)
    with pytest.raises(ProtocolError, match="expected a function with noise, found sum/100"):
        run.cast.aggregators[0].noise(grant)
    aggregator, trustee = run.cast.aggregators[0].identity, run.cast.trustees[1]._keys.identity
    for identity, entry in ((aggregator, Noise(grant, bytes(32), b"")), (trustee, Close(grant, Step.NOISE))):
        signed = sign_entry(identity, run.cast.founding.origin, entry)
        run.cast.trustees[0].trustee.copy.state.keep()
        run.cast.trustees[0]._sequencing().submit(signed)
        run.certify()
        assert run.cast.trustees[0]._sequencing().refused[-1][1] == "expected a function with noise, found one without"
