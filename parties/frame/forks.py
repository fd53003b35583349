"""Fork processes from one that has imported their modules once, in place of starting each from nothing.

    launcher, pane or party           fork server                        forked process
    connects to its socket  ------->
    order, and three streams  ----->  forks  --------------------------> session, environment, command line
    <--------------------  its pid                                       runs the module from its beginning
    a signal  --------------------->  passes it on  ------------------->
    <--------------  how it ended                                        ends

The server imports modules and does nothing else. It reads no settings, holds no key and draws no randomness. What a
party must keep to itself comes into being after the fork, in the party's own process. From outside, a forked process
looks like one that was started directly: `ps` shows its own command, and its environment holds only what it was given.

An order may be given apart, with modules to import first. A second server, forked from the first, then serves all
orders for its module, so that large libraries are imported once and never by parties.

A server ends with its standard input. A process whose connection is closed is asked to end. The server runs as
`python -I -u .../start.py parties.frame.forks DOOR ROOM MODULE...`, where `DOOR` is the number of the socket that it
inherits, and `ROOM` is room for the command lines to come.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from parties.frame.start import find_own, python_command, run_to_its_end

__all__ = ["FORKED_BY", "Fork", "Order", "bind", "fork", "pane_command", "server_command", "server_environment"]

FORKED_BY = "FORKED_BY"
"""The variable that names the folder with the fork server's socket, in every process that may ask it."""

_ROOM = "FORKS_ROOM"
_ROOM_BYTES = 8192  # a path has at most 4096
_SOCKET = "socket"
_MESSAGE_BYTES = 1 << 16
_STREAMS = 3


@dataclass(frozen=True)
class Order:
    """What to fork: the module to run, its arguments, and all of its environment.

    Attributes:
        apart: whether a server of its own serves this module.
        imports: modules that such a server imports before it forks.
    """

    module: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    apart: bool = False
    imports: tuple[str, ...] = ()


# -- the side that asks ------------------------------------------------------------------------------------------------


class Fork:
    """A process that was forked on request.

    Attributes:
        pid: its process, and its session.
    """

    def __init__(self, connection: socket.socket, pid: int) -> None:
        connection.settimeout(None)  # with one, Python would wait where the system is asked not to
        self._connection = connection
        self._ended: tuple[int | None] | None = None
        self.pid = pid

    def poll(self) -> tuple[int | None] | None:
        """Return None while it runs, and then its exit status in a tuple.

        That is negative for a signal, and None where the server is gone and cannot tell.
        """
        if self._ended is None:
            with contextlib.suppress(BlockingIOError):
                self._ended = (self._read(socket.MSG_DONTWAIT),)
        return self._ended

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for its end and return the exit status, as for `poll`. Raises TimeoutError."""
        if self._ended is None:
            self._connection.settimeout(timeout_s)
            try:
                self._ended = (self._read(0),)
            finally:
                self._connection.settimeout(None)
        return self._ended[0]

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        with contextlib.suppress(OSError):
            self._connection.send(json.dumps({"signal": number}).encode())

    def close(self) -> None:
        """Release the connection. A process that still runs is asked to end."""
        self._connection.close()

    def _read(self, flags: int) -> int | None:
        try:
            message = self._connection.recv(_MESSAGE_BYTES, flags)
        except ConnectionError:
            return None
        return int(json.loads(message)["status"]) if message else None


def fork(folder: str, order: Order, streams: tuple[int, int, int], within_s: float) -> Fork:
    """Have a process forked that gets these three streams, by the server whose socket lies in this folder.

    Raises OSError where no server is there, it did not answer in time, or it could not fork.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.settimeout(within_s)
        with _near(folder) as path:
            connection.connect(path)
        socket.send_fds(connection, [json.dumps(asdict(order)).encode()], list(streams))
        answer = connection.recv(_MESSAGE_BYTES)
        if not answer:
            raise ConnectionResetError("the process that forks others has ended")
        fields = json.loads(answer)
        if "refused" in fields:
            raise OSError(fields["refused"])
    except BaseException:
        connection.close()
        raise
    return Fork(connection, int(fields["pid"]))


def bind(folder: Path) -> socket.socket:
    """Return a socket in this folder for a server to inherit."""
    door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with _near(str(folder)) as path:
        door.bind(path)
    door.listen(socket.SOMAXCONN)
    return door


@contextlib.contextmanager
def _near(folder: str) -> Iterator[str]:
    """Give the socket a name that is short enough (108 bytes, unix(7)) wherever the folder lies."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{_SOCKET}"
    finally:
        os.close(descriptor)


def server_command(door: int, modules: Sequence[str]) -> tuple[str, ...]:
    """Return the command of a server that inherits the socket `door` and imports these modules."""
    return python_command(__spec__.name, str(door), " " * _ROOM_BYTES, *modules)


def pane_command(module: str, folder: Path) -> tuple[str, ...]:
    """Return the command of a small process that stands in a pane for the party with the settings in this folder."""
    return python_command("parties.frame.pane", module, str(folder))


def server_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return a server's environment: what its processes will have, and room for what each has besides."""
    return {**environment, _ROOM: " " * _ROOM_BYTES}


# -- the server --------------------------------------------------------------------------------------------------------


class _Server:
    """Takes orders, from whoever connects to `door` or, apart, from the server that it was forked from."""

    def __init__(self, door: socket.socket, *, apart: bool) -> None:
        self._door = door
        self._apart = apart
        self._servers: dict[str, tuple[int, socket.socket]] = {}  # by module
        self._connections: dict[int, socket.socket] = {}  # by the process that was forked for it
        self._woken, self._wake = socket.socketpair()
        self._wake.setblocking(False)
        self._selector = selectors.DefaultSelector()

    def serve(self) -> Order | _Server | None:
        """Return an order, or a server apart, in the process forked for it. Return None at the end."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake.fileno())
        for waited in (sys.stdin.fileno(), self._door, self._woken):
            self._selector.register(waited, selectors.EVENT_READ)
        _settle()
        while True:
            for key, _ in self._selector.select():
                ready = key.fileobj
                if not isinstance(ready, socket.socket):
                    return None  # its standard input has ended
                if ready.fileno() == -1:
                    continue  # closed a moment ago
                if ready is self._woken:
                    self._woken.recv(_MESSAGE_BYTES)
                    self._reap()
                elif ready is self._door and not self._apart:
                    self._selector.register(self._door.accept()[0], selectors.EVENT_READ)
                elif (forked := self._heed(ready)) is not None:
                    return forked

    def _heed(self, speaker: socket.socket) -> Order | _Server | None:
        """Take a message. Somebody who is connected sends an order first and then signals, the first server orders."""
        try:
            message, numbers, _, _ = socket.recv_fds(speaker, _MESSAGE_BYTES, 1 + _STREAMS)
        except OSError:
            message, numbers = b"", []
        if speaker is self._door:
            if not message:
                return None  # the first server has ended, and this one's standard input with it
            connection, streams = socket.socket(fileno=numbers[0]), numbers[1:]
            self._selector.register(connection, selectors.EVENT_READ)
            return self._obey(message, connection, streams)
        pid = next((pid for pid, known in self._connections.items() if known is speaker), None)
        if not message:
            self._leave(speaker)
        if pid is None:
            return self._obey(message, speaker, numbers) if message else None
        self._kill(pid, int(json.loads(message)["signal"]) if message else signal.SIGTERM)
        return None

    def _obey(self, message: bytes, connection: socket.socket, streams: Sequence[int]) -> Order | _Server | None:
        """Fork for an order. In the new process return the order, or the server that it is to be."""
        fields = json.loads(message)
        order = Order(
            fields["module"],
            tuple(fields["arguments"]),
            fields["environment"],
            fields["apart"],
            tuple(fields["imports"]),
        )
        try:
            if order.apart and not self._apart:
                server = self._server_of(order.module)
                if server is not None:
                    return server
                self._hand_over(order, message, connection, streams)
            else:
                if order.imports:
                    for module in order.imports:
                        _import(module)
                    _settle()
                if self._fork(connection):
                    _become(order, streams)
                    return order
        except OSError as error:
            self._tell(connection, {"refused": f"no process could be forked ({error.strerror})"})
        for stream in streams:
            os.close(stream)
        return None

    def _fork(self, connection: socket.socket) -> bool:
        """Fork a process for whoever is connected. Return whether this is that process."""
        pid = os.fork()
        if pid == 0:
            self._abandon()
            return True
        self._connections[pid] = connection
        self._tell(connection, {"pid": pid})
        return False

    def _server_of(self, module: str) -> _Server | None:
        """See that a server for this module is there. In the process that was forked to be one, return it."""
        if module in self._servers:
            return None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            ours.close()
            self._abandon()
            _close_all_but(theirs.fileno())
            return _Server(theirs, apart=True)
        theirs.close()
        self._servers[module] = pid, ours
        return None

    def _abandon(self) -> None:
        """Close, in a forked process, all that belongs to the server."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        watched = [key.fileobj for key in self._selector.get_map().values()]
        controls = [control for _, control in self._servers.values()]
        self._selector.close()
        for one in (*watched, *controls, self._wake):
            if isinstance(one, socket.socket):
                one.close()

    def _hand_over(self, order: Order, message: bytes, connection: socket.socket, streams: Sequence[int]) -> None:
        """Pass an order and its connection on to the server of its module."""
        with contextlib.suppress(OSError):  # it has just ended, and who asks sees the connection close
            socket.send_fds(self._servers[order.module][1], [message], [connection.fileno(), *streams])
        self._leave(connection)

    def _reap(self) -> None:
        """Take the exit statuses of processes that have ended, and pass them on."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            connection = self._connections.pop(pid, None)
            if connection is not None and connection.fileno() != -1:
                self._tell(connection, {"status": os.waitstatus_to_exitcode(status)})
                self._leave(connection)
            for module, (server, control) in list(self._servers.items()):
                if server == pid:
                    control.close()
                    del self._servers[module]

    def _leave(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        connection.close()

    def _kill(self, pid: int, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    def _tell(self, connection: socket.socket, fields: Mapping[str, object]) -> None:
        with contextlib.suppress(OSError):  # it has left
            connection.send(json.dumps(fields).encode())


def _import(module: str) -> None:
    """Import a module. If that fails, the process that runs it will say so in its own words."""
    with contextlib.suppress(Exception):
        importlib.import_module(module)


def _settle() -> None:
    """Let the collector leave alone what there is, because what it touches would be copied in every process."""
    gc.collect()
    gc.freeze()


# -- the forked process ------------------------------------------------------------------------------------------------


def _close_all_but(*kept: int) -> None:
    """Close every file but the three streams and these."""
    for number in map(int, os.listdir("/proc/self/fd")):
        if number >= _STREAMS and number not in kept:
            with contextlib.suppress(OSError):  # the listing's own
                os.close(number)


def _become(order: Order, streams: Sequence[int]) -> None:
    """Take on the streams, environment and command line of the process that was ordered."""
    for own, given in enumerate(streams):
        os.dup2(given, own)
    _close_all_but()
    os.environ.clear()
    os.environ.update(order.environment)
    command = python_command(order.module, *order.arguments)
    variables = [f"{name}={value}" for name, value in order.environment.items()]
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    arguments_start, arguments_end, variables_start, variables_end = map(int, fields[45:49])
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        for texts, start, end in (
            (command, arguments_start, arguments_end),
            (variables, variables_start, variables_end),
        ):
            memory.seek(start)
            memory.write(
                b"".join(os.fsencode(text) + b"\0" for text in texts)[: end - start - 1].ljust(end - start, b"\0")
            )


def main(door: int, modules: Sequence[str]) -> None:
    """Serve until standard input ends. In a forked process, run what was ordered."""
    find_own([module.partition(".")[0] for module in modules])
    for module in modules:
        _import(module)
    found: Order | _Server | None = _Server(socket.socket(fileno=door), apart=False)
    while isinstance(found, _Server):
        found = found.serve()
    if found is not None:
        run_to_its_end(found.module, found.arguments)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[3:])
