"""Figures at an address hold nothing up, and say what cannot be read."""

from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from wsgiref.simple_server import WSGIServer

import pytest

from orchestrator.events import Event
from orchestrator.federation.metrics import Metrics, address_of, is_of_this_machine
from parties.frame.charts import Measure
from parties.frame.errors import ConfigError, PartyError
from parties.frame.settings import Address
from tests.ports import free_ports


def scraped(server: WSGIServer) -> str:
    host, port = server.server_address[:2]
    with urllib.request.urlopen(f"http://{host!s}:{port}/metrics", timeout=60) as answer:
        return str(answer.read().decode())


def serving(metrics: Metrics) -> WSGIServer:
    return metrics.serve(Address(host="127.0.0.1", port=free_ports(1)))


def stop(server: WSGIServer) -> None:
    server.shutdown()
    server.server_close()


def test_strangers_that_hang_on_take_no_thread_of_the_service() -> None:
    server = serving(Metrics("game", "keeper", lambda: [], lambda: 10.0))
    threads = threading.active_count()
    strangers = [socket.create_connection(server.server_address[:2]) for _ in range(4)]  # type: ignore[arg-type]
    try:
        strangers[0].sendall(b"GET /metr")
        assert 'game_up{role="keeper"} 1.0' in scraped(server)  # after all of them were given up
        assert threading.active_count() == threads
    finally:
        for stranger in strangers:
            stranger.close()
        stop(server)


def test_accounts_that_cannot_be_read_are_said_and_no_figure_is_made_up() -> None:
    readable = [Measure("points", "Points.", 3.0, {"account": "a"}, grows=True), Measure("left", "Left.", float("inf"))]

    def measures() -> Sequence[Measure]:
        if not readable:
            raise PartyError("expected a ledger")
        return readable

    server = serving(Metrics("game", "keeper", measures, lambda: 10.0))
    try:
        text = scraped(server)
        assert 'game_points_total{account="a"} 3.0' in text
        assert "game_left +Inf" in text
        assert "game_accounts_readable 1.0" in text
        readable.clear()
        text = scraped(server)
        assert "game_accounts_readable 0.0" in text
        assert "game_points" not in text
    finally:
        stop(server)


def test_steps_are_added_up_by_direction_and_peer() -> None:
    metrics = Metrics("game", "keeper", lambda: [], lambda: 10.0)
    for sent in (3, 4):
        metrics.tell(Event("step_finished", step="1", peer="player", seconds=0.2, sent=sent, received=1))
    metrics.tell(Event("step_started", step="1", peer="player"))
    server = serving(metrics)
    try:
        text = scraped(server)
        assert 'game_bytes_total{direction="sent",peer="player"} 7.0' in text
        assert 'game_bytes_total{direction="received",peer="player"} 2.0' in text
        assert 'game_step_seconds_count{step="1"} 2.0' in text
    finally:
        stop(server)


def test_an_address_is_this_machines_own_unless_another_is_given() -> None:
    assert address_of("9464") == Address(host="127.0.0.1", port=9464)
    assert address_of("[::1]:9464") == Address(host="::1", port=9464)
    assert [is_of_this_machine(host) for host in ("127.0.0.1", "::1", "localhost")] == [True] * 3
    assert [is_of_this_machine(host) for host in ("0.0.0.0", "::", "10.0.0.7", "example.org")] == [False] * 4  # noqa: S104
    for wrong in ("", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", "a:b", "::1:9464"):
        with pytest.raises(ConfigError, match="metrics: expected HOST:PORT"):
            address_of(wrong)
