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
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
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
from parties.learning.records import DataError

_FORMAT = 1
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
        with np.load(path, allow_pickle=False) as file:
            description = json.loads(str(file["description"]))
            arrays = {name: file[name].astype(np.float64) for name in file.files if name != "description"}
        if description["format"] != _FORMAT:
            raise ValueError(f"format {description['format']}")
        layers = tuple(_layer(place, dict(one), arrays) for place, one in enumerate(description["layers"]))
        if arrays:
            raise ValueError(f"arrays that belong to no layer, {', '.join(arrays)}")
        return layers, tuple(map(int, description["input_shape"])), tuple(map(str, description["classes"]))
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, ParameterError) as error:
        raise DataError(f"{path} cannot be read as a model ({type(error).__name__}: {error})") from error


def _layer(place: int, settings: dict[str, Any], arrays: _Arrays) -> FloatLayer:
    kind = KINDS[settings.pop("kind")]
    given: Mapping[str, Any] = {
        attribute: arrays.pop(f"{place}.{name}") for name, attribute in _ARRAYS.get(kind, {}).items()
    }
    listed = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    return kind(**given, **listed)
