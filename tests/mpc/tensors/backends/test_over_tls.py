"""The same over TLS, with arrays larger than the buffers of a socket, and with a provider that is far ahead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mpc.channels.frames import Channel
from mpc.errors import TransportError
from mpc.tensors.backends import DealerBackend, ReplicatedBackend
from mpc.tensors.network import Network
from tests.authority import issue
from tests.mpc.channels.meeting import meet
from tests.mpc.tensors.backends.session import PROVIDER, REPLICATED, Backend, Replicated, names, outcomes, run

RNG = np.random.default_rng(13)


@pytest.fixture(params=[2, 3, REPLICATED], ids=str)
def backends(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Backend]]:
    computing, alone = names(request.param), isinstance(request.param, Replicated)
    everybody = computing if alone else (*computing, PROVIDER)
    credentials = issue(tmp_path, "server-0", "client")
    channels: dict[str, dict[str, Channel]] = {name: {} for name in everybody}
    for place, first in enumerate(everybody):
        for second in everybody[place + 1 :]:
            near, far = meet(credentials["server-0"], credentials["client"], 60.0)
            near.peer, far.peer = second, first
            channels[first][second], channels[second][first] = near, far
    made: dict[str, Backend] = {}
    for name in everybody:
        network = Network(name, channels[name])
        if alone:
            made[name] = ReplicatedBackend.join(network, computing=computing)
        else:
            made[name] = DealerBackend.join(network, computing=computing, provider=PROVIDER)
    yield made
    for backend in made.values():
        backend.close()


def test_a_provider_may_be_far_ahead_and_leave(backends: dict[str, Backend]) -> None:
    """Its corrections are 20 MB, which no socket holds, and it closes when it has sent them."""
    value = RNG.integers(0, 2**64, 250_000, dtype=np.uint64)

    def program(backend: Backend) -> np.ndarray | None:
        x = backend.input("p0", value if backend.me == "p0" else None, value.shape)
        y = x
        for _ in range(10):
            (y,) = backend.multiply([(y, x)])
        (kept,), _ = backend.relu([x], 2**63 - 1)
        opened = backend.open([y, kept], ["p1"])
        if backend.me == PROVIDER:
            backend.close()
        return None if opened is None else np.stack(opened)

    found = run(backends, program)["p1"]
    assert found is not None
    assert (found[0] == value**11).all()
    assert (found[1].view(np.int64) == np.maximum(value.view(np.int64), 0)).all()


def test_a_party_that_is_gone_in_mid_step_is_named(backends: dict[str, Backend]) -> None:
    value = RNG.integers(0, 2**64, 250_000, dtype=np.uint64)

    def program(backend: Backend) -> None:
        x = backend.input("p0", value if backend.me == "p0" else None, value.shape)
        backend.multiply([(x, x)])
        if backend.me == "p0":
            raise KeyboardInterrupt
        y = backend.linear(lambda a: a[::-1].copy(), value.shape, backend.multiply([(x, x)])[0])
        backend.multiply([(y, y)])

    found = outcomes(backends, program)
    assert isinstance(found["p1"], TransportError)
    assert "p0" in str(found["p1"])
