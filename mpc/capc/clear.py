"""The same vote in the clear, from queries and models, or from counts of votes, that lie in the open.

Tests compare the secret computation with it, and simulated campaigns (``parties/capc/simulation``) use it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from mpc.capc.parameters import PublicParameters
from mpc.capc.release import Labels
from mpc.capc.roles import CapcRandomness
from mpc.dp.discrete_gaussian import discrete_gaussian
from mpc.inference import Network
from mpc.randomness import SYSTEM, Randomness
from mpc.ring import Ring


def plaintext_labels(
    queries: NDArray[np.float64],
    networks: list[Network],
    parameters: PublicParameters,
    randomness: CapcRandomness | None = None,
) -> Labels:
    """Return the result of the same vote in the clear, which is the majority of the fixed-point models.

    Ties go to the lowest class. Where a query has several labels, a tie is a no.

    Args:
        queries, networks, parameters: as for :func:`~mpc.capc.protocol.run_capc`.
        randomness: None for no noise, and a label for every query. Otherwise the result is exactly that of
            :func:`~mpc.capc.protocol.run_capc` under the same randomness, because every role draws the same noise.
    """
    encoded = Ring(parameters.ring_bits).encode(queries, parameters.fraction_bits)
    counts: NDArray[np.int64] = np.zeros((len(queries), parameters.classes), dtype=np.int64)
    for network in networks:
        counts += parameters.voting_rule.votes(network.run_clear(encoded))
    if randomness is None:
        return msgspec.structs.replace(parameters, sigma="0", threshold=0, noise_parts=0).release.clear(counts, counts)
    parts = [role.source("noise") for role in randomness.answering]
    guardian = randomness.guardian
    return _noisy_labels(counts, parameters, parts, guardian.source("noise"), guardian.source("threshold"))


def labels_of(counts: NDArray[np.int64], parameters: PublicParameters, randomness: Randomness = SYSTEM) -> Labels:
    """Return the noisy labels, or abstentions, of counts ``(n, classes)`` that lie in the open.

    One source gives all the noise, first the APs' parts or PG's own, then the noise on the threshold.
    """
    return _noisy_labels(counts, parameters, [randomness] * parameters.parties, randomness, randomness)


def _noisy_labels(
    counts: NDArray[np.int64],
    parameters: PublicParameters,
    parts: Sequence[Randomness],
    guardian: Randomness,
    threshold: Randomness,
) -> Labels:
    if parameters.noise_parts:
        drawn = [discrete_gaussian(parameters.part_scale, counts.shape, part) for part in parts]
        noisy = counts + np.sum(drawn, axis=0)
    else:
        noisy = counts + discrete_gaussian(parameters.noise_scale, counts.shape, guardian)
    return parameters.release.clear(counts, noisy, threshold)
