"""Residues of a 60-bit prime on the wire: the bit order of :func:`mpc.ring.pack_words`, by whole-word shifts.

Ciphertexts are megabytes; shifting groups of 16 residues into 15 words is five times as fast as going through
single bits.
"""

from __future__ import annotations

import math

import numpy as np

from mpc.errors import ProtocolError
from mpc.inference.rlwe import PRIME_BITS
from mpc.ring import Words

_GROUP = 64 // math.gcd(64, PRIME_BITS)  # residues that fill whole words
_WORDS = _GROUP * PRIME_BITS // 64


def packed_residues_size(count: int) -> int:
    """Bytes of ``count`` residues: 7.5 each, padded to a group of 16."""
    return -(-count // _GROUP) * _WORDS * 8


def pack_residues(residues: Words) -> bytes:
    """Residues below 2^60, of any shape, to bytes; a last incomplete group is filled with zeros."""
    flat = residues.reshape(-1)
    groups = -(-flat.size // _GROUP)
    padded = np.zeros(groups * _GROUP, dtype=np.uint64)
    padded[: flat.size] = flat
    columns = np.ascontiguousarray(padded.reshape(groups, _GROUP).T)
    words = np.zeros((_WORDS, groups), dtype=np.uint64)
    for index in range(_GROUP):
        word, shift = divmod(index * PRIME_BITS, 64)
        words[word] |= columns[index] << np.uint64(shift)
        if shift + PRIME_BITS > 64:
            words[word + 1] |= columns[index] >> np.uint64(64 - shift)
    return np.ascontiguousarray(words.T).astype("<u8", copy=False).tobytes()


def unpack_residues(data: bytes | memoryview, shape: tuple[int, ...], prime: int | Words) -> Words:
    """The inverse; ``prime`` (broadcast against ``shape``) bounds every residue.

    Raises:
        ProtocolError: wrong length, a residue not below its prime, or padding that is not zero.
    """
    count = math.prod(shape)
    if len(data) != packed_residues_size(count):
        raise ProtocolError.mismatch("bytes of residues", packed_residues_size(count), len(data))
    words = np.ascontiguousarray(np.frombuffer(data, dtype="<u8").reshape(-1, _WORDS).T)
    columns = np.empty((_GROUP, words.shape[1]), dtype=np.uint64)
    mask = np.uint64((1 << PRIME_BITS) - 1)
    for index in range(_GROUP):
        word, shift = divmod(index * PRIME_BITS, 64)
        value = words[word] >> np.uint64(shift)
        if shift + PRIME_BITS > 64:
            value |= words[word + 1] << np.uint64(64 - shift)
        columns[index] = value & mask
    flat = np.ascontiguousarray(columns.T).reshape(-1)
    if flat[count:].any():
        raise ProtocolError("expected zero padding after packed residues, found other bits")
    residues = flat[:count].reshape(shape)
    if (residues >= prime).any():
        raise ProtocolError("expected residues below their prime, found a larger one")
    return residues
