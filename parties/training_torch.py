"""Training with torch: Adam on one thread, under a fixed seed. Imported by the training child alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from mpc.vote import Labelling
from parties.data import Records
from parties.models import AvgPool, Conv, Dense, Layer, Model, Relu, Shape, walk
from parties.training_settings import TrainingSettings


def fit(settings: TrainingSettings, records: Records) -> Model:
    """Adam with decoupled weight decay on the cross-entropy of the softmax over classes, or of each label's sigmoid.

    The same input gives the same weights.
    """
    torch.manual_seed(settings.seed)
    torch.set_num_threads(1)  # sums in one order
    torch.use_deterministic_algorithms(True)
    network = torch.nn.Sequential(*(_module(*step) for step in walk(settings.layers, settings.image_shape)))
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    images, labels = torch.from_numpy(records.images), torch.from_numpy(records.labels)
    cross_entropy = _CROSS_ENTROPY[settings.labelling]
    for _ in range(settings.epochs):
        for batch in torch.split(torch.randperm(len(records)), settings.batch):
            optimiser.zero_grad()
            loss = cross_entropy(network(images[batch]), labels[batch])
            torch.autograd.backward(loss)
            optimiser.step()
    arrays = [parameter.detach().double().numpy() for parameter in network.parameters()]
    pairs = tuple(zip(arrays[::2], arrays[1::2], strict=True))  # weight, bias, weight, bias, ...
    return Model(settings.image_shape, settings.layers, pairs)


def _of_each_label(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return nn.functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))


_CROSS_ENTROPY: dict[Labelling, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "class": nn.functional.cross_entropy,
    "labels": _of_each_label,
}


def _module(layer: Layer, before: Shape, _: Shape) -> torch.nn.Module:
    if isinstance(layer, Conv):
        return nn.Conv2d(before[0], layer.channels, layer.kernel, layer.stride, layer.padding)
    if isinstance(layer, Dense):
        return nn.Linear(before[0], layer.units)
    if isinstance(layer, AvgPool):
        return nn.AvgPool2d(layer.size)
    return nn.ReLU() if isinstance(layer, Relu) else nn.Flatten()
