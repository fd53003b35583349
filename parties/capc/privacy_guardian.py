"""The privacy guardian (PG) of CaPC adds the noise, and helps the querying party to the label without seeing it.

    QP                               PG                                         AP 0 .. K-1
                                 0   Paillier key pair
    connect, hello  ------------->   accept everybody  <----------------------  connect, hello
    <-----------------------------   public key  ----------------------------->     if it is used
    <-----------------------------   your turn                                      every QP, one after the other
    base OTs  <------------------>   base OTs
    <-----------------------------   seeds  ---------------------------------->     with a dealer: while all else
                                     A r - u  <------------------------------->     0'  goes on, to whichever AP asks
    how many queries?  <--------->   ledger charged, as far as the budget goes   0, every batch
    product of Enc(m)  ---------->   sum of m                 (or  <--- m ---)  2
                                     + discrete Gaussian noise, unless the APs added it
    ready  --------------------->    notes that the label is possible, if interrupted batches are asked again
    label  <---------------------    garbled noisy argmax                       3

It learns how many queries are answered, and the sum of the APs' masks, which is uniform noise. It does not learn any
query, logit, vote, histogram or label. It is not told how many queries
got no label. As a dealer it also learns the shape of each AP's network, and how many queries the AP prepares for.
All parties are trusted to follow the protocol (semi-honest), and PG to collude with nobody.

As a service it waits for one QP, which brings the session, gives it its turn, and then waits for the APs.

    python -m parties.capc.privacy_guardian --settings PATH
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import partial

from mpc.capc import aggregation, batches, release
from mpc.capc.budget import GuardiansAccount
from mpc.capc.turns import guardian_give_turn
from mpc.channels.doors import Listener
from mpc.channels.frames import Channel
from mpc.channels.tls import TlsChannel
from mpc.dp.accountant import epsilon
from mpc.garbled.session import Garbler
from mpc.inference import Dealer, dealer_give_seeds
from mpc.paillier.scheme import SecretKey
from mpc.ring import Ring
from parties.capc.openings import PartyOpenings
from parties.capc.settings import ANSWERING, GUARDIAN, QUERYING, AskingTurn, GuardianSettings
from parties.frame.connections import Connections
from parties.frame.process import Party, run_party
from parties.ledger import Ledger


def privacy_guardian(party: Party[GuardianSettings]) -> None:
    """Play the privacy guardian."""
    settings, progress = party.settings, party.progress
    parameters = settings.parameters

    with Connections(settings, party.folder, GUARDIAN, settings.agreed(), progress.note) as connections:
        listener = connections.listen(settings.listen)
        progress.listening(listener.port)
        key = None
        if parameters.aggregation == "paillier":
            with progress.step("0", f"Paillier key pair of {parameters.key_bits} bits"):
                key = SecretKey(parameters.key_bits)

        turns, channels = settings.turns, dict[str, TlsChannel]()
        if settings.place is not None:
            asking, session = _admit(party, connections, listener, key)
            party = party.in_session(session)
            turns = tuple(turn for turn in turns if turn.client == asking.peer)
            channels[asking.peer] = asking
        dealing = _meet(party, connections, listener, turns, channels, key)
        if settings.place is not None:
            connections.close_door(listener)
        connections.begin()
        for channel in dealing.values():
            channel.deadline_s = settings.run_deadline_s  # a party that has all it needs may be silent for long
        for turn in turns:
            client = channels[turn.client]
            with progress.step("0", "base oblivious transfers", channel=client):
                if settings.place is None:
                    guardian_give_turn(client)
                garbler = Garbler.open(client, tables=parameters.garbling)
            dealers: list[tuple[TlsChannel, bytes]] = []
            if dealing:
                with client.in_step("0"):
                    seeds = dealer_give_seeds(client, len(turn.servers))
                dealers = [(dealing[name], seed) for name, seed in zip(turn.servers, seeds, strict=True)]
            with connections.meanwhile(dealers, partial(_deal, party)):
                _serve(party, turn, channels, garbler, key)


def _admit(
    party: Party[GuardianSettings], connections: Connections, listener: Listener, key: SecretKey | None
) -> tuple[TlsChannel, str]:
    """Wait for a querying party that brings a session, and give it its turn when the session before it is over."""
    progress = party.progress
    client, session = connections.admit(listener, {turn.client: QUERYING for turn in party.settings.turns})
    progress.admitted(client.peer, session)
    _publish(party, client, key)
    with client.in_step("0"):
        connections.await_turn(partial(guardian_give_turn, client, now=False))
        guardian_give_turn(client)
    return client, session


def _meet(
    party: Party[GuardianSettings],
    connections: Connections,
    listener: Listener,
    turns: Sequence[AskingTurn],
    channels: dict[str, TlsChannel],
    key: SecretKey | None,
) -> dict[str, TlsChannel]:
    """Wait for all parties of these turns that are not in `channels` yet, and add them.

    Return a dealer's second connections to the answering parties. A service's wait ends when its querying party leaves.
    """
    answering = {name: ANSWERING for turn in turns for name in turn.servers}
    expected = answering | {turn.client: QUERYING for turn in turns}
    dealt_to = answering if party.settings.parameters.preprocessing == "dealer" else {}
    dealing: dict[str, TlsChannel] = {}
    beside = next(iter(channels.values()), None)
    with party.progress.step("0", "connect", awaits=list(expected)):
        while missing := _without(expected, channels) | _without(dealt_to, dealing):
            channel = connections.accept(listener, missing, beside=beside)
            if channel.peer in channels:
                dealing[channel.peer] = channel
                continue
            channels[channel.peer] = channel
            _publish(party, channel, key)
    return dealing


def _publish(party: Party[GuardianSettings], channel: Channel, key: SecretKey | None) -> None:
    """Send a party the public key, if there is one."""
    if key:
        with party.progress.step("0", "public key", channel=channel):
            aggregation.guardian_publish_key(channel, key)


def _without(expected: dict[str, str], there: Mapping[str, Channel]) -> dict[str, str]:
    """Return those of the expected parties, with their roles, that are not connected yet."""
    return {name: role for name, role in expected.items() if name not in there}


def _deal(party: Party[GuardianSettings], to: tuple[TlsChannel, bytes]) -> None:
    """Deal correlations to one answering party, for the querying party with this seed, until it needs no more."""
    channel, seed = to
    try:
        with channel.in_step("0'"):
            dealer = Dealer.open(channel, seed)
            while batch := dealer.next():
                with party.progress.step("0'", "correlations, dealt", channel=channel):
                    dealer.deal(batch)
    except BaseException:
        channel.interrupt()  # the party would wait for its deadline
        raise


def _serve(
    party: Party[GuardianSettings],
    turn: AskingTurn,
    channels: Mapping[str, Channel],
    garbler: Garbler,
    key: SecretKey | None,
) -> None:
    """Serve one querying party in its turn, for every batch that its budget allows."""
    progress, parameters = party.progress, party.settings.parameters
    client, servers = channels[turn.client], [channels[name] for name in turn.servers]
    openings = PartyOpenings(party.settings.openings, party.settings.session) if party.settings.rejoin_s else None
    account = _account(party, turn, client, openings)
    scale = Fraction(0) if parameters.noise_parts else parameters.noise_scale
    while granted := account.charge():
        count, shape = granted.queries, (granted.queries, parameters.classes)
        if openings and granted.repeat:
            progress.note(f"the last step of {_queries(count)} is repeated for {turn.account}, at no charge")
            kept = openings.open_again(turn.account, granted.batch)
            with progress.step("3", parameters.release.title, channel=client):
                batches.guardian_await_ready(client)
                parameters.release.guardian(garbler, kept, kept)
            continue
        progress.note(f"{turn.account} is charged for {_queries(count)}")
        noise = release.draw_noise(shape, scale, parameters.width)  # while the APs work
        if key:
            with progress.step("2", "sum of the masks, decrypted", channel=client):
                mask_sums = aggregation.guardian_decrypt(client, key, parameters.packing, shape)
        else:
            with progress.step("2", "sum of the masks", awaits=list(turn.servers)):
                mask_sums = aggregation.guardian_add(servers, shape, parameters.width)
        noisy_share = Ring(parameters.width).add(mask_sums, noise)
        with progress.step("3", parameters.release.title, channel=client):
            batches.guardian_await_ready(client)
            if openings:  # on the disk before any label is possible
                openings.open(turn.account, granted.batch, noisy_share if parameters.release.repeatable else None)
            parameters.release.guardian(garbler, mask_sums, noisy_share)


def _queries(count: int) -> str:
    return f"{count} {'query' if count == 1 else 'queries'}"


def _account(
    party: Party[GuardianSettings], turn: AskingTurn, client: Channel, openings: PartyOpenings | None
) -> GuardiansAccount:
    """Return the querying party's account in the ledger, which is charged before every batch."""
    settings = party.settings
    accountant = partial(epsilon, delta=float(settings.delta))
    return GuardiansAccount(
        channel=client,
        ledger=Ledger(settings.ledger, accountant, settings.epsilon_budget, {turn.account: turn.older_account}),
        openings=openings,
        account=turn.account,
        session=settings.session,
        query_costs=settings.parameters.costs,
        max_queries=settings.batch_size,
        epsilon_of=accountant,
        budget=settings.epsilon_budget,
    )


if __name__ == "__main__":
    sys.exit(run_party(GuardianSettings, privacy_guardian))
