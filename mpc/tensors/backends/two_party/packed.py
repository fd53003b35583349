"""Element-wise products of many words, N of them in a polynomial.

Both parties' words x_0, y_0 and x_1, y_1 are taken modulo four primes of 47 bits (``mpc/core/bfv/slots.hpp``). One
party uploads x and y, and the other one computes::

    Enc(x_0) y_1 + Enc(y_0) x_1 + r

Both parties are the holder for every other run of N words, so that both have as much to do. A square takes one upload,
and its result counts twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mpc._core import RlweSlots
from mpc.randomness import RoleRandomness
from mpc.ring import Words
from mpc.tensors.backends.two_party.encrypted import DEGREE, Keys
from mpc.tensors.network import Network

PRIMES, PRIME_BITS = 4, 47
RUNS_AT_ONCE = 16  # of N words, in one message


class Packed:
    """One party's side of products of words. Making it exchanges keys.

    Args:
        network: with a channel to the peer.
        peer: the other computing party.
        first: whether this is the first party.
        randomness: for known-answer tests.
    """

    def __init__(self, network: Network, peer: str, randomness: RoleRandomness, *, first: bool) -> None:
        self._slots = RlweSlots(DEGREE, PRIMES, PRIME_BITS)
        self._keys = Keys(network, peer, "words", self._slots.primes, randomness)
        self._first = first

    def crossed(self, x: Words, y: Words | None) -> Words:
        """Return this party's share of x_0 y_1 + x_1 y_0 modulo 2^64, for flat words of both. None is x itself."""
        share = np.zeros(x.size, dtype=np.uint64)
        step = RUNS_AT_ONCE * DEGREE
        for start in range(0, x.size, step):
            part = slice(start, start + step)
            share[part] = self._some(x[part], None if y is None else y[part])
        return share

    def _some(self, x: Words, y: Words | None) -> Words:
        """Do as many runs as one message holds."""
        keys, share = self._keys, np.zeros(x.size, dtype=np.uint64)
        keys.next_step()
        runs = [slice(start, min(start + DEGREE, x.size)) for start in range(0, x.size, DEGREE)]
        mine, theirs = (runs[0::2], runs[1::2]) if self._first else (runs[1::2], runs[0::2])
        columns = [x] if y is None else [x, y]
        sizes = [each.upload_bytes(len(columns)) for each in keys.parameters]
        uploads = [part for run in mine for part in self._upload([column[run] for column in columns])]
        received = keys.swap("upload", uploads, len(theirs) * sum(sizes))
        replies: list[bytes] = []
        for run in theirs:
            crossing = [column[run] for column in reversed(columns)]
            parts, share[run] = self._reply(received[: sum(sizes)], sizes, crossing)
            replies += parts
            received = received[sum(sizes) :]
        places = np.arange(DEGREE)
        reply_sizes = [each.reply_bytes(places, 1) for each in keys.parameters]
        received = keys.swap("reply", replies, len(mine) * sum(reply_sizes))
        for run in mine:
            share[run] = self._opened(received[: sum(reply_sizes)], reply_sizes, places, run.stop - run.start)
            received = received[sum(reply_sizes) :]
        return share * np.uint64(2) if y is None else share

    def _upload(self, columns: Sequence[Words]) -> list[bytes]:
        """Return the encryptions of one run of words, modulo each prime."""
        encoded = [self._slots.encode(np.ascontiguousarray(column)) for column in columns]
        return [
            key.encrypt(np.stack([column[place] for column in encoded])) for place, key in enumerate(self._keys.own)
        ]

    def _reply(self, upload: memoryview, sizes: Sequence[int], columns: Sequence[Words]) -> tuple[list[bytes], Words]:
        """Return the replies to an upload, and this party's share."""
        encoded = [self._slots.encode_factors(np.ascontiguousarray(column)) for column in columns]
        masks = self._slots.masks(self._keys.uniform(2 * PRIMES * DEGREE))
        places: NDArray[np.int64] = np.arange(DEGREE)
        replies = []
        for place, (evaluator, size) in enumerate(zip(self._keys.theirs, sizes, strict=True)):
            weights = np.stack([column[place] for column in encoded]).view(np.int64)[None]
            with self._keys.naming_peer():
                loaded = evaluator.load(weights, 0)
                replies.append(evaluator.apply(loaded, upload[:size], np.ascontiguousarray(masks[place]), places))
            upload = upload[size:]
        return replies, np.negative(self._slots.decode(masks, columns[0].size))

    def _opened(self, reply: memoryview, sizes: Sequence[int], places: NDArray[np.int64], count: int) -> Words:
        """Return this party's share from the replies to its own upload."""
        opened = []
        for key, size in zip(self._keys.own, sizes, strict=True):
            with self._keys.naming_peer():
                opened.append(key.decrypt(reply[:size], places, 1))
            reply = reply[size:]
        return self._slots.decode(np.stack(opened), count)

    def __repr__(self) -> str:
        return "Packed()"
