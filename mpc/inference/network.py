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
from mpc.inference.linear.encoding import plan
from mpc.inference.linear.rlwe import DEGREES, LARGEST_NORM_BITS
from mpc.inference.models.fixed import FixedWeights, Nonlinearity, PrivateLayer, Step
from mpc.inference.models.floats.layer import finite_range, reals, whole_numbers
from mpc.inference.models.limits import LARGEST_BATCH, LARGEST_RING_BITS, SMALLEST_RING_BITS
from mpc.inference.models.precision import Precision, Scales, check_precision, choose_scales, draw_samples
from mpc.inference.models.quantise import quantise
from mpc.inference.models.ranges import LayerRange, check_ranges, worst_case
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
    """

    architecture: Architecture
    weights: tuple[FixedWeights, ...]
    ranges: tuple[LayerRange, ...]
    precision: Precision | None = None

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
    ) -> Network:
        """Quantise float layers (:mod:`mpc.inference.models.floats`) and hold the result to them on sample queries.

        Layers of a converter are also held to the model that they come from. Weights are at 2^f, or finer where they
        are small. See :mod:`mpc.inference.models.precision`, which may warn.

        Args:
            layers: ending with the one that gives the logits, not with a softmax.
            input_shape: ``(channels, height, width)`` or ``(values,)`` of one query.
            input_range: smallest and largest value that a query may contain. Both are public.
            fraction_bits: f.
            ring_bits: l. None means the narrowest ring that holds every worst case.
            session_queries: for how many queries the weights stay hidden within 2^-40. See :meth:`leakage_bits`.
            samples: queries ``(n, *input_shape)`` like those that will come, for the comparison. Others are drawn.

        Raises:
            ParameterError: layers that are not supported or do not fit each other, named, or a result that differs
                from them, or they from the model that they come from, by more than rounding explains.
            RangeError: weights, or worst-case values, that do not fit the ring, with the layer and the numbers.
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
        )
        _check_shapes(architecture, [(real.weight.shape, real.bias.shape) for real in quantised.weights])
        drawn = draw_samples(shape, ends, quantised, samples)
        scales: Scales | None = choose_scales(quantised, architecture, drawn.all)
        while scales is not None:  # until the ring holds the worst case
            chosen = scales
            architecture = msgspec.structs.replace(architecture, weight_bits=chosen.public)
            fixed = chosen.fixed(quantised)
            ranges = worst_case(architecture, fixed)
            scales = chosen.lowered(architecture, ranges)
        if ring_bits is None:
            needed = max(found.ring_bits for found in ranges)
            widest = fraction_bits + max(architecture.private_bits) + 1
            smallest = 2 * fraction_bits if chosen.public is msgspec.UNSET else widest
            needed = min(max(needed, smallest, SMALLEST_RING_BITS), LARGEST_RING_BITS)
            architecture = msgspec.structs.replace(architecture, ring_bits=needed)
        network = cls.from_weights(architecture, fixed)
        encoded = np.clip(np.rint(np.ldexp(drawn.all, fraction_bits)), low, high).astype(np.int64)
        logits = network.decode_logits(network.run_clear(encoded))
        precision = check_precision(layers, quantised, chosen, architecture, drawn, logits)
        return dataclasses.replace(network, precision=precision)

    @classmethod
    def from_weights(cls, architecture: Architecture, weights: Sequence[FixedWeights]) -> Network:
        """Check weights against the architecture and the ring, and choose the ciphertexts' modulus for them.

        Raises:
            ParameterError: shapes that differ, or weights too large for the flooding.
            RangeError: see :func:`~mpc.inference.models.ranges.check_ranges`.
        """
        _check_shapes(architecture, [(fixed.weights.shape, fixed.bias.shape) for fixed in weights])
        ranges = check_ranges(architecture, weights)
        return cls(_with_encryption(architecture, weights), tuple(weights), tuple(ranges))

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
        return self.ring.decode(self.ring.reduce(logits), self.architecture.logit_bits)

    def run_clear(self, queries: NDArray[np.int64] | Words) -> NDArray[np.int64]:
        """Compute fixed-point queries ``(n, *input_shape)`` to fixed-point logits ``(n, classes)``.

        They carry f fraction bits and those of the last layer's weights."""
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
        raise RangeError(
            f"expected queries from {low} to {high} in fixed point, found {values.min()} to {values.max()}"
        )


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


def _with_encryption(architecture: Architecture, weights: Sequence[FixedWeights]) -> Architecture:
    """Add the public bounds on the weights, and the cheaper of the degrees that they allow."""
    squares = [sum(int(row @ row) for row in fixed.weights.reshape(len(fixed.weights), -1)) for fixed in weights]
    norm_bits = tuple((max(total - 1, 0).bit_length() + 1) // 2 for total in squares)
    if max(norm_bits) > LARGEST_NORM_BITS:
        raise ParameterError(f"expected weights of a norm up to 2^{LARGEST_NORM_BITS}, found 2^{max(norm_bits)}")
    candidates: list[tuple[float, Architecture]] = []
    refusal: ParameterError | None = None
    for degree in DEGREES:
        try:
            candidate = msgspec.structs.replace(architecture, norm_bits=norm_bits, degree=degree)
        except ParameterError as error:
            refusal = error
            continue
        cost = sum(plan(shape, 1, degree).cost_ms for _, _, shape in candidate.private_layers())
        candidates.append((cost, candidate))
    if not candidates:
        raise ParameterError(f"expected smaller weights, a narrower ring or fewer queries a session: {refusal}")
    return min(candidates, key=lambda pair: pair[0])[1]
