"""Training with torch by Adam, on one thread and under a fixed seed. Only the training child imports this."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.adamw import adamw

from mpc.inference.models.floats import AvgPool2d, Conv2d, Flatten, FloatLayer, Linear, ReLU
from mpc.inference.models.floats.layer import pair, sides
from parties.learning.labels import Labelling
from parties.learning.models import Layers, Model
from parties.learning.records import Records
from parties.learning.training_settings import TrainingSettings


def fit(settings: TrainingSettings, records: Records) -> Model:
    """Fit the model by Adam with decoupled weight decay.

    The loss is the cross-entropy of the softmax over classes, or of each label's sigmoid. The same input gives the same
    weights.
    """
    torch.manual_seed(settings.seed)
    torch.set_num_threads(1)  # sums in one order
    torch.set_deterministic_debug_mode("error")  # as `use_deterministic_algorithms`, which imports torch's compiler
    template = settings.layers
    network = module_of(template)
    optimiser = _AdamW(list(network.parameters()), settings.learning_rate, settings.weight_decay)
    images, labels = torch.from_numpy(records.images), torch.from_numpy(records.labels)
    cross_entropy = _CROSS_ENTROPY[settings.labelling]
    for _ in range(settings.epochs):
        for batch in torch.split(torch.randperm(len(records)), settings.batch):
            optimiser.step(cross_entropy(network(images[batch]), labels[batch]))
    arrays = [parameter.detach().double().numpy() for parameter in network.parameters()]
    pairs = zip(arrays[::2], arrays[1::2], strict=True)  # weight, bias, weight, bias, ...
    return Model.filled(settings.image_shape, template, pairs)


def module_of(layers: Layers) -> nn.Sequential:
    """Build torch's modules for an architecture, with torch's initial weights."""
    return nn.Sequential(*(_MODULES[type(layer)](layer) for layer in layers))


def _convolution(layer: Conv2d) -> nn.Module:
    outputs, inputs, *kernel = np.shape(layer.weight)
    top, _, left, _ = sides(layer.padding)
    return nn.Conv2d(inputs, outputs, tuple(kernel), pair(layer.stride), (top, left))


def _dense(layer: Linear) -> nn.Module:
    outputs, inputs = np.shape(layer.weight)
    return nn.Linear(inputs, outputs)


_MODULES: dict[type[FloatLayer], Callable[[Any], nn.Module]] = {
    Conv2d: _convolution,
    Linear: _dense,
    AvgPool2d: lambda layer: nn.AvgPool2d(layer.kernel),
    ReLU: lambda layer: nn.ReLU(),
    Flatten: lambda layer: nn.Flatten(),
}


def _of_each_label(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return nn.functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))


_CROSS_ENTROPY: dict[Labelling, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "class": nn.functional.cross_entropy,
    "labels": _of_each_label,
}


class _AdamW:
    """`torch.optim.AdamW` (Loshchilov, Hutter 2019) to the last bit.

    That class imports torch's compiler when it is first used, which takes longer than training a small model. The
    function underneath does not.
    """

    def __init__(self, parameters: list[torch.Tensor], learning_rate: float, weight_decay: float) -> None:
        self._parameters = parameters
        self._means = [torch.zeros_like(one) for one in parameters]
        self._squares = [torch.zeros_like(one) for one in parameters]
        self._steps = [torch.tensor(0.0) for _ in parameters]
        self._learning_rate, self._weight_decay = learning_rate, weight_decay

    def step(self, loss: torch.Tensor) -> None:
        """Take one step down the gradient of the loss."""
        gradients = list(torch.autograd.grad(loss, self._parameters))
        with torch.no_grad():
            adamw(
                self._parameters, gradients, self._means, self._squares, [], self._steps,
                lr=self._learning_rate, weight_decay=self._weight_decay,
                beta1=0.9, beta2=0.999, eps=1e-8, amsgrad=False, maximize=False,
            )  # fmt: skip
