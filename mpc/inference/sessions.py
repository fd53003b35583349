"""Steps 1a and 1b: private inference between the querying party and one answering party.

Delphi's preprocessing (Mishra, Lehmkuhl, Srinivasan, Zheng, Popa, USENIX Security 2020) with the querying party as
owner of the input, for a batch of queries at a time::

    QueryingInference                                       AnsweringInference, holds W_i, b_i
    open     checks the architecture  <── architecture ──
             key pair                 ── key ────────────►
    prepare  all masks r_i uniform    ── Enc(r_i) ───────►  all s_i uniform      linear/encrypted.py; with a dealer
             y_i = W_i r_i - s_i      ◄── Enc(W_i r_i - s_i)                     no ciphertexts: linear/dealt.py
             for each non-linearity:  ◄── OTs, tables ───►  garbles              nonlinear.py
    infer    x - r_1                  ────────────────────► W_1 (x - r_1) + b_1 + s_1
                                      ◄── labels ─────────
             evaluates                ── masked ─────────►  x_2 - r_2, and so on
             y_last                                         W_last (x_last - r_last) + b_last + s_last

With ``circuits="streamed"`` (:mod:`mpc.garbled.session`) OTs and tables cross in ``infer``, where the labels do.

The two results are additive shares of the logits over Z_2^l, at scale 2^(f + g), each uniform on its own. The QP knows
its own share before the query is known. It learns the architecture. The AP learns how many queries came.

A correlation serves one batch. Used again it would open x - x', so a second use is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from mpc.channels.frames import Channel
from mpc.errors import ParameterError, ProtocolError
from mpc.garbled.session import Evaluator, Garbler
from mpc.inference.linear.architecture import Architecture
from mpc.inference.linear.dealt import AnsweringDealt, QueryingDealt
from mpc.inference.linear.encrypted import AnsweringEncrypted, QueryingEncrypted
from mpc.inference.linear.weights import NetworkWeights
from mpc.inference.models.fixed import AnyLayer, Nonlinearity, PrivateLayer
from mpc.inference.models.limits import LARGEST_BATCH
from mpc.inference.network import Network, check_queries
from mpc.inference.nonlinear import AnsweringNonlinear, QueryingNonlinear
from mpc.randomness import SYSTEM, Randomness
from mpc.ring import Ring, Words
from mpc.use_once import UseOnce


class Agreement(Protocol):
    """The part of a run's public parameters that querying and answering party must have agreed on before."""

    @property
    def input_shape(self) -> tuple[int, ...]: ...
    @property
    def classes(self) -> int: ...
    @property
    def ring_bits(self) -> int: ...
    @property
    def fraction_bits(self) -> int: ...
    @property
    def weight_norm(self) -> int: ...
    @property
    def weight_bits(self) -> int | None: ...


class QueryingCorrelation:
    """The querying party's result of preprocessing one batch.

    Attributes:
        logit_shares: its shares of the logits, ``(batch, classes)`` in Z_2^l, uniform and known before the query.
        prepared: the mask of the input, and the circuits in order.
    """

    def __init__(self, logit_shares: Words, input_mask: Words, nonlinear: list[QueryingNonlinear]) -> None:
        self.logit_shares = logit_shares
        self.prepared = UseOnce((input_mask, nonlinear), "a correlation")

    @property
    def batch(self) -> int:
        """How many queries it serves."""
        return len(self.logit_shares)

    def __repr__(self) -> str:
        return f"QueryingCorrelation(batch={self.batch})"


class AnsweringCorrelation:
    """The answering party's result of preprocessing one batch.

    Attributes:
        batch: how many queries it serves.
        prepared: the shares s of every private layer, and the circuits, each in order.
    """

    def __init__(self, batch: int, shares: list[Words], nonlinear: list[AnsweringNonlinear]) -> None:
        self.batch = batch
        self.prepared = UseOnce((shares, nonlinear), "a correlation")

    def __repr__(self) -> str:
        return f"AnsweringCorrelation(batch={self.batch})"


class QueryingInference:
    """The querying party's side, one for each answering party."""

    def __init__(
        self,
        channel: Channel,
        evaluator: Evaluator,
        architecture: Architecture,
        linear: QueryingEncrypted | QueryingDealt,
    ) -> None:
        self.architecture = architecture
        self._channel = channel
        self._evaluator = evaluator
        self._ring = Ring(architecture.ring_bits)
        self._steps = tuple(architecture.steps())
        self._linear = linear

    @classmethod
    def open(
        cls,
        channel: Channel,
        evaluator: Evaluator,
        agreement: Agreement,
        randomness: Randomness = SYSTEM,
        *,
        dealt: bytes | None = None,
        layers: Sequence[AnyLayer] | None = None,
    ) -> QueryingInference:
        """Receive and check the AP's architecture, and set up the linear layers.

        Its bounds on weights, and all that follows from them, must be those that the agreement gives for its layers.

        Args:
            dealt: the dealer's seed for this AP, from which this side's shares of the linear layers' correlations
                follow. None means that they come from the AP, under encryption.
            layers: the layers that were agreed on. None means that the AP may choose them.

        Raises:
            ProtocolError: an architecture beyond the limits, or not what was agreed, with the field and both values.
        """
        architecture = channel.recv_message("network/architecture", Architecture)
        for what, expected, found in _compared(agreement, architecture, layers):
            if found != expected:
                raise ProtocolError.mismatch(
                    f"{what} of the network", expected, found, peer=channel.peer, step=channel.step
                )
        if dealt is not None:
            return cls(channel, evaluator, architecture, QueryingDealt(dealt, channel, architecture))
        return cls(channel, evaluator, architecture, QueryingEncrypted(channel, architecture, randomness))

    def prepare(self, batch: int) -> QueryingCorrelation:
        """Do everything that does not depend on the queries, for ``batch`` of them.

        Raises:
            ProtocolError: a malformed message.
        """
        _check_batch(batch)
        masks, inputs = self._linear.draw(batch)
        outputs, masks_left = iter(self._linear.correlate(inputs)), iter(masks)
        share = next(masks_left)  # of the tensor between two layers: a mask, or behind a private layer y_i
        nonlinear = []
        for step in self._steps:
            layer = step.layer
            if isinstance(layer, PrivateLayer):
                share = layer.from_pixels(next(outputs))
            elif isinstance(layer, Nonlinearity):
                mask = next(masks_left)
                circuit = layer.circuit(self._ring.bits, step.dropped_bits, self.architecture.fraction_bits)
                nonlinear.append(QueryingNonlinear(self._evaluator, layer, circuit, self._ring, share, mask))
                share = mask
            else:
                share = self._ring.reduce(layer.apply(share))
        return QueryingCorrelation(share, masks[0], nonlinear)

    def infer(self, correlation: QueryingCorrelation, queries: Words) -> Words:
        """Return this side's shares of the logits, ``(batch, classes)`` in Z_2^l. The correlation is used up.

        Args:
            queries: fixed point with f fraction bits, ``(batch, *input_shape)``.

        Raises:
            ParameterError, RangeError: queries that the network does not take. Nothing has been sent then, and the
                correlation is still good.
            OrderError: a correlation used before.
            ProtocolError: a malformed message.
        """
        check_queries(self.architecture, queries)
        if len(queries) != correlation.batch:
            raise ParameterError(f"expected {correlation.batch} queries, found {len(queries)}")
        mask, nonlinear = correlation.prepared.take()
        masked = self._ring.reduce(self._ring.reduce(queries) - mask)
        mask.fill(0)
        self._channel.send_words("inference/input", masked, self._ring.bits)
        for step in nonlinear:
            step.run(self._channel)
        return correlation.logit_shares


class AnsweringInference:
    """The answering party's side, with its network, for one querying party."""

    def __init__(
        self, channel: Channel, garbler: Garbler, network: Network, linear: AnsweringEncrypted | AnsweringDealt
    ) -> None:
        self.network = network
        self._channel = channel
        self._garbler = garbler
        self._ring = network.ring
        self._queries_left = network.architecture.session_queries
        self._linear = linear

    @classmethod
    def open(
        cls,
        channel: Channel,
        garbler: Garbler,
        network: Network,
        agreement: Agreement,
        randomness: Randomness = SYSTEM,
        *,
        dealer: Channel | None = None,
        prepared: NetworkWeights | None = None,
    ) -> AnsweringInference:
        """Send the architecture, and set up the linear layers, facing :meth:`QueryingInference.open`.

        Args:
            dealer: the source of this side's shares of the linear layers' correlations. None means that they are its
                own, under encryption.
            prepared: the network's weights, of which some may be transformed. Without a dealer only.

        Raises:
            ParameterError: the network is not what was agreed.
            ProtocolError: a malformed key.
        """
        architecture = network.architecture
        for what, expected, found in _compared(agreement, architecture, None):
            if found != expected:
                raise ParameterError(f"expected {what} {expected} of the network, found {found}")
        channel.send_message("network/architecture", architecture)
        weights = [fixed.weights for fixed in network.weights]
        if dealer is not None:
            return cls(channel, garbler, network, AnsweringDealt(dealer, channel, architecture, weights))
        prepared = prepared or NetworkWeights(architecture, weights)
        return cls(channel, garbler, network, AnsweringEncrypted(channel, architecture, prepared, randomness))

    def prepare(self, batch: int) -> AnsweringCorrelation:
        """Do everything that does not depend on the queries, for ``batch`` of them.

        Raises:
            ParameterError: more queries than the flooding is made for in one session.
            ProtocolError: a malformed message.
        """
        _check_batch(batch)
        architecture = self.network.architecture
        if batch > self._queries_left:
            raise ParameterError(
                f"expected at most {architecture.session_queries} queries in a session, found "
                f"{architecture.session_queries - self._queries_left + batch}"
            )
        self._queries_left -= batch
        shares = iter(self._linear.correlate(batch))
        added, nonlinear = [], []
        for step in self.network.steps:
            layer = step.layer
            if isinstance(layer, PrivateLayer):
                added.append(layer.from_pixels(next(shares)))
            elif isinstance(layer, Nonlinearity):
                circuit = layer.circuit(self._ring.bits, step.dropped_bits, architecture.fraction_bits)
                shape = (batch, *step.after)
                nonlinear.append(AnsweringNonlinear(self._garbler, layer, circuit, self._ring, shape))
        return AnsweringCorrelation(batch, added, nonlinear)

    def infer(self, correlation: AnsweringCorrelation) -> Words:
        """Return this side's shares of the logits, ``(batch, classes)`` in Z_2^l. The correlation is used up.

        Raises:
            OrderError: a correlation used before.
            ProtocolError: a malformed message.
        """
        added, nonlinear = correlation.prepared.take()
        added_left, nonlinear_left, weights = iter(added), iter(nonlinear), iter(self.network.weights)
        architecture = self.network.architecture
        shape = (correlation.batch, *architecture.input_shape)
        share = self._channel.recv_words("inference/input", shape, self._ring.bits)
        for layer in architecture.layers:
            if isinstance(layer, PrivateLayer):
                share = self._ring.add(layer.apply(share, next(weights)), next(added_left))
            elif isinstance(layer, Nonlinearity):
                share = next(nonlinear_left).run(self._channel, share)
            else:
                share = self._ring.reduce(layer.apply(share))
        return share

    def end(self) -> None:
        """End the session, so that a dealer waits for no more batches."""
        self._linear.end()


def _compared(
    agreement: Agreement, architecture: Architecture, layers: Sequence[AnyLayer] | None
) -> Iterator[tuple[str, object, object]]:
    """Yield what is public about a network, with the value that was agreed and the one that it has."""
    yield "input shape", tuple(agreement.input_shape), architecture.input_shape
    yield "classes", agreement.classes, architecture.classes
    yield "ring bits", agreement.ring_bits, architecture.ring_bits
    yield "fraction bits", agreement.fraction_bits, architecture.fraction_bits
    if layers is not None:
        yield "layers", tuple(layers), architecture.layers
    try:
        expected = architecture.bounded(agreement.weight_norm, agreement.weight_bits)
    except ParameterError as error:
        yield "bounds on weights", "bounds that its layers can have", str(error)
        return
    yield "weight bits", expected.private_bits, architecture.private_bits
    yield "norm bits", expected.norm_bits, architecture.norm_bits
    yield "degree of the ciphertexts", expected.degree, architecture.degree


def _check_batch(batch: int) -> None:
    if not 1 <= batch <= LARGEST_BATCH:
        raise ParameterError(f"expected 1 to {LARGEST_BATCH} queries at a time, found {batch}")
