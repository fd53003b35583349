"""Fixed-point layers: their bytes on the wire, and circuit, clear function and range that say the same."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from mpc.channels.memory import memory_pair, run_both_sides
from mpc.errors import OrderError
from mpc.garbled.session import Evaluator, Garbler
from mpc.inference import Architecture
from mpc.inference.models.fixed import (
    AnyLayer,
    Convolve,
    Dense,
    FixedWeights,
    FlattenShape,
    LeakyRectify,
    MaxPool,
    Nonlinearity,
    PublicMap,
    Rectify,
    Rescale,
    SumPool,
)
from mpc.inference.nonlinear import AnsweringNonlinear, QueryingNonlinear
from mpc.ring import Ring

RING = Ring(24)
FRACTION_BITS = 6

NONLINEAR = (
    Rectify(),
    Rescale(),
    LeakyRectify(13),
    MaxPool((2, 3), (2, 1)),
    MaxPool((2, 2), (2, 2), rectify=True),
    MaxPool((3, 3), (2, 2), (1, 1, 1, 1), rectify=True),
)


def test_every_layer_keeps_its_tag_and_fields_on_the_wire() -> None:
    architecture = Architecture(
        input_shape=(1, 12, 12),
        input_range=(0, 16),
        layers=(
            Convolve(2, (3, 3), (1, 1), (1, 1, 1, 1)),
            LeakyRectify(3),
            MaxPool((2, 2), (2, 2)),
            Convolve(2, (1, 1)),
            Rectify(),
            SumPool((2, 2), (2, 2)),
            FlattenShape(),
            Dense(8),
            Rescale(),
            Dense(4),
        ),
        fraction_bits=4,
        ring_bits=30,
        session_queries=7,
        norm_bits=(6, 5, 5, 4),
        degree=8192,
    )
    kinds = [layer["type"] for layer in msgspec.to_builtins(architecture)["layers"]]
    assert kinds == [
        "Convolve", "LeakyRelu", "MaxPool", "Convolve", "Relu", "SumPool", "Flatten", "Dense", "Rescale", "Dense",
    ]  # fmt: skip
    assert {layer.kind for layer in architecture.layers} == {kind.lower() for kind in kinds}
    assert architecture.digest() == "cbe904fba010f0da2f23783baac0c6d724b947510f9321a33a849e726097e441"
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(architecture), type=Architecture) == architecture


@pytest.mark.parametrize("dropped_bits", [0, FRACTION_BITS])
@pytest.mark.parametrize("layer", NONLINEAR, ids=str)
def test_the_circuit_on_shares_is_the_clear_function_and_serves_once(layer: Nonlinearity, dropped_bits: int) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(-(2**22), 2**18, (2, 3, 6, 7))
    share, other = RING.share(RING.reduce(values))
    after = (2, *layer.output_shape(values.shape[1:], "it"))
    mask = RING.random(after)
    querying, answering = memory_pair("client", "server", 20)
    evaluator, garbler = run_both_sides(lambda: Evaluator.open(querying), lambda: Garbler.open(answering))
    circuit = layer.circuit(RING.bits, dropped_bits, FRACTION_BITS)
    asked, served = run_both_sides(
        lambda: QueryingNonlinear(evaluator, layer, circuit, RING, share, mask),
        lambda: AnsweringNonlinear(garbler, layer, circuit, RING, after),
    )
    _, masked = run_both_sides(lambda: asked.run(querying), lambda: served.run(answering, other))
    result = RING.signed(RING.add(masked, mask))
    np.testing.assert_array_equal(result, layer.clear(values, dropped_bits, FRACTION_BITS))
    assert (result.min() < 0) == layer.signed
    with pytest.raises(OrderError, match="a circuit and its mask that is fresh, found one that was used before"):
        asked.run(querying)
    with pytest.raises(OrderError, match="a circuit that is fresh, found one that was used before"):
        served.run(answering, other)


@pytest.mark.parametrize("layer", [*NONLINEAR, SumPool((2, 2), (1, 2), (0, 1, 0, 1)), FlattenShape()], ids=str)
def test_no_value_leaves_the_interval_of_its_layer(layer: AnyLayer) -> None:
    rng = np.random.default_rng(1)
    ends = np.sort(rng.integers(-(2**20), 2**20, (2, 2, 6, 6)), axis=0)
    low, high = ends.astype(object)
    values = rng.integers(ends[0], ends[1] + 1, (50, 2, 6, 6))
    if isinstance(layer, PublicMap):
        lowest, highest = layer.interval(low, high)
        outputs, attained = layer.apply(values), [layer.apply(end[None])[0] for end in ends]
    else:
        lowest, highest = layer.interval(low, high, 3, FRACTION_BITS)
        outputs, *attained = (layer.clear(part, 3, FRACTION_BITS) for part in (values, ends[:1], ends[1:]))
        attained = [part[0] for part in attained]
    assert lowest.shape == highest.shape == layer.output_shape((2, 6, 6), "it")
    assert (lowest <= outputs).all()
    assert (outputs <= highest).all()
    assert (lowest == attained[0]).all()
    assert (highest == attained[1]).all()


@pytest.mark.parametrize(
    ("layer", "shape"), [(Dense(5), (8,)), (Convolve(5, (2, 3), (1, 2), (0, 1, 1, 0)), (2, 5, 6))], ids=str
)
def test_the_interval_of_a_private_layer_is_met_at_both_ends(layer: Dense | Convolve, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(2)
    kernel = layer.convolution(shape).weight_shape
    fixed = FixedWeights(rng.integers(-50, 51, kernel), rng.integers(-1000, 1000, kernel[0]))
    low, high = (np.full(shape, end, object) for end in (-7, 90))
    lowest, highest = layer.interval(low, high, fixed)
    assert lowest.shape == layer.output_shape(shape, "it")
    values = Ring(64).reduce(rng.integers(-7, 91, (200, *shape)))
    outputs = Ring(64).signed(layer.apply(values, fixed))
    assert (lowest <= outputs).all()
    assert (outputs <= highest).all()
    if isinstance(layer, Dense):
        for output, row in enumerate(fixed.weights.reshape(5, -1)):
            extremes = Ring(64).reduce(np.stack([np.where(row > 0, -7, 90), np.where(row > 0, 90, -7)]))
            ends = Ring(64).signed(layer.apply(extremes, fixed))[:, output]
            assert list(ends) == [lowest[output], highest[output]]


def test_weights_print_their_shape_only() -> None:
    assert repr(FixedWeights(np.ones((1, 2, 1, 1), np.int64), np.ones(1, np.int64))) == (
        "FixedWeights(shape=(1, 2, 1, 1))"
    )
