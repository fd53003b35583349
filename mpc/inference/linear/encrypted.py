"""The correlation of the private linear layers: querying party W r - s, answering party s, nobody trusted.

This is the ``he`` preprocessing of Delphi (USENIX Security 2020) with the encoding of Cheetah (USENIX Security 2022)::

        querying_correlate(masks r)                    answering_correlate(batch), holds W
    for every layer in the window:                     draws s uniform
    encrypts r                   ── upload ──►         W * Enc(r) - s, re-randomised, flooded
    then for every layer:
    decrypts W r - s             ◄── reply ──

The querying party learns W r - s, uniform by itself. It learns nothing else up to the statistical distance that
:mod:`mpc.inference.linear.rlwe` states. The answering party learns nothing, as its view is ciphertexts.

The masks of all layers are independent, so all uploads go first. The answering party computes on one while the other
side encrypts the next. Replies wait, so that never both sides send. A window bounds what is under way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mpc._core import RlweEvaluator, RlweParameters, RlweSecretKey
from mpc.channels.frames import Channel
from mpc.errors import ParameterError, ProtocolError
from mpc.inference.linear.architecture import Architecture
from mpc.inference.linear.encoding import Layout, plan
from mpc.inference.linear.masks import draw_masks
from mpc.inference.linear.weights import LayerWeights, NetworkWeights
from mpc.inference.models.shapes import Convolution
from mpc.randomness import SYSTEM, Randomness, core_seed
from mpc.ring import Ring, Words

UPLOADS_A_WINDOW = 64  # 8 MB at N = 8192: bounds the memory of both sides, and the wait for the first reply


class QueryingLinear:
    """The querying party's side of one layer."""

    def __init__(self, name: str, shape: Convolution, parameters: RlweParameters, key: RlweSecretKey) -> None:
        self.name = name
        self.shape = shape
        self.parameters = parameters
        self._key = key

    def prepare(self, channel: Channel, masks: Words) -> Words:
        """Make this layer's correlation alone. See :func:`querying_correlate`."""
        return querying_correlate(channel, [self], [masks])[0]

    def send_upload(self, channel: Channel, layout: Layout, encoded: Words, blocks: range) -> None:
        """Encrypt the masks of some instance blocks."""
        upload = self._key.encrypt(encoded[blocks.start : blocks.stop].reshape(-1, layout.degree))
        channel.send(f"{self.name}/upload", upload)

    def receive_reply(self, channel: Channel, layout: Layout, blocks: range, shares: Words) -> None:
        """Open the replies to these blocks into the flat ``shares``."""
        for outputs in layout.output_groups:
            positions, targets = layout.selection(blocks, outputs)
            polynomials = len(blocks) * len(outputs)
            reply = channel.recv(f"{self.name}/reply", self.parameters.reply_bytes(positions, polynomials))
            with channel.naming_peer():
                shares[targets] = self._key.decrypt(reply, positions, polynomials)


class AnsweringLinear:
    """The answering party's side of one layer, under one querying party's key."""

    def __init__(self, weights: LayerWeights, evaluator: RlweEvaluator, randomness: Randomness = SYSTEM) -> None:
        self.name = weights.name
        self.shape = weights.shape
        self.parameters = weights.parameters
        self._weights = weights
        self._evaluator = evaluator
        self._randomness = randomness
        self._ring = Ring(weights.parameters.plain_bits)

    def prepare(self, channel: Channel, batch: int) -> Words:
        """Make this layer's correlation alone. See :func:`answering_correlate`."""
        return answering_correlate(channel, [self], batch)[0]

    def draw(self, batch: int) -> Words:
        """Draw fresh uniform shares s, ``[batch, *output shape]``."""
        return self._ring.random((batch, *self.shape.output_shape), self._randomness)

    def receive_upload(self, channel: Channel, layout: Layout, blocks: range, shares: Words) -> list[bytes]:
        """Take the masks of some instance blocks and compute the replies, for :meth:`send_reply`."""
        count = len(blocks) * layout.channel_blocks
        upload = channel.recv(f"{self.name}/upload", self.parameters.upload_bytes(count))
        shifts = self._ring.reduce(np.uint64(0) - shares.reshape(-1))
        replies = []
        for outputs in layout.output_groups:
            positions, targets = layout.selection(blocks, outputs)
            weights = self._weights.transformed(layout, outputs)
            with channel.naming_peer():
                replies.append(self._evaluator.apply(weights, upload, shifts[targets], positions, len(blocks)))
        return replies

    def send_reply(self, channel: Channel, replies: list[bytes]) -> None:
        """Send what :meth:`receive_upload` computed."""
        for reply in replies:
            channel.send(f"{self.name}/reply", reply)


def querying_correlate(channel: Channel, layers: Sequence[QueryingLinear], masks: Sequence[Words]) -> list[Words]:
    """Make the querying party's shares W r - s of its layers, for its masks r.

    Args:
        masks: for each layer r ``[batch, channels, height, width]``, zero where the input is padding and uniform in
            Z_2^l elsewhere.

    Returns:
        For each layer ``[batch, outputs, output height, output width]`` in Z_2^l, uniform.

    Raises:
        ProtocolError: a malformed reply.
    """
    layouts = [plan(layer.shape, len(mask), layer.parameters.degree) for layer, mask in zip(layers, masks, strict=True)]
    encoded = [layout.encode_inputs(mask) for layout, mask in zip(layouts, masks, strict=True)]
    shares = [np.empty((len(m), *layer.shape.output_shape), np.uint64) for layer, m in zip(layers, masks, strict=True)]
    for window in windows(layouts):
        for index, blocks in window:
            layers[index].send_upload(channel, layouts[index], encoded[index], blocks)
        for index, blocks in window:
            layers[index].receive_reply(channel, layouts[index], blocks, shares[index].reshape(-1))
    return shares


def answering_correlate(channel: Channel, layers: Sequence[AnsweringLinear], batch: int) -> list[Words]:
    """Make the answering party's shares s of its layers, fresh and uniform, shaped as the querying party's.

    Raises:
        ProtocolError: a malformed upload.
    """
    layouts = [plan(layer.shape, batch, layer.parameters.degree) for layer in layers]
    shares = [layer.draw(batch) for layer in layers]
    for window in windows(layouts):
        replies = [
            layers[index].receive_upload(channel, layouts[index], blocks, shares[index]) for index, blocks in window
        ]
        for (index, _), reply in zip(window, replies, strict=True):
            layers[index].send_reply(channel, reply)
    return shares


class QueryingEncrypted:
    """The querying party's side of all layers, with a key pair of its own, whose public half it sends."""

    def __init__(self, channel: Channel, architecture: Architecture, randomness: Randomness) -> None:
        with channel.naming_peer():
            try:
                parameters = architecture.rlwe()
            except ParameterError as error:  # the architecture is the peer's
                raise ProtocolError(str(error)) from error
        key = RlweSecretKey(parameters, core_seed(randomness))
        channel.send("network/key", key.public_key())
        self._channel = channel
        self._architecture = architecture
        self._randomness = randomness
        layers = architecture.private_layers()
        self._layers = [QueryingLinear(name, shape, parameters, key) for name, _, shape in layers]

    def draw(self, batch: int) -> tuple[list[Words], list[Words]]:
        """Draw fresh masks. See :func:`~mpc.inference.linear.masks.draw_masks`."""
        return draw_masks(self._architecture, batch, self._randomness)

    def correlate(self, inputs: Sequence[Words]) -> list[Words]:
        """Make this side's shares W r - s of every private layer."""
        return querying_correlate(self._channel, self._layers, inputs)


class AnsweringEncrypted:
    """The answering party's side of all layers.

    Raises:
        ProtocolError: a malformed key.
    """

    def __init__(
        self, channel: Channel, architecture: Architecture, weights: NetworkWeights, randomness: Randomness
    ) -> None:
        parameters = architecture.rlwe()
        key = channel.recv("network/key", parameters.upload_bytes(1))
        with channel.naming_peer():
            evaluator = RlweEvaluator(parameters, key, core_seed(randomness))
        self._channel = channel
        self._layers = [AnsweringLinear(layer, evaluator, randomness) for layer in weights.layers]

    def correlate(self, batch: int) -> list[Words]:
        """Make this side's shares s of every private layer, uniform."""
        return answering_correlate(self._channel, self._layers, batch)

    def end(self) -> None:
        """End the session. Nobody waits for a message."""


def windows(layouts: Sequence[Layout]) -> Iterator[list[tuple[int, range]]]:
    """Group instance blocks of layers that go together, at most :data:`UPLOADS_A_WINDOW` uploads if a block allows."""
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
