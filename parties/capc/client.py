"""The querying party (QP) of CaPC asks every answering party, and alone learns the labels.

    QP                                 AP 0 .. K-1                    PG
    0   choose the queries
        connect, hello  <------------------------------------------>  connect, hello
        <-----------------------------------------------------------  Paillier public key
        <-----------------------------------------------------------  your turn     when those before it have done
        connect, hello  <----------->  connect, hello                               all APs at once
        <-----------------------------------------------------------  who votes
        base OTs  <------------------------------------------------>  base OTs      (and  <--- seeds ---  of a dealer)
        base OTs  <----------------->  base OTs                                     all APs at once
        <----------------------------  how many queries each will answer
    0'  prepare  ------------------->
        preprocessing  <------------>  preprocessing                               until the pool is full; again while
                                                                                   2 and 3 of every batch go on
    0   how many queries?  <--------------------------------------->  ledger charged, every batch
    0'  use, and the batch's name  ->                                              the oldest of the pool, once
    1a  x - r  --------------------->  network on shares
    1b  share of the logits            share of the logits
    1c  vote - m  <----------------->  fresh m
    2   product of Enc(m)  <---------  odometer charged, Enc(m)
        product  ------------------------------------------------>  sum of m, + noise        (or AP --- m ---> PG)
        keeps its share; ready  --------------------------------->
    3   label  <--------------------------------------------------  noisy argmax
    4   train again, if it is a campaign

It learns the label of each query. Of each AP it sees a uniform share of logits and vote, and a ciphertext that it
cannot open. All parties are trusted to follow the protocol (semi-honest), and PG to collude with nobody.

    python -m parties.capc.client --settings PATH
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial

from mpc.capc import aggregation, vote
from mpc.capc.batches import querying_name_batch, querying_say_ready
from mpc.capc.budget import Spent, querying_end, querying_request_batch
from mpc.capc.odometer import OwnersAccount, querying_receive_account
from mpc.capc.parameters import PublicParameters
from mpc.capc.quorum import with_voters
from mpc.capc.release import Labels
from mpc.capc.turns import querying_await_turn
from mpc.channels.frames import Channel
from mpc.channels.tls import TlsChannel
from mpc.errors import ProtocolError, QuorumError, TransportError
from mpc.garbled.batch import EvaluatedBatch
from mpc.garbled.session import Evaluator
from mpc.inference import QueryingCorrelation, QueryingInference, QueryingPool, querying_take_seeds
from mpc.paillier.scheme import PublicKey
from mpc.ring import Ring, Words
from parties.capc.pending import Batch, PendingBatch
from parties.capc.questions import Questions, questions
from parties.capc.settings import GUARDIAN, QUERYING, QueryingSettings, with_voters_of
from parties.capc.turnout import Turnout, listed, reach_voters
from parties.frame.connections import Connections
from parties.frame.process import Party, run_party
from parties.learning.network import public_layers

Prepared = tuple[QueryingCorrelation, EvaluatedBatch]
"""What a batch needs: for private inference, and for the vote."""

_PAUSE_S = 1.0
"""Between a session that broke and the next, in which a party that was lost may start again."""

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


@dataclass
class Asked:
    """How far the queries are, over all sessions.

    Attributes:
        done: how many are answered.
        spent: what the guardian said last.
        owners: what each answering party said last of its own account.
        losses: how each party that was lost was lost last.
    """

    done: int = 0
    spent: Spent = field(default_factory=lambda: Spent("", 0, 0.0, 0.0))
    owners: dict[str, OwnersAccount] = field(default_factory=dict)
    losses: dict[str, str] = field(default_factory=dict)


def client(party: Party[QueryingSettings]) -> None:
    """Play the querying party. Where it loses another party, it asks for the rest in a new session for `rejoin_s`."""
    settings = party.settings
    asking, asked = questions(party), Asked()
    pending = PendingBatch(settings.pending, durable=settings.rejoin_s > 0)
    pending.settle(asking.kept)
    # An earlier session ended after its last answer. In a run on one machine the others wait to be told so.
    all_kept = settings.credentials is not None and settings.answers is not None and not len(asking.images)
    lost_at, before = 0.0, -1
    while not all_kept:
        try:
            _ask(party, asking, pending, asked)
            break
        except QuorumError:
            raise  # it has waited for the others
        except TransportError as error:
            if asked.done > before or error.peer not in asked.losses:  # each party lost has its own time to come back
                lost_at, before = time.monotonic(), asked.done
            if time.monotonic() - lost_at >= settings.rejoin_s:
                raise
            asked.losses[error.peer] = f"lost in step {error.step}: {error.args[0]}"
            party.progress.begin_again(f"{error.peer or 'a party'} was lost, and what is left is asked again ({error})")
            time.sleep(_PAUSE_S)
    asking.finish()


def _ask(party: Party[QueryingSettings], asking: Questions, pending: PendingBatch, asked: Asked) -> None:
    """Ask what is left, in one session with all parties."""
    agreed = settings = party.settings
    progress, parameters = party.progress, settings.parameters

    with Connections(settings, party.folder, QUERYING, settings.agreed(), progress.note) as connections:
        with progress.step("0", "connect", awaits=[settings.guardian.name]):
            if settings.credentials is None:
                guardian = connections.dial(settings.guardian, GUARDIAN)
            else:
                waiting = partial(progress.note, "another session goes on first")
                guardian = connections.dial_in_line(settings.guardian, GUARDIAN, waiting)
        key = None
        if parameters.aggregation == "paillier":
            with progress.step("0", "guardian's public key", channel=guardian):
                key = aggregation.party_receive_key(guardian, parameters.key_bits)
        guardian.deadline_s = settings.run_deadline_s  # others may have their turn before
        in_line = nullcontext() if settings.credentials is None else progress.in_line()
        with in_line, guardian.in_step("0"), progress.step("0", "wait for its turn", awaits=[guardian.peer]):
            querying_await_turn(guardian, partial(progress.note, "another session goes on first"))
        channels, left_out = reach_voters(party, connections, guardian, asked.losses)
        party = _with_voters(party, channels)
        settings, parameters = party.settings, party.settings.parameters
        if left_out:
            progress.note(f"{len(channels)} of {len(agreed.servers)} answer, left out: {listed(left_out)}")
        seeds: Sequence[bytes | None] = [None] * len(settings.servers)
        with progress.step("0", "base oblivious transfers", channel=guardian):
            evaluator = Evaluator.open(guardian, tables=parameters.garbling)
            if parameters.preprocessing == "dealer":
                seeds = querying_take_seeds(guardian, len(settings.servers))
        connections.begin()
        opening = partial(_open_inference, party, pending.name)
        dialled = list(zip(channels, seeds, settings.architectures, strict=True))
        servers = connections.with_each(dialled, opening)
        asked.owners |= _owners(servers)

        session = Session(party, agreed, connections, guardian, evaluator, key, servers, left_out)
        may_ask = asked.done + min(server.may_ask for server in servers)
        encoded = Ring(parameters.ring_bits).encode(asking.images[:may_ask], parameters.fraction_bits)
        connections.with_each(servers, partial(_prepare_ahead, settings.batch_size, len(encoded) - asked.done))
        while asked.done < len(encoded) and _ask_batch(session, encoded[asked.done :], asking, pending, asked):
            pass
        if may_ask < len(asking.images) and not asked.spent.refusal:
            asked.spent = _owners_refusal(servers, asked.spent)
            asking.refused(asked.spent, asked.owners)
        querying_end(guardian)
        for server in servers:
            with suppress(TransportError):  # nothing more is needed of it
                server.pool.end()


@dataclass
class Session:
    """A querying party's session with the guardian and every party that votes, in which `done` queries were asked.

    Attributes:
        party: with the settings of this session, in which the `servers` are those who vote.
        agreed: the settings of a session with all parties.
        left_out: those who do not vote, and why.
    """

    party: Party[QueryingSettings]
    agreed: QueryingSettings
    connections: Connections
    guardian: Channel
    evaluator: Evaluator
    key: PublicKey | None
    servers: Sequence[AnsweringPeer]
    left_out: Mapping[str, str]
    done: int = 0

    @property
    def voters(self) -> tuple[str, ...]:
        return tuple(server.channel.peer for server in self.servers)

    @property
    def members(self) -> tuple[str, ...]:
        """All answering parties, whether they vote or not."""
        return tuple(peer.name for peer in self.agreed.servers)

    def turnout(self, voters: Sequence[str]) -> Turnout:
        """Return who voted on a batch. One whose last step is repeated may have other voters than this session."""
        then = "it did not vote on a batch that was finished later"
        left_out = {name: self.left_out.get(name, then) for name in self.members if name not in voters}
        return Turnout(len(voters), left_out)


def _ask_batch(session: Session, left: Words, asking: Questions, pending: PendingBatch, asked: Asked) -> bool:
    """Ask for the next batch of the queries that are `left`, and return whether more may be asked."""
    party, connections, servers = session.party, session.connections, session.servers
    settings, progress, key = party.settings, party.progress, session.key
    batch = pending.next(left, settings.batch_size)
    with progress.step("0", "privacy ledger", channel=session.guardian):
        asked.spent = spent = querying_request_batch(session.guardian, batch.queries, batch.name)
    if spent.state == "closed":
        progress.note("a batch that was interrupted cannot be answered again, and is asked as a new one")
        pending.finish()
        return True
    if spent.refusal:
        asking.refused(spent, asked.owners)
        return False
    pending.grant(left, spent.queries)
    queries = left[: spent.queries]

    def take(labels: Labels, voters: Sequence[str]) -> None:
        """Keep the labels. From here on the batch is done, whatever happens to a connection."""
        asked.owners |= _owners(servers)
        asking.voted(session.turnout(voters))
        asking.answered(asked.done, batch.name, labels, spent, asked.owners)
        pending.finish()
        asked.done += len(queries)

    if spent.state == "repeat":
        take(_repeat(session, batch), batch.voters or session.members)
    else:
        session.done += len(queries)
        collect = partial(_collect_votes, party, key, queries, batch.name, settings.n_queries - session.done)
        with connections.meanwhile(servers, collect) as working:
            if key:
                key.prepare(settings.parameters.packing.plaintexts(len(queries) * settings.parameters.classes))
            votes = working.results()
        ahead = partial(_prepare_ahead, settings.batch_size, len(left) - len(queries))
        with connections.meanwhile(servers, ahead):
            take(_release(session, votes, pending), session.voters)
    return True


def _with_voters(party: Party[QueryingSettings], channels: Sequence[TlsChannel]) -> Party[QueryingSettings]:
    """Return the party in a session with those alone to whom it has these channels."""
    names = {channel.peer for channel in channels}
    pairs = zip(party.settings.servers, party.settings.architectures, strict=True)
    servers, architectures = zip(*(pair for pair in pairs if pair[0].name in names), strict=True)
    return with_voters_of(party, len(channels), servers=servers, architectures=architectures)


def _open_inference(
    party: Party[QueryingSettings], interrupted: bytes, dialled: tuple[Channel, bytes | None, str | None]
) -> AnsweringPeer:
    """Take step 0 with one answering party, which is dialled.

    The dealer's seed for it comes along, if there is a dealer, and the name of its architecture, if it has one.
    """
    progress, parameters = party.progress, party.settings.parameters
    channel, dealt, architecture = dialled
    with progress.step("0", "base oblivious transfers and keys", channel=channel):
        evaluator = Evaluator.open(channel, tables=parameters.garbling, circuits=parameters.circuits)
        layers = None if architecture is None else public_layers(architecture, parameters)
        inference = QueryingInference.open(channel, evaluator, parameters, dealt=dealt, layers=layers)
        querying_name_batch(channel, interrupted)
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
    party: Party[QueryingSettings],
    key: PublicKey | None,
    encoded: Words,
    batch: bytes,
    left: int,
    server: AnsweringPeer,
) -> VoteShares:
    """Take steps 1a to 2 with one answering party, for a batch of queries ``(n, *input_shape)`` in the ring.

    After it, so many queries are `left` in this session.
    """
    progress, parameters, channel = party.progress, party.settings.parameters, server.channel
    with channel.in_step("0'"):
        prepared, vote_circuit = server.pool.take(len(encoded))
        querying_name_batch(channel, batch)
    with progress.step("1a", "private inference; the logits end as two shares (1b)", channel=channel):
        server.inference.infer(prepared, encoded)
    with progress.step("1c", f"{parameters.voting_rule.title}; the vote ends as two shares", channel=channel):
        vote_shares = vote.querying_vote(vote_circuit)
    with progress.step("2", "the owner's odometer", channel=channel):
        server.owner = querying_receive_account(channel, left)
    if key is None:
        return vote_shares, []  # the masks go to the guardian without passing here
    with progress.step("2", "answering party's masks", channel=channel):
        return vote_shares, aggregation.querying_collect(channel, key, parameters.packing, vote_shares.size)


def _release(session: Session, votes: list[VoteShares], pending: PendingBatch) -> Labels:
    """Take steps 2 and 3 with the guardian, and return the labels of a batch."""
    parameters, guardian = session.party.settings.parameters, session.guardian
    share_sums = Ring(parameters.width).add(*(vote_shares for vote_shares, _ in votes))
    if session.key:
        with session.party.progress.step("2", "sum of the masks, encrypted", channel=guardian):
            collected = [masks for _, masks in votes]
            aggregation.querying_forward(guardian, session.key, parameters.packing, collected)
    pending.keep(share_sums, session.voters)
    return _labels(session, share_sums, parameters)


def _repeat(session: Session, batch: Batch) -> Labels:
    """Repeat step 3 for a batch whose labels were possible before, with the voters of that time.

    Raises `ProtocolError` without a kept share.
    """
    if batch.share is None:
        raise ProtocolError(
            "expected a batch that was not as far as step 3, found it opened", peer=session.guardian.peer, step="3"
        )
    agreed = session.agreed.parameters
    return _labels(session, batch.share, with_voters(agreed, len(batch.voters or session.members)))


def _labels(session: Session, share_sums: Words, parameters: PublicParameters) -> Labels:
    """Take step 3 with the guardian, under the parameters of those who voted."""
    release = parameters.release
    with session.party.progress.step("3", f"{release.title}; the label", channel=session.guardian):
        querying_say_ready(session.guardian)
        return release.querying(session.evaluator, share_sums)


if __name__ == "__main__":
    sys.exit(run_party(QueryingSettings, client))
