"""What is converted from a torch module is what the module computes, or refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from mpc.errors import ParameterError
from mpc.inference import Network, from_torch


def error_of(model: nn.Module, shape: tuple[int, ...], bits: int = 14) -> float:
    network = Network.from_layers(from_torch(model), shape, (-0.5, 1.0), bits, 45)
    queries = np.random.default_rng(5).uniform(-0.5, 1, (6, *shape))
    with torch.no_grad():
        expected = model.eval()(torch.tensor(queries, dtype=torch.float32)).numpy()
    assert np.abs(expected).max() > 0.05
    return float(np.abs(network.decode_logits(network.run_clear(network.encode_inputs(queries))) - expected).max())


class OwnForward(nn.Module):
    """A user's class, with functions, methods and a module that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.again, self.last = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        image = (image - 0.25) / 0.5
        image = nn.functional.relu(self.conv(image))
        image = torch.relu(self.again(nn.functional.max_pool2d(image, 2)))
        image = self.again(image).clamp(min=0)
        image = nn.functional.dropout(image, 0.5, self.training)
        image = image.mean((2, 3))
        return self.last(image.view(image.size(0), -1))


class Doubling(nn.Linear):
    """Only called a Linear layer by its base."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(values)


def test_forward_is_followed_through_functions_and_modules_called_twice() -> None:
    assert error_of(OwnForward(), (2, 9, 8)) < 0.003


class Reshaped(nn.Module):
    """Rows of an image by a call that the test chooses."""

    def __init__(self, reshape: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.reshape, self.last = reshape, nn.Linear(12, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.last(self.reshape(image))


@pytest.mark.parametrize(
    "reshape",
    [
        lambda image: image.view(image.size(0), -1),
        lambda image: image.view((image.size(0), -1)),
        lambda image: image.view([image.shape[0], 12]),
        lambda image: image.view(-1, 12),
        lambda image: image.reshape(image.shape[0], -1),
        lambda image: image.reshape((-1, 12)),
        lambda image: torch.reshape(image, (image.shape[0], -1)),
        lambda image: image.flatten(1),
        lambda image: torch.flatten(image, start_dim=1),
    ],
)
def test_every_way_to_write_a_row_a_query_is_the_same(reshape: Callable[[torch.Tensor], torch.Tensor]) -> None:
    assert error_of(Reshaped(reshape), (1, 3, 4)) < 0.002


@pytest.mark.parametrize(
    "reshape",
    [
        lambda image: image.view(image.size(0), 3, 4),
        lambda image: image.view((1, -1)),
        lambda image: image.view(-1),
        lambda image: image.view(False, 12),
    ],
)
def test_other_shapes_of_a_tensor_are_refused(reshape: Callable[[torch.Tensor], torch.Tensor]) -> None:
    with pytest.raises(ParameterError, match=r"a row a query|one row for each query"):
        from_torch(Reshaped(reshape))


@pytest.mark.parametrize("reshape", [lambda image: image.flatten(), torch.flatten])
def test_queries_are_not_flattened_into_one(reshape: Callable[[torch.Tensor], torch.Tensor]) -> None:
    with pytest.raises(ParameterError, match=r"expected all dimensions but the first .*found \(0, -1\)"):
        from_torch(Reshaped(reshape))


def test_what_a_subclass_computes_counts_not_its_base() -> None:
    assert error_of(nn.Sequential(nn.Linear(5, 6), nn.ReLU(), Doubling(6, 3)), (5,)) < 0.002


def test_parametrised_weights_are_those_that_are_used() -> None:
    parametrised = torch.nn.utils.parametrizations.weight_norm(nn.Linear(5, 4))
    parametrised.parametrizations.weight.original0.data.mul_(3)
    assert error_of(nn.Sequential(parametrised, nn.ReLU(), nn.Linear(4, 2)), (5,)) < 0.002


def test_conversion_leaves_the_module_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(), nn.Linear(4, 2)).half()
    layers = from_torch(model)
    assert model.training
    assert model[0].weight.dtype == torch.float16
    with torch.no_grad():
        model[0].weight.zero_()  # training goes on: the layers stay what they were, and so does their original
    assert len(Network.from_layers(layers, (4,)).weights) == 2


class Normalised(nn.Module):
    """Scaled by numbers a channel, with weights that are computed, and an input that has a default."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.conv = nn.Parameter(torch.randn(3, 12)), nn.Conv2d(3, 3, 2)
        self.register_buffer("mean", torch.tensor([0.1, 0.2, 0.3]).reshape(1, 3, 1, 1))

    def forward(self, image: torch.Tensor, slope: float = 0.2) -> torch.Tensor:
        image = nn.functional.leaky_relu(self.conv((image - self.mean) / self.mean), slope)
        return torch.flatten(image, 1) @ (self.weight * 0.5).t()


def test_numbers_a_channel_and_computed_weights_are_constants() -> None:
    assert error_of(Normalised(), (3, 3, 3)) < 0.02


class Scaled(nn.Module):
    """Scales every value by a number of its own."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.register_buffer("factors", torch.linspace(0.5, 1.5, int(np.prod(shape))).reshape(shape))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values * self.factors


@pytest.mark.parametrize("shape", [(4,), (1, 4)])
def test_numbers_for_the_values_of_a_row_are_constants_as_a_row_alone(shape: tuple[int, ...]) -> None:
    build = lambda: nn.Sequential(nn.Linear(4, 4), Scaled(*shape), nn.Linear(4, 2))  # noqa: E731
    if len(shape) == 1:
        assert error_of(build(), (4,)) < 0.02
    else:
        with pytest.raises(
            ParameterError, match=r"expected one number a channel in call mul .*found a tensor of shape \(1, 4\)"
        ):
            error_of(build(), (4,))


class Residual(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values + torch.relu(values)


class Folding(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values.view(-1, 2)


class Dropping(nn.Module):
    """Drops values in eval mode too, because the function's own default is to train."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(values, 0.5)


class Branching(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values if values.sum() > 0 else -values


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Linear(4, 4), Residual(), nn.Linear(4, 2)), r"a chain, .* found call add \(add\)"),
        (nn.Sequential(nn.Linear(4, 4), Folding()), r"outputs of the module Sequential, .*\(24, 2\).*found \(12, 4\)"),
        (nn.Sequential(nn.Linear(4, 4), Dropping()), r"training off in eval mode .* found True"),
        (nn.Sequential(nn.Linear(4, 4), Branching()), "torch.fx can follow, found Sequential"),
        (nn.Sequential(nn.Linear(4, 4), nn.Softmax(1)), r"module 1 \(Softmax\); leave it out"),
        (torch.nn.utils.spectral_norm(nn.Linear(4, 2)), r"no forward hooks in module 0 \(Linear\), found SpectralNorm"),
        (nn.Sequential(nn.Linear(4, 2, dtype=torch.complex64)), r"real numbers in module 0 \(Linear\)"),
    ],
)
def test_what_is_no_chain_is_refused_by_name(model: nn.Module, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Network.from_layers(from_torch(model), (4,))


def test_hooks_on_every_module_are_refused() -> None:
    handle = nn.modules.module.register_module_forward_hook(lambda module, given, found: found)
    try:
        with pytest.raises(ParameterError, match="no hooks on every module"):
            from_torch(nn.Linear(2, 2))
    finally:
        handle.remove()
