"""What is public about an answering party's network: the layers' shapes and the fixed-point format.

The querying party learns exactly this. It comes from a peer, so everything in it is bounded and checked before
anything is computed from it.

Fixed point: inputs and activations carry f fraction bits ("narrow"), the outputs of private linear layers 2f
("wide"), and a ReLU or a rescaling brings wide values back to narrow ones, exactly. Logits leave wide.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator

import msgspec

from mpc._core import RlweParameters
from mpc.errors import ParameterError
from mpc.inference.linear.encoding import DEGREE, Convolution
from mpc.inference.linear.rlwe import DEGREES, LARGEST_NORM_BITS, LARGEST_PLAIN_BITS, rlwe_parameters

SMALLEST_RING_BITS = 8
LARGEST_DEPTH = 64
LARGEST_EXTENT = 1 << 16  # of any single dimension
LARGEST_TENSOR = 1 << 20  # values between two layers, one query
LARGEST_WEIGHTS = 1 << 26  # of one layer
LARGEST_BATCH = 1 << 12
LARGEST_WINDOW = 1 << 10  # values that one maximum is taken of

Shape = tuple[int, ...]


class Layer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """One layer; subclasses say which."""


class Convolve(Layer, frozen=True):
    """Private convolution with bias; zero padding (top, bottom, left, right)."""

    outputs: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)


class Dense(Layer, frozen=True):
    """Private matrix product with bias, on a flat tensor."""

    outputs: int


class Relu(Layer, frozen=True):
    """max(0, floor(y / 2^f)), wide to narrow."""


class Rescale(Layer, frozen=True):
    """floor(y / 2^f), wide to narrow: between two private layers with no non-linearity."""


class LeakyRelu(Layer, frozen=True):
    """With v the value as a narrow one: v if v >= 0, else floor(v slope / 2^f), 0 < slope < 2^f; wide or narrow in."""

    slope: int


class MaxPool(Layer, frozen=True):
    """The largest value of each window as a narrow one, then max(0, .) if ``rectify``; wide or narrow in.

    ``padding`` (top, bottom, left, right) with zeros, which max(0, .) makes the same as leaving the edge out.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    rectify: bool = False


class SumPool(Layer, frozen=True):
    """Sums over windows, a public map; the division of average pooling is in a neighbouring layer's weights."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)


class Flatten(Layer, frozen=True):
    """All of a query's values in one row, a public map."""


AnyLayer = Convolve | Dense | Relu | LeakyRelu | Rescale | MaxPool | SumPool | Flatten
PRIVATE = (Convolve, Dense)
NONLINEAR = (Relu, LeakyRelu, Rescale, MaxPool)


class Architecture(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The public description of a network.

    Attributes:
        input_shape: of one query, ``(channels, height, width)`` or ``(values,)``.
        input_range: smallest and largest input, as fixed-point integers; the range analysis rests on it, so that
            a query outside is refused by the querying party.
        layers: in order; the last private one leaves the logits.
        fraction_bits: f.
        ring_bits: l; all shares lie in Z_2^l.
        session_queries: how many queries one session may ask; the flooding's statistical distance is stated for them.
        norm_bits: for each private layer n with the Euclidean norm of its weights at most 2^n; empty until the weights
            are known.
        degree: N of the ciphertexts.

    Raises:
        ParameterError: shapes that do not fit each other, or anything beyond the limits above.
    """

    input_shape: tuple[int, ...]
    input_range: tuple[int, int]
    layers: tuple[AnyLayer, ...]
    fraction_bits: int
    ring_bits: int
    session_queries: int = 2048
    norm_bits: tuple[int, ...] = ()
    degree: int = DEGREE

    def __post_init__(self) -> None:
        _require(1 <= len(self.layers) <= LARGEST_DEPTH, f"1 to {LARGEST_DEPTH} layers", len(self.layers))
        _require(len(self.input_shape) in (1, 3), "an input of 1 or 3 dimensions", self.input_shape)
        widths = f"{SMALLEST_RING_BITS} to {LARGEST_PLAIN_BITS} ring bits"
        _require(SMALLEST_RING_BITS <= self.ring_bits <= LARGEST_PLAIN_BITS, widths, self.ring_bits)
        _require(1 <= self.fraction_bits <= self.ring_bits // 2, "1 to ring_bits / 2 fraction bits", self.fraction_bits)
        low, high = self.input_range
        limit = 1 << (self.ring_bits - 1)
        _require(-limit < low <= high < limit, "an input range within the ring", self.input_range)
        _require(1 <= self.session_queries <= 1 << 20, "1 to 2^20 queries a session", self.session_queries)
        _require(self.degree in DEGREES, f"a degree of {' or '.join(map(str, DEGREES))}", self.degree)
        private = len(list(self.private_layers()))
        _require(len(self.norm_bits) in (0, private), f"norms of {private} private layers", len(self.norm_bits))
        _require(
            all(0 <= bits <= LARGEST_NORM_BITS for bits in self.norm_bits),
            f"norms of 0 to {LARGEST_NORM_BITS} bits",
            self.norm_bits,
        )
        if self.norm_bits:
            self.rlwe()

    def rlwe(self) -> RlweParameters:
        """The encryption's parameters.

        Raises:
            ParameterError: the norms are not known, or no modulus is wide enough for them.
        """
        private = list(self.private_layers())
        _require(bool(self.norm_bits), f"norms of {len(private)} private layers", "none")
        results = [self.session_queries * math.prod(shape.output_shape) for _, _, shape in private]
        return rlwe_parameters(self.degree, self.ring_bits, tuple(zip(self.norm_bits, results, strict=True)))

    def private_layers(self) -> Iterator[tuple[str, AnyLayer, Convolution]]:
        """The private layers with the name that their messages carry, and their shapes."""
        private = (step for step in self.steps() if isinstance(step[1], PRIVATE))
        for index, (_, layer, before, _) in enumerate(private):
            yield f"linear/{index}", layer, convolution(layer, before)

    @property
    def classes(self) -> int:
        """Number of logits."""
        return math.prod(list(self.steps())[-1][3])

    def steps(self) -> Iterator[tuple[str, AnyLayer, Shape, Shape]]:
        """Each layer with its name, input shape and output shape; checks as it goes."""
        shape, wide = self.input_shape, False
        _check_tensor(shape, "input")
        for index, layer in enumerate(self.layers):
            name = f"layer {index} ({type(layer).__name__.lower()})"
            if isinstance(layer, PRIVATE):
                _require(not wide, f"a ReLU or rescaling before {name}", "two private layers in a row")
            if isinstance(layer, Relu | Rescale):
                _require(wide, f"a private layer before {name}", "none")
            if isinstance(layer, LeakyRelu):
                _require(0 < layer.slope < 1 << self.fraction_bits, f"a slope between 0 and 1 in {name}", layer.slope)
            after = output_shape(layer, shape, name, self.degree)
            _check_tensor(after, name)
            yield name, layer, shape, after
            shape = after
            wide = isinstance(layer, PRIVATE) or (wide and not isinstance(layer, NONLINEAR))
        _require(wide, "a private layer as the last one but public maps", f"{type(self.layers[-1]).__name__}")
        _require(len(shape) == 1, "one row of logits at the end", shape)

    def dropped_bits(self) -> Iterator[int]:
        """For each layer, how many bits of its input a non-linearity drops: f on wide values, none on narrow ones."""
        wide = False
        for layer in self.layers:
            yield self.fraction_bits if wide else 0
            wide = isinstance(layer, PRIVATE) or (wide and not isinstance(layer, NONLINEAR))

    def digest(self) -> str:
        """SHA-256 over the canonical encoding, in hex."""
        return hashlib.sha256(msgspec.msgpack.encode(self)).hexdigest()


def convolution(layer: AnyLayer, shape: Shape) -> Convolution:
    """The linear layer as the encoding sees it: padded input, kernel and stride; a dense one has one pixel."""
    if isinstance(layer, Dense):
        return Convolution(shape[0], 1, 1, layer.outputs)
    if isinstance(layer, Convolve):
        top, bottom, left, right = layer.padding
        return Convolution(
            shape[0], shape[1] + top + bottom, shape[2] + left + right, layer.outputs, layer.kernel, layer.stride
        )
    raise ParameterError(f"expected a private layer, found {type(layer).__name__}")


def output_shape(layer: AnyLayer, shape: Shape, name: str, degree: int = DEGREE) -> Shape:
    """The shape of one query after a layer.

    Raises:
        ParameterError: a layer that does not fit its input, with its name.
    """
    if isinstance(layer, Dense):
        _require(len(shape) == 1, f"a flat input of {name}", shape)
        _check_extents(name, layer.outputs)
        _require(shape[0] * layer.outputs <= LARGEST_WEIGHTS, f"at most {LARGEST_WEIGHTS} weights in {name}", shape)
        return (layer.outputs,)
    if isinstance(layer, Convolve):
        _require(len(shape) == 3, f"an input (channels, height, width) of {name}", shape)
        _check_extents(name, layer.outputs, *layer.kernel, *layer.stride)
        _require(
            all(0 <= p <= LARGEST_EXTENT for p in layer.padding), f"a padding of 0 or more in {name}", layer.padding
        )
        padded = convolution(layer, shape)
        _check_windows(name, (padded.height, padded.width), layer.kernel)
        _check_tensor((padded.channels, padded.height, padded.width), name)
        weights = layer.outputs * shape[0] * math.prod(layer.kernel)
        _require(weights <= LARGEST_WEIGHTS, f"at most {LARGEST_WEIGHTS} weights in {name}", weights)
        strip = layer.kernel[0] * padded.width
        _require(strip <= degree, f"kernel height times padded width of at most {degree} in {name}", strip)
        return padded.output_shape
    if isinstance(layer, SumPool | MaxPool):
        _require(len(shape) == 3, f"an input (channels, height, width) of {name}", shape)
        _check_extents(name, *layer.kernel, *layer.stride)
        top, bottom, left, right = layer.padding
        _require(
            min(layer.padding) >= 0 and max(top, bottom) < layer.kernel[0] and max(left, right) < layer.kernel[1],
            f"a padding of 0 or more and smaller than the window in {name}",
            layer.padding,
        )
        if isinstance(layer, MaxPool):
            _require(layer.rectify or not any(layer.padding), f"a ReLU with the padding of {name}", layer.padding)
            _require(
                math.prod(layer.kernel) <= LARGEST_WINDOW, f"windows up to {LARGEST_WINDOW} in {name}", layer.kernel
            )
        image = shape[1] + top + bottom, shape[2] + left + right
        _check_windows(name, image, layer.kernel)
        after = (
            shape[0],
            (image[0] - layer.kernel[0]) // layer.stride[0] + 1,
            (image[1] - layer.kernel[1]) // layer.stride[1] + 1,
        )
        if isinstance(layer, MaxPool):
            compared = math.prod(after) * math.prod(layer.kernel)
            _require(compared <= LARGEST_TENSOR, f"at most {LARGEST_TENSOR} values to compare in {name}", compared)
        return after
    if isinstance(layer, Flatten):
        return (math.prod(shape),)
    return shape


def _check_extents(name: str, *extents: int) -> None:
    _require(all(1 <= e <= LARGEST_EXTENT for e in extents), f"extents of 1 to {LARGEST_EXTENT} in {name}", extents)


def _check_tensor(shape: Shape, name: str) -> None:
    _check_extents(name, *shape)
    _require(math.prod(shape) <= LARGEST_TENSOR, f"at most {LARGEST_TENSOR} values at {name}", math.prod(shape))


def _check_windows(name: str, image: tuple[int, int], kernel: tuple[int, int]) -> None:
    _require(kernel[0] <= image[0] and kernel[1] <= image[1], f"a window within {image} in {name}", kernel)


def _require(holds: bool, expected: str, found: object) -> None:
    if not holds:
        raise ParameterError(f"expected {expected}, found {found}")
