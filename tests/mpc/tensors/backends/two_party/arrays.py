"""Arrays anywhere in the ring, which begin with its extremes."""

from __future__ import annotations

import numpy as np

from mpc.ring import Words

RNG = np.random.default_rng(17)
EXTREMES = [2**63, 2**63 - 1, 2**64 - 1, 0, 1]


def anywhere(*shape: int, bits: int = 64) -> Words:
    values = RNG.integers(0, 2**64, shape, dtype=np.uint64) >> np.uint64(64 - bits)
    flat = values.reshape(-1)
    flat[: len(EXTREMES)] = np.array(EXTREMES, dtype=np.uint64)[: flat.size] >> np.uint64(64 - bits)
    return values
