"""The child of the offline check of a model's file: what was made of it, or what stands in the way.

It reads a `CheckJob` on standard input and writes the layers to a file. On standard output stands a JSON object with
`words`, `classes` and `refusal`, and with `unsupported`, the layers that have no counterpart and what to use instead.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from mpc.errors import MpcError
from mpc.inference.models.floats.layer import first_line
from parties.learning.labels import Labelling
from parties.learning.model_files.fitting import fitted, outputs_of
from parties.learning.model_files.layers_file import write_layers
from parties.learning.model_files.reading import read_model, unsupported_layers
from parties.learning.model_files.source import ModelSource

_SAMPLES = 16

_INSTEAD = {
    "relu": ("sigmoid", "tanh", "gelu", "silu", "swish", "hardswish", "hardsigmoid", "hardtanh", "relu6", "elu", "selu",
             "celu", "mish", "softplus", "softsign", "prelu", "clip", "erf", "pow", "threshold"),
    "batch": ("layernorm", "layernormalization", "groupnorm", "groupnormalization", "instancenorm", "instancenorm2d",
              "instancenormalization", "lpnormalization", "localresponsenorm", "lrn"),
    "chain": ("add", "concat", "cat", "mul", "sum", "split", "chunk", "slice", "gather"),
    "conv": ("convtranspose", "convtranspose2d", "conv1d", "conv3d", "upsample", "resize", "interpolate",
             "pixelshuffle"),
    "fixed": ("lstm", "gru", "rnn", "embedding", "multiheadattention", "attention", "transformerencoderlayer"),
    "end": ("softmax", "logsoftmax", "argmax", "hardmax"),
}  # fmt: skip
_ADVICE = {
    "relu": "ReLU or LeakyReLU, and train again",
    "batch": "BatchNorm, which is folded into its neighbour",
    "chain": "a chain, in which each layer takes the one before alone",
    "conv": "Conv2d with a stride, and pooling",
    "fixed": "an MLP or a CNN over inputs of a fixed size",
    "end": "nothing: it may stand at the end alone, where it is left out",
}
_OTHERWISE = "one of the layers in the list of docs/own-models.md"


class CheckJob(BaseModel):
    """What to check.

    Attributes:
        shape: of one record, ``(channels, height, width)`` or ``(values,)``.
        ends: the smallest and the largest value of an input.
        layers: the file to write the layers to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: ModelSource
    shape: tuple[int, ...]
    ends: tuple[float, float]
    labelling: Labelling
    layers: Path


def check(job: CheckJob) -> dict[str, Any]:
    """Convert the file and write its layers. Return what the owner should know, see the module."""
    rows = len(job.shape) == 1
    shape = (1, 1, job.shape[0]) if rows else (job.shape[0], job.shape[1], job.shape[2])
    found: dict[str, Any] = {"words": [], "classes": [], "refusal": None, "unsupported": []}
    try:
        model = read_model(job.source)
        found["words"] = list(model.words)
        names = job.source.class_names or model.classes
        if names is None:
            outputs = outputs_of(model, shape)
            names = tuple(map(str, range(2 if outputs == 1 and job.labelling == "class" else outputs)))
        samples = np.random.default_rng(0).uniform(*job.ends, (_SAMPLES, *shape))
        layers, words = fitted(model, shape, names, job.labelling, samples)
        found["words"] += words
        found["classes"] = list(names)
        write_layers(job.layers, layers, shape, names)
    except MpcError as error:
        found["refusal"] = str(error)
        found["unsupported"] = list(_unsupported(job.source))
    return found


def _unsupported(source: ModelSource) -> Iterator[dict[str, str]]:
    """Name every layer of a file that is not supported, and what is supported in its place."""
    try:
        found = unsupported_layers(source)
    except MpcError:
        return  # the refusal says it
    for place, kind in found:
        name = "".join(kind.lower().split("_"))
        advice = next((_ADVICE[key] for key, kinds in _INSTEAD.items() if name in kinds), _OTHERWISE)
        yield {"layer": place, "kind": kind, "instead": advice}


def main() -> int:
    """Run the child. Return the exit status."""
    try:
        print(json.dumps(check(CheckJob.model_validate_json(sys.stdin.read()))))
    except OSError as error:
        print(first_line(error), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
