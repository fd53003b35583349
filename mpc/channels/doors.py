"""How two parties meet: one dials and one listens, and both say a hello before either counts as there.

    dialling side (connect)                          listening side (Listener)
    TCP, again until the other side listens  ----->  a thread for each that comes
    TLS 1.3 handshake  <-------------------------->
    checks the name that it dialled                  checks that the name is expected
    hello  --------------------------------------->
           <---------------------------------------  hello

Anybody may come to the listening side's door. So whoever comes has ``GREETING_S`` for handshake and hello together, and
does not keep others from coming in meanwhile. At most ``AT_THE_DOOR`` connections stand there. For one more the oldest
is dropped, first of all one without a certificate. The dialling side tries again when it was dropped without a reason,
so a crowd costs time and no run.

A side that refuses the other says why, by an alert of TLS or in its hello. It then waits a moment for the other side to
close, because data that nobody reads would make the operating system throw the reason away.

The listening side of a service has no session before somebody brings one. See :class:`~mpc.channels.hello.Admission`.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType

import msgspec

from mpc.channels.attempts import Attempt
from mpc.channels.credentials import Credentials, peer_name
from mpc.channels.hello import Admission, Hello, exchange_hello
from mpc.channels.tls import TlsChannel, handshake, wait_for
from mpc.errors import BusyError, DeadlineError, PeerError, ProtocolError, RefusedError, TransportError

GREETING_S = 3.0  # for handshake and hello of one that comes
AT_THE_DOOR = 64  # connections at once that have not said hello yet

_ATTEMPT_S = 3.0  # for one attempt to reach a port, whose queue may be full
_FAREWELL_S = 1.0  # that a refused listening side has to close
_FAREWELL_BYTES = 1 << 16  # that a refused peer may still send
_NOTED = 20  # different reasons of refusals that are noted
_REASONS = 5  # that a sentence lists
_POLL_S = 3600.0  # the longest wait in one call
_BESIDE_S = 1.0  # between two looks whether a peer has left
_JOIN_S = 1.0
_NO_LINGERING = struct.pack("@ii", 1, 0)


def connect(
    address: tuple[str, int],
    peer: str,
    credentials: Credentials,
    own: Hello,
    role: str,
    *,
    agreed: Mapping[str, str] | None = None,
    deadline_s: float,
    connect_within_s: float,
    attempt: Attempt | None = None,
) -> TlsChannel:
    """Return a channel to ``peer``, which has said hello in this role.

    It may begin to listen until ``connect_within_s`` has passed, or until another thread gives the ``attempt`` up.
    ``deadline_s`` is the channel's, for one message. ``own`` and ``agreed`` are as for
    :func:`~mpc.channels.hello.exchange_hello`.

    Raises:
        DeadlineError: nobody listened in time or before the attempt was given up, or the listening side said no hello.
            Its cause is a BusyError where the listening side told of another session at least once.
        RefusedError: one side does not accept the other's certificate or its name.
        ProtocolError: the peer has another role, or is in another run.
    """
    context = credentials.context()
    expires = time.monotonic() + connect_within_s
    began, pause_s = time.monotonic(), 0.005
    broken: TransportError | None = None
    attempt = Attempt() if attempt is None else attempt
    while (remaining := expires - time.monotonic()) > 0 and not attempt.given_up:
        plain = _reach(address, peer, min(remaining, _ATTEMPT_S))
        if plain is not None:
            try:
                with attempt.holding(plain):
                    left_s = max(0.001, expires - time.monotonic())
                    tls = handshake(plain, context, left_s, server_side=False, peer=peer, step="connect")
                    channel = TlsChannel(peer, deadline_s, plain, tls)
                    _check_name(channel, own)
                    exchange_hello(channel, own, role, speaks_first=True, agreed=agreed)
                if not attempt.given_up:
                    return channel
                channel.close()
            except (RefusedError, ProtocolError):
                _see_off(plain, time.monotonic() + _FAREWELL_S)
                plain.close()
                raise
            except DeadlineError:
                plain.close()
                if not isinstance(broken, BusyError):
                    raise
            except BusyError as error:
                _see_off(plain, time.monotonic() + _FAREWELL_S)
                plain.close()
                broken = error
            except TransportError as error:  # dropped without a reason, perhaps for others at the door
                plain.close()
                broken = broken if isinstance(broken, BusyError) else error
        time.sleep(min(pause_s, max(0.0, expires - time.monotonic())))
        pause_s = min(0.2, pause_s * 1.5)
    waited_s = f"{time.monotonic() - began:.0f}" if attempt.given_up else f"{connect_within_s:g}"
    words = f"nobody accepted a connection at {address[0]}:{address[1]} within {waited_s} s"
    last = f", and the last attempt was cut off ({broken.args[0]})" if broken else ""
    raise DeadlineError(words + last, peer=peer, step="connect") from broken


def _reach(address: tuple[str, int], peer: str, within_s: float) -> socket.socket | None:
    """Return a TCP connection, or None where nobody listens yet."""
    try:
        plain = socket.create_connection(address, timeout=within_s)
    except (ConnectionRefusedError, ConnectionResetError, TimeoutError):
        return None
    except OSError as error:
        raise TransportError(f"cannot reach {address[0]}:{address[1]} ({error})", peer=peer, step="connect") from error
    with contextlib.suppress(OSError):  # reset already, which is no answer either
        if plain.getsockname() != plain.getpeername():
            return plain
    # The system chose the dialled port for this end, too, and connected it to itself. Closed as usual it would keep the
    # peer from binding its port for another minute.
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
    plain.close()
    return None


def _check_name(channel: TlsChannel, own: Hello) -> None:
    """Raise RefusedError unless the certificate names the peer that was dialled. The peer is told, too."""
    try:
        found = peer_name(channel.tls)
        if found == channel.peer:
            return
        error = RefusedError(f"expected {channel.peer} in the peer's certificate, found {found}", step="connect")
    except RefusedError as unnamed:
        error = unnamed
    error.peer = channel.peer
    _refuse(channel, own)
    raise error


def _refuse(channel: TlsChannel, own: Hello) -> None:
    """Tell the peer that its name is not the expected one, if it still listens."""
    with contextlib.suppress(TransportError):
        channel.send_message("hello", msgspec.structs.replace(own, refused="name"))


def _see_off(plain: socket.socket, expires: float) -> None:
    """Say that no more follows, and let the peer read why, until it closes or the monotonic instant has passed."""
    with contextlib.suppress(OSError):  # already gone
        plain.setblocking(False)
        plain.shutdown(socket.SHUT_WR)
        left = _FAREWELL_BYTES
        while left > 0 and wait_for(plain, select.POLLIN, expires):
            count = len(plain.recv(1 << 12))
            if count == 0:
                break
            left -= count


def bind(address: tuple[str, int]) -> socket.socket:
    """Return a socket that listens. Raises `TransportError`."""
    try:
        return socket.create_server(address, backlog=2 * AT_THE_DOOR)
    except OSError as error:
        raise TransportError(f"cannot listen at {address[0]}:{address[1]} ({error})", step="listen") from error


class _Arrival:
    """A connection at the door. Its thread greets it, and any thread may drop it.

    Attributes:
        host: where it comes from.
        certified: whether it has shown a certificate of the run.
        dropped: the reason, if it was dropped.
    """

    def __init__(self, plain: socket.socket, host: str) -> None:
        self.plain = plain
        self.host = host
        self.certified = False
        self.dropped = ""
        self._entered = False
        self.expires = time.monotonic() + GREETING_S
        self._lock = threading.Lock()  # the number of a closed socket may belong to another file

    @property
    def left_s(self) -> float:
        """Return the seconds that are left for the greeting."""
        return max(0.001, self.expires - time.monotonic())

    def drop(self, reason: str) -> None:
        """Make the thread's next or current wait fail, unless the connection has become a channel."""
        with self._lock, contextlib.suppress(OSError):  # already gone
            if not self._entered:
                self.dropped = self.dropped or reason
                self.plain.shutdown(socket.SHUT_RDWR)

    def enter(self) -> bool:
        """Keep the connection from being dropped, and return whether that is in time."""
        with self._lock:
            self._entered = not self.dropped
            return self._entered

    def see_off(self) -> None:
        """Close the connection, after the peer has had time to read why."""
        _see_off(self.plain, self.expires)
        with self._lock:
            self.plain.close()


class Listener:
    """A listening socket that turns connections of expected parties, which have said hello, into channels.

    Args:
        address: to bind, or a socket that listens already. This object closes it.
        own, agreed: as for :func:`~mpc.channels.hello.exchange_hello`.
        deadline_s: the channels', for one message.
        note: gets a sentence when a connection is refused for a reason that is new.
        admission: of a service. Whoever comes for another session, or does not fit, is then dropped and does not count.
    """

    def __init__(
        self,
        address: tuple[str, int] | socket.socket,
        credentials: Credentials,
        own: Hello,
        *,
        agreed: Mapping[str, str] | None = None,
        deadline_s: float,
        note: Callable[[str], None] = lambda _: None,
        admission: Admission | None = None,
    ) -> None:
        credentials.context()  # refuses files that do not fit each other
        self._credentials = credentials
        self._admission = admission
        self._own = own
        self._agreed = agreed
        self._deadline_s = deadline_s
        self._note = note
        self._roles: Mapping[str, str] = {}
        self._reasons: Counter[str] = Counter()
        self._lock = threading.Lock()  # for what follows, which the threads at the door share
        self._arrivals: dict[_Arrival, threading.Thread] = {}
        self._met: list[tuple[_Arrival, TlsChannel | BaseException]] = []
        self._closed = False
        self._socket = address if isinstance(address, socket.socket) else bind(address)
        self._woken, self._wake = socket.socketpair()
        for end in (self._socket, self._woken, self._wake):
            end.setblocking(False)

    @property
    def port(self) -> int:
        """The port that is listened on, which the operating system chose if 0 was asked for."""
        return int(self._socket.getsockname()[1])

    def accept(self, roles: Mapping[str, str], *, within_s: float, beside: TlsChannel | None = None) -> TlsChannel:
        """Return the next connection from one of the named parties, each of which has the role given.

        Whoever shows no accepted certificate, or says no hello in time, is dropped and does not count. So a stranger
        cannot end a run. The wait ends as well when the peer of the channel `beside` leaves.

        Raises:
            DeadlineError: none of them came in time. The sentence says who was dropped meanwhile, and why.
            TransportError: the peer of the channel `beside` has left.
            ProtocolError: one of them has another role, or is in another run. A service drops it.
        """
        expires = time.monotonic() + within_s
        self._roles = dict(roles)
        while True:
            for channel in iter(self._next_met, None):
                if channel.peer in roles:
                    channel.deadline_s = self._deadline_s
                    return channel
                channel.close()  # it was expected by an earlier call only
            if beside is not None and beside.left:
                raise beside.departure("accept")
            now = time.monotonic()
            if now >= expires:
                names = ", ".join(sorted(roles))
                sentence = f"no connection from {names} within {within_s:g} s{self._dropped()}"
                raise DeadlineError(sentence, step="accept")
            with self._lock:
                waiting = list(self._arrivals)
            for arrival in waiting:
                if now >= arrival.expires:
                    arrival.drop(f"no hello within {GREETING_S:g} s")
            full = len(waiting) >= AT_THE_DOOR
            if full and not any(arrival.dropped for arrival in waiting):
                oldest = min(waiting, key=lambda arrival: (arrival.certified, arrival.expires))
                oldest.drop(f"more than {AT_THE_DOOR} connections at the door")
            due = [arrival.expires for arrival in waiting if not arrival.dropped]
            poll_s = _POLL_S if beside is None else _BESIDE_S
            self._wait(min([expires, now + poll_s, *due]), strangers_too=not full)

    def _wait(self, until: float, *, strangers_too: bool) -> None:
        """Wait until a thread at the door is done, somebody new comes, or the monotonic instant has passed."""
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        if strangers_too:
            poll.register(self._socket, select.POLLIN)
        ready = {file for file, _ in poll.poll(max(0.0, until - time.monotonic()) * 1e3)}
        if self._woken.fileno() in ready:
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(1 << 12)
        if self._socket.fileno() in ready:
            try:
                plain, address = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            arrival = _Arrival(plain, str(address[0]))
            thread = threading.Thread(target=self._greet, args=(arrival,), daemon=True)
            with self._lock:
                self._arrivals[arrival] = thread
            thread.start()

    def _greet(self, arrival: _Arrival) -> None:
        """Take the handshake and the hello of one that came, and hand over the channel, or why there is none."""
        try:
            outcome: TlsChannel | BaseException = self._channel(arrival)
            if not arrival.enter():
                raise TransportError(arrival.dropped, step="accept")
        except OSError as error:
            outcome = TransportError(f"the connection broke ({error})", step="accept")
        except BaseException as error:  # noqa: BLE001  a bug is raised again in the thread that accepts
            outcome = error
        with self._lock:
            if self._closed:
                outcome = TransportError("the door is closed", step="accept")
            else:
                self._met.append((arrival, outcome))
        if isinstance(outcome, BaseException):
            if self._admission:
                self._admission.withdraw(arrival)
            self._rouse()
            arrival.see_off()
        with self._lock:
            del self._arrivals[arrival]
        self._rouse()

    def _channel(self, arrival: _Arrival) -> TlsChannel:
        """Return the channel of an expected party that has said hello. Raises PeerError."""
        context = self._credentials.context()  # anew for each, because a certificate may be revoked meanwhile
        tls = handshake(arrival.plain, context, arrival.left_s, server_side=True, step="accept")
        arrival.certified = True
        channel = TlsChannel("a stranger", arrival.left_s, arrival.plain, tls)
        roles, admission = self._roles, self._admission
        try:
            channel.peer = peer_name(tls)
            if channel.peer not in roles and admission is None:
                raise RefusedError("this party is not expected now", peer=channel.peer, step="accept")
        except RefusedError:
            _refuse(channel, self._own)
            raise
        role = roles.get(channel.peer)
        answer = None
        if admission is not None:
            answer = partial(admission.answer, self._own, role=role, peer=channel.peer, arrival=arrival)
        exchange_hello(channel, self._own, role, speaks_first=False, agreed=self._agreed, answer=answer)
        return channel

    def _rouse(self) -> None:
        """Wake the thread that accepts."""
        with self._lock, contextlib.suppress(BlockingIOError):  # it has more than enough to wake it
            if not self._closed:
                self._wake.send(b"!")

    def _next_met(self) -> TlsChannel | None:
        """Return the next channel, or None. Raises what must end the wait, and counts all other failures."""
        while True:
            with self._lock:
                if not self._met:
                    return None
                arrival, outcome = self._met.pop(0)
            if isinstance(outcome, TlsChannel):
                return outcome
            if not isinstance(outcome, PeerError) or (isinstance(outcome, ProtocolError) and not self._admission):
                raise outcome
            late = f"no hello within {GREETING_S:g} s" if isinstance(outcome, DeadlineError) else outcome.args[0]
            reason = arrival.dropped or (f"{outcome.peer}: {late}" if outcome.peer else str(late))
            self._reasons[reason] += 1
            if self._reasons[reason] == 1 and len(self._reasons) <= _NOTED:
                self._note(f"dropped a connection from {arrival.host}: {reason}")

    def _dropped(self) -> str:
        """Return the end of a sentence that says who was dropped, most frequent reasons first."""
        if not self._reasons:
            return ""
        listed = [f"{reason} ({count}x)" for reason, count in self._reasons.most_common(_REASONS)]
        return f", dropped meanwhile: {'; '.join(listed)}"

    def close(self) -> None:
        """Stop listening and drop everybody who is still at the door. It may be called again."""
        with self._lock:
            self._closed = True
            arrivals, met = dict(self._arrivals), list(self._met)
            self._met.clear()
        self._socket.close()
        for arrival in arrivals:
            arrival.drop("the door is closed")
        for _, outcome in met:
            if isinstance(outcome, TlsChannel):
                outcome.close()
        expires = time.monotonic() + _JOIN_S
        for thread in arrivals.values():
            thread.join(max(0.0, expires - time.monotonic()))
        with self._lock:
            self._woken.close()
            self._wake.close()

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()
