"""An answering party (AP) of CaPC: its model votes on queries that it cannot see.

    QP                                   AP                                          PG
                                     0   train the model, or take it from the cache
                                         connect, hello  ------------------------->
                                         <-----------------------------------------  Paillier public key
    connect, hello  ------------------>                                              every QP in its turn
    base OTs  <---------------------->   base OTs
    how many queries  ---------------->                                              every batch
    preprocessing  <----------------->   garbled circuits, W r - s                   0'
    x - r  -------------------------->   network on shares                           1a
    share of the logits                  share of the logits                         1b
    onehot(argmax) - m  <------------>   fresh m                                     1c
    <---------------------------------   Enc(m)                    (or  m  ------>)  2, with noise if it is distributed

Learns that a query came, and its shape: not the query, not its own vote on it, not the label, not who else votes.
Trust: semi-honest parties; PG colludes with nobody. Run: ``python -m parties.server --settings PATH``.
"""

from __future__ import annotations

import sys

from mpc import aggregation, release, vote
from mpc.channel import Channel
from mpc.garbled import Garbler
from mpc.inference import AnsweringInference, Network
from mpc.paillier import PublicKey
from parties.announcement import answering_await
from parties.connections import ANSWERING, GUARDIAN, QUERYING, Connections
from parties.network import fixed_point
from parties.process import Party, run_party
from parties.settings import AnsweringSettings
from parties.training import trained_model


def server(party: Party[AnsweringSettings]) -> None:
    """Play an answering party."""
    settings, progress = party.settings, party.progress
    parameters = settings.parameters
    network = _network(party)

    with Connections(settings, party.folder, ANSWERING) as connections:
        listener = connections.listen(settings.listen)
        progress.listening(listener.port)
        with progress.step("0", "connect"):
            guardian = connections.dial(settings.guardian, GUARDIAN)
        with progress.step("0", "guardian's public key", channel=guardian):
            key = aggregation.party_receive_key(guardian, parameters.key_bits)
        for turn, name in enumerate(settings.clients):
            within_s = settings.run_deadline_s if turn else settings.connect_deadline_s  # another's turn may be long
            with progress.step("0", "wait for the querying party"):
                client = connections.accept(listener, {name: QUERYING}, within_s)
            with progress.step("0", "base oblivious transfers and keys", channel=client):
                garbler = Garbler.open(client)
                inference = AnsweringInference.open(client, garbler, network, parameters)
            connections.begin()
            left = settings.n_queries
            while count := answering_await(client, min(left, settings.batch_size)):
                left -= count
                _vote(party, client, guardian, garbler, inference, key, count)


def _vote(
    party: Party[AnsweringSettings],
    client: Channel,
    guardian: Channel,
    garbler: Garbler,
    inference: AnsweringInference,
    key: PublicKey,
    count: int,
) -> None:
    """One batch of `count` queries, through all steps."""
    progress, parameters = party.progress, party.settings.parameters
    with progress.step("0'", "preprocessing", channel=client):
        prepared = inference.prepare(count)
        ballot = vote.answering_prepare(garbler, count, parameters.classes, parameters.ring_bits)
    with progress.step("1a", "private inference; the logits end as two shares (1b)", channel=client):
        logit_shares = inference.infer(prepared)
    with progress.step("1c", "argmax; the vote ends as two shares", channel=client):
        masks = vote.answering_vote(ballot, logit_shares, parameters.width)
    masks = release.answering_add_noise(masks, parameters.part_scale, parameters.width)  # 0 where PG draws it
    if parameters.aggregation == "paillier":
        with progress.step("2", "masks, encrypted", channel=client):
            aggregation.answering_encrypt(client, key, parameters.packing, masks)
    else:
        with progress.step("2", "masks", channel=guardian):
            aggregation.answering_send(guardian, masks, parameters.width)


def _network(party: Party[AnsweringSettings]) -> Network:
    """The party's own model in fixed point; one that could overflow the ring is refused here, before any peer."""
    settings, progress = party.settings, party.progress
    with progress.step("0", f"model {settings.training.architecture}"):
        model, cached = trained_model(
            settings.training, party.folder / "records.npz", settings.cache, settings.training_slot
        )
        progress.note("the model comes from the cache" if cached else "the model is trained and kept in the cache")
        return fixed_point(model, settings.parameters, settings.n_queries * len(settings.clients))


if __name__ == "__main__":
    sys.exit(run_party(AnsweringSettings, server))
