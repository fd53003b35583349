"""The correlation of a private linear layer: querying party W r - s, answering party s, nobody trusted.

``he`` preprocessing of Delphi (USENIX Security 2020) with the encoding of Cheetah (USENIX Security 2022)::

        QueryingLinear.prepare(masks r)                AnsweringLinear.prepare(batch), holds W
                                                       draws s uniform
    encrypts r                   ── upload ──►         W * Enc(r) - s, re-randomised, flooded
    decrypts W r - s             ◄── reply ──

The querying party learns W r - s, uniform by itself; the answering party learns nothing (its view is
ciphertexts). Other sources of the same correlation (a dealer, a C++ kernel) put the same two methods in a pair of
classes of their own.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator

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

UPLOADS_A_MESSAGE = 64  # 7.5 MB with two primes: bounds the memory of both sides
LAYOUTS_KEPT = 2  # batch sizes whose transformed weights stay in memory, per layer


class QueryingLinear:
    """The querying party's side of one layer."""

    def __init__(self, name: str, shape: Convolution, key: SecretKey) -> None:
        self.name = name
        self.shape = shape
        self._key = key
        self._ring = Ring(key.parameters.plain_bits)

    def prepare(self, channel: Channel, masks: Words) -> Words:
        """Its share W r - s of the layer applied to its masks.

        Args:
            masks: r ``[batch, channels, height, width]``, zero where the layer's input is padding and uniform in
                Z_2^l elsewhere.

        Returns:
            ``[batch, outputs, output height, output width]`` in Z_2^l, uniform.

        Raises:
            ProtocolError: a malformed reply.
        """
        layout = plan(self.shape, len(masks))
        encoded = layout.encode_inputs(masks)
        shares = np.empty(len(masks) * math.prod(self.shape.output_shape), dtype=np.uint64)
        for blocks in messages(layout):
            upload = self._key.encrypt(encoded[blocks.start : blocks.stop].reshape(-1, layout.degree))
            channel.send(f"{self.name}/upload", upload)
            places = [layout.results(i, o) for i in blocks for o in range(layout.output_blocks)]
            size = reply_size(len(places), sum(len(positions) for positions, _ in places))
            reply = channel.recv(f"{self.name}/reply", size)
            try:
                opened = self._key.open(reply, [positions for positions, _ in places])
            except ProtocolError as error:
                raise ProtocolError(str(error), peer=channel.peer, step=channel.step) from error
            for values, (_, targets) in zip(opened, places, strict=True):
                shares[targets] = values
        return shares.reshape(len(masks), *self.shape.output_shape)


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
        """Its share s, ``[batch, outputs, output height, output width]``, fresh and uniform in Z_2^l.

        Raises:
            ProtocolError: a malformed upload.
        """
        layout = plan(self.shape, batch)
        shares = self._ring.random((batch, *self.shape.output_shape), self._randomness)
        shifts = self._ring.reduce(np.uint64(0) - shares).reshape(-1)
        for blocks in messages(layout):
            count = len(blocks) * layout.channel_blocks
            message = channel.recv(f"{self.name}/upload", upload_size(self._key.parameters, count))
            try:
                uploads = self._key.read(message, count)
            except ProtocolError as error:
                raise ProtocolError(str(error), peer=channel.peer, step=channel.step) from error
            seconds, firsts = [], []
            for index, block in enumerate(blocks):
                mine = uploads[index * layout.channel_blocks : (index + 1) * layout.channel_blocks]
                for output_block, factors in enumerate(self._factors_of(layout)):
                    positions, targets = layout.results(block, output_block)
                    second, first = self._key.reply(self._combine(mine, factors), shifts[targets], positions)
                    seconds.append(second)
                    firsts.append(first)
            channel.send(f"{self.name}/reply", pack_residues(np.stack(seconds)), pack_residues(np.concatenate(firsts)))
        return shares

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


def messages(layout: Layout) -> Iterator[range]:
    """The instance blocks that share an upload message and its reply."""
    step = max(1, UPLOADS_A_MESSAGE // layout.channel_blocks)
    for start in range(0, layout.instance_blocks, step):
        yield range(start, min(start + step, layout.instance_blocks))
