"""What shows that an array which came in pieces is the one that its owner sent, although a computing party may cheat.

A party that changes its piece (:mod:`mpc.tensors.delivery`) changes the array, and no MAC shows it, because a piece is
that party's own input. So whoever splits rows w also splits a pad u of :data:`~mpc.tensors.backends.subsets.SUMS`
words a row::

    owner                               computing parties
    pieces of w and of u      ---->     w and u are shared, so that no piece can be changed any more
                                        coins come up, which nobody knew before
                                        v = (sums of subsets of w, by the coins) + u is opened
    v from w, u and the coins           is the v that was opened

The pad is uniform and serves once, so that v shows nothing. A row that was changed has the right v with a probability
of at most 2^-48. To change the pad as well does not help, for then the error of the sums would have to be one that was
chosen before.

A client compares v itself. Its coins are :func:`toss`-ed by all computing parties, of whom one is honest. The owner of
a model has left. It leaves *tickets*, each with a pad, the v, and coins that are split among the parties. Each party
shows its piece of the coins once w and u are shared. A ticket serves one session, because then its coins are known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from mpc.errors import CheatingError, ParameterError, ProtocolError
from mpc.randomness import SYSTEM, Randomness
from mpc.ring import Ring, Words
from mpc.tensors.backends.commitments import commitment, swap_with_all
from mpc.tensors.backends.interface import Backend, Fingerprints, Shared
from mpc.tensors.backends.kernels import SEED_BYTES
from mpc.tensors.backends.subsets import SUMS, subset_sums
from mpc.tensors.delivery import split, sum_of_pieces
from mpc.tensors.network import Network, from_wire, to_wire, wire_size
from mpc.tensors.session import Session

BITS = 64
"""Of the ring of all back-ends that notice parties who cheat."""
_DIGEST = hashlib.sha256().digest_size


def pads_of(backend: Backend) -> int:
    """Return how many words a row's pad has with this back-end: none where all parties follow the protocol."""
    return SUMS if isinstance(backend, Fingerprints) else 0


def fingerprint(rows: Words, pads: Words, coins: bytes) -> Words:
    """Return what must be opened for `(n, count)` rows and their `(n, SUMS)` pads."""
    found: Words = subset_sums(rows, coins) + pads
    return found


def shared_fingerprint(backend: Backend, parts: Sequence[Shared], pads: Shared, coins: bytes | None) -> Shared:
    """Return the fingerprint of rows that stand side by side in parts of `(n, ...)`.

    The coins are None for a party that does not compute.
    """
    if not isinstance(backend, Fingerprints):
        raise TypeError(f"expected a back-end with fingerprints, found {backend.name}")
    count = parts[0].shape[0]
    width = sum(prod(part.shape[1:]) for part in parts)
    rows = backend.linear(
        lambda *arrays: np.concatenate([array.reshape(count, -1) for array in arrays], axis=1), (count, width), *parts
    )
    return backend.add(backend.subset_sums(rows, coins), pads)


def toss(network: Network, computing: Sequence[str], randomness: Randomness = SYSTEM) -> bytes:
    """Return coins of all computing parties together, in two rounds. Nobody knows them before the second.

    Raises:
        CheatingError: a party shows something else than it had committed to.
    """
    others = [name for name in computing if name != network.me]
    own = randomness.bytes(SEED_BYTES)
    hidden = swap_with_all(network, others, "toss/hidden", commitment(network.me, own))
    shown = swap_with_all(network, others, "toss/shown", own)
    for peer, seed in shown.items():
        if hidden[peer] != commitment(peer, seed):
            raise CheatingError("expected what the party had committed to, found another value", peer=peer, step="toss")
    return hashlib.sha256(b"".join(seed for _, seed in sorted((shown | {network.me: own}).items()))).digest()


# -- a model, whose owner has left -----------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Ticket:
    """What one computing party has for one check of a model.

    Attributes:
        pads: its piece of the pad.
        coins: its piece of the coins, by XOR.
        digest: of the whole coins.
        opened: the fingerprint.
    """

    pads: Words
    coins: bytes
    digest: bytes
    opened: Words

    SIZE = 2 * wire_size(SUMS, BITS) + SEED_BYTES + _DIGEST

    @classmethod
    def read(cls, body: memoryview | bytes) -> Ticket:
        """Return the ticket of a message. Raises ProtocolError for another length."""
        if len(body) != cls.SIZE:
            raise ProtocolError.mismatch("bytes of a ticket", cls.SIZE, len(body))
        view, size = memoryview(body), wire_size(SUMS, BITS)
        ends = (size, size + SEED_BYTES, size + SEED_BYTES + _DIGEST)
        return cls(
            from_wire(view[: ends[0]], BITS), bytes(view[ends[0] : ends[1]]), bytes(view[ends[1] : ends[2]]),
            from_wire(view[ends[2] :], BITS),
        )  # fmt: skip

    def __repr__(self) -> str:
        return "Ticket(<hidden>)"


def tickets_of(words: Words, parties: int, count: int, randomness: Randomness = SYSTEM) -> list[bytes]:
    """Return for each computing party so many tickets of a model, one after the other.

    Args:
        words: of all parameters, one after the other.
        parties, count: of parties and of tickets.
        randomness: for known-answer tests.

    Raises:
        ParameterError: there are no words.
    """
    if not words.size:
        raise ParameterError("expected a model of at least one word, found none")
    found = [b""] * parties
    for _ in range(count):
        pad = Ring(BITS).random((1, SUMS), randomness)
        pieces = [randomness.bytes(SEED_BYTES) for _ in range(parties)]
        coins = _whole(pieces)
        shown = hashlib.sha256(coins).digest() + bytes(to_wire(fingerprint(words.reshape(1, -1), pad, coins), BITS))
        for place, piece in enumerate(split(pad, parties, BITS, randomness)):
            found[place] += bytes(to_wire(piece, BITS)) + pieces[place] + shown
    return found


def _whole(pieces: Sequence[bytes]) -> bytes:
    rows = np.frombuffer(b"".join(pieces), dtype=np.uint8).reshape(len(pieces), SEED_BYTES)
    whole: bytes = np.bitwise_xor.reduce(rows, axis=0).tobytes()
    return whole


def check_model(session: Session, network: Network, parameters: Sequence[Shared], ticket: Ticket | None) -> None:
    """Check that parameters are those that their owner sent. A party that does not compute has no ticket.

    Raises:
        CheatingError: a party has brought in another piece than it got, or shows other coins.
    """
    backend = session.backend
    pads = sum_of_pieces(session, None if ticket is None else ticket.pads.reshape(1, SUMS), (1, SUMS))
    rows = [backend.linear(lambda array: array.reshape(1, -1), (1, prod(each.shape)), each) for each in parameters]
    coins = None
    if ticket is not None:
        others = [name for name in backend.computing if name != backend.me]
        coins = _whole([ticket.coins, *swap_with_all(network, others, "model/coins", ticket.coins).values()])
        if hashlib.sha256(coins).digest() != ticket.digest:
            raise CheatingError(
                "expected the coins of the model's owner, found others; a party has shown a wrong piece"
            )
    opened = backend.open([shared_fingerprint(backend, rows, pads, coins)], backend.computing)
    if ticket is not None and opened is not None and not np.array_equal(opened[0].reshape(-1), ticket.opened):
        raise CheatingError(
            "expected the model that its owner gave, found another; a computing party has brought in another share, "
            "and the check cannot tell which"
        )
