"""The correlation of the private linear layers from a dealer, here the privacy guardian, in the SPDZ way.

After Beaver (CRYPTO 1991) for a fixed matrix, as in SPDZ-style libraries' matrix triples (Mohassel and Zhang, IEEE S&P
2017, section 4.2, where the masked matrix is opened once). Seeds stand for whatever one party alone chooses::

           QP                           PG                                AP, holds W
    open   seed of all r      ◄──────   seeds    ──────────────────────►  seed of A and of all s
           E = W - A          ◄─────────────────────────────────────────  once a session
    batch  "n queries"        ──────►   r, A, s from the seeds            s from its seed
           A r - s            ◄──────
           E r + (A r - s) = W r - s

All in Z_2^l, A as large as W and uniform. Alone, the QP learns E and A r - s, which A and s make uniform; the AP
learns nothing; the PG learns the architecture and how many queries are prepared for, but never sees W, E or x - r.
The price is trust: PG and QP together have W = E + A, PG and AP together have x = (x - r) + r.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from mpc.channel import Channel
from mpc.errors import ParameterError
from mpc.inference.architecture import LARGEST_BATCH, Architecture
from mpc.inference.masks import draw_masks
from mpc.inference.tensors import convolve
from mpc.randomness import SYSTEM, Randomness
from mpc.ring import Ring, Words

TRUST: dict[str, str] = {
    "he": "nobody is trusted with weights or queries: the linear layers are prepared under encryption",
    "dealer": "the privacy guardian deals the linear layers' correlations: together with the querying party it could "
    "open the answering parties' weights, together with an answering party the queries",
}
SEED_BYTES = 32


class Keystream:
    """AES-256 in counter mode under a seed: a :class:`~mpc.randomness.Randomness` that two parties share.

    Lanes are 2^64 blocks apart and never overlap; lane 0 is the session's, lane b the b-th batch's.
    """

    def __init__(self, seed: bytes, lane: int) -> None:
        if len(seed) != SEED_BYTES:
            raise ParameterError(f"expected a seed of {SEED_BYTES} B, found {len(seed)}")
        counter = lane.to_bytes(8, "big") + bytes(8)
        self._encryptor = Cipher(algorithms.AES(seed), modes.CTR(counter)).encryptor()

    def bytes(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        return self._encryptor.update(bytes(count))

    def __repr__(self) -> str:
        return "Keystream(<seed hidden>)"


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The QP's wish: the correlation of one batch, or the end."""

    batch: int

    def __post_init__(self) -> None:
        if not 0 <= self.batch <= LARGEST_BATCH:
            raise ParameterError(f"expected 0 to {LARGEST_BATCH} queries, found {self.batch}")


class QueryingDealt:
    """The querying party's side."""

    def __init__(self, dealer: Channel, answering: Channel, architecture: Architecture) -> None:
        self._dealer = dealer
        self._architecture = architecture
        self._ring = Ring(architecture.ring_bits)
        self._batches = 0
        self._seed = bytes(dealer.recv("dealer/seed", SEED_BYTES))
        self._masked = [
            answering.recv_words(f"{name}/masked", shape.weight_shape, self._ring.bits).astype(np.int64)
            for name, _, shape in architecture.private_layers()
        ]

    def draw(self, batch: int) -> tuple[list[Words], list[Words]]:
        """The batch's masks, which the dealer draws too; see :func:`~mpc.inference.masks.draw_masks`."""
        self._batches += 1
        return draw_masks(self._architecture, batch, Keystream(self._seed, self._batches))

    def correlate(self, inputs: Sequence[Words]) -> list[Words]:
        """Its shares W r - s of every private layer."""
        self._dealer.send_message("dealer/request", Request(len(inputs[0])))
        shares = []
        for (name, _, shape), masked, mask in zip(
            self._architecture.private_layers(), self._masked, inputs, strict=True
        ):
            dealt = self._dealer.recv_words(f"{name}/dealt", (len(mask), *shape.output_shape), self._ring.bits)
            shares.append(self._ring.add(convolve(mask, masked, shape.stride), dealt))
        return shares

    def end(self) -> None:
        """No more batches."""
        self._dealer.send_message("dealer/request", Request(0))

    def __repr__(self) -> str:
        return f"QueryingDealt(batches={self._batches})"


class AnsweringDealt:
    """The answering party's side; ``weights`` of the private layers, ``[outputs, channels, kh, kw]`` each."""

    def __init__(
        self, dealer: Channel, querying: Channel, architecture: Architecture, weights: Sequence[NDArray[np.int64]]
    ) -> None:
        self._architecture = architecture
        self._ring = Ring(architecture.ring_bits)
        self._batches = 0
        dealer.send_message("dealer/architecture", architecture)
        self._seed = bytes(dealer.recv("dealer/seed", SEED_BYTES))
        pads = _weight_pads(architecture, self._seed)
        for (name, _, _), weight, pad in zip(architecture.private_layers(), weights, pads, strict=True):
            masked = self._ring.reduce(weight.astype(np.uint64) - pad)
            querying.send_words(f"{name}/masked", masked, self._ring.bits)

    def correlate(self, batch: int) -> list[Words]:
        """Its shares s of every private layer, uniform."""
        self._batches += 1
        return _answering_shares(self._architecture, batch, self._seed, self._batches)

    def __repr__(self) -> str:
        return f"AnsweringDealt(batches={self._batches})"


class Dealer:
    """The dealer's side, for one querying and one answering party."""

    def __init__(self, querying: Channel, architecture: Architecture, seeds: tuple[bytes, bytes]) -> None:
        self._querying = querying
        self._architecture = architecture
        self._ring = Ring(architecture.ring_bits)
        self._querying_seed, self._answering_seed = seeds
        self._pads = [pad.astype(np.int64) for pad in _weight_pads(architecture, self._answering_seed)]
        self._batches = 0

    @classmethod
    def open(cls, querying: Channel, answering: Channel, randomness: Randomness = SYSTEM) -> Dealer:
        """Take the AP's architecture, hand out fresh seeds.

        Raises:
            ProtocolError: an architecture beyond the limits.
        """
        architecture = answering.recv_message("dealer/architecture", Architecture)
        seeds = randomness.bytes(SEED_BYTES), randomness.bytes(SEED_BYTES)
        querying.send("dealer/seed", seeds[0])
        answering.send("dealer/seed", seeds[1])
        return cls(querying, architecture, seeds)

    def deal(self) -> bool:
        """Serve the QP's next batch; False if there is none.

        Raises:
            ProtocolError: a malformed request.
        """
        batch = self._querying.recv_message("dealer/request", Request).batch
        if batch == 0:
            return False
        self._batches += 1
        _, inputs = draw_masks(self._architecture, batch, Keystream(self._querying_seed, self._batches))
        shares = _answering_shares(self._architecture, batch, self._answering_seed, self._batches)
        layers = self._architecture.private_layers()
        for (name, _, shape), pad, mask, share in zip(layers, self._pads, inputs, shares, strict=True):
            dealt = self._ring.reduce(convolve(mask, pad, shape.stride) - share)
            self._querying.send_words(f"{name}/dealt", dealt, self._ring.bits)
        return True

    def __repr__(self) -> str:
        return f"Dealer(batches={self._batches})"


def _weight_pads(architecture: Architecture, seed: bytes) -> list[Words]:
    """A, one for each private layer, the same for the whole session."""
    stream, ring = Keystream(seed, 0), Ring(architecture.ring_bits)
    return [ring.random(shape.weight_shape, stream) for _, _, shape in architecture.private_layers()]


def _answering_shares(architecture: Architecture, batch: int, seed: bytes, lane: int) -> list[Words]:
    stream, ring = Keystream(seed, lane), Ring(architecture.ring_bits)
    return [ring.random((batch, *shape.output_shape), stream) for _, _, shape in architecture.private_layers()]
