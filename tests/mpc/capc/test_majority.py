"""Several labels a query: the secret ones are the plaintext majorities, with the noise's error; nothing else shows."""

from __future__ import annotations

import math
from fractions import Fraction

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from mpc._core import Circuit
from mpc.capc.clear import labels_of, plaintext_labels
from mpc.capc.majority import NoisyMajority
from mpc.capc.parameters import Aggregation, PublicParameters
from mpc.capc.protocol import run_capc
from mpc.dp.discrete_gaussian import noise_bound
from mpc.errors import ParameterError
from mpc.inference import Linear, Network, ReLU
from mpc.randomness import SeededRandomness
from mpc.ring import Ring
from tests.mpc.capc.test_protocol import received, seeded, sizes, uniform_bits, votes_of

INPUTS, LABELS = 12, 4


def parameters(parties: int, sigma: str = "0", **choices: object) -> PublicParameters:
    public = PublicParameters(
        parties=parties,
        classes=LABELS,
        input_shape=(INPUTS,),
        ring_bits=40,
        fraction_bits=12,
        sigma=sigma,
        key_bits=1024,  # speed only
        labelling="labels",
    )
    return msgspec.structs.replace(public, **choices)


def network(layers: list[object]) -> Network:
    return Network.from_layers(layers, input_shape=(INPUTS,), input_range=(0.0, 1.0), fraction_bits=12, ring_bits=40)


def random_network(seed: int) -> Network:
    rng = np.random.default_rng(seed)
    hidden, last = rng.normal(size=(6, INPUTS)), rng.normal(size=(LABELS, 6))
    return network([Linear(hidden, rng.normal(size=6)), ReLU(), Linear(last, rng.normal(size=LABELS))])


def always(*bits: int) -> Network:
    return network([Linear(np.zeros((LABELS, INPUTS)), 2.0 * np.array(bits) - 1)])


def queries(count: int, seed: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(size=(count, INPUTS))


@pytest.mark.parametrize(("parties", "aggregation"), [(1, "paillier"), (3, "direct"), (4, "paillier")])
def test_without_noise_every_label_is_its_own_majority(parties: int, aggregation: Aggregation) -> None:
    networks, asked = [random_network(seed) for seed in range(parties)], queries(30)
    public = parameters(parties, aggregation=aggregation)
    run = run_capc(asked, networks, public)
    encoded = Ring(40).encode(asked, 12)
    yeses = sum((one.run_clear(encoded) > 0).astype(int) for one in networks)
    assert run.labels.tolist() == (2 * yeses > parties).astype(int).tolist()
    assert run.labels.tolist() == plaintext_labels(asked, networks, public).tolist()
    assert len({tuple(row) for row in run.labels.tolist()}) > 4  # several labels, several at once
    shares = Ring(public.width).add(run.guardian_share, *votes_of(run))
    assert (Ring(public.width).signed(shares) == yeses).all()


def test_half_of_the_parties_are_no_majority_and_a_logit_of_zero_is_no_vote() -> None:
    networks = [always(1, 1, 0, 0), always(1, 0, 1, 0)]
    assert run_capc(queries(2), networks, parameters(2)).labels.tolist() == [[1, 0, 0, 0]] * 2
    level = network([Linear(np.zeros((LABELS, INPUTS)), np.zeros(LABELS))])
    assert run_capc(queries(1), [level], parameters(1)).labels.tolist() == [[0] * LABELS]


@pytest.mark.parametrize("noise_parts", [0, 3])
def test_the_secret_labels_are_those_of_the_same_votes_and_noise_in_the_clear(noise_parts: int) -> None:
    networks, asked = [random_network(seed) for seed in range(4)], queries(40)
    public = parameters(4, "2", noise_parts=noise_parts)
    secret = run_capc(asked, networks, public, randomness=seeded(b"same noise", 4))
    clear = plaintext_labels(asked, networks, public, seeded(b"same noise", 4))
    assert secret.labels.tolist() == clear.tolist()
    assert secret.labels.tolist() != plaintext_labels(asked, networks, public).tolist()


def test_the_error_of_each_label_is_what_the_noise_predicts() -> None:
    """Of a label that `yeses` of 9 say, the answer is yes as often as a Gaussian of scale 3 passes 4.5 - yeses."""
    rounds, sigma, counts = 1500, 3, np.array([0, 3, 5, 9])
    labels = labels_of(np.tile(counts, (rounds, 1)), parameters(9, str(sigma)), SeededRandomness(b"errors"))
    for yeses, found in zip(counts, labels.mean(axis=0), strict=True):
        expected = math.erfc((4.5 - yeses) / (math.sqrt(2) * sigma)) / 2
        assert found == pytest.approx(expected, abs=5 * math.sqrt(expected * (1 - expected) / rounds) + 1e-3)
    assert abs(np.corrcoef(labels.T) - np.eye(LABELS)).max() < 5 / math.sqrt(rounds)  # every count has its own noise


def test_what_a_party_sees_has_sizes_that_no_query_and_no_label_changes() -> None:
    networks = [always(1, 1, 0, 0), always(1, 0, 1, 0)]
    others = [always(0, 0, 0, 0), always(1, 1, 1, 1)]
    one = run_capc(np.zeros((3, INPUTS)), networks, parameters(2))
    other = run_capc(queries(3, seed=9), others, parameters(2))
    assert one.labels.tolist() != other.labels.tolist()
    for party in ("client", "server-0", "server-1", "privacy-guardian"):
        assert sizes(one.views[party]) == sizes(other.views[party]), party


def test_what_the_guardian_receives_is_uniform_whatever_the_labels_are() -> None:
    for bits in ((0,) * LABELS, (1,) * LABELS):
        run = run_capc(queries(64), [always(*bits)], parameters(1, "1", aggregation="direct"))
        assert not [label for _, label, _ in sizes(run.views["privacy-guardian"]) if "output" in label]
        seen = received(run.views["privacy-guardian"], r"masks/plain|garbled/.*/choices")
        assert len(seen) >= 2
        for body in seen:
            assert uniform_bits(body)


@pytest.mark.parametrize("parties", [1, 2, 250])
@pytest.mark.parametrize("sigma", ["0", "1/10", "40"])
def test_no_count_and_no_margin_wraps(parties: int, sigma: str) -> None:
    public = parameters(parties, sigma)
    extreme = parties + noise_bound(Fraction(sigma))
    assert -(2 ** (public.width - 1)) <= -noise_bound(Fraction(sigma)) - parties // 2
    assert extreme - parties // 2 < 2 ** (public.width - 1)
    assert isinstance(public.release, NoisyMajority)


def test_a_label_costs_two_thirds_of_what_a_contest_of_yes_and_no_does() -> None:
    width = parameters(50, "7").width
    majority, contest = Circuit.threshold(1, width), Circuit.sum_histogram(2, width)
    assert (majority.and_gates, contest.and_gates) == (2 * width - 2, 3 * width - 2)


def test_a_threshold_is_refused_and_a_single_label_is_not() -> None:
    with pytest.raises(ParameterError, match="no threshold with labels"):
        parameters(3, threshold=2)
    assert parameters(3, classes=1).release.title == "noisy majority of each label"
    assert parameters(3).digest() != parameters(3, labelling="class").digest()
