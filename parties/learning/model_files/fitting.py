"""Layers of a model that was made elsewhere, so that they take this federation's records and give its classes.

- A model that takes rows of values gets each record as one row.
- A model of two classes with one output z, the log-odds of the second class, gives the logits -z / 2 and z / 2.
- Outputs whose classes the file names come in the order that the parties agreed on.

Each step is done to the original as well, and the layers are held to it before and afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mpc.errors import ParameterError
from mpc.inference.models.converted import ConvertedLayers
from mpc.inference.models.floats import BatchNorm, Flatten, FloatLayer, Floats, LeakyReLU, Linear, ReLU
from parties.learning.labels import Labelling
from parties.learning.model_files.reading import ReadModel

Shape = tuple[int, int, int]


def fitted(
    model: ReadModel, shape: Shape, names: tuple[str, ...], labelling: Labelling, samples: Floats
) -> tuple[ConvertedLayers, list[str]]:
    """Return layers from records ``(n, *shape)`` to one logit for each name, and what was done, in sentences.

    Raises:
        ParameterError: a model for records of another shape, or with other outputs, or layers that differ from the
            original on the samples by more than rounding explains.
    """
    layers, words = _with_records(model.layers, shape)
    outputs = _outputs(layers, shape)
    _check_endings(layers, outputs, labelling)
    layers.compare(samples)
    layers = ConvertedLayers(layers, layers.original, layers.source, layers.unit)  # without the endings
    if outputs == 1 and len(names) == 2 and labelling == "class":
        layers = _changed(layers, np.array([[-0.5], [0.5]]))
        words.append(
            f"its one output is taken as the log-odds of {names[1]} against {names[0]}, and becomes two logits of half "
            "of it"
        )
    elif outputs != len(names):
        listed = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        raise ParameterError(f"expected {len(names)} outputs, one for each of {listed}, found {outputs}")
    if model.classes is not None and model.classes != names:
        if sorted(model.classes) != sorted(names):
            raise ParameterError(
                f"expected a model of the classes {', '.join(names)}, found one of {', '.join(model.classes)}"
            )
        places = [model.classes.index(name) for name in names]
        layers = _changed(layers, np.eye(len(names))[places])
        words.append(f"its outputs are in the order {', '.join(model.classes)}, and come as {', '.join(names)}")
    layers.compare(samples)
    return layers, words


def outputs_of(model: ReadModel, shape: Shape) -> int:
    """Return how many outputs a model has for records of a shape. Raises `ParameterError` where they do not fit it."""
    return _outputs(_with_records(model.layers, shape)[0], shape)


def takes_rows(layers: list[FloatLayer]) -> bool:
    """Return whether the first layer that minds the shape wants rows of values."""
    for layer in layers:
        if not isinstance(layer, BatchNorm | ReLU | LeakyReLU):
            return isinstance(layer, Linear)
    return False


def _with_records(found: ConvertedLayers, shape: Shape) -> tuple[ConvertedLayers, list[str]]:
    """Put each record in a row where the model takes rows."""
    if not takes_rows(found):
        return found, []

    def in_rows(function: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
        return lambda values: function(values.reshape(len(values), -1))

    whole = None if found.whole is None else in_rows(found.whole)
    layers = ConvertedLayers(
        [Flatten(), *found], in_rows(found.original), found.source, found.unit, found.endings, whole
    )
    return layers, [f"records of shape {shape} are given to it as rows of {math.prod(shape)} values"]


def _outputs(layers: ConvertedLayers, shape: Shape) -> int:
    """Return how many logits the layers give for a record."""
    current: tuple[int, ...] = shape
    for place, layer in enumerate(layers):
        try:
            current = layer.output_shape(current)
        except ParameterError as error:
            raise ParameterError(f"expected a model for records of shape {shape}: layer {place}: {error}") from error
        if min(current) < 1:
            raise ParameterError(f"expected a model for records of shape {shape}, found nothing left behind {layer}")
    if len(current) != 1:
        raise ParameterError(f"expected a row of logits for each record, found shape {current}")
    return current[0]


def _check_endings(layers: ConvertedLayers, outputs: int, labelling: Labelling) -> None:
    for ending in layers.endings:
        if "sigmoid" in ending:
            continue
        if labelling == "labels":
            raise ParameterError(
                f"expected a yes or no for each label, so a sigmoid or logits at the end, found the {ending}, which "
                "chooses one of several classes"
            )
        if outputs == 1:
            raise ParameterError(f"expected several outputs before the {ending}, found 1")


def _changed(layers: ConvertedLayers, matrix: Floats) -> ConvertedLayers:
    """Multiply the logits by a matrix ``(names, outputs)`` that has one number other than zero in each row."""
    last = layers[-1]
    if isinstance(last, Linear):
        changed = [
            *layers[:-1],
            replace(last, weight=matrix @ np.asarray(last.weight), bias=matrix @ np.asarray(last.bias)),
        ]
    else:
        changed = [*layers, Linear(matrix, np.zeros(len(matrix)))]
    return ConvertedLayers(changed, lambda values: layers.original(values) @ matrix.T, layers.source, layers.unit)
