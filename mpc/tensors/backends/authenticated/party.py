"""What the steps know of their party: its place, its keys, its channels, and what is still to be checked.

Everything that is opened passes here, so that nothing escapes the check.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpc._core import open_words
from mpc.errors import OrderError, ParameterError
from mpc.randomness import RoleRandomness
from mpc.ring import Words
from mpc.tensors.backends.authenticated import check, wide
from mpc.tensors.backends.authenticated.dealing import MacDealing, MacTaken
from mpc.tensors.backends.authenticated.values import Value
from mpc.tensors.backends.authenticated.wide import Wide
from mpc.tensors.backends.comparison import joined, parted
from mpc.tensors.backends.dealing import shapes_in_label
from mpc.tensors.backends.interface import Shape
from mpc.tensors.backends.kernels import to_planes, whole
from mpc.tensors.network import Network, Part, from_wire, to_wire

MOST_PENDING = 1 << 26
"""Bytes of what is opened and not checked, after which a check comes without a reveal."""


class MacParty:
    """One party of a session.

    Attributes:
        computing: the names of the computing parties, in their order.
        computes: whether this is one of them.
        first: whether it is the first of them, which adds what is public.
        openings: how many rounds of openings there have been, which numbers their messages.
        pending: what was opened and not yet checked.
    """

    def __init__(
        self, network: Network, computing: tuple[str, ...], randomness: RoleRandomness, most_pending: int
    ) -> None:
        self.network = network
        self.computing = computing
        self.computes = network.me in computing
        self.first = network.me == computing[0]
        self.others = tuple(name for name in computing if name != network.me)
        self.openings = 0
        self.pending = check.Pending()
        self._randomness = randomness.source("check")
        self._most_pending = most_pending
        self._checks = 0
        self._dealing: MacDealing | None = None

    @property
    def dealing(self) -> MacDealing:
        if self._dealing is None:
            raise OrderError(f"expected {self.network.me} to have correlations, found none")
        return self._dealing

    @dealing.setter
    def dealing(self, dealing: MacDealing | None) -> None:
        self._dealing = dealing

    @property
    def _keys(self) -> MacTaken:
        if not isinstance(self._dealing, MacTaken):
            raise OrderError(f"expected {self.network.me} to have a key, found none")
        return self._dealing

    @property
    def one(self) -> np.uint64:
        """This computing party's share of the bit 1."""
        return self._keys.bit_key

    def public(self, words: Words) -> Wide:
        """Return this computing party's share of public words."""
        return wide.public(words, self._keys.key, first=self.first)

    def value(self, shape: Shape, share: Wide | None) -> Value:
        """Return a new value of this session, with this party's share if it computes."""
        if share is not None and share.shape != shape:
            raise OrderError(f"expected a share of shape {shape}, found {share.shape}")
        return Value(self, shape, None if share is None else share.freeze())

    def share_of(self, value: Value) -> Wide:
        """Return this computing party's share."""
        return self.has(value.share)

    def has(self, share: Wide | None) -> Wide:
        """Return a share that this party must have. Raises OrderError where it does not."""
        if share is None:
            raise OrderError(f"expected a share that {self.network.me} has, found none")
        return share

    def known(self, words: Words | None) -> Words:
        """Return an array that this party must know. Raises OrderError where it does not."""
        if words is None:
            raise OrderError(f"expected an array that {self.network.me} knows, found none")
        return words

    def check(self, value: object) -> Value:
        """Return a value of this party and session. Raises ParameterError for any other."""
        if not isinstance(value, Value):
            raise ParameterError(f"expected a shared array of this back-end, found a {type(value).__name__}")
        if value.session is not self:
            whose = value.session.network.me if isinstance(value.session, MacParty) else "another back-end"
            raise ParameterError(f"expected a shared array of {self.network.me} in this session, found one of {whose}")
        return value

    # -- openings -----------------------------------------------------------------------------------------------------

    def open_numbers(self, kind: str, shares: Sequence[Wide]) -> list[Words]:
        """Open masked values to all computing parties, in one round. The lower words are what is returned."""
        shapes = [share.shape for share in shares]
        label = self._label(kind, shapes)
        mine = wide.joined(list(shares))
        parts = [to_wire(words, 64) for words in mine.value]
        size = sum(map(len, parts))
        received = self.network.swap(label, dict.fromkeys(self.others, parts), dict.fromkeys(self.others, size))
        low, high = mine.value
        for peer, body in received.items():
            with self.network.channel(peer).naming_peer():
                theirs = from_wire(body, 64).reshape(2, -1)
            low, high = wide.add(low, high, theirs[0], theirs[1])
        self.pending.saw(to_wire(low, 64))
        self.pending.saw(to_wire(high, 64))
        self.pending.add_numbers(*wide.subtract(*mine.mac, *wide.times(low, high, np.asarray(self._keys.key))))
        self._check_in_time()
        return parted(low, shapes)

    def open(self, kind: str, parts: Sequence[Part], shapes: Sequence[Shape]) -> list[Words]:
        """Open masked bits to all computing parties, in one round. Each comes as a word of all zeros or all ones."""
        label = self._label(kind, shapes)
        words = joined([part.shares for part in parts])
        (opened,) = self.network.open(label, self.others, [Part(to_planes(words, 1), planes=True)])
        self.pending.saw(to_wire(opened, 64))
        bits, rest = open_words(whole(opened.reshape(-1)), words, int(self.one))
        self.pending.add_bits(rest)
        self._check_in_time()
        return parted(bits, [part.shares.shape for part in parts])

    def pass_by(self, kind: str, sizes: Sequence[tuple[int, int]], shapes: Sequence[Shape]) -> None:
        """Stand, at a party without shares, where the computing parties call :meth:`open`. Nothing happens here."""

    def _label(self, kind: str, shapes: Sequence[Shape]) -> str:
        label = f"open/{self.openings}/{kind}/{shapes_in_label(shapes)}"
        self.openings += 1
        return label

    def _check_in_time(self) -> None:
        if self.pending.size > self._most_pending:
            self.check_all()

    def check_all(self) -> None:
        """Check all that was opened. Raises CheatingError, which has to end the session."""
        if not self.pending.checked:
            check.check(self.network, self.others, self.pending, self._randomness, self._checks)
            self._checks += 1

    def forget(self) -> None:
        """Lose the keys and all correlations, so that nothing can be computed or opened any more."""
        self._dealing = None
        self.pending.forget()

    def __repr__(self) -> str:
        return f"MacParty(me={self.network.me!r}, computing={self.computing})"
