"""Owners of one key, with known seeds, and all steps that make its keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mpc._core import CkksCiphertext, CkksEvaluator, CkksPublicKey
from mpc.encrypted.packing import Floats
from mpc.encrypted.threshold import agreement, decryption, public_key, relinearisation, rotation
from mpc.encrypted.threshold.masks import Mask
from mpc.encrypted.threshold.owner import Owner
from mpc.encrypted.threshold.session import JointKey
from mpc.randomness import SeededRandomness


def seed_of(*parts: object) -> bytes:
    """32 bytes for a test."""
    return sha256(repr(parts).encode()).digest()


def owners_of(parameters: str, count: int, job: str = "job") -> list[Owner]:
    """Owners that have agreed on a common string."""
    named = seed_of(job)
    signing = [Ed25519PrivateKey.from_private_bytes(seed_of("signing", number)) for number in range(count)]
    given = [
        agreement.owner_contribute(named, number, SeededRandomness(seed_of("common", job, number)))
        for number in range(count)
    ]
    common = agreement.common_string(named, [one.commitment for one in given], [one.opening for one in given])
    key = JointKey(parameters, tuple(one.public_key().public_bytes_raw() for one in signing), named, common)
    return [Owner(key, number, seed_of("secret", number), one) for number, one in enumerate(signing)]


def public_of(owners: Sequence[Owner]) -> CkksPublicKey:
    """The owners' public key."""
    key = owners[0].key
    return CkksPublicKey(key.core, public_key.combine(key, [public_key.owner_share(owner) for owner in owners]))


def products_of(owners: Sequence[Owner], level: int) -> bytes:
    """The owners' key for products."""
    key = owners[0].key
    first = relinearisation.add_first(key, level, [relinearisation.owner_first_share(owner, level) for owner in owners])
    shares = [relinearisation.owner_second_share(owner, level, first) for owner in owners]
    return relinearisation.combine(key, level, first, shares)


def rotation_of(owners: Sequence[Owner], steps: int, level: int) -> bytes:
    """The owners' key for one rotation."""
    shares = [rotation.owner_share(owner, steps, level) for owner in owners]
    return rotation.combine(owners[0].key, steps, level, shares)


def evaluator_of(owners: Sequence[Owner], products: int, rotations: Mapping[int, int]) -> CkksEvaluator:
    """What computes under the owners' key, with keys cut to these levels."""
    keys: list[object] = [rotation_of(owners, steps, level) for steps, level in rotations.items()]
    return CkksEvaluator(owners[0].key.core, products_of(owners, products), keys)  # type: ignore[arg-type]


def opened(owners: Sequence[Owner], result: CkksCiphertext, bits: int = 1) -> Floats:
    """A result that all owners decrypt together, with masks of so many bits, and no record of it."""
    mask = Mask(bits, 0.0, result.level, 126)
    key = owners[0].key
    shares = [owner.sign(decryption.step_of(0), owner.secret.decryption(result, mask.bits)) for owner in owners]
    return decryption.receiver_open(key, 0, result, shares)
