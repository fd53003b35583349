"""An input of a computing party is masked so that its owner alone has something to open."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from mpc.ring import Words
from mpc.tensors.backends import DealerBackend, in_memory, kernels, products
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


@pytest.mark.parametrize("n", [2, 3])
def test_a_product_of_two_owners_inputs_takes_one_multiplication_of_each_party_at_most(
    n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A party without a share of a mask leaves out what would be multiplied by it, whoever the owners are."""
    counted: dict[str, int] = {}

    def counting(left: Words, right: Words, out: Words | None = None, adds: bool = False) -> Words:
        me = threading.current_thread().name
        counted[me] = counted.get(me, 0) + 1
        return kernels.matmul(left, right, out, adds)

    monkeypatch.setattr(products, "matrix_product", counting)
    for first in names(n):
        for second in names(n):
            counted.clear()
            opened = _product_of(n, first, second)
            assert (signed(opened) == X @ Y).all()
            computing = {name: count for name, count in counted.items() if name in names(n)}
            expected = {first: 1, second: 1} if first != second else {first: 2}
            if names(n)[0] not in expected:
                expected[names(n)[0]] = 1  # which multiplies what is public
            assert computing == expected, (first, second)


def _product_of(n: int, first: str, second: str) -> Words:
    backends = in_memory(names(n), PROVIDER)

    def program(backend: DealerBackend) -> list[Words] | None:
        threading.current_thread().name = backend.me
        x = backend.input(first, words(X) if backend.me == first else None, X.shape)
        y = backend.input(second, words(Y) if backend.me == second else None, Y.shape)
        return backend.open(backend.matmul([(x, y)]), ["p0"])

    opened = run(backends, program)["p0"]
    assert opened is not None
    return opened[0]
