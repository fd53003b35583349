"""The correlation of one private layer, over a channel."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray

from mpc._core import RlweEvaluator, RlweSecretKey
from mpc.channels.memory import MemoryChannel, memory_pair
from mpc.errors import ParameterError, ProtocolError
from mpc.inference.linear import encoding
from mpc.inference.linear import encrypted as linear
from mpc.inference.linear.encoding import plan
from mpc.inference.linear.encrypted import (
    UPLOADS_A_WINDOW,
    AnsweringLinear,
    QueryingLinear,
    answering_correlate,
    querying_correlate,
    windows,
)
from mpc.inference.linear.rlwe import rlwe_parameters
from mpc.inference.linear.weights import LayerWeights
from mpc.inference.models.arithmetic import convolve
from mpc.inference.models.shapes import Convolution
from mpc.randomness import SYSTEM, Randomness, SeededRandomness, core_seed
from mpc.ring import Ring, Words
from tests.mpc.inference.examples import run_both_sides

PARAMETERS = rlwe_parameters(8192, 41, ((22, 1 << 20), (22, 1 << 20)))
RING = Ring(41)
Keys = tuple[RlweSecretKey, RlweEvaluator]


def keys(mine: Randomness = SYSTEM, theirs: Randomness = SYSTEM) -> Keys:
    key = RlweSecretKey(PARAMETERS, core_seed(mine))
    return key, RlweEvaluator(PARAMETERS, key.public_key(), core_seed(theirs))


def sides(
    shape: Convolution, weights: NDArray[np.int64], pair: Keys | None = None, shares: Randomness = SYSTEM
) -> tuple[QueryingLinear, AnsweringLinear]:
    key, evaluator = pair or keys()
    return (
        QueryingLinear("linear/0", shape, PARAMETERS, key),
        AnsweringLinear(LayerWeights("linear/0", shape, weights, PARAMETERS, 0), evaluator, shares),
    )


def correlate(querying: QueryingLinear, answering: AnsweringLinear, masks: Words) -> tuple[Words, Words, MemoryChannel]:
    mine, theirs = memory_pair("client", "server")
    left, right = run_both_sides(lambda: querying.prepare(mine, masks), lambda: answering.prepare(theirs, len(masks)))
    return left, right, mine


@pytest.mark.parametrize(
    ("shape", "batch"),
    [
        (Convolution(64, 1, 1, 32), 1),
        (Convolution(100, 1, 1, 10), 9),
        (Convolution(980, 1, 1, 100), 2),
        (Convolution(1, 31, 31, 5, (5, 5), (2, 2)), 3),
        (Convolution(3, 70, 70, 2, (3, 3), (2, 3)), 1),  # larger than a polynomial: tiles
    ],
)
def test_shares_add_up_to_the_layer(shape: Convolution, batch: int) -> None:
    rng = np.random.default_rng(batch)
    weights = rng.integers(-4096, 4097, (shape.outputs, shape.channels, *shape.kernel))
    querying, answering = sides(shape, weights)
    for _ in range(2):  # the second time with kept weights
        masks = RING.random((batch, shape.channels, shape.height, shape.width))
        left, right, channel = correlate(querying, answering, masks)
        np.testing.assert_array_equal(RING.add(left, right), RING.reduce(convolve(masks, weights, shape.stride)))
        assert {label for _, label, _ in channel.transcript} == {"linear/0/upload", "linear/0/reply"}


def test_weights_too_many_for_memory_are_served_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "KEPT_PLAINTEXTS", 4)
    shape = Convolution(2, 90, 90, 5, (3, 3))
    weights = np.arange(90, dtype=np.int64).reshape(5, 2, 3, 3) - 40
    masks = RING.random((1, 2, 90, 90))
    left, right, channel = correlate(*sides(shape, weights), masks)
    np.testing.assert_array_equal(RING.add(left, right), RING.reduce(convolve(masks, weights, shape.stride)))
    assert [label for _, label, _ in channel.transcript].count("linear/0/reply") > 1


def test_weights_of_zero_are_served_like_others() -> None:
    shape = Convolution(20, 1, 1, 3)
    left, right, _ = correlate(*sides(shape, np.zeros((3, 20, 1, 1), np.int64)), RING.random((1, 20, 1, 1)))
    assert (RING.add(left, right) == 0).all()


def test_known_answer() -> None:
    """Under injected randomness every byte repeats: a change of the protocol shows here."""

    def run(seed: bytes) -> tuple[bytes, bytes]:
        pair = keys(SeededRandomness(seed), SeededRandomness(seed + b"replies"))
        weights = np.arange(-12, 12).reshape(4, 6, 1, 1)
        masks = RING.random((2, 6, 1, 1), SeededRandomness(seed + b"masks"))
        both_sides = sides(Convolution(6, 1, 1, 4), weights, pair, SeededRandomness(seed + b"shares"))
        (_, _, upload), (_, _, reply) = correlate(*both_sides, masks)[2].transcript
        return upload, reply

    upload, reply = run(b"seed")
    assert (upload, reply) == run(b"seed")
    assert (hashlib.sha256(upload).hexdigest(), hashlib.sha256(reply).hexdigest()) == (
        "f6fe2076759b1bfbdfe799fc5e69c1d92db09c4ad0cd9aff10051217c66d5c22",
        "13736fe424f8db18f7ce3e4c726fd2f9be4ae3c0d79249d54e18f0bda7cf669b",
    )


def test_both_shares_are_uniform_and_fresh() -> None:
    """For the same masks and weights: low bits of each share over 30 runs."""
    weights = np.full((64, 8, 1, 1), 2, dtype=np.int64)  # even: without fresh masks the lowest bit would be 0
    querying, answering = sides(Convolution(8, 1, 1, 64), weights)
    masks = np.full((2, 8, 1, 1), 2, dtype=np.uint64)
    runs = [correlate(querying, answering, masks) for _ in range(30)]
    for shares in (np.stack([left for left, _, _ in runs]), np.stack([right for _, right, _ in runs])):
        counts = np.bincount((shares.reshape(-1) & np.uint64(7)).astype(int), minlength=8)
        expected = shares.size / 8
        assert ((counts - expected) ** 2 / expected).sum() < 29.9  # 7 degrees of freedom, probability 1e-4
        assert len(np.unique(shares)) == shares.size


@pytest.mark.parametrize("batch", [1, 16, 512])
def test_windows_are_bounded_and_cover_everything_once(batch: int) -> None:
    shapes = (Convolution(1, 32, 32, 5, (5, 5), (2, 2)), Convolution(980, 1, 1, 100), Convolution(9000, 1, 1, 9000))
    layouts = [plan(shape, batch) for shape in shapes]
    covered: list[tuple[int, int]] = []
    for window in windows(layouts):
        uploads = [len(blocks) * layouts[index].channel_blocks for index, blocks in window]
        assert sum(uploads) <= UPLOADS_A_WINDOW or (len(window) == 1 and len(window[0][1]) == 1)
        covered += [(index, block) for index, blocks in window for block in blocks]
    assert covered == [
        (index, block) for index, layout in enumerate(layouts) for block in range(layout.instance_blocks)
    ]


def test_a_batch_of_many_windows_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "UPLOADS_A_WINDOW", 2)
    shape = Convolution(1, 60, 60, 1, (3, 3))  # two queries a ciphertext
    weights = np.arange(9, dtype=np.int64).reshape(1, 1, 3, 3)
    masks = RING.random((9, 1, 60, 60))
    left, right, channel = correlate(*sides(shape, weights), masks)
    np.testing.assert_array_equal(RING.add(left, right), RING.reduce(convolve(masks, weights, shape.stride)))
    assert [label for _, label, _ in channel.transcript] == ["linear/0/upload", "linear/0/reply"] * 3


def test_layers_share_one_round() -> None:
    key, evaluator = keys()
    shapes = [Convolution(8, 1, 1, 4), Convolution(1, 6, 6, 2, (3, 3))]
    rng = np.random.default_rng(0)
    weights = [rng.integers(-9, 10, (shape.outputs, shape.channels, *shape.kernel)) for shape in shapes]
    masks = [RING.random((3, shape.channels, shape.height, shape.width)) for shape in shapes]
    asking = [QueryingLinear(f"linear/{i}", shape, PARAMETERS, key) for i, shape in enumerate(shapes)]
    loaded = [LayerWeights(f"linear/{i}", shapes[i], weights[i], PARAMETERS, i) for i in range(2)]
    serving = [AnsweringLinear(layer, evaluator) for layer in loaded]
    mine, theirs = memory_pair("client", "server")
    lefts, rights = run_both_sides(
        lambda: querying_correlate(mine, asking, masks), lambda: answering_correlate(theirs, serving, 3)
    )
    for left, right, mask, weight, shape in zip(lefts, rights, masks, weights, shapes, strict=True):
        np.testing.assert_array_equal(RING.add(left, right), RING.reduce(convolve(mask, weight, shape.stride)))
    assert [(direction, label) for direction, label, _ in mine.transcript] == [
        ("sent", "linear/0/upload"),
        ("sent", "linear/1/upload"),
        ("received", "linear/0/reply"),
        ("received", "linear/1/reply"),
    ]


def test_malformed_uploads_and_replies_are_refused_with_peer_and_step() -> None:
    querying, answering = sides(Convolution(8, 1, 1, 4), np.ones((4, 8, 1, 1), dtype=np.int64))
    for body, found in ((bytes(10), "10"), (b"\xff" * PARAMETERS.upload_bytes(1), "residues below their prime")):
        mine, theirs = memory_pair("client", "server", 5)
        mine.send("linear/0/upload", body)
        with theirs.in_step("0"), pytest.raises(ProtocolError, match=f"step 0 client: .*{found}"):
            answering.prepare(theirs, 1)
    mine, theirs = memory_pair("client", "server", 5)
    theirs.send("linear/0/reply", bytes(10))
    with mine.in_step("0"), pytest.raises(ProtocolError, match="step 0 server"):
        querying.prepare(mine, RING.random((1, 8, 1, 1)))


def test_more_results_than_the_flood_is_made_for_are_refused_with_peer_and_step() -> None:
    parameters = rlwe_parameters(4096, 20, ((6, 8),))
    key = RlweSecretKey(parameters)
    evaluator = RlweEvaluator(parameters, key.public_key())
    shape, ring = Convolution(8, 1, 1, 4), Ring(20)
    querying = QueryingLinear("linear/0", shape, parameters, key)
    answering = AnsweringLinear(
        LayerWeights("linear/0", shape, np.ones((4, 8, 1, 1), np.int64), parameters, 0), evaluator
    )
    correlate(querying, answering, ring.random((2, 8, 1, 1)))
    mine, theirs = memory_pair("client", "server", 5)
    with theirs.in_step("0'"), pytest.raises(ProtocolError, match=r"step 0' client: .*at most 8 results of layer 0"):
        run_both_sides(lambda: querying.prepare(mine, ring.random((1, 8, 1, 1))), lambda: answering.prepare(theirs, 1))


def test_weights_of_another_shape_are_refused() -> None:
    with pytest.raises(ParameterError, match="weights of shape"):
        sides(Convolution(8, 1, 1, 4), np.ones((8, 4, 1, 1), np.int64))
