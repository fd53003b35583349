"""The Merkle tree of RFC 6962, section 2.1, which RFC 9162 repeats. Hashes are SHA-256, 32 bytes.

An inclusion proof shows that an entry stands at an index of the tree that has a root. A consistency proof shows that a
larger tree begins with all entries of a smaller one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from mpc.errors import ParameterError, ProtocolError

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256().digest()


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry, which no inner node's hash can equal."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A growing tree that knows the hash of every complete subtree.

    `levels[k][i]` is the hash of the 2^k leaves from index i 2^k on.
    """

    def __init__(self) -> None:
        self._levels: list[list[bytes]] = [[]]

    def __len__(self) -> int:
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """Add the hash of one more entry."""
        level = 0
        self._levels[0].append(leaf)
        while len(self._levels[level]) % 2 == 0:
            row = self._levels[level]
            level += 1
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(node_hash(row[-2], row[-1]))

    def truncate(self, size: int) -> None:
        """Forget all entries from index `size` on."""
        for level, row in enumerate(self._levels):
            del row[size >> level :]

    def leaf(self, index: int) -> bytes:
        """Return the hash of one entry."""
        return self._levels[0][index]

    def root(self, size: int | None = None) -> bytes:
        """Return the root of the first `size` entries, or of all. Raises `ParameterError` where there are fewer."""
        size = len(self) if size is None else size
        if not 0 <= size <= len(self):
            raise ParameterError(f"expected a size from 0 to {len(self)}, found {size}")
        return self._subtree(0, size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the inclusion proof of an entry in the tree of the first `size` ones (RFC 9162, 2.1.3.1)."""
        if not 0 <= index < size <= len(self):
            raise ParameterError(f"expected an index below a size up to {len(self)}, found {index} and {size}")
        return self._path(index, 0, size)

    def consistency(self, first: int, second: int) -> list[bytes]:
        """Return the proof that the tree of `second` entries begins with the first ones (RFC 9162, 2.1.4.1)."""
        if not 0 < first <= second <= len(self):
            raise ParameterError(f"expected sizes 0 < first <= second <= {len(self)}, found {first} and {second}")
        return self._subproof(first, 0, second, True)

    def _subtree(self, start: int, end: int) -> bytes:
        """Return the hash of leaves [start, end), where start is a multiple of a power of two that is not shorter."""
        length = end - start
        if length & (length - 1) == 0:
            level = length.bit_length() - 1
            return self._levels[level][start >> level]
        split = start + _split(length)
        return node_hash(self._subtree(start, split), self._subtree(split, end))

    def _path(self, index: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        split = start + _split(end - start)
        if index < split:
            return [*self._path(index, start, split), self._subtree(split, end)]
        return [*self._path(index, split, end), self._subtree(start, split)]

    def _subproof(self, size: int, start: int, end: int, whole: bool) -> list[bytes]:
        if size == end:
            return [] if whole else [self._subtree(start, end)]
        split = start + _split(end - start)
        if size <= split:
            return [*self._subproof(size, start, split, whole), self._subtree(split, end)]
        return [*self._subproof(size, split, end, False), self._subtree(start, split)]


def _split(length: int) -> int:
    """Return the largest power of two below `length`."""
    return 1 << ((length - 1).bit_length() - 1)


def check_inclusion(leaf: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Check that an entry stands at `index` of the tree (RFC 9162, 2.1.3.2). Raises `ProtocolError`."""
    _check_hashes([leaf, root, *proof])
    if not 0 <= index < size:
        raise ProtocolError(f"expected an index below the size {size}, found {index}")
    place, last, found = index, size - 1, leaf
    for step in proof:
        if last == 0:
            raise ProtocolError("expected a shorter inclusion proof")
        if place & 1 or place == last:
            found = node_hash(step, found)
            while place & 1 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, step)
        place, last = place >> 1, last >> 1
    if last or found != root:
        raise ProtocolError(f"expected an inclusion proof of entry {index} in {size}, found one of something else")


def check_consistency(first: int, second: int, root1: bytes, root2: bytes, proof: Sequence[bytes]) -> None:
    """Check that the second tree begins with the first (RFC 9162, 2.1.4.2). Raises `ProtocolError`.

    The empty tree begins every tree, so a proof of it would say nothing and is refused.
    """
    _check_hashes(proof)
    wrong = ProtocolError(f"expected a proof that {second} entries begin with {first}, found one of something else")
    if not 0 < first <= second:
        raise wrong
    if first == second:
        if proof or root1 != root2:
            raise wrong
        return
    steps = list(proof)
    if first & (first - 1) == 0:
        steps.insert(0, root1)
    if not steps:
        raise wrong
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    one = two = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise wrong
        if place & 1 or place == last:
            one, two = node_hash(step, one), node_hash(step, two)
            while place & 1 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            two = node_hash(two, step)
        place, last = place >> 1, last >> 1
    if last or one != root1 or two != root2:
        raise wrong


def _check_hashes(hashes: Sequence[bytes]) -> None:
    for step in hashes:
        if len(step) != HASH_BYTES:
            raise ProtocolError(f"expected hashes of {HASH_BYTES} bytes in a proof, found {len(step)}")
