"""Three parties: what one that is curious would see if a defence were missing, and that with it there is nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from mpc.errors import OrderError, ParameterError, ProtocolError
from mpc.ring import Words
from mpc.tensors.backends import replicated
from mpc.tensors.backends.interface import Shape
from mpc.tensors.backends.kernels import from_plane
from mpc.tensors.backends.replicated import comparison, masked
from mpc.tensors.backends.replicated.backend import ReplicatedBackend
from mpc.tensors.backends.replicated.keys import Keys
from mpc.tensors.backends.replicated.trio import Replica, Trio
from mpc.tensors.network import Network
from tests.mpc.tensors.backends.session import (
    OUTSIDE,
    REPLICATED,
    names,
    outcomes,
    run,
    sessions_of,
    signed,
    transcript,
    words,
)
from tests.mpc.tensors.backends.test_views import LARGEST, SHAPE, everything, p_value

RNG = np.random.default_rng(17)
X = words(RNG.integers(-1000, 1000, 600))


def received(backend: ReplicatedBackend, peer: str, kind: str) -> list[Words]:
    """All bodies of a kind that a party got from a peer, as words."""
    return [
        np.frombuffer(body, dtype=np.uint64)
        for direction, label, body in transcript(backend, peer)
        if direction == "received" and label.startswith(kind)
    ]


def without(monkeypatch: pytest.MonkeyPatch, purpose: str) -> None:
    """Take out what hides one kind of message: all words that come from keys for it are zero."""
    draw = Trio.draw

    def weak(trio: Trio, component: int, what: str, shape: Shape, bits: int, owner: str = "") -> Words:
        return np.zeros(shape, dtype=np.uint64) if what == purpose else draw(trio, component, what, shape, bits, owner)

    monkeypatch.setattr(Trio, "draw", weak)


def inverse(odd: Words) -> Words:
    """The inverses of odd numbers modulo 2^64, by Newton's steps."""
    found = odd.copy()
    for _ in range(6):
        found *= np.uint64(2) - odd * found
    return found


@pytest.mark.parametrize("defended", [True, False])
@pytest.mark.parametrize(("curious", "kind"), [("p2", "around/products"), ("p1", "third/cut")])
def test_a_product_shows_the_factor_of_another_without_the_share_of_zero(
    curious: str, kind: str, defended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What p0 sends of x y is x y_0 to p2, whose y is, and x_0 y_1 to p1, but for the share of zero. They divide."""
    if not defended:
        monkeypatch.setattr(Trio, "zero", lambda _, shape: np.zeros(shape, dtype=np.uint64))
    backends = sessions_of(REPLICATED, kept=True)

    def program(backend: ReplicatedBackend) -> tuple[Words, Words] | None:
        x = backend.input("p0", X if backend.me == "p0" else None, X.shape)
        y = backend.input(curious, X if backend.me == curious else None, X.shape)
        (product,) = backend.multiply([(x, y)])
        if curious == "p2":
            backend.multiply([(product, product)])
        else:
            backend.truncate([product], 4, 10**6, "stochastic")
        return x.pair, y.pair

    x, y = run(backends, program)[curious]
    (z,) = received(backends[curious], "p0", kind)
    own, known = (y[1], 0) if curious == "p2" else (y[0], x[0])  # y_0, or y_1 and x_1
    odd = (own & np.uint64(1)).astype(bool)
    assert 200 < odd.sum() < 400
    found = (z * inverse(own | np.uint64(1)) + known)[odd]
    assert (found == X[odd]).all() == (not defended)
    if defended:
        assert (found == X[odd]).sum() == 0


@pytest.mark.parametrize("defended", [True, False])
def test_a_value_stands_open_without_the_third_partys_mask(defended: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What p0 gets for a truncation is the component that it lacks, less one that it has, under the mask."""
    if not defended:
        without(monkeypatch, "mask")
    backends = sessions_of(REPLICATED, (OUTSIDE,), kept=True)

    def program(backend: ReplicatedBackend) -> Any:
        x = backend.input(OUTSIDE, X if backend.me == OUTSIDE else None, X.shape)
        backend.truncate([x], 4, 1000, "stochastic")
        return x.pair

    pair = run(backends, program)["p0"]
    (message,) = received(backends["p0"], "p2", "third/cut")
    found = pair[0] + pair[1] + message[: X.size] + pair[0]
    assert (found == X).sum() == (0 if defended else X.size)
    assert received(backends["p1"], "p2", "third/") == []


@pytest.mark.parametrize("defended", [True, False])
def test_a_sign_shows_itself_without_the_words_that_hide_paired_shares(
    defended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """p1 gets d_0 b_1 from p0. It knows b_1 and d_2, and where b_1 is one it knows d, and so the bit d ^ b_1."""
    if not defended:
        without(monkeypatch, "paired")
    seen: dict[str, Any] = {}
    shared = comparison.from_third

    def spied(trio: Trio, *rest: Any) -> Any:
        found = seen[trio.network.me] = shared(trio, *rest)
        return found

    def with_plane(trio: Trio, plane: Any, shapes: Any) -> Any:
        seen[f"{trio.network.me} plane"] = plane
        return to_ring(trio, plane, shapes)

    to_ring = comparison.to_ring
    monkeypatch.setattr(comparison, "from_third", spied)
    monkeypatch.setattr(comparison, "to_ring", with_plane)
    backends = sessions_of(REPLICATED, kept=True)

    def program(backend: ReplicatedBackend) -> None:
        x = backend.input("p0", X if backend.me == "p0" else None, X.shape)
        backend.negative([x], 1000)

    run(backends, program)
    (product,) = received(backends["p1"], "p0", "paired/bits to ring")
    (d,) = seen["p1"]
    known = from_plane(seen["p1 plane"][0], X.size).astype(bool)
    assert 200 < known.sum() < 400
    bit = (product + d)[known] ^ np.uint64(1)
    assert (bit == (signed(X) < 0)[known]).all() == (not defended)


@pytest.mark.parametrize("defended", [True, False])
def test_an_outside_receiver_sees_fresh_shares_of_every_opened_value(
    defended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without them it could tell that two opened values are one and the same sharing."""
    if not defended:
        without(monkeypatch, "output")
    backends = sessions_of(REPLICATED, (OUTSIDE,), kept=True)

    def program(backend: ReplicatedBackend) -> list[Words] | None:
        x = backend.input("p1", X if backend.me == "p1" else None, X.shape)
        first, second = backend.open([x], [OUTSIDE]), backend.open([x], [OUTSIDE])
        return None if first is None or second is None else [*first, *second]

    opened = run(backends, program)[OUTSIDE]
    assert all((array == X).all() for array in opened)
    for name in ("p0", "p1"):
        first, second = received(backends[OUTSIDE], name, "output")
        assert (first != second).any() == defended
    assert received(backends[OUTSIDE], "p2", "output") == []


@pytest.mark.parametrize("value", [0, LARGEST])
def test_what_is_open_under_a_mask_is_uniform_to_the_first_two_and_unknown_to_the_third(
    value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, masked.Masked]] = []
    opened = masked.mask

    def spied(trio: Trio, what: str, values: Sequence[Replica], *rest: Any) -> masked.Masked:
        found = opened(trio, what, values, *rest)
        seen.append((trio.network.me, found))
        return found

    monkeypatch.setattr(comparison, "mask", spied)
    monkeypatch.setattr("mpc.tensors.backends.replicated.truncation.mask", spied)
    run(sessions_of(REPLICATED, (OUTSIDE,)), lambda backend: everything(backend, words(np.full(SHAPE, value))))
    wires = {16: "<u2", 64: "<u8"}
    for name in names(3):
        mine = [found for who, found in seen if who == name]
        assert len(mine) == 5
        for found in mine:
            assert (found.opened is None) == (name == "p2")
            if found.opened is not None:
                assert p_value(found.opened.astype(wires[found.bits]).tobytes()) > 1e-7


def test_no_two_values_are_opened_under_one_mask() -> None:
    """The same value comes again and again, and what each party gets is new every time."""
    backends = sessions_of(REPLICATED, kept=True)

    def program(backend: ReplicatedBackend) -> None:
        x = backend.input("p0", X if backend.me == "p0" else None, X.shape)
        for _ in range(3):
            backend.truncate(backend.multiply([(x, x)]), 4, 10**7, "stochastic")
            backend.multiply([tuple(backend.multiply([(x, x), (x, x)]))])
            backend.truncate([x], 4, 10**4, "floor")
            backend.relu([x], 2**62)

    run(backends, program)
    for name in names(3):
        got = [
            np.frombuffer(body, dtype=np.uint64)
            for peer in set(names(3)) - {name}
            for direction, label, body in transcript(backends[name], peer)
            if direction == "received" and not label.startswith("join/") and len(body) % 8 == 0
        ]
        seen = np.concatenate(got)
        assert seen.size > 4000
        assert np.unique(seen).size == seen.size


@pytest.mark.parametrize(
    ("parties", "outside", "bits", "sentence"),
    [
        (("a", "b"), (), 64, "exactly 3 computing parties for the back-end replicated, found 2"),
        (("a", "b", "c", "d"), (), 64, "found 4"),
        (("a", "b", "a"), (), 64, "expected every party once, found a, b, a"),
        (("a", "b", "c"), ("c",), 64, "expected every party once, found a, b, c, c"),
        (("a", "b", "c"), (), 65, "expected a ring of 16 to 64 bits in whole bytes, found 65 bits"),
        (("a", "b", "c"), (), 8, "found 8 bits"),
        (("d", "b", "c"), (), 64, "expected one of d, b, c, found a"),
        (("a", "b", "c"), (), 64, r"expected a to have channels to \['b', 'c'\], found \[\]"),
    ],
)
def test_parties_and_rings_that_it_cannot_have(
    parties: tuple[str, ...], outside: tuple[str, ...], bits: int, sentence: str
) -> None:
    with pytest.raises(ParameterError, match=sentence):
        ReplicatedBackend.join(Network("a", {}), computing=parties, outside=outside, ring_bits=bits)


def test_a_provider_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"expected no provider of correlations .* replicated, found carol"):
        replicated.in_memory(names(3), "carol")


def test_parties_that_are_out_of_step_refuse_each_other() -> None:
    for first, second, sentence in [
        (lambda b, x: b.truncate([x], 5, 9, "stochastic"), lambda b, x: b.truncate([x], 7, 9, "stochastic"),
         "found message 'third/cut by 7 bits, stochastic/0/600'"),
        (lambda b, x: b.negative([x], 7), lambda b, x: b.negative([x], 8),
         "expected message 'third/sign of 4 bits/0/600', found message 'third/sign of 5 bits/0/600'"),
        (lambda b, x: b.keep_if([x], b.multiply([(x, x)])),
         lambda b, x: b.keep_if([x], b.multiply([(b.linear(lambda a: a[:1], (1,), x),) * 2])),
         "found message 'around/products/0/1'"),
    ]:  # fmt: skip
        backends = sessions_of(REPLICATED, deadline_s=60)

        def program(backend: ReplicatedBackend, first: Any = first, second: Any = second) -> None:
            x = backend.input("p0", X if backend.me == "p0" else None, X.shape)
            (second if backend.me == "p2" else first)(backend, x)

        found = outcomes(backends, program)
        refused = [str(error) for error in found.values() if isinstance(error, ProtocolError)]
        assert any(sentence in each for each in refused), found


def test_a_party_of_another_back_end_is_refused() -> None:
    backends = sessions_of(REPLICATED)
    other = sessions_of(3)["p0"]
    with pytest.raises(ParameterError, match="expected a shared array of this back-end, found a Handle"):
        backends["p0"].add(other.constant(X), other.constant(X))
    with pytest.raises(ParameterError, match="expected a shared array of this back-end, found a Replica"):
        other.add(backends["p0"].constant(X), backends["p0"].constant(X))


def test_it_says_whom_to_trust_and_what_it_cost_and_prints_no_share() -> None:
    backends = sessions_of(REPLICATED, (OUTSIDE,))

    def program(backend: ReplicatedBackend) -> Replica:
        x = backend.input(OUTSIDE, X if backend.me == OUTSIDE else None, X.shape)
        backend.open(backend.multiply([(x, x)]), [OUTSIDE])
        return x

    values = run(backends, program)
    for name in (*names(3), OUTSIDE):
        assert backends[name].trust == (
            "replicated: all parties follow the protocol, and no two of p0, p1 and p2 collude; nobody deals anything"
        )
        assert backends[name].cost.correlations == {}
    costs = {name: backend.cost for name, backend in backends.items()}
    assert [costs[name].rounds for name in ("p0", "p1", "p2", OUTSIDE)] == [1, 2, 2, 1]
    assert sum(cost.sent for cost in costs.values()) == sum(cost.received for cost in costs.values())
    assert repr(values["p0"]) == "Replica(shape=(600,))"
    for each in (backends["p0"]._keys, backends["p0"]._trio, backends["p0"]):
        assert str(next(iter(backends["p0"]._keys._seeds.values()))) not in repr(each)
    assert repr(Keys) != repr(backends["p0"]._keys) == "Keys(<hidden>)"


def test_whoever_holds_no_components_has_none_to_give() -> None:
    trio = sessions_of(REPLICATED, (OUTSIDE,))[OUTSIDE]._trio
    with pytest.raises(OrderError, match="expected olga to hold components, found none"):
        trio.pair_of(trio.replica((3,), None))
    with pytest.raises(OrderError, match="expected olga to compute"):
        trio.own(0)
    with pytest.raises(OrderError, match=r"expected a component of shape \(3,\), found \(2,\)"):
        trio.replica((3,), (words([1, 2]), words([1, 2])))


def test_a_product_that_is_cut_is_sent_once_and_can_still_be_used() -> None:
    """Of two products the one that was cut is not sent again with the other, but it is sent when it is needed."""
    backends = sessions_of(REPLICATED, kept=True)

    def program(backend: ReplicatedBackend) -> tuple[list[int], list[Words] | None]:
        x = backend.input("p0", X if backend.me == "p0" else None, X.shape)
        sizes = []
        first, second = backend.multiply([(x, x), (x, x)])
        (cut,) = backend.truncate([first], 4, 10**6, "floor")
        for value in (second, first):
            backend.multiply([(value, value)])
            sent = [label for way, label, _ in transcript(backend, _before(backend)) if way == "sent"]
            sizes.append(sum(label.startswith("around/products") for label in sent))
        (mixed,) = backend.truncate([backend.add(*backend.multiply([(x, x), (x, x)]))], 1, 10**7, "floor")
        both = backend.truncate([backend.multiply([(x, x)])[0], x], 1, 10**7, "floor")
        return sizes, backend.open([cut, first, second, mixed, *both], ["p0"])

    counts, opened = run(backends, program)["p0"]
    assert counts == [1, 2]
    square = signed(X) ** 2
    expected = [square >> 4, square, square, square, square >> 1, signed(X) >> 1]
    assert opened is not None
    for found, wanted in zip(opened, expected, strict=True):
        assert (signed(found) == wanted).all()


def _before(backend: ReplicatedBackend) -> str:
    return backend.computing[backend.computing.index(backend.me) - 1]


def test_linear_functions_of_products_wait_with_them() -> None:
    """Halves of one array, sums of several, and what is larger than all of them. All that waits takes one round."""
    backends = sessions_of(REPLICATED, kept=True)

    def program(backend: ReplicatedBackend) -> tuple[list[str], list[Words] | None]:
        x = backend.input("p0", X if backend.me == "p0" else None, X.shape)
        first, second = backend.multiply([(x, x), (x, x)])
        parts = [backend.linear(lambda a, k=k: a[k::2], (300,), first) for k in range(2)]
        moved = backend.add_public(backend.subtract(backend.add(second, x), first), words([7]))
        spread = backend.linear(lambda a: np.stack([a, a]), (2, 300), parts[0])
        backend.multiply([(parts[1], parts[1]), (moved, moved)])
        sent = [label for way, label, _ in transcript(backend, _before(backend)) if way == "sent"]
        return sent, backend.open([*parts, moved, spread, first], ["p0"])

    labels, opened = run(backends, program)["p0"]
    assert [label for label in labels if label.startswith("around")] == ["around/products/0/300 300 600"]
    square = signed(X) ** 2
    expected = [square[0::2], square[1::2], signed(X) + 7, np.stack([square[0::2]] * 2), square]
    assert opened is not None
    for found, wanted in zip(opened, expected, strict=True):
        assert (signed(found) == wanted).all()


@pytest.mark.parametrize("owners", [("p0", "p0"), ("p0", "p1"), ("p1", "p0"), ("p2", "p1"), ("p2", "p2"), ("p1", "")])
def test_products_of_components_that_are_zero_for_all_to_know(owners: tuple[str, str]) -> None:
    """Whoever owns the factors. Sums of them are zero where all of them are, and no value says that it is zero."""
    y = words(RNG.integers(-9, 9, (3, 4)))
    backends = sessions_of(REPLICATED)

    def program(backend: ReplicatedBackend) -> list[Words] | None:
        a, b = (
            backend.input(owner, y if backend.me == owner else None, y.shape) if owner else backend.constant(y)
            for owner in owners
        )
        both = backend.add(a, b)
        assert both.zeros == a.zeros & b.zeros
        turned = backend.linear(np.transpose, (4, 3), b)
        column = backend.linear(lambda w: w[:, :1], (3, 1), b)
        found = [*backend.multiply([(a, b), (both, a), (a, column)]), *backend.matmul([(a, turned), (both, turned)])]
        return backend.open(found, ["p2"])

    opened = run(backends, program)["p2"]
    assert opened is not None
    expected = [y * y, (y + y) * y, y * y[:, :1], y @ y.T, (y + y) @ y.T]
    for found, wanted in zip(opened, expected, strict=True):
        assert (found == wanted).all()
