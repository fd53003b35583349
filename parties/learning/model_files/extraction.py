"""The child that turns a model's file into the layers of an extractor, held to the original on records of its owner.

It reads an `ExtractionJob` on standard input and writes the layers to a file. On standard output stands a JSON list of
what was made of the file, in sentences.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from mpc.errors import MpcError, ParameterError
from mpc.inference.models.floats import AdaptiveAvgPool2d, AvgPool2d, Conv2d, FloatLayer, Floats, MaxPool2d
from mpc.inference.models.floats.layer import first_line, pair, sides
from parties.frame.errors import PartyError
from parties.learning.model_files.layers_file import write_layers
from parties.learning.model_files.source import PICKLE_WARNING, RUN_CODE, ModelSource
from parties.learning.records import DataError

MOST_NUMBERS = 1 << 24
"""How many numbers an extractor may make of one record at any of its layers: 128 MiB."""


class ExtractionJob(BaseModel):
    """What to convert.

    Attributes:
        samples: an NPY file of records ``(n, ...)``, on which layers and original are compared.
        layers: the file to write the layers to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: ModelSource
    samples: Path
    layers: Path


def as_taken(records: Floats, rows: bool) -> Floats:
    """Return records ``(n, ...)`` as rows of values, or else as images ``(n, channels, height, width)``."""
    if rows:
        return records.reshape(len(records), -1)
    return records[:, None] if records.ndim == 3 else records


def sizes_behind(layers: Sequence[FloatLayer], shape: tuple[int, ...]) -> list[int]:
    """Return how many numbers a record of a shape is before the first layer and behind each one.

    Raises:
        DataError: the layers do not take such records, leave nothing of them, or make too many numbers of them.
    """
    wanted = f"expected an extractor for records of {shape}"
    sizes, current = [math.prod(shape)], shape
    for place, layer in enumerate(layers):
        try:
            behind = layer.output_shape(current)
            needed = [math.prod(behind), *_inside(layer, current)]
        except (ParameterError, ValueError, TypeError, ZeroDivisionError) as error:
            raise DataError(f"{wanted}: layer {place}: {error}") from error
        if min(behind) < 1:
            raise DataError(f"{wanted}, found nothing left behind {layer}")
        if max(needed) > MOST_NUMBERS:
            raise DataError(
                f"{wanted}: layer {place}: expected at most {MOST_NUMBERS} numbers a record, found {max(needed)}"
            )
        sizes, current = [*sizes, max(needed)], behind
    return sizes


def _inside(layer: FloatLayer, shape: tuple[int, ...]) -> list[int]:
    """Return how many numbers a layer makes of a record of a shape on its way."""
    if isinstance(layer, AdaptiveAvgPool2d):
        return [one * size for one, size in zip(pair(layer.output), shape[1:], strict=True)]
    if isinstance(layer, Conv2d | AvgPool2d | MaxPool2d):
        top, bottom, left, right = sides(layer.padding)
        return [shape[0] * (shape[1] + top + bottom) * (shape[2] + left + right)]
    return []


def extract(job: ExtractionJob) -> list[str]:
    """Convert the file and write its layers. Return what was made of it. Raises `MpcError` and `PartyError`."""
    from parties.learning.model_files.fitting import takes_rows  # noqa: PLC0415 - only the child pays for it
    from parties.learning.model_files.reading import read_model  # noqa: PLC0415

    found, records = read_model(job.source), np.load(job.samples, allow_pickle=False).astype(np.float64)
    records = as_taken(records, takes_rows(found.layers))
    sizes_behind(found.layers, records.shape[1:])
    found.layers.compare(records)
    write_layers(job.layers, found.layers, records.shape[1:])
    return [*found.words, *([PICKLE_WARNING] if job.source.kind in RUN_CODE else [])]


def main() -> int:
    """Run the child. Return the exit status."""
    try:
        print(json.dumps(extract(ExtractionJob.model_validate_json(sys.stdin.read()))))
    except (MpcError, PartyError, OSError) as error:
        print(first_line(error), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
