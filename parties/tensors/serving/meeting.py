"""How the parties that hold shares, and the provider, meet for a session of the service.

The leader waits for all followers and the provider. Then it names the session, and lanes are connected between all of
them. When any of them is lost, all connections of the session are closed, and its parties meet again. Names of sessions
are fresh, so that no connection of an earlier one is taken for one of this.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from threading import Timer

from mpc.channels.ahead import AheadChannel
from mpc.channels.attempts import Attempt
from mpc.channels.frames import Channel
from mpc.channels.tls import TlsChannel
from mpc.errors import TransportError
from mpc.tensors.network import Network
from parties.frame.connections import Connections
from parties.frame.errors import AbsentError
from parties.frame.settings import Peer
from parties.tensors.serving.messages import Begin, Purpose, Ready
from parties.tensors.serving.settings import COMPUTING, ServingSettings

_LOOK_S = 0.2  # between two looks whether a party that has come is still there
_TWO_MODELS = (
    "holds a share of another model than the leader, and which is right is not known; end the service at all "
    "hosts, remove the file of the share at each, and give the model again"
)
AHEAD_BYTES = 1 << 30  # that one lane's correlations may take in memory

Place = tuple[str, str, str, int]
"""Whose a connection is, its kind, session and lane."""


class Mailbox:
    """Connections that have come and are not fetched yet. The latest of a kind replaces an earlier one."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._there: dict[Place, TlsChannel] = {}
        self._changed = threading.Condition()

    def put(self, channel: TlsChannel, purpose: Purpose) -> None:
        """Keep a connection for this purpose."""
        place = (channel.peer, purpose.kind, purpose.session, purpose.lane)
        with self._changed:
            earlier = self._there.get(place)
            self._there[place] = channel
            self._changed.notify_all()
        if earlier is not None:
            self._connections.hang_up([earlier])

    def fetch(self, places: Sequence[Place], expires: float, beside: Iterable[TlsChannel] = ()) -> list[TlsChannel]:
        """Return the connections of these places, once all are there.

        Raises:
            AbsentError: not all were there before the monotonic instant. They may wait for one that is lost.
            TransportError: the peer of a connection in `beside` has left meanwhile.
        """
        watched = list(beside)
        while True:
            with self._changed:
                for place in [place for place, channel in self._there.items() if channel.left]:
                    self._connections.hang_up([self._there.pop(place)])
                missing = sorted({place[0] for place in places if place not in self._there})
                if not missing:
                    return [self._there.pop(place) for place in places]
                if time.monotonic() < expires:
                    self._changed.wait(_LOOK_S)
            if gone := next((channel for channel in watched if channel.left), None):
                raise TransportError("the peer closed the connection", peer=gone.peer, step="meet")
            if time.monotonic() >= expires:
                raise AbsentError(
                    f"no connection from {', '.join(missing)} in time", awaits=tuple(missing), step="meet"
                )

    def clear(self) -> None:
        """Hang up on all that came for a session that is over."""
        with self._changed:
            old = [place for place in self._there if place[1] == "lane"]
            channels = [self._there.pop(place) for place in old]
        self._connections.hang_up(channels)


@dataclass
class Meeting:
    """The connections of one party in one session. Any thread may end it by :meth:`fail`.

    Attributes:
        session: its fresh name.
        lanes: for each lane this party's channels.
        orders: of the leader to each follower, or of a follower from the leader.
        notices: the other way round.
        credits: between the leader and the provider.
        ahead: channels from the provider that take correlations ahead.
    """

    session: str = ""
    lanes: list[Network] = field(default_factory=list)
    orders: list[TlsChannel] = field(default_factory=list)
    notices: list[TlsChannel] = field(default_factory=list)
    credits: list[TlsChannel] = field(default_factory=list)
    ahead: list[AheadChannel] = field(default_factory=list)
    plain: list[TlsChannel] = field(default_factory=list)
    failure: BaseException | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, error: BaseException) -> None:
        """Keep the first error, and make every thread of the session fail that waits for a peer."""
        with self._lock:
            self.failure = self.failure or error
        for channel in self.plain:  # also those that are taken ahead
            channel.interrupt()

    def traffic(self) -> tuple[int, int]:
        """Return the bytes that were sent and received in it."""
        channels: list[Channel] = [*self.plain, *self.ahead]
        steps = [step for channel in channels for step in channel.traffic.values()]
        return sum(step.sent for step in steps), sum(step.received for step in steps)

    def close(self, connections: Connections) -> None:
        """Close all of it. No thread may use it any more."""
        for channel in self.ahead:
            channel.close()
        connections.hang_up(self.plain)


def dial(connections: Connections, peer: Peer, expires: float) -> TlsChannel:
    """Connect to a computing party before the monotonic instant."""
    attempt = Attempt()
    timer = Timer(max(0.0, expires - time.monotonic()), attempt.give_up)
    timer.daemon = True
    timer.start()
    try:
        return connections.dial(peer, COMPUTING, attempt)
    finally:
        timer.cancel()


class Meeter:
    """Meets the others of the service, for one party."""

    def __init__(self, settings: ServingSettings, connections: Connections, mailbox: Mailbox | None = None) -> None:
        self._settings = settings
        self._connections = connections
        self._mailbox = mailbox
        self._peers = {peer.name: peer for peer in settings.dials}
        self._followers = settings.computing[1:]

    def lead(self, model: str, expires: float) -> Meeting:
        """Return the leader's next session. Raises TransportError where a party does not come or leaves."""
        meeting, mailbox = Meeting(), self._box()
        try:
            places: list[Place] = [(name, kind, "", -1) for kind in ("notices", "orders") for name in self._followers]
            places += [(name, "credits", "", -1) for name in self._provider]
            meeting.plain += mailbox.fetch(places, expires)
            count = len(self._followers)
            meeting.notices, meeting.orders = meeting.plain[:count], meeting.plain[count : 2 * count]
            meeting.credits = meeting.plain[2 * count :]
            for channel in meeting.notices:
                found = channel.recv_message("ready", Ready).model
                if found != model:
                    raise TransportError(f"{channel.peer} {_TWO_MODELS}", step="meet")
            meeting.session = secrets.token_hex(16)
            for channel in (*meeting.orders, *meeting.credits):
                channel.send_message("begin", Begin(meeting.session))
            self._connect_lanes(meeting, expires)
            return meeting
        except BaseException:
            meeting.close(self._connections)
            raise

    def follow(self, model: str, expires: float) -> Meeting:
        """Return a follower's next session, as :meth:`lead`."""
        meeting = Meeting()
        try:
            notices, orders = (
                self._dial(meeting, self._settings.leader, kind, expires) for kind in ("notices", "orders")
            )
            meeting.notices, meeting.orders = [notices], [orders]
            notices.send_message("ready", Ready(model))
            self._await_begin(meeting, orders, expires)
            return meeting
        except BaseException:
            meeting.close(self._connections)
            raise

    def provide(self, expires: float) -> Meeting:
        """Return the provider's next session, as :meth:`lead`."""
        meeting = Meeting()
        try:
            meeting.credits = [self._dial(meeting, self._settings.leader, "credits", expires)]
            self._await_begin(meeting, meeting.credits[0], expires)
            return meeting
        except BaseException:
            meeting.close(self._connections)
            raise

    @property
    def _provider(self) -> tuple[str, ...]:
        return (self._settings.provider,) if self._settings.provider else ()

    def _box(self) -> Mailbox:
        if self._mailbox is None:
            raise RuntimeError("expected a party that listens, found one that only dials")
        return self._mailbox

    def _dial(self, meeting: Meeting, name: str, kind: str, expires: float, lane: int = -1) -> TlsChannel:
        channel = dial(self._connections, self._peers[name], expires)
        meeting.plain.append(channel)
        channel.deadline_s = self._settings.message_deadline_s
        channel.send_message("purpose", Purpose(kind, meeting.session, lane))  # type: ignore[arg-type]  # one of them
        return channel

    def _await_begin(self, meeting: Meeting, leader: TlsChannel, expires: float) -> None:
        leader.deadline_s = max(0.1, expires - time.monotonic())
        meeting.session = leader.recv_message("begin", Begin).session
        leader.deadline_s = self._settings.message_deadline_s
        self._connect_lanes(meeting, expires)

    def _connect_lanes(self, meeting: Meeting, expires: float) -> None:
        """Connect this party's lanes. Between two computing parties the later one dials, and the provider always."""
        settings = self._settings
        earlier = [name for name in settings.computing if name in self._peers]
        later = settings.computing[settings.computing.index(settings.name) + 1 :] if settings.listen else ()
        come = (*later, *self._provider) if settings.listen else ()
        watched = (*meeting.orders, *meeting.credits)
        for lane in range(len(settings.lanes)):
            channels: dict[str, Channel] = {}
            for name in earlier:
                channel = self._dial(meeting, name, "lane", expires, lane)
                if settings.name in self._provider:  # which waits while the others have all that they may keep
                    channel.deadline_s = settings.run_deadline_s
                channels[name] = channel
            if come:
                found = self._box().fetch([(name, "lane", meeting.session, lane) for name in come], expires, watched)
                meeting.plain += found
                for channel in found:
                    channels[channel.peer] = channel
                    if channel.peer in self._provider:
                        ahead = AheadChannel(channel, AHEAD_BYTES)
                        meeting.ahead.append(ahead)
                        channels[channel.peer] = ahead
            meeting.lanes.append(Network(settings.name, channels))
