"""A rotation key of several owners, in one round.

    each owner i                                              everybody
      b_d,i = -a_d f^-1(s_i) + e_d,i + P g_d s_i  for each digit d  ------>
                                                               b_d = sum_i b_d,i, with the common a_d

f is the rotation's automorphism, g_d the digit's gadget (``mpc/core/ckks/ciphertext.hpp``). The step is linear in
s_i, so the sum is a rotation key of ``s = sum_i s_i`` whose error is the sum of the owners' errors. After Mouchet
et al. (PoPETs 2021).
"""

from __future__ import annotations

from collections.abc import Sequence

from mpc._core import ckks_add_key_shares
from mpc.encrypted.threshold.owner import Owner
from mpc.encrypted.threshold.session import HEAD_BYTES, JointKey
from mpc.errors import ProtocolError


def step_of(steps: int, level: int) -> str:
    """Return the name of the step that makes the key for a rotation by so many slots, cut to a level."""
    return f"rotation {steps} at level {level}"


def share_bytes(key: JointKey, level: int) -> int:
    """Return the length of one owner's share."""
    return HEAD_BYTES + key.core.switching_key_bytes(level)


def owner_share(owner: Owner, steps: int, level: int) -> bytes:
    """Return an owner's share of a rotation key."""
    step = step_of(steps, level)
    return owner.sign(step, owner.secret.rotation_key(owner.key.common_seed(step), steps, level))


def combine(key: JointKey, steps: int, level: int, shares: Sequence[bytes]) -> bytes:
    """Return the rotation key from the shares of all owners in order.

    Raises:
        ProtocolError: a share is missing, malformed or not of this session, rotation and level.
    """
    messages = key.open_all(step_of(steps, level), shares)
    for owner, message in enumerate(messages):
        if len(message) != key.core.switching_key_bytes(level):
            raise ProtocolError.mismatch(
                "bytes of a share", key.core.switching_key_bytes(level), len(message), peer=f"owner {owner + 1}"
            )
    return ckks_add_key_shares(key.core, messages)
