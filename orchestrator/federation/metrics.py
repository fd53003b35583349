"""Figures of a service at an address of its machine, in the text format that Prometheus reads.

They are what the member's operator knows anyhow: counts of sessions, bytes and seconds from the events that the
member's own processes report, what its own accounts hold, and the days of its
certificate. No value of a session is here.
Whoever reaches the address reads them, so it is this machine's own unless another one is chosen.
"""

from __future__ import annotations

import ipaddress
import math
import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, Metric, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from orchestrator.events import Event
from orchestrator.federation.records import SessionEnded
from parties.frame.charts import Measure
from parties.frame.errors import ConfigError, PartyError
from parties.frame.settings import Address

_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, math.inf)
_ADDRESS = re.compile(r"(?:(?P<host>\[[0-9a-fA-F:.]+\]|[^\s:\[\]]+):)?(?P<port>\d{1,5})")


class Metrics:
    """The figures of one service.

    Args:
        prefix: of every name, which is the protocol's.
        role: of the service.
        measures: returns what the accounts hold now. Raises `PartyError` where they cannot be read.
        days_left: of the certificate. Raises `PartyError`.
    """

    def __init__(
        self,
        prefix: str,
        role: str,
        measures: Callable[[], Sequence[Measure]],
        days_left: Callable[[], float],
    ) -> None:
        self._counted = _Counted(prefix, role)
        self._registry = CollectorRegistry()
        self._registry.register(self._counted)
        self._registry.register(_Durable(prefix, measures, days_left))

    def serve(self, address: Address) -> WSGIServer:
        """Answer at an address until the server is shut down. Raises `ConfigError` where it cannot be bound."""
        try:
            family = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][0]
            server = _server_of(family)((address.host, address.port), _Handler)
        except OSError as error:
            raise ConfigError(
                f"metrics: expected to listen at {address.host}:{address.port}, found {error.strerror}."
            ) from error
        server.set_app(make_wsgi_app(self._registry))
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        return server

    def tell(self, event: Event) -> None:
        """Take in what a process of a session says."""
        if event.event == "step_finished" and event.step is not None:
            self._counted.add_step(event.step, event)

    def ended(self, session: SessionEnded) -> None:
        """Take in how a session ended."""
        self._counted.add_session(session.outcome)


class _Counted(Collector):
    """What has happened since the service started. One thread counts, and another asks."""

    def __init__(self, prefix: str, role: str) -> None:
        self._prefix = prefix
        self._role = role
        self._lock = threading.Lock()
        self._sessions = {"finished": 0, "failed": 0}
        self._bytes: dict[tuple[str, str], int] = {}
        self._seconds: dict[str, list[float]] = {}  # by step: how many took at most so long, and all their seconds

    def add_step(self, step: str, event: Event) -> None:
        """Count a step that has finished."""
        seconds = event.seconds or 0.0
        with self._lock:
            *within, total = self._seconds.setdefault(step, [0.0] * (len(_SECONDS) + 1))
            reached = [count + (seconds <= most) for count, most in zip(within, _SECONDS, strict=True)]
            self._seconds[step] = [*reached, total + seconds]
            for direction, count in (("sent", event.sent), ("received", event.received)):
                if count:
                    key = direction, event.peer or ""
                    self._bytes[key] = self._bytes.get(key, 0) + count

    def add_session(self, outcome: str) -> None:
        """Count a session that has ended."""
        with self._lock:
            self._sessions[outcome] = self._sessions.get(outcome, 0) + 1

    def collect(self) -> Iterator[Metric]:
        """Yield the figures."""
        with self._lock:
            sessions, moved, steps = dict(self._sessions), dict(self._bytes), dict(self._seconds)
        up = GaugeMetricFamily(f"{self._prefix}_up", "1 while the service runs.", None, ["role"])
        up.add_metric([self._role], 1.0)
        yield up
        about = "Sessions that ended since the service started, by how they ended."
        ended = CounterMetricFamily(f"{self._prefix}_sessions", about, None, ["outcome"])
        for outcome, count in sessions.items():
            ended.add_metric([outcome], count)
        yield ended
        about = "Bytes of the steps of sessions since the service started, by direction and peer."
        volume = CounterMetricFamily(f"{self._prefix}_bytes", about, None, ["direction", "peer"])
        for key, count in moved.items():
            volume.add_metric(list(key), count)
        yield volume
        about = "Seconds of each step of sessions, waiting for the peer included."
        lasted = HistogramMetricFamily(f"{self._prefix}_step_seconds", about, None, None, ["step"])
        for step, (*within, total) in steps.items():
            buckets = [
                ("+Inf" if math.isinf(most) else str(most), count) for most, count in zip(_SECONDS, within, strict=True)
            ]
            lasted.add_metric([step], buckets, total)
        yield lasted


class _Handler(WSGIRequestHandler):
    """Answers one connection after the other, each in a short time, and logs none.

    So whoever hangs on or comes in masses holds up figures, and nothing of the service.
    """

    timeout = 2.0

    def log_message(self, format: str, *_: object) -> None:
        pass


def _server_of(family: int) -> type[WSGIServer]:
    """Return the kind of server that listens at addresses of a family."""

    class Server(WSGIServer):
        address_family = family

    return Server


class _Durable(Collector):
    """What lies in the member's folder, read when somebody asks."""

    def __init__(self, prefix: str, measures: Callable[[], Sequence[Measure]], days_left: Callable[[], float]) -> None:
        self._prefix = prefix
        self._measures = measures
        self._days_left = days_left

    def collect(self) -> Iterator[Metric]:
        """Yield the figures. Those of accounts that cannot be read are left out, and one figure says so."""
        try:
            days = self._days_left()
        except PartyError:
            days = math.nan
        yield GaugeMetricFamily(f"{self._prefix}_certificate_days", "Days that the certificate is still valid.", days)
        readable, found = 1.0, list[Measure]()
        try:
            found = list(self._measures())
        except (PartyError, OSError):
            readable = 0.0
        about = "1 where the accounts could be read."
        yield GaugeMetricFamily(f"{self._prefix}_accounts_readable", about, readable)
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for measure in found:
            if measure.name not in families:
                kind = CounterMetricFamily if measure.grows else GaugeMetricFamily
                families[measure.name] = kind(f"{self._prefix}_{measure.name}", measure.help, None, list(measure.marks))
            families[measure.name].add_metric(list(measure.marks.values()), measure.value)
        yield from families.values()


def address_of(text: str) -> Address:
    """Return the address that `HOST:PORT`, or `PORT` of this machine alone, means. Raises `ConfigError`."""
    found = _ADDRESS.fullmatch(text)
    if found is None or not 1 <= int(found["port"]) <= 65535:
        raise ConfigError(f"metrics: expected HOST:PORT such as 127.0.0.1:9464, found {text!r}.")
    return Address(host=(found["host"] or "127.0.0.1").strip("[]"), port=int(found["port"]))


def is_of_this_machine(host: str) -> bool:
    """Tell whether only programs of this machine reach a host's address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
