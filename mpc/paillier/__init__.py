"""Packed, additively homomorphic encryption after Paillier."""

from mpc.paillier.fixed_base import FixedBase
from mpc.paillier.packing import KEY_BITS, Packing
from mpc.paillier.scheme import PublicKey, SecretKey

__all__ = ["KEY_BITS", "FixedBase", "Packing", "PublicKey", "SecretKey"]
