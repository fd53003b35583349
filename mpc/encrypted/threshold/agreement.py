"""The common random string that all owners' shares use, in two rounds.

    each owner                                        all others
      a commitment to 32 random bytes       ------>
      the 32 bytes, once all have committed ------>
                                                       compare with the commitment
      the string is the hash of all of them

An owner that sees the others' bytes has committed to its own before. So none chooses the string, as long as one owner's
bytes are random. The last one may still refuse to open and so have the string drawn anew. That gives it the choice
among a few uniform strings, which RLWE with a uniform ``a`` bears, and all see the refusal.

Owners who hear each other through a relay sign what they say (:func:`owner_sign`), and look for their own words in what
comes back. Otherwise the relay would make up all words and choose the string.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mpc.encrypted.threshold.session import DIGEST_BYTES, digest_of
from mpc.errors import CheatingError, ParameterError, ProtocolError
from mpc.randomness import SYSTEM, Randomness

SAID_BYTES = DIGEST_BYTES + 64
"""The length of a commitment or an opening with its owner's signature."""


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


def owner_sign(job: bytes, owner: int, word: str, said: bytes, signing: Ed25519PrivateKey) -> bytes:
    """Return what an owner says in one round, 32 bytes, with its signature over job, owner, round and bytes.

    Args:
        word: names the round.
    """
    return said + signing.sign(_statement(job, owner, word, said))


def opened(job: bytes, owner: int, word: str, signed: bytes, key: bytes, peer: str) -> bytes:
    """Return what an owner has said in one round, without its signature.

    Args:
        key: the owner's Ed25519 key.
        peer: who has sent or relayed it, and is named if the owner has not signed it.

    Raises:
        CheatingError: it is not what the owner has signed for this job and round.
    """
    said, signature = signed[:DIGEST_BYTES], signed[DIGEST_BYTES:]
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, _statement(job, owner, word, said))
    except (InvalidSignature, ValueError):
        raise CheatingError(
            f"expected the {word} of owner {owner + 1}, signed by it for this job, found another",
            peer=peer,
            step="agreement",
        ) from None
    return said


def _statement(job: bytes, owner: int, word: str, said: bytes) -> bytes:
    return digest_of(f"signed {word}", job, owner.to_bytes(2, "little"), said)


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
