"""The querying party (QP) of CaPC asks every answering party, and alone learns the labels.

    QP                                 AP 0 .. K-1                    PG
    0   choose the queries
        connect, hello  <------------------------------------------>  connect, hello
        <-----------------------------------------------------------  Paillier public key
        <-----------------------------------------------------------  your turn     when those before it have done
        base OTs  <------------------------------------------------>  base OTs      (and  <--- seeds ---  of a dealer)
        connect, hello, base OTs  <->  connect, hello, base OTs                     all APs at once
        <----------------------------  how many queries each will answer
    0'  prepare  ------------------->
        preprocessing  <------------>  preprocessing                               until the pool is full; again while
                                                                                   2 and 3 of every batch go on
    0   how many queries?  <--------------------------------------->  ledger charged, every batch
    0'  use  ----------------------->                                              the oldest of the pool, once
    1a  x - r  --------------------->  network on shares
    1b  share of the logits            share of the logits
    1c  vote - m  <----------------->  fresh m
    2   product of Enc(m)  <---------  odometer charged, Enc(m)
        product  ------------------------------------------------>  sum of m, + noise        (or AP --- m ---> PG)
    3   label  <--------------------------------------------------  noisy argmax
    4   train again, if it is a campaign

It learns the label of each query. Of each AP it sees a uniform share of logits and vote, and a ciphertext that it
cannot open. All parties are trusted to follow the protocol (semi-honest), and PG to collude with nobody.

    python -m parties.capc.client --settings PATH
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from mpc.capc import aggregation, vote
from mpc.capc.budget import Spent, querying_end, querying_request_batch
from mpc.capc.odometer import OwnersAccount, querying_receive_account
from mpc.capc.release import Labels
from mpc.capc.turns import querying_await_turn
from mpc.channels.frames import Channel
from mpc.errors import BudgetExceededError
from mpc.garbled.batch import EvaluatedBatch
from mpc.garbled.session import Evaluator
from mpc.inference import QueryingCorrelation, QueryingInference, QueryingPool, querying_take_seeds
from mpc.paillier.scheme import PublicKey
from mpc.ring import Ring, Words
from parties.capc.questions import questions
from parties.capc.settings import ANSWERING, GUARDIAN, QUERYING, QueryingSettings
from parties.frame.connections import Connections
from parties.frame.process import Party, run_party
from parties.learning.network import public_layers

Prepared = tuple[QueryingCorrelation, EvaluatedBatch]
"""What a batch needs: for private inference, and for the vote."""

VoteShares = tuple[Words, list[int]]
"""From one AP: the QP's shares of its votes, ``(n, classes)``, and the AP's masks, encrypted."""


@dataclass
class AnsweringPeer:
    """The QP's end towards one answering party.

    Attributes:
        owner: the state of the party's own odometer, as it last said.
        may_ask: how many queries it answers in this turn, and `refusal` why no more.
    """

    channel: Channel
    inference: QueryingInference
    pool: QueryingPool[Prepared]
    owner: OwnersAccount
    may_ask: int
    refusal: str


def client(party: Party[QueryingSettings]) -> None:
    """Play the querying party."""
    settings, progress = party.settings, party.progress
    parameters = settings.parameters
    asking = questions(party)

    with Connections(settings, party.folder, QUERYING, settings.digest()) as connections:
        with progress.step("0", "connect", awaits=[settings.guardian.name]):
            guardian = connections.dial(settings.guardian, GUARDIAN)
        key = None
        if parameters.aggregation == "paillier":
            with progress.step("0", "guardian's public key", channel=guardian):
                key = aggregation.party_receive_key(guardian, parameters.key_bits)
        guardian.deadline_s = settings.run_deadline_s  # others may have their turn before
        with guardian.in_step("0"), progress.step("0", "wait for its turn", awaits=[guardian.peer]):
            querying_await_turn(guardian)
        seeds: Sequence[bytes | None] = [None] * len(settings.servers)
        with progress.step("0", "base oblivious transfers", channel=guardian):
            evaluator = Evaluator.open(guardian, tables=parameters.garbling)
            if parameters.preprocessing == "dealer":
                seeds = querying_take_seeds(guardian, len(settings.servers))
        with progress.step("0", "connect", awaits=[peer.name for peer in settings.servers]):
            channels = connections.with_each(settings.servers, lambda peer: connections.dial(peer, ANSWERING))
        connections.begin()
        servers = connections.with_each(
            list(zip(channels, seeds, settings.architectures, strict=True)), partial(_open_inference, party)
        )

        images = asking.images[: min(server.may_ask for server in servers)]
        encoded = Ring(parameters.ring_bits).encode(images, parameters.fraction_bits)
        done, spent = 0, Spent("", 0, 0.0, 0.0)
        connections.with_each(servers, partial(_prepare_ahead, settings.batch_size, len(encoded)))
        while done < len(encoded):
            with progress.step("0", "privacy ledger", channel=guardian):
                spent = querying_request_batch(guardian, min(settings.batch_size, len(encoded) - done))
            if spent.refusal:
                asking.refused(spent, _owners(servers))
                break
            batch = encoded[done : done + spent.queries]
            with connections.meanwhile(servers, partial(_collect_votes, party, key, batch, done)) as working:
                if key:
                    key.prepare(parameters.packing.plaintexts(len(batch) * parameters.classes))
                votes = working.results()
            left = len(encoded) - done - len(batch)
            with connections.meanwhile(servers, partial(_prepare_ahead, settings.batch_size, left)):
                labels = _release(party, guardian, evaluator, key, votes)
                asking.answered(done, labels, spent, _owners(servers))
            done += len(batch)
        if len(images) < len(asking.images) and not spent.refusal:
            asking.refused(spent := _owners_refusal(servers, spent), _owners(servers))
        for server in servers:
            server.pool.end()
        querying_end(guardian)
    if done == 0 and spent.refusal and settings.campaign is None:
        raise BudgetExceededError(spent.refusal)
    asking.finish()


def _open_inference(party: Party[QueryingSettings], dialled: tuple[Channel, bytes | None, str]) -> AnsweringPeer:
    """Take step 0 with one answering party, which is dialled.

    The dealer's seed for it comes along, if there is a dealer, and the name of its architecture.
    """
    progress, parameters = party.progress, party.settings.parameters
    channel, dealt, architecture = dialled
    with progress.step("0", "base oblivious transfers and keys", channel=channel):
        evaluator = Evaluator.open(channel, tables=parameters.garbling, circuits=parameters.circuits)
        layers = public_layers(architecture, parameters)
        inference = QueryingInference.open(channel, evaluator, parameters, dealt=dealt, layers=layers)
        owner = querying_receive_account(channel, party.settings.n_queries)

    def prepare(count: int) -> Prepared:
        with progress.step("0'", "preprocessing", channel=channel):
            correlation = inference.prepare(count)
            widths = parameters.ring_bits, parameters.width
            return correlation, vote.querying_prepare(
                evaluator, correlation.logit_shares, *widths, parameters.voting_rule
            )

    return AnsweringPeer(
        channel, inference, QueryingPool(channel, prepare, party.settings.pool), owner, owner.queries, owner.refusal
    )


def _owners_refusal(servers: Sequence[AnsweringPeer], spent: Spent) -> Spent:
    """Return the state of the budget with the refusal of the answering party that answers the fewest queries."""
    fewest = min(servers, key=lambda server: server.may_ask)
    refusal = f"{fewest.channel.peer} answers no more: {fewest.refusal}"
    return Spent(refusal, 0, spent.run, spent.total, spent.budget)


def _owners(servers: Sequence[AnsweringPeer]) -> dict[str, OwnersAccount]:
    return {server.channel.peer: server.owner for server in servers}


def _prepare_ahead(batch_size: int, left: int, server: AnsweringPeer) -> None:
    """Take step 0' with one answering party, for no more than the queries that are left can use."""
    if left:
        size = min(batch_size, left)
        with server.channel.in_step("0'"):
            server.pool.fill(size, left // size)


def _collect_votes(
    party: Party[QueryingSettings], key: PublicKey | None, encoded: Words, done: int, server: AnsweringPeer
) -> VoteShares:
    """Take steps 1a to 2 with one answering party, for a batch of queries ``(n, *input_shape)`` in the ring."""
    progress, parameters, channel = party.progress, party.settings.parameters, server.channel
    with channel.in_step("0'"):
        prepared, vote_circuit = server.pool.take(len(encoded))
    with progress.step("1a", "private inference; the logits end as two shares (1b)", channel=channel):
        server.inference.infer(prepared, encoded)
    with progress.step("1c", f"{parameters.voting_rule.title}; the vote ends as two shares", channel=channel):
        vote_shares = vote.querying_vote(vote_circuit)
    with progress.step("2", "the owner's odometer", channel=channel):
        server.owner = querying_receive_account(channel, party.settings.n_queries - done - len(encoded))
    if key is None:
        return vote_shares, []  # the masks go to the guardian without passing here
    with progress.step("2", "answering party's masks", channel=channel):
        return vote_shares, aggregation.querying_collect(channel, key, parameters.packing, vote_shares.size)


def _release(
    party: Party[QueryingSettings],
    guardian: Channel,
    evaluator: Evaluator,
    key: PublicKey | None,
    votes: list[VoteShares],
) -> Labels:
    """Take steps 2 and 3 with the guardian, and return the labels of a batch."""
    progress, parameters = party.progress, party.settings.parameters
    share_sums = Ring(parameters.width).add(*(vote_shares for vote_shares, _ in votes))
    if key:
        with progress.step("2", "sum of the masks, encrypted", channel=guardian):
            aggregation.querying_forward(guardian, key, parameters.packing, [masks for _, masks in votes])
    with progress.step("3", f"{parameters.release.title}; the label", channel=guardian):
        return parameters.release.querying(evaluator, share_sums)


if __name__ == "__main__":
    sys.exit(run_party(QueryingSettings, client))
