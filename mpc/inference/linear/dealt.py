"""The correlation of the private linear layers from a dealer, here the privacy guardian, in the SPDZ way.

After Beaver (CRYPTO 1991) for a fixed matrix, as in SPDZ-style libraries' matrix triples (Mohassel and Zhang, IEEE S&P
2017, section 4.2, where the masked matrix is opened once). Seeds stand for whatever one party alone chooses. The
querying party therefore hears of the dealer once::

           QP                           PG                                AP, holds W
    open   seed of all r and u  ◄─────  seeds    ──────────────────────►  seed of A
           E = W - A          ◄─────────────────────────────────────────  once a session
    batch                               r, u, A from the seeds  ◄───────  "n queries"
           E r + u = W r - s            A r - u  ──────────────────────►  s = A r - u

All values lie in Z_2^l. A is as large as W and uniform. Alone, each party learns little. The QP learns E, which A makes
uniform. The AP learns s, which u makes uniform. The PG learns the architecture and how many queries are prepared for,
but never sees W, E or x - r. A request does not name its querying party. It comes in that party's turn, over the AP's
own connection.

The price is trust. PG and QP together have W = E + A. PG and AP together have x = (x - r) + r.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from mpc.channels.frames import Channel
from mpc.errors import ParameterError
from mpc.inference.linear.architecture import Architecture
from mpc.inference.linear.masks import draw_masks
from mpc.inference.models.arithmetic import convolve
from mpc.inference.models.limits import LARGEST_BATCH
from mpc.randomness import SYSTEM, Randomness
from mpc.ring import Ring, Words

TRUST: dict[str, str] = {
    "he": "preprocessing he: nobody beyond the protocol's own assumption, as the linear layers are prepared under "
    "encryption",
    "dealer": "preprocessing dealer: the privacy guardian, as it deals the linear layers' correlations: together with "
    "the querying party it could open the answering parties' models, together with an answering party the queries",
}
SEED_BYTES = 32


class Keystream:
    """AES-256 in counter mode under a seed, a :class:`~mpc.randomness.Randomness` that two parties share.

    Lanes are 2^64 blocks apart and never overlap.
    """

    def __init__(self, seed: bytes, lane: int) -> None:
        if len(seed) != SEED_BYTES:
            raise ParameterError(f"expected a seed of {SEED_BYTES} B, found {len(seed)}")
        counter = lane.to_bytes(8, "big") + bytes(8)
        self._encryptor = Cipher(algorithms.AES(seed), modes.CTR(counter)).encryptor()

    def bytes(self, count: int) -> bytes:
        """Return the next ``count`` bytes."""
        return self._encryptor.update(bytes(count))

    def __repr__(self) -> str:
        return "Keystream(<seed hidden>)"


class CorrelationRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The AP's request for the correlation of one batch, or a batch of 0 to end the session."""

    batch: int

    def __post_init__(self) -> None:
        if not 0 <= self.batch <= LARGEST_BATCH:
            raise ParameterError(f"expected 0 to {LARGEST_BATCH} queries, found {self.batch}")


def dealer_give_seeds(querying: Channel, answering_parties: int, randomness: Randomness = SYSTEM) -> list[bytes]:
    """Send the QP, as PG, a fresh seed for each AP that it is about to ask, in an order that both know."""
    seeds = [randomness.bytes(SEED_BYTES) for _ in range(answering_parties)]
    querying.send("dealer/seeds", *seeds)
    return seeds


def querying_take_seeds(dealer: Channel, answering_parties: int) -> list[bytes]:
    """Receive the seeds, as QP, facing :func:`dealer_give_seeds`."""
    body = bytes(dealer.recv("dealer/seeds", SEED_BYTES * answering_parties))
    return [body[start : start + SEED_BYTES] for start in range(0, len(body), SEED_BYTES)]


class QueryingDealt:
    """The querying party's side towards one answering party. ``seed`` is the dealer's for this pair."""

    def __init__(self, seed: bytes, answering: Channel, architecture: Architecture) -> None:
        self._seed = seed
        self._architecture = architecture
        self._ring = Ring(architecture.ring_bits)
        self._batches = 0
        self._masked = [
            answering.recv_words(f"{name}/masked", shape.weight_shape, self._ring.bits).astype(np.int64)
            for name, _, shape in architecture.private_layers()
        ]

    def draw(self, batch: int) -> tuple[list[Words], list[Words]]:
        """Draw the next batch's masks, as the dealer does. See :func:`~mpc.inference.linear.masks.draw_masks`."""
        self._batches += 1
        return _masks(self._architecture, batch, self._seed, self._batches)

    def correlate(self, inputs: Sequence[Words]) -> list[Words]:
        """Make this side's shares W r - s of every private layer. Nothing is sent."""
        dealt = _shares(self._architecture, len(inputs[0]), self._seed, self._batches)
        layers = self._architecture.private_layers()
        return [
            self._ring.add(convolve(mask, masked, shape.stride), share)
            for (_, _, shape), masked, mask, share in zip(layers, self._masked, inputs, dealt, strict=True)
        ]

    def __repr__(self) -> str:
        return f"QueryingDealt(batches={self._batches})"


class AnsweringDealt:
    """The answering party's side, with the weights ``[outputs, channels, kh, kw]`` of each private layer."""

    def __init__(
        self, dealer: Channel, querying: Channel, architecture: Architecture, weights: Sequence[NDArray[np.int64]]
    ) -> None:
        self._dealer = dealer
        self._architecture = architecture
        self._ring = Ring(architecture.ring_bits)
        dealer.send_message("dealer/architecture", architecture)
        seed = bytes(dealer.recv("dealer/seed", SEED_BYTES))
        pads = _weight_pads(architecture, seed)
        for (name, _, _), weight, pad in zip(architecture.private_layers(), weights, pads, strict=True):
            masked = self._ring.reduce(weight.astype(np.uint64) - pad)
            querying.send_words(f"{name}/masked", masked, self._ring.bits)

    def correlate(self, batch: int) -> list[Words]:
        """Ask the dealer for this side's shares s of every private layer, uniform."""
        self._dealer.send_message("dealer/request", CorrelationRequest(batch))
        return [
            self._dealer.recv_words(f"{name}/dealt", (batch, *shape.output_shape), self._ring.bits)
            for name, _, shape in self._architecture.private_layers()
        ]

    def end(self) -> None:
        """Tell the dealer that there are no more batches."""
        self._dealer.send_message("dealer/request", CorrelationRequest(0))

    def __repr__(self) -> str:
        return f"AnsweringDealt({self._dealer.peer})"


class Dealer:
    """The dealer's side, for one querying and one answering party."""

    def __init__(self, answering: Channel, architecture: Architecture, seeds: tuple[bytes, bytes]) -> None:
        self._answering = answering
        self._architecture = architecture
        self._ring = Ring(architecture.ring_bits)
        self._querying_seed = seeds[0]
        self._pads = [pad.astype(np.int64) for pad in _weight_pads(architecture, seeds[1])]
        self._batches = 0

    @classmethod
    def open(cls, answering: Channel, querying_seed: bytes, randomness: Randomness = SYSTEM) -> Dealer:
        """Receive the AP's architecture and send it a fresh seed. ``querying_seed`` is the QP's for this AP.

        Raises:
            ProtocolError: an architecture beyond the limits.
        """
        architecture = answering.recv_message("dealer/architecture", Architecture)
        seed = randomness.bytes(SEED_BYTES)
        answering.send("dealer/seed", seed)
        return cls(answering, architecture, (querying_seed, seed))

    def next(self) -> int:
        """Wait for the AP's next request. Returns its number of queries, 0 at the end.

        Raises:
            ProtocolError: a malformed request.
        """
        return self._answering.recv_message("dealer/request", CorrelationRequest).batch

    def deal(self, batch: int) -> None:
        """Send the AP its shares for the next batch."""
        self._batches += 1
        _, inputs = _masks(self._architecture, batch, self._querying_seed, self._batches)
        shares = _shares(self._architecture, batch, self._querying_seed, self._batches)
        layers = self._architecture.private_layers()
        for (name, _, shape), pad, mask, share in zip(layers, self._pads, inputs, shares, strict=True):
            dealt = self._ring.reduce(convolve(mask, pad, shape.stride) - share)
            self._answering.send_words(f"{name}/dealt", dealt, self._ring.bits)

    def __repr__(self) -> str:
        return f"Dealer(batches={self._batches})"


def _weight_pads(architecture: Architecture, seed: bytes) -> list[Words]:
    """A, one for each private layer, the same for the whole session."""
    stream, ring = Keystream(seed, 0), Ring(architecture.ring_bits)
    return [ring.random(shape.weight_shape, stream) for _, _, shape in architecture.private_layers()]


def _masks(architecture: Architecture, batch: int, seed: bytes, number: int) -> tuple[list[Words], list[Words]]:
    """r of the session's batch ``number``."""
    return draw_masks(architecture, batch, Keystream(seed, 2 * number))


def _shares(architecture: Architecture, batch: int, seed: bytes, number: int) -> list[Words]:
    """u of the session's batch ``number``."""
    stream, ring = Keystream(seed, 2 * number + 1), Ring(architecture.ring_bits)
    return [ring.random((batch, *shape.output_shape), stream) for _, _, shape in architecture.private_layers()]
