"""The private tensor: what it computes, what it shows of itself, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mpc.errors import ParameterError, RangeError
from mpc.tensors import arithmetic, comparing, extremes, shaping
from mpc.tensors.checking import DeviationError
from tests.mpc.tensors.sessions import OWNER, opened, private, session

NUMBERS = st.floats(-8, 8, allow_nan=False)
MATRICES = arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=NUMBERS)
UNIT = 2.0**-16


@settings(max_examples=15, deadline=None)
@given(MATRICES, st.integers(0, 2**32))
def test_arithmetic_on_any_values_stays_within_its_stated_errors(values: np.ndarray, seed: int) -> None:
    """Each operation is compared with floats by the session's checker, which raises beyond the stated error."""
    s = session()
    other = np.random.default_rng(seed).uniform(-8, 8, values.shape)
    x, y = private(s, values, 8), private(s, other, 8)
    assert np.abs(opened(x) - values).max() <= UNIT / 2
    for result, expected in (
        (x + y, values + other),
        (x - 2.5, values - 2.5),
        (1 - x, 1 - values),
        (-x, -values),
        (x * y, values * other),
        (x * 3, values * 3),
        (0.01 * x, values * 0.01),
        (x / 7, values / 7),
        (x @ y.T, values @ other.T),
        (other.T @ x, other.T @ values),
        (x**3, values**3),
        (x.sum(axis=0), values.sum(axis=0)),
        (x.mean(), values.mean()),
        (abs(x), np.abs(values)),
        (x.relu(), np.maximum(values, 0)),
        (x.clip(-1, 2), np.clip(values, -1, 2)),
        (x.max(axis=1), values.max(axis=1)),
        (x.min(), values.min()),
        (comparing.maximum(x, y), np.maximum(values, other)),
        (comparing.where(x < y, x, y), np.where(values < other, values, other)),
    ):
        assert result.shape == np.shape(expected)
        assert np.abs(opened(result) - expected).max() <= 200 * UNIT


def test_comparisons_are_exact() -> None:
    s = session()
    a, b = np.array([-1.0, 0.0, 2.0, 2.0]), np.array([1.0, 0.0, 2.0, 2.0 - UNIT])
    x, y = private(s, a, 4), private(s, b, 4)
    for found, expected in (
        (x < y, a < b),
        (x <= y, a <= b),
        (x > y, a > b),
        (x >= y, a >= b),
        (x == y, a == b),
        (x != y, a != b),
        (x < 0, a < 0),
        (x > 0, a > 0),
    ):
        assert opened(found).tolist() == expected.astype(float).tolist()
        assert found.fraction_bits == 0


@pytest.mark.parametrize("few", [16, 1])
def test_among_equal_values_the_first_is_the_largest(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By comparing all pairs, and by a tournament."""
    monkeypatch.setattr(extremes, "MOST_VALUES", few)
    for count in range(1, 9):
        for seed in range(8):
            values = np.random.default_rng(seed).integers(0, 3, (4, count))
            x = private(session(check=False), values, 4, whole=True)
            assert opened(x.argmax(axis=1)).tolist() == values.argmax(axis=1).tolist()
            assert opened(x.argmax(axis=0)).tolist() == values.argmax(axis=0).tolist()
            assert opened(x.max(axis=1)).tolist() == values.max(axis=1).tolist()
            assert opened(x.max(axis=0)).tolist() == values.max(axis=0).tolist()


def test_shapes_as_numpy() -> None:
    s = session()
    values = np.arange(24.0).reshape(2, 3, 4)
    x = private(s, values, 24)
    for found, expected in (
        (x[1], values[1]),
        (x[:, ::2, -1], values[:, ::2, -1]),
        (x[..., None], values[..., None]),
        (x[[0, 0, 1]], values[[0, 0, 1]]),
        (x.reshape(6, 4), values.reshape(6, 4)),
        (x.reshape((4, -1)), values.reshape(4, -1)),
        (x.T, values.T),
        (x.transpose(1, 0, 2), values.transpose(1, 0, 2)),
        (x[:1].squeeze(0), values[0]),
        (x.sum(axis=(0, 2), keepdims=True), values.sum(axis=(0, 2), keepdims=True)),
        (x[0, 0].broadcast_to((5, 4)), np.broadcast_to(values[0, 0], (5, 4))),
        (shaping.concatenate([x, values], 1), np.concatenate([values, values], 1)),
        (shaping.stack([x, x], 3), np.stack([values, values], 3)),
        (x.flatten(1), values.reshape(2, 12)),
    ):
        assert opened(found).tolist() == expected.tolist()
    assert [opened(row).tolist() for row in x[0]] == values[0].tolist()


def test_the_functions_of_numpy_and_torch_are_the_private_ones() -> None:
    s = session()
    values = np.linspace(0.5, 2, 6).reshape(2, 3)
    x = private(s, values, (0.25, 4))
    assert type(values + x) is type(x)
    for function in (np.exp, np.log, np.sqrt, np.tanh, np.square, np.negative, np.sum, np.mean, np.transpose):
        assert np.abs(opened(function(x)) - function(values)).max() < 1e-3
    assert np.abs(opened(np.concatenate([x, x])) - np.concatenate([values, values])).max() < UNIT
    tensor = torch.tensor(values)
    for name in ("sigmoid", "relu", "exp", "neg"):
        assert np.abs(opened(getattr(torch, name)(x)) - getattr(torch, name)(tensor).numpy()).max() < 1e-3
    softmax = torch.nn.functional.softmax(x, dim=1)
    assert np.abs(opened(softmax) - torch.softmax(tensor, 1).numpy()).max() < 1e-4
    assert np.abs(opened(torch.matmul(x, x.T)) - values @ values.T).max() < 1e-3
    with pytest.raises(TypeError, match=r"numpy.sin takes no private tensor here: expected one of absolute, add"):
        np.sin(x)
    with pytest.raises(TypeError, match=r"numpy.median takes no private tensor here"):
        np.median(x)


def test_a_program_cannot_branch_on_a_secret() -> None:
    x = private(session(), [1.0], 2)
    for use in (
        bool,
        float,
        int,
        np.asarray,
        lambda t: t.item(),
        lambda t: [0, 1][t],
        lambda t: "yes" if t > 0 else "no",
    ):
        with pytest.raises(TypeError, match=r"no value that this program may look at: use pt.where in place of if"):
            use(x)
    with pytest.raises(TypeError, match="expected public indices, found a private tensor"):
        x[x > 0]


def test_it_shows_shape_format_and_range_and_no_value() -> None:
    x = private(session(), [1.2345, -0.5], (-1, 2))
    assert repr(x) == ("PrivateTensor(shape=(2,), format=64 bits, 16 of them fraction, range=[-1, 2], owners=alice)")
    assert "owners=nobody" in repr(x.session.constant([1.0]))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2.0 + 2 * UNIT])
def test_an_owners_value_that_does_not_fit_is_refused_and_not_told(value: float) -> None:
    with pytest.raises(RangeError) as refused:
        private(session(), [value, 1.0], 2)
    assert str(refused.value) in (
        "input #1: expected finite numbers, found NaN or infinity",
        "input #1: expected values within the stated bound, found one beyond it",
    )
    private(session(), [2.0, -2.0], 2)
    with pytest.raises(RangeError, match="found one beyond it"):  # a bound that no float is
        private(session(), [2.0**60], 2**60 - 1, whole=True)


def test_refusals_say_what_was_expected_and_found() -> None:
    s = session()
    x = private(s, np.ones((2, 3)), 2)
    for wrong, sentence in (
        (lambda: s.input(OWNER, lambda: [1.0], shape=(2,), bound=1), r"shape \(2,\), found one of shape \(1,\)"),
        (lambda: s.input("eve", lambda: [1.0], shape=(1,), bound=1), "an owner among alice, found 'eve'"),
        (lambda: s.input(OWNER, lambda: [0.5], shape=(1,), bound=1, whole=True), "whole numbers, found fractions"),
        (lambda: s.input(OWNER, None, shape=(1,), bound=1), "expected a loader at its owner alice"),
        (lambda: x + np.ones(4), r"shapes that broadcast, found \(2, 3\) and \(4,\)"),
        (lambda: x @ x, r"shapes \(…, m, k\) and \(…, k, n\), found \(2, 3\) and \(2, 3\)"),
        (lambda: x.reshape(4, 2), r"a shape for 6 values of \(2, 3\), found \(4, 2\)"),
        (lambda: x + private(session(), [1.0], 1), "tensors of one session, found two"),
        (lambda: x * "three", "expected an array of numbers, found str"),
        (lambda: x + float("nan"), "found NaN or infinity"),
        (lambda: x + 2.0**50, "public values that fit 64 bits with 16 fraction bits, found one of magnitude 1.1259e"),
        (lambda: x**0, "a whole exponent of at least 1, found 0"),
        (lambda: x / 0, "public divisors other than zero"),
        (lambda: session(fraction_bits=2), "expected 4 to 28 fraction bits, found 2"),
    ):
        with pytest.raises(ParameterError, match=sentence):
            wrong()


def test_public_numbers_are_encoded_with_the_precision_of_their_size() -> None:
    """At 16 fraction bits 0.0001 would be 7 units, which is 7 % off. Here it is off by 2^-17 of itself."""
    x = private(session(), [1000.0], 1000)
    assert abs(opened(x * 0.0001)[0] - 0.1) <= 1.01 * UNIT + 0.1 * 2**-17


def test_whole_numbers_are_exact_and_go_with_fractions() -> None:
    s = session()
    n, x = private(s, [3, -4], 5, whole=True), private(s, [0.3, 0.7], 1)
    assert (n * n).fraction_bits == 0
    assert opened(n * 7 + 2).tolist() == [23, -26]
    assert opened(n * x).tolist() == (np.array([3, -4]) * opened(x)).tolist()
    assert opened(n + x).tolist() == (np.array([3, -4]) + opened(x)).tolist()


def test_the_number_that_a_peer_decodes_wrongly_is_right() -> None:
    x = private(session(), [-19.99992], 20)
    assert abs(opened(x)[0] + 19.99992) <= UNIT / 2
    assert abs(opened(x * 1.0)[0] + 19.99992) <= UNIT / 2
    assert abs(opened(x * session_constant(x, 1.0))[0] + 19.99992) <= UNIT


def session_constant(x: object, value: float) -> object:
    return x.session.constant([value])


def test_a_checked_session_names_the_operation_that_deviates() -> None:
    s = session()
    x = private(s, [1.0, 2.0], 4)
    honest = s.backend.multiply
    s.backend.multiply = lambda pairs: [s.backend.add_public(y, np.uint64(2**20)) for y in honest(pairs)]
    with (
        s.scope("layer"),
        pytest.raises(DeviationError, match=r"^multiply #2 'layer': expected a deviation of at most"),
    ):
        x * x


@pytest.mark.parametrize(("rounding", "expected"), [("floor", [0, -1, 0]), ("nearest", [0, 0, 1])])
def test_exact_roundings_of_products(rounding: str, expected: list[int]) -> None:
    """Products of 1/4, -1/4 and 3/4 of a unit."""
    s = session(rounding=rounding)
    x = private(s, [0.25, -0.25, 0.75], 1)
    unit = private(s, [UNIT] * 3, 1)
    assert (opened(x * unit) / UNIT).tolist() == expected


def test_an_owners_bits_choose_as_comparisons_do() -> None:
    s = session()
    bits, x = private(s, [1, 0], (0, 1), whole=True), private(s, [1.5, 2.5], 4)
    assert opened(comparing.where(bits, x, 0)).tolist() == [1.5, 0]
    with pytest.raises(ParameterError, match="expected a condition of bits, as comparisons give them"):
        comparing.where(x, x, 0)
    with pytest.raises(ParameterError, match="expected a private condition, found a public one"):
        comparing.where([True, False], x, 0)


def test_formats_do_not_mix() -> None:
    s = session()
    x = private(s, [1.5], 4)
    other = arithmetic.with_fraction_bits(x, 20)
    for mix in (lambda: x + other, lambda: x * other, lambda: x @ other, lambda: shaping.stack([x, other])):
        with pytest.raises(ParameterError, match="expected tensors of one format, found"):
            mix()


def test_one_hot_rows_of_private_classes() -> None:
    classes = private(session(), [2, 0], (0, 2), whole=True)
    assert opened(comparing.one_hot(classes, 3)).tolist() == [[0, 0, 1], [1, 0, 0]]
    with pytest.raises(ParameterError, match="one_hot: expected whole numbers"):
        comparing.one_hot(private(session(), [1.0], 2), 3)
