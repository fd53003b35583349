"""The querying party (QP) of CaPC: asks every answering party, and alone learns the labels.

    QP                                 AP 0 .. K-1                    PG
    0   choose the queries
        connect, hello  <------------------------------------------>  connect, hello
        <-----------------------------------------------------------  Paillier public key
        <-----------------------------------------------------------  your turn     when those before it have done
        base OTs  <------------------------------------------------>  base OTs
        connect, hello, base OTs  <->  connect, hello, base OTs                     all APs at once
    0'  prepare  ------------------->
        preprocessing  <------------>  preprocessing                               ahead, until the pool is full
    0   how many queries?  <--------------------------------------->  ledger charged, every batch
    0'  use  ----------------------->                                              the oldest of the pool, once
    1a  x - r  --------------------->  network on shares
    1b  share of the logits            share of the logits
    1c  vote - m  <----------------->  fresh m
    2   product of Enc(m)  <---------  Enc(m)
        product  ------------------------------------------------>  sum of m, + noise        (or AP --- m ---> PG)
    3   label  <--------------------------------------------------  noisy argmax
    4   train again, if it is a campaign

Learns the label of each query. Sees of each AP a uniform share of logits and vote and a ciphertext that it cannot open.
Trust: semi-honest parties; PG colludes with nobody. Run: ``python -m parties.client --settings PATH``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial

from mpc import aggregation, vote
from mpc.channel import Channel
from mpc.garbled import EvaluatedBatch, Evaluator
from mpc.inference import QueryingCorrelation, QueryingInference, QueryingPool
from mpc.paillier import PublicKey
from mpc.release import Labels, answered
from mpc.ring import Ring, Words
from parties.announcement import querying_await_turn
from parties.budget import Spent, querying_end, querying_tell_abstained, querying_wish
from parties.connections import ANSWERING, GUARDIAN, QUERYING, Connections
from parties.ledger import BudgetExceededError
from parties.process import Party, run_party
from parties.questions import questions
from parties.settings import QueryingSettings

Prepared = tuple[QueryingCorrelation, EvaluatedBatch]  # of one batch: private inference, vote


@dataclass(frozen=True)
class Asked:
    """An answering party that the QP is connected to."""

    channel: Channel
    inference: QueryingInference
    pool: QueryingPool[Prepared]


def client(party: Party[QueryingSettings]) -> None:
    """Play the querying party."""
    settings, progress = party.settings, party.progress
    parameters = settings.parameters
    asking = questions(party)

    with Connections(settings, party.folder, QUERYING) as connections:
        with progress.step("0", "connect", awaits=[settings.guardian.name]):
            guardian = connections.dial(settings.guardian, GUARDIAN)
        with progress.step("0", "guardian's public key and base oblivious transfers", channel=guardian):
            key = aggregation.party_receive_key(guardian, parameters.key_bits)
        guardian.deadline_s = settings.run_deadline_s  # others may have their turn before
        with guardian.in_step("0"), progress.step("0", "wait for its turn", awaits=[guardian.peer]):
            querying_await_turn(guardian)
        with progress.step("0", "guardian's public key and base oblivious transfers", channel=guardian):
            evaluator = Evaluator.open(guardian)
        with progress.step("0", "connect", awaits=[peer.name for peer in settings.servers]):
            channels = connections.with_each(settings.servers, lambda peer: connections.dial(peer, ANSWERING))
        connections.begin()
        asked = connections.with_each(channels, partial(_meet, party))

        encoded = Ring(parameters.ring_bits).encode(asking.images, parameters.fraction_bits)
        done, spent = 0, Spent("", 0, 0.0, 0.0)

        def prepare_ahead(server: Asked) -> None:
            left = len(encoded) - done
            size = min(settings.batch_size, left)
            with server.channel.in_step("0'"):
                server.pool.fill(size, left // size)

        while done < len(encoded):
            connections.with_each(asked, prepare_ahead)
            with progress.step("0", "privacy ledger", channel=guardian):
                spent = querying_wish(guardian, min(settings.batch_size, len(encoded) - done))
            if spent.refusal:
                asking.refused(spent)
                break
            batch = slice(done, done + spent.queries)
            labels = _label(party, connections, asked, guardian, evaluator, key, encoded[batch])
            if settings.credit_abstentions:
                with progress.step("3", "abstentions", channel=guardian):
                    spent = querying_tell_abstained(guardian, int((~answered(labels)).sum()))
            asking.answered(done, labels, spent)
            done = batch.stop
        for server in asked:
            server.pool.end()
        querying_end(guardian)
    if done == 0 and spent.refusal and settings.campaign is None:
        raise BudgetExceededError(spent.refusal)
    asking.finish()


def _meet(party: Party[QueryingSettings], channel: Channel) -> Asked:
    """Step 0 with one answering party."""
    progress, parameters = party.progress, party.settings.parameters
    with progress.step("0", "base oblivious transfers and keys", channel=channel):
        evaluator = Evaluator.open(channel)
        inference = QueryingInference.open(channel, evaluator, parameters)

    def prepare(count: int) -> Prepared:
        with progress.step("0'", "preprocessing", channel=channel):
            correlation = inference.prepare(count)
            logit_shares, ballot = correlation.logit_shares, parameters.ballot
            return correlation, vote.querying_prepare(evaluator, logit_shares, parameters.ring_bits, ballot)

    return Asked(channel, inference, QueryingPool(channel, prepare, party.settings.pool))


def _label(
    party: Party[QueryingSettings],
    connections: Connections,
    asked: list[Asked],
    guardian: Channel,
    evaluator: Evaluator,
    key: PublicKey,
    encoded: Words,
) -> Labels:
    """One batch of queries ``(n, *input_shape)`` in the ring, through all steps: their labels."""
    settings, progress = party.settings, party.progress
    parameters = settings.parameters
    shape, width, packing = (len(encoded), parameters.classes), parameters.width, parameters.packing

    def ask(server: Asked) -> tuple[Words, list[int]]:
        """Steps 1a to 2 with one answering party: the QP's vote shares, and the AP's masks encrypted."""
        channel = server.channel
        with channel.in_step("0'"):
            prepared, ballot = server.pool.take(shape[0])
        with progress.step("1a", "private inference; the logits end as two shares (1b)", channel=channel):
            server.inference.infer(prepared, encoded)
        with progress.step("1c", f"{parameters.ballot.title}; the vote ends as two shares", channel=channel):
            vote_shares = vote.querying_vote(ballot, width)
        if parameters.aggregation == "direct":
            return vote_shares, []  # the masks go to the guardian without passing here
        with progress.step("2", "answering party's masks", channel=channel):
            return vote_shares, aggregation.querying_collect(channel, key, packing, shape[0] * shape[1])

    ballots = connections.with_each(asked, ask)
    share_sums = Ring(width).add(*(vote_shares for vote_shares, _ in ballots))
    if parameters.aggregation == "paillier":
        with progress.step("2", "sum of the masks, encrypted", channel=guardian):
            aggregation.querying_forward(guardian, key, packing, [masks for _, masks in ballots])
    with progress.step("3", f"{parameters.release.title}; the label", channel=guardian):
        return parameters.release.querying(evaluator, share_sums)


if __name__ == "__main__":
    sys.exit(run_party(QueryingSettings, client))
