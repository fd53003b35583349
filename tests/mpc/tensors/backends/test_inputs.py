"""An input of a computing party is masked so that its owner alone has something to open."""

from __future__ import annotations

import numpy as np
import pytest

from mpc.ring import Words
from mpc.tensors.backends import DealerBackend, in_memory
from tests.mpc.tensors.backends.session import PROVIDER, names, run, signed, transcript, words

RNG = np.random.default_rng(8)
X, Y = RNG.integers(-100, 100, (4, 6)), RNG.integers(-100, 100, (6, 3))


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("ring_bits", [64, 40])
def test_an_input_is_opened_by_its_owner_alone_and_costs_it_no_wait(n: int, ring_bits: int) -> None:
    """Its product with itself and with another owner's, its rounding and its sign are as exact as any other's."""
    backends = in_memory(names(n), PROVIDER, ring_bits=ring_bits, kept=True)
    owner, other = names(n)[-1], names(n)[0]

    def program(backend: DealerBackend) -> tuple[list[tuple[int, int]], list[Words] | None]:
        x = backend.input(owner, words(X, ring_bits) if backend.me == owner else None, X.shape)
        y = backend.input(other, words(Y, ring_bits) if backend.me == other else None, Y.shape)
        counts, results = [], []
        for step in (
            lambda: backend.multiply([(x, x)]),
            lambda: backend.matmul([(x, y)]),
            lambda: backend.truncate([x], 3, 128, "floor"),
            lambda: backend.negative([x], 128),
        ):
            rounds, sent = backend.cost.rounds, _opened(backend)
            results += step()
            counts.append((backend.cost.rounds - rounds, (_opened(backend) - sent) // (ring_bits // 8)))
        return counts, backend.open(results, [other])

    found = run(backends, program)
    counts = {name: [step[:2] for step in found[name][0][:2]] for name in names(n)}
    assert counts[owner] == [(0, (n - 1) * X.size), (1, 0)]
    assert counts[other] == [(1, 0), (0, (n - 1) * Y.size)]
    for name in names(n)[1:-1]:
        assert counts[name] == [(1, 0), (1, 0)]
    results = found[other][1]
    assert results is not None
    for result, expected in zip(results, (X * X, X @ Y, X >> 3, X < 0), strict=True):
        assert (signed(result, ring_bits) == expected).all()


def _opened(backend: DealerBackend) -> int:
    """The bytes that a computing party has sent to all others under masks of 64 bits, or of the ring's."""
    peers = [name for name in backend.computing if name != backend.me] if backend.me in backend.computing else []
    frames = [frame for peer in peers for frame in transcript(backend, peer)]
    return sum(len(body) for direction, label, body in frames if direction == "sent" and "masked" in label)
