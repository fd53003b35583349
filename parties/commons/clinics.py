"""The measurements of clinics: cell nuclei of breast tumours, which scikit-learn brings along, split among the clinics.

All numbers are whole. Lengths are in tenths of the data set's units.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parties.frame.errors import ConfigError

TASK = "tumours"
BITS, BUCKETS = 9, 10
MOST = 2**BITS - 1
FIRST_EDGE, BUCKET_WIDTH = 50, 25  # of the histogram's buckets, in tenths
HISTOGRAM = f"radius.histogram/{BUCKETS}"
REGRESSION = f"worst-radius.regression/2/{BITS}"
SUM = f"radius.sum/{MOST}"
FUNCTIONS = (HISTOGRAM, SUM, REGRESSION)
"""What is computed: a histogram and the sum of the mean radius, and the worst radius from mean radius and texture."""
ABOUT = {
    HISTOGRAM: "mean radius in buckets",
    REGRESSION: "worst radius from mean radius and mean texture, by least squares",
    SUM: "sum of the mean radius",
}
NOISE = "/noise-"
_COLUMNS = (0, 1, 20)  # mean radius, mean texture, worst radius


def functions(noise_scale: float | None) -> tuple[str, ...]:
    """Return what is asked for, in order.

    Args:
        noise_scale: of the counts' noise, or None for results without noise. The sum's noise is as many times larger as
            a measurement can move the sum. A regression has no noise, so with noise there is none.
    """
    if noise_scale is None:
        return FUNCTIONS
    return tuple(f"{name}{noise(noise_scale, most)}" for name, most in ((HISTOGRAM, 1), (SUM, MOST)))


def noise(scale: float, most: int) -> str:
    """Return the end of the name of a function with noise of a scale, times what a measurement can move its result."""
    return f"{NOISE}{(Decimal(repr(scale)) * most).normalize():f}"


def about(function: str) -> str:
    """Return what a function is, in words."""
    name, noise, scale = function.partition(NOISE)
    return ABOUT[name] + (f", with noise of scale {scale}" if noise else "")


def measurements(clinics: int, each: int | None, seed: int) -> list[list[dict[str, Any]]]:
    """Return for each clinic its measurements, each with a value for every function.

    Args:
        each: how many records a clinic has, or None for as many as there are.
        seed: of the split.

    Raises:
        ConfigError: there are fewer records.
    """
    table = _table()
    if table.min() < 0 or table.max() > MOST:
        raise ConfigError(f"expected measurements from 0 to {MOST}, found {table.min()} to {table.max()}.")
    most = len(table) // clinics
    if each is not None and each > most:
        raise ConfigError(f"records_each: expected at most {most} for {clinics} clinics, found {each}.")
    order = np.random.default_rng(seed).permutation(len(table))
    count = most if each is None else each
    return [[_measured(*table[row]) for row in order[at * count : (at + 1) * count]] for at in range(clinics)]


@lru_cache(maxsize=1)
def _table() -> NDArray[np.int64]:
    from sklearn.datasets import load_breast_cancer  # noqa: PLC0415 - only where a run is planned

    features, _ = load_breast_cancer(return_X_y=True)
    table: NDArray[np.int64] = np.rint(features[:, _COLUMNS] * 10).astype(np.int64)
    return table


def bucket(radius: int) -> int:
    """Return the bucket of a mean radius. The first and the last one are open."""
    return int(min(max((radius - FIRST_EDGE) // BUCKET_WIDTH, 0), BUCKETS - 1))


def bucket_names() -> tuple[str, ...]:
    """Return the buckets in words, such as `7.5 to 10`."""
    edges = [(FIRST_EDGE + BUCKET_WIDTH * one) / 10 for one in range(BUCKETS + 1)]
    return tuple(f"{low:g} to {high:g}" for low, high in pairwise(edges))


def _measured(radius: int, texture: int, worst: int) -> dict[str, Any]:
    return {HISTOGRAM: bucket(radius), REGRESSION: [int(radius), int(texture), int(worst)], SUM: int(radius)}
