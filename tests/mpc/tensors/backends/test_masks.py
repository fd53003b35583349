"""A mask is opened once and serves all that follows from its value. Two values never share one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest

from mpc.errors import OrderError, ParameterError
from mpc.ring import Words
from mpc.tensors.backends import DealerBackend, in_memory
from mpc.tensors.backends import handles as handles_module
from mpc.tensors.backends.handles import Handle, Mask
from mpc.tensors.backends.interface import Shared, Times
from tests.mpc.tensors.backends.session import OUTSIDE, PROVIDER, names, outcomes, run, signed, transcript, words

RNG = np.random.default_rng(5)
X, Y = RNG.integers(-100, 100, (4, 6)), RNG.integers(-100, 100, (6, 3))
Steps = Callable[[DealerBackend, list[Shared]], Sequence[Shared]]


def opened_bytes(n: int, *steps: Steps) -> tuple[list[tuple[int, int]], list[Words]]:
    """For each step the rounds that it takes, and the words that the first party opens to the second.

    The inputs are those of an outside party, so that all open them alike.
    """
    backends = in_memory(names(n), PROVIDER, (OUTSIDE,), kept=True)

    def program(backend: DealerBackend) -> tuple[list[tuple[int, int]], list[Words] | None]:
        x = backend.input(OUTSIDE, words(X) if backend.me == OUTSIDE else None, X.shape)
        y = backend.input(OUTSIDE, words(Y) if backend.me == OUTSIDE else None, Y.shape)
        counts, results = [], []
        for step in steps:
            rounds, sent = backend.cost.rounds, _sent(backend)
            results += step(backend, [x, y])
            counts.append((backend.cost.rounds - rounds, (_sent(backend) - sent) // 8))
        return counts, backend.open(results, ["p0"])

    counts, results = run(backends, program)["p0"]
    assert results is not None
    return counts, results


def _sent(backend: DealerBackend) -> int:
    if backend.me not in backend.computing:
        return 0
    peer = "p1" if backend.me == "p0" else "p0"
    return sum(
        len(body) for direction, label, body in transcript(backend, peer) if direction == "sent" and "open" in label
    )


def transposed(backend: DealerBackend, value: Shared) -> Shared:
    return backend.linear(np.transpose, value.shape[::-1], value)


def test_a_value_that_is_compared_with_many_numbers_is_opened_once_and_multiplied_without_a_round() -> None:
    """In a ring that is just wide enough, one opening for each number would be longer than a mask of the value."""
    many = (9, *X.shape)
    offsets = words(np.arange(-4, 5).reshape(9, 1, 1) * 20)

    def compared(backend: DealerBackend, shared: list[Shared]) -> list[Shared]:
        own = backend.linear(lambda w: w.copy(), X.shape, shared[0])
        repeated = backend.linear(lambda w: np.broadcast_to(w, many).copy(), many, own)
        (bits,) = backend.negative([backend.add_public(repeated, offsets)], 200)
        before = backend.cost.rounds
        (kept,) = backend.keep_if([backend.linear(lambda w: w[0].copy(), X.shape, bits)], [own])
        assert backend.cost.rounds == before
        return [bits, kept]

    counts, (bits, values) = opened_bytes(2, compared)
    assert (signed(bits) == (X + np.arange(-4, 5).reshape(9, 1, 1) * 20 < 0)).all()
    assert (signed(values) == X * (X < 80)).all()
    count = 9 * X.size
    plane = -(-count // 64)
    assert counts[0][1] <= X.size + 7 * plane < count  # the mask, six bits in the tree, and one on its way to the ring


@pytest.mark.parametrize("n", [2, 3])
def test_what_is_dealt_about_a_value_serves_its_comparisons_with_many_numbers(n: int) -> None:
    """They stand below each other in planes, beside others whose sizes are no multiples of a word."""
    x, y = RNG.integers(-100, 100, 70), RNG.integers(-100, 100, (3, 5))
    dealt: list[int] = []

    def program(backend: DealerBackend) -> list[Words] | None:
        a = backend.input("p0", words(x) if backend.me == "p0" else None, x.shape)
        b = backend.input("p1", words(y) if backend.me == "p1" else None, y.shape)
        backend.multiply([(a, a), (b, b)])
        near = [backend.add_public(a, words(-offset)) for offset in (-50, 0, 50)]
        far = [b, backend.linear(np.negative, y.shape, b), backend.add_public(b, words(y * 0 + 3))]
        found = []
        for values in (near, [near[0], b, near[1], far[1], near[2], far[2]]):
            before = backend.cost.correlations.get("negative", 0)
            found += backend.negative(values, 200)
            if backend.me == "p0":
                dealt.append(backend.cost.correlations["negative"] - before)
        return backend.open(found, ["p0"])

    found = run(in_memory(names(n), PROVIDER), program)["p0"]
    assert found is not None
    near = [x < -50, x < 0, x < 50]
    expected = [*near, near[0], y < 0, near[1], y > 0, near[2], y + 3 < 0]
    assert all((signed(one) == other).all() for one, other in zip(found, expected, strict=True))
    # Of nine bits eight are in two groups. A secret takes 31 planes of its bits, each comparison one of products of
    # masks in the tree, and each value its bit in the ring.
    assert dealt == [31 * 2 + 3 * 2 + 3 * 70, 31 * (2 + 1 + 1) + (3 * 2 + 2 + 1) + 3 * 70 + 3 * 15]


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("ring_bits", [64, 40])
def test_both_sides_of_an_interval_take_one_comparison(n: int, ring_bits: int) -> None:
    x, y = RNG.integers(-100, 100, (7, 11)), RNG.integers(-100, 100, 66)
    x[0, :3], y[:3] = (-50, 30, 29), (0, 9, -1)
    dealt: list[int] = []

    def program(backend: DealerBackend) -> list[Words] | None:
        a = backend.input("p0", words(x, ring_bits) if backend.me == "p0" else None, x.shape)
        b = backend.input("p1", words(y, ring_bits) if backend.me == "p1" else None, y.shape)
        rounded = backend.truncate([backend.linear(Times(16), x.shape, a)], 4, 1600, "stochastic")[0]
        before = backend.cost.rounds
        inside, below = backend.between([rounded, b, rounded], [(-50, 30), (0, 9), (7, 7)], 200)
        dealt.append(backend.cost.correlations.get("between", 0))
        kept = backend.keep_if(inside, [rounded, b, rounded])
        if backend.me == "p0":  # a mask of b, the tree, and the bits on their way to the ring
            assert backend.cost.rounds - before == 3
        return backend.open([*inside, *below, *kept], ["p0"])

    found = run(in_memory(names(n), PROVIDER, ring_bits=ring_bits), program)["p0"]
    assert found is not None
    inside = [(x >= -50) & (x < 30), (y >= 0) & (y < 9), x < -1000]
    expected = [*inside, x < 30, y < 9, x < 7, x * inside[0], y * inside[1], x * 0]
    assert all((signed(one, ring_bits) == other).all() for one, other in zip(found, expected, strict=True))
    # Of each secret 31 planes of two words, of which rounded has one for all four ends. See below for the rest.
    assert set(dealt) == {31 * (2 + 2) + (4 * 2 + 2 * 2) + 4 * 77 + 2 * 66}


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize(("ends", "opened"), [((5,), 2), ((-40, 0, 30), 2), ((-40, -7, 0, 5, 30, 99), 8)])
def test_a_value_is_compared_with_public_numbers_at_once(n: int, ends: Sequence[int], opened: int) -> None:
    """Few ends open sixteen bits in a narrow ring, and many ends a whole mask, which serves products."""
    x = RNG.integers(-100, 100, 67)
    x[: len(ends)] = ends

    def program(backend: DealerBackend) -> tuple[list[int], list[Words] | None]:
        a = backend.input("p0", words(x) if backend.me == "p0" else None, x.shape)
        own, before = backend.linear(lambda w: w.copy(), x.shape, a), 0 if backend.me == PROVIDER else _sent(backend)
        bits = backend.below(own, ends, 2**15 - 1)
        sent = 0 if backend.me == PROVIDER else _sent(backend) - before
        again = backend.below(backend.add_public(own, words(1)), ends, 2**15 - 1)
        return [sent, backend.cost.correlations.get("below", 0)], backend.open([*bits, *again], ["p0"])

    (sent, dealt), found = run(in_memory(names(n), PROVIDER, kept=True), program)["p0"]
    assert found is not None
    expected = [*(x < end for end in ends), *(x + 1 < end for end in ends)]
    assert all((signed(one) == other).all() for one, other in zip(found, expected, strict=True))
    # Fifteen bits are in four groups, for which a node opens six planes. A plane is on its way to the ring. A secret
    # takes 53 planes of its bits, and a node 15 of products of masks.
    assert sent == opened * x.size + 8 * 2 * len(ends) * (6 + 1)
    assert dealt == 2 * (53 * 2 + len(ends) * (15 * 2 + x.size))


@pytest.mark.parametrize("n", [2, 3])
def test_what_is_noted_ahead_is_opened_in_the_round_of_what_is_opened_next(n: int) -> None:
    x, y = RNG.integers(-100, 100, (2, 5))

    def program(backend: DealerBackend) -> tuple[list[int], list[Words] | None]:
        a = backend.input("p0", words(x) if backend.me == "p0" else None, x.shape)
        b = backend.input("p1", words(y) if backend.me == "p1" else None, y.shape)
        rounds = [backend.cost.rounds]
        parts = [backend.linear(lambda w, at=at: w[at : at + 1].copy(), (1,), b) for at in (0, 1)]
        backend.mask_ahead([b])
        backend.mask_ahead([parts[0]])  # which would mask all of b
        found = [*backend.multiply([(a, a)])]
        rounds.append(backend.cost.rounds)
        found += backend.multiply([(a, b), (b, b), (parts[0], parts[1])])
        rounds.append(backend.cost.rounds)
        assert not backend._party.ahead
        return rounds, backend.open(found, ["p0"])

    rounds, found = run(in_memory(names(n), PROVIDER, (OUTSIDE,)), program)["p0"]
    assert rounds == [0, 1, 1]
    assert found is not None
    expected = [x * x, x * y, y * y, y[:1] * y[1:2]]
    assert all((signed(one) == other).all() for one, other in zip(found, expected, strict=True))


def test_no_larger_value_is_masked_ahead() -> None:
    def noted(backend: DealerBackend, shared: list[Shared]) -> Sequence[Shared]:
        backend.mask_ahead([backend.linear(lambda w: w[:1].copy(), (1, 6), shared[0])])
        return backend.multiply([(shared[1], shared[1])])

    counts, (found,) = opened_bytes(2, noted)
    assert counts == [(1, Y.size)]
    assert (signed(found) == Y**2).all()


def test_ends_that_lie_the_wrong_way_are_refused() -> None:
    def program(backend: DealerBackend) -> None:
        a = backend.input("p0", words(X) if backend.me == "p0" else None, X.shape)
        backend.between([a], [(3, 2)], 200)

    for error in outcomes(in_memory(names(2), PROVIDER), program).values():
        assert isinstance(error, ParameterError)
        assert "a lower and an upper end for each of 1 values, found [(3, 2)]" in str(error)


@pytest.mark.parametrize("n", [2, 3])
def test_forward_backward_and_later_epochs_open_a_tensor_once(n: int) -> None:
    def epoch(backend: DealerBackend, shared: list[Shared]) -> list[Shared]:
        x, y = shared
        (forward,) = backend.matmul([(x, y)])
        (backward,) = backend.matmul([(transposed(backend, x), forward)])  # opens what is new alone
        return [backward]

    counts, results = opened_bytes(n, epoch, epoch)
    assert counts == [(2, X.size + Y.size + 4 * 3), (1, 4 * 3)]
    for result in results:
        assert (signed(result) == X.T.dot(X.dot(Y))).all()


def test_a_square_takes_one_mask_and_a_mask_serves_every_operation() -> None:
    counts, results = opened_bytes(
        2,
        lambda backend, s: backend.multiply([(s[0], s[0])]),
        lambda backend, s: backend.truncate([s[0]], 3, 100, "stochastic"),
        lambda backend, s: backend.multiply([(s[0], s[0]), (transposed(backend, s[0]), transposed(backend, s[0]))]),
    )
    assert counts == [(1, X.size), (0, 0), (0, 0)]
    assert (signed(results[0]) == X * X).all()
    assert (np.abs(signed(results[1]) * 8 - X) < 8).all()
    assert (signed(results[3]) == (X * X).T).all()


def test_relu_takes_the_rounds_of_its_comparison_and_its_bit_is_masked() -> None:
    def backward(backend: DealerBackend, shared: list[Shared]) -> list[Shared]:
        (kept,), (positive,) = backend.relu([shared[0]], 100)
        return [kept, *backend.keep_if([positive], [shared[0]])]

    counts, results = opened_bytes(2, backward)
    # c, one level for the 7 low bits (two planes), and the bit. A plane of 24 values is one word.
    assert counts == [(3, X.size + 2 + 1)]
    assert (signed(results[0]) == np.maximum(X, 0)).all()
    assert (signed(results[1]) == np.maximum(X, 0)).all()


@pytest.mark.parametrize(
    ("bits", "few", "many"),
    [(1, 2, 2), (4, 2, 2), (5, 3, 3), (16, 3, 3), (17, 3, 4), (32, 3, 4), (33, 4, 4), (63, 4, 4)],
)
def test_a_comparison_takes_a_round_for_every_four_groups_of_four_bits(bits: int, few: int, many: int) -> None:
    """One opens the value, and one takes the bit to the ring. Up to eight groups of few values take a single round."""
    most = 2**bits - 1
    numbers = [np.resize([most, -most, 0, -1, 1, most // 3, -(most // 5)], count) for count in (3, 50_000)]

    def compared(values: np.ndarray, backend: DealerBackend, shared: list[Shared]) -> Sequence[Shared]:
        zeros = backend.linear(
            lambda w: np.zeros(values.shape, np.uint64) + w[:1, 0] * np.uint64(0), values.shape, shared[0]
        )
        return backend.negative([backend.add_public(zeros, values.astype(np.uint64))], most)

    counts, found = opened_bytes(2, *[partial(compared, values) for values in numbers])
    assert [rounds for rounds, _ in counts] == [few, many]
    for result, values in zip(found, numbers, strict=True):
        assert (signed(result) == (values < 0)).all()


@pytest.mark.parametrize("n", [2, 3])
def test_what_all_know_is_never_opened_and_takes_no_triple(n: int) -> None:
    """Initial weights are such constants. What is trained from them is masked by the mask of what was added."""
    known = words(RNG.integers(-100, 100, (3, 4)))
    flat, square = signed(known).astype(np.int64), signed(known[:, :3]).astype(np.int64)

    def first(backend: DealerBackend, shared: list[Shared]) -> Sequence[Shared]:
        weights = backend.constant(known)
        more = backend.add_public(backend.linear(np.transpose, (4, 3), weights), words(1))
        found = [*backend.matmul([(weights, shared[0]), (more, weights)]), *backend.multiply([(weights, weights)])]
        assert "settle" not in backend.cost.correlations
        return found

    def compared(backend: DealerBackend, shared: list[Shared]) -> Sequence[Shared]:
        weights = backend.constant(known)
        (bits,) = backend.negative([weights], 7 << 4)
        (kept,) = backend.keep_if([bits], [weights])
        return [bits, kept, *backend.relu([weights], 7 << 4)[0], *backend.truncate([weights], 1, 128, "floor")]

    def trained(backend: DealerBackend, shared: list[Shared]) -> Sequence[Shared]:
        part = backend.linear(lambda w: w[:3, :3].copy(), (3, 3), shared[0])
        weights = backend.subtract(backend.constant(known[:, :3].copy()), part)
        return backend.matmul([(weights, weights), (weights, part)])

    counts, found = opened_bytes(n, first, compared, trained)
    assert counts[0] == (1, X.size)
    assert counts[1] == (5, 7)  # two trees of one level with a bit on its way to the ring, and a bit of what is cut off
    assert counts[2] == (0, 0)
    expected = [
        flat @ X, (flat.T + 1) @ flat, flat**2, flat < 0, flat * (flat < 0), np.maximum(flat, 0), flat >> 1,
        (square - X[:3, :3]) @ (square - X[:3, :3]), (square - X[:3, :3]) @ X[:3, :3],
    ]  # fmt: skip
    for one, other in zip(found, expected, strict=True):
        assert (signed(one) == other).all()


def test_bits_stay_masked_where_elements_are_picked_or_negated() -> None:
    """1 - bit, slices and repetitions open nothing, and a sum of bits opens what is new."""

    def picked(backend: DealerBackend, shared: list[Shared]) -> list[Shared]:
        backend.multiply([(shared[0], shared[0])])
        (bit,) = backend.negative([shared[0]], 100)
        flipped = backend.add_public(backend.linear(np.negative, X.shape, bit), words(1))
        part = backend.linear(lambda a: np.repeat(a[::-1, 1:2], 6, axis=1), X.shape, flipped)
        again = backend.linear(lambda a: -a[:, ::-1], X.shape, part)
        return backend.keep_if([flipped, part, again], [shared[0]] * 3)

    def summed(backend: DealerBackend, shared: list[Shared]) -> list[Shared]:
        (bit,) = backend.negative([shared[0]], 100)
        total = backend.linear(lambda a: a.sum(axis=0), (6,), bit)
        twice = backend.linear(lambda a: a + a, X.shape, bit)
        first = backend.linear(lambda a: a[:1, :1] + a[:1, :1], (1, 1), bit)  # 1 + 1 looks as the second of 1, 2, 3
        return backend.multiply([(total, shared[0]), (twice, shared[0]), (first, shared[0])])

    counts, results = opened_bytes(2, picked, summed)
    comparison = 2 + 1  # words, see above
    assert counts == [(3, X.size + comparison), (3, comparison + 6 + X.size + 1)]
    flipped = (X >= 0).astype(object)
    part = np.repeat(flipped[::-1, 1:2], 6, axis=1)
    expected = [flipped * X, part * X, -part[:, ::-1] * X, (1 - flipped).sum(axis=0) * X, 2 * (1 - flipped) * X]
    expected.append(2 * (1 - flipped[0, 0]) * X)
    for result, wanted in zip(results, expected, strict=True):
        assert (signed(result) == wanted).all()


def test_a_function_that_treats_shares_otherwise_than_public_arrays_is_refused() -> None:
    backends = in_memory(names(2), PROVIDER, deadline_s=60)

    def program(backend: DealerBackend) -> None:
        x = backend.input("p0", words(X) if backend.me == "p0" else None, X.shape)
        (bit,) = backend.negative([x], 100)
        calls = iter(range(10))
        with pytest.raises(ParameterError, match="does with every array what it did with another"):
            backend.linear(lambda a: a if next(calls) else -a, X.shape, bit)

    found = outcomes(backends, program)
    assert [found[name] for name in names(2)] == [None, None]


def test_slices_of_an_input_are_masked_with_the_whole_of_it() -> None:
    def batches(backend: DealerBackend, shared: list[Shared]) -> list[Shared]:
        found = []
        for start in (0, 2):
            part = backend.linear(lambda a, start=start: a[start : start + 2], (2, 6), shared[0])
            found += backend.matmul([(part, shared[1])])
        return found

    counts, results = opened_bytes(2, batches, batches)
    assert counts == [(1, X.size + Y.size), (0, 0)]
    assert (np.concatenate([signed(result) for result in results[:2]]) == X.dot(Y)).all()


def test_what_is_larger_than_its_origin_is_masked_by_it_and_sums_of_masked_values_are_masked() -> None:
    def first(backend: DealerBackend, shared: list[Shared]) -> list[Shared]:
        (product,) = backend.multiply([(shared[0], shared[0])])  # no input any more
        spread = backend.linear(lambda a: np.repeat(a, 3, axis=1), (4, 18), product)
        return backend.multiply([(spread, spread)])

    def second(backend: DealerBackend, shared: list[Shared]) -> list[Shared]:
        twice = backend.add(shared[0], shared[0])
        moved = backend.subtract(backend.add_public(twice, words([[7]])), shared[0])
        return backend.multiply([(moved, moved)])

    counts, results = opened_bytes(2, first, second)
    assert counts == [(2, X.size * 2), (0, 0)]
    assert (signed(results[0]) == np.repeat(X**4, 3, axis=1)).all()
    assert (signed(results[1]) == (X + 7) ** 2).all()


def test_a_value_that_is_updated_for_ever_does_not_remember_all_that_it_was() -> None:
    backends = in_memory(names(2), PROVIDER)

    def program(backend: DealerBackend) -> int:
        value: Shared = backend.input("p0", words(X) if backend.me == "p0" else None, X.shape)
        for _ in range(100):
            value = transposed(backend, value)
        length, reached = 0, value
        while isinstance(reached, Handle) and reached.origin is not None:
            length, reached = length + 1, reached.origin.parents[0]
        return length

    assert set(run(backends, program).values()) <= set(range(handles_module.LONGEST_ORIGIN + 1))


def test_two_values_under_one_mask_are_refused_and_would_open_their_difference() -> None:
    """What must never happen, and what it would show."""
    handle = Handle(None, (3,), None)
    handle.mask = Mask(value=words([1, 2, 3]))
    with pytest.raises(OrderError, match=r"expected Handle\(shape=\(3,\)\) without a mask, found that it has one"):
        handle.mask = Mask(value=words([1, 2, 3]))
    handle.bit_mask = Mask()
    with pytest.raises(OrderError, match="without a bit's mask"):
        handle.bit_mask = Mask()
    mask = RNG.integers(0, 2**64, 3, dtype=np.uint64)
    first, second = words([5, 6, 7]) - mask, words([9, 6, 3]) - mask
    assert (signed(first - second) == [-4, 0, 4]).all()


@pytest.mark.parametrize("n", [2, 3])
def test_no_mask_serves_two_values_in_a_whole_program(n: int) -> None:
    """All that is opened is different, although the same value comes again and again in new sharings."""
    backends = in_memory(names(n), PROVIDER, kept=True)

    def program(backend: DealerBackend) -> None:
        for _ in range(3):
            x = backend.input("p0", words(X) if backend.me == "p0" else None, X.shape)
            y = backend.multiply([(x, x)])[0]
            same = backend.subtract(backend.add(y, x), x)
            backend.multiply([(y, x), (same, same)])
            backend.truncate([y, same], 4, 10**4, "floor")
            backend.relu([same], 10**4)

    run(backends, program)
    opened = [body for _, label, body in transcript(backends["p0"], "p1") if label.startswith("open/")]
    seen = np.concatenate([np.frombuffer(body, dtype=np.uint64) for body in opened if len(body) % 8 == 0])
    assert seen.size > 300
    assert np.unique(seen).size == seen.size


@pytest.mark.parametrize(("owner", "refusing"), [(OUTSIDE, ("p0", "p1")), ("p0", ("p0",))])
def test_a_function_that_changes_after_its_call_is_refused(owner: str, refusing: Sequence[str]) -> None:
    """A loop's variable is the common case. Its last value would silently stand for all others.

    Whoever has a share of the value notices. That of an input is its owner's alone, if it computes.
    """
    backends = in_memory(names(2), PROVIDER, (OUTSIDE,), deadline_s=60)

    def program(backend: DealerBackend) -> None:
        x = backend.input(owner, words(X) if backend.me == owner else None, X.shape)
        rows = []
        for row in range(2):
            rows.append(backend.linear(lambda a: a[row], (6,), x))  # noqa: B023 - the point of this test
        backend.multiply([(rows[0], rows[1])])

    found = outcomes(backends, program)
    for name in refusing:
        assert isinstance(found[name], ParameterError), found[name]
        assert "expected a linear function that gives the same whenever it is called" in str(found[name])


def test_handles_and_masks_print_no_share() -> None:
    handle = Handle(None, (2,), np.full(2, 123456789, dtype=np.uint64))
    handle.came_from(np.negative, Handle(None, (2,), np.full(2, 123456789, dtype=np.uint64)))
    for printed in (handle, handle.origin, Mask(opened=np.full(2, 123456789, dtype=np.uint64))):
        assert "123456789" not in repr(printed)


def test_a_part_of_a_very_large_input_is_masked_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handles_module, "LARGEST_WHOLE", X.size - 1)

    def batch(backend: DealerBackend, shared: list[Shared]) -> list[Shared]:
        part = backend.linear(lambda a: a[:2], (2, 6), shared[0])
        return backend.multiply([(part, part)])

    counts, _ = opened_bytes(2, batch, batch)
    assert counts == [(1, 12), (1, 12)]
