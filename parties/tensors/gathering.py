"""How the parties of a computation come together: those of a run, or the members of a federation for one session.

In a run all parties start at once, and each connects as `links` says. In a federation one member opens a session, and
all others serve:

    the member that opens it                 each service, in the order that all members share
    connect, hello with the session  ----->  takes the session, if it has none
    <-----------------------------  turn     "not yet", any number of times, then "now", or a refusal
    all services have given a turn
    gather  ------------------------------>  connects to the other services
    <-----------------------------  there    once it is connected to all
    begin  ------------------------------->  once all are there
                         the program, at every party
    <-----------------------------  done     once it has its outputs

Whoever opens a session asks for turns in the same order as all others who do. So two sessions never wait for each
other. A service is connected to others only after each of them has taken the session, and only in that session.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import msgspec

from mpc.channels.frames import Channel
from mpc.channels.hello import digest_of
from mpc.channels.sockets import wait_for_any
from mpc.channels.tls import TlsChannel
from mpc.errors import TransportError
from parties.frame.connections import Connections
from parties.frame.errors import AbsentError, PartyError
from parties.frame.process import Party
from parties.tensors.links import awaited, dialled, role_of
from parties.tensors.records import SessionRecord
from parties.tensors.settings import TensorsSettings

_LOOK_S = 0.1  # between two looks at the door, and for each


class Turn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Says that a service takes part now, or not yet, and then another one follows. Or why it does not at all."""

    now: bool = True
    refused: str = ""


class Gather(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says that every service has given its turn, so that each may connect to the others."""


class There(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says that a service is connected to all others that it talks to."""


class Begin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says that all are there."""


class Done(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says that a service has come to the end of the program, with its outputs."""


class RefusedSessionError(PartyError):
    """A service does not take part. The sentence is the service's."""


@dataclass(frozen=True)
class Gathered:
    """The parties that have come.

    Attributes:
        channels: to every other party that this one talks to, by name.
        record: of this session at a member of a federation, or None in a run.
        opener: the channel of a service to the member that opened the session.
        services: the channels of that member to all services.
    """

    channels: Mapping[str, Channel]
    record: SessionRecord | None = None
    opener: Channel | None = None
    services: Sequence[Channel] = ()

    def finish(self) -> dict[str, str]:
        """Tell the member that opened the session that this party is done. That member waits for all of them.

        Returns:
            why a service was lost before it had its outputs, by its name. What this party has is not touched by that.
        """
        unfinished = {}
        if self.opener is not None:
            self.opener.send_message("session/done", Done())
        for service in self.services:
            try:
                service.recv_message("session/done", Done)
            except TransportError as error:
                unfinished[service.peer] = str(error.args[0])
        return unfinished


def gather(party: Party[TensorsSettings], connections: Connections) -> Gathered:
    """Return the channels of this party, once all others are there. The message deadline applies from then on."""
    if party.settings.place is not None:
        gathered = _serve(party, connections)
    elif party.settings.credentials is not None:
        gathered = _open(party, connections)
    else:
        gathered = _meet(party, connections)
    connections.begin()
    return gathered


def _meet(party: Party[TensorsSettings], connections: Connections) -> Gathered:
    """Connect to the other parties of a run."""
    settings, progress = party.settings, party.progress
    channels: dict[str, Channel] = {}
    listener = None
    if settings.listen is not None:
        listener = connections.listen(settings.listen)
        progress.listening(listener.port)
    with progress.step("0", "connect", awaits=[*(peer.name for peer in settings.dials), *settings.awaits]):
        for peer in settings.dials:
            channels[peer.name] = connections.dial(peer, role_of(settings, peer.name))
        while listener is not None and (missing := _missing(settings.awaits, channels)):
            channel = connections.accept(listener, missing)
            channels[channel.peer] = channel
    return Gathered(channels)


# -- a session of a federation: the member that opens it ---------------------------------------------------------------


def _open(party: Party[TensorsSettings], connections: Connections) -> Gathered:
    """Open a session with all other members."""
    settings, progress = party.settings, party.progress
    record = _record(party, settings.session)
    if record is not None and (refusal := record.refusal()):
        raise RefusedSessionError(refusal)
    services: list[TlsChannel] = []
    with progress.in_line(), progress.step("0", "wait for its turn", awaits=[peer.name for peer in settings.dials]):
        for peer in settings.dials:
            waiting = partial(progress.note, f"another session goes on first at {peer.name}")
            service = connections.dial_in_line(peer, role_of(settings, peer.name), waiting)
            service.deadline_s = settings.run_deadline_s  # others may have their turn before
            _await_turn(party, service)
            services.append(service)
    with progress.step("0", "connect", awaits=[peer.name for peer in settings.dials]):
        for service in services:
            service.deadline_s = settings.connect_deadline_s
            service.send_message("session/gather", Gather())
        for service in services:
            service.recv_message("session/there", There)
        for service in services:
            service.send_message("session/begin", Begin())
    linked = {*dialled(settings, settings.name), *awaited(settings, settings.name)}
    channels = {service.peer: service for service in services if service.peer in linked}
    return Gathered(channels, record, services=services)


def _await_turn(party: Party[TensorsSettings], service: TlsChannel) -> None:
    """Wait until a service has its turn for this session. Raises `RefusedSessionError` where it takes no part."""
    while not (turn := service.recv_message("session/turn", Turn)).now:
        party.progress.note(f"another session goes on first at {service.peer}")
    if turn.refused:
        raise RefusedSessionError(f"{service.peer} takes no part: {turn.refused}")


# -- a session of a federation: a service ------------------------------------------------------------------------------


def _serve(party: Party[TensorsSettings], connections: Connections) -> Gathered:
    """Take part in the session that a member brings."""
    settings, progress = party.settings, party.progress
    if settings.listen is None:
        raise ValueError("expected an address of a service, found none")
    listener = connections.listen(settings.listen)
    progress.listening(listener.port)
    opener, session = connections.admit(listener, {name: str(role) for name, role in settings.openers.items()})
    progress.admitted(opener.peer, session)
    connections.await_turn(partial(opener.send_message, "session/turn", Turn(now=False)), listener, opener)
    record = _record(party, session)
    refusal = "" if record is None else record.refusal()
    opener.send_message("session/turn", Turn(refused=refusal))
    if refusal:
        raise RefusedSessionError(refusal)
    channels: dict[str, Channel] = {}
    dials = [peer for peer in settings.dials if peer.name != opener.peer]
    awaits = {name: role for name, role in settings.awaits.items() if name != opener.peer}
    with progress.step("0", "wait for the turns of the others", peer=opener.peer):
        expires = time.monotonic() + settings.run_deadline_s
        while wait_for_any([opener], _LOOK_S) is None and time.monotonic() < expires:
            with suppress(AbsentError):  # others may be told to gather before, and whoever opens another session waits
                channel = connections.accept(listener, _missing(awaits, channels), _LOOK_S, beside=opener)
                channels[channel.peer] = channel
        opener.recv_message("session/gather", Gather)
    with progress.step("0", "connect", awaits=[*(peer.name for peer in dials), *awaits]):
        for peer in dials:
            channels[peer.name] = connections.dial_beside(peer, role_of(settings, peer.name), opener)
        while missing := _missing(awaits, channels):
            channel = connections.accept(listener, missing, beside=opener)
            channels[channel.peer] = channel
        connections.close_door(listener)
        opener.send_message("session/there", There())
        opener.recv_message("session/begin", Begin)
    if opener.peer in {*dialled(settings, settings.name), *awaited(settings, settings.name)}:
        channels[opener.peer] = opener
    return Gathered(channels, record, opener)


# -- what both share ---------------------------------------------------------------------------------------------------


def _record(party: Party[TensorsSettings], session: str) -> SessionRecord | None:
    """Return the record of a session at this member."""
    settings = party.settings
    if settings.record is None:
        return None
    computation = digest_of(settings.counted())
    program = settings.program.name, settings.program_digest
    return SessionRecord(settings.record, session, computation, program, settings.sessions, party.progress.note)


def _missing(awaits: Mapping[str, str], channels: Mapping[str, Channel]) -> dict[str, str]:
    return {name: str(role) for name, role in awaits.items() if name not in channels}
