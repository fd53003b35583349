"""Float layers compute what torch computes, know their output shapes, and print no weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mpc.errors import ParameterError
from mpc.inference import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Flatten,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    from_torch,
)
from mpc.inference.models.floats import FloatLayer, run
from tests.mpc.inference.examples import cryptonets_relu, everything, float_logits, mlp

IMAGE = (4, 7, 9)


def normalisation() -> nn.Module:
    module = nn.BatchNorm2d(4)
    for part in (module.weight, module.bias, module.running_mean, module.running_var):
        nn.init.uniform_(part, 0.5, 1.5)
    return module


@pytest.mark.parametrize(
    "build",
    [
        lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1),
        lambda: nn.Conv2d(4, 6, (2, 3), padding=(0, 2), groups=2),
        lambda: nn.Conv2d(4, 2, 4, padding="same"),
        normalisation,
        nn.ReLU,
        lambda: nn.LeakyReLU(0.2),
        lambda: nn.MaxPool2d(3, 2, 1),
        lambda: nn.AvgPool2d(2),
        lambda: nn.AvgPool2d(3, (1, 2), 1),
        lambda: nn.AdaptiveAvgPool2d((3, 4)),
        nn.Flatten,
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(252, 5), nn.BatchNorm1d(5)),
    ],
)
def test_the_clear_function_is_torchs(build) -> None:
    torch.manual_seed(0)
    module = build().double().eval()
    images = np.random.default_rng(0).normal(size=(3, *IMAGE))
    layers, shape = from_torch(module), IMAGE
    for layer in layers:
        shape = layer.output_shape(shape)
    found = run(layers, images)
    assert found.shape == (3, *shape)
    np.testing.assert_allclose(found, module(torch.from_numpy(images)).detach().numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("build", [mlp, cryptonets_relu, everything])
def test_a_network_is_its_layers_in_order(build) -> None:
    layers, shape = build(np.random.default_rng(0))
    values = np.random.default_rng(1).uniform(-1, 1, (2, *shape))
    np.testing.assert_allclose(run(layers, values), float_logits(layers, values), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Linear(np.ones((2, 3)), np.ones(2)), (4,), r"3 inputs in Linear\(weight=\(2, 3\)\), found \(4,\)"),
        (Linear(np.ones((2, 3)), np.ones(2)), (1, 1, 3), "3 inputs"),
        (Conv2d(np.ones((2, 3, 1, 1)), np.ones(2), groups=2), (3, 4, 4), "6 channels"),
        (Conv2d(np.ones((2, 3, 1, 1)), np.ones(2)), (3,), "an input .channels, height, width. of Conv2d"),
        (AvgPool2d(2), (16,), "of AvgPool2d"),
        (MaxPool2d(2), (16,), "of MaxPool2d"),
        (AdaptiveAvgPool2d(2), (16,), "of AdaptiveAvgPool2d"),
        (BatchNorm(np.zeros(3), np.ones(3)), (4, 2, 2), "4 channels"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(layer: FloatLayer, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        layer.output_shape(shape)


def test_layers_print_shapes_and_no_weights() -> None:
    layers = [
        Conv2d(np.ones((2, 3, 1, 1)), np.ones(2), padding=1),
        Linear(np.ones((2, 3)), np.ones(2)),
        BatchNorm(np.zeros(3), np.ones(3)),
        ReLU(),
        LeakyReLU(0.5),
        Flatten(),
    ]
    assert list(map(repr, layers)) == [
        "Conv2d(weight=(2, 3, 1, 1), stride=1, padding=1, groups=1)",
        "Linear(weight=(2, 3))",
        "BatchNorm(channels=3)",
        "ReLU()",
        "LeakyReLU(slope=0.5)",
        "Flatten()",
    ]
