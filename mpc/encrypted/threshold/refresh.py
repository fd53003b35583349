"""The collective refresh: a ciphertext at a higher level, whose value nobody learns, in one round.

    each owner i                                   everybody
      c_1 s_i + m_i,  -a s_i - m_i + e_i  ------>
                                                   v = c_0 + sum_i (c_1 s_i + m_i), which is the value with noise
                                                   and all masks, as integers around zero
                                                   (v + sum_i (-a s_i - m_i + e_i), a) at the higher level

m_i is uniform and so wide that it hides the value (:mod:`mpc.encrypted.threshold.masks`). The masks cancel in the
result, which has the ciphertext's noise and ``sum_i e_i``. So errors of one stretch carry over to the next one,
unlike those of a lone owner, who encrypts the twin's weights anew. The twin counts them
(:meth:`mpc.encrypted.twin.Twin.refreshed`).

The common a depends on the ciphertext's digest. An owner answers one ciphertext for each refresh of a job, and none
that it answers in another step. The mask is another than that of a decryption, because whoever trains learns
``sum_i (c_1 s_i + m_i)`` here, and with the same masks in a decryption it would have the value.

Mouchet et al. (PoPETs 2021), protocol 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from mpc._core import CkksCiphertext, ckks_refreshed
from mpc.encrypted.threshold.masks import Mask
from mpc.encrypted.threshold.owner import Owner
from mpc.encrypted.threshold.session import HEAD_BYTES, JointKey
from mpc.errors import ProtocolError


def step_of(target: int, iteration: int) -> str:
    """Return the name of the step that refreshes one target's weights after an iteration."""
    return f"refresh of target {target} after iteration {iteration}"


def share_bytes(key: JointKey, mask: Mask, level: int) -> int:
    """Return the length of one owner's share of a refresh to a level."""
    return HEAD_BYTES + key.core.seeded_bytes(mask.level) + key.core.seeded_bytes(level)


def owner_share(owner: Owner, step: str, ciphertext: CkksCiphertext, mask: Mask, level: int) -> bytes:
    """Return an owner's share of the refresh of a ciphertext to a level.

    Raises:
        ProtocolError: the ciphertext is of another key, or of another level than the mask is for.
        OrderError: the owner has answered another ciphertext, mask or level in this step, or this one in another.
    """
    key = owner.key
    if ciphertext.key_id != key.key_id:
        raise ProtocolError("expected a ciphertext under the joint key, found one under another key", step=step)
    if ciphertext.level != mask.level:
        raise ProtocolError.mismatch("a ciphertext of level", mask.level, ciphertext.level, step=step)
    message = ciphertext.to_bytes()
    owner.note_ciphertexts(step, [message], mask.bits, level)
    common = _common(key, step, message)
    opening = owner.secret.refresh_opening(ciphertext, mask.bits)
    return owner.sign(step, opening + owner.secret.refresh(ciphertext, mask.bits, common, level))


def combine(
    key: JointKey, step: str, ciphertext: CkksCiphertext, mask: Mask, level: int, shares: Sequence[bytes]
) -> bytes:
    """Return the refreshed ciphertext, as :meth:`CkksCiphertext.from_bytes` reads it, of the shares of all owners.

    Raises:
        ProtocolError: a share is missing, malformed, or not of this session, step and ciphertext. Also where value and
            masks are larger than they may be, as those of a share of another secret are.
    """
    first = key.core.seeded_bytes(mask.level)
    messages = key.open_all(step, shares)
    for owner, message in enumerate(messages):
        if len(message) != share_bytes(key, mask, level) - HEAD_BYTES:
            expected = share_bytes(key, mask, level) - HEAD_BYTES
            raise ProtocolError.mismatch(
                "bytes of a share", expected, len(message), peer=f"owner {owner + 1}", step=step
            )
    opened, fresh = [one[:first] for one in messages], [one[first:] for one in messages]
    return ckks_refreshed(ciphertext, opened, fresh, mask.opened_bits)


def _common(key: JointKey, step: str, message: bytes) -> bytes:
    return key.common_seed(f"{step} {sha256(message).hexdigest()}")
