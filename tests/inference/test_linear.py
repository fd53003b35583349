"""The correlation of one private layer, over a channel."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from mpc.channel import memory_pair
from mpc.errors import ParameterError, ProtocolError
from mpc.inference import linear
from mpc.inference.encoding import Convolution, plan
from mpc.inference.encryption import PublicKey, SecretKey, upload_size
from mpc.inference.linear import (
    UPLOADS_A_WINDOW,
    AnsweringLinear,
    QueryingLinear,
    answering_correlate,
    querying_correlate,
    windows,
)
from mpc.inference.rlwe import RlweParameters
from mpc.inference.tensors import convolve
from mpc.randomness import SYSTEM, Randomness, SeededRandomness
from mpc.ring import Ring
from tests.inference.examples import both

PARAMETERS = RlweParameters(41)
RING = Ring(41)


def keys(mine: Randomness = SYSTEM, theirs: Randomness = SYSTEM) -> tuple[SecretKey, PublicKey]:
    key = SecretKey(PARAMETERS, mine)
    return key, PublicKey(PARAMETERS, key.public_key(), theirs)


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
    key, public = keys()
    rng = np.random.default_rng(batch)
    weights = rng.integers(-4096, 4097, (shape.outputs, shape.channels, *shape.kernel))
    querying, answering = QueryingLinear("linear/0", shape, key), AnsweringLinear("linear/0", shape, weights, public)
    for _ in range(2):  # the second time with kept weights
        masks = RING.random((batch, shape.channels, shape.height, shape.width))
        mine, theirs = memory_pair("client", "server")
        left, right = both(lambda m=masks, c=mine: querying.prepare(c, m), lambda c=theirs: answering.prepare(c, batch))
        expected = RING.reduce(convolve(masks, weights, shape.stride))
        np.testing.assert_array_equal(RING.add(left, right), expected)
        assert {label for _, label, _ in mine.transcript} == {"linear/0/upload", "linear/0/reply"}


def test_weights_of_zero_are_served_like_others() -> None:
    key, public = keys()
    shape = Convolution(20, 1, 1, 3)
    mine, theirs = memory_pair("client", "server")
    left, right = both(
        lambda: QueryingLinear("linear/0", shape, key).prepare(mine, RING.random((1, 20, 1, 1))),
        lambda: AnsweringLinear("linear/0", shape, np.zeros((3, 20, 1, 1), np.int64), public).prepare(theirs, 1),
    )
    assert (RING.add(left, right) == 0).all()


def test_known_answer() -> None:
    """Under injected randomness every byte repeats: a change of the protocol shows here."""

    def run(seed: bytes) -> tuple[bytes, bytes]:
        key, public = keys(SeededRandomness(seed), SeededRandomness(seed + b"replies"))
        shape = Convolution(6, 1, 1, 4)
        weights = np.arange(-12, 12).reshape(4, 6, 1, 1)
        masks = RING.random((2, 6, 1, 1), SeededRandomness(seed + b"masks"))
        mine, theirs = memory_pair("client", "server")
        answering = AnsweringLinear("linear/0", shape, weights, public, SeededRandomness(seed + b"shares"))
        both(lambda: QueryingLinear("linear/0", shape, key).prepare(mine, masks), lambda: answering.prepare(theirs, 2))
        (_, _, upload), (_, _, reply) = mine.transcript
        return upload, reply

    upload, reply = run(b"seed")
    assert (upload, reply) == run(b"seed")
    assert (hashlib.sha256(upload).hexdigest(), hashlib.sha256(reply).hexdigest()) == (
        "de602f4ebc6f0bbee7d6fafdc11895a14feba18717f0eac2470af7c96fdeb714",
        "781f54d81ad02fb94ed7e7dcece5121de291d8ade6401b3b1f651e29467d6d02",
    )


def test_both_shares_are_uniform_and_fresh() -> None:
    """For the same masks and weights: low bits of each share over 30 runs."""
    key, public = keys()
    shape = Convolution(8, 1, 1, 64)
    weights = np.full((64, 8, 1, 1), 2, dtype=np.int64)  # even: without fresh masks the lowest bit would be 0
    masks = np.full((2, 8, 1, 1), 2, dtype=np.uint64)
    lefts, rights = [], []
    for _ in range(30):
        mine, theirs = memory_pair("client", "server")
        left, right = both(
            lambda c=mine: QueryingLinear("linear/0", shape, key).prepare(c, masks),
            lambda c=theirs: AnsweringLinear("linear/0", shape, weights, public).prepare(c, 2),
        )
        lefts.append(left)
        rights.append(right)
    for shares in (np.stack(lefts), np.stack(rights)):
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
    key, public = keys()
    shape, batch = Convolution(1, 60, 60, 1, (3, 3)), 9  # two queries a ciphertext
    weights = np.arange(9, dtype=np.int64).reshape(1, 1, 3, 3)
    masks = RING.random((batch, 1, 60, 60))
    mine, theirs = memory_pair("client", "server")
    left, right = both(
        lambda: QueryingLinear("linear/0", shape, key).prepare(mine, masks),
        lambda: AnsweringLinear("linear/0", shape, weights, public).prepare(theirs, batch),
    )
    np.testing.assert_array_equal(RING.add(left, right), RING.reduce(convolve(masks, weights, shape.stride)))
    assert [label for _, label, _ in mine.transcript] == ["linear/0/upload", "linear/0/reply"] * 3


def test_layers_share_one_round() -> None:
    key, public = keys()
    shapes = [Convolution(8, 1, 1, 4), Convolution(1, 6, 6, 2, (3, 3))]
    rng = np.random.default_rng(0)
    weights = [rng.integers(-9, 10, (shape.outputs, shape.channels, *shape.kernel)) for shape in shapes]
    masks = [RING.random((3, shape.channels, shape.height, shape.width)) for shape in shapes]
    asking = [QueryingLinear(f"linear/{i}", shape, key) for i, shape in enumerate(shapes)]
    serving = [AnsweringLinear(f"linear/{i}", shapes[i], weights[i], public) for i in range(2)]
    mine, theirs = memory_pair("client", "server")
    lefts, rights = both(
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
    key, public = keys()
    shape = Convolution(8, 1, 1, 4)
    weights = np.ones((4, 8, 1, 1), dtype=np.int64)
    for body, found in ((bytes(10), "10"), (b"\xff" * upload_size(PARAMETERS, 1), "larger")):
        mine, theirs = memory_pair("client", "server", 5)
        mine.send("linear/0/upload", body)
        with theirs.in_step("0"), pytest.raises(ProtocolError, match=f"step 0 client: .*{found}"):
            AnsweringLinear("linear/0", shape, weights, public).prepare(theirs, 1)
    mine, theirs = memory_pair("client", "server", 5)
    theirs.send("linear/0/reply", bytes(10))
    with mine.in_step("0"), pytest.raises(ProtocolError, match="step 0 server"):
        QueryingLinear("linear/0", shape, key).prepare(mine, RING.random((1, 8, 1, 1)))


def test_weights_of_another_shape_are_refused() -> None:
    _, public = keys()
    with pytest.raises(ParameterError, match="weights of shape"):
        AnsweringLinear("linear/0", Convolution(8, 1, 1, 4), np.ones((8, 4, 1, 1), np.int64), public)
