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

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from orchestrator.events import Event
from orchestrator.federation.records import SessionEnded
from parties.frame.charts import Measure
from parties.frame.errors import ConfigError, PartyError
from parties.frame.settings import Address

_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
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
        self._registry = registry = CollectorRegistry()
        Gauge(f"{prefix}_up", "1 while the service runs.", ["role"], registry=registry).labels(role).set(1)
        about = "Sessions that ended since the service started, by how they ended."
        self._sessions = Counter(f"{prefix}_sessions", about, ["outcome"], registry=registry)
        for outcome in ("finished", "failed"):
            self._sessions.labels(outcome)
        about = "Bytes of the steps of sessions since the service started, by direction and peer."
        self._bytes = Counter(f"{prefix}_bytes", about, ["direction", "peer"], registry=registry)
        about = "Seconds of each step of sessions, waiting for the peer included."
        self._seconds = Histogram(f"{prefix}_step_seconds", about, ["step"], buckets=_SECONDS, registry=registry)
        registry.register(_Durable(prefix, measures, days_left))

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
        if event.event != "step_finished" or event.step is None:
            return
        self._seconds.labels(event.step).observe(event.seconds or 0.0)
        for direction, count in (("sent", event.sent), ("received", event.received)):
            if count:
                self._bytes.labels(direction, event.peer or "").inc(count)

    def ended(self, session: SessionEnded) -> None:
        """Take in how a session ended."""
        self._sessions.labels(session.outcome).inc()


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

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
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
                families[measure.name] = kind(
                    f"{self._prefix}_{measure.name}", measure.help, labels=list(measure.dimensions)
                )
            families[measure.name].add_metric(list(measure.dimensions.values()), measure.value)
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
