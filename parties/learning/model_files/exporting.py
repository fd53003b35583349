"""A model for its owner, as NPZ or as ONNX. The latter is written by a child, so that no party's program loads onnx."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from mpc.errors import MpcError
from mpc.extras import missing
from parties.frame.child import ending, run_child
from parties.frame.errors import PartyError
from parties.learning.labels import Labelling
from parties.learning.model_files.layers_file import read_layers, without_rows, write_layers
from parties.learning.models import Model

ENDS = (".onnx", ".npz")


class ExportError(PartyError):
    """A model could not be written. The message is one sentence."""


class _Job(BaseModel):
    """What the child writes, from layers that lie in a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: Path
    out: Path
    labelling: Labelling


def cannot_export(out: Path) -> str:
    """Return why a model cannot be written to this path, or nothing."""
    if out.suffix not in ENDS:
        return f"expected a name that ends in {' or '.join(ENDS)}, found {out}"
    if out.suffix == ".onnx" and (complaint := missing("onnx", "an ONNX file")):
        return f"{complaint}; a name that ends in .npz needs none"
    return "" if out.parent.is_dir() else f"expected a folder {out.parent}, found none"


def export_model(model: Model, out: Path, classes: Sequence[str], labelling: Labelling, folder: Path) -> None:
    """Write a model for its owner alone (0600), atomically. Raises `ExportError`.

    `folder` is the owner's private one.
    """
    layers, shape = without_rows(model.layers, model.image_shape)
    if out.suffix == ".npz":
        write_layers(out, layers, shape, classes)
        return
    job = _Job(layers=folder / "model-out.npz", out=out, labelling=labelling)
    write_layers(job.layers, layers, shape, classes)
    child = run_child("parties.learning.model_files.exporting", job)
    if child.returncode != 0:
        raise ExportError(f"the model could not be written to {out}: {ending(child)}")


def main() -> int:
    """Run the child. Return the exit status."""
    from parties.learning.model_files.onnx_file import write_onnx  # noqa: PLC0415  only the child pays for it

    job = _Job.model_validate_json(sys.stdin.read())
    layers, shape, classes = read_layers(job.layers)
    try:
        write_onnx(job.out, layers, shape, classes, job.labelling)
    except (MpcError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
