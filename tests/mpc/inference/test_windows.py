"""Windows over rectangular images, layer by layer: padding and ends are torch's, exactly, in floats and fixed point."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mpc.errors import ParameterError
from mpc.inference import Conv2d, Flatten, Linear, Network, from_onnx, from_torch
from mpc.inference.models.floats import FloatLayer, run
from tests.mpc.inference.test_convert import write_onnx

IMAGE = (2, 5, 7)
SIZES = list(itertools.product((1, 2, 3, 4), (1, 2, 3, 4)))


def whole(module: nn.Module) -> nn.Module:
    """The module in float64 with weights that are whole numbers, so that no sum is rounded."""
    module = module.double().eval()
    with torch.no_grad():
        for part in module.parameters():
            part.copy_(torch.randint(-4, 5, part.shape).double())
    return module


def check(module: nn.Module, layers: list[FloatLayer], image: tuple[int, ...] = IMAGE) -> None:
    """The layers and their fixed-point twin compute what torch does, to the last bit, from eighths."""
    images = np.random.default_rng(0).integers(-16, 17, (3, *image)) / 8
    expected = module(torch.from_numpy(images)).detach().numpy()
    np.testing.assert_array_equal(run(layers, images), expected)
    logits = [Flatten(), Linear(np.eye(expected[0].size), np.zeros(expected[0].size))]
    network = Network.from_layers([*layers, *logits], image, (-2.0, 2.0), ring_bits=None)
    found = network.decode_logits(network.run_clear(network.encode_inputs(images)))
    assert found.shape == (3, expected[0].size)
    np.testing.assert_array_equal(found, expected.reshape(3, -1))


@pytest.mark.parametrize("kernel", SIZES, ids=str)
def test_same_padding_puts_the_odd_zero_at_the_end(kernel: tuple[int, int]) -> None:
    torch.manual_seed(1)
    module = whole(nn.Sequential(nn.Conv2d(2, 3, kernel, padding="same")))
    (layer,) = layers = from_torch(module)
    assert isinstance(layer, Conv2d)
    (rows, columns), (top, bottom, left, right) = kernel, layer.padding
    assert (top + bottom, left + right) == (rows - 1, columns - 1)
    assert bottom - top in (0, 1)
    assert right - left in (0, 1)
    check(module, layers)


@pytest.mark.parametrize(("kernel", "stride"), list(itertools.product(SIZES[::3], ((1, 1), (2, 3), (3, 2)))), ids=str)
def test_a_stride_that_does_not_fit_leaves_out_the_rest_of_the_image(
    kernel: tuple[int, int], stride: tuple[int, int]
) -> None:
    torch.manual_seed(2)
    rows, columns = kernel[0] // 2, kernel[1] // 2
    module = whole(nn.Sequential(nn.Conv2d(2, 3, kernel, stride, (rows, columns))))
    check(module, from_torch(module))
    module = nn.Sequential(nn.MaxPool2d(kernel, stride))
    check(module, from_torch(module))
    if kernel[0] * kernel[1] & (kernel[0] * kernel[1] - 1) == 0:  # a mean of a power of two is exact
        module = whole(nn.Sequential(nn.AvgPool2d(kernel, stride, (rows, columns)), nn.Conv2d(2, 2, 1)))
        check(module, from_torch(module))


@pytest.mark.parametrize("pool", [nn.MaxPool2d, nn.AvgPool2d])
@pytest.mark.parametrize("size", [4, 5])
def test_ceil_mode_is_refused_whether_or_not_it_changes_the_size(pool: type[nn.Module], size: int) -> None:
    """It would add a window at the end of an image of 5, and none of one of 4."""
    off = nn.Sequential(pool(2, ceil_mode=False))
    assert from_torch(off)[0].output_shape((1, size, size)) == (1, 2, 2)
    with pytest.raises(ParameterError, match=r"ceil_mode off in module 0 \(\w+Pool2d\), found on"):
        from_torch(nn.Sequential(pool(2, ceil_mode=True)))


class Pooled(nn.Module):
    """A pool by a call of a function."""

    def __init__(self, average: bool, ceil: bool) -> None:
        super().__init__()
        self.average, self.ceil = average, ceil

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pool = nn.functional.avg_pool2d if self.average else nn.functional.max_pool2d
        return pool(images, (2, 1), ceil_mode=self.ceil)


@pytest.mark.parametrize("average", [False, True])
def test_ceil_mode_of_a_function_is_refused(average: bool) -> None:
    module = Pooled(average, False)
    check(module, from_torch(module))
    with pytest.raises(ParameterError, match="ceil_mode off"):
        from_torch(Pooled(average, True))


@pytest.mark.parametrize("kernel", SIZES[1::2], ids=str)
@pytest.mark.parametrize("where", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_automatic_padding_of_onnx_is_as_its_reference_or_refused(
    kernel: tuple[int, int], where: str, tmp_path: Path
) -> None:
    from onnx.helper import make_node
    from onnx.reference import ReferenceEvaluator

    weight = np.random.default_rng(3).integers(-4, 5, (3, 2, *kernel)).astype(np.float32)
    node = make_node("Conv", ["x0", "w"], ["y"], kernel_shape=list(kernel), auto_pad=where)
    path = write_onnx(tmp_path / "network.onnx", [node], {"w": weight}, IMAGE)
    images = np.random.default_rng(4).integers(-16, 17, (3, *IMAGE)).astype(np.float32)
    (expected,) = ReferenceEvaluator(str(path)).run(None, {"x0": images})
    if where != "SAME_LOWER":
        np.testing.assert_array_equal(run(from_onnx(path), images), expected)
    else:
        with pytest.raises(ParameterError, match="auto_pad"):
            from_onnx(path)
