"""Architectures of the parties' networks by name, and trained models, without a training framework.

A model is a tuple of float layers (:mod:`mpc.inference.models.floats`). An architecture is the same with zero weights.
Every party may use another architecture. The protocol sees nothing but the logits, one for every class, or one for
every label where records have several.

- ``linear``: softmax regression, one dense layer.
- ``mlp``: one hidden layer of 32 units with ReLU (64-32-10 on digits, 784-32-10 on mnist).
- ``cryptonets-relu``: convolution with 5 channels and stride 2, ReLU, dense 100, ReLU, dense. On 28x28 the
  kernel is 5x5 and the convolution gives 5x14x14 = 980 values. On 8x8 the kernel is 3x3, the values are
  5x4x4 = 80 and the hidden layer has 32 units. Padding is symmetric, kernel // 2 zeros on each side.
- ``cnn-avgpool``: the same convolution (stride 1 on 8x8), ReLU, 2x2 average pooling, dense. No hidden layer.

These are trained by torch. The following are trained by scikit-learn, which gives the same kinds of layers:

- ``logistic-regression``, ``linear-svm``: one dense layer.
- ``sklearn-mlp``: one hidden layer of 32 units with ReLU.

A function of a user's own is an architecture, too (:mod:`parties.learning.architectures`), and torch trains it.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mpc.inference.models.floats import (
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Flatten,
    FloatLayer,
    Floats,
    Linear,
    ReLU,
    WeightedLayer,
    run,
)
from parties.frame.errors import ConfigError
from parties.frame.private_files import write_private
from parties.learning.extensions.registry import Kind
from parties.learning.records import DataError

Shape = tuple[int, ...]
Layers = tuple[FloatLayer, ...]
Pair = tuple[Floats, Floats]
"""Weights and bias of one layer.

A dense layer's weights are ``(outputs, inputs)``, a convolution's are ``(out channels, in channels, kernel, kernel)``.
"""

TORCH = ("linear", "mlp", "cryptonets-relu", "cnn-avgpool")
SKLEARN = ("logistic-regression", "linear-svm", "sklearn-mlp")
ARCHITECTURES = TORCH + SKLEARN
MODELS = Kind("models", "models", ARCHITECTURES)
"""The architectures that have a name."""

_SMALLEST_IMAGE = 4  # pixels a side, for a convolution and pooling


def architecture(name: str, image_shape: tuple[int, int, int], classes: int) -> Layers:
    """Return the layers for images ``(channels, height, width)``, with zero weights.

    The last one gives ``classes`` logits. Raises `ConfigError` for an unknown name, or for a convolution of records
    that are no images.
    """
    large = image_shape[1] >= 16
    conv = _conv(5, 5, 2, 2) if large else _conv(5, 3, 2, 1)
    if name in ("linear", "logistic-regression", "linear-svm"):
        return _chain(image_shape, _flatten, _linear(classes))
    if name in ("mlp", "sklearn-mlp"):
        return _chain(image_shape, _flatten, _linear(32), _relu, _linear(classes))
    if name in ARCHITECTURES and min(image_shape[1:]) < _SMALLEST_IMAGE:
        raise ConfigError(f"models: expected no convolution for records of shape {image_shape}, found {name}")
    if name == "cryptonets-relu":
        return _chain(image_shape, conv, _relu, _flatten, _linear(100 if large else 32), _relu, _linear(classes))
    if name == "cnn-avgpool":
        conv = conv if large else _conv(5, 3, 1, 1)
        return _chain(image_shape, conv, _relu, _pool, _flatten, _linear(classes))
    raise ConfigError(
        f"architecture {name!r} is not known; there are {', '.join(MODELS.names)}, or a function of your own as "
        "package.module:function"
    )


_Maker = Callable[[Shape], FloatLayer]  # of a layer, from the shape of its input


def _chain(shape: Shape, *makers: _Maker) -> Layers:
    layers = []
    for make in makers:
        layers.append(make(shape))
        shape = layers[-1].output_shape(shape)
    return tuple(layers)


def _conv(channels: int, kernel: int, stride: int, padding: int) -> _Maker:
    return lambda shape: Conv2d(np.zeros((channels, shape[0], kernel, kernel)), np.zeros(channels), stride, padding)


def _linear(units: int) -> _Maker:
    return lambda shape: Linear(np.zeros((units, *shape)), np.zeros(units))


def _relu(_: Shape) -> FloatLayer:
    return ReLU()


def _pool(_: Shape) -> FloatLayer:
    return AvgPool2d(2)


def _flatten(_: Shape) -> FloatLayer:
    return Flatten()


@dataclass(frozen=True)
class Model:
    """A trained network, as float layers with their weights."""

    image_shape: tuple[int, int, int]
    layers: Layers

    def __post_init__(self) -> None:
        scales = [
            np.asarray(part) for layer in self.layers if isinstance(layer, BatchNorm) for part in vars(layer).values()
        ]
        if not all(np.isfinite(part).all() for part in (*scales, *(one for pair in self.weights for one in pair))):
            raise DataError("expected finite weights, found infinite or undefined ones")

    @classmethod
    def filled(cls, image_shape: tuple[int, int, int], template: Layers, weights: Iterable[Pair]) -> Model:
        """Return the architecture `template` with these weights, in the order of the layers that have some.

        Raises `DataError` for weights of other shapes.
        """
        pairs = list(weights)
        expected = [(weight.shape, bias.shape) for weight, bias in _weights_of(template)]
        found = [(weight.shape, bias.shape) for weight, bias in pairs]
        if found != expected:
            raise DataError(f"expected weights of shapes {expected}, found {found}")
        left = iter(pairs)
        filled = (layer.filled(*next(left)) if isinstance(layer, WeightedLayer) else layer for layer in template)
        return cls(image_shape, tuple(filled))

    @property
    def weights(self) -> tuple[Pair, ...]:
        """Weights and bias of each layer that has them, in order."""
        return _weights_of(self.layers)

    def __repr__(self) -> str:  # a model is its owner's secret
        return f"Model(image_shape={self.image_shape}, layers={self.layers})"

    def logits(self, images: NDArray[np.floating]) -> Floats:
        """Compute ``(n, classes)`` from ``(n, channels, height, width)``, in the clear and in floating point."""
        return run(self.layers, images)

    def features(self, images: NDArray[np.floating]) -> Floats:
        """Compute the input of the last layer, ``(n, features)``. Records that the model takes for alike lie close."""
        return run(self.layers[:-1], images)

    def write(self, path: Path) -> None:
        """Write for the owner alone (0600), atomically."""
        arrays = {f"{kind}{i}": a for i, p in enumerate(self.weights) for kind, a in zip("wb", p, strict=True)}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the arrays for allow_pickle
        write_private(path, buffer.getvalue())

    @classmethod
    def read(cls, path: Path, image_shape: tuple[int, int, int], template: Layers) -> Model:
        """Read what `write` wrote for the same layers. Raises `DataError` for anything else."""
        count = len(_weights_of(template))
        try:
            with np.load(path, allow_pickle=False) as file:
                pairs = [(file[f"w{i}"].astype(np.float64), file[f"b{i}"].astype(np.float64)) for i in range(count)]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"{path} cannot be read as a trained model ({type(error).__name__})") from error
        return cls.filled(image_shape, template, pairs)


def _weights_of(layers: Layers) -> tuple[Pair, ...]:
    weighted = (layer for layer in layers if isinstance(layer, WeightedLayer))
    return tuple((np.asarray(layer.weight, np.float64), np.asarray(layer.bias, np.float64)) for layer in weighted)
