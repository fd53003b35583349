"""How wide an owner's mask must be, and which level has room for it.

An owner's share of a decryption is ``c_1 s_i + m_i``. Whoever has all other secrets knows ``c_0 + c_1 s`` up to the
value and its noise, so the share tells them ``h + m_i``, where h is the value with its noise, or the noise alone if
the value may be known. m_i is uniform in an interval of 2^k integers, coefficient by coefficient. What they see is
then within a statistical distance of ``sum |h_n| / 2^k <= N max |h_n| / 2^k`` of something that does not depend on h.

All masks and the value must fit the modulus Q of the ciphertext's level without wrapping: ``|value| + owners * 2^(k-1)
< Q / 2``. A level with less room is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mpc.encrypted.noise import Chain
from mpc.errors import RangeError

HIDDEN_BITS = 40
MOST_MASK_BITS = 120
MOST_OPENED_BITS = 127
"""The largest modulus, in bits, of which a masked ciphertext is opened as integers."""


@dataclass(frozen=True)
class Mask:
    """An owner's mask on each coefficient.

    Attributes:
        bits: the mask is uniform in ``[-2^(bits-1), 2^(bits-1))``.
        hidden_bits: what it hides changes what is seen by a statistical distance of at most 2^-hidden_bits.
        level: of the ciphertext that it is for. Others are refused.
        opened_bits: value, noise and all masks together are below 2^opened_bits. Shares that open to more are refused.
    """

    bits: int
    hidden_bits: float
    level: int
    opened_bits: int

    def error(self, chain: Chain) -> float:
        """Return the deviation that all owners' masks give a slot, as an integer inside of the ciphertext."""
        return math.sqrt(chain.owners * chain.degree / 2 / 12) * 2.0**self.bits


def lowest_level(chain: Chain, bits: int, value: float) -> int:
    """Return the lowest level with room for coefficients up to ``value`` and all owners' masks of so many bits.

    Raises:
        RangeError: no level has it, or the lowest one has a modulus above 127 bits.
    """
    needed = 2 * (math.ceil(value) + chain.owners * 2 ** (bits - 1))
    for level in range(chain.levels + 1):
        if chain.modulus(level) > needed:
            if chain.modulus(level).bit_length() > MOST_OPENED_BITS:
                break
            return level
    raise RangeError(
        f"expected masks for which a modulus of at most {MOST_OPENED_BITS} bits has room, found {chain.owners} of "
        f"{bits} bits, which need {needed.bit_length()} bits"
    )


def mask_of(chain: Chain, hidden: float, value: float, level: int | None = None, bits: float = HIDDEN_BITS) -> Mask:
    """Return the mask that hides coefficients up to ``hidden`` to a distance of 2^-bits.

    Args:
        chain: with the number of owners.
        hidden: the largest magnitude of a coefficient that is to be hidden, at least 1.
        value: the largest magnitude of a coefficient of the whole message, noise with it.
        level: of the ciphertext, or the lowest one that has room.

    Raises:
        RangeError: the level has no room. The sentence says which one has.
    """
    if not (1 <= hidden < math.inf and 0 <= value < math.inf):
        raise RangeError(f"expected finite bounds on coefficients, found {hidden:.3g} and {value:.3g}")
    wanted = math.ceil(bits + math.log2(chain.degree) + math.log2(hidden))
    if not 1 <= wanted <= MOST_MASK_BITS:
        raise RangeError(f"expected a mask of 1 to {MOST_MASK_BITS} bits, found that {wanted} are needed")
    lowest = lowest_level(chain, wanted, value)
    if level is None:
        level = lowest
    if level < lowest:
        raise RangeError(
            f"expected a ciphertext of at least level {lowest}, whose modulus has {chain.modulus(lowest).bit_length()} "
            f"bits, for masks of {wanted} bits of {chain.owners} owners, found level {level} with "
            f"{chain.modulus(level).bit_length()} bits"
        )
    opened = math.ceil(value) + chain.owners * 2 ** (wanted - 1)
    return Mask(wanted, wanted - math.log2(chain.degree) - math.log2(hidden), level, opened.bit_length())


def narrow_mask(chain: Chain, noise: float, level: int, beyond_bits: int = 10) -> Mask:
    """Return a mask for a ciphertext that another party has masked uniformly modulo Q, so that there is room for any.

    It makes each share an RLWE sample in the owner's secret, whose noise is the mask. So the receiver learns nothing of
    it. A receiver that works with the party that masked learns value and noise up to this mask, which is
    ``beyond_bits`` wider than the noise. That is a hint on the noise, and hides it to no statistical distance worth a
    number, which ``hidden_bits`` says. The mask changes what is released by :meth:`Mask.error`.

    Args:
        noise: the largest magnitude of the noise in a coefficient, at least 1.
    """
    if not 1 <= noise < math.inf:
        raise RangeError(f"expected a finite bound on noise, at least 1, found {noise:.3g}")
    bits = math.ceil(math.log2(noise)) + beyond_bits
    if not 8 <= bits <= MOST_MASK_BITS:
        raise RangeError(f"expected a mask of 8 to {MOST_MASK_BITS} bits, found that {bits} are wanted")
    return Mask(bits, bits - math.log2(chain.degree) - math.log2(noise), level, MOST_OPENED_BITS - 1)


def largest_coefficient(value: float, scale: float) -> float:
    """Return a bound on the coefficients of a polynomial whose slots are at most ``value`` in magnitude at a scale.

    A coefficient is a mean of the N slots, conjugates among them, with factors of modulus 1. Rounding adds one half.
    """
    return value * scale + 1
