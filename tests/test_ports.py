"""Two tests that run at the same time are never given the same port."""

from __future__ import annotations

import multiprocessing
import socket

import pytest

from tests import ports


def _asked(_: int) -> list[int]:
    return [ports.free_ports(3) for _ in range(20)]


def test_sessions_at_the_same_time_are_given_other_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_LAST", ports._FIRST + 600)  # close together: 60 starts in 600 ports
    with multiprocessing.get_context("fork").Pool(3) as pool:
        found = [first for firsts in pool.map(_asked, range(3), chunksize=1) for first in firsts]
    given = {port for first in found for port in range(first, first + 3)}
    assert len(given) == 3 * len(found)


def test_a_port_in_use_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    first = ports.free_ports(2)
    monkeypatch.setattr(ports, "_FIRST", first)
    monkeypatch.setattr(ports, "_LAST", first + 2)
    with pytest.raises(AssertionError, match="no free ports"):  # both are this test's
        ports.free_ports(1)
    for sign in ports._taken[-2:]:
        sign.close()
    with socket.create_server(("127.0.0.1", first)):
        assert ports.free_ports(1) == first + 1
