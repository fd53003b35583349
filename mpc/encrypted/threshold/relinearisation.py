"""The key for products of several owners, in two rounds.

    each owner i                                                   everybody
      h_0,i = -a_d u_i + e_i + P g_d s_i,  h_1,i = a_d s_i + e'_i  ------>
                                                                    h_0 = sum_i h_0,i,  h_1 = sum_i h_1,i
      s_i h_0 + e''_i,  (u_i - s_i) h_1 + e'''_i                   ------>
                                                                    b_d = the sum of all of these,  a_d = h_1

u_i is a second ternary secret, for this key alone. With s, u, e, e', e'' and e''' for the sums over the owners, ``b_d
+ a_d s = P g_d s^2 + s e + u e' + e'' + e'''``. So the key switches from s^2 to s, and its error is that of products
of secrets and errors, which :meth:`mpc.encrypted.noise.Chain.product` bounds. It is divided by a prime at each
product.

Mouchet et al. (PoPETs 2021), protocol 2. The uniform half is not drawn from a seed but is h_1, so that the joint key
is twice as long as a single owner's.
"""

from __future__ import annotations

from collections.abc import Sequence

from mpc._core import ckks_add_key_shares, ckks_add_second_shares
from mpc.encrypted.threshold.owner import Owner
from mpc.encrypted.threshold.session import HEAD_BYTES, JointKey


def step_of(round_number: int, level: int) -> str:
    """Return the name of a round, 1 or 2, of the key for products up to a level."""
    return f"products at level {level}, round {round_number}"


def key_bytes(key: JointKey, level: int) -> int:
    """Return the length of the key, and of what a round adds up to."""
    head = 2 * key.core.seeded_bytes(0) - key.core.ciphertext_bytes(0)
    return 2 * key.core.switching_key_bytes(level) - head


def share_bytes(key: JointKey, level: int) -> int:
    """Return the length of one owner's share in either round."""
    return HEAD_BYTES + key_bytes(key, level)


def owner_first_share(owner: Owner, level: int) -> bytes:
    """Return an owner's share of the first round."""
    step = step_of(1, level)
    return owner.sign(step, owner.secret.first_relinearisation(owner.key.common_seed(step), level))


def add_first(key: JointKey, level: int, shares: Sequence[bytes]) -> bytes:
    """Return what the first shares of all owners, in order, add up to.

    Raises:
        ProtocolError: a share is missing, malformed or not of this session, round and level.
    """
    return ckks_add_key_shares(key.core, key.open_all(step_of(1, level), shares))


def owner_second_share(owner: Owner, level: int, first: bytes) -> bytes:
    """Return an owner's share of the second round, for the sum of the first one. An owner answers one sum alone.

    The owner adds the first shares up itself, with :func:`add_first`. A sum of somebody else's making is not told from
    the right one, and would draw the secret out of the answer.

    Raises:
        ProtocolError: the sum is malformed, or not of this session and level.
        OrderError: another sum was answered before.
    """
    step = step_of(2, level)
    common = owner.key.common_seed(step_of(1, level))
    owner.note(step, first)
    return owner.sign(step, owner.secret.second_relinearisation(common, first))


def combine(key: JointKey, level: int, first: bytes, shares: Sequence[bytes]) -> bytes:
    """Return the key for products from the sum of the first round and the second shares of all owners in order.

    Raises:
        ProtocolError: a share is missing, malformed, not of this session, round and level, or answers another sum.
    """
    return ckks_add_second_shares(key.core, first, key.open_all(step_of(2, level), shares))
