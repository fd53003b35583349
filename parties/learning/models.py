"""Architectures of the parties' networks, and trained models as plain arrays, without a training framework.

Every party may use another architecture: the protocol sees nothing but ten (or however many) logits, one for every
class, or for every label where records have several.

- ``linear``: softmax regression, one dense layer.
- ``mlp``: one hidden layer of 32 units with ReLU (64-32-10 on digits, 784-32-10 on mnist).
- ``cryptonets-relu``: convolution with 5 channels and stride 2, ReLU, dense 100, ReLU, dense. On 28x28 the
  kernel is 5x5 and the convolution gives 5x14x14 = 980 values; on 8x8 the kernel is 3x3, the values are
  5x4x4 = 80 and the hidden layer has 32 units. Padding is symmetric: kernel // 2 zeros on each side.
- ``cnn-avgpool``: the same convolution (stride 1 on 8x8), ReLU, 2x2 average pooling, dense. No hidden layer.

Trained by torch; the following by scikit-learn, which gives the same kinds of layers:

- ``logistic-regression``, ``linear-svm``: one dense layer.
- ``sklearn-mlp``: one hidden layer of 32 units with ReLU.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parties.frame.errors import ConfigError
from parties.frame.private_files import write_private
from parties.learning.records import DataError

Shape = tuple[int, ...]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Conv:
    channels: int
    kernel: int
    stride: int
    padding: int


@dataclass(frozen=True)
class Dense:
    units: int


@dataclass(frozen=True)
class Relu:
    pass


@dataclass(frozen=True)
class AvgPool:
    size: int


@dataclass(frozen=True)
class Flatten:
    pass


Layer = Conv | Dense | Relu | AvgPool | Flatten
TORCH = ("linear", "mlp", "cryptonets-relu", "cnn-avgpool")
SKLEARN = ("logistic-regression", "linear-svm", "sklearn-mlp")
ARCHITECTURES = TORCH + SKLEARN
_SMALLEST_IMAGE = 4  # pixels a side, for a convolution and pooling


def architecture(name: str, image_shape: tuple[int, int, int], classes: int) -> tuple[Layer, ...]:
    """The layers for images ``(channels, height, width)``; the last one gives ``classes`` logits."""
    large = image_shape[1] >= 16
    conv = Conv(5, 5, 2, 2) if large else Conv(5, 3, 2, 1)
    if name in ("linear", "logistic-regression", "linear-svm"):
        return Flatten(), Dense(classes)
    if name in ("mlp", "sklearn-mlp"):
        return Flatten(), Dense(32), Relu(), Dense(classes)
    if name in ARCHITECTURES and min(image_shape[1:]) < _SMALLEST_IMAGE:
        raise ConfigError(f"models: expected no convolution for records of shape {image_shape}, found {name}")
    if name == "cryptonets-relu":
        return conv, Relu(), Flatten(), Dense(100 if large else 32), Relu(), Dense(classes)
    if name == "cnn-avgpool":
        return conv if large else Conv(5, 3, 1, 1), Relu(), AvgPool(2), Flatten(), Dense(classes)
    raise ConfigError(f"architecture {name!r} is not known; there are {', '.join(ARCHITECTURES)}")


def walk(layers: tuple[Layer, ...], image_shape: Shape) -> Iterator[tuple[Layer, Shape, Shape]]:
    """Each layer with the shapes of its input and its output, one image at a time."""
    shape = image_shape
    for layer in layers:
        before = shape
        if isinstance(layer, Conv):
            shape = (layer.channels, *(_positions(side, layer) for side in before[1:]))
        elif isinstance(layer, AvgPool):
            shape = (before[0], before[1] // layer.size, before[2] // layer.size)
        elif isinstance(layer, Flatten):
            shape = (math.prod(before),)
        elif isinstance(layer, Dense):
            shape = (layer.units,)
        yield layer, before, shape


def _positions(side: int, conv: Conv) -> int:
    return (side + 2 * conv.padding - conv.kernel) // conv.stride + 1


def weight_shapes(layers: tuple[Layer, ...], image_shape: Shape) -> list[tuple[Shape, Shape]]:
    """Shapes of weights and bias of each layer that has them, in order.

    Dense: ``(outputs, inputs)``; convolution: ``(out channels, in channels, kernel, kernel)``.
    """
    shapes: list[tuple[Shape, Shape]] = []
    for layer, before, _ in walk(layers, image_shape):
        if isinstance(layer, Conv):
            shapes.append(((layer.channels, before[0], layer.kernel, layer.kernel), (layer.channels,)))
        elif isinstance(layer, Dense):
            shapes.append(((layer.units, before[0]), (layer.units,)))
    return shapes


@dataclass(frozen=True)
class Model:
    """A trained network: layers, and weights and bias of each layer that has them."""

    image_shape: tuple[int, int, int]
    layers: tuple[Layer, ...]
    weights: tuple[tuple[Floats, Floats], ...]

    def __post_init__(self) -> None:
        expected = weight_shapes(self.layers, self.image_shape)
        found = [(weights.shape, bias.shape) for weights, bias in self.weights]
        if found != expected:
            raise DataError(f"expected weights of shapes {expected}, found {found}")
        if not all(np.isfinite(part).all() for pair in self.weights for part in pair):
            raise DataError("expected finite weights, found infinite or undefined ones")

    def __repr__(self) -> str:  # a model is its owner's secret
        return f"Model(image_shape={self.image_shape}, layers={self.layers})"

    def logits(self, images: NDArray[np.floating]) -> Floats:
        """In the clear and in floating point: ``(n, channels, height, width)`` to ``(n, classes)``."""
        return self._run(images, len(self.layers))

    def features(self, images: NDArray[np.floating]) -> Floats:
        """What the last layer sees, ``(n, features)``: where records lie that the model takes for alike."""
        return self._run(images, len(self.layers) - 1)

    def _run(self, images: NDArray[np.floating], depth: int) -> Floats:
        values = np.asarray(images, np.float64)
        weights = iter(self.weights)
        for layer in self.layers[:depth]:
            if isinstance(layer, Conv):
                values = _convolve(values, *next(weights), layer)
            elif isinstance(layer, Dense):
                matrix, bias = next(weights)
                values = values @ matrix.T + bias
            elif isinstance(layer, Relu):
                values = np.maximum(values, 0)
            elif isinstance(layer, AvgPool):
                values = _average(values, layer.size)
            else:
                values = values.reshape(len(values), -1)
        return values

    def write(self, path: Path) -> None:
        """Write for the owner alone (0600), atomically."""
        arrays = {f"{kind}{i}": a for i, p in enumerate(self.weights) for kind, a in zip("wb", p, strict=True)}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the arrays for allow_pickle
        write_private(path, buffer.getvalue())

    @classmethod
    def read(cls, path: Path, image_shape: tuple[int, int, int], layers: tuple[Layer, ...]) -> Model:
        """Read what `write` wrote for the same layers. Raises `DataError` for anything else."""
        count = len(weight_shapes(layers, image_shape))
        try:
            with np.load(path, allow_pickle=False) as file:
                pairs = tuple(
                    (file[f"w{i}"].astype(np.float64), file[f"b{i}"].astype(np.float64)) for i in range(count)
                )
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"{path} cannot be read as a trained model ({type(error).__name__})") from error
        return cls(image_shape, layers, pairs)


def _convolve(values: Floats, weights: Floats, bias: Floats, conv: Conv) -> Floats:
    edge = (conv.padding, conv.padding)
    padded = np.pad(values, ((0, 0), (0, 0), edge, edge))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (conv.kernel, conv.kernel), axis=(2, 3))
    windows = windows[:, :, :: conv.stride, :: conv.stride]
    result: Floats = np.einsum("nchwij,ocij->nohw", windows, weights, optimize=True) + bias[:, None, None]
    return result


def _average(values: Floats, size: int) -> Floats:
    count, channels, height, width = values.shape
    trimmed = values[:, :, : height // size * size, : width // size * size]
    blocks = trimmed.reshape(count, channels, height // size, size, width // size, size)
    result: Floats = blocks.mean(axis=(3, 5))
    return result
