"""Who votes in a session of a querying party, how it reaches them, and what is said of those who are left out."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mpc.capc.quorum import missing_words, querying_receive_voters
from mpc.channels.attempts import Attempt
from mpc.channels.tls import TlsChannel
from mpc.errors import PeerError, QuorumError, TransportError
from parties.capc.settings import ANSWERING, QueryingSettings
from parties.frame.connections import Connections
from parties.frame.process import Party
from parties.frame.settings import Peer


@dataclass(frozen=True)
class Turnout:
    """How many of the parties voted on a batch, and who did not and why."""

    voters: int
    left_out: Mapping[str, str]


def voted(turnouts: Sequence[Turnout]) -> dict[str, Any]:
    """Return what a result says of who voted in its run."""
    if not turnouts:
        return {}
    left_out: dict[str, str] = {}
    for turnout in turnouts:
        left_out |= turnout.left_out
    return {"fewest_voters": min(turnout.voters for turnout in turnouts), "left_out": left_out}


def listed(left_out: Mapping[str, str]) -> str:
    """Return the parties that are left out, each with the reason, for a sentence."""
    return ", ".join(f"{name} ({reason})" for name, reason in left_out.items())


def reach_voters(
    party: Party[QueryingSettings], connections: Connections, guardian: TlsChannel, losses: Mapping[str, str]
) -> tuple[list[TlsChannel], dict[str, str]]:
    """Connect to the answering parties, and return channels to those who vote, and why others do not.

    All of them vote, unless there is a quorum. Then the guardian says who votes.

    Args:
        losses: how parties were lost in earlier sessions, which are reasons, too.

    Raises:
        QuorumError: fewer than must vote. It names those that are missing, and why.
    """
    settings, progress = party.settings, party.progress
    names = [peer.name for peer in settings.servers]
    if settings.quorum:
        return _reach_some(party, connections, guardian, losses)
    with progress.step("0", "connect", awaits=names):
        channels = connections.with_each(settings.servers, lambda peer: connections.dial(peer, ANSWERING))
    with progress.step("0", "who votes", channel=guardian):
        guardian.await_message(beside=channels)  # one that dies now would keep the guardian waiting for it
        querying_receive_voters(guardian, names, settings.min_parties)
    return channels, {}


def _reach_some(
    party: Party[QueryingSettings], connections: Connections, guardian: TlsChannel, losses: Mapping[str, str]
) -> tuple[list[TlsChannel], dict[str, str]]:
    """Dial all answering parties at once until the guardian says who votes, and give up all others then."""
    settings = party.settings
    names = [peer.name for peer in settings.servers]
    attempts = {name: Attempt() for name in names}
    hopeless: dict[str, str] = {}  # those who refuse, whom no other attempt would reach
    lock = threading.Lock()

    def reach(peer: Peer) -> TlsChannel | str:
        """Return a channel to one party, or why there is none."""
        try:
            return connections.dial(peer, ANSWERING, attempts[peer.name])
        except PeerError as error:
            reason = str(error.args[0])
        if not attempts[peer.name].given_up:
            with lock:
                hopeless[peer.name] = reason
                if len(names) - len(hopeless) < settings.min_parties:
                    guardian.interrupt()  # no wait for its answer would help
        return reason

    voters: tuple[str, ...] = ()
    failure: PeerError | None = None
    with (
        party.progress.step("0", "connect", awaits=[guardian.peer, *names]),
        connections.meanwhile(settings.servers, reach) as reaching,
        guardian.in_step("0"),
    ):
        try:
            voters = querying_receive_voters(guardian, names, settings.min_parties)
        except PeerError as error:
            failure = error
        finally:
            for name in names:
                if name not in voters:
                    attempts[name].give_up()
        reached = dict(zip(names, reaching.results(), strict=True))
    left_out = {
        name: losses.get(name) or (found if isinstance(found, str) else "it was not at the guardian in time")
        for name, found in reached.items()
        if name not in voters
    }
    if failure is not None and len(names) - len(hopeless) < settings.min_parties:
        failure = QuorumError("", there=tuple(name for name, found in reached.items() if not isinstance(found, str)))
    if isinstance(failure, QuorumError):
        raise QuorumError(missing_words(settings.min_parties, names, failure.there, left_out), step="0")
    if failure is not None:
        raise failure
    connections.hang_up(found for name, found in reached.items() if name in left_out and not isinstance(found, str))
    channels = []
    for name in voters:
        found = reached[name]
        if isinstance(found, str):
            raise TransportError(found, peer=name, step="0")
        channels.append(found)
    return channels, left_out
