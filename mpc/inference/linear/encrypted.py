"""The correlation of the private linear layers: querying party W r - s, answering party s, nobody trusted.

``he`` preprocessing of Delphi (USENIX Security 2020) with the encoding of Cheetah (USENIX Security 2022)::

        querying_correlate(masks r)                    answering_correlate(batch), holds W
    for every layer in the window:                     draws s uniform
    encrypts r                   ── upload ──►         W * Enc(r) - s, re-randomised, flooded
    then for every layer:
    decrypts W r - s             ◄── reply ──

The querying party learns W r - s, uniform by itself, and nothing else up to the statistical distance that
:mod:`mpc.inference.linear.rlwe` states; the answering party learns nothing (its view is ciphertexts). The masks of all
layers are independent, so all uploads go first, and the answering party computes on one while the other encrypts the
next; replies wait, so that never both sides send. A window bounds what is under way.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mpc._core import RlweEvaluator, RlweParameters, RlweSecretKey, RlweWeights
from mpc.channels.frames import Channel
from mpc.errors import ParameterError, ProtocolError
from mpc.inference.linear.encoding import Convolution, Layout, plan
from mpc.inference.linear.masks import draw_masks
from mpc.inference.linear.rlwe import kernel_seed
from mpc.inference.models.architecture import Architecture
from mpc.randomness import SYSTEM, Randomness
from mpc.ring import Ring, Words

UPLOADS_A_WINDOW = 64  # 8 MB at N = 8192: bounds the memory of both sides, and the wait for the first reply
LAYOUTS_KEPT = 2  # batch sizes whose transformed weights stay in memory, per layer


class QueryingLinear:
    """The querying party's side of one layer."""

    def __init__(self, name: str, shape: Convolution, parameters: RlweParameters, key: RlweSecretKey) -> None:
        self.name = name
        self.shape = shape
        self.parameters = parameters
        self._key = key

    def prepare(self, channel: Channel, masks: Words) -> Words:
        """This layer's correlation alone, see :func:`querying_correlate`."""
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


class LayerWeights:
    """One layer's weights ``[outputs, channels, kh, kw]``, small signed integers, in NTT form for the batch sizes last
    used: the same under every querying party's key, and so made before one is there.

    ``index`` is the layer's place in the parameters.
    """

    def __init__(
        self, name: str, shape: Convolution, weights: NDArray[np.int64], parameters: RlweParameters, index: int
    ) -> None:
        if weights.shape != shape.weight_shape:
            raise ParameterError(f"expected weights of shape {shape.weight_shape} in {name}, found {weights.shape}")
        self.name = name
        self.shape = shape
        self.parameters = parameters
        self._weights = weights
        self._index = index
        # The core transforms through an evaluator, whose key plays no part in it: any will do.
        self._loader = RlweEvaluator(parameters, RlweSecretKey(parameters).public_key())
        self._kept: OrderedDict[Layout, RlweWeights] = OrderedDict()

    def transformed(self, layout: Layout, outputs: range) -> RlweWeights:
        """The weights of some output blocks, transformed; kept if all of the layer's may be."""
        kept = self._kept.get(layout)
        if kept is not None:
            self._kept.move_to_end(layout)
            return kept
        encoded = np.stack(
            [
                np.stack([layout.encode_weights(self._weights, o, c) for c in range(layout.channel_blocks)])
                for o in outputs
            ]
        )
        loaded = self._loader.load(encoded, self._index)
        if layout.keeps_weights:
            while len(self._kept) >= LAYOUTS_KEPT:
                self._kept.popitem(last=False)
            self._kept[layout] = loaded
        return loaded


class NetworkWeights:
    """Every private layer's weights; shared by the sessions with all querying parties, one after the other."""

    def __init__(self, architecture: Architecture, weights: Sequence[NDArray[np.int64]]) -> None:
        parameters = architecture.rlwe()
        layers = zip(architecture.private_layers(), weights, strict=True)
        self.layers = [
            LayerWeights(name, shape, weight, parameters, index)
            for index, ((name, _, shape), weight) in enumerate(layers)
        ]

    def transform(self, batch: int) -> None:
        """Ahead of the first batch of this size, as far as the result may stay in memory."""
        for layer in self.layers:
            layout = plan(layer.shape, batch, layer.parameters.degree)
            if layout.keeps_weights:
                layer.transformed(layout, layout.output_groups[0])


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
        """This layer's correlation alone, see :func:`answering_correlate`."""
        return answering_correlate(channel, [self], batch)[0]

    def draw(self, batch: int) -> Words:
        """Fresh uniform shares s, ``[batch, *output shape]``."""
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
    """The querying party's shares W r - s of its layers, applied to its masks.

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
    """The answering party's shares s of its layers, fresh and uniform, shaped as the querying party's.

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
    """The querying party's side of all layers: a key pair of its own, whose public half it sends."""

    def __init__(self, channel: Channel, architecture: Architecture, randomness: Randomness) -> None:
        with channel.naming_peer():
            try:
                parameters = architecture.rlwe()
            except ParameterError as error:  # the architecture is the peer's
                raise ProtocolError(str(error)) from error
        key = RlweSecretKey(parameters, kernel_seed(randomness))
        channel.send("network/key", key.public_key())
        self._channel = channel
        self._architecture = architecture
        self._randomness = randomness
        layers = architecture.private_layers()
        self._layers = [QueryingLinear(name, shape, parameters, key) for name, _, shape in layers]

    def draw(self, batch: int) -> tuple[list[Words], list[Words]]:
        """Fresh masks, see :func:`~mpc.inference.linear.masks.draw_masks`."""
        return draw_masks(self._architecture, batch, self._randomness)

    def correlate(self, inputs: Sequence[Words]) -> list[Words]:
        """Its shares W r - s of every private layer."""
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
            evaluator = RlweEvaluator(parameters, key, kernel_seed(randomness))
        self._channel = channel
        self._layers = [AnsweringLinear(layer, evaluator, randomness) for layer in weights.layers]

    def correlate(self, batch: int) -> list[Words]:
        """Its shares s of every private layer, uniform."""
        return answering_correlate(self._channel, self._layers, batch)

    def end(self) -> None:
        """No more batches; nobody waits for one."""


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
