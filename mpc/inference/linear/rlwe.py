"""The encryption under the linear layers, and how its parameters follow from what is public about a network.

The scheme is BFV over Z_q[X]/(X^N + 1) with plaintext modulus 2^l, in C++ (``mpc/core/bfv``). Scheme, noise, flooding
and exactness are derived in its ``parameters.hpp``. q has at most 106 bits for N = 4096 and 214 for N = 8192. For
these the lattice-estimator of Albrecht, Player and Scott gives 128.9 and 128.2 bits of security. The table of the
HomomorphicEncryption.org standard (Albrecht et al. 2018) allows 109 and 218, for which it gives 125.1
and 125.8.

A reply is flooded. All replies of a session together depend on more of the weights than the values W r - s by a
statistical distance of at most 2^-40. The flooding needs two public bounds. One is the number of results. The other is,
for each layer, a power of two above the Euclidean norm of its weights. The exponents are part of the architecture. They
follow from shapes and from what the parties agree on, never from the weights. Larger weights are refused.
"""

from __future__ import annotations

import functools

from mpc._core import RlweParameters

DEGREES = (4096, 8192)
STATISTICAL_BITS = 40  # of a whole session


@functools.lru_cache(maxsize=32)
def rlwe_parameters(degree: int, ring_bits: int, layers: tuple[tuple[int, int], ...]) -> RlweParameters:
    """Return the parameters for layers ``(norm bits, results in a session)``, the same object for the same layers.

    Raises:
        ParameterError: no modulus is wide enough for the flooding and secure at this degree.
    """
    bounds = [(1 << (2 * norm_bits), results) for norm_bits, results in layers]
    return RlweParameters(degree, ring_bits, bounds, STATISTICAL_BITS)
