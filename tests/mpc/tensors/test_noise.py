"""Noise on reveals: its size, who adds it, what the policy demands, and what it is worth."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import mpc.tensors as pt
from mpc.dp import accountant
from mpc.dp.discrete_gaussian import noise_bound
from mpc.errors import ParameterError, RangeError
from mpc.tensors import noise
from mpc.tensors.backends.kinds import KINDS

VALUE = np.linspace(-4, 4, 2000)


def noisy(s: pt.Session) -> dict[str, object]:
    x = s.input("a", lambda: VALUE, shape=VALUE.shape, bound=4)
    return {"x": x.reveal(to="a", noise=0.5), "plain": x.reveal(to="b")}


def parties_of(backend: str) -> dict[str, Any]:
    kind = KINDS[backend]
    return {
        "parties": tuple("abc"[: kind.parties or 2]), "dealer": "p" if kind.dealt else None, "backend": backend
    }  # fmt: skip


@pytest.mark.parametrize("backend", KINDS)
def test_every_computing_party_adds_the_whole_scale(backend: str) -> None:
    options = parties_of(backend)
    result = pt.simulate(noisy, **options)
    n = len(options["parties"])
    found = result["x"] - VALUE
    assert abs(found.mean()) < 5 * 0.5 * math.sqrt(n / len(VALUE))
    assert abs(found.std() / (0.5 * math.sqrt(n)) - 1) < 5 / math.sqrt(2 * len(VALUE))
    assert np.abs(found).max() <= n * noise_bound(Fraction(1 << 15)) / 2**16 + 2**-16
    assert np.abs(result.outputs["b"]["plain"] - VALUE).max() < 2**-16
    assert [(reveal.name, reveal.noise) for reveal in result.reveals] == [("x", "1/2"), ("plain", "0")]
    assert result.reveals[0].who == "a with noise of 0.5 by each computing party"


def test_one_honest_partys_noise_stays_when_all_others_add_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the reader can do best: know the others' noise and take it away."""
    drawn = noise.discrete_gaussian

    def of_one(scale: Fraction, shape: tuple[int, ...]) -> Any:
        return drawn(scale, shape) if pt.Session.current().me == "b" else np.zeros(shape, np.int64)

    monkeypatch.setattr(noise, "discrete_gaussian", of_one)
    found = pt.simulate(noisy, parties=("a", "b", "c"), dealer="p")["x"] - VALUE
    assert abs(found.std() / 0.5 - 1) < 5 / math.sqrt(2 * len(VALUE))


def test_each_reveal_has_noise_of_its_own() -> None:
    def program(s: pt.Session) -> dict[str, object]:
        x = s.input("a", lambda: VALUE, shape=VALUE.shape, bound=4)
        return {"one": x.reveal(to="a", noise=1), "two": x.reveal(to="a", name="two", noise=1)}

    result = pt.simulate(program, parties=("a", "b"), dealer="p")
    one, two = result["one"] - VALUE, result["two"] - VALUE
    assert abs(np.corrcoef(one, two)[0, 1]) < 5 / math.sqrt(len(VALUE))
    assert not (one == two).all()


def test_checking_against_floats_allows_for_the_noise() -> None:
    assert pt.simulate(noisy, parties=("a", "b"), dealer="p", check=True).deviations["x"] > 0.1


def test_the_cost_with_noise_is_foreseen() -> None:
    result = pt.simulate(noisy, parties=("a", "b"), dealer="p")
    foreseen = pt.cost(noisy, parties=("a", "b"), dealer="p")
    assert foreseen.costs == result.costs
    assert "to a with noise of 0.5 by each computing party" in str(foreseen)


def test_a_policy_may_demand_noise() -> None:
    policy = pt.Policy({"x": "a", "plain": "b"}, noise={"x": 0.5})
    assert pt.simulate(noisy, parties=("a", "b"), dealer="p", policy=policy).policy == policy.digest
    stricter = pt.Policy({"x": "a", "plain": "b"}, noise={"x": "0.51"})
    with pytest.raises(
        pt.ProgramError, match=r"reveal 'x': the policy allows it with noise of at least 0.51, found 0.5"
    ):
        pt.simulate(noisy, parties=("a", "b"), dealer="p", policy=stricter)
    with pytest.raises(pt.ProgramError, match=r"reveal 'plain': .* noise of at least 1, found 0"):
        pt.simulate(
            noisy, parties=("a", "b"), dealer="p", policy=pt.Policy({"x": "a", "plain": "b"}, noise={"plain": 1})
        )
    digests = {pt.Policy({"x": "a"}, noise={"x": scale}).digest for scale in (0, "1/2", 0.5, 1)}
    assert len(digests) == 3  # 0.5 is 1/2
    with pytest.raises(ParameterError, match="expected noise of outputs that it allows, found y"):
        pt.Policy({"x": "a"}, noise={"y": 1})


@pytest.mark.parametrize("scale", [-1, "much", math.nan, math.inf, "1/0", None])
def test_what_is_no_scale_is_refused(scale: Any) -> None:
    with pytest.raises(ParameterError, match="noise: expected a number of at least 0, found"):
        noise.exact_scale(scale)
    assert noise.exact_scale(0.1) == Fraction(1, 10)


def test_noise_that_the_ring_or_the_sampler_cannot_hold_is_refused() -> None:
    def program(s: pt.Session) -> dict[str, object]:
        x = s.input("a", lambda: np.ones(1), shape=(1,), bound=1)
        return {"x": x.reveal(to="a", noise=scale)}

    def wide(s: pt.Session) -> dict[str, object]:
        x = s.input("a", lambda: np.ones(1), shape=(1,), bound=2**45 - 2**18)
        return {"x": (x * 2).reveal(to="a", noise=2**14 - 1500)}

    scale = 1e6
    with pytest.raises(pt.ProgramError, match=r"in units of 2.-16, expected a noise scale of 0, or of 0\.001"):
        pt.simulate(program, parties=("a", "b"), dealer="p")
    scale = 2e-9
    with pytest.raises(pt.ProgramError, match=r"expected a noise scale of 0, or of 0\.001"):
        pt.simulate(program, parties=("a", "b"), dealer="p")
    with pytest.raises(pt.ProgramError, match=r"needs 65 bits .*noise of up to") as refused:
        pt.simulate(wide, parties=tuple("abcdefgh"), dealer="p", ring_bits=64)
    assert isinstance(refused.value.__cause__, RangeError)


def test_its_epsilon_is_the_accountants_closed_form_and_never_less_than_the_exact_one() -> None:
    for scale, times in ((1, 1), (4, 1), (4, 9), (20, 100)):
        cost = accountant.Cost("answer", str(scale), 1, times)
        found = pt.epsilon(scale, 1.0, 1e-5, times)
        assert found == pytest.approx(accountant.epsilon_bound([cost], 1e-5))
        assert found >= accountant.epsilon([cost], 1e-5)
    assert pt.epsilon(2, 3.0, 1e-5) == pytest.approx(pt.epsilon("2/3", 1.0, 1e-5))
    assert pt.epsilon(0, 1.0, 1e-5) == math.inf
    assert pt.epsilon(0, 0.0, 1e-5) == 0
    with pytest.raises(ParameterError, match="expected a delta above 0"):
        pt.epsilon(1, 1.0, 0.0)
