"""An answering party (AP) of CaPC, whose model votes on queries that it cannot see.

    QP                                   AP                                          PG
                                     0   train the model, or take it from the cache
                                         connect, hello  ------------------------->
                                         <-----------------------------------------  Paillier public key
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

    python -m parties.capc.server --settings PATH
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

from mpc.capc import aggregation, batches, release, vote
from mpc.channels.frames import Channel
from mpc.errors import ProtocolError
from mpc.garbled.batch import GarbledBatch
from mpc.garbled.session import Garbler
from mpc.inference import AnsweringCorrelation, AnsweringInference, AnsweringPool, Network, NetworkWeights
from mpc.paillier.scheme import PublicKey
from mpc.ring import Ring
from parties.capc.odometer import Odometer
from parties.capc.settings import ANSWERING, GUARDIAN, QUERYING, AnsweringSettings
from parties.frame.connections import Connections
from parties.frame.process import Party, run_party
from parties.learning.network import fixed_point
from parties.learning.training import trained_model

Prepared = tuple[AnsweringCorrelation, GarbledBatch]
"""What a batch needs: for private inference, and for the vote."""


def server(party: Party[AnsweringSettings]) -> None:
    """Play an answering party."""
    settings, progress = party.settings, party.progress
    parameters = settings.parameters
    odometer = Odometer.of(party)
    network = _network(party)

    with Connections(settings, party.folder, ANSWERING, settings.agreed(), progress.note) as connections:
        listener = connections.listen(settings.listen)
        progress.listening(listener.port)
        with progress.step("0", "connect", awaits=[settings.guardian.name]):
            guardian = connections.dial(settings.guardian, GUARDIAN)
            dealer = connections.dial(settings.guardian, GUARDIAN) if parameters.preprocessing == "dealer" else None
        key = None
        if parameters.aggregation == "paillier":
            with progress.step("0", "guardian's public key", channel=guardian):
                key = aggregation.party_receive_key(guardian, parameters.key_bits)
        weights = None if dealer else _transformed(party, network)
        for turn, name in enumerate(settings.clients):
            within_s = settings.run_deadline_s if turn else settings.connect_deadline_s  # another's turn may be long
            with progress.step("0", "wait for the querying party", awaits=[name]):
                client = connections.accept(listener, {name: QUERYING}, within_s)
            with progress.step("0", "base oblivious transfers and keys", channel=client):
                garbler = Garbler.open(client, tables=parameters.garbling, circuits=parameters.circuits)
                inference = AnsweringInference.open(
                    client, garbler, network, parameters, dealer=dealer, prepared=weights
                )
            connections.begin()
            prepare = partial(_prepare, party, client, garbler, inference, key)
            pool = AnsweringPool(client, prepare, settings.pool, settings.batch_size)
            left = settings.n_queries
            with client.in_step("0"):
                interrupted = batches.answering_receive_name(client, may_be_none=True)
                odometer.tell(client, left, interrupted)
            while (taken := _next(client, pool)) is not None:
                count, prepared, batch = taken
                if count > left:
                    raise ProtocolError.mismatch("queries, at most", left, count, peer=client.peer, step="0'")
                left -= count
                charge = partial(odometer.charge, client, batch, count, left)
                _answer(party, client, guardian, inference, key, prepared, charge)
            inference.end()


def _prepare(
    party: Party[AnsweringSettings],
    client: Channel,
    garbler: Garbler,
    inference: AnsweringInference,
    key: PublicKey | None,
    count: int,
) -> Prepared:
    """Take step 0' for a batch, which is all that does not depend on its queries."""
    parameters = party.settings.parameters
    with party.progress.step("0'", "preprocessing", channel=client):
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
    guardian: Channel,
    inference: AnsweringInference,
    key: PublicKey | None,
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
    if key:
        with progress.step("2", "masks, encrypted", channel=client):
            aggregation.answering_encrypt(client, key, parameters.packing, masks)
    else:
        with progress.step("2", "masks", channel=guardian):
            aggregation.answering_send(guardian, masks, parameters.width)


def _network(party: Party[AnsweringSettings]) -> Network:
    """Return the party's model in fixed point. One that could overflow the ring is refused here, before any peer."""
    settings, progress = party.settings, party.progress
    with progress.step("0", f"model {settings.training.architecture}"):
        model, cached = trained_model(
            settings.training, party.folder / "records.npz", settings.cache, settings.training_slot
        )
        progress.note("the model comes from the cache" if cached else "the model is trained and kept in the cache")
        # A querying party may leave what the pool holds unused. What it was sent counts nevertheless.
        ahead = (settings.pool + 1) * min(settings.batch_size, settings.n_queries)
        queries = (settings.n_queries + ahead) * len(settings.clients)
        return fixed_point(model, settings.parameters.ring_bits, settings.parameters.fraction_bits, queries)


def _transformed(party: Party[AnsweringSettings], network: Network) -> NetworkWeights:
    """Return the weights in the form for products with encrypted masks, for the batch sizes to be expected."""
    settings = party.settings
    with party.progress.step("0", "weights in NTT form"):
        weights = NetworkWeights(network.architecture, [fixed.weights for fixed in network.weights])
        whole = min(settings.batch_size, settings.n_queries)
        for size in {whole, settings.n_queries % whole} - {0}:
            weights.transform(size)
    return weights


if __name__ == "__main__":
    sys.exit(run_party(AnsweringSettings, server))
