"""The correlation of the private linear layers: querying party W r - s, answering party s, nobody trusted.

``he`` preprocessing of Delphi (USENIX Security 2020) with the encoding of Cheetah (USENIX Security 2022)::

        querying_correlate(masks r)                    answering_correlate(batch), holds W
    for every layer in the window:                     draws s uniform
    encrypts r                   ── upload ──►         W * Enc(r) - s, re-randomised, flooded
    then for every layer:
    decrypts W r - s             ◄── reply ──

The querying party learns W r - s, uniform by itself; the answering party learns nothing (its view is
ciphertexts). The masks of all layers are independent, so all uploads go first, and the answering party computes on
one while the other encrypts the next; replies wait, so that never both sides send. A window bounds what is
under way. Other sources of the same correlation (a dealer, a C++ kernel) put the same two methods in a pair of
classes of their own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence

import numpy as np
import seal
from numpy.typing import NDArray

from mpc.channel import Channel
from mpc.errors import ParameterError, ProtocolError
from mpc.inference.encoding import Convolution, Layout, plan
from mpc.inference.encryption import PublicKey, SecretKey, reply_size, upload_size
from mpc.inference.residue_words import pack_residues
from mpc.inference.rlwe import rlwe_ring
from mpc.randomness import SYSTEM, Randomness
from mpc.ring import Ring, Words

UPLOADS_A_WINDOW = 64  # 7.5 MB with two primes: bounds the memory of both sides, and the wait for the first reply
LAYOUTS_KEPT = 2  # batch sizes whose transformed weights stay in memory, per layer


class QueryingLinear:
    """The querying party's side of one layer."""

    def __init__(self, name: str, shape: Convolution, key: SecretKey) -> None:
        self.name = name
        self.shape = shape
        self._key = key
        self._ring = Ring(key.parameters.plain_bits)

    def prepare(self, channel: Channel, masks: Words) -> Words:
        """This layer's correlation alone, see :func:`querying_correlate`."""
        return querying_correlate(channel, [self], [masks])[0]

    def send_upload(self, channel: Channel, layout: Layout, encoded: Words, blocks: range) -> None:
        """Encrypt the masks of some instance blocks."""
        upload = self._key.encrypt(encoded[blocks.start : blocks.stop].reshape(-1, layout.degree))
        channel.send(f"{self.name}/upload", upload)

    def receive_reply(self, channel: Channel, layout: Layout, blocks: range, shares: Words) -> None:
        """Open the reply to these blocks into the flat ``shares``."""
        places = [layout.results(i, o) for i in blocks for o in range(layout.output_blocks)]
        size = reply_size(len(places), sum(len(positions) for positions, _ in places))
        reply = channel.recv(f"{self.name}/reply", size)
        try:
            opened = self._key.open(reply, [positions for positions, _ in places])
        except ProtocolError as error:
            raise ProtocolError(str(error), peer=channel.peer, step=channel.step) from error
        for values, (_, targets) in zip(opened, places, strict=True):
            shares[targets] = values


class AnsweringLinear:
    """The answering party's side of one layer: weights ``[outputs, channels, kh, kw]``, small signed integers.

    The weights stay in NTT form for the batch sizes last used.
    """

    def __init__(
        self,
        name: str,
        shape: Convolution,
        weights: NDArray[np.int64],
        key: PublicKey,
        randomness: Randomness = SYSTEM,
    ) -> None:
        expected = (shape.outputs, shape.channels, *shape.kernel)
        if weights.shape != expected:
            raise ParameterError(f"expected weights of shape {expected} in {name}, found {weights.shape}")
        self.name = name
        self.shape = shape
        self._weights = weights
        self._key = key
        self._randomness = randomness
        self._ring = Ring(key.parameters.plain_bits)
        self._rlwe = rlwe_ring(key.parameters)
        self._factors: OrderedDict[Layout, list[list[seal.Plaintext]]] = OrderedDict()

    def prepare(self, channel: Channel, batch: int) -> Words:
        """This layer's correlation alone, see :func:`answering_correlate`."""
        return answering_correlate(channel, [self], batch)[0]

    def draw(self, batch: int) -> Words:
        """Fresh uniform shares s, ``[batch, *output shape]``."""
        return self._ring.random((batch, *self.shape.output_shape), self._randomness)

    def receive_upload(self, channel: Channel, layout: Layout, blocks: range, shares: Words) -> tuple[bytes, bytes]:
        """Take the masks of some instance blocks and compute the reply, for :meth:`send_reply`."""
        count = len(blocks) * layout.channel_blocks
        message = channel.recv(f"{self.name}/upload", upload_size(self._key.parameters, count))
        try:
            uploads = self._key.read(message, count)
        except ProtocolError as error:
            raise ProtocolError(str(error), peer=channel.peer, step=channel.step) from error
        shifts = self._ring.reduce(np.uint64(0) - shares.reshape(-1))
        seconds, firsts = [], []
        for index, block in enumerate(blocks):
            mine = uploads[index * layout.channel_blocks : (index + 1) * layout.channel_blocks]
            for output_block, factors in enumerate(self._factors_of(layout)):
                positions, targets = layout.results(block, output_block)
                second, first = self._key.reply(self._combine(mine, factors), shifts[targets], positions)
                seconds.append(second)
                firsts.append(first)
        return pack_residues(np.stack(seconds)), pack_residues(np.concatenate(firsts))

    def send_reply(self, channel: Channel, reply: tuple[bytes, bytes]) -> None:
        """Send what :meth:`receive_upload` computed."""
        channel.send(f"{self.name}/reply", *reply)

    def _combine(self, uploads: list[seal.Ciphertext], factors: Iterator[seal.Plaintext]) -> seal.Ciphertext:
        """The sum of uploads times weight polynomials, in NTT form."""
        evaluator = self._rlwe.evaluator
        total: seal.Ciphertext | None = None
        for upload, factor in zip(uploads, factors, strict=True):
            if factor.is_zero():
                continue  # SEAL refuses to make a ciphertext of zero; it adds nothing
            product = evaluator.multiply_plain(upload, factor)
            if total is None:
                total = product
            else:
                evaluator.add_inplace(total, product)
        return total if total is not None else self._key.zero()

    def _factors_of(self, layout: Layout) -> Iterator[Iterator[seal.Plaintext]]:
        """For each output block, the transformed weight polynomials of its channel blocks."""
        if layout.keeps_weights and layout not in self._factors:
            while len(self._factors) >= LAYOUTS_KEPT:
                self._factors.popitem(last=False)
            self._factors[layout] = [list(row) for row in self._transform(layout)]
        if layout in self._factors:
            self._factors.move_to_end(layout)
            return (iter(row) for row in self._factors[layout])
        return self._transform(layout)

    def _transform(self, layout: Layout) -> Iterator[Iterator[seal.Plaintext]]:
        for output_block in range(layout.output_blocks):
            yield (
                self._rlwe.transformed(layout.encode_weights(self._weights, output_block, channel_block))
                for channel_block in range(layout.channel_blocks)
            )


def querying_correlate(channel: Channel, layers: Sequence[QueryingLinear], masks: Sequence[Words]) -> list[Words]:
    """The querying party's shares W r - s of its layers, applied to its masks.

    Args:
        masks: for each layer r ``[batch, channels, height, width]``, zero where the input is padding and uniform in
            Z_2^l elsewhere.

    Returns:
        For each layer ``[batch, outputs, output height, output width]`` in Z_2^l, uniform.

    Raises:
        ProtocolError: a malformed reply.
    """
    layouts = [plan(layer.shape, len(mask)) for layer, mask in zip(layers, masks, strict=True)]
    encoded = [layout.encode_inputs(mask) for layout, mask in zip(layouts, masks, strict=True)]
    shares = [np.empty((len(m), *layer.shape.output_shape), np.uint64) for layer, m in zip(layers, masks, strict=True)]
    for window in windows(layouts):
        for index, blocks in window:
            layers[index].send_upload(channel, layouts[index], encoded[index], blocks)
        for index, blocks in window:
            layers[index].receive_reply(channel, layouts[index], blocks, shares[index].reshape(-1))
    return shares


def answering_correlate(channel: Channel, layers: Sequence[AnsweringLinear], batch: int) -> list[Words]:
    """The answering party's shares s of its layers, fresh and uniform, shaped as the querying party's.

    Raises:
        ProtocolError: a malformed upload.
    """
    layouts = [plan(layer.shape, batch) for layer in layers]
    shares = [layer.draw(batch) for layer in layers]
    for window in windows(layouts):
        replies = [
            layers[index].receive_upload(channel, layouts[index], blocks, shares[index]) for index, blocks in window
        ]
        for (index, _), reply in zip(window, replies, strict=True):
            layers[index].send_reply(channel, reply)
    return shares


def windows(layouts: Sequence[Layout]) -> Iterator[list[tuple[int, range]]]:
    """Which instance blocks of which layer go together: at most :data:`UPLOADS_A_WINDOW` uploads, if a block allows."""
    window: list[tuple[int, range]] = []
    used = 0
    for index, layout in enumerate(layouts):
        start = 0
        while start < layout.instance_blocks:
            fitting = (UPLOADS_A_WINDOW - used) // layout.channel_blocks
            if fitting < 1 and window:
                yield window
                window, used = [], 0
                continue
            blocks = range(start, min(start + max(1, fitting), layout.instance_blocks))
            window.append((index, blocks))
            used += len(blocks) * layout.channel_blocks
            start = blocks.stop
    if window:
        yield window
