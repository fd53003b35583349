"""The whole protocol in memory: right labels, right noise, and what each party saw."""

from __future__ import annotations

import re
from fractions import Fraction

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from mpc.capc.clear import plaintext_labels
from mpc.capc.parameters import Aggregation, PublicParameters
from mpc.capc.protocol import CapcRun, run_capc
from mpc.capc.release import ABSTAINED
from mpc.capc.roles import CapcRandomness
from mpc.channels.memory import MemoryChannel
from mpc.dp.discrete_gaussian import discrete_gaussian, noise_bound
from mpc.errors import ParameterError
from mpc.inference import Linear, Network, ReLU
from mpc.randomness import RoleRandomness, SeededRandomness
from mpc.ring import Ring, Words

INPUTS, HIDDEN, CLASSES = 12, 6, 5


def parameters(
    parties: int,
    sigma: str = "0",
    aggregation: Aggregation = "paillier",
    threshold: int = 0,
    threshold_sigma: str = "0",
    noise_parts: int = 0,
) -> PublicParameters:
    return PublicParameters(
        parties=parties,
        classes=CLASSES,
        input_shape=(INPUTS,),
        ring_bits=40,
        fraction_bits=12,
        sigma=sigma,
        aggregation=aggregation,
        key_bits=1024,  # speed only
        threshold=threshold,
        threshold_sigma=threshold_sigma,
        noise_parts=noise_parts,
    )


def network(seed: int) -> Network:
    rng = np.random.default_rng(seed)
    return Network.from_layers(
        [
            Linear(rng.normal(size=(HIDDEN, INPUTS)), rng.normal(size=HIDDEN)),
            ReLU(),
            Linear(rng.normal(size=(CLASSES, HIDDEN)), rng.normal(size=CLASSES)),
        ],
        input_shape=(INPUTS,),
        input_range=(0.0, 1.0),
        fraction_bits=12,
        ring_bits=40,
    )


def queries(count: int, seed: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(size=(count, INPUTS))


def seeded(seed: bytes, parties: int) -> CapcRandomness:
    """Randomness that is different for every role and the same in every run."""
    roles = [RoleRandomness(seed + bytes([role])) for role in range(3 + parties)]
    return CapcRandomness(roles[0], tuple(roles[3:]), roles[1], roles[2])


def votes_of(run: CapcRun) -> list[Words]:
    """The QP's shares of the votes, one for each AP."""
    return [party_run.querying_votes for party_run in run.party_runs]


def histogram(run: CapcRun, width: int) -> NDArray[np.int64]:
    """Counts plus noise: what only the QP and PG together could open."""
    return Ring(width).signed(Ring(width).add(run.guardian_share, *votes_of(run)))


@pytest.mark.parametrize("aggregation", ["paillier", "direct"])
@pytest.mark.parametrize("parties", [1, 3])
def test_without_noise_the_label_is_the_plaintext_majority(parties: int, aggregation: Aggregation) -> None:
    networks = [network(seed) for seed in range(parties)]
    asked = queries(20)
    run = run_capc(asked, networks, parameters(parties, aggregation=aggregation))
    assert (run.labels == plaintext_labels(asked, networks, parameters(parties))).all()
    counts = histogram(run, parameters(parties).width)
    assert (counts.sum(axis=1) == parties).all()
    assert (counts >= 0).all()


def right_either_way(**choice: str) -> list[list[MemoryChannel]]:
    """The QP's channels in the usual way and in this one; the labels are right in both."""
    networks, asked, usual = [network(0), network(1)], queries(3), parameters(2, aggregation="direct")
    runs = [run_capc(asked, networks, chosen) for chosen in (usual, msgspec.structs.replace(usual, **choice))]
    for run in runs:
        assert (run.labels == plaintext_labels(asked, networks, usual)).all()
    return [run.views["client"] for run in runs]


def test_three_halves_give_the_same_labels_in_fewer_bytes() -> None:
    views = right_either_way(garbling="three-halves")
    sent = [sum(map(len, received(view, r"garbled/.*/(tables|three-halves)"))) for view in views]
    assert sent[1] < 0.85 * sent[0]


def test_streamed_circuits_give_the_same_labels_and_nothing_of_them_goes_before_the_query() -> None:
    views, tables_last = right_either_way(circuits="streamed"), []
    for view in views:
        orders = [[label for _, label, _ in channel.transcript] for channel in view]
        order = next(order for order in orders if "inference/input" in order)
        tables = next(place for place, label in enumerate(order) if label.endswith("/tables"))
        tables_last.append(tables > order.index("inference/input"))
    assert tables_last == [False, True]
    sent = [sum(map(len, received(view, r"garbled/.*/(tables|labels)"))) for view in views]
    assert sent[1] < sent[0]


def test_ties_go_to_the_lowest_class() -> None:
    constant = [
        Network.from_layers(
            [Linear(np.zeros((CLASSES, INPUTS)), np.eye(CLASSES)[winner])],
            input_shape=(INPUTS,),
            input_range=(0.0, 1.0),
            fraction_bits=12,
            ring_bits=40,
        )
        for winner in (4, 2)
    ]
    assert run_capc(queries(2), constant, parameters(2)).labels.tolist() == [2, 2]
    level = Network.from_layers(
        [Linear(np.zeros((CLASSES, INPUTS)), np.zeros(CLASSES))],
        input_shape=(INPUTS,),
        input_range=(0.0, 1.0),
        fraction_bits=12,
        ring_bits=40,
    )
    assert run_capc(queries(1), [level], parameters(1)).labels.tolist() == [0]


def test_the_histograms_error_is_the_discrete_gaussian() -> None:
    sigma, parties, count = "3/2", 2, 160
    networks = [network(seed) for seed in range(parties)]
    asked = queries(count)
    run = run_capc(asked, networks, parameters(parties, sigma), randomness=seeded(b"chi-square", parties))
    votes = np.zeros((count, CLASSES), dtype=np.int64)
    for one in networks:
        votes[np.arange(count), one.run_clear(Ring(40).encode(asked, 12)).argmax(axis=1)] += 1
    error = (histogram(run, parameters(parties, sigma).width) - votes).reshape(-1)
    bound = noise_bound(Fraction(sigma))
    support = np.arange(-bound, bound + 1)
    weights = np.exp(-(support**2) / (2 * 1.5**2))
    expected = len(error) * weights / weights.sum()
    middle = slice(bound - 3, bound + 4)
    cells = np.bincount(error + bound, minlength=len(support))
    observed = np.append(cells[middle], len(error) - cells[middle].sum())
    predicted = np.append(expected[middle], len(error) - expected[middle].sum())
    assert ((observed - predicted) ** 2 / predicted).sum() < 27.9  # 7 degrees of freedom, p = 0.0002
    assert (run.labels == histogram(run, parameters(parties, sigma).width).argmax(axis=1)).all()


def sizes(channels: list[MemoryChannel]) -> list[tuple[str, str, int]]:
    return [(direction, label, len(body)) for channel in channels for direction, label, body in channel.transcript]


def received(channels: list[MemoryChannel], pattern: str) -> list[bytes]:
    return [
        body
        for channel in channels
        for direction, label, body in channel.transcript
        if direction == "received" and re.fullmatch(pattern, label)
    ]


def test_sizes_do_not_depend_on_query_or_label() -> None:
    networks = [network(seed) for seed in range(2)]
    one = run_capc(np.zeros((3, INPUTS)), networks, parameters(2))
    other = run_capc(queries(3, seed=9), networks, parameters(2))
    assert one.labels.tolist() != other.labels.tolist()
    for party in ("client", "server-0", "server-1", "privacy-guardian"):
        assert sizes(one.views[party]) == sizes(other.views[party]), party


def uniform_bits(body: bytes) -> bool:
    """Whether ones and zeros are as even as in fair coin flips (five standard deviations)."""
    bits = np.unpackbits(np.frombuffer(body, dtype=np.uint8))
    return abs(bits.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(bits))


def test_what_the_answering_party_receives_about_a_query_is_uniform() -> None:
    """The same extreme query many times: masked inputs, colours and corrections still look like coin flips."""
    run = run_capc(np.ones((64, INPUTS)), [network(0)], parameters(1))
    labels = {label for direction, label, _ in sizes(run.views["server-0"]) if direction == "received"}
    masked = [body for body in received(run.views["server-0"], r".*(input|choices|colours).*") if body]
    assert len(masked) >= 3, labels
    for body in masked:
        assert uniform_bits(body)
    assert not [label for label in labels if label.endswith("/labels")]  # the garbler only sends those


def test_the_guardian_receives_a_uniform_sum_and_nothing_of_the_vote() -> None:
    runs = [run_capc(np.full((40, INPUTS), level), [network(0)], parameters(1, "1")) for level in (0.0, 1.0)]
    width = parameters(1, "1").width
    for run in runs:
        shares = run.guardian_share.reshape(-1)
        counts = np.bincount((shares >> np.uint64(width - 2)).astype(int), minlength=4)
        assert ((counts - 50) ** 2 / 50).sum() < 21.1  # 3 degrees of freedom, p = 0.0001


def logits_by_difference(logit_share: Words, vote_share: Words, width: int) -> NDArray[np.int64]:
    """The published demo's break: the QP subtracts its two shares. Under one mask in both steps this is z - onehot."""
    return Ring(width).signed(Ring(width).reduce(logit_share - vote_share))


def test_the_querying_partys_two_shares_do_not_give_the_logits_back() -> None:
    run = run_capc(queries(60), [network(0)], parameters(1))
    width = parameters(1).width
    logits = network(0).run_clear(Ring(40).encode(queries(60), 12))
    low = Ring(width).signed(Ring(width).reduce(logits.astype(np.uint64)))

    mask = Ring(40).random(logits.shape)
    onehot = np.eye(CLASSES, dtype=np.uint64)[logits.argmax(axis=1)]
    broken = logits_by_difference(Ring(40).reduce(logits.astype(np.uint64) - mask), onehot - mask, width)
    recovered = np.abs(broken + onehot.astype(np.int64) - low) % 2**width == 0
    assert recovered.all(), "the attack must work where one mask serves both steps"

    found = logits_by_difference(run.party_runs[0].querying_logits, run.party_runs[0].querying_votes, width)
    hits = (np.abs(found + onehot.astype(np.int64) - low) % 2**width == 0).mean()
    assert hits < 2.0**-width + 5 * np.sqrt(2.0**-width / logits.size)


def test_each_share_alone_is_uniform() -> None:
    public = parameters(1, "5")
    (party_run,) = run_capc(np.ones((200, INPUTS)), [network(0)], public).party_runs
    for share, bits in ((party_run.querying_logits, 40), (party_run.querying_votes, public.width)):
        counts = np.bincount((share.reshape(-1) >> np.uint64(bits - 3)).astype(int), minlength=8)
        assert ((counts - 125) ** 2 / 125).sum() < 29.9  # 7 degrees of freedom, p = 0.0001


def test_masks_are_fresh_in_every_run() -> None:
    first, second = (run_capc(np.ones((4, INPUTS)), [network(0)], parameters(1)) for _ in range(2))
    assert (first.labels == second.labels).all()
    assert (first.party_runs[0].querying_logits != second.party_runs[0].querying_logits).any()
    assert (first.party_runs[0].querying_votes != second.party_runs[0].querying_votes).any()


def test_the_number_of_networks_must_be_the_number_of_parties() -> None:
    with pytest.raises(ParameterError, match="expected 2 networks, found 1"):
        run_capc(queries(1), [network(0)], parameters(2))
    with pytest.raises(ParameterError, match="expected randomness of 1 parties, found 2"):
        run_capc(queries(1), [network(0)], parameters(1), randomness=seeded(b"two", 2))


def test_the_shares_that_end_each_step_add_up() -> None:
    networks, asked, public = [network(0), network(1)], queries(4), parameters(2, "2", noise_parts=2)
    run = run_capc(asked, networks, public)
    ring, width = Ring(40), Ring(public.width)
    for party_run, own in zip(run.party_runs, networks, strict=True):
        logits = own.run_clear(ring.encode(asked, 12))
        assert (ring.signed(ring.add(party_run.querying_logits, party_run.answering_logits)) == logits).all()
        votes = width.signed(width.add(party_run.querying_votes, party_run.masks))
        assert (votes == np.eye(CLASSES)[logits.argmax(axis=1)]).all()
        assert str(party_run) == f"PartyRun({party_run.name}, shares (4, 5))"
    sent = [width.add(party_run.masks, party_run.noise) for party_run in run.party_runs]
    assert (run.mask_sums == width.add(*sent)).all()
    assert (run.guardian_share == run.mask_sums).all()
    assert not run.guardian_noise.any()


def test_traffic_is_accounted_by_step() -> None:
    run = run_capc(queries(2), [network(0)], parameters(1))
    client, guardian = run.views["client"][1], run.views["privacy-guardian"][0]
    assert set(client.traffic) == {"hello", "0", "0'", "1a", "1c", "2"}
    assert set(guardian.traffic) == {"hello", "0", "2", "3"}


def test_parameters_refuse_what_cannot_be_run_and_digest_every_field() -> None:
    with pytest.raises(ParameterError, match="at least 1 party"):
        parameters(0)
    with pytest.raises(ParameterError, match="noise scale"):
        parameters(1, "-1")
    digests = {one.digest() for one in (parameters(1), parameters(2), parameters(1, "2"), parameters(1, "0", "direct"))}
    assert len(digests) == 4


@pytest.mark.parametrize("parties", [1, 10, 250])
@pytest.mark.parametrize("sigma", ["0", "1/10", "2", "40"])
def test_the_histogram_cannot_wrap(parties: int, sigma: str) -> None:
    width = parameters(parties, sigma).width
    assert parties + noise_bound(Fraction(sigma)) < 2 ** (width - 1)
    assert -noise_bound(Fraction(sigma)) >= -(2 ** (width - 1))


@pytest.mark.parametrize(("threshold", "threshold_sigma"), [(0, "0"), (3, "0"), (3, "2"), (9, "1")])
def test_the_secret_labels_are_those_of_the_same_vote_and_noise_in_the_clear(
    threshold: int, threshold_sigma: str
) -> None:
    networks = [network(seed) for seed in range(4)]
    asked = queries(40)
    chosen = parameters(4, "1", threshold=threshold, threshold_sigma=threshold_sigma)
    secret = run_capc(asked, networks, chosen, randomness=seeded(b"same noise", 4))
    clear = plaintext_labels(asked, networks, chosen, seeded(b"same noise", 4))
    assert secret.labels.tolist() == clear.tolist()
    if threshold == 3:
        assert 0 < (clear == ABSTAINED).sum() < len(clear)
    if threshold == 9:
        assert (clear == ABSTAINED).sum() > len(clear) // 2
    if threshold == 0:
        assert ABSTAINED not in clear


def always(winner: int) -> Network:
    return Network.from_layers(
        [Linear(np.zeros((CLASSES, INPUTS)), np.eye(CLASSES)[winner])],
        input_shape=(INPUTS,),
        input_range=(0.0, 1.0),
        fraction_bits=12,
        ring_bits=40,
    )


def test_at_the_threshold_there_is_a_label_and_below_it_there_is_none() -> None:
    networks = [always(winner) for winner in (1, 4, 4)]
    assert run_capc(queries(2), networks, parameters(3, threshold=2)).labels.tolist() == [4, 4]
    assert run_capc(queries(2), networks, parameters(3, threshold=3)).labels.tolist() == [ABSTAINED] * 2


def test_the_guardian_cannot_tell_an_abstention_from_an_answer() -> None:
    """What PG sends and receives has the same labels and sizes, and its choices are uniform, whatever the QP learns."""
    runs = [
        run_capc(queries(64), [always(winner) for winner in winners], parameters(2, threshold=2))
        for winners in ((1, 1), (1, 4))
    ]
    assert [set(run.labels.tolist()) for run in runs] == [{1}, {ABSTAINED}]
    answered, abstained = (sizes(run.views["privacy-guardian"]) for run in runs)
    assert answered == abstained
    for run in runs:
        choices = [body for body in received(run.views["privacy-guardian"], r"garbled/.*/choices") if body]
        assert len(choices) == 3
        assert all(uniform_bits(body) for body in choices)


@pytest.mark.parametrize("parties", [1, 20, 250])
@pytest.mark.parametrize(("sigma", "threshold", "threshold_sigma"), [("0", 1, "0"), ("40", 300, "200"), ("3", 12, "5")])
def test_counts_limits_and_gate_cannot_wrap(parties: int, sigma: str, threshold: int, threshold_sigma: str) -> None:
    chosen = parameters(parties, sigma, threshold=threshold, threshold_sigma=threshold_sigma)
    half, gate = 2 ** (chosen.width - 1), 2 ** (chosen.width - 2)
    noise, limit_noise = noise_bound(Fraction(sigma)), noise_bound(Fraction(threshold_sigma))
    assert parties + noise < gate < half
    assert parties - (threshold - limit_noise) + 1 < half
    assert 0 - (threshold + limit_noise) + 1 >= -half


@pytest.mark.parametrize("aggregation", ["paillier", "direct"])
def test_noise_in_parts_is_what_the_same_parts_are_in_the_clear(aggregation: Aggregation) -> None:
    networks = [network(seed) for seed in range(4)]
    chosen = parameters(4, "2", aggregation, noise_parts=3)
    secret = run_capc(queries(30), networks, chosen, randomness=seeded(b"parts", 4))
    clear = plaintext_labels(queries(30), networks, chosen, seeded(b"parts", 4))
    assert secret.labels.tolist() == clear.tolist()


def test_parts_of_the_noise_without_those_who_collude_still_have_the_whole_variance() -> None:
    sigma, parties, colluding = Fraction(3), 5, 2
    chosen = parameters(parties, str(sigma), noise_parts=parties - colluding)
    part = chosen.part_scale
    assert sigma**2 <= (parties - colluding) * part**2 < sigma**2 * Fraction(1001, 1000)
    kept = sum(
        discrete_gaussian(part, (4000,), SeededRandomness(bytes([index]))) for index in range(parties - colluding)
    )
    assert np.var(kept) == pytest.approx(float(sigma**2), rel=0.12)
    assert parties + parties * noise_bound(part) < 2 ** (chosen.width - 1)


def test_parts_that_are_too_small_too_many_or_beside_a_threshold_are_refused() -> None:
    with pytest.raises(ParameterError, match="0 to 3 parts"):
        parameters(3, "2", noise_parts=4)
    with pytest.raises(ParameterError, match="at least 1/2 for each part"):
        parameters(9, "1", noise_parts=9)
    with pytest.raises(ParameterError, match="with a threshold"):
        parameters(3, "2", threshold=2, noise_parts=3)
