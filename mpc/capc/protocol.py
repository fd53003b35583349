"""CaPC, whole. One function runs every role in memory, in order.

It is the specification, the vehicle of the tests and the shortest way to read the protocol. CaPC is due to
Choquette-Choo, Dullerud, Dziedzic, Zhang, Jha, Papernot, Wang, "CaPC Learning: Confidential and Private Collaborative
Learning", ICLR 2021. Each step is a pair of functions that face each other in one file. Here they run side by side over
channels in memory. In ``parties/`` each side runs alone over TLS.

    step   QP                      AP i                        PG                       file
    hello  role, digest            role, digest                role, digest             channels/hello
    0      keys, base OTs          keys, base OTs              Paillier key             aggregation, garbled
    0'     preprocessing           garbling, W r - s        (deals W r - s)             inference
    1a,b   x - r, masked words     wire labels                                          inference
           share of the logits     share of the logits
    1c     vote - m_i              m_i, fresh                                           vote
    2      product of Enc(m_i)     Enc(m_i)                    sum of m_i, + noise      aggregation
    3      class labels                                        tables, wire labels      release

Every role takes its randomness as an argument (:class:`CapcRandomness`). Under the same seeds every byte that any party
sends is the same, which ``tests/vectors`` checks. Turns and the privacy budget (:mod:`mpc.capc.turns`,
:mod:`mpc.capc.budget`) are left to the parties, because they need several querying parties and a ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mpc.capc import aggregation, release, vote
from mpc.capc.parameters import PublicParameters
from mpc.capc.release import Labels
from mpc.capc.roles import CapcRandomness
from mpc.channels.frames import Channel
from mpc.channels.hello import Hello, exchange_hello
from mpc.channels.memory import MemoryChannel, memory_pair, run_both_sides
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
from mpc.randomness import Randomness
from mpc.ring import Ring, Words

QUERYING, ANSWERING, GUARDIAN = "querying party", "answering party", "privacy guardian"
CLIENT, PRIVACY_GUARDIAN = "client", "privacy-guardian"  # names, as an answering party is "server-0"

Connect = Callable[[str, str, float], tuple[MemoryChannel, MemoryChannel]]
"""Makes the two ends of a channel between two named parties, with a deadline in seconds."""


@dataclass(repr=False)
class PartyRun:
    """One answering party's part of a run, with its channels and the shares that its steps end in.

    Attributes:
        querying, answering: the two ends of the channel between QP and AP.
        answering_guardian, guardian: the two ends of the channel between AP and PG.
        querying_logits, answering_logits: shares from step 1b, ``(n, classes)`` in Z_2^ring_bits.
        querying_votes, masks: shares from step 1c, ``(n, classes)`` in Z_2^width.
        noise: the AP's part of the noise in Z_2^width, zeros where PG draws it.
    """

    name: str
    querying: MemoryChannel
    answering: MemoryChannel
    answering_guardian: MemoryChannel
    guardian: MemoryChannel
    querying_logits: Words
    answering_logits: Words
    querying_votes: Words
    masks: Words
    noise: Words

    def __repr__(self) -> str:
        return f"PartyRun({self.name}, shares {self.masks.shape})"


@dataclass
class CapcRun:
    """The result of a run, and all that every party saw.

    The shares are here for the tests of what their holders must be unable to learn, and for the vectors.

    Attributes:
        labels: of the queries, as :data:`mpc.capc.release.Labels`.
        views: for each party, its ends of its channels, whose transcripts hold all that it sent and received.
        party_runs: of each answering party.
        mask_sums: PG's sum of what the APs sent, ``(n, classes)`` in Z_2^width.
        guardian_noise: the noise that PG adds to it, zeros where the APs draw it.
        guardian_share: PG's share of the noisy histogram, the sum of the two.
    """

    labels: Labels
    views: dict[str, list[MemoryChannel]] = field(repr=False)
    party_runs: list[PartyRun] = field(repr=False)
    mask_sums: Words = field(repr=False)
    guardian_noise: Words = field(repr=False)
    guardian_share: Words = field(repr=False)


def run_capc(
    queries: NDArray[np.float64],
    networks: list[Network],
    parameters: PublicParameters,
    *,
    randomness: CapcRandomness | None = None,
    connect: Connect = memory_pair,
    deadline_s: float = 60.0,
) -> CapcRun:
    """Label ``queries`` ``(n, *input_shape)`` with the noisy majority vote of ``networks``, one per answering party.

    Args:
        queries: real numbers in the networks' input range.
        networks: fixed-point models, all under ``parameters``' ring, scale, shape and classes.
        parameters: public parameters; ``parties`` must be ``len(networks)``.
        randomness: of every role, injected by known-answer tests. None is the operating system's.
        connect: makes the channels. Tests of refusals give one that alters a message on its way.
        deadline_s: longest wait for one message.

    Raises:
        ParameterError: another number of networks or of answering parties' randomness than parties.
        PeerError: a message that a step refuses, with the step and the peer.
    """
    if len(networks) != parameters.parties:
        raise ParameterError(f"expected {parameters.parties} networks, found {len(networks)}")
    drawn = randomness or CapcRandomness.system(len(networks))
    if len(drawn.answering) != len(networks):
        raise ParameterError(f"expected randomness of {len(networks)} parties, found {len(drawn.answering)}")
    shape, width, packing = (len(queries), parameters.classes), parameters.width, parameters.packing
    encoded = Ring(parameters.ring_bits).encode(queries, parameters.fraction_bits)

    # Step 0: PG's key if its scheme is used, its seeds if it deals correlations, and base OTs for step 3.
    querying, guardian = connect(CLIENT, PRIVACY_GUARDIAN, deadline_s)
    _greet(parameters, (querying, QUERYING), (guardian, GUARDIAN))
    secret_key = None
    seeds: Sequence[bytes | None] = [None] * len(networks)
    with _step("0", querying, guardian):
        if parameters.aggregation == "paillier":
            secret_key = SecretKey(parameters.key_bits, drawn.guardian.source("paillier"))
        public_key = _share_key(guardian, querying, secret_key, drawn.querying.source("paillier"))
        evaluator, garbler = run_both_sides(
            lambda: Evaluator.open(
                querying, drawn.querying.source(f"garbling/{PRIVACY_GUARDIAN}"), tables=parameters.garbling
            ),
            lambda: Garbler.open(guardian, drawn.guardian.source(f"garbling/{CLIENT}"), tables=parameters.garbling),
        )
        if parameters.preprocessing == "dealer":
            dealer_give_seeds(guardian, len(networks), drawn.dealer.source("seeds"))
            seeds = querying_take_seeds(querying, len(networks))

    # Steps 0 to 2, with every answering party.
    party_runs = [
        _ask(index, network, encoded, parameters, secret_key, seed, drawn, connect, deadline_s)
        for index, (network, seed) in enumerate(zip(networks, seeds, strict=True))
    ]

    # Step 2: PG gets the sum of the masks, from the QP under encryption or from each AP.
    if public_key and secret_key:
        with _step("2", *(party_run.querying for party_run in party_runs)):
            collected = [
                aggregation.querying_collect(party_run.querying, public_key, packing, shape[0] * shape[1])
                for party_run in party_runs
            ]
        with _step("2", querying, guardian):
            aggregation.querying_forward(querying, public_key, packing, collected)
            mask_sums = aggregation.guardian_decrypt(guardian, secret_key, packing, shape)
    else:
        ends = [party_run.guardian for party_run in party_runs]
        with _step("2", *ends):
            mask_sums = aggregation.guardian_add(ends, shape, width)

    # Step 2 ends with PG's noise. Step 3 gives the class labels to the QP alone.
    scale = Fraction(0) if parameters.noise_parts else parameters.noise_scale
    noise = release.draw_noise(shape, scale, width, drawn.guardian.source("noise"))
    noisy_share = Ring(width).add(mask_sums, noise)
    share_sums = Ring(width).add(*(party_run.querying_votes for party_run in party_runs))
    with _step("3", querying, guardian):
        labels, _ = run_both_sides(
            lambda: parameters.release.querying(evaluator, share_sums),
            lambda: parameters.release.guardian(garbler, mask_sums, noisy_share, drawn.guardian.source("threshold")),
        )
    return CapcRun(
        labels,
        {
            CLIENT: [querying, *(party_run.querying for party_run in party_runs)],
            PRIVACY_GUARDIAN: [guardian, *(party_run.guardian for party_run in party_runs)],
            **{party_run.name: [party_run.answering, party_run.answering_guardian] for party_run in party_runs},
        },
        party_runs,
        mask_sums,
        noise,
        noisy_share,
    )


def _ask(
    index: int,
    network: Network,
    encoded: Words,
    parameters: PublicParameters,
    secret_key: SecretKey | None,
    seed: bytes | None,
    drawn: CapcRandomness,
    connect: Connect,
    deadline_s: float,
) -> PartyRun:
    """Run steps 0 to 2 between the QP and one AP, and send the AP's mask on its way to PG.

    ``seed`` is the one that a dealer gave the QP for this AP.
    """
    name, querying_drawn, answering_drawn = f"server-{index}", drawn.querying, drawn.answering[index]
    count, ring_bits, width = len(encoded), parameters.ring_bits, parameters.width
    querying, answering = connect(CLIENT, name, deadline_s)
    answering_guardian, guardian = connect(name, PRIVACY_GUARDIAN, deadline_s)
    _greet(parameters, (answering_guardian, ANSWERING), (guardian, GUARDIAN))
    _greet(parameters, (querying, QUERYING), (answering, ANSWERING))

    # Step 0: base OTs and the QP's encryption key.
    tables, circuits = parameters.garbling, parameters.circuits
    with _step("0", querying, answering, answering_guardian, guardian):
        public_key = _share_key(guardian, answering_guardian, secret_key, answering_drawn.source("paillier"))
        evaluator, garbler = run_both_sides(
            lambda: Evaluator.open(
                querying, querying_drawn.source(f"garbling/{name}"), tables=tables, circuits=circuits
            ),
            lambda: Garbler.open(
                answering, answering_drawn.source(f"garbling/{CLIENT}"), tables=tables, circuits=circuits
            ),
        )
        dealing = None if seed is None else answering_guardian
        (asking, serving), dealer = run_both_sides(
            lambda: run_both_sides(
                lambda: QueryingInference.open(
                    querying, evaluator, parameters, querying_drawn.source(f"inference/{name}"), dealt=seed
                ),
                lambda: AnsweringInference.open(
                    answering,
                    garbler,
                    network,
                    parameters,
                    answering_drawn.source(f"inference/{CLIENT}"),
                    dealer=dealing,
                ),
            ),
            lambda: None if seed is None else Dealer.open(guardian, seed, drawn.dealer.source(f"seed/{name}")),
        )

    # Step 0': everything that does not need the query.
    with _step("0'", querying, answering, answering_guardian, guardian):
        (asked, served), _ = run_both_sides(
            lambda: run_both_sides(lambda: asking.prepare(count), lambda: serving.prepare(count)),
            lambda: dealer.deal(dealer.next()) if dealer else None,
        )
        evaluated, garbled = run_both_sides(
            lambda: vote.querying_prepare(evaluator, asked.logit_shares, ring_bits, width, parameters.voting_rule),
            lambda: vote.answering_prepare(
                garbler, count, parameters.classes, ring_bits, width, parameters.voting_rule
            ),
        )

    # Steps 1a, 1b: private inference; the logits end as two shares.
    with _step("1a", querying, answering):
        querying_logits, answering_logits = run_both_sides(
            lambda: asking.infer(asked, encoded), lambda: serving.infer(served)
        )

    # Step 1c: shares of the vote, under a fresh mask of the AP.
    with _step("1c", querying, answering):
        querying_votes, masks = run_both_sides(
            lambda: vote.querying_vote(evaluated),
            lambda: vote.answering_vote(garbled, answering_logits),
        )

    # Step 2, the AP's part: its mask towards PG, with its part of the noise if PG does not draw it.
    noise = release.draw_noise(masks.shape, parameters.part_scale, width, answering_drawn.source("noise"))
    noisy_masks = Ring(width).add(masks, noise)
    with _step("2", answering, answering_guardian):
        if public_key:
            aggregation.answering_encrypt(answering, public_key, parameters.packing, noisy_masks)
        else:
            aggregation.answering_send(answering_guardian, noisy_masks, width)
    return PartyRun(
        name,
        querying,
        answering,
        answering_guardian,
        guardian,
        querying_logits,
        answering_logits,
        querying_votes,
        masks,
        noise,
    )


@contextmanager
def _step(name: str, *ends: Channel) -> Iterator[None]:
    """Account traffic, and place errors, under a step at these ends of channels."""
    with ExitStack() as stack:
        for end in ends:
            stack.enter_context(end.in_step(name))
        yield


def _greet(parameters: PublicParameters, dialling: tuple[Channel, str], listening: tuple[Channel, str]) -> None:
    """Exchange the hello over one channel. The party that connects speaks first."""

    def greet(own: tuple[Channel, str], other: tuple[Channel, str]) -> None:
        hello = Hello(own[1], "in memory", parameters.digest())
        exchange_hello(own[0], hello, other[1], speaks_first=own is dialling)

    with _step("hello", dialling[0], listening[0]):
        run_both_sides(lambda: greet(dialling, listening), lambda: greet(listening, dialling))


def _share_key(
    guardian: Channel, party: Channel, secret_key: SecretKey | None, randomness: Randomness
) -> PublicKey | None:
    """Give PG's public key to one party. There is none where masks go to PG in the clear."""
    if secret_key is None:
        return None
    aggregation.guardian_publish_key(guardian, secret_key)
    return aggregation.party_receive_key(party, secret_key.public.key_bits, randomness)
