"""The layers. Each names its torch counterpart's arguments, and a bound for its parameters besides."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

from mpc.errors import ParameterError
from mpc.tensors.convolution import avg_pool2d, conv2d, max_pool2d
from mpc.tensors.nn.modules import Module, Parameter
from mpc.tensors.session import Session
from mpc.tensors.tensor import PrivateTensor

PARAMETER_BOUND = 4.0


def _parameter(shape: tuple[int, ...], fan_in: int, bound: float, value: PrivateTensor | None) -> Parameter:
    """Return a parameter, from an owner's values or from public uniform ones as torch draws them."""
    if value is None:
        value = Session.current().uniform(shape, min(bound, 1 / sqrt(fan_in)))
    if value.shape != shape:
        raise ParameterError(f"parameter: expected values of shape {shape}, found {value.shape}")
    return Parameter(value, bound)


class Linear(Module):
    """x W + b, for x of shape (batch, in), W of shape (in, out) and b of shape (out,).

    Args:
        inputs: the size of the last axis before.
        outputs: the size of the last axis after.
        bias: whether there is a b.
        bound: the largest magnitude that parameters may reach.
        weight, offset: initial values, where they are an owner's. By default they are public and random.
        name: for the sentences of refusals.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        bias: bool = True,
        *,
        bound: float = PARAMETER_BOUND,
        weight: PrivateTensor | None = None,
        offset: PrivateTensor | None = None,
        name: str = "",
    ) -> None:
        self.name = name
        self.weight = _parameter((inputs, outputs), inputs, bound, weight)
        self.bias = _parameter((outputs,), inputs, bound, offset) if bias else None

    def forward(self, x: PrivateTensor) -> PrivateTensor:
        if self.bias is not None:
            self.bias.session.mask_ahead([self.bias.shared])
        product = x @ self.weight
        return product if self.bias is None else product + self.bias


class Conv2d(Module):
    """A convolution of images (N, C, H, W) with square filters. The arguments are as for :class:`Linear`."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        *,
        bound: float = PARAMETER_BOUND,
        weight: PrivateTensor | None = None,
        offset: PrivateTensor | None = None,
        name: str = "",
    ) -> None:
        fan_in = inputs * kernel_size**2
        self.name = name
        self.stride, self.padding = stride, padding
        self.weight = _parameter((outputs, inputs, kernel_size, kernel_size), fan_in, bound, weight)
        self.bias = _parameter((outputs,), fan_in, bound, offset) if bias else None

    def forward(self, x: PrivateTensor) -> PrivateTensor:
        return conv2d(x, self.weight, self.bias, self.stride, self.padding)


class ReLU(Module):
    """max(0, x), or min(max(0, x), limit).

    A limit keeps the ranges of all that follows small, and so those of the gradients. Then parameters need to be
    clipped less often, see :class:`mpc.tensors.optim.SGD`. Both comparisons are one call.
    """

    def __init__(self, limit: float | None = None) -> None:
        if limit is not None and limit <= 0:
            raise ParameterError(f"ReLU: expected a limit above zero, found {limit}")
        self.limit = limit

    def forward(self, x: PrivateTensor) -> PrivateTensor:
        return x.relu() if self.limit is None else x.clip(0, self.limit)


class Sigmoid(Module):
    def forward(self, x: PrivateTensor) -> PrivateTensor:
        return x.sigmoid()


class Tanh(Module):
    def forward(self, x: PrivateTensor) -> PrivateTensor:
        return x.tanh()


class Softmax(Module):
    """Softmax along the last axis, for predictions. The loss :func:`cross_entropy` takes logits and needs none."""

    def forward(self, x: PrivateTensor) -> PrivateTensor:
        return x.softmax(-1)


class Flatten(Module):
    """All axes but the first as one."""

    def forward(self, x: PrivateTensor) -> PrivateTensor:
        return x.flatten(1)


class AvgPool2d(Module):
    def __init__(self, kernel_size: int, stride: int | None = None) -> None:
        self.kernel_size, self.stride = kernel_size, stride

    def forward(self, x: PrivateTensor) -> PrivateTensor:
        return avg_pool2d(x, self.kernel_size, self.stride)


class MaxPool2d(Module):
    def __init__(self, kernel_size: int, stride: int | None = None) -> None:
        self.kernel_size, self.stride = kernel_size, stride

    def forward(self, x: PrivateTensor) -> PrivateTensor:
        return max_pool2d(x, self.kernel_size, self.stride)


class Sequential(Module):
    """Layers one after the other. A layer without a name is called by its kind and place, as in `linear0`."""

    def __init__(self, *layers: Module) -> None:
        self.layers = layers
        for place, layer in enumerate(layers):
            layer.name = layer.name or f"{type(layer).__name__.lower()}{place}"

    def forward(self, x: PrivateTensor) -> PrivateTensor:
        for layer in self.layers:
            x = layer(x)
        return x

    def __call__(self, x: PrivateTensor) -> PrivateTensor:
        return self.forward(x)

    def __getitem__(self, place: int) -> Module:
        return self.layers[place]

    def __len__(self) -> int:
        return len(self.layers)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield all parameters with their names, as in `linear0.weight`, layer by layer."""
        for layer in self.layers:
            for name, parameter in layer.named_parameters():
                yield f"{layer.name}.{name}", parameter
