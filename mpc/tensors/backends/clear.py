"""Integers of the ring in the clear, within one process, for trying programs before a back-end that hides them.

Nothing is hidden here, so this back-end is never a default. Each party of a simulation has a thread and holds every
value. It checks what a hiding back-end cannot check, namely that every bound its caller states is true.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mpc.errors import DeadlineError, OrderError, ParameterError, RangeError
from mpc.ring import Ring, Words
from mpc.tensors.backends.interface import Cost, Linear, Rounding, Shape, Shared

DEADLINE_S = 60.0


class EndedError(Exception):
    """Another party of the simulation has ended, so this one ends as well."""


@dataclass(frozen=True, repr=False)
class Clear:
    """An array that everybody holds, in the clear."""

    words: Words

    @property
    def shape(self) -> Shape:
        return self.words.shape

    def __repr__(self) -> str:
        return f"Clear(shape={self.shape})"


@dataclass(repr=False)
class Board:
    """What the threads of one simulation share: the inputs so far, and the seed of their common rounding."""

    deadline_s: float = DEADLINE_S
    seed: int = field(default_factory=lambda: int.from_bytes(os.urandom(16), "little"))
    _inputs: dict[int, tuple[str, Words]] = field(default_factory=dict)
    _ended: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def put(self, step: int, owner: str, words: Words) -> None:
        """Publish the input of one step."""
        with self._changed:
            self._inputs[step] = (owner, words)
            self._changed.notify_all()

    def get(self, step: int, owner: str, shape: Shape) -> Words:
        """Wait for the input of one step. Raises EndedError where a party has ended."""
        expires = time.monotonic() + self.deadline_s
        with self._changed:
            while step not in self._inputs:
                if self._ended:
                    raise EndedError
                if not self._changed.wait(timeout=max(0.0, expires - time.monotonic())):
                    raise DeadlineError(f"no input within {self.deadline_s:g} s", peer=owner, step=f"input #{step}")
            found, words = self._inputs[step]
        if (found, words.shape) != (owner, shape):
            raise OrderError(
                f"input #{step}: expected one of {owner} of shape {shape}, found one of {found} of shape {words.shape}"
            )
        return words

    def end(self) -> None:
        """Let every party that waits, or comes to wait, end."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class ClearBackend:
    """See :class:`mpc.tensors.backends.interface.Backend`. All parties compute everything, each for itself."""

    name = "clear"
    trust = "Nothing is hidden from anybody: values are in the clear, for trying programs."

    def __init__(self, me: str, parties: Sequence[str], board: Board | None = None, ring_bits: int = 64) -> None:
        if board is None and len(parties) > 1:
            raise ParameterError(
                f"expected one party for values in the clear, found {len(parties)}: choose a back-end that hides them"
            )
        self.ring = Ring(ring_bits)
        self.ring_bits = ring_bits
        self.me = me
        self.computing = tuple(parties)
        self.cost = Cost()
        self._board = board or Board()
        self._steps = 0
        self._rounding = np.random.Generator(np.random.Philox(key=self._board.seed))

    # -- in and out ---------------------------------------------------------------------------------------------------

    def input(self, owner: str, words: Words | None, shape: Shape) -> Shared:
        step, self._steps = self._steps, self._steps + 1
        if owner == self.me:
            if words is None or words.shape != shape:
                raise ParameterError(f"expected words of shape {shape}, found {None if words is None else words.shape}")
            self._board.put(step, owner, self.ring.reduce(words))
        return Clear(self._board.get(step, owner, shape))

    def constant(self, words: Words) -> Shared:
        return Clear(self.ring.reduce(words))

    def open(self, values: Sequence[Shared], to: Sequence[str]) -> list[Words] | None:
        return [_words(value).copy() for value in values] if self.me in to else None

    # -- local --------------------------------------------------------------------------------------------------------

    def add(self, x: Shared, y: Shared) -> Shared:
        return self._reduced(np.add(_words(x), _words(y)))

    def subtract(self, x: Shared, y: Shared) -> Shared:
        return self._reduced(_words(x) - _words(y))

    def add_public(self, x: Shared, words: Words) -> Shared:
        return self._reduced(_words(x) + words)

    def linear(self, function: Linear, shape: Shape, *values: Shared) -> Shared:
        result = function(*map(_words, values))
        if result.shape != shape:
            raise ParameterError(f"expected a linear map to shape {shape}, found {result.shape}")
        return self._reduced(result)

    # -- products -----------------------------------------------------------------------------------------------------

    def multiply(self, pairs: Sequence[tuple[Shared, Shared]]) -> list[Shared]:
        return [self._reduced(_words(x) * _words(y)) for x, y in pairs]

    def matmul(self, pairs: Sequence[tuple[Shared, Shared]]) -> list[Shared]:
        return [self._reduced(np.matmul(_words(x), _words(y))) for x, y in pairs]

    def truncate(self, values: Sequence[Shared], bits: int, bound: int, rounding: Rounding) -> list[Shared]:
        if bound >= 1 << (self.ring_bits - 2):
            raise RangeError(f"truncate: expected a bound below 2^{self.ring_bits - 2}, found 2^{bound.bit_length()}")
        return [
            self._reduced(self._rounded(self._signed("truncate", value, bound), bits, rounding)) for value in values
        ]

    def _rounded(self, values: np.ndarray, bits: int, rounding: Rounding) -> np.ndarray:
        if bits == 0 or rounding == "floor":
            return values >> np.int64(bits)
        if rounding == "nearest":
            return (values >> np.int64(bits)) + (values >> np.int64(bits - 1) & np.int64(1))
        below = self._rounding.integers(0, 1 << bits, size=values.shape, dtype=np.int64)
        return (values + below) >> np.int64(bits)

    # -- comparisons --------------------------------------------------------------------------------------------------

    def negative(self, values: Sequence[Shared], bound: int) -> list[Shared]:
        return [Clear((self._signed("negative", value, bound) < 0).astype(np.uint64)) for value in values]

    def keep_if(self, bits: Sequence[Shared], values: Sequence[Shared]) -> list[Shared]:
        return [self._reduced(_words(bit) * _words(value)) for bit, value in zip(bits, values, strict=True)]

    def relu(self, values: Sequence[Shared], bound: int) -> tuple[list[Shared], list[Shared]]:
        signed = [self._signed("relu", value, bound) for value in values]
        return (
            [self._reduced(np.maximum(value, 0)) for value in signed],
            [Clear((value >= 0).astype(np.uint64)) for value in signed],
        )

    # -----------------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End every party of this simulation that still waits."""
        self._board.end()

    def _reduced(self, values: np.ndarray) -> Clear:
        return Clear(np.asarray(self.ring.reduce(np.asarray(values))))

    def _signed(self, operation: str, value: Shared, bound: int) -> np.ndarray:
        """Return signed integers whose bound was checked. The sentence holds no value."""
        signed = self.ring.signed(_words(value))
        if signed.size and (int(signed.max()) > bound or int(signed.min()) < -bound):
            raise RangeError(f"{operation}: expected magnitudes of at most {bound}, found a larger one")
        return signed


def _words(value: Shared) -> Words:
    if not isinstance(value, Clear):
        raise ParameterError(f"expected a value of the back-end clear, found {type(value).__name__}")
    return value.words


def in_memory(
    parties: Sequence[str], provider: str | None = None, outside: Sequence[str] = (), ring_bits: int = 64
) -> dict[str, ClearBackend]:
    """Return a back-end for each party's thread, over one board. A provider only follows the program."""
    board = Board()
    names = dict.fromkeys((*parties, *([provider] if provider else []), *outside))
    return {name: ClearBackend(name, parties, board, ring_bits) for name in names}
