"""Training with torch: Adam on one thread, under a fixed seed. Imported by the training child alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.optim.adamw import adamw

from parties.learning.labels import Labelling
from parties.learning.models import AvgPool, Conv, Dense, Layer, Model, Relu, Shape, walk
from parties.learning.records import Records
from parties.learning.training_settings import TrainingSettings


def fit(settings: TrainingSettings, records: Records) -> Model:
    """Adam with decoupled weight decay on the cross-entropy of the softmax over classes, or of each label's sigmoid.

    The same input gives the same weights.
    """
    torch.manual_seed(settings.seed)
    torch.set_num_threads(1)  # sums in one order
    torch.set_deterministic_debug_mode("error")  # as `use_deterministic_algorithms`, which imports torch's compiler
    network = nn.Sequential(*(_module(*step) for step in walk(settings.layers, settings.image_shape)))
    optimiser = _AdamW(list(network.parameters()), settings.learning_rate, settings.weight_decay)
    images, labels = torch.from_numpy(records.images), torch.from_numpy(records.labels)
    cross_entropy = _CROSS_ENTROPY[settings.labelling]
    for _ in range(settings.epochs):
        for batch in torch.split(torch.randperm(len(records)), settings.batch):
            optimiser.step(cross_entropy(network(images[batch]), labels[batch]))
    arrays = [parameter.detach().double().numpy() for parameter in network.parameters()]
    pairs = tuple(zip(arrays[::2], arrays[1::2], strict=True))  # weight, bias, weight, bias, ...
    return Model(settings.image_shape, settings.layers, pairs)


def _of_each_label(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return nn.functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))


_CROSS_ENTROPY: dict[Labelling, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "class": nn.functional.cross_entropy,
    "labels": _of_each_label,
}


class _AdamW:
    """`torch.optim.AdamW` (Loshchilov, Hutter 2019) to the last bit. That class imports torch's compiler when it is
    first used, which takes longer than training a small model; the function underneath does not."""

    def __init__(self, parameters: list[torch.Tensor], learning_rate: float, weight_decay: float) -> None:
        self._parameters = parameters
        self._means = [torch.zeros_like(one) for one in parameters]
        self._squares = [torch.zeros_like(one) for one in parameters]
        self._steps = [torch.tensor(0.0) for _ in parameters]
        self._learning_rate, self._weight_decay = learning_rate, weight_decay

    def step(self, loss: torch.Tensor) -> None:
        """One step down the gradient of the loss."""
        gradients = list(torch.autograd.grad(loss, self._parameters))
        with torch.no_grad():
            adamw(
                self._parameters, gradients, self._means, self._squares, [], self._steps,
                lr=self._learning_rate, weight_decay=self._weight_decay,
                beta1=0.9, beta2=0.999, eps=1e-8, amsgrad=False, maximize=False,
            )  # fmt: skip


def _module(layer: Layer, before: Shape, _: Shape) -> nn.Module:
    if isinstance(layer, Conv):
        return nn.Conv2d(before[0], layer.channels, layer.kernel, layer.stride, layer.padding)
    if isinstance(layer, Dense):
        return nn.Linear(before[0], layer.units)
    if isinstance(layer, AvgPool):
        return nn.AvgPool2d(layer.size)
    return nn.ReLU() if isinstance(layer, Relu) else nn.Flatten()
