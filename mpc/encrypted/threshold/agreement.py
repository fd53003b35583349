"""The common random string that all owners' shares use, in two rounds.

    each owner                                        all others
      a commitment to 32 random bytes       ------>
      the 32 bytes, once all have committed ------>
                                                       compare with the commitment
      the string is the hash of all of them

An owner that sees the others' bytes has committed to its own before. So none chooses the string, as long as one owner's
bytes are random. The last one may still refuse to open and so have the string drawn anew. That gives it the choice
among a few uniform strings, which RLWE with a uniform ``a`` bears, and all see the refusal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpc.encrypted.threshold.session import DIGEST_BYTES, digest_of
from mpc.errors import CheatingError, ParameterError, ProtocolError
from mpc.randomness import SYSTEM, Randomness


@dataclass(frozen=True, repr=False)
class Contribution:
    """What one owner gives to the common random string.

    Attributes:
        opening: 32 random bytes, which are secret until all have committed.
        commitment: 32 bytes that hide them and bind the owner to them.
    """

    opening: bytes
    commitment: bytes

    def __repr__(self) -> str:
        return f"Contribution({self.commitment.hex()[:16]})"


def owner_contribute(job: bytes, owner: int, randomness: Randomness = SYSTEM) -> Contribution:
    """Draw one owner's contribution to the common random string of a job."""
    opening = randomness.bytes(DIGEST_BYTES)
    return Contribution(opening, _commitment(job, owner, opening))


def common_string(job: bytes, commitments: Sequence[bytes], openings: Sequence[bytes]) -> bytes:
    """Return the common random string, 32 bytes, from what all owners sent, in their order.

    Raises:
        CheatingError: an opening is not what its owner has committed to.
        ProtocolError: two owners' openings are the same, so that one has repeated another's.
    """
    if len(commitments) != len(openings) or len(commitments) < 2:
        raise ParameterError(
            f"expected commitments and openings of all owners, found {len(commitments)} and {len(openings)}"
        )
    for owner, (commitment, opening) in enumerate(zip(commitments, openings, strict=True)):
        if len(opening) != DIGEST_BYTES or _commitment(job, owner, opening) != commitment:
            raise CheatingError(
                "expected the opening of the commitment, found another", peer=f"owner {owner + 1}", step="agreement"
            )
    if len(set(openings)) != len(openings):
        raise ProtocolError("expected openings of their own of all owners, found one twice", step="agreement")
    return digest_of("common string", job, *openings)


def _commitment(job: bytes, owner: int, opening: bytes) -> bytes:
    return digest_of("commitment", job, owner.to_bytes(2, "little"), opening)
