"""Proofs that several elements are the same secret multiple of their bases, bound to what they are given for.

With one pair of base and multiple this is Schnorr's proof of knowledge of a logarithm (CRYPTO 1989), with two that of
Chaum and Pedersen (CRYPTO 1992), made non-interactive by the transform of Fiat and Shamir. The challenge covers all
bases, multiples and commitments, the use of the proof, and the caller's context. A proof is the challenge and the
response, 64 bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from mpc._core import CurvePoints, curve_reduce
from mpc.commons.group import (
    ORDER,
    POINT_BYTES,
    SCALAR_BYTES,
    Points,
    SecretScalar,
    hash_to_scalar,
    scalars,
    transcript,
)  # fmt: skip
from mpc.randomness import SYSTEM, Randomness

PROOF_BYTES = 2 * SCALAR_BYTES


def prove(
    use: bytes, secret: SecretScalar, bases: Points, multiples: Points, context: bytes, randomness: Randomness = SYSTEM
) -> bytes:
    """Return the proof that every multiple is `secret` times the base in the same place.

    The nonce is a hash of the secret, the statement and fresh randomness. So no failure of the randomness alone makes
    two proofs of different statements share a nonce, which would open the secret.
    """
    statement = transcript(use, bases.encode(), multiples.encode(), context)
    seed = transcript(b"commons nonce v1", secret.reveal(), statement, randomness.bytes(32))
    nonce = SecretScalar(curve_reduce(hashlib.sha512(seed).digest()))
    challenge = _challenge(use, bases.encode(), multiples.encode(), nonce.times(bases).encode(), context)
    response = secret.multiply_add(challenge, nonce)
    return scalars((challenge,)) + response.reveal()


def is_proven(use: bytes, bases: Points, multiples: Points, context: bytes, proof: bytes) -> bool:
    """Return whether the proof holds for these pairs of base and multiple."""
    count = range(len(bases))
    return are_proven(
        use, [bases[i : i + 1] for i in count], [multiples[i : i + 1] for i in count], [context], [proof]
    )[0]


def are_proven(
    use: bytes,
    bases: Sequence[Points],
    multiples: Sequence[Points],
    contexts: Sequence[bytes],
    proofs: Sequence[bytes],
) -> list[bool]:
    """Return for each of many proofs whether it holds, computed together.

    Args:
        bases: for each pair of the statement, one base for all proofs or one for each.
        multiples: for each pair, one multiple for each proof.
    """
    split = [(_scalar(proof[:SCALAR_BYTES]), _scalar(proof[SCALAR_BYTES:])) for proof in proofs]
    # What is no pair of scalars is computed with zeros, and is refused below whatever comes out.
    challenges = scalars(-(challenge or 0) for challenge, _ in split)
    responses = scalars(response or 0 for _, response in split)
    columns = []
    for base, multiple in zip(bases, multiples, strict=True):
        commitments = CurvePoints.combine([responses, challenges], [base, multiple])
        columns.append((base.encode(), multiple.encode(), commitments.encode()))
    found = []
    for place, ((challenge, response), context) in enumerate(zip(split, contexts, strict=True)):
        one, its, commitment = (b"".join(_at(column[part], place) for column in columns) for part in range(3))
        expected = _challenge(use, one, its, commitment, context)
        found.append(len(proofs[place]) == PROOF_BYTES and response is not None and challenge == expected)
    return found


def _challenge(use: bytes, bases: bytes, multiples: bytes, commitments: bytes, context: bytes) -> int:
    return hash_to_scalar(b"commons proof v1", use, bases, multiples, commitments, context)


def _scalar(data: bytes) -> int | None:
    value = int.from_bytes(data, "little")
    return value if len(data) == SCALAR_BYTES and value < ORDER else None


def _at(encoded: bytes, place: int) -> bytes:
    """Return one encoding of many, or the only one."""
    start = 0 if len(encoded) == POINT_BYTES else POINT_BYTES * place
    return encoded[start : start + POINT_BYTES]
