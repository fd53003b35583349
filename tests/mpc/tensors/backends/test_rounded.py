"""A value that was rounded at random is masked from the start: its element-wise products open nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from mpc.errors import OrderError, RangeError
from mpc.tensors.backends import DealerBackend, in_memory
from mpc.tensors.backends.handles import Handle, Mask, Top
from mpc.tensors.backends.interface import Rounding, Shared, Times
from tests.mpc.tensors.backends.session import PROVIDER, names, run, signed, together, words

RNG = np.random.default_rng(31)
X, Y = RNG.integers(-500, 500, (6, 9)), RNG.integers(-500, 500, (6, 9))
Steps = Callable[[DealerBackend, Shared, Shared], Sequence[Shared]]


def rounded(backend: DealerBackend, value: Shared, bits: int = 6) -> Shared:
    """The value itself, because what is cut off is zero. So the rounding at random is exact."""
    lifted = backend.linear(lambda w: w << np.uint64(bits), value.shape, value)
    return backend.truncate([lifted], bits, 1 << (10 + bits), "stochastic")[0]


def product(backend: DealerBackend, x: Shared, y: Shared) -> Shared:
    return backend.multiply([(x, y)])[0]


USES: dict[str, tuple[Steps, Sequence[np.ndarray]]] = {
    "squared": (lambda b, x, y: [product(b, r, r) for r in [rounded(b, x)]], [X**2]),
    "with another": (lambda b, x, y: [product(b, rounded(b, x), rounded(b, y, 20))], [X * Y]),
    "with a masked one": (lambda b, x, y: [product(b, x, rounded(b, y)), product(b, rounded(b, x), y)], [X * Y, X * Y]),
    "by deep cuts": (lambda b, x, y: [product(b, rounded(b, x, 33), rounded(b, y, 34))], [X * Y]),
    "and rounded again": (
        lambda b, x, y: [product(b, r, r) for r in [b.truncate([product(b, q, q)], 0, 1, "stochastic")[0]
                                                    for q in [rounded(b, x)]]], [X**4],
    ),
    "four times": (
        lambda b, x, y: [product(b, q, q) for r in [rounded(b, x)] for q in [rounded(b, product(b, r, r), 8)]], [X**4],
    ),
    "and kept by a bit": (
        lambda b, x, y: [*b.keep_if(b.negative([y], 1000), [r := rounded(b, x)]), product(b, r, r)],
        [X * (Y < 0), X**2],
    ),
    "with one that is repeated": (
        lambda b, x, y: [product(b, rounded(b, b.linear(lambda w: w[:1].copy(), (1, 9), x)), rounded(b, y))],
        [X[:1] * Y],
    ),
    "in a matrix product before": (
        lambda b, x, y: [
            *b.matmul([(r := rounded(b, x), b.linear(lambda w: w.T.copy(), (9, 6), y))]), product(b, r, r),
        ],
        [X @ Y.T, X**2],
    ),
    "as a number": (
        lambda b, x, y: [product(b, r, r) for r in [rounded(b, b.linear(lambda w: np.array(w[0, 0]), (), x))]],
        [X[0, 0] ** 2],
    ),
    "moved and scaled": (
        lambda b, x, y: [
            product(b, b.linear(Times(-3), X.shape, b.add_public(rounded(b, x), words(7))), rounded(b, y)),
            product(b, b.add_public(b.linear(Times(5), X.shape, r := rounded(b, y)), words(2)), r),
        ],
        [-3 * (X + 7) * Y, (5 * Y + 2) * Y],
    ),
    "in sums": (
        lambda b, x, y: [
            product(b, b.add(r := rounded(b, x), q := rounded(b, y, 20)), r), product(b, b.subtract(q, r), q),
            product(b, b.subtract(b.constant(words(Y)), r), q),
            *b.multiply([(b.subtract(x, r), b.subtract(r, x))]),
            product(b, b.add(b.add(r, q), b.subtract(q, r)), q),
        ],
        [(X + Y) * X, (Y - X) * Y, (Y - X) * Y, 0 * X, 2 * Y * Y],
    ),
    "in a sum of which a part is repeated": (
        lambda b, x, y: [
            product(b, b.add(r := rounded(b, y), rounded(b, b.linear(lambda w: w[:1].copy(), (1, 9), x))), r),
        ],
        [(Y + X[:1]) * Y],
    ),
    "compared": (
        lambda b, x, y: [
            *b.negative([r := rounded(b, x), b.subtract(rounded(b, y), r), b.add_public(r, words(-100))], 2000),
            *b.negative([b.linear(lambda w: w[1:] - w[:-1], (5, 9), r)], 2000),
            *(relu := b.relu([r, b.subtract(r, q := rounded(b, y))], 2000))[0], *relu[1],
            *b.keep_if(b.negative([q], 1000), [r]),
        ],
        [
            X < 0, Y < X, X < 100, X[1:] < X[:-1], np.maximum(X, 0), np.maximum(X - Y, 0), X >= 0, X >= Y, X * (Y < 0),
        ],
    ),
    "opened": (lambda b, x, y: [r := rounded(b, x), product(b, r, r), b.add(r, r)], [X, X**2, 2 * X]),
}  # fmt: skip


@pytest.mark.parametrize("name", USES)
@pytest.mark.parametrize("n", [2, 3])
def test_products_of_rounded_values_are_exact(n: int, name: str) -> None:
    steps, expected = USES[name]
    found = together(n, [words(X), words(Y)], lambda b, shared: steps(b, *shared))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert (signed(one) == other).all()


@pytest.mark.parametrize("ring_bits", [16, 24, 40])
def test_they_are_exact_in_other_rings(ring_bits: int) -> None:
    """Cut by nine bits each, in a ring of 16 the product of what is taken off would count."""
    x, y = X % 7 - 3, Y % 7 - 3

    def program(backend: DealerBackend, shared: list[Shared]) -> list[Shared]:
        cut = [
            backend.truncate([backend.linear(lambda w: w << np.uint64(9), (6, 9), each)], 9, 3 << 9, "stochastic")[0]
            for each in shared
        ]
        return [product(backend, *cut), product(backend, cut[0], cut[0]), product(backend, cut[0], shared[1])]

    found = together(2, [words(x, ring_bits), words(y, ring_bits)], program, ring_bits)
    for one, other in zip(found, [x * y, x * x, x * y], strict=True):
        assert (signed(one, ring_bits) == other).all()


def test_a_product_of_what_was_rounded_takes_no_round_and_the_next_rounding_one() -> None:
    def program(backend: DealerBackend) -> list[int]:
        x = backend.input("p0", words(X) if backend.me == "p0" else None, X.shape)
        cut, rounds = rounded(backend, x), [backend.cost.rounds]
        for _ in range(3):
            square = product(backend, cut, cut)
            rounds.append(backend.cost.rounds)
            (cut,) = backend.truncate([square], 9, 2**40, "stochastic")
            rounds.append(backend.cost.rounds)
        return rounds

    found = run(in_memory(names(2), PROVIDER), program)
    assert found["p0"] == found["p1"] == [1, 1, 2, 2, 3, 3, 4]


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("rounding", ["stochastic", "floor", "nearest"])
def test_products_that_are_rounded_at_once_are_those_of_two_calls_by_one_message_less(
    n: int, rounding: Rounding
) -> None:
    """The factors are rounded, so that the provider deals something for the product as well as for its rounding."""

    def program(backend: DealerBackend, shared: list[Shared]) -> list[Shared]:
        one, other = (rounded(backend, each) for each in shared)
        pairs = [(one, other), (one, one)]
        before = messages_dealt(backend)
        found = backend.multiply_rounded(pairs, 4, 2**20, rounding)
        between = messages_dealt(backend)
        found += backend.truncate(backend.multiply(pairs), 4, 2**20, rounding)
        dealt.append([between - before, messages_dealt(backend) - between])
        return found

    dealt: list[list[int]] = []
    found = [signed(each) for each in together(n, [words(X), words(Y)], program)]
    assert dealt.count([1, 2]) == 1  # the last party, which alone gets corrections
    for exact, *results in zip([X * Y, X * X], found[:2], found[2:], strict=True):
        for result in results:
            lowest, highest = {
                "stochastic": (exact >> 4, -(-exact >> 4)), "floor": (exact >> 4, exact >> 4),
                "nearest": (exact + 8 >> 4, exact + 8 >> 4),
            }[rounding]  # fmt: skip
            assert (lowest <= result).all()
            assert (result <= highest).all()


def messages_dealt(backend: DealerBackend) -> int:
    """How many messages of the provider this party has received."""
    return 0 if backend.me == PROVIDER else backend._network.channel(PROVIDER)._received_frames


def test_products_that_are_rounded_at_once_refuse_a_bound_that_the_ring_has_no_room_for() -> None:
    def program(backend: DealerBackend) -> None:
        x = backend.input("p0", words(X) if backend.me == "p0" else None, X.shape)
        with pytest.raises(RangeError, match=r"expected a bound of 0 to 2\^62 - 1 to divide by 2\^4"):
            backend.multiply_rounded([(x, x)], 4, 2**62, "stochastic")
        assert backend.cost.rounds == 0

    run(in_memory(names(2), PROVIDER), program)


def test_the_mask_of_a_sum_of_rounded_values_is_made_when_it_is_needed_and_once() -> None:
    def program(backend: DealerBackend) -> None:
        x = backend.input("p0", words(X) if backend.me == "p0" else None, X.shape)
        cut, again = rounded(backend, x), rounded(backend, x)
        total = backend.add(cut, again)
        assert isinstance(total, Handle)
        assert isinstance(cut, Handle)
        parts = [each.rounded_later for each in (total, cut)]
        if backend.me != PROVIDER:  # who knows what it deals anyhow
            assert [part is not None and part.tops for part in parts] == [2, 1]
            assert all(part is not None and part._mask is None for part in parts)
        rounds = backend.cost.rounds
        product(backend, total, cut)
        assert backend.cost.rounds == rounds
        assert all(part is not None and part.mask is part.mask for part in parts)

    run(in_memory(names(2), PROVIDER), program)


def test_a_value_that_is_added_to_again_and_again_makes_its_mask_on_the_way() -> None:
    """Otherwise each sum would hold on to all those before, and the last would make them within each other."""

    def program(backend: DealerBackend) -> tuple[int, list[np.ndarray] | None]:
        x, y = (backend.input("p0", words(X) if backend.me == "p0" else None, X.shape) for _ in range(2))
        product(backend, x, y)  # so that both have masks of their own
        total: Shared = rounded(backend, x)
        depth = 0
        for _ in range(2000):
            total = backend.add(total, y)
            assert isinstance(total, Handle)
            depth = max(depth, total.rounded_later.depth if total.rounded_later else 0)
        return depth, backend.open([product(backend, total, y)], ["p0"])

    depth, opened = run(in_memory(names(2), PROVIDER), program)["p0"]
    assert 1 < depth < 8
    assert opened is not None
    assert (signed(opened[0]) == 2001 * X.astype(object) ** 2).all()


@pytest.mark.parametrize(("bits", "opens"), [(14, 0), (15, 1)])
def test_a_rounded_value_is_compared_without_an_opening_where_its_low_bits_suffice(bits: int, opens: int) -> None:
    """Of the 64 bits 50 were cut."""
    small, bound = X[:1, :4] % 5, 2 ** (bits - 1) - 1

    def program(backend: DealerBackend) -> tuple[list[int], list[np.ndarray] | None]:
        x = backend.input("p0", words(small) if backend.me == "p0" else None, small.shape)
        r = backend.truncate([backend.linear(Times(1 << 50), small.shape, x)], 50, 2**60, "stochastic")[0]
        rounds = [backend.cost.rounds]
        found = []
        for value in (r, backend.add_public(r, words(-2)), backend.add(r, r)):
            found += backend.negative([backend.linear(np.copy, small.shape, value)], bound)
            rounds.append(backend.cost.rounds)
        (kept,), (bit,) = backend.relu([r], bound)
        return [*np.diff([*rounds, backend.cost.rounds])], backend.open([*found, kept, bit], ["p0"])

    found, opened = run(in_memory(names(2), PROVIDER), program)["p0"]
    assert found == [2 + opens] * 4  # a tree of one level, and a bit on its way to the ring
    assert opened is not None
    expected = [small < 0, small < 2, small < 0, np.maximum(small, 0), small >= 0]
    assert all((signed(one) == other).all() for one, other in zip(opened, expected, strict=True))


def test_a_value_gets_one_mask_from_its_rounding_and_no_secret_is_printed() -> None:
    handle, mask = Handle(None, (2,), words([1, 2])), Mask(tops=(Top(3, words([1, 2]), words([7, 7]), words([7, 7])),))
    handle.rounded_mask = mask
    with pytest.raises(OrderError, match="without a mask of its rounding, found that it has one already"):
        handle.rounded_mask = mask
    assert "7" not in repr(mask.tops) + repr(mask)
