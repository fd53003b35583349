"""Sessions in which not all parties vote: their parameters, their noise, what they cost, and who says so."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import msgspec
import numpy as np
import pytest

from mpc.capc.clear import plaintext_labels
from mpc.capc.parameters import PublicParameters
from mpc.capc.protocol import run_capc
from mpc.capc.quorum import (
    answering_receive_number,
    guardian_name_voters,
    guardian_number_voters,
    price,
    querying_receive_voters,
    with_voters,
)
from mpc.capc.roles import CapcRandomness
from mpc.channels.memory import memory_pair
from mpc.dp.accountant import epsilon, epsilon_bound
from mpc.dp.discrete_gaussian import discrete_gaussian
from mpc.errors import ParameterError, ProtocolError, QuorumError
from mpc.randomness import RoleRandomness, SeededRandomness
from tests.mpc.capc.test_protocol import network, parameters, queries

MEMBERS = tuple(f"server-{number}" for number in range(5))
PARTS = parameters(5, "4", noise_parts=4)


# -- the parameters --------------------------------------------------------------------------------------------------


def test_everything_that_depends_on_the_number_of_voters_follows() -> None:
    full = parameters(50, "7")
    fewer = with_voters(full, 33)
    assert fewer == parameters(33, "7")
    assert fewer.packing.parties == 33
    assert fewer.packing.slots >= full.packing.slots
    assert (1 << (fewer.width - 1)) > 33 + 12 * 7  # no count with its noise wraps
    labels = with_voters(msgspec.structs.replace(full, labelling="labels"), 33).release
    assert labels.clear(np.array([[16, 17]]), np.array([[16, 17]])).tolist() == [[0, 1]]  # half of those who vote
    assert with_voters(full, 50) is full


@pytest.mark.parametrize("voters", [0, 51, -1])
def test_other_numbers_of_voters_are_refused(voters: int) -> None:
    with pytest.raises(ParameterError, match=f"expected 1 to 50 voters, found {voters}"):
        with_voters(parameters(50, "7"), voters)


@pytest.mark.parametrize("voters", [3, 4, 5])
def test_parts_of_the_noise_add_up_for_those_who_vote_less_those_who_tell_theirs(voters: int) -> None:
    session = with_voters(PARTS, voters)
    honest = voters - 1  # one of the five may tell its part, whoever votes
    variance = honest * session.part_scale**2
    assert Fraction(16) <= variance < Fraction(16) + Fraction(honest, 1000)  # exact rationals
    drawn = sum(
        discrete_gaussian(session.part_scale, (20_000,), SeededRandomness(bytes([voters, part])))
        for part in range(honest)
    )
    found = float(np.var(np.asarray(drawn, float)))
    assert abs(found - 16) < 5 * 16 * math.sqrt(2 / 20_000)  # five standard deviations of a variance


def test_parts_need_two_parties_that_keep_theirs() -> None:
    with pytest.raises(ParameterError, match="at least 3 voters, of whom 1 may show their part of the noise, found 2"):
        with_voters(PARTS, 2)


def test_parts_that_fall_short_of_the_noise_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sum is checked by itself, whatever rounds a part's scale."""
    monkeypatch.setattr("mpc.capc.parameters.part_scale", lambda sigma, parts: Fraction(int(2**16 * sigma), 2**16) / 2)
    with pytest.raises(ParameterError, match="expected 3 parts that reach the whole noise, found less"):
        with_voters(PARTS, 4)


# -- what a query costs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", ["1", "4", "40"])
@pytest.mark.parametrize("count", [1, 7, 300])
def test_the_price_covers_whoever_votes_and_is_hardly_higher(sigma: str, count: int) -> None:
    """Compared with the accountant's own figure for each number of voters."""
    full = msgspec.structs.replace(PARTS, sigma=sigma)
    charged = [cost.times(count) for cost in price(full, 3)]
    each = [epsilon([cost.times(count) for cost in with_voters(full, n).costs], 1e-5) for n in (3, 4, 5)]
    assert epsilon(charged, 1e-5) == max(each)
    assert max(each) <= epsilon_bound(charged, 1e-5) * (1 + 1e-12)
    if sigma != "1":  # where parts have a scale of 1/2, their sum is hardly Gaussian, and more of them cost more
        assert max(each) < min(each) * 1.0001


def test_the_guardians_noise_costs_the_same_whoever_votes() -> None:
    full = parameters(5, "4")
    assert price(full, 2) == full.costs == with_voters(full, 2).costs


# -- labels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("aggregation", ["paillier", "direct"])
@pytest.mark.parametrize("noise", [{}, {"sigma": "0"}, {"noise_parts": 3}], ids=["guardian", "none", "parts"])
def test_labels_are_the_noisy_vote_of_those_who_vote(aggregation: str, noise: dict[str, object]) -> None:
    full = msgspec.structs.replace(parameters(4, "2"), aggregation=aggregation, **noise)  # type: ignore[arg-type]
    session, networks = with_voters(full, 3), [network(0), network(1), network(3)]
    randomness = CapcRandomness(
        RoleRandomness(b"q"), tuple(RoleRandomness(bytes([n])) for n in range(3)), RoleRandomness(b"g"),
        RoleRandomness(b"d"),
    )  # fmt: skip
    run = run_capc(queries(6), networks, session, randomness=randomness)
    assert (run.labels == plaintext_labels(queries(6), networks, session, randomness)).all()
    if noise == {"sigma": "0"}:
        assert (run.labels == plaintext_labels(queries(6), networks, parameters(3, "0"))).all()


# -- who says who votes ----------------------------------------------------------------------------------------------


def named(voters: tuple[str, ...], least: int = 3) -> Callable[[], tuple[str, ...]]:
    guardian, client = memory_pair("privacy-guardian", "client")
    guardian_name_voters(guardian, voters)
    return lambda: querying_receive_voters(client, MEMBERS, least)


def test_voters_come_in_the_order_of_the_members() -> None:
    assert named(("server-4", "server-0", "server-2"))() == ("server-0", "server-2", "server-4")


@pytest.mark.parametrize(
    "voters",
    [
        ("server-0", "server-1", "server-1"),
        ("server-0", "server-1", "client"),
        ("server-0", "server-1", "server-2", "server-9"),
    ],
)
def test_voters_are_members_and_none_twice(voters: tuple[str, ...]) -> None:
    with pytest.raises(ProtocolError, match="expected voters, each once, among server-0, server-1"):
        named(voters)()


def test_too_few_voters_are_refused_with_who_is_missing_and_the_number() -> None:
    with pytest.raises(QuorumError) as refusal:
        named(("server-3", "server-1"))()
    assert str(refusal.value) == (
        "expected at least 3 of 5 answering parties, found 2; missing: server-0, server-2, server-4"
    )


@pytest.mark.parametrize("voters", [2, 6, -1])
def test_an_answering_party_takes_no_number_outside_of_what_was_agreed(voters: int) -> None:
    guardian, server = memory_pair("privacy-guardian", "server-0")
    guardian_number_voters(guardian, 4)
    assert answering_receive_number(server, 3, 5) == 4
    guardian_number_voters(guardian, voters)
    with pytest.raises(ProtocolError, match=f"expected voters 3 to 5, found {voters}"):
        answering_receive_number(server, 3, 5)


def test_a_number_that_the_asker_could_raise_would_leave_the_labels_with_less_noise() -> None:
    """Why the answering parties take the number of voters from the guardian, and not from the party that asks.

    Told of 50 voters where 3 vote, each draws a fiftieth of the variance. Together they draw 3 fiftieths.
    """

    def variance(told: int, vote: int) -> Fraction:
        full: PublicParameters = parameters(50, "7", noise_parts=50)
        return vote * with_voters(full, told).part_scale ** 2

    assert variance(told=3, vote=3) >= 49
    assert variance(told=50, vote=3) < 3
