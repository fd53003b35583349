"""Training with torch by Adam, on one thread and under a fixed seed. Only the training child imports this."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.adamw import adamw

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
    WeightedLayer,
)
from mpc.inference.models.floats.layer import pair, sides
from parties.learning.labels import Labelling
from parties.learning.models import Layers, Model
from parties.learning.records import Records
from parties.learning.training_settings import TrainingSettings


def fit(settings: TrainingSettings, records: Records, start: Model | None = None) -> Model:
    """Fit the model by Adam with decoupled weight decay, from initial weights, or from those of a model.

    The loss is the cross-entropy of the softmax over classes, or of each label's sigmoid. Batch normalisation keeps its
    constants. The same input gives the same weights.
    """
    torch.manual_seed(settings.seed)
    torch.set_num_threads(1)  # sums in one order
    torch.set_deterministic_debug_mode("error")  # as `use_deterministic_algorithms`, which imports torch's compiler
    template = settings.layers if start is None else start.layers
    network = module_of(template, filled=start is not None)
    optimiser = _AdamW(list(network.parameters()), settings.learning_rate, settings.weight_decay)
    images, labels = torch.from_numpy(records.images), torch.from_numpy(records.labels)
    cross_entropy = _CROSS_ENTROPY[settings.labelling]
    for _ in range(settings.epochs):
        for batch in torch.split(torch.randperm(len(records)), settings.batch):
            optimiser.step(cross_entropy(network(images[batch]), labels[batch]))
    arrays = [parameter.detach().double().numpy() for parameter in network.parameters()]
    pairs = zip(arrays[::2], arrays[1::2], strict=True)  # weight, bias, weight, bias, ...
    return Model.filled(settings.image_shape, template, pairs)


def module_of(layers: Layers, filled: bool = False) -> nn.Sequential:
    """Build torch's modules for layers, with torch's initial weights, or filled with the layers' own."""
    network = nn.Sequential(*(_MODULES[type(layer)](layer) for layer in layers))
    if filled:
        own = [part for layer in layers if isinstance(layer, WeightedLayer) for part in (layer.weight, layer.bias)]
        with torch.no_grad():
            for parameter, values in zip(network.parameters(), own, strict=True):
                parameter.copy_(torch.from_numpy(np.asarray(values, np.float64)))
    return network


def _convolution(layer: Conv2d) -> nn.Module:
    outputs, inputs, *kernel = np.shape(layer.weight)
    top, bottom, left, right = sides(layer.padding)
    even = (top, left) == (bottom, right)
    module = nn.Conv2d(
        inputs * layer.groups, outputs, tuple(kernel), pair(layer.stride), (top, left) if even else 0,
        groups=layer.groups,
    )  # fmt: skip
    return module if even else nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), module)


def _dense(layer: Linear) -> nn.Module:
    outputs, inputs = np.shape(layer.weight)
    return nn.Linear(inputs, outputs)


def _pool(kind: type[nn.Module], border: float) -> Callable[[Any], nn.Module]:
    """Make pooling modules whose padding has this value and counts."""

    def make(layer: AvgPool2d | MaxPool2d) -> nn.Module:
        module = kind(pair(layer.kernel), pair(layer.kernel if layer.stride is None else layer.stride))
        top, bottom, left, right = sides(layer.padding)
        padded = any((top, bottom, left, right))
        return nn.Sequential(nn.ConstantPad2d((left, right, top, bottom), border), module) if padded else module

    return make


class _Affine(nn.Module):
    """Batch normalisation with constants that are not trained."""

    def __init__(self, layer: BatchNorm) -> None:
        super().__init__()
        self._layer = layer

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        ones = (1,) * (values.dim() - 2)
        factor, shift = (
            torch.from_numpy(part).to(values.dtype).reshape(-1, *ones)
            for part in self._layer.affine(values.shape[1], repr(self._layer))
        )
        return values * factor + shift


_MODULES: dict[type[FloatLayer], Callable[[Any], nn.Module]] = {
    Conv2d: _convolution,
    Linear: _dense,
    BatchNorm: _Affine,
    AvgPool2d: _pool(nn.AvgPool2d, 0.0),
    MaxPool2d: _pool(nn.MaxPool2d, -math.inf),
    AdaptiveAvgPool2d: lambda layer: nn.AdaptiveAvgPool2d(pair(layer.output)),
    ReLU: lambda layer: nn.ReLU(),
    LeakyReLU: lambda layer: nn.LeakyReLU(layer.slope),
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
