"""The group and its scalars against libsodium, RFC 9380 and Python's integers, and the proofs over them."""

from __future__ import annotations

import json
from pathlib import Path

import nacl.bindings as sodium
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpc._core import GroupPoints, GroupTable, scalars_multiply_add, scalars_reduce
from mpc.commons import group
from mpc.commons.group import (
    FIELD,
    IDENTITY,
    ORDER,
    challenge,
    expand_message,
    generator,
    generator_table,
    hash_to_group,
    integer,
    is_proof,
    lagrange,
    prove_equal,
    random_scalars,
    scalar,
)
from mpc.errors import ParameterError, ProtocolError
from mpc.randomness import SeededRandomness

VECTORS = json.loads((Path(__file__).parent / "vectors" / "hash_to_curve.json").read_text())
SMALL = [  # the encodings of all points of order 1, 2, 4 and 8
    IDENTITY,
    (FIELD - 1).to_bytes(32, "little"),
    bytes(32),
    bytes(31) + b"\x80",
    *(
        bytes.fromhex(text)
        for text in (
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        )
    ),
]
RANDOM = SeededRandomness(b"group")
EDGES = [0, 1, 2, ORDER - 1, ORDER - 2, (ORDER - 1) // 2, 2**252, 2**128]
scalars = st.one_of(st.sampled_from(EDGES), st.integers(0, ORDER - 1))


def wide(value: int) -> bytes:
    return value.to_bytes(64, "little")


@given(
    st.one_of(
        st.sampled_from([0, ORDER - 1, ORDER, ORDER + 1, 2**512 - 1, 2**256 - 1, 2**256]), st.integers(0, 2**512 - 1)
    )
)
def test_wide_integers_are_reduced_as_pythons(value: int) -> None:
    assert scalars_reduce(wide(value)) == scalar(value)


@given(scalars, scalars, scalars)
def test_products_and_sums_are_pythons(a: int, b: int, c: int) -> None:
    assert scalars_multiply_add(scalar(a), scalar(b), scalar(c)) == scalar(a * b + c)


@given(scalars, scalars)
def test_multiples_are_libsodiums(a: int, b: int) -> None:
    """libsodium refuses the results that are the identity."""
    point = GroupTable(generator()).multiples(scalar(b))
    if b:
        assert point.encode() == sodium.crypto_scalarmult_ed25519_base_noclamp(scalar(b))
    else:
        assert point.encode() == IDENTITY
    found = point.multiply(scalar(a)).encode()
    if a and b:
        assert found == sodium.crypto_scalarmult_ed25519_noclamp(scalar(a), point.encode())
    assert found == generator_table().multiples(scalar(a * b)).encode()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 17, 64, 300])
@pytest.mark.parametrize("bits", [1, 128, 253])
def test_sums_of_multiples_are_the_sums_of_multiples(count: int, bits: int) -> None:
    values = [int.from_bytes(RANDOM.bytes(32), "little") % min(ORDER, 1 << bits) for _ in range(count)]
    places = [int.from_bytes(RANDOM.bytes(8), "little") for _ in range(count)]
    points = generator_table().multiples(b"".join(map(scalar, places)))
    expected = sum(value * place for value, place in zip(values, places, strict=True))
    found = points.combine_public(b"".join(map(scalar, values)))
    assert found.encode() == generator_table().multiples(scalar(expected)).encode()


def test_batches_are_added_taken_apart_and_joined() -> None:
    points = generator_table().multiples(b"".join(map(scalar, (1, 2, 3))))
    assert (points + points.part(0, 1)).encode() == generator_table().multiples(
        b"".join(map(scalar, (2, 3, 4)))
    ).encode()
    assert (points - points).encode() == IDENTITY * 3
    assert points.part(1, 3).joined(points.part(0, 1)).encode() == b"".join(
        generator_table().multiples(scalar(one)).encode() for one in (2, 3, 1)
    )
    assert points.multiply(scalar(5)).encode() == points.multiply(scalar(5) * 3).encode()
    assert repr(points) == "GroupPoints(3)"
    for wrong in (
        lambda: points + points.part(0, 2),
        lambda: points.part(2, 4),
        lambda: GroupTable(points),
        lambda: points.multiply(scalar(1) * 2),
        lambda: points.combine_public(scalar(1)),
        lambda: points.multiply(bytes(33)),
        lambda: points.multiply(ORDER.to_bytes(32, "little")),
    ):
        with pytest.raises(ParameterError, match="expected"):
            wrong()


@pytest.mark.parametrize("encoded", SMALL, ids=range(len(SMALL)))
def test_small_orders_and_small_components_are_refused(encoded: bytes) -> None:
    with pytest.raises(ProtocolError, match="point of prime order, found another at 0"):
        GroupPoints.decode(encoded)
    good = generator_table().multiples(scalar(7)).encode()
    mixed = sodium.crypto_core_ed25519_add(good, encoded) if encoded != IDENTITY else IDENTITY
    with pytest.raises(ProtocolError, match="found another at 1"):
        GroupPoints.decode(good + mixed)
    points, valid = GroupPoints.decode_valid(good + mixed + good + encoded)
    assert valid == b"\1\0\1\0"
    assert points.encode() == good + IDENTITY + good + IDENTITY


@pytest.mark.parametrize(
    "encoded",
    [
        (FIELD + 1).to_bytes(32, "little"),  # the identity, written a second way
        FIELD.to_bytes(32, "little"),
        b"\xff" * 32,
        (2).to_bytes(32, "little"),  # on no point
        bytes([1, *bytes(30), 128]),  # minus zero
        bytes(31),
        b"",
    ],
)
def test_other_encodings_are_refused(encoded: bytes) -> None:
    if encoded == b"":
        assert len(GroupPoints.decode(encoded)) == 0
        return
    with pytest.raises(ProtocolError, match="expected"):
        GroupPoints.decode(encoded)


@given(st.integers(0, ORDER - 1))
def test_what_is_encoded_is_decoded(value: int) -> None:
    encoded = generator_table().multiples(scalar(value + 1)).encode()
    if encoded != IDENTITY:
        assert GroupPoints.decode(encoded).encode() == encoded
        assert sodium.crypto_core_ed25519_is_valid_point(encoded)


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["msg"][:8] or "empty")
def test_hashes_are_those_of_rfc_9380(vector: dict) -> None:
    message, context = vector["msg"].encode(), VECTORS["dst"].encode()
    uniform = expand_message(message, context, 96)
    assert [f"{int.from_bytes(uniform[at : at + 48], 'big') % FIELD:064x}" for at in (0, 48)] == [
        vector["u0"],
        vector["u1"],
    ]
    x, y = int(vector["x"], 16), int(vector["y"], 16)
    assert hash_to_group(message, context).encode() == (y | (x & 1) << 255).to_bytes(32, "little")


def test_contexts_of_hashes_are_bounded() -> None:
    for context in (b"", b"c" * 256):
        with pytest.raises(ParameterError, match="1 to 255 bytes"):
            hash_to_group(b"", context)


@given(st.integers(0, 4), st.integers(0, 9), st.data())
def test_lagrange_gives_the_value_anywhere(degree: int, at: int, data: st.DataObject) -> None:
    coefficients = [data.draw(st.integers(0, ORDER - 1)) for _ in range(degree + 1)]
    indices = data.draw(st.permutations(range(1, 9)))[: degree + 1]

    def value(place: int) -> int:
        return sum(one * place**power for power, one in enumerate(coefficients)) % ORDER

    weights = lagrange(list(indices), at)
    assert sum(w * value(index) for w, index in zip(weights, indices, strict=True)) % ORDER == value(at)
    with pytest.raises(ParameterError, match="different indices"):
        lagrange([*indices, indices[0]])


def _statement(secret: bytes) -> tuple[GroupPoints, GroupPoints]:
    bases = generator().joined(hash_to_group(b"other", b"test"))
    return bases, bases.multiply(secret)


def test_a_proof_holds_for_its_statement_and_context_alone() -> None:
    secret = random_scalars(1, RANDOM)
    bases, images = _statement(secret)
    proof = prove_equal(b"context", secret, bases, images, RANDOM)
    assert is_proof(b"context", proof, bases, images)
    assert not is_proof(b"other", proof, bases, images)
    for byte in range(64):
        assert not is_proof(b"context", proof[:byte] + bytes([proof[byte] ^ 1]) + proof[byte + 1 :], bases, images)
    other = images.part(0, 1).joined(images.part(0, 1))
    assert not is_proof(b"context", proof, bases, other)
    assert not is_proof(b"context", prove_equal(b"context", secret, bases, other, RANDOM), bases, other)
    raised = proof[:32] + (int.from_bytes(proof[32:], "little") + ORDER).to_bytes(32, "little")
    assert not is_proof(b"context", raised, bases, images)
    assert not is_proof(b"context", proof[:63], bases, images)


def test_the_nonce_of_a_proof_is_fresh() -> None:
    """Two proofs by one nonce give the secret away."""
    secret = random_scalars(1, RANDOM)
    bases, images = _statement(secret)
    assert len({prove_equal(b"", secret, bases, images) for _ in range(8)}) == 8


def test_parts_of_a_challenge_cannot_be_moved() -> None:
    found = {
        challenge(b"c", *parts) for parts in ((b"ab", b""), (b"a", b"b"), (b"", b"ab"), (b"ab",), (b"ab", b"", b""))
    }
    assert len(found) == 5
    assert all(integer(one) < ORDER for one in found)


def test_integers_are_public_scalars() -> None:
    assert integer(scalar(-1)) == ORDER - 1
    for wrong in (ORDER.to_bytes(32, "little"), bytes(31)):
        with pytest.raises(ProtocolError, match="below the group's order"):
            integer(wrong)
    assert group.random_scalars(3, RANDOM) != group.random_scalars(3, RANDOM)
