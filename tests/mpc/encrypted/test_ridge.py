"""Products in tiles are products, and the polynomial solves ridge regression within its stated error."""

from __future__ import annotations

import numpy as np
import pytest

from mpc.encrypted.packing import Floats
from mpc.encrypted.programs.ridge import Moments, Ridge, solve, solve_exactly, solve_in_the_clear, to_columns, to_rows
from mpc.encrypted.tiling import Tiling
from mpc.encrypted.twin import Clear, Twin
from mpc.errors import ParameterError, RangeError
from tests.mpc.encrypted.chains import chain


def moments(n: int, d: int, targets: int = 1, seed: int = 0) -> tuple[Floats, Floats]:
    """G, with eigenvalues of at most 1, and b."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, d)) / np.arange(1, d + 1) ** 0.5
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    t = np.sign(x @ random.normal(size=(d, targets)))
    return x.T @ x / n, (x.T @ t / n).T


@pytest.mark.parametrize(("d", "slots"), [(1, 8), (5, 512), (12, 32), (16, 64), (31, 512), (64, 512)])
def test_products_in_tiles_are_products(d: int, slots: int) -> None:
    tiling, twin = Tiling.fit(d, slots), Twin(chain(degree=2 * slots, levels=2))
    random = np.random.default_rng(d)
    matrix, vector = random.normal(size=(d, d)), np.zeros(tiling.size)
    matrix, vector[:d] = matrix + matrix.T, random.normal(size=d)
    assert tiling.rows * tiling.height >= tiling.size == tiling.columns * tiling.width
    assert 2 * tiling.height * tiling.width == tiling.slots

    def fresh(packed: Floats) -> Clear:
        return twin.fresh(packed, twin.chain.scale)

    tiles = [[fresh(tile) for tile in line] for line in tiling.pack_matrix(matrix)]
    blocks = vector.reshape(tiling.columns, tiling.width)
    along = [fresh(np.tile(np.pad(block, (0, tiling.width)), tiling.height)) for block in blocks]
    down = to_rows(twin, tiling, tiles, along)
    whole = np.zeros(tiling.rows * tiling.height)
    whole[:d] = matrix @ vector[:d]
    for row, value in enumerate(down):
        found = value.slots.reshape(tiling.height, 2, tiling.width)[:, 0]
        expected = whole[row * tiling.height : (row + 1) * tiling.height]
        assert np.allclose(found, expected[:, None])
    again = to_columns(twin, tiling, tiles, down)
    for place, value in enumerate(again):
        assert np.allclose(value.slots.reshape(tiling.height, 2, tiling.width)[:, 1], 0)
        assert np.allclose(np.ptp(value.slots.reshape(tiling.height, -1), axis=0), 0)
        assert value.level == 0, place
    found = tiling.vector(np.stack([value.slots for value in again]))
    assert np.allclose(found[:d], matrix @ matrix @ vector[:d])
    assert set(twin.rotations) == {*tiling.along_row, *tiling.across_rows}


def test_what_does_not_fit_is_refused() -> None:
    for numbers in ((3, 1, 8), (8, 16, 64), (8, 8, 8)):
        with pytest.raises(ParameterError):
            Tiling(*numbers)
    tiling = Tiling.fit(12, 32)
    with pytest.raises(ParameterError, match=r"expected a matrix of at most 16 rows, found shape \(17, 17\)"):
        tiling.pack_matrix(np.zeros((17, 17)))
    with pytest.raises(ParameterError, match="expected at most 1 targets of 16 numbers"):
        tiling.pack_targets(np.zeros((2, 4)))


@pytest.mark.parametrize(("regularisation", "largest", "degree"), [(0.1, 1.0, 8), (0.02, 0.3, 8), (0.01, 0.5, 16)])
def test_the_polynomial_is_within_its_error_and_reaches_it(regularisation: float, largest: float, degree: int) -> None:
    choices = Ridge(regularisation, largest, degree)
    eigenvalues = (1 + np.cos(np.pi * np.linspace(0, 1, 400))) / 2
    inverse = solve_in_the_clear(np.diag(eigenvalues), np.ones(400), choices)
    residual = np.abs(1 - inverse * (largest * eigenvalues + regularisation))
    assert residual.max() == pytest.approx(choices.error, rel=0.02)
    outside = solve_in_the_clear(np.diag([1.2]), np.ones(1), choices)
    assert abs(1 - outside[0] * (1.2 * largest + regularisation)) > 3 * choices.error
    g, (b,) = moments(300, 20)
    exact, found = solve_exactly(g, b, choices), solve_in_the_clear(g, b, choices)
    assert np.linalg.norm(found - exact) <= choices.error * np.linalg.norm(exact)
    assert np.allclose(exact, np.linalg.inv(largest * g + regularisation * np.eye(20)) @ b)


def test_norms_are_those_of_the_worst_records() -> None:
    """One record alone, with t of 1, is the worst: all its weight is on one eigenvector."""
    choices = Ridge(0.1, 1.0, 8)
    root = np.linspace(0, 1, 2001)
    weights = [abs(solve_in_the_clear(np.array([[one**2]]), np.array([one]), choices)[0]) for one in root]
    stated = choices.partial_norms[0] * abs(choices.second_kind[-1])
    assert max(weights) <= stated <= 1.02 * max(weights)
    assert max(weights) == pytest.approx(1 / (2 * 0.1**0.5), rel=0.01)


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ((0.0, 1.0, 8), "expected a regularisation of 1e-12 to 1e\\+12, found 0"),
        ((0.1, np.inf, 8), r"expected a largest eigenvalue of 1e-12 to 1e\+12, found inf"),
        ((0.1, np.nan, 8), "expected a largest eigenvalue of .*, found nan"),
        ((0.1, 1e-300, 8), "expected a largest eigenvalue of .*, found 1e-300"),
        ((1e300, 1.0, 8), r"expected a regularisation of .*, found 1e\+300"),
        ((1e6, 1e-6, 64), r"expected a regularisation of 1e-09 to 1e\+09 times the largest eigenvalue, found 1e\+12"),
        ((1e4, 1e-5, 64), "expected a polynomial whose last coefficient is at least 1e-10 times the largest"),
        (
            (1e4, 1.0, 8),
            "found .* times with degree 8 and a regularisation of 10000 times the largest eigenvalue: take",
        ),
        ((0.1, 1.0, 7), "expected an even degree of 2 to 64, found 7"),
        ((0.1, 1.0, 66), "expected an even degree of 2 to 64, found 66"),
    ],
)
def test_bad_choices_are_refused(numbers: tuple[float, float, int], sentence: str) -> None:
    with pytest.raises(ParameterError, match=sentence):
        Ridge(*numbers)


def test_an_interval_too_wide_for_the_degree_is_refused_with_a_regularisation_that_works() -> None:
    with pytest.raises(RangeError, match=r"raise regularisation from 0\.001 to 0\.043, lower the largest") as caught:
        Ridge(0.001, 1.0, 8)
    assert "eigenvalues of 0.001 to 1.001, found 0.86 with degree 8" in str(caught.value)
    assert Ridge(0.043, 1.0, 8).error <= 0.05
    with pytest.raises(RangeError):
        Ridge(0.042, 1.0, 8)


@pytest.mark.parametrize(("d", "slots", "targets"), [(5, 32, 1), (12, 512, 3), (31, 512, 2), (30, 128, 1)])
def test_the_program_does_what_plain_numpy_does(d: int, slots: int, targets: int) -> None:
    choices, tiling = Ridge(0.1, 1.0, 8), Tiling.fit(d, slots)
    twin = Twin(chain(degree=2 * slots, levels=choices.levels))
    g, b = moments(200, d, targets)

    def fresh(packed: Floats) -> Clear:
        return twin.fresh(packed, twin.chain.scale)

    columns, rows = tiling.pack_targets(b)
    given = Moments([[fresh(tile) for tile in line] for line in tiling.pack_matrix(g)], fresh(columns), fresh(rows))
    *_, weights_of_all = solve(twin, tiling, given, choices, targets, 0.5)
    for target, found in enumerate(weights_of_all):
        assert {one.level for one in found} == {0}
        assert {one.scale for one in found} == {twin.chain.scale}
        weights = tiling.vector(np.stack([one.slots for one in found])) * choices.second_kind[-1] / 0.5
        assert np.allclose(weights[:d], solve_in_the_clear(g, b[target], choices), atol=1e-7)
        assert np.allclose(weights[d:], 0, atol=1e-7)
    assert twin.products_level == max(twin.rotations.values()) == choices.degree
