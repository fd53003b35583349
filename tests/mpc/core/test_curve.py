"""The group edwards25519 as Python sees it, held against integers and an addition law written out here."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc._core import CurveBase, CurvePoints, curve_multiply_add, curve_reduce
from mpc.errors import ParameterError, ProtocolError

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
Affine = tuple[int, int]

scalars = st.integers(0, L - 1)


def le(*values: int) -> bytes:
    return b"".join(value.to_bytes(32, "little") for value in values)


def add(a: Affine, b: Affine) -> Affine:
    """The affine addition law of RFC 8032, 5.1.4."""
    product = D * a[0] * b[0] * a[1] * b[1] % P
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + product, -1, P) % P
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, P) % P
    return x, y


def root(square: int) -> int:
    """The even square root modulo p."""
    found = pow(square, (P + 3) // 8, P)
    if found * found % P != square % P:
        found = found * pow(2, (P - 1) // 4, P) % P
    assert found * found % P == square % P
    return found if found % 2 == 0 else P - found


BASE_Y = 4 * pow(5, -1, P) % P
BASE = (root((BASE_Y**2 - 1) * pow(D * BASE_Y**2 + 1, -1, P)), BASE_Y)


def times(scalar: int, point: Affine) -> Affine:
    total = (0, 1)
    for bit in bin(scalar)[2:]:
        total = add(total, total)
        if bit == "1":
            total = add(total, point)
    return total


def encoded(point: Affine) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


@settings(max_examples=15, deadline=None)
@given(scalars, scalars, scalars)
def test_multiples_and_sums_are_those_of_the_affine_law(a: int, b: int, c: int) -> None:
    generator = CurvePoints.generator()
    one, two = CurveBase(generator).multiply(le(a)), generator.multiply(le(b))
    assert one.encode() == encoded(times(a, BASE))
    assert (one + two).encode() == encoded(times(a + b, BASE))
    assert (one - two).encode() == encoded(times((a - b) % L, BASE))
    rows = CurvePoints.combine([le(c, a), le(b, c)], [generator, CurvePoints.join([one, two])])
    assert rows.encode() == encoded(times(c + a * b, BASE)) + encoded(times(a + b * c, BASE))
    assert CurvePoints.join([one, two]).sum_of_multiples(le(b, c)).encode() == encoded(times(a * b + b * c, BASE))


@given(scalars, scalars, scalars, st.integers(0, 2**512 - 1))
def test_scalars_are_integers_modulo_the_order(a: int, b: int, c: int, wide: int) -> None:
    assert curve_multiply_add(le(a), le(b), le(c)) == le((a * b + c) % L)
    assert curve_reduce(wide.to_bytes(64, "little")) == le(wide % L)


def test_scalars_at_the_edges() -> None:
    edges = [0, 1, L - 1, 2**252, 2**252 - 1]
    for a in edges:
        for b in edges:
            assert curve_multiply_add(le(a), le(b), le(L - 1)) == le((a * b - 1) % L)
    for wide in (0, L - 1, L, L + 1, 2 * L, 2**256 - 1, 2**256, 2**512 - 1, L * L):
        assert curve_reduce(wide.to_bytes(64, "little")) == le(wide % L)


def test_one_goes_with_many() -> None:
    many = CurveBase(CurvePoints.generator()).multiply(le(1, 2, 3))
    assert many.multiply(le(5)).encode() == CurvePoints.generator().multiply(le(5, 10, 15)).encode()
    assert (many + many[:1]).encode() == CurvePoints.generator().multiply(le(2, 3, 4)).encode()
    assert [len(many), len(many[1:]), len(many[5:])] == [3, 2, 0]
    assert many[::-1].encode() == CurvePoints.generator().multiply(le(3, 2, 1)).encode()
    assert curve_multiply_add(le(7, 8), le(2), le(1)) == le(15, 17)


def order_8() -> Affine:
    """A point of order 8 on the curve."""
    rng = random.Random(5)
    while True:
        y = rng.randrange(P)
        try:
            point = times(L, (root((y * y - 1) * pow(D * y * y + 1, -1, P)), y))
        except AssertionError:
            continue
        if times(4, point) != (0, 1):
            return point


def test_what_is_no_element_of_the_subgroup_is_refused() -> None:
    good = encoded(BASE)
    small = order_8()
    assert CurvePoints.decode(good).encode() == good
    assert len(CurvePoints.decode(b"")) == 0
    wrong = [
        encoded((0, 1)),  # the identity
        *(encoded(times(k, small)) for k in range(1, 8)),
        *(encoded(add(times(k, small), BASE)) for k in range(1, 8)),  # off the subgroup
        (P + 3).to_bytes(32, "little"),  # not canonical
        (2).to_bytes(32, "little"),  # not on the curve
        (1 | 1 << 255).to_bytes(32, "little"),  # zero with a sign
    ]
    for bad in wrong:
        with pytest.raises(ProtocolError, match=r"prime-order subgroup .* found none at place 1"):
            CurvePoints.decode(good + bad + good)
    with pytest.raises(ProtocolError, match="expected 32, found 33"):
        CurvePoints.decode(good + b"x")


def test_arguments_that_do_not_fit_are_refused() -> None:
    three = CurvePoints.generator().multiply(le(1, 2, 3))
    for call in (
        lambda: three.multiply(le(1, 2)),
        lambda: three + three[:2],
        lambda: three.multiply(le(L)),
        lambda: three.multiply(b"short"),
        lambda: three.sum_of_multiples(le(1, 2)),
        lambda: CurvePoints.combine([le(1)], [three]),
        lambda: CurvePoints.combine([], []),
        lambda: CurvePoints.from_seeds(bytes(95)),
        lambda: CurveBase(three),
        lambda: curve_reduce(bytes(63)),
        lambda: curve_multiply_add(le(1, 2), le(1, 2, 3), le(1)),
        lambda: curve_multiply_add(le(L), le(1), le(1)),
    ):
        with pytest.raises(ParameterError, match=r"expected .* found"):
            call()  # type: ignore[no-untyped-call]


def test_printing_shows_how_many_alone() -> None:
    assert repr(CurvePoints.generator()) == "<CurvePoints, 1>"
    assert repr(CurveBase(CurvePoints.generator())) == "<CurveBase>"
