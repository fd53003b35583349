"""Architectures of users' own, as text that says all about their layers but the weights.

A function of a user's own makes an architecture in a child process. What comes back is a text. A party's settings hold
that text, so that neither a party nor the program that plans a run ever imports the function.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mpc.errors import MpcError
from mpc.inference.models.convert_torch import from_torch
from mpc.inference.models.floats import BatchNorm, FloatLayer, WeightedLayer
from mpc.inference.models.quantise import quantise
from parties.learning.extensions.calling import Call
from parties.learning.model_files.layers_file import KINDS, settings_of
from parties.learning.models import MODELS, Layers
from parties.learning.records import DataError

_MOST_LAYERS = 1000
_MOST_WEIGHTS = 1 << 28
_FRACTION_BITS = 13  # any would do, as there are no weights yet


@lru_cache(maxsize=64)
def own_architecture(name: str, input_shape: tuple[int, int, int], classes: int, code: Path | None) -> str | None:
    """Return the text of an architecture of a user's own, or None for one that is built in or unknown.

    The function is called as ``function(input_shape, classes)``, with ``(channels, height, width)`` and the number of
    classes, or of labels where a record has several. It returns a ``torch.nn.Module``, or a list of float layers
    (:mod:`mpc.inference.models.floats`). It takes ``(n, channels, height, width)`` in 0..1 and gives one logit for each
    class. Its weights are left aside. Training begins with torch's initial weights under the party's own seed. Batch
    normalisation is refused, because its constants would not be trained. The module is looked for in `code` as well.

    Raises:
        ConfigError: what the function returned or raised, with what was expected and found.
    """
    if name in MODELS.built_in or not MODELS.knows(name):
        return None
    with Call(MODELS, name, code) as call:
        found = call.run(input_shape=input_shape, classes=classes)
    text = found.plain.get("layers")
    try:
        layers = described(str(text))
        shape: tuple[int, ...] = input_shape
        for layer in layers:
            shape = layer.output_shape(shape)
        if shape != (classes,):
            raise found.refuse(f"{classes} outputs, one for each class", shape)
        if not isinstance(layers[-1], WeightedLayer):
            raise found.refuse("a dense layer as the last, which gives the logits", repr(layers[-1]))
        quantise(layers, input_shape, _FRACTION_BITS)
    except MpcError as error:
        raise DataError(f"{found.source}: {error}") from error
    return str(text)


def describe(made: Any, source: str) -> str:
    """Return the text of what a function made, in the child. Raises `DataError` for what is no architecture."""
    layers = list(made) if isinstance(made, Sequence) and not isinstance(made, str) else _converted(made, source)
    described_layers = []
    for place, layer in enumerate(layers):
        if not isinstance(layer, FloatLayer) or type(layer).__name__ not in KINDS:
            raise DataError(f"{source}: expected a float layer in place {place}, found {type(layer).__name__}")
        if isinstance(layer, BatchNorm):
            raise DataError(
                f"{source}: expected no batch normalisation, whose constants would not be trained, found one in place "
                f"{place}"
            )
        shapes = [list(np.shape(layer.weight)), list(np.shape(layer.bias))] if isinstance(layer, WeightedLayer) else []
        described_layers.append({"kind": type(layer).__name__, "weights": shapes} | settings_of(layer))
    return json.dumps(described_layers)


def _converted(made: Any, source: str) -> list[FloatLayer]:
    if not hasattr(made, "forward"):
        raise DataError(f"{source}: expected a torch module or a list of float layers, found {type(made).__name__}")
    try:
        return list(from_torch(made))
    except MpcError as error:
        raise DataError(f"{source}: {error}") from error


@lru_cache(maxsize=64)
def described(text: str) -> Layers:
    """Return the layers that a text describes, with zero weights. Raises `DataError` for anything else."""
    try:
        entries = json.loads(text)
        if not isinstance(entries, list) or not 1 <= len(entries) <= _MOST_LAYERS:
            raise ValueError(f"expected 1 to {_MOST_LAYERS} layers")
        shapes = [tuple(map(int, shape)) for one in entries for shape in one["weights"]]
        if any(side < 1 for shape in shapes for side in shape) or sum(map(math.prod, shapes)) > _MOST_WEIGHTS:
            raise ValueError(f"expected weights without an empty side, at most {_MOST_WEIGHTS} in all")
        return tuple(_layer(dict(one)) for one in entries)
    except (ValueError, KeyError, TypeError, MpcError) as error:
        raise DataError(f"an architecture cannot be read from its text ({type(error).__name__}: {error})") from error


def _layer(entry: dict[str, Any]) -> FloatLayer:
    kind, shapes = KINDS[entry.pop("kind")], entry.pop("weights")
    weights = {name: np.zeros(tuple(shape)) for name, shape in zip(("weight", "bias"), shapes, strict=False)}
    return kind(**weights, **{key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()})
