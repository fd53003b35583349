"""What the steps of a back-end know of their party: its place, its ring, its channels and its correlations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpc.errors import OrderError, ParameterError
from mpc.ring import Words
from mpc.tensors.backends.dealing import Dealing, shapes_in_label
from mpc.tensors.backends.handles import Handle
from mpc.tensors.backends.interface import Shape
from mpc.tensors.network import Network, Part

_ONES = np.uint64(0xFFFFFFFFFFFFFFFF)


class Party:
    """One party of a session.

    Attributes:
        computing: the names of the computing parties, in their order.
        computes: whether this is one of them.
        first: whether it is the first of them, which adds what is public.
        ring_bits: of the ring that values are shared in.
        dealing: where correlations come from. An outside party has none.
        ahead: values whose masks are opened with those that are opened next.
        openings: how many rounds of openings there have been, which numbers their messages.
    """

    def __init__(self, network: Network, computing: tuple[str, ...], ring_bits: int) -> None:
        self.network = network
        self.computing = computing
        self.computes = network.me in computing
        self.first = network.me == computing[0]
        self.others = tuple(name for name in computing if name != network.me)
        self.ring_bits = ring_bits
        self.openings = 0
        self.ahead: list[Handle] = []
        self._ring_mask = np.uint64((1 << ring_bits) - 1)
        self._dealing: Dealing | None = None

    @property
    def dealing(self) -> Dealing:
        if self._dealing is None:
            raise OrderError(f"expected {self.network.me} to have correlations, found none")
        return self._dealing

    @dealing.setter
    def dealing(self, dealing: Dealing) -> None:
        self._dealing = dealing

    def reduce(self, words: Words) -> Words:
        """Return words modulo 2^ring_bits."""
        return np.asarray(words) if self.ring_bits == 64 else np.asarray(words & self._ring_mask)

    def handle(self, shape: Shape, share: Words | None, *, given: bool = False) -> Handle:
        """Return a new handle of this session, with this party's share if it computes."""
        if share is not None:
            if share.shape != shape:
                raise OrderError(f"expected a share of shape {shape}, found {share.shape}")
            share.setflags(write=False)  # handles share memory with each other
        return Handle(self, shape, share, given=given)

    def share_of(self, handle: Handle) -> Words:
        """Return this computing party's share."""
        return self.known(handle.share)

    def known(self, words: Words | None) -> Words:
        """Return an array that this party must know. Raises OrderError where it does not."""
        if words is None:
            raise OrderError(f"expected an array that {self.network.me} knows, found none")
        return words

    def check(self, handle: object) -> Handle:
        """Return a handle of this party and session. Raises ParameterError for any other."""
        if not isinstance(handle, Handle):
            raise ParameterError(f"expected a shared array of this back-end, found a {type(handle).__name__}")
        if handle.session is not self:
            whose = handle.session.network.me if isinstance(handle.session, Party) else "another back-end"
            raise ParameterError(f"expected a shared array of {self.network.me} in this session, found one of {whose}")
        return handle

    def open(self, kind: str, parts: Sequence[Part], shapes: Sequence[Shape]) -> list[Words]:
        """Open masked values to all computing parties, in one round."""
        label = f"open/{self.openings}/{kind}/{shapes_in_label(shapes)}"
        self.openings += 1
        return self.network.open(label, self.others, parts)

    def pass_by(
        self,
        kind: str,
        sizes: Sequence[tuple[int, int]],
        shapes: Sequence[Shape],
        senders: Sequence[str | None] | None = None,
    ) -> None:
        """Stand, at a party without shares, where the computing parties call :meth:`open` with so many words and bits.

        Nothing happens here. A party that only counts what a run costs counts it. `senders` are those of the parts.
        """

    @property
    def one(self) -> np.uint64:
        """This computing party's share of 64 bits that are all one."""
        return _ONES if self.first else np.uint64(0)

    def __repr__(self) -> str:
        return f"Party(me={self.network.me!r}, computing={self.computing})"
