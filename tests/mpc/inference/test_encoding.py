"""The coefficient encoding against plain numpy, on polynomials small enough to multiply by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mpc.errors import ParameterError
from mpc.inference.linear.encoding import Layout, plan
from mpc.inference.models.arithmetic import convolve, matmul
from mpc.inference.models.shapes import Convolution


def negacyclic(left: NDArray[np.uint64], right: NDArray[np.int64]) -> NDArray[np.uint64]:
    """left * right modulo X^N + 1 and 2^64."""
    degree = len(left)
    total = np.zeros(2 * degree, dtype=np.uint64)
    for power in np.flatnonzero(right):
        total[power : power + degree] += left * np.uint64(int(right[power]) % 2**64)
    return total[:degree] - total[degree:]


def through_polynomials(layout: Layout, inputs: NDArray[np.uint64], weights: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The layer as the two parties compute it, without encryption."""
    encoded = layout.encode_inputs(inputs)
    assert encoded.shape == (layout.instance_blocks, layout.channel_blocks, layout.degree)
    results = np.zeros(layout.batch * int(np.prod(layout.shape.output_shape)), dtype=np.uint64)
    filled = np.zeros(results.shape, dtype=int)
    for instance_block in range(layout.instance_blocks):
        for output_block in range(layout.output_blocks):
            total = np.zeros(layout.degree, dtype=np.uint64)
            for channel_block in range(layout.channel_blocks):
                factor = layout.encode_weights(weights, output_block, channel_block)
                total += negacyclic(encoded[instance_block, channel_block], factor)
            positions, targets = layout.results(instance_block, output_block)
            results[targets] = total[positions]
            filled[targets] += 1
            assert len(set(positions.tolist())) == len(positions)
    assert (filled == 1).all()
    return results.reshape(layout.batch, *layout.shape.output_shape)


def random_case(shape: Convolution, batch: int, seed: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    inputs = rng.integers(0, 2**64, (batch, shape.channels, shape.height, shape.width), dtype=np.uint64)
    weights = rng.integers(-(2**20), 2**20, (shape.outputs, shape.channels, *shape.kernel))
    return inputs, weights


def direct(inputs: NDArray[np.uint64], weights: NDArray[np.int64], stride: tuple[int, int]) -> NDArray[np.uint64]:
    """Convolution by its definition, one output at a time."""
    n, _, height, width = inputs.shape
    outputs, _, kh, kw = weights.shape
    rows, columns = (height - kh) // stride[0] + 1, (width - kw) // stride[1] + 1
    result = np.zeros((n, outputs, rows, columns), dtype=np.uint64)
    signed = weights.astype(np.uint64)
    for row in range(rows):
        for column in range(columns):
            top, left = row * stride[0], column * stride[1]
            window = inputs[:, None, :, top : top + kh, left : left + kw]
            result[:, :, row, column] = (window * signed[None]).sum(axis=(2, 3, 4), dtype=np.uint64)
    return result


@st.composite
def convolutions(draw: st.DrawFn) -> Convolution:
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    return Convolution(
        channels=draw(st.integers(1, 4)),
        height=draw(st.integers(kernel[0], 8)),
        width=draw(st.integers(kernel[1], 8)),
        outputs=draw(st.integers(1, 5)),
        kernel=kernel,
        stride=draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
    )


@settings(max_examples=60, deadline=None)
@given(convolutions(), st.integers(1, 4), st.sampled_from([32, 64, 256]), st.integers(0, 2**32 - 1))
def test_convolution_is_one_product_of_polynomials(shape: Convolution, batch: int, degree: int, seed: int) -> None:
    inputs, weights = random_case(shape, batch, seed)
    found = through_polynomials(plan(shape, batch, degree), inputs, weights)
    np.testing.assert_array_equal(found, direct(inputs, weights, shape.stride))


@settings(max_examples=60, deadline=None)
@given(convolutions(), st.integers(1, 3), st.data())
def test_every_layout_that_fits_is_right(shape: Convolution, batch: int, data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, shape.output_height))
    instances = data.draw(st.integers(1, 3))
    channels = data.draw(st.integers(1, shape.channels))
    outputs = data.draw(st.integers(1, shape.outputs))
    layout = Layout(shape, batch, rows, instances, channels, outputs, 2048)
    assert instances * outputs * layout.segment <= 2048
    inputs, weights = random_case(shape, batch, data.draw(st.integers(0, 2**32 - 1)))
    np.testing.assert_array_equal(through_polynomials(layout, inputs, weights), direct(inputs, weights, shape.stride))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 20), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_dense_layer_is_a_convolution_of_one_pixel(inputs: int, outputs: int, batch: int, seed: int) -> None:
    shape = Convolution(inputs, 1, 1, outputs)
    values, weights = random_case(shape, batch, seed)
    found = through_polynomials(plan(shape, batch, 64), values, weights)
    expected = values[:, :, 0, 0] @ weights[:, :, 0, 0].T.astype(np.uint64)
    np.testing.assert_array_equal(found[:, :, 0, 0], expected)


def test_a_full_polynomial_wraps_below_its_results() -> None:
    shape = Convolution(8, 1, 1, 8)
    layout = Layout(shape, 1, 1, 1, 8, 8, 64)  # 8 * 8 = N: the product wraps
    inputs, weights = random_case(shape, 1, 5)
    np.testing.assert_array_equal(through_polynomials(layout, inputs, weights), direct(inputs, weights, (1, 1)))


def test_replies_never_carry_more_than_the_results() -> None:
    for batch in (1, 3, 16):
        layout = plan(Convolution(1, 32, 32, 5, (5, 5), (2, 2)), batch)
        carried = sum(
            len(layout.results(i, o)[0]) for i in range(layout.instance_blocks) for o in range(layout.output_blocks)
        )
        assert carried == batch * 5 * 14 * 14


def test_cost_model_spends_less_on_each_query_of_a_larger_batch() -> None:
    shape = Convolution(980, 1, 1, 100)
    costs = [plan(shape, batch).cost_ms / batch for batch in (1, 4, 16, 64)]
    assert costs == sorted(costs, reverse=True)
    assert plan(shape, 16).instances_a_block > 1


def test_the_cost_is_that_of_its_uploads_replies_products_and_transforms() -> None:
    layout = Layout(Convolution(10, 1, 1, 6), 4, 1, 2, 5, 2)
    assert (layout.instance_blocks, layout.channel_blocks, layout.output_blocks) == (2, 2, 3)
    uploads, replies, products, transforms = 2 * 2, 2 * 3, 2 * 2 * 3, 2 * 3 / 4
    assert layout.cost_ms == pytest.approx(1.4 * uploads + 1.1 * replies + 0.04 * products + 0.2 * transforms)


def test_weights_that_do_not_fit_memory_are_made_when_needed() -> None:
    assert plan(Convolution(980, 1, 1, 100), 16).keeps_weights
    assert not plan(Convolution(512, 9, 9, 512, (3, 3)), 1).keeps_weights


def test_a_strip_wider_than_a_polynomial_is_refused() -> None:
    with pytest.raises(ParameterError, match="at most 64, found 3 times 22"):
        plan(Convolution(1, 5, 22, 1, (3, 3)), 1, 64)
    assert plan(Convolution(1, 5, 21, 1, (3, 3)), 1, 64).tiles == 3


@settings(max_examples=30, deadline=None)
@given(convolutions(), st.integers(0, 2**32 - 1))
def test_ring_convolution_by_windows_is_the_direct_one(shape: Convolution, seed: int) -> None:
    inputs, weights = random_case(shape, 2, seed)
    np.testing.assert_array_equal(convolve(inputs, weights, shape.stride), direct(inputs, weights, shape.stride))


@pytest.mark.parametrize("weight_bits", [1, 12, 31, 45, 62])
def test_matrix_product_is_exact_for_any_weights(weight_bits: int) -> None:
    rng = np.random.default_rng(weight_bits)
    left = rng.integers(0, 2**64, (3, 50), dtype=np.uint64)
    right = rng.integers(-(2**weight_bits), 2**weight_bits + 1, (50, 4))
    right[0, 0], right[1, 1], left[0, 0] = 2**weight_bits, -(2**weight_bits), 2**64 - 1
    np.testing.assert_array_equal(matmul(left, right), left @ right.astype(np.uint64))
