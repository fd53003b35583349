"""The privacy guardian (PG) of CaPC: adds the noise, and helps the querying party to the label without seeing it.

    QP                               PG                                         AP 0 .. K-1
                                 0   Paillier key pair
    connect, hello  ------------->   accept everybody  <----------------------  connect, hello
    <-----------------------------   public key  ----------------------------->
    base OTs  <------------------>   base OTs
    budget spent  <---------------   ledger charged for all answers of the run
    product of Enc(m)  ---------->   sum of m                 (or  <--- m ---)  2, every batch
                                     + discrete Gaussian noise
    label  <---------------------    garbled noisy argmax                       3

Learns how many queries are answered, and the sum of the APs' masks, which is uniform noise: no query, no logit, no
vote, no histogram, no label. Trust: semi-honest parties; PG colludes with nobody.
Run: ``python -m parties.privacy_guardian --settings PATH``.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from mpc import aggregation, release
from mpc.channel import Channel
from mpc.garbled import Garbler
from mpc.paillier import SecretKey
from parties.budget import guardian_charge
from parties.connections import ANSWERING, GUARDIAN, QUERYING, Connections
from parties.ledger import Ledger
from parties.privacy import epsilon
from parties.process import Party, run_party
from parties.settings import GuardianSettings


def privacy_guardian(party: Party[GuardianSettings]) -> None:
    """Play the privacy guardian."""
    settings, progress = party.settings, party.progress
    parameters = settings.parameters
    delta = float(settings.delta)
    accountant = ThreadPoolExecutor(1)  # it takes a second to load, in which the other parties come
    cost = accountant.submit(epsilon, [(parameters.sigma, settings.n_queries)], delta)

    with Connections(settings, party.folder, GUARDIAN) as connections:
        listener = connections.listen(settings.listen)
        progress.listening(listener.port)
        with progress.step("0", f"Paillier key pair of {parameters.key_bits} bits"):
            key = SecretKey(parameters.key_bits)

        expected = dict.fromkeys(settings.servers, ANSWERING) | {settings.client: QUERYING}
        channels: dict[str, Channel] = {}
        with progress.step("0", "connect"):
            while expected.keys() - channels.keys():
                missing = {name: role for name, role in expected.items() if name not in channels}
                channel = connections.accept(listener, missing)
                channels[channel.peer] = channel
                with progress.step("0", "public key", channel=channel):
                    aggregation.guardian_publish_key(channel, key)
        client, servers = channels[settings.client], [channels[name] for name in settings.servers]
        with progress.step("0", "base oblivious transfers", channel=client):
            garbler = Garbler.open(client)
        connections.begin()
        with progress.step("0", "privacy ledger", channel=client):
            _charge(party, client, cost.result())

        for batch in settings.batches:
            shape = batch.stop - batch.start, parameters.classes
            if parameters.aggregation == "paillier":
                with progress.step("2", "sum of the masks, decrypted", channel=client):
                    mask_sums = aggregation.guardian_decrypt(client, key, parameters.packing, shape)
            else:
                with progress.step("2", "sum of the masks"):
                    mask_sums = aggregation.guardian_add(servers, shape, parameters.width)
            noisy_share = release.guardian_add_noise(mask_sums, parameters.noise_scale, parameters.width)
            with progress.step("3", "noisy argmax", channel=client):
                release.guardian_release(garbler, noisy_share, parameters.width)


def _charge(party: Party[GuardianSettings], client: Channel, cost: float) -> None:
    """Enter all answers of the run in the ledger, before any is possible; a run over budget ends here."""
    settings, delta = party.settings, float(party.settings.delta)
    ledger = Ledger(settings.ledger, partial(epsilon, delta=delta), settings.epsilon_budget)
    entry = settings.account, settings.parameters.sigma, settings.n_queries, settings.session
    total = guardian_charge(client, ledger, entry, cost)
    party.progress.note(f"{settings.account} has spent epsilon {total:.3g} at delta {delta:g}, this run included")


if __name__ == "__main__":
    sys.exit(run_party(GuardianSettings, privacy_guardian))
