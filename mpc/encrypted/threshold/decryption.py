"""The collective decryption of a result to one receiver, in one round, once for a job.

    each owner i                                receiver
      c_1 s_i + m_i                    ------>
                                                c_0 + sum_i (c_1 s_i + m_i) = value + noise + sum_i m_i

The shares go to the receiver alone. What a decryption shows, the noise with it, depends on the secret (Li and
Micciancio, EUROCRYPT 2021). There are two ways to keep that from the receiver.

- *Masked*: the ciphertext holds the value plus a mask that is uniform modulo Q, which another party has added and keeps
  (:mod:`mpc.encrypted.shared_release`). The receiver gets uniform numbers, of which its share is read. There m_i may be
  as narrow as the value's digits need. It makes a share an RLWE sample in s_i, whose noise it is. A receiver that works
  with the party that masked learns value and noise up to m_i, which is a hint on the noise and hides little of it.
- *Shared*: m_i hides value and noise, see :mod:`mpc.encrypted.threshold.masks`. The receiver holds the value plus the
  sum of the masks, each owner its mask, and these are shares of the value as integers.

With neither the receiver sees value and noise, changed by m_i as :meth:`Mask.error` says. How much of the noise m_i
hides is what `Mask.hidden_bits` says, and it cannot be much where the value is to keep its digits.

Mouchet et al. (PoPETs 2021), protocols 3 and 5.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mpc._core import CkksCiphertext, ckks_open_integers, ckks_open_residues, ckks_open_values
from mpc.encrypted.packing import Floats
from mpc.encrypted.threshold.masks import Mask
from mpc.encrypted.threshold.owner import Owner
from mpc.encrypted.threshold.session import HEAD_BYTES, JointKey
from mpc.errors import ProtocolError

RECORDED = "decryption"
"""The step under which an owner's record has the one decryption of a job."""


def step_of(target: int) -> str:
    """Return the name of the step that decrypts one target's result."""
    return f"decryption of target {target}"


def share_bytes(key: JointKey, level: int) -> int:
    """Return the length of one owner's share for one target."""
    return HEAD_BYTES + key.core.seeded_bytes(level)


def owner_shares(owner: Owner, results: Sequence[CkksCiphertext], mask: Mask) -> list[bytes]:
    """Return an owner's shares for the results of all targets, for the receiver alone.

    It is written down before that these are the results. Other ones, and other masks, are refused from then on.

    Raises:
        OrderError: the owner has answered for other results of this job, or one of these in a refresh, or whatever its
            record raises.
        ProtocolError: a result is of another key or level.
    """
    for result in results:
        _check(owner.key, result, mask)
    owner.note_ciphertexts(RECORDED, [result.to_bytes() for result in results], mask.bits, mask.level)
    return [
        owner.sign(step_of(target), owner.secret.decryption(result, mask.bits)) for target, result in enumerate(results)
    ]


def receiver_open(key: JointKey, target: int, result: CkksCiphertext, shares: Sequence[bytes]) -> Floats:
    """Return the ``(slots,)`` values of a result, with noise and all masks, from the shares of all owners in order.

    Raises:
        ProtocolError: a share is missing, malformed, or not of this session, target and result.
    """
    return ckks_open_values(result, key.open_all(step_of(target), shares))


def receiver_residues(
    key: JointKey, target: int, result: CkksCiphertext, shares: Sequence[bytes]
) -> NDArray[np.uint64]:
    """Return the same as coefficients modulo the primes of the result's level, ``(level + 1, N)``.

    It is what :class:`mpc.encrypted.reading.Reading` reads. Raises as :func:`receiver_open` does.
    """
    return ckks_open_residues(result, key.open_all(step_of(target), shares)).reshape(result.level + 1, -1)


def receiver_integers(
    key: JointKey, target: int, result: CkksCiphertext, shares: Sequence[bytes], mask: Mask
) -> list[int]:
    """Return the same as N integers around zero: the receiver's share where each owner keeps its mask.

    Raises as :func:`receiver_open` does, ParameterError for a modulus above 127 bits, and ProtocolError where value and
    masks are larger than they may be, as those of a share of another secret are.
    """
    messages = key.open_all(step_of(target), shares)
    return _integers(*ckks_open_integers(result, messages, mask.opened_bits))


def owner_mask(owner: Owner, result: CkksCiphertext, mask: Mask) -> list[int]:
    """Return the N integers of an owner's mask on a result. It is a secret of this owner."""
    _check(owner.key, result, mask)
    return _integers(*owner.secret.mask(result, mask.bits))


def _integers(low: NDArray[np.uint64], high: NDArray[np.int64]) -> list[int]:
    return [(above << 64) + below for below, above in zip(low.tolist(), high.tolist(), strict=True)]


def _check(key: JointKey, result: CkksCiphertext, mask: Mask) -> None:
    if result.key_id != key.key_id:
        raise ProtocolError("expected a result under the joint key, found one under another key")
    if result.level != mask.level:
        raise ProtocolError.mismatch("a result at level", mask.level, f"one at level {result.level}")
