"""Float layers to fixed point: what is refused, what the worst case is, and how close the result stays."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc.errors import ParameterError, RangeError
from mpc.inference import Architecture, AvgPool2d, Conv2d, Flatten, Linear, Network, ReLU
from mpc.inference.models.fixed import Convolve, Dense, FixedWeights, FlattenShape, Rectify, Rescale, SumPool
from mpc.inference.models.ranges import worst_case
from tests.mpc.inference.examples import cryptonets_relu, everything, float_logits, mlp, uniform


def single(weight: int, ring_bits: int, *, low: int = 0, high: int = 1, bias: int = 0) -> Network:
    """One weight, one input, one logit: y = weight * x + bias, exactly, with one fraction bit."""
    architecture = Architecture(
        input_shape=(1,), input_range=(low, high), layers=(Dense(1),), fraction_bits=1, ring_bits=ring_bits
    ).bounded(weight_norm=32, weight_bits=1)
    fixed = FixedWeights(np.array([[[[weight]]]], dtype=np.int64), np.array([bias], dtype=np.int64))
    return Network.from_weights(architecture, [fixed])


# --- range ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1, -1])
def test_bound_of_the_ring_is_met_and_not_passed(sign: int) -> None:
    at_most = 2**15 - 1
    network = single(sign * 31, 16, high=1057)  # 31 * 1057 = 2^15 - 1
    assert (network.run_clear(np.array([[1057]])) == sign * at_most).all()
    with pytest.raises(RangeError, match=r"layer 0 \(dense\) can reach 2\^15 or more.*below 2\^15; .*at least 17"):
        single(sign * 31, 16, high=1057, bias=sign)
    assert single(sign * 31, 17, high=1057, bias=sign).ranges[-1].ring_bits == 17


def test_a_ring_that_is_left_open_follows_from_public_bounds_and_holds_the_worst_case() -> None:
    found = []
    for seed, size in ((0, 1.0), (1, 3.0)):
        layers, shape = mlp(np.random.default_rng(seed))
        sized = [Linear(one.weight * size, one.bias) if isinstance(one, Linear) else one for one in layers]
        found.append(Network.from_layers(sized, shape, ring_bits=None))
        assert max(r.ring_bits for r in found[-1].ranges) <= found[-1].architecture.ring_bits
    assert found[0].architecture == found[1].architecture
    assert found[0].architecture.ring_bits < 41
    # At the bounds: 64 inputs of 1 and one row with all of the norm, then a row that has it all.
    extreme = [
        Linear(np.concatenate([np.full((1, 64), 4 * 2**2.5 / 8), np.zeros((31, 64))]), np.zeros(32)),
        ReLU(),
        Linear(np.concatenate([np.eye(1, 32) * 12.6, np.zeros((9, 32))]), np.zeros(10)),
    ]
    assert max(r.ring_bits for r in Network.from_layers(extreme, (64,), ring_bits=None).ranges) > 35
    needed = max(r.ring_bits for r in found[1].ranges)
    Network.from_layers(sized, shape, ring_bits=needed)
    with pytest.raises(RangeError):
        Network.from_layers(sized, shape, ring_bits=needed - 1)


def test_overflow_in_a_hidden_layer_is_named_with_numbers() -> None:
    layers, shape = mlp(np.random.default_rng(0))
    first = layers[0]
    assert isinstance(first, Linear)
    layers[0] = Linear(np.asarray(first.weight) * 5000, first.bias)
    with pytest.raises(
        RangeError, match=r"layer 0 \(dense\) can reach 2\^\d+ or more.* ring of 30 bits .* ring_bits of at least"
    ):
        Network.from_layers(layers, shape, fraction_bits=12, ring_bits=30, weight_norm=1 << 14)


def test_advice_names_fraction_bits_when_no_ring_is_wide_enough() -> None:
    with pytest.raises(RangeError, match=r"45 are possible: expected about 1[0-9] fraction bits"):
        Network.from_layers(
            [Linear(np.full((1, 64), 60.0), np.zeros(1))], (64,), fraction_bits=18, ring_bits=41, weight_norm=512
        )


def test_sums_beyond_64_bits_are_still_exact() -> None:
    huge = Linear(np.full((1, 4096), 2.0**13), np.zeros(1))
    with pytest.raises(RangeError) as refusal:
        Network.from_layers([huge], (4096,), (-(2.0**22), 2.0**22), 18, 45, weight_norm=1 << 16, weight_bits=8)
    assert "can reach 2^70 or more" in str(refusal.value)  # 4096 * 2^18 * 2^40


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_interval_holds_for_admissible_queries_and_extremes_are_met(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.uniform(-2, 2, (3, 6))
    network = Network.from_layers([Linear(weight, rng.uniform(-1, 1, 3))], (6,), (-0.5, 1.25), 8, 30)
    low, high = network.architecture.input_range
    fixed = network.weights[0].weights.reshape(3, 6)
    extremes = np.concatenate([np.where(fixed > 0, high, low), np.where(fixed > 0, low, high)])
    logits = network.run_clear(extremes)
    assert logits.max() == network.ranges[-1].high
    assert logits.min() == network.ranges[-1].low


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_value_ever_leaves_its_interval(seed: int) -> None:
    layers, shape = everything(np.random.default_rng(seed))
    network = Network.from_layers(layers, shape, (-1.0, 1.0))
    corners = np.random.default_rng(seed).choice([-1.0, 1.0], (4, *shape))
    logits = network.run_clear(network.encode_inputs(corners))
    assert network.ranges[-1].low <= logits.min()
    assert logits.max() <= network.ranges[-1].high


def test_padding_widens_an_interval_that_excludes_zero() -> None:
    layers = [Conv2d(np.ones((1, 1, 3, 3)), np.zeros(1), padding=1), Flatten()]
    network = Network.from_layers(layers, (1, 3, 3), (1.0, 2.0), 4, 30, weight_bits=4)
    assert (network.ranges[1].low, network.ranges[1].high) == (4 * 2**8, 18 * 2**8)


# --- fixed point ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [mlp, cryptonets_relu, everything])
def test_fixed_point_stays_close_to_float(build) -> None:
    layers, shape = build(np.random.default_rng(3))
    queries = np.random.default_rng(4).uniform(0, 1, (8, *shape))
    expected = float_logits(layers, queries)
    errors = []
    for fraction_bits in (8, 12):
        network = Network.from_layers(layers, shape, fraction_bits=fraction_bits)
        found = network.decode_logits(network.run_clear(network.encode_inputs(queries)))
        errors.append(np.abs(found - expected).max())
        assert network.precision is not None
        assert errors[-1] <= network.precision.bound
    assert errors[1] < 0.004
    assert errors[1] < errors[0] / 2


def test_truncation_rounds_to_nearest() -> None:
    layers = [Linear([[1.0]], [0.0]), ReLU(), Linear([[1.0]], [0.0])]
    network = Network.from_layers(layers, (1,), fraction_bits=4, weight_bits=4)
    halves = msgspec.structs.replace(network.architecture, input_range=(0, 100))
    weights = [FixedWeights(np.full((1, 1, 1, 1), 8), network.weights[0].bias), network.weights[1]]
    rounded = Network.from_weights(halves, weights).run_clear(np.array([[0], [1], [2], [3], [5]]))
    assert (rounded[:, 0] >> 4).tolist() == [0, 1, 1, 2, 3]  # x / 2, halves up


def test_pool_divides_in_the_neighbouring_weights() -> None:
    weight = np.full((1, 1, 1, 1), 0.5)
    wide, _ = [Conv2d(weight, [1.0]), AvgPool2d(2), Flatten()], None
    before = Network.from_layers([AvgPool2d(2), Conv2d(weight, [1.0]), Flatten()], (1, 2, 2), fraction_bits=8)
    after = Network.from_layers(wide, (1, 2, 2), fraction_bits=8)
    assert before.weights[0].weights.item() == after.weights[0].weights.item() == 2**8 / 8
    assert before.weights[0].bias.item() == 2**16
    assert after.weights[0].bias.item() == 2**16 / 4


def test_two_private_layers_get_a_rescaling_and_a_second_relu_goes() -> None:
    layers, shape = everything(np.random.default_rng(0))
    kinds = [type(layer) for layer in Network.from_layers(layers, shape).architecture.layers]
    assert kinds == [
        SumPool, Convolve, SumPool, Rectify, Convolve, Rescale, Convolve, Rectify, SumPool, Convolve, SumPool,
        FlattenShape,
    ]  # fmt: skip


def test_signed_and_unsigned_queries_mean_the_same() -> None:
    layers, shape = mlp(np.random.default_rng(5))
    network = Network.from_layers(layers, shape, (-1.0, 1.0))
    queries = np.random.default_rng(6).integers(-(2**12), 2**12 + 1, (3, 64))
    np.testing.assert_array_equal(network.run_clear(queries), network.run_clear(network.ring.reduce(queries)))


# --- refusals -------------------------------------------------------------------------------------------------------


class Sigmoid:
    pass


@pytest.mark.parametrize(
    ("layers", "shape", "message"),
    [
        ([Linear(np.ones((2, 3)), np.ones(2)), Sigmoid()], (3,), r"one of Conv2d, Linear, .*found layer 1 \(Sigmoid\)"),
        ([Linear(np.ones((2, 3)), np.ones(2)), ReLU()], (3,), "to give the logits, found ReLU"),
        ([], (3,), "to give the logits, found nothing"),
        ([ReLU(), Linear(np.ones((2, 3)), np.ones(2))], (3,), r"before layer 0 \(ReLU\)"),
        ([Linear(np.ones((2, 3)), np.ones(3))], (3,), "bias of shape"),
        ([Linear(np.ones(3), np.ones(3))], (3,), "2 dimensions"),
        ([Linear(np.ones((2, 4)), np.ones(2))], (3,), "weights of shape"),
        ([Linear(np.ones((2, 12)), np.ones(2))], (3, 2, 2), "a flat input of layer 0"),
        ([Conv2d(np.ones((1, 1, 3, 3)), np.ones(1)), Flatten()], (1, 2, 2), "a window within"),
        ([Conv2d(np.ones((1, 1, 2, 2)), np.ones(1))], (1, 2, 3), "one row of logits"),
        ([AvgPool2d(3), Flatten(), Linear(np.ones((1, 1)), np.ones(1))], (1, 2, 2), "a window within"),
        ([Conv2d(np.ones((1, 1, 2, 2)), np.ones(1), padding=-1), Flatten()], (1, 4, 4), "padding of 0 or more"),
    ],
)
def test_unusable_layers_are_refused_by_name(layers: list[object], shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Network.from_layers(layers, shape)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 2.0**40])
def test_unusable_weights_are_refused(bad: float) -> None:
    with pytest.raises(RangeError, match=r"weights .*in layer 0 \(Linear\)"):
        Network.from_layers([Linear([[bad]], [0.0])], (1,))


def test_queries_outside_the_public_range_are_refused() -> None:
    layers, shape = mlp(np.random.default_rng(0))
    network = Network.from_layers(layers, shape)
    good = np.zeros((2, 64))
    assert network.run_clear(network.encode_inputs(good)).shape == (2, 10)
    for value in (-0.001, 1.001):
        bad = good.copy()
        bad[1, 3] = value
        with pytest.raises(RangeError, match="queries from 0 to 4096"):
            network.encode_inputs(bad)
    with pytest.raises(ParameterError, match="of shape"):
        network.encode_inputs(np.zeros((2, 8, 8)))
    with pytest.raises(ParameterError, match="64-bit integers"):
        network.run_clear(np.zeros((1, 64), dtype=np.int32))  # type: ignore[arg-type]
    with pytest.raises(RangeError, match="wider"):
        network.run_clear(np.full((1, 64), 1 << 41, dtype=np.uint64))


def test_network_prints_no_weights() -> None:
    layers, shape = mlp(np.random.default_rng(0))
    network = Network.from_layers(layers, shape)
    assert repr(network) == f"Network({network.architecture})"
    assert "array" not in repr(network) + repr(network.weights) + repr(layers[0])


# --- the public architecture, as a peer may send it ------------------------------------------------------------------

GOOD = Architecture(
    input_shape=(1, 8, 8),
    input_range=(0, 16),
    layers=(Convolve(2, (3, 3), (1, 1), (1, 1, 1, 1)), Rectify(), SumPool((2, 2), (2, 2)), FlattenShape(), Dense(10)),
    fraction_bits=4,
    ring_bits=30,
)


def test_architecture_survives_the_wire_and_has_a_digest() -> None:
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(GOOD), type=Architecture)
    assert again == GOOD
    assert again.digest() == GOOD.digest() != msgspec.structs.replace(GOOD, ring_bits=31).digest()
    assert GOOD.classes == 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": ()}, "1 to 64 layers"),
        ({"layers": GOOD.layers * 20}, "1 to 64 layers"),
        ({"input_shape": (8, 8)}, "1 or 3 dimensions"),
        ({"input_shape": (1, 8, 0)}, "extents of 1"),
        ({"input_shape": (1 << 10, 1 << 10, 8)}, "at most 1048576 values"),
        ({"input_range": (3, 2)}, "input range"),
        ({"ring_bits": 46}, "ring bits"),
        ({"fraction_bits": 16}, "fraction bits"),
        ({"degree": 2048}, "4096 or 8192, found 2048"),
        ({"norm_bits": (12,)}, "norms of 2 private layers, found 1"),
        ({"norm_bits": (12, -1)}, "norms of 0 to 29 bits"),
        ({"norm_bits": (29, 29), "degree": 4096, "ring_bits": 45}, "degree 4096 allows 106"),
        (
            {"input_shape": (1, 3, 2000), "layers": (Convolve(1, (3, 3)), FlattenShape()), "degree": 4096},
            "at most 4096",
        ),
        ({"session_queries": 0}, "queries a session"),
        ({"layers": (Rectify(), *GOOD.layers)}, "private layer before layer 0"),
        ({"layers": (Rescale(), *GOOD.layers)}, "private layer before layer 0"),
        ({"layers": (*GOOD.layers[:2], Rescale(), *GOOD.layers[2:])}, "private layer before layer 2"),
        ({"layers": (*GOOD.layers, Dense(3))}, "two private layers in a row"),
        ({"layers": GOOD.layers[:-1]}, "private layer as the last"),
        ({"layers": (FlattenShape(), Dense(1 << 17))}, "extents of 1"),
        ({"layers": (Convolve(1, (9, 1)), FlattenShape())}, "window within"),
        ({"layers": (Convolve(1, (2, 1), (0, 1)), FlattenShape())}, "extents of 1"),
        ({"input_shape": (1, 3, 5000), "layers": (Convolve(1, (3, 3)), FlattenShape())}, "at most 8192"),
    ],
)
def test_impossible_architectures_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        msgspec.structs.replace(GOOD, **change)
    plain = msgspec.to_builtins(GOOD) | {key: msgspec.to_builtins(value) for key, value in change.items()}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(plain, Architecture)


def test_unknown_fields_and_layers_are_refused() -> None:
    plain = msgspec.to_builtins(GOOD)
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert(plain | {"extra": 1}, Architecture)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(plain | {"layers": [{"type": "Softmax"}]}, Architecture)


# --- the ciphertexts' modulus ----------------------------------------------------------------------------------------


def linear(rng: np.random.Generator) -> tuple[list[object], tuple[int, ...]]:
    return [Linear(uniform(rng, 10, 64), uniform(rng, 10))], (64,)


@pytest.mark.parametrize(("build", "degrees"), [(linear, (4096, 8192)), (cryptonets_relu, (8192, 8192))])
def test_leakage_chooses_degree_and_modulus(build, degrees: tuple[int, int]) -> None:
    layers, shape = build(np.random.default_rng(0))
    few = Network.from_layers(layers, shape, session_queries=8)
    many = Network.from_layers(layers, shape, session_queries=1 << 20)
    assert (few.architecture.degree, many.architecture.degree) == degrees
    assert few.architecture.rlwe().modulus_bits < many.architecture.rlwe().modulus_bits
    for network in (few, many):
        assert network.leakage_bits() + np.log2(network.architecture.session_queries) <= -40
        assert worst_case(network.architecture, network.weights) == list(network.ranges)


def test_the_architecture_is_the_same_for_all_weights_of_these_shapes() -> None:
    layers, shape = mlp(np.random.default_rng(0))
    network = Network.from_layers(layers, shape)
    for factor in (0.0, 1e-2, 0.9, 100.0):
        sized = [Linear(one.weight * factor, one.bias * 2) if isinstance(one, Linear) else one for one in layers]
        assert Network.from_layers(sized, shape).architecture == network.architecture
    zero = [FixedWeights(fixed.weights * 0, fixed.bias) for fixed in network.weights]
    assert Network.from_weights(network.architecture, zero).architecture == network.architecture


def test_weights_are_held_to_the_public_bound_exactly() -> None:
    architecture = Architecture(
        input_shape=(2,), input_range=(0, 1), layers=(Dense(1),), fraction_bits=1, ring_bits=45
    ).bounded(weight_norm=1 << 16, weight_bits=13)
    (bits,) = architecture.norm_bits
    assert bits == 29
    for left, right, good in (
        (1 << 29, 0, True),
        ((1 << 29) - 1, (1 << 15) - 1, True),
        ((1 << 29) - 1, 1 << 15, False),
    ):
        fixed = FixedWeights(np.array([left, right]).reshape(1, 2, 1, 1), np.zeros(1, np.int64))
        assert (left**2 + right**2 <= 4**bits) == good
        if good:
            Network.from_weights(architecture, [fixed])
        else:
            with pytest.raises(RangeError, match=r"norm up to 2\^29 in layer 0 \(dense\).* needs 30 bits"):
                Network.from_weights(architecture, [fixed])
