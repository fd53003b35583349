"""The benchmark of CKKS: its two sides compute the same, and its results become rows of its tables."""

from __future__ import annotations

import numpy as np

from benchmarks import ckks
from benchmarks.speed_report import CKKS, CKKS_SIZES
from mpc import _core


def test_ours_and_seals_give_the_same_and_have_the_same_works() -> None:
    parameters, level = _core.CkksParameters(4096, [36, 30], [36], 30), 1
    x, y = (np.random.default_rng(seed).uniform(-1, 1, parameters.slots) for seed in (1, 2))
    ours, peer = ckks.ours(parameters, level, x, y), ckks.seals(parameters, level, x, y)
    assert set(ours.works) - set(peer.works) == {"multiply, relinearise, rescale"}
    assert set(ours.results) == set(peer.results)
    assert set(ours.sizes) == set(peer.sizes)
    for work, (result, expected) in ours.results.items():
        assert np.abs(result() - expected).max() < 1e-2, work
        assert np.abs(result() - peer.results[work][0]()).max() < 1e-2, work


def test_results_become_rows() -> None:
    result = {
        "degree": 64, "primes": 2,
        "times": {"rotate": {"ours": 0.5, "SEAL": 2.0}, "multiply, relinearise, rescale": {"ours": 1234.5}},
        "errors": {"rotate": {"ours": 1e-6, "SEAL": 2e-5}},
        "sizes": {"ciphertext": {"ours": 1_500_000, "SEAL": 3_000_000}},
    }  # fmt: skip
    rows = ckks.time_rows({"tiny": result})
    assert rows == [
        ["N = 64, 2 primes", "rotate", "0.5", "2", "4.0", "1.0e-06 / 2.0e-05"],
        ["N = 64, 2 primes", "multiply, relinearise, rescale", "1.23e+03", "", "", ""],
    ]
    sizes = ckks.size_rows({"tiny": result})
    assert sizes == [["N = 64, 2 primes", "ciphertext", "1.50", "3.00"]]
    assert len(rows[0]) == len(CKKS.head)
    assert len(sizes[0]) == len(CKKS_SIZES.head)
