"""An answering party (AP) of CaPC, whose model votes on queries that it cannot see.

    QP                                   AP                                          PG
                                     0   train the model, or take it from the cache
                                         connect, hello  ------------------------->
                                         <-----------------------------------------  Paillier public key
                                         <-----------------------------------------  how many vote, every session
                                         weights in NTT form       (or  connect again, for what is dealt)
    connect, hello  ------------------>                                              every QP in its turn
    base OTs  <---------------------->   base OTs
    <---------------------------------   how many queries it will answer, by its own odometer
    prepare  ------------------------>                                               until the pool is full
    preprocessing  <----------------->   garbled circuits, W r - s  (or  <--- s ---)  0'
    use, and the batch's name  ------>   the oldest of the pool, once                every batch
    x - r  -------------------------->   network on shares                           1a
    share of the logits                  share of the logits                         1b
    vote - m  <---------------------->   fresh m                                     1c
    <---------------------------------   its odometer, charged                       2
    <---------------------------------   Enc(m)                    (or  m  ------>)  2, with noise if it is distributed

It learns that a query came, and its shape. It does not learn the query, its own vote on it, the label, or which other
parties vote. Circuits that are streamed cross in 1a and 1c. All parties are trusted to follow the protocol
(semi-honest), and PG to collude with nobody.

As a service it waits for a QP first, which brings the session, and connects to PG then. So it does in a run with a
quorum, for one session after the other.

    python -m parties.capc.server --settings PATH
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

from mpc.capc import aggregation, batches, release, vote
from mpc.capc.quorum import answering_receive_number
from mpc.channels.doors import Listener
from mpc.channels.frames import Channel
from mpc.channels.tls import TlsChannel
from mpc.errors import ProtocolError, TransportError
from mpc.garbled.batch import GarbledBatch
from mpc.garbled.session import Garbler
from mpc.inference import AnsweringCorrelation, AnsweringInference, AnsweringPool, Network, NetworkWeights
from mpc.paillier.scheme import PublicKey
from mpc.ring import Ring
from parties.capc.hidden import HiddenFor
from parties.capc.odometer import Odometer
from parties.capc.settings import ANSWERING, GUARDIAN, QUERYING, AnsweringSettings, with_voters_of
from parties.frame.connections import Connections
from parties.frame.lifetime import serving
from parties.frame.process import Party, run_party
from parties.learning.network import fixed_point
from parties.learning.training import tell_owner, trained_model

Prepared = tuple[AnsweringCorrelation, GarbledBatch]
"""What a batch needs: for private inference, and for the vote."""


def server(party: Party[AnsweringSettings]) -> None:
    """Play an answering party. In a run with a quorum it is a service, which ends when it is told to."""
    with serving() if party.settings.quorum and party.settings.place is None else nullcontext():
        _play(party)


def _play(party: Party[AnsweringSettings]) -> None:
    settings, progress = party.settings, party.progress
    model = _network(party)

    with Connections(settings, party.folder, ANSWERING, settings.agreed(), progress.note) as connections:
        listener = connections.listen(settings.listen)
        progress.listening(listener.port)
        if settings.place is not None:
            model = _transformed(party, model)
            client, session = connections.admit(listener, dict.fromkeys(settings.clients, QUERYING))
            progress.admitted(client.peer, session)
            party = party.in_session(session)
            connections.await_turn(listener=listener, opener=client)
            connections.close_door(listener)
            _answer_all(party, connections, client, _meet_guardian(party, connections, client), model)
            return
        if settings.quorum:
            _answer_whoever_comes(party, connections, listener, _transformed(party, model))
            return
        guardian = _meet_guardian(party, connections)
        model = _transformed(party, model)
        for turn, name in enumerate(settings.clients):
            within_s = settings.run_deadline_s if turn else settings.connect_deadline_s  # another's turn may be long
            with progress.step("0", "wait for the querying party", awaits=[name]):
                client = connections.accept(listener, {name: QUERYING}, within_s)
            _answer_all(party, connections, client, guardian, model)


def _answer_whoever_comes(
    party: Party[AnsweringSettings], connections: Connections, listener: Listener, model: Model
) -> None:
    """Answer one session after the other, without an end. One that breaks may be opened again."""
    settings, progress = party.settings, party.progress
    while True:
        with progress.step("0", "wait for a querying party", awaits=list(settings.clients)):
            clients = dict.fromkeys(settings.clients, QUERYING)
            client = connections.accept(listener, clients, settings.run_deadline_s)
        try:
            _answer_all(party, connections, client, _meet_guardian(party, connections, client), model)
        except TransportError as error:
            progress.begin_again(f"a session with {client.peer} broke, and may be opened again ({error})")
        finally:
            connections.hang_up()


@dataclass(frozen=True)
class Guardian:
    """The party's connections to the guardian: for all else and, where it is a dealer, for that. And its public key."""

    channel: Channel
    dealer: Channel | None
    key: PublicKey | None


@dataclass(frozen=True)
class Model:
    """The party's network and, where no dealer deals, its weights in the form for encrypted masks."""

    network: Network
    weights: NetworkWeights | None = None


def _meet_guardian(
    party: Party[AnsweringSettings], connections: Connections, client: TlsChannel | None = None
) -> Guardian:
    """Connect to the guardian, and receive its key if it has one. Give up when the client, if there is one, leaves."""
    settings, progress, parameters = party.settings, party.progress, party.settings.parameters

    def dial() -> TlsChannel:
        if client is None:
            return connections.dial(settings.guardian, GUARDIAN)
        return connections.dial_beside(settings.guardian, GUARDIAN, client)

    with progress.step("0", "connect", awaits=[settings.guardian.name]):
        guardian = dial()
        dealer = dial() if parameters.preprocessing == "dealer" else None
    key = None
    if parameters.aggregation == "paillier":
        with progress.step("0", "guardian's public key", channel=guardian):
            key = aggregation.party_receive_key(guardian, parameters.key_bits)
    return Guardian(guardian, dealer, key)


def _answer_all(
    party: Party[AnsweringSettings], connections: Connections, client: Channel, guardian: Guardian, model: Model
) -> None:
    """Answer one querying party in one session, batch by batch, until it has asked all."""
    settings, progress = party.settings, party.progress
    odometer, hidden = Odometer.of(party), HiddenFor.of(settings)
    with progress.step("0", "how many vote", channel=guardian.channel):
        voters = answering_receive_number(guardian.channel, settings.min_parties, settings.parameters.parties)
    party = with_voters_of(party, voters)
    parameters = party.settings.parameters
    with progress.step("0", "base oblivious transfers and keys", channel=client):
        garbler = Garbler.open(client, tables=parameters.garbling, circuits=parameters.circuits)
        inference = AnsweringInference.open(
            client, garbler, model.network, parameters, dealer=guardian.dealer, prepared=model.weights
        )
    connections.begin()
    prepare = partial(_prepare, party, client, garbler, inference, guardian.key, hidden)
    pool = AnsweringPool(client, prepare, settings.pool, settings.batch_size)
    left = settings.n_queries
    with client.in_step("0"):
        interrupted = batches.answering_receive_name(client, may_be_none=True)
        odometer.limit(hidden.left(left), hidden.refusal)
        odometer.tell(client, left, interrupted)
    while (taken := _next(client, pool)) is not None:
        count, prepared, batch = taken
        if count > left:
            raise ProtocolError.mismatch("queries, at most", left, count, peer=client.peer, step="0'")
        left -= count
        charge = partial(odometer.charge, client, batch, count, left)
        _answer(party, client, guardian, inference, prepared, charge)
    inference.end()


def _prepare(
    party: Party[AnsweringSettings],
    client: Channel,
    garbler: Garbler,
    inference: AnsweringInference,
    key: PublicKey | None,
    hidden: HiddenFor,
    count: int,
) -> Prepared:
    """Take step 0' for a batch, which is all that does not depend on its queries."""
    parameters = party.settings.parameters
    with party.progress.step("0'", "preprocessing", channel=client):
        hidden.take(count)  # on the disk before a reply leaves
        correlation = inference.prepare(count)
        widths = parameters.ring_bits, parameters.width
        vote_circuit = vote.answering_prepare(garbler, count, parameters.classes, *widths, parameters.voting_rule)
        if key:  # last: the querying party has what it needs
            key.prepare(parameters.packing.plaintexts(count * parameters.classes))
        return correlation, vote_circuit


def _next(client: Channel, pool: AnsweringPool[Prepared]) -> tuple[int, Prepared, bytes] | None:
    """Prepare batches as the QP requests, and return the one that it uses and its name. None when it has asked all."""
    with client.in_step("0'"):
        taken = pool.next()
        return None if taken is None else (*taken, batches.answering_receive_name(client))


def _answer(
    party: Party[AnsweringSettings],
    client: Channel,
    guardian: Guardian,
    inference: AnsweringInference,
    prepared: Prepared,
    charge: Callable[[], None],
) -> None:
    """Take steps 1a to 2 for a batch of queries."""
    progress, parameters = party.progress, party.settings.parameters
    correlation, vote_circuit = prepared
    with progress.step("1a", "private inference; the logits end as two shares (1b)", channel=client):
        logit_shares = inference.infer(correlation)
    with progress.step("1c", f"{parameters.voting_rule.title}; the vote ends as two shares", channel=client):
        masks = vote.answering_vote(vote_circuit, logit_shares)
    noise = release.draw_noise(masks.shape, parameters.part_scale, parameters.width)  # 0 where PG draws it
    masks = Ring(parameters.width).add(masks, noise)
    with progress.step("2", "the owner's odometer", channel=client):
        charge()  # on the disk before the masks leave
    if guardian.key:
        with progress.step("2", "masks, encrypted", channel=client):
            aggregation.answering_encrypt(client, guardian.key, parameters.packing, masks)
    else:
        with progress.step("2", "masks", channel=guardian.channel):
            aggregation.answering_send(guardian.channel, masks, parameters.width)


def _network(party: Party[AnsweringSettings]) -> Model:
    """Return the party's model in fixed point. One that could overflow the ring is refused here, before any peer."""
    settings, progress = party.settings, party.progress
    with progress.step("0", f"model {settings.training.title}"):
        model, cached = trained_model(
            settings.training, party.folder / "records.npz", settings.cache, settings.training_slot
        )
        tell_owner(settings.training, settings.cache, party.folder, progress)
        made = "trained" if settings.training.source is None else "converted"
        progress.note("the model comes from the cache" if cached else f"the model is {made} and kept in the cache")
        # A querying party may leave what the pool holds unused. What it was sent counts nevertheless.
        ahead = (settings.pool + 1) * min(settings.batch_size, settings.n_queries)
        queries = settings.queries_in_all or (settings.n_queries + ahead) * len(settings.clients)
        return Model(fixed_point(model, settings.parameters, queries, settings.beyond_bounds))


def _transformed(party: Party[AnsweringSettings], model: Model) -> Model:
    """Add the weights in the form for products with encrypted masks, for the batch sizes to be expected."""
    settings, network = party.settings, model.network
    if settings.parameters.preprocessing == "dealer":
        return model
    with party.progress.step("0", "weights in NTT form"):
        weights = NetworkWeights(network.architecture, [fixed.weights for fixed in network.weights])
        whole = min(settings.batch_size, settings.n_queries)
        for size in {whole, settings.n_queries % whole} - {0}:
            weights.transform(size)
    return Model(network, weights)


if __name__ == "__main__":
    sys.exit(run_party(AnsweringSettings, server))
