"""All keys of one job under a joint key, from shares of every owner, in two rounds.

    each owner                                                        trainer
      shares of the public key and of products, first round   ---->     relays all to all
      adds up all owners' first shares by itself
      shares of products, second round, and of rotations      ---->     combines the keys

Every owner adds up by itself. So the trainer chooses no key: with a public key of its own it would read records, and
with sums of its own it would read secrets from second shares. Names and lengths follow from the job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from mpc._core import CkksPublicKey
from mpc.encrypted.threshold import public_key, relinearisation, rotation
from mpc.encrypted.threshold.owner import Owner
from mpc.encrypted.threshold.session import JointKey
from mpc.encrypted.training import PRODUCTS, PUBLIC


class KeyJob(Protocol):
    """A job that says which keys it needs."""

    def keys_needed(self) -> tuple[int, Mapping[int, int]]:
        """Return the highest level of a product, above 0, and by step of rotation the highest level."""
        ...


def rotation_name(step: int) -> str:
    """Return the name of the key for one rotation."""
    return f"rotation {step}"


def first_sizes(key: JointKey, job: KeyJob) -> dict[str, int]:
    """Return the name and the length of what an owner shows to all."""
    level, _ = job.keys_needed()
    return {PUBLIC: public_key.share_bytes(key), PRODUCTS: relinearisation.share_bytes(key, level)}


def owner_first(owner: Owner, job: KeyJob) -> dict[str, bytes]:
    """Return an owner's shares of the public key and of the first round for products, by name."""
    level, _ = job.keys_needed()
    return {PUBLIC: public_key.owner_share(owner), PRODUCTS: relinearisation.owner_first_share(owner, level)}


def add_first(key: JointKey, job: KeyJob, firsts: Sequence[Mapping[str, bytes]]) -> tuple[bytes, bytes]:
    """Return the public key, and what the first round for products adds up to, from all owners' shares in order.

    Raises:
        ProtocolError: a share is not what :meth:`JointKey.open` expects.
    """
    level, _ = job.keys_needed()
    public = public_key.combine(key, [one[PUBLIC] for one in firsts])
    return public, relinearisation.add_first(key, level, [one[PRODUCTS] for one in firsts])


def second_sizes(key: JointKey, job: KeyJob) -> dict[str, int]:
    """Return the name and the length of what an owner sends to the trainer alone."""
    level, steps = job.keys_needed()
    sizes = {PRODUCTS: relinearisation.share_bytes(key, level)}
    return sizes | {rotation_name(step): rotation.share_bytes(key, highest) for step, highest in steps.items()}


def owner_second(owner: Owner, job: KeyJob, added: bytes) -> dict[str, bytes]:
    """Return an owner's shares of the second round for products and of rotations, by name."""
    level, steps = job.keys_needed()
    shares = {PRODUCTS: relinearisation.owner_second_share(owner, level, added)}
    return shares | {rotation_name(step): rotation.owner_share(owner, step, highest) for step, highest in steps.items()}


def trainer_combine(
    key: JointKey, job: KeyJob, firsts: Sequence[Mapping[str, bytes]], seconds: Sequence[Mapping[str, bytes]]
) -> dict[str, bytes]:
    """Return the keys by name, those for rotations in the job's order behind the others.

    Raises:
        ProtocolError: a share is not what :meth:`JointKey.open` expects.
    """
    level, steps = job.keys_needed()
    public, added = add_first(key, job, firsts)
    keys = {PUBLIC: public, PRODUCTS: relinearisation.combine(key, level, added, [one[PRODUCTS] for one in seconds])}
    for step, highest in steps.items():
        name = rotation_name(step)
        keys[name] = rotation.combine(key, step, highest, [one[name] for one in seconds])
    return keys


def public_of(key: JointKey, message: bytes) -> CkksPublicKey:
    """Return the public key to encrypt with, from what :func:`add_first` gave."""
    return CkksPublicKey(key.core, message)
