"""The models that are measured. They are trained with torch in a process of their own, and read from a file.

The measuring processes, the project's and the peers', never import torch for this, so that it is not counted in their
memory.

    cn-relu  28x28; convolution 5x5, stride 2, to 5x13x13; ReLU; 845-100; ReLU; 100-10    scikit-learn's digits, large
    mlp      64-32-10                                                                     scikit-learn's digits
    lenet    LeNet-5 with batch normalisation and max pooling                             MNIST

The digit models' logits are scaled to at most 36, the range of the published demo.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mpc.inference
from tests.mpc.inference.examples import lenet

Floats = NDArray[np.float64]
LARGEST_LOGIT = 36.0
TRAINED_ON = 1400


@dataclass(frozen=True, repr=False)
class Model:
    """Float layers, and inputs ``(n, *shape)`` with the float32 logits that torch gives for them, and labels."""

    name: str
    path: Path
    layers: list[object]
    inputs: Floats
    logits: Floats
    labels: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.inputs.shape[1:]


def model(name: str, folder: Path) -> Model:
    """The model from its file in ``folder``; trained and written first if there is none."""
    path = folder / f"{name}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", __name__, name, str(path)], check=True)
    with np.load(path) as file:
        layers = []
        for index, kind in enumerate(file["kinds"]):
            prefix = f"{index}."
            fields = {name[len(prefix) :]: file[name] for name in file.files if name.startswith(prefix)}
            layers.append(getattr(mpc.inference, str(kind))(**{name: _plain(value) for name, value in fields.items()}))
        return Model(name, path, layers, file["inputs"].astype(np.float64), file["logits"], file["labels"])


def _write(path: Path, layers: Sequence[Any], inputs: Any, logits: Any, labels: Any) -> None:
    fields: dict[str, Any] = {
        f"{index}.{field.name}": np.asarray(getattr(layer, field.name))
        for index, layer in enumerate(layers)
        for field in dataclasses.fields(layer)
        if getattr(layer, field.name) is not None
    }
    kinds = np.array([type(layer).__name__ for layer in layers])
    np.savez(path, kinds=kinds, inputs=inputs, logits=logits, labels=labels, **fields)


def _plain(value: NDArray[Any]) -> Any:
    """Weights stay arrays; strides, paddings and the like become numbers again."""
    if value.dtype.kind == "f":
        return value if value.ndim else float(value)
    return tuple(value.tolist()) if value.ndim else int(value)


def _train(name: str, path: Path) -> None:
    import torch
    from torch import nn
    from torch.nn import functional

    torch.manual_seed(0)
    torch.set_num_threads(1)
    images, labels, module, epochs = _lenet_task() if name == "lenet" else _digits_task(name)
    trained = len(images) - 200 if name == "lenet" else TRAINED_ON
    optimiser = torch.optim.AdamW(module.parameters(), 2e-3)
    for _ in range(epochs):
        for part in torch.randperm(trained).split(64):  # type: ignore[no-untyped-call]
            optimiser.zero_grad()
            functional.cross_entropy(module(images[part]), labels[part]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    module.eval()
    with torch.no_grad():
        last = module[-1]
        if name != "lenet" and isinstance(last, nn.Linear):
            factor = LARGEST_LOGIT / module(images).abs().max()
            last.weight.mul_(factor)
            last.bias.mul_(factor)
        held_out = images[trained : trained + 200]
        logits = module(held_out)
    _write(
        path,
        mpc.inference.from_torch(module),
        held_out.numpy(),
        logits.numpy().astype(np.float64),
        labels[trained : trained + 200].numpy(),
    )


def _digits_task(name: str) -> tuple[Any, Any, Any, int]:
    """Images, labels, the module to train, epochs; the order of the images is drawn."""
    import torch
    from sklearn.datasets import load_digits
    from torch import nn
    from torch.nn import functional

    digits = load_digits()
    order = torch.randperm(len(digits.target))
    images = torch.tensor(digits.data / 16, dtype=torch.float32)[order]
    labels = torch.tensor(digits.target)[order]
    if name == "mlp":
        return images, labels, nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)), 60
    larger = functional.interpolate(images.view(-1, 1, 8, 8), size=(20, 20), mode="bilinear")
    module = nn.Sequential(
        nn.Conv2d(1, 5, 5, stride=2, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(845, 100), nn.ReLU(), nn.Linear(100, 10),
    )  # fmt: skip
    return functional.pad(larger, (4, 4, 4, 4)).clamp(0, 1), labels, module, 12


def _lenet_task() -> tuple[Any, Any, Any, int]:
    import os

    import torch

    from parties.learning.datasets import load_dataset

    dataset = load_dataset("mnist", Path(os.environ["CAPC_DATA_DIR"]))
    queries = dataset.queries(0, 200)
    images = np.concatenate([dataset.pool.images[:8000], queries.images])
    labels = np.concatenate([dataset.pool.labels[:8000], queries.labels])
    return torch.tensor(images, dtype=torch.float32), torch.tensor(labels), lenet(), 2


if __name__ == "__main__":
    _train(sys.argv[1], Path(sys.argv[2]))
