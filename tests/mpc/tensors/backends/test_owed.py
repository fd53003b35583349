"""A product's correction is dealt only if shares of the product are needed. Whatever it is used for, it is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from mpc.errors import OrderError
from mpc.tensors.backends import DealerBackend, in_memory
from mpc.tensors.backends.handles import Handle, Mask, Owed
from mpc.tensors.backends.interface import Shared
from tests.mpc.tensors.backends.session import PROVIDER, names, run, signed, together, words

RNG = np.random.default_rng(21)
X, Y = RNG.integers(-200, 200, (5, 7)), RNG.integers(-200, 200, (5, 7))
PRODUCT = X * Y
Steps = Callable[[DealerBackend, Shared], Sequence[Shared]]


def rounded(backend: DealerBackend, value: Shared) -> Shared:
    return backend.truncate([value], 4, 2**30, "floor")[0]


def minus(backend: DealerBackend, value: Shared) -> Shared:
    return backend.linear(lambda w: np.uint64(0) - w, value.shape, value)


USES: dict[str, tuple[Steps, Sequence[np.ndarray]]] = {
    "opened": (lambda b, p: [p, p], [PRODUCT, PRODUCT]),
    "rounded": (lambda b, p: [rounded(b, p)], [PRODUCT >> 4]),
    "rounded, then opened": (lambda b, p: [rounded(b, p), p], [PRODUCT >> 4, PRODUCT]),
    "compared": (lambda b, p: b.negative([p], 2**20), [PRODUCT < 0]),
    "compared, then multiplied": (
        lambda b, p: [*b.negative([p], 2**20), *b.multiply([(p, p)])], [PRODUCT < 0, PRODUCT**2],
    ),
    "rounded, then multiplied": (lambda b, p: [rounded(b, p), *b.multiply([(p, p)])], [PRODUCT >> 4, PRODUCT**2]),
    "multiplied, then rounded": (lambda b, p: [*b.multiply([(p, p)]), rounded(b, p)], [PRODUCT**2, PRODUCT >> 4]),
    "twice multiplied": (
        lambda b, p: b.multiply([(b.multiply([(p, p)])[0], p), (p, minus(b, p))]), [PRODUCT**3, -(PRODUCT**2)],
    ),
    "rectified": (lambda b, p: b.relu([p], 2**20)[0], [np.maximum(PRODUCT, 0)]),
    "rounded as a sum": (
        lambda b, p: [rounded(b, b.add(minus(b, p), b.add_public(p, words(np.full((1, 7), 64))))), p],
        [np.full_like(PRODUCT, 4), PRODUCT],
    ),
    "a part that is masked, then all of it": (
        lambda b, p: [
            rounded(b, b.linear(lambda w: w[:2].copy(), (2, 7), p)), *b.multiply([(p, p)]),
            rounded(b, b.linear(lambda w: w[1:].copy(), (4, 7), p)),
        ],
        [PRODUCT[:2] >> 4, PRODUCT**2, PRODUCT[1:] >> 4],
    ),
    "masked, then a part of it multiplied": (
        lambda b, p: [rounded(b, p), *(b.multiply([(q, q)])[0] for q in [b.linear(lambda w: w.T.copy(), (7, 5), p)])],
        [PRODUCT >> 4, (PRODUCT**2).T],
    ),
    "added to what is whole": (
        lambda b, p: b.multiply([(b.add(p, rounded(b, p)), p)]), [(PRODUCT + (PRODUCT >> 4)) * PRODUCT],
    ),
    "turned, opened, then rounded and multiplied": (
        lambda b, p: [
            use for q in [minus(b, p)] for opened in [b.open([q], ["p1"])]
            for use in (rounded(b, q), *b.multiply([(q, q)]), *b.negative([q], 2**20))
        ],
        [-PRODUCT >> 4, PRODUCT**2, -PRODUCT < 0],
    ),
    "turned twice, opened between, then rounded": (
        lambda b, p: [
            rounded(b, minus(b, q)) for q in [b.linear(lambda w: w[::-1].copy(), p.shape, p)]
            for opened in [b.open([q], ["p0"])]
        ],
        [-PRODUCT[::-1] >> 4],
    ),
    "multiplied as a matrix": (
        lambda b, p: [rounded(b, p), *b.matmul([(p, b.linear(lambda w: w.T.copy(), (7, 5), p))])],
        [PRODUCT >> 4, PRODUCT @ PRODUCT.T],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", USES)
@pytest.mark.parametrize("n", [2, 3])
def test_whatever_a_product_is_used_for_it_is_right(n: int, name: str) -> None:
    steps, expected = USES[name]
    found = together(n, [words(X), words(Y)], lambda b, shared: steps(b, b.multiply([(shared[0], shared[1])])[0]))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert (signed(one) == other).all()


def given(steps: Steps) -> dict[str, int]:
    """How many words of each kind the provider gave."""

    def program(backend: DealerBackend) -> dict[str, int]:
        x = backend.input("p0", words(X) if backend.me == "p0" else None, X.shape)
        y = backend.input("p1", words(Y) if backend.me == "p1" else None, X.shape)
        backend.open(list(steps(backend, backend.multiply([(x, y)])[0])), ["p0"])
        return backend.cost.correlations

    found = run(in_memory(names(2), PROVIDER), program)
    assert found["p0"] == found["p1"] == found[PROVIDER]
    return found["p0"]


def test_a_correction_is_dealt_once_and_only_where_shares_are_needed() -> None:
    assert "settle" not in given(lambda b, p: b.truncate([p], 4, 2**30, "stochastic"))
    assert "settle" not in given(lambda b, p: b.negative([p], 2**20))
    assert given(lambda b, p: [p])["settle"] == X.size
    assert given(lambda b, p: [p, *b.multiply([(p, p)]), p])["settle"] == 2 * X.size  # of the product and its square
    assert given(lambda b, p: [rounded(b, p), *b.multiply([(p, p)])])["settle"] == 2 * X.size


def test_a_mask_is_completed_by_more_of_the_same_shares_alone() -> None:
    handle = Handle(None, (2,), words([1, 2]))
    opened = words([3, 4])
    with pytest.raises(OrderError, match="with more of its shares, found another"):
        handle.complete_mask(Mask(opened=opened))
    handle.mask = Mask(opened=opened, share=words([5, 6]), owed=Owed((2,), None))
    with pytest.raises(OrderError, match="with more of its shares, found another"):
        handle.complete_mask(Mask(opened=opened.copy(), share=words([7, 8])))
    handle.complete_mask(Mask(opened=opened, share=words([7, 8])))
    assert handle.mask.owed is None
    assert "5" not in repr(Owed((2,), words([5, 5])))
