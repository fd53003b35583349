"""The answering party's network in fixed point, with public architecture, private weights, and the computation itself.

:meth:`Network.run_clear` is the exact twin of the secret computation. The two shares of the logits add up to its
result, bit by bit. Fixed-point rounding is part of the network, not of the protocol.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mpc.errors import ParameterError, RangeError
from mpc.inference.linear.architecture import Architecture
from mpc.inference.models.bounds import (
    WEIGHT_NORM,
    Beyond,
    norm_squared,
    public_bits_ring,
    public_ring_bits,
    within_norm,
)
from mpc.inference.models.fixed import FixedWeights, Nonlinearity, PrivateLayer, Step
from mpc.inference.models.floats.layer import finite_range, reals, whole_numbers
from mpc.inference.models.limits import LARGEST_BATCH, LARGEST_RING_BITS, SMALLEST_RING_BITS
from mpc.inference.models.precision import Precision, check_precision, draw_samples
from mpc.inference.models.quantise import quantise
from mpc.inference.models.ranges import LayerRange, check_ranges, worst_case
from mpc.inference.models.scales import Scales, choose_scales
from mpc.inference.models.shapes import Shape
from mpc.ring import Ring, Words


@dataclass(frozen=True, repr=False)
class Network:
    """A network that fits its ring for every admissible query.

    Attributes:
        architecture: public.
        weights: of the private layers, in order.
        ranges: the worst case after every layer.
        precision: how close it came to its float layers, if it was made of some.
        logit_scale_bits: s, private. The logits are those of the float layers times 2^s, besides their fraction bits.
    """

    architecture: Architecture
    weights: tuple[FixedWeights, ...]
    ranges: tuple[LayerRange, ...]
    precision: Precision | None = None
    logit_scale_bits: int = 0

    @classmethod
    def from_layers(
        cls,
        layers: Sequence[object],
        input_shape: tuple[int, ...],
        input_range: tuple[float, float] = (0.0, 1.0),
        fraction_bits: int = 12,
        ring_bits: int | None = 41,
        session_queries: int = 2048,
        samples: ArrayLike | None = None,
        *,
        weight_norm: int = WEIGHT_NORM,
        weight_bits: int | tuple[int, ...] | None = None,
        beyond_bounds: Beyond = "scale",
    ) -> Network:
        """Quantise float layers (:mod:`mpc.inference.models.floats`) and hold the result to them on sample queries.

        Layers of a converter are also held to the model that they come from. The architecture says nothing about the
        weights: it follows from the layers' shapes and the arguments but ``samples``. Weights are at 2^f, or finer
        where their shapes let expect small ones. Powers of two within the weights, which are private, do the rest. See
        :mod:`mpc.inference.models.bounds`, ``scales`` and ``precision``, which may warn.

        Args:
            layers: ending with the one that gives the logits, not with a softmax.
            input_shape: ``(channels, height, width)`` or ``(values,)`` of one query.
            input_range: smallest and largest value that a query may contain. Both are public.
            fraction_bits: f.
            ring_bits: l. None means a ring for networks within the public bounds, at most 45. A narrower one that holds
                the worst case of these very weights is found by trying. It would say something about them.
            session_queries: for how many queries the weights stay hidden within 2^-40. See :meth:`leakage_bits`.
            samples: queries ``(n, *input_shape)`` like those that will come, for the comparison. Others are drawn.
            weight_norm: N, a power of two, public. A layer with o outputs has weights of a norm of at most N sqrt(o),
                all that is folded into them included.
            weight_bits: g, the fraction bits of weights, public: one for all layers or one for each. None derives them.
            beyond_bounds: the owner's choice for weights beyond N. Their layer is scaled down by a power of two, or
                they are refused. When it is scaled, the layers behind make up for it as far as they may. The rest
                stays in the logits, whose order and signs it leaves alone. It costs so many bits of precision, which
                the comparison measures, and nobody else learns of it. A refusal shows.

        Raises:
            ParameterError: layers that are not supported or do not fit each other, named, or a result that differs
                from them, or they from the model that they come from, by more than rounding explains.
            RangeError: weights, or worst-case values, that do not fit bounds or ring, with the layer and the numbers of
                bits.
        """
        shape = whole_numbers(input_shape, "input_shape")
        fraction_bits, session_queries = whole_numbers(
            (fraction_bits, session_queries), "fraction_bits, session_queries"
        )
        if ring_bits is not None:
            (ring_bits,) = whole_numbers((ring_bits,), "ring_bits")
        if not 1 <= fraction_bits <= LARGEST_RING_BITS // 2:
            raise ParameterError(f"expected 1 to {LARGEST_RING_BITS // 2} fraction bits, found {fraction_bits}")
        ends = finite_range(input_range)
        low, high = (math.floor(math.ldexp(end, fraction_bits) + 0.5) for end in ends)
        quantised = quantise(layers, shape, fraction_bits)
        architecture = Architecture(
            input_shape=shape,
            input_range=(low, high),
            layers=tuple(quantised.layers),
            fraction_bits=fraction_bits,
            ring_bits=LARGEST_RING_BITS if ring_bits is None else ring_bits,
            session_queries=session_queries,
        ).bounded(weight_norm, weight_bits)
        if ring_bits is None:
            architecture = _narrowed(architecture, weight_norm, weight_bits)
        _check_shapes(architecture, [(real.weight.shape, real.bias.shape) for real in quantised.weights])
        drawn = draw_samples(shape, ends, quantised, samples)
        scales = choose_scales(quantised, architecture, architecture.norm_bits, drawn.all, beyond_bounds)
        lowered: Scales | None = scales
        while lowered is not None:  # until the ring holds the worst case
            scales = lowered
            fixed = scales.fixed(quantised)
            lowered = scales.lowered(architecture, worst_case(architecture, fixed))
        network = dataclasses.replace(cls.from_weights(architecture, fixed), logit_scale_bits=scales.scale_bits[-1])
        encoded = np.clip(np.rint(np.ldexp(drawn.all, fraction_bits)), low, high).astype(np.int64)
        logits = network.decode_logits(network.run_clear(encoded))
        precision = check_precision(layers, quantised, scales, architecture, drawn, logits)
        return dataclasses.replace(network, precision=precision)

    @classmethod
    def from_weights(cls, architecture: Architecture, weights: Sequence[FixedWeights]) -> Network:
        """Check weights against the architecture, its public bounds and the ring.

        An architecture without bounds gets the ones that follow from its shapes, with its weight bits as they are.

        Raises:
            ParameterError: shapes that differ.
            RangeError: weights beyond a bound, or see :func:`~mpc.inference.models.ranges.check_ranges`.
        """
        _check_shapes(architecture, [(fixed.weights.shape, fixed.bias.shape) for fixed in weights])
        if not architecture.norm_bits:
            architecture = architecture.bounded(weight_bits=architecture.private_bits)
        ranges = check_ranges(architecture, weights)
        _check_norms(architecture, weights)
        return cls(architecture, tuple(weights), tuple(ranges))

    def leakage_bits(self) -> float:
        """Return log2 of the statistical distance by which one query's replies depend on more than their plaintext.

        It is a sum over the replies' coefficients of (bound on E|n|) / 2W, see ``mpc/core/bfv/parameters.hpp``. For
        any layout, the weights behind one coefficient are among the layer's.
        """
        parameters = self.architecture.rlwe()
        total = 0.0
        for (_, _, shape), fixed in zip(self.architecture.private_layers(), self.weights, strict=True):
            norm_squared = float(np.square(fixed.weights.astype(np.float64)).sum())
            noise = math.sqrt(10.75 * norm_squared + 2 * 10.5 * parameters.degree) + 0.5
            total += math.prod(shape.output_shape) * noise
        return math.log2(total) - parameters.flood_bits - 1

    @functools.cached_property
    def steps(self) -> tuple[Step, ...]:
        """The layers in their places."""
        return tuple(self.architecture.steps())

    @property
    def ring(self) -> Ring:
        """Z_2^l."""
        return Ring(self.architecture.ring_bits)

    def encode_inputs(self, values: ArrayLike) -> Words:
        """Encode real queries ``(n, *input_shape)`` in fixed point.

        Raises:
            ParameterError, RangeError: wrong shape, or values outside the input range.
        """
        encoded = self.ring.encode(reals(values, "queries"), self.architecture.fraction_bits)
        check_queries(self.architecture, encoded)
        return encoded

    def decode_logits(self, logits: NDArray[np.int64] | Words) -> NDArray[np.float64]:
        """Decode fixed-point logits, signed or as ring elements, to real numbers."""
        return self.ring.decode(self.ring.reduce(logits), self.architecture.logit_bits + self.logit_scale_bits)

    def run_clear(self, queries: NDArray[np.int64] | Words) -> NDArray[np.int64]:
        """Compute fixed-point queries ``(n, *input_shape)`` to fixed-point logits ``(n, classes)``.

        They carry f fraction bits, those of the last layer's weights, and the private factor 2^s.
        """
        check_queries(self.architecture, queries)
        ring, values = self.ring, self.ring.reduce(queries)
        weights = iter(self.weights)
        for step in self.steps:
            layer = step.layer
            if isinstance(layer, PrivateLayer):
                values = ring.reduce(layer.apply(values, next(weights)))
            elif isinstance(layer, Nonlinearity):
                signed = layer.clear(ring.signed(values), step.dropped_bits, self.architecture.fraction_bits)
                values = ring.reduce(signed)
            else:
                values = ring.reduce(layer.apply(values))
        return ring.signed(values)

    def __repr__(self) -> str:
        return f"Network({self.architecture})"


def check_queries(architecture: Architecture, queries: NDArray[np.int64] | Words) -> None:
    """Refuse queries that the range analysis does not cover.

    Raises:
        ParameterError: wrong shape, no queries, too many, or integers that are not 64 bits wide.
        RangeError: a value outside the input range.
    """
    kind = getattr(queries, "dtype", type(queries).__name__)
    if kind not in (np.int64, np.uint64):
        raise ParameterError(f"expected fixed-point queries of 64-bit integers, found {kind}")
    if queries.shape[1:] != architecture.input_shape or not 1 <= len(queries) <= LARGEST_BATCH:
        raise ParameterError(
            f"expected 1 to {LARGEST_BATCH} queries of shape {architecture.input_shape}, found {queries.shape}"
        )
    ring = Ring(architecture.ring_bits)
    if queries.dtype == np.uint64 and (queries > ring.mask).any():
        raise RangeError(f"expected ring elements of {architecture.ring_bits} bits, found wider ones")
    values = ring.signed(queries.astype(np.uint64)) if queries.dtype == np.uint64 else queries
    low, high = architecture.input_range
    if values.min() < low or values.max() > high:
        raise RangeError(f"expected queries from {low} to {high} in fixed point, found values outside")


def _check_shapes(architecture: Architecture, found: Sequence[tuple[Shape, Shape]]) -> None:
    """Refuse weights and biases of other shapes than the architecture's."""
    private = [
        (step.name, step.layer.convolution(step.before))
        for step in architecture.steps()
        if isinstance(step.layer, PrivateLayer)
    ]
    if len(private) != len(found):
        raise ParameterError(f"expected weights of {len(private)} private layers, found {len(found)}")
    for (name, shape), (weights, bias) in zip(private, found, strict=True):
        expected = shape.weight_shape
        if weights != expected or bias != expected[:1]:
            raise ParameterError(f"expected weights of shape {expected} in {name}, found {weights}")


def _narrowed(architecture: Architecture, weight_norm: int, weight_bits: int | tuple[int, ...] | None) -> Architecture:
    """Return the architecture with the ring that its public bounds need, or the widest one.

    Where weight bits follow from shapes, they follow from the ring, too. The ring leaves them as they are.
    """
    fraction_bits = architecture.fraction_bits
    widest = public_bits_ring(architecture) if weight_bits is None else fraction_bits + max(architecture.private_bits)
    needed = max(public_ring_bits(architecture, weight_norm), widest + 1, 2 * fraction_bits, SMALLEST_RING_BITS)
    narrower = msgspec.structs.replace(architecture, ring_bits=min(needed, LARGEST_RING_BITS))
    return narrower.bounded(weight_norm, weight_bits)


def _check_norms(architecture: Architecture, weights: Sequence[FixedWeights]) -> None:
    """Refuse weights beyond the public bounds, for which the flooding is not made."""
    names = [step.name for step in architecture.steps() if isinstance(step.layer, PrivateLayer)]
    for name, fixed, bits in zip(names, weights, architecture.norm_bits, strict=True):
        if not within_norm(fixed.weights, bits):
            needed = ((norm_squared(fixed.weights) - 1).bit_length() + 1) // 2
            raise RangeError(
                f"expected weights of a norm up to 2^{bits} in {name}, the public bound, found one that needs {needed} "
                "bits"
            )
