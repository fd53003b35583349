"""The privacy guardian (PG) of CaPC adds the noise, and helps the querying party to the label without seeing it.

    QP                               PG                                         AP 0 .. K-1
                                 0   Paillier key pair
    connect, hello  ------------->   accept everybody  <----------------------  connect, hello
    <-----------------------------   public key  ----------------------------->     if it is used
    <-----------------------------   your turn                                      every QP, one after the other
    <-----------------------------   who votes; how many  -------------------->     every session
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

As a service it waits for one QP, which brings the session, gives it its turn, and then waits for the APs. With a quorum
it does not wait for all of them for ever. A session that breaks in a run is opened again, with those who are left.

    python -m parties.capc.privacy_guardian --settings PATH
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from fractions import Fraction
from functools import partial

from mpc.capc import aggregation, batches, release
from mpc.capc.budget import GuardiansAccount
from mpc.capc.quorum import guardian_name_voters, guardian_number_voters, missing_words, with_voters
from mpc.capc.turns import guardian_give_turn
from mpc.channels.doors import Listener
from mpc.channels.frames import Channel
from mpc.channels.tls import TlsChannel
from mpc.dp.accountant import epsilon
from mpc.errors import QuorumError, TransportError
from mpc.garbled.session import Garbler
from mpc.inference import Dealer, dealer_give_seeds
from mpc.paillier.scheme import SecretKey
from mpc.ring import Ring
from parties.capc.openings import PartyOpenings
from parties.capc.settings import ANSWERING, GUARDIAN, QUERYING, AskingTurn, GuardianSettings
from parties.frame.connections import Connections
from parties.frame.errors import AbsentError
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

        if settings.place is not None:
            _serve_one(party, connections, listener, key)
        elif settings.quorum:
            _serve_whoever_votes(party, connections, listener, key)
        else:
            _serve_all(party, connections, listener, key)


def _serve_all(
    party: Party[GuardianSettings], connections: Connections, listener: Listener, key: SecretKey | None
) -> None:
    """Serve every querying party of a run in its turn, after all parties have come."""
    settings = party.settings
    channels: dict[str, TlsChannel] = {}
    dealing = _meet(party, connections, listener, settings.turns, channels, key)
    connections.begin()
    for turn in settings.turns:
        with party.progress.step("0", "turn", channel=channels[turn.client]):
            guardian_give_turn(channels[turn.client])
        _session(party, connections, turn, channels, dealing, key)


def _serve_whoever_votes(
    party: Party[GuardianSettings], connections: Connections, listener: Listener, key: SecretKey | None
) -> None:
    """Serve every querying party of a run in its turn, with those who vote. A session that breaks is opened again."""
    progress, clients = party.progress, dict[str, TlsChannel]()
    _await_clients(party, connections, listener, [turn.client for turn in party.settings.turns], clients, key)
    for turn in party.settings.turns:
        done = False
        while not done:
            _await_clients(party, connections, listener, [turn.client], clients, key)
            there = {turn.client: clients.pop(turn.client)}
            try:
                with progress.step("0", "turn", channel=there[turn.client]):
                    guardian_give_turn(there[turn.client])
                voting = _gather(party, connections, listener, turn, there, key)
                connections.begin()
                _session(party, connections, voting, there, {}, key)
                done = True
            except QuorumError:
                raise
            except TransportError as error:
                connections.say_lost(error, there.values())
                progress.begin_again(f"a session with {turn.client} broke, and may be opened again ({error})")
            finally:
                connections.hang_up(there.values())


def _await_clients(
    party: Party[GuardianSettings],
    connections: Connections,
    listener: Listener,
    names: Sequence[str],
    clients: dict[str, TlsChannel],
    key: SecretKey | None,
) -> None:
    """Wait for these querying parties of a run, and add them to `clients`."""
    while missing := _without(dict.fromkeys(names, QUERYING), clients):
        with party.progress.step("0", "connect", awaits=list(missing)):
            client = connections.accept(listener, missing)
        _publish(party, client, key)
        clients[client.peer] = client


def _serve_one(
    party: Party[GuardianSettings], connections: Connections, listener: Listener, key: SecretKey | None
) -> None:
    """Serve the session that a querying party brings, as a process of a service."""
    client, session = _admit(party, connections, listener, key)
    party = party.in_session(session)
    turn = next(turn for turn in party.settings.turns if turn.client == client.peer)
    channels, dealing = {client.peer: client}, dict[str, TlsChannel]()
    if party.settings.quorum:
        turn = _gather(party, connections, listener, turn, channels, key)
    else:
        dealing = _meet(party, connections, listener, [turn], channels, key)
    connections.close_door(listener)
    connections.begin()
    _session(party, connections, turn, channels, dealing, key)


def _session(
    party: Party[GuardianSettings],
    connections: Connections,
    turn: AskingTurn,
    channels: Mapping[str, TlsChannel],
    dealing: Mapping[str, TlsChannel],
    key: SecretKey | None,
) -> None:
    """Take part in one session with the querying party of this turn and those who vote, its `servers`."""
    client, progress = channels[turn.client], party.progress
    for channel in dealing.values():
        channel.deadline_s = party.settings.run_deadline_s  # a party that has all it needs may be silent for long
    with progress.step("0", "who votes", channel=client):
        guardian_name_voters(client, turn.servers)
    for name in turn.servers:
        with progress.step("0", "how many vote", channel=channels[name]):
            guardian_number_voters(channels[name], len(turn.servers))
    with progress.step("0", "base oblivious transfers", channel=client):
        garbler = Garbler.open(client, tables=party.settings.parameters.garbling)
    dealers: list[tuple[TlsChannel, bytes]] = []
    if dealing:
        with client.in_step("0"):
            seeds = dealer_give_seeds(client, len(turn.servers))
        dealers = [(dealing[name], seed) for name, seed in zip(turn.servers, seeds, strict=True)]
    # Without a dealer there is no thread, and an error leaves the channels of those alone who wait for their turn.
    with connections.meanwhile(dealers, partial(_deal, party)) if dealers else nullcontext():
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
        connections.await_turn(partial(guardian_give_turn, client, now=False), listener, client)
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


def _gather(
    party: Party[GuardianSettings],
    connections: Connections,
    listener: Listener,
    turn: AskingTurn,
    channels: dict[str, TlsChannel],
    key: SecretKey | None,
) -> AskingTurn:
    """Wait for those who vote in this session, add them to `channels`, and return the turn with them alone.

    Once enough are there, others are waited for only so long after the last one that came. The wait ends as well when
    the querying party leaves.

    Raises:
        QuorumError: fewer than must vote came before the connect deadline. The querying party is told who came.
    """
    settings, client = party.settings, channels[turn.client]
    expires = time.monotonic() + settings.connect_deadline_s
    until = expires
    with party.progress.step("0", "connect", awaits=list(turn.servers)):
        while missing := _without(dict.fromkeys(turn.servers, ANSWERING), channels):
            try:
                channel = connections.accept(listener, missing, max(0.0, until - time.monotonic()), beside=client)
            except AbsentError:
                break
            try:
                _publish(party, channel, key)
            except TransportError as error:  # it was lost at once, and may come again
                party.progress.note(f"{channel.peer} came and was lost ({error})")
                connections.hang_up([channel])
                continue
            channels[channel.peer] = channel
            if len(turn.servers) - len(missing) + 1 >= settings.min_parties:
                until = min(expires, time.monotonic() + settings.quorum_wait_s)
    voters = tuple(name for name in turn.servers if name in channels)
    if len(voters) < settings.min_parties:
        with client.in_step("0"):
            guardian_name_voters(client, voters)
        raise QuorumError(missing_words(settings.min_parties, turn.servers, voters), step="0")
    return turn.model_copy(update={"servers": voters})


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
    """Serve one querying party in its turn, for every batch that its budget allows. Those who vote are its `servers`.

    A batch whose last step is repeated has the voters of the time when it was opened.
    """
    progress, parameters = party.progress, with_voters(party.settings.parameters, len(turn.servers))
    client, servers = channels[turn.client], [channels[name] for name in turn.servers]
    openings = PartyOpenings(party.settings.openings, party.settings.session) if party.settings.rejoin_s else None
    account = _account(party, turn, client, openings)
    scale = Fraction(0) if parameters.noise_parts else parameters.noise_scale
    while granted := account.charge():
        count, shape = granted.queries, (granted.queries, parameters.classes)
        if openings and granted.repeat:
            progress.note(f"the last step of {_queries(count)} is repeated for {turn.account}, at no charge")
            kept = openings.open_again(turn.account, granted.batch)
            then = with_voters(party.settings.parameters, kept.voters or party.settings.parameters.parties)
            with progress.step("3", parameters.release.title, channel=client):
                batches.guardian_await_ready(client)
                then.release.guardian(garbler, kept.share, kept.share)
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
                kept_share = noisy_share if parameters.release.repeatable else None
                openings.open(turn.account, granted.batch, kept_share, len(turn.servers))
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
        query_costs=settings.price,
        max_queries=settings.batch_size,
        epsilon_of=accountant,
        budget=settings.epsilon_budget,
    )


if __name__ == "__main__":
    sys.exit(run_party(GuardianSettings, privacy_guardian))
