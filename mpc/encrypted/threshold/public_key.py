"""The public key of several owners, in one round.

    each owner i                                  everybody
      b_i = -a s_i + e_i                 ------>
                                                   b = sum_i b_i = -a s + e, with the common a

Mouchet et al. (PoPETs 2021), protocol 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from mpc._core import ckks_add_key_shares
from mpc.encrypted.threshold.owner import Owner
from mpc.encrypted.threshold.session import HEAD_BYTES, JointKey

STEP = "public key"


def share_bytes(key: JointKey) -> int:
    """Return the length of one owner's share."""
    return HEAD_BYTES + key.core.public_key_bytes()


def owner_share(owner: Owner) -> bytes:
    """Return an owner's share of the public key."""
    return owner.sign(STEP, owner.secret.public_key(owner.key.common_seed(STEP)))


def combine(key: JointKey, shares: Sequence[bytes]) -> bytes:
    """Return the public key, as :class:`mpc._core.CkksPublicKey` reads it, from the shares of all owners in order.

    Who encrypts adds the shares up itself. Under a public key that the trainer has made the trainer would read.

    Raises:
        ProtocolError: a share is missing, malformed or not of this session and step.
    """
    return ckks_add_key_shares(key.core, key.open_all(STEP, shares))
