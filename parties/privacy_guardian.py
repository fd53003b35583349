"""The privacy guardian (PG) of CaPC: adds the noise, and helps the querying party to the label without seeing it.

    QP                               PG                                         AP 0 .. K-1
                                 0   Paillier key pair
    connect, hello  ------------->   accept everybody  <----------------------  connect, hello
    <-----------------------------   public key  ----------------------------->
    <-----------------------------   your turn                                      every QP, one after the other
    base OTs  <------------------>   base OTs
    how many queries?  <--------->   ledger charged, as far as the budget goes   0, every batch
    product of Enc(m)  ---------->   sum of m                 (or  <--- m ---)  2
                                     + discrete Gaussian noise, unless the APs added it
    label  <---------------------    garbled noisy argmax                       3

Learns how many queries are answered, and the sum of the APs' masks, which is uniform noise: no query, no logit, no
vote, no histogram, no label; with a threshold and `credit_abstentions` also how many queries of a batch got none.
Trust: semi-honest parties; PG colludes with nobody.
Run: ``python -m parties.privacy_guardian --settings PATH``.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import partial

from mpc import aggregation, release
from mpc.channel import Channel
from mpc.garbled import Garbler
from mpc.paillier import SecretKey
from parties.announcement import guardian_give_turn
from parties.budget import GuardiansAccount
from parties.connections import ANSWERING, GUARDIAN, QUERYING, Connections
from parties.ledger import Ledger
from parties.privacy import costs_of_a_query, epsilon, load_accountant
from parties.process import Party, run_party
from parties.settings import GuardianSettings, Turn


def privacy_guardian(party: Party[GuardianSettings]) -> None:
    """Play the privacy guardian."""
    settings, progress = party.settings, party.progress
    parameters = settings.parameters
    ThreadPoolExecutor(1).submit(load_accountant)  # it takes a second, in which the other parties come

    with Connections(settings, party.folder, GUARDIAN) as connections:
        listener = connections.listen(settings.listen)
        progress.listening(listener.port)
        with progress.step("0", f"Paillier key pair of {parameters.key_bits} bits"):
            key = SecretKey(parameters.key_bits)

        expected = {name: ANSWERING for turn in settings.turns for name in turn.servers}
        expected |= {turn.client: QUERYING for turn in settings.turns}
        channels: dict[str, Channel] = {}
        with progress.step("0", "connect", awaits=list(expected)):
            while expected.keys() - channels.keys():
                missing = {name: role for name, role in expected.items() if name not in channels}
                channel = connections.accept(listener, missing)
                channels[channel.peer] = channel
                with progress.step("0", "public key", channel=channel):
                    aggregation.guardian_publish_key(channel, key)
        connections.begin()
        for turn in settings.turns:
            _serve(party, turn, channels, key)


def _serve(party: Party[GuardianSettings], turn: Turn, channels: dict[str, Channel], key: SecretKey) -> None:
    """One querying party's turn: every batch that its budget allows."""
    progress, parameters = party.progress, party.settings.parameters
    client, servers = channels[turn.client], [channels[name] for name in turn.servers]
    with progress.step("0", "base oblivious transfers", channel=client):
        guardian_give_turn(client)
        garbler = Garbler.open(client)
    account = _account(party, turn, client)
    while count := account.charge():
        progress.note(f"{turn.account} is charged for {count} queries")
        shape = count, parameters.classes
        if parameters.aggregation == "paillier":
            with progress.step("2", "sum of the masks, decrypted", channel=client):
                mask_sums = aggregation.guardian_decrypt(client, key, parameters.packing, shape)
        else:
            with progress.step("2", "sum of the masks"):
                mask_sums = aggregation.guardian_add(servers, shape, parameters.width)
        scale = Fraction(0) if parameters.noise_parts else parameters.noise_scale
        noisy_share = release.guardian_add_noise(mask_sums, scale, parameters.width)
        with progress.step("3", parameters.release.title, channel=client):
            parameters.release.guardian(garbler, mask_sums, noisy_share)
        if party.settings.credit_abstentions:
            account.credit(count)


def _account(party: Party[GuardianSettings], turn: Turn, client: Channel) -> GuardiansAccount:
    """The querying party's account in the ledger, to be charged before every batch."""
    settings = party.settings
    accountant = partial(epsilon, delta=float(settings.delta))
    return GuardiansAccount(
        channel=client,
        ledger=Ledger(settings.ledger, accountant, settings.epsilon_budget),
        account=turn.account,
        session=settings.session,
        each=costs_of_a_query(settings.parameters),
        most=settings.batch_size,
        epsilon_of=accountant,
        budget=settings.epsilon_budget,
    )


if __name__ == "__main__":
    sys.exit(run_party(GuardianSettings, privacy_guardian))
