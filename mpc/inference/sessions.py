"""Steps 1a and 1b: private inference between the querying party and one answering party.

Delphi's preprocessing (Mishra, Lehmkuhl, Srinivasan, Zheng, Popa, USENIX Security 2020) with the querying party as
owner of the input, for a batch of queries at a time::

    QueryingInference                                       AnsweringInference, holds W_i, b_i
    open     checks the architecture  <── architecture ──
             key pair                 ── key ────────────►
    prepare  all masks r_i uniform    ── Enc(r_i) ───────►  all s_i uniform      linear.py, or instead of the
             y_i = W_i r_i - s_i      ◄── Enc(W_i r_i - s_i)                     ciphertexts a dealer: dealer.py
             for each non-linearity:  ◄── OTs, tables ───►  garbles
    infer    x - r_1                  ────────────────────► W_1 (x - r_1) + b_1 + s_1
                                      ◄── labels ─────────
             evaluates                ── masked ─────────►  x_2 - r_2, and so on
             y_last                                         W_last (x_last - r_last) + b_last + s_last

With ``circuits="streamed"`` (:mod:`mpc.garbled.session`) OTs and tables cross in ``infer``, where the labels do.

The two results are additive shares of the logits over Z_2^l, at scale 2^(2f), each uniform on its own. The QP knows
its own before the query is known. It learns the architecture; the AP learns how many queries came.
A correlation serves one batch: used again it would open x - x', so a second use is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from mpc.channels.frames import Channel
from mpc.errors import ParameterError, ProtocolError
from mpc.garbled.session import Evaluator, Garbler
from mpc.inference.linear.dealt import AnsweringDealt, QueryingDealt
from mpc.inference.linear.encrypted import AnsweringEncrypted, NetworkWeights, QueryingEncrypted
from mpc.inference.models.architecture import LARGEST_BATCH, NONLINEAR, PRIVATE, Architecture
from mpc.inference.models.tensors import from_pixels, public_map
from mpc.inference.network import Network, apply_private, check_queries
from mpc.inference.nonlinear import AnsweringNonlinear, QueryingNonlinear, circuit_of
from mpc.randomness import SYSTEM, Randomness
from mpc.ring import Ring, Words


class Agreement(Protocol):
    """What querying and answering party agreed on before: a part of the run's public parameters."""

    @property
    def input_shape(self) -> tuple[int, ...]: ...
    @property
    def classes(self) -> int: ...
    @property
    def ring_bits(self) -> int: ...
    @property
    def fraction_bits(self) -> int: ...


@dataclass(repr=False)
class QueryingCorrelation:
    """What the querying party keeps from preprocessing one batch.

    Attributes:
        logit_shares: its shares of the logits, ``(batch, classes)`` in Z_2^l, uniform and known before the query.
    """

    logit_shares: Words
    input_masks: Words | None
    nonlinear: list[QueryingNonlinear] = field(default_factory=list)

    @property
    def batch(self) -> int:
        """How many queries it serves."""
        return len(self.logit_shares)

    def consume(self) -> tuple[Words, list[QueryingNonlinear]]:
        """The masks and circuits, once.

        Raises:
            ParameterError: the second time.
        """
        if self.input_masks is None:
            raise ParameterError("expected a fresh correlation, found one that has served its batch")
        taken, self.input_masks = (self.input_masks, self.nonlinear), None
        self.nonlinear = []
        return taken

    def __repr__(self) -> str:
        return f"QueryingCorrelation(batch={self.batch})"


@dataclass(repr=False)
class AnsweringCorrelation:
    """What the answering party keeps from preprocessing one batch."""

    batch: int
    shares: list[Words] | None
    nonlinear: list[AnsweringNonlinear] = field(default_factory=list)

    def consume(self) -> tuple[list[Words], list[AnsweringNonlinear]]:
        """The shares and circuits, once.

        Raises:
            ParameterError: the second time.
        """
        if self.shares is None:
            raise ParameterError("expected a fresh correlation, found one that has served its batch")
        taken, self.shares = (self.shares, self.nonlinear), None
        self.nonlinear = []
        return taken

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
    ) -> QueryingInference:
        """Take and check the AP's architecture, and set up the linear layers.

        Args:
            dealt: the dealer's seed for this AP, from which its shares of the linear layers' correlations follow; None:
                they come from the AP, under encryption.

        Raises:
            ProtocolError: an architecture beyond the limits, or not what was agreed.
        """
        architecture = channel.recv_message("network/architecture", Architecture)
        for what, expected, found in _compared(agreement, architecture):
            if found != expected:
                raise ProtocolError.mismatch(
                    f"{what} of the network", expected, found, peer=channel.peer, step=channel.step
                )
        if dealt is not None:
            return cls(channel, evaluator, architecture, QueryingDealt(dealt, channel, architecture))
        return cls(channel, evaluator, architecture, QueryingEncrypted(channel, architecture, randomness))

    def prepare(self, batch: int) -> QueryingCorrelation:
        """Everything that does not depend on the queries, for ``batch`` of them.

        Raises:
            ProtocolError: a malformed message.
        """
        _check_batch(batch)
        masks, inputs = self._linear.draw(batch)
        outputs = iter(self._linear.correlate(inputs))
        upcoming = iter(masks)
        mine = next(upcoming)  # the QP's share of the tensor between two layers
        correlation = QueryingCorrelation(mine, mine)
        for layer, dropped in zip(self.architecture.layers, self.architecture.dropped_bits(), strict=True):
            if isinstance(layer, PRIVATE):
                mine = from_pixels(layer, next(outputs))
            elif isinstance(layer, NONLINEAR):
                shares, mine = mine, next(upcoming)
                circuit = circuit_of(layer, dropped, self.architecture)
                step = QueryingNonlinear(self._evaluator, layer, circuit, self._ring, shares, mine)
                correlation.nonlinear.append(step)
            else:
                mine = self._ring.reduce(public_map(layer, mine))
        correlation.logit_shares = mine
        return correlation

    def infer(self, correlation: QueryingCorrelation, queries: Words) -> Words:
        """Its shares of the logits, ``(batch, classes)`` in Z_2^l; the correlation is used up.

        Args:
            queries: fixed point with f fraction bits, ``(batch, *input_shape)``.

        Raises:
            ParameterError, RangeError: queries that the network does not take; a correlation used before. Nothing
                has been sent then, and the correlation is still good.
            ProtocolError: a malformed message.
        """
        check_queries(self.architecture, queries)
        if len(queries) != correlation.batch:
            raise ParameterError(f"expected {correlation.batch} queries, found {len(queries)}")
        masks, nonlinear = correlation.consume()
        masked = self._ring.reduce(self._ring.reduce(queries) - masks)
        masks.fill(0)
        self._channel.send_words("inference/input", masked, self._ring.bits)
        for step in nonlinear:
            step.run(self._channel)
        return correlation.logit_shares


class AnsweringInference:
    """The answering party's side: its network, for one querying party."""

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
            dealer: where its shares of the linear layers' correlations come from; None: they are its own, under
                encryption.
            prepared: the network's weights, of which some may be transformed; without a dealer only.

        Raises:
            ParameterError: the network is not what was agreed.
            ProtocolError: a malformed key.
        """
        architecture = network.architecture
        for what, expected, found in _compared(agreement, architecture):
            if found != expected:
                raise ParameterError(f"expected {what} {expected} of the network, found {found}")
        channel.send_message("network/architecture", architecture)
        weights = [fixed.weights for fixed in network.weights]
        if dealer is not None:
            return cls(channel, garbler, network, AnsweringDealt(dealer, channel, architecture, weights))
        prepared = prepared or NetworkWeights(architecture, weights)
        return cls(channel, garbler, network, AnsweringEncrypted(channel, architecture, prepared, randomness))

    def prepare(self, batch: int) -> AnsweringCorrelation:
        """Everything that does not depend on the queries, for ``batch`` of them.

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
        shares = self._linear.correlate(batch)
        layers = [layer for _, layer, _ in architecture.private_layers()]
        correlation = AnsweringCorrelation(batch, list(map(from_pixels, layers, shares)))
        for (_, layer, _, after), dropped in zip(architecture.steps(), architecture.dropped_bits(), strict=True):
            if isinstance(layer, NONLINEAR):
                circuit = circuit_of(layer, dropped, architecture)
                step = AnsweringNonlinear(self._garbler, layer, circuit, self._ring, (batch, *after))
                correlation.nonlinear.append(step)
        return correlation

    def infer(self, correlation: AnsweringCorrelation) -> Words:
        """Its shares of the logits, ``(batch, classes)`` in Z_2^l; the correlation is used up.

        Raises:
            ParameterError: a correlation used before.
            ProtocolError: a malformed message.
        """
        taken = correlation.consume()
        shares, nonlinear = iter(taken[0]), iter(taken[1])
        architecture = self.network.architecture
        shape = (correlation.batch, *architecture.input_shape)
        mine, weights = self._channel.recv_words("inference/input", shape, self._ring.bits), iter(self.network.weights)
        for _, layer, _, _ in architecture.steps():
            if isinstance(layer, PRIVATE):
                mine = self._ring.add(apply_private(layer, mine, next(weights), self._ring), next(shares))
            elif isinstance(layer, NONLINEAR):
                mine = next(nonlinear).run(self._channel, mine)
            else:
                mine = self._ring.reduce(public_map(layer, mine))
        return mine

    def end(self) -> None:
        """No more batches for this querying party: a dealer waits for none."""
        self._linear.end()


def _compared(agreement: Agreement, architecture: Architecture) -> Iterator[tuple[str, object, object]]:
    yield "input shape", tuple(agreement.input_shape), architecture.input_shape
    yield "classes", agreement.classes, architecture.classes
    yield "ring bits", agreement.ring_bits, architecture.ring_bits
    yield "fraction bits", agreement.fraction_bits, architecture.fraction_bits


def _check_batch(batch: int) -> None:
    if not 1 <= batch <= LARGEST_BATCH:
        raise ParameterError(f"expected 1 to {LARGEST_BATCH} queries at a time, found {batch}")
