"""CaPC, whole: every role in memory, in order. Specification, test vehicle and the shortest way to read the protocol.

Choquette-Choo, Dullerud, Dziedzic, Zhang, Jha, Papernot, Wang, "CaPC Learning: Confidential and Private
Collaborative Learning", ICLR 2021. Each step is a pair of functions that face each other in one file; here they run
side by side over channels in memory, and in ``parties/`` one side each over TLS.

    step   QP                      AP i                        PG                       file
    0      keys, base OTs          keys, base OTs              Paillier key             aggregation, garbled
    0      preprocessing           garbling, W r - s        (deals W r - s)             inference
    1a,b   x - r, masked words     labels                                               inference
           share of the logits     share of the logits
    1c     vote - m_i              m_i, fresh                                           vote
    2      product of Enc(m_i)     Enc(m_i)                    sum of m_i, + noise      aggregation
    3      label                                               tables, labels           release
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from mpc.capc import aggregation, release, vote
from mpc.capc.parameters import PublicParameters
from mpc.capc.release import Labels
from mpc.channels.frames import Channel
from mpc.channels.memory import MemoryChannel, memory_pair, run_both_sides
from mpc.dp.discrete_gaussian import discrete_gaussian
from mpc.errors import ParameterError
from mpc.garbled.session import Evaluator, Garbler
from mpc.inference import (
    AnsweringInference,
    Dealer,
    Network,
    QueryingInference,
    dealer_give_seeds,
    querying_take_seeds,
)
from mpc.paillier.scheme import PublicKey, SecretKey
from mpc.randomness import SYSTEM, Randomness
from mpc.ring import Ring, Words

Left = TypeVar("Left")
Right = TypeVar("Right")


@dataclass
class CapcRun:
    """What the QP learned, and what every party saw.

    Attributes:
        labels: of the queries, as :data:`mpc.capc.release.Labels`.
        views: for each party, its ends of its channels, whose transcripts hold all that it sent and received.
        querying_logits, querying_votes: the QP's shares from steps 1b and 1c, ``(n, classes)`` per AP.
        guardian_share: PG's share of the noisy histogram, ``(n, classes)``.

    The shares are here for the tests of what their holders must be unable to learn.
    """

    labels: Labels
    views: dict[str, list[MemoryChannel]] = field(repr=False)
    querying_logits: list[Words] = field(repr=False)
    querying_votes: list[Words] = field(repr=False)
    guardian_share: Words = field(repr=False)


def run_capc(
    queries: NDArray[np.float64],
    networks: list[Network],
    parameters: PublicParameters,
    *,
    noise_randomness: Randomness = SYSTEM,
    deadline_s: float = 60.0,
) -> CapcRun:
    """Label ``queries`` ``(n, *input_shape)`` with the noisy majority vote of ``networks``, one per answering party.

    Args:
        queries: real numbers in the networks' input range.
        networks: fixed-point models, all under ``parameters``' ring, scale, shape and classes.
        parameters: public parameters; ``parties`` must be ``len(networks)``.
        noise_randomness: of whoever draws the noise, injectable for known-answer tests.
        deadline_s: longest wait for one message.
    """
    if len(networks) != parameters.parties:
        raise ParameterError(f"expected {parameters.parties} networks, found {len(networks)}")
    shape, width, packing = (len(queries), parameters.classes), parameters.width, parameters.packing
    encoded = Ring(parameters.ring_bits).encode(queries, parameters.fraction_bits)

    # Step 0: PG's key if its scheme is used, its seeds if it deals correlations, and base OTs for step 3.
    querying, guardian = memory_pair("client", "privacy-guardian", deadline_s)
    secret_key = SecretKey(parameters.key_bits) if parameters.aggregation == "paillier" else None
    public_key = _share_key(guardian, querying, secret_key)
    seeds: list[bytes] | list[None] = [None] * len(networks)
    if parameters.preprocessing == "dealer":
        dealer_give_seeds(guardian, len(networks))
        seeds = querying_take_seeds(querying, len(networks))
    evaluator, garbler = run_both_sides(
        lambda: Evaluator.open(querying, tables=parameters.garbling),
        lambda: Garbler.open(guardian, tables=parameters.garbling),
    )

    # Steps 1a to 2, with every answering party.
    party_runs = [
        _ask(
            f"server-{index}",
            network,
            encoded,
            parameters,
            secret_key,
            seed,
            noise_randomness,
            deadline_s,
        )
        for index, (network, seed) in enumerate(zip(networks, seeds, strict=True))
    ]

    # Step 2: PG gets the sum of the masks, from the QP under encryption or from each AP.
    if public_key and secret_key:
        collected = [
            aggregation.querying_collect(party_run.querying, public_key, packing, shape[0] * shape[1])
            for party_run in party_runs
        ]
        aggregation.querying_forward(querying, public_key, packing, collected)
        mask_sums = aggregation.guardian_decrypt(guardian, secret_key, packing, shape)
    else:
        mask_sums = aggregation.guardian_add([party_run.guardian for party_run in party_runs], shape, width)

    # Step 2 ends with PG's noise; step 3 gives the label to the QP alone.
    guardians = Fraction(0) if parameters.noise_parts else parameters.noise_scale
    noise = release.draw_noise(shape, guardians, width, noise_randomness)
    noisy_share = Ring(width).add(mask_sums, noise)
    share_sums = Ring(width).add(*(party_run.vote_shares for party_run in party_runs))
    labels, _ = run_both_sides(
        lambda: parameters.release.querying(evaluator, share_sums),
        lambda: parameters.release.guardian(garbler, mask_sums, noisy_share, noise_randomness),
    )
    return CapcRun(
        labels,
        {
            "client": [querying, *(party_run.querying for party_run in party_runs)],
            "privacy-guardian": [guardian, *(party_run.guardian for party_run in party_runs)],
            **{party_run.name: [party_run.answering, party_run.answering_guardian] for party_run in party_runs},
        },
        [party_run.logit_shares for party_run in party_runs],
        [party_run.vote_shares for party_run in party_runs],
        noisy_share,
    )


@dataclass
class PartyRun:
    """One answering party's part of a run: its channels, and the QP's shares from it."""

    name: str
    querying: MemoryChannel
    answering: MemoryChannel
    answering_guardian: MemoryChannel
    guardian: MemoryChannel
    logit_shares: Words
    vote_shares: Words


def _ask(
    name: str,
    network: Network,
    encoded: Words,
    parameters: PublicParameters,
    secret_key: SecretKey | None,
    seed: bytes | None,
    noise_randomness: Randomness,
    deadline_s: float,
) -> PartyRun:
    """Steps 0 to 2 between the QP and one AP, and the AP's mask on its way to PG; `seed`: what a dealer gave the QP."""
    count, ring_bits, width = len(encoded), parameters.ring_bits, parameters.width
    querying, answering = memory_pair("client", name, deadline_s)
    answering_guardian, guardian = memory_pair(name, "privacy-guardian", deadline_s)
    public_key = _share_key(guardian, answering_guardian, secret_key)

    # Step 0: base OTs and the QP's encryption key, then everything that does not need the query.
    evaluator, garbler = run_both_sides(
        lambda: Evaluator.open(querying, tables=parameters.garbling, circuits=parameters.circuits),
        lambda: Garbler.open(answering, tables=parameters.garbling, circuits=parameters.circuits),
    )
    dealing = None if seed is None else answering_guardian
    (asking, serving), dealer = run_both_sides(
        lambda: run_both_sides(
            lambda: QueryingInference.open(querying, evaluator, parameters, dealt=seed),
            lambda: AnsweringInference.open(answering, garbler, network, parameters, dealer=dealing),
        ),
        lambda: None if seed is None else Dealer.open(guardian, seed),
    )
    (asked, served), _ = run_both_sides(
        lambda: run_both_sides(lambda: asking.prepare(count), lambda: serving.prepare(count)),
        lambda: dealer.deal(dealer.next()) if dealer else None,
    )
    evaluated, garbled = run_both_sides(
        lambda: vote.querying_prepare(evaluator, asked.logit_shares, ring_bits, width, parameters.voting_rule),
        lambda: vote.answering_prepare(garbler, count, parameters.classes, ring_bits, width, parameters.voting_rule),
    )

    # Steps 1a, 1b: private inference; the logits end as two shares.
    querying_logits, answering_logits = run_both_sides(
        lambda: asking.infer(asked, encoded), lambda: serving.infer(served)
    )

    # Step 1c: shares of the vote, under a fresh mask of the AP.
    vote_shares, masks = run_both_sides(
        lambda: vote.querying_vote(evaluated),
        lambda: vote.answering_vote(garbled, answering_logits),
    )

    # Step 2, the AP's part: its mask towards PG, with its part of the noise if PG does not draw it.
    noise = release.draw_noise(masks.shape, parameters.part_scale, width, noise_randomness)
    masks = Ring(width).add(masks, noise)
    if public_key:
        aggregation.answering_encrypt(answering, public_key, parameters.packing, masks)
    else:
        aggregation.answering_send(answering_guardian, masks, width)
    return PartyRun(name, querying, answering, answering_guardian, guardian, querying_logits, vote_shares)


def _share_key(guardian: Channel, party: Channel, secret_key: SecretKey | None) -> PublicKey | None:
    """PG's public key, to one party; none where masks go to PG in the clear."""
    if secret_key is None:
        return None
    aggregation.guardian_publish_key(guardian, secret_key)
    return aggregation.party_receive_key(party, secret_key.public.key_bits)


def plaintext_labels(
    queries: NDArray[np.float64],
    networks: list[Network],
    parameters: PublicParameters,
    noise_randomness: Randomness | None = None,
) -> Labels:
    """The same vote in the clear: majority of the fixed-point models; ties go to the lowest class, or are a no.

    Without `noise_randomness` without noise, and every query gets a label. With it, exactly what :func:`run_capc` gives
    under the same: the same noise on counts and threshold, drawn in the same order.
    """
    encoded = Ring(parameters.ring_bits).encode(queries, parameters.fraction_bits)
    counts: NDArray[np.int64] = np.zeros((len(queries), parameters.classes), dtype=np.int64)
    for network in networks:
        counts += parameters.voting_rule.votes(network.run_clear(encoded))
    if noise_randomness is None:
        return msgspec.structs.replace(parameters, sigma="0", threshold=0, noise_parts=0).release.clear(counts, counts)
    return labels_of(counts, parameters, noise_randomness)


def labels_of(counts: NDArray[np.int64], parameters: PublicParameters, noise_randomness: Randomness = SYSTEM) -> Labels:
    """The noisy labels, or abstentions, of counts ``(n, classes)`` that lie in the open."""
    if parameters.noise_parts:
        parts = [
            discrete_gaussian(parameters.part_scale, counts.shape, noise_randomness) for _ in range(parameters.parties)
        ]
        noisy = counts + np.sum(parts, axis=0)
    else:
        noisy = counts + discrete_gaussian(parameters.noise_scale, counts.shape, noise_randomness)
    return parameters.release.clear(counts, noisy, noise_randomness)
