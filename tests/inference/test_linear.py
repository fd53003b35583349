"""The correlation of one private layer, over a channel."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from mpc.channel import memory_pair
from mpc.errors import ParameterError, ProtocolError
from mpc.inference.encoding import Convolution, plan
from mpc.inference.encryption import PublicKey, SecretKey, upload_size
from mpc.inference.linear import UPLOADS_A_MESSAGE, AnsweringLinear, QueryingLinear, messages
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


def test_messages_are_bounded() -> None:
    layout = plan(Convolution(980, 1, 1, 100), 512)
    blocks = list(messages(layout))
    assert [block for part in blocks for block in part] == list(range(layout.instance_blocks))
    assert all(len(part) * layout.channel_blocks <= max(UPLOADS_A_MESSAGE, layout.channel_blocks) for part in blocks)


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
