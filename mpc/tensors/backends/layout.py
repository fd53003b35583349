"""How the values of a comparison stand side by side in planes of bits.

A plane has a bit of 64 values in each word (:mod:`mpc.tensors.backends.kernels`). Values that are masked by the same
secret, because they differ by public numbers alone, stand in a block each, one below the other. What the provider deals
about the secret then serves all of them. All other values stand in one block, one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from mpc.ring import Words
from mpc.tensors.backends.handles import Mask
from mpc.tensors.backends.interface import Shape
from mpc.tensors.backends.kernels import plane_words, to_planes


def joined(arrays: Sequence[Words]) -> Words:
    """Return all values of many arrays in one flat array."""
    return np.concatenate([array.reshape(-1) for array in arrays]) if arrays else np.zeros(0, dtype=np.uint64)


def parted(flat: Words, shapes: Sequence[Shape]) -> list[Words]:
    """Return the arrays that :func:`joined` joined."""
    arrays, start = [], 0
    for shape in shapes:
        end = start + prod(shape)
        arrays.append(flat[start:end].reshape(shape))
        start = end
    return arrays


@dataclass(frozen=True)
class Run:
    """Blocks that one secret masks, each of which is the places of its values. All blocks have as many numbers."""

    blocks: tuple[tuple[int, ...], ...]
    count: int

    @property
    def words(self) -> int:
        """Of a plane of one block."""
        return plane_words(self.count)


@dataclass(frozen=True)
class Layout:
    """The runs of a comparison, and the shapes of its values by place."""

    runs: tuple[Run, ...]
    shapes: tuple[Shape, ...]

    @classmethod
    def of(cls, shapes: Sequence[Shape], masks: Sequence[Mask] | None = None) -> Layout:
        """Return the layout of values of these shapes, with the masks by which some are seen to be masked alike."""
        alike: dict[int, list[int]] = {}
        for place in range(len(shapes)):
            alike.setdefault(place if masks is None else id(masks[place].first), []).append(place)
        alone = tuple(places[0] for places in alike.values() if len(places) == 1)
        runs = [Run(tuple((place,) for place in places), prod(shapes[places[0]]))
                for places in alike.values() if len(places) > 1]  # fmt: skip
        if alone or not runs:
            runs.append(Run((alone,), sum(prod(shapes[place]) for place in alone)))
        return cls(tuple(runs), tuple(shapes))

    @property
    def words(self) -> int:
        """Of a plane of all values."""
        return sum(len(run.blocks) * run.words for run in self.runs)

    @property
    def secret_words(self) -> int:
        """Of a plane of all secrets."""
        return sum(run.words for run in self.runs)

    def planes(self, arrays: Sequence[Words], bits: int) -> Words:
        """Return the planes of all values."""
        return _side_by_side([_planes(arrays, block, bits) for run in self.runs for block in run.blocks])

    def secret_planes(self, arrays: Sequence[Words], bits: int) -> Words:
        """Return the planes of all secrets, of each from one of the values that it masks."""
        return _side_by_side([_planes(arrays, run.blocks[0], bits) for run in self.runs])

    def spread(self, planes: Words) -> Words:
        """Return what stands in planes of secrets as it stands in planes of values."""
        if all(len(run.blocks) == 1 for run in self.runs):
            return planes
        parts, start = [], 0
        for run in self.runs:
            parts += [planes[..., start : start + run.words]] * len(run.blocks)
            start += run.words
        return _side_by_side(parts)

    def secret_blocks(self) -> list[tuple[int, int, int]]:
        """Return where each block's secrets begin in a plane of secrets, where it begins in one of values, and words.

        Blocks that one secret masks have the same secrets.
        """
        found, secrets, values = [], 0, 0
        for run in self.runs:
            for _ in run.blocks:
                found.append((secrets, values, run.words))
                values += run.words
            secrets += run.words
        return found

    def blocks(self) -> Iterator[tuple[tuple[int, ...], int, slice]]:
        """Yield the places of each block, how many numbers it has, and where it stands in a plane."""
        start = 0
        for run in self.runs:
            for block in run.blocks:
                yield block, run.count, slice(start, start + run.words)
                start += run.words


def _planes(arrays: Sequence[Words], places: Sequence[int], bits: int) -> Words:
    chosen = [arrays[place] for place in places]
    flat = np.ascontiguousarray(chosen[0]).reshape(-1) if len(chosen) == 1 else joined(chosen)
    return to_planes(flat, bits)


def _side_by_side(parts: Sequence[Words]) -> Words:
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
