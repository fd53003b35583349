"""Float layers as an NPZ file that describes itself. It serves as the cache and as a model for its owner.

    description          JSON text, {"format": 1, "input_shape": [30], "classes": ["benign", ...],
                         "layers": [{"kind": "Linear"}, {"kind": "ReLU"}, ...]}
    0.weight, 0.bias     of layer 0, as in the state dict of a torch.nn.Sequential of these layers
    2.running_mean, ...  of batch normalisation, by torch's names

Arrays are float64. A layer's other settings stand with its kind, as torch names them: kernel, stride, padding (top,
bottom, left, right), groups, slope, output, epsilon.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpc.errors import ParameterError
from mpc.inference.models.floats import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Flatten,
    FloatLayer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
)
from mpc.inference.models.floats.layer import pair, reals, sides
from parties.frame.private_files import write_private
from parties.learning.model_files.stored import stored_arrays
from parties.learning.records import DataError

_FORMAT = 1
_MOST = 1 << 16  # of a size, a stride or a padding
_REALS = {"slope", "epsilon"}
_Arrays = dict[str, NDArray[np.float64]]
_ARRAYS: dict[type[FloatLayer], dict[str, str]] = {
    Conv2d: {"weight": "weight", "bias": "bias"},
    Linear: {"weight": "weight", "bias": "bias"},
    BatchNorm: {"running_mean": "mean", "running_var": "variance", "weight": "scale", "bias": "shift"},
}


def _windows(layer: Any) -> dict[str, Any]:
    stride = layer.kernel if layer.stride is None else layer.stride
    return {"kernel": pair(layer.kernel), "stride": pair(stride), "padding": sides(layer.padding)}


_SETTINGS: dict[type[FloatLayer], Callable[[Any], dict[str, Any]]] = {
    Conv2d: lambda one: {"stride": pair(one.stride), "padding": sides(one.padding), "groups": int(one.groups)},
    Linear: lambda one: {},
    BatchNorm: lambda one: {"epsilon": float(one.epsilon)},
    ReLU: lambda one: {},
    LeakyReLU: lambda one: {"slope": float(one.slope)},
    AvgPool2d: _windows,
    MaxPool2d: _windows,
    AdaptiveAvgPool2d: lambda one: {"output": pair(one.output)},
    Flatten: lambda one: {},
}
KINDS = {kind.__name__: kind for kind in _SETTINGS}
"""The float layers by name."""


def settings_of(layer: FloatLayer) -> dict[str, Any]:
    """Return a layer's settings beside its arrays, as plain values."""
    return _SETTINGS[type(layer)](layer)


def arrays_of(layer: FloatLayer) -> _Arrays:
    """Return a layer's arrays by torch's names."""
    names = _ARRAYS.get(type(layer), {})
    return {name: reals(getattr(layer, attribute), repr(layer)) for name, attribute in names.items()}


def without_rows(layers: Sequence[FloatLayer], shape: tuple[int, ...]) -> tuple[list[FloatLayer], tuple[int, ...]]:
    """Return layers and input shape for rows of values where a record is one row anyway."""
    if shape[:-1] == (1, 1) and layers and isinstance(layers[0], Flatten):
        return list(layers[1:]), shape[-1:]
    return list(layers), shape


def write_layers(path: Path, layers: Sequence[FloatLayer], shape: tuple[int, ...], classes: Sequence[str] = ()) -> None:
    """Write for the owner alone (0600), atomically."""
    described: list[dict[str, Any]] = []
    arrays: _Arrays = {}
    for place, layer in enumerate(layers):
        described.append({"kind": type(layer).__name__} | settings_of(layer))
        arrays |= {f"{place}.{name}": array for name, array in arrays_of(layer).items()}
    description = {"format": _FORMAT, "input_shape": list(shape), "classes": list(classes), "layers": described}
    buffer = io.BytesIO()
    np.savez(buffer, description=np.array(json.dumps(description)), **arrays)  # type: ignore[arg-type]
    write_private(path, buffer.getvalue())


def read_layers(path: Path) -> tuple[tuple[FloatLayer, ...], tuple[int, ...], tuple[str, ...]]:
    """Return layers, input shape and classes of what `write_layers` wrote. Raises `DataError` for anything else."""
    try:
        found = stored_arrays(path.read_bytes())
        description = json.loads(str(found.pop("description")))
        arrays = {name: array.astype(np.float64) for name, array in found.items()}
        if description["format"] != _FORMAT:
            raise ValueError(f"format {description['format']}")
        layers = tuple(_layer(place, dict(one), arrays) for place, one in enumerate(description["layers"]))
        if arrays:
            raise ValueError(f"arrays that belong to no layer, {', '.join(arrays)}")
        shape = tuple(description["input_shape"])
        if len(shape) not in (1, 3) or not all(type(one) is int and 1 <= one <= _MOST for one in shape):
            raise ValueError(f"an input shape {shape}, not (d,) or (channels, height, width)")
        return layers, shape, tuple(map(str, description["classes"]))
    except _NO_LAYERS as error:
        raise DataError(f"{path} cannot be read as a model ({type(error).__name__}: {error})") from error


_NO_LAYERS = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    TokenError,
    zipfile.BadZipFile,
    DataError,
    ParameterError,
)


def _layer(place: int, settings: dict[str, Any], arrays: _Arrays) -> FloatLayer:
    kind = KINDS[settings.pop("kind")]
    given: Mapping[str, Any] = {
        attribute: arrays.pop(f"{place}.{name}") for name, attribute in _ARRAYS.get(kind, {}).items()
    }
    listed = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    for key, value in listed.items():
        _check(place, key, value)
    return kind(**given, **listed)


def _check(place: int, key: str, value: Any) -> None:
    """Raise `ValueError` for a setting that no layer has."""
    if key in _REALS:
        if type(value) not in (int, float) or not math.isfinite(value):
            raise ValueError(f"layer {place}: expected a number as {key}, found {value!r}")
        return
    least = 0 if key == "padding" else 1
    if not all(type(one) is int and least <= one <= _MOST for one in (value if isinstance(value, tuple) else (value,))):
        raise ValueError(f"layer {place}: expected whole numbers of {least} to {_MOST} as {key}, found {value!r}")
