"""Base OTs, trees and OT extension against a model in Python and libsodium, and the checks of a peer that deviates."""

from __future__ import annotations

import hashlib

import nacl.bindings as sodium
import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc._core import Circuit, EvaluatorSession, GarblerSession
from mpc.errors import OrderError, ProtocolError
from tests.mpc.core.test_core import ready

ORDER = 2**252 + 27742317777372353535851937790883648493


class Stream:
    """AES-128 in counter mode under one key, block after block: what all randomness of a session is drawn from."""

    def __init__(self, key: bytes, place: bytes = bytes(16)) -> None:
        self._place = int.from_bytes(place, "little")
        self._encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - counters are the blocks
        self._next = 0

    def blocks(self, count: int) -> bytes:
        first, self._next = self._next, self._next + count
        return self._encryptor.update(
            b"".join((number ^ self._place).to_bytes(16, "little") for number in range(first, self._next))
        )

    def scalar(self) -> bytes:
        """Uniform below the group order: candidates of 253 bits until one is."""
        while True:
            drawn = bytearray(self.blocks(2))
            drawn[31] &= 0x1F
            if 0 < int.from_bytes(drawn, "little") < ORDER:
                return bytes(drawn)


def added(*blocks: bytes) -> bytes:
    total = 0
    for block in blocks:
        total ^= int.from_bytes(block, "little")
    return total.to_bytes(16, "little")


def times_eight(scalar: bytes) -> bytes:
    return (8 * int.from_bytes(scalar, "little") % ORDER).to_bytes(32, "little")


def tree_sums(
    keys: list[tuple[bytes, bytes]], salt: bytes, tree: int
) -> tuple[bytes, list[bytes], list[tuple[bytes, bytes]]]:
    """Of one tree of 16 leaves, from both keys of its four base OTs: what lets the other side build all but a path.

    With it come the 32 bytes of each leaf that the other side checks, and key and counter of the leaf.
    """

    def place(level: int) -> bytes:
        return added(salt, bytes(8) + (256 * tree + level).to_bytes(8, "little"))

    nodes, sums = list(keys[0]), b""
    for level, pair in enumerate(keys[1:]):
        children = [Stream(node, place(level)).blocks(2) for node in nodes]
        sums += added(pair[0], *(two[:16] for two in children)) + added(pair[1], *(two[16:] for two in children))
        nodes = [child for two in children for child in (two[:16], two[16:])]
    last = [Stream(node, place(3)).blocks(3) for node in nodes]
    return sums, [leaf[16:] for leaf in last], [(leaf[:16], place(4)) for leaf in last]


@settings(max_examples=5, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_base_ots_against_libsodium(garblers: bytes, evaluators: bytes) -> None:
    """Every byte of the messages: points, keys (Chou and Orlandi), trees, extension and checks (SoftSpoken)."""
    garbler, evaluator = GarblerSession(garblers), EvaluatorSession(evaluators)
    first = evaluator.start_base()
    reply = garbler.receive_base(first)
    own, other = (Stream(hashlib.sha256(seed).digest()[:16]) for seed in (evaluators, garblers))
    a = Stream(own.blocks(1), own.blocks(1)).scalar()
    assert first == sodium.crypto_scalarmult_ed25519_base_noclamp(a)
    delta, salt = int.from_bytes(other.blocks(1), "little") | 1, other.blocks(1)
    points, scalars = [], Stream(other.blocks(1), other.blocks(1))
    for number in range(128):
        tree, level = divmod(number, 4)
        point = sodium.crypto_scalarmult_ed25519_base_noclamp(scalars.scalar())
        if not (delta >> (4 * tree + 3 - level)) & 1:  # it asks for what lies beside the path
            point = sodium.crypto_core_ed25519_add(point, first)
        points.append(point)
    assert reply == salt + b"".join(points)
    difference = sodium.crypto_scalarmult_ed25519_noclamp(times_eight(a), first)
    keys = []
    for number, point in enumerate(points):
        shared = sodium.crypto_scalarmult_ed25519_noclamp(times_eight(a), point)
        both = (shared, sodium.crypto_core_ed25519_sub(shared, difference))
        start = b"capc base OT 1" + number.to_bytes(4, "little") + first + point
        keys.append(tuple(hashlib.sha256(start + each).digest()[:16] for each in both))
    trees = [tree_sums(keys[4 * tree : 4 * tree + 4], salt, tree) for tree in range(32)]
    sums = b"".join(sums for sums, _, _ in trees)
    checks = b"".join(added(*(leaf[:16] for leaf in t)) + added(*(leaf[16:] for leaf in t)) for _, t, _ in trees)
    every = b"capc OT trees 1" + salt + b"".join(leaf for _, t, _ in trees for leaf in t)
    third = evaluator.receive_base(reply)
    assert third == sums + checks + hashlib.sha256(every).digest()
    garbler.finish_base(third)
    message = evaluator.extend(1)
    assert message == extension([leaves for _, _, leaves in trees], salt)
    garbler.extend(message)


def field_product(a: int, b: int) -> int:
    """In GF(2)[x] / (x^128 + x^7 + x^2 + x + 1)."""
    result = 0
    for bit in range(128):
        result ^= (a >> bit & 1) * b << bit
    for bit in range(254, 127, -1):
        result ^= (result >> bit & 1) * ((1 << 128 | 0x87) << (bit - 128))
    return result


def extension(leaves: list[list[tuple[bytes, bytes]]], salt: bytes) -> bytes:
    """The message of the first 128 OTs, from the key and counter of all leaves, with its check."""
    rows = [[Stream(*leaf).blocks(2) for leaf in tree] for tree in leaves]
    sums = [added_all(tree) for tree in rows]
    columns = b"".join(added_all([sums[0], each]) for each in sums[1:])
    halves = b"".join(hashlib.sha256(half).digest() for half in (columns[:496], columns[496:]))
    numbers = bytes(8) + len(columns).to_bytes(8, "little")
    challenge = hashlib.sha256(b"capc OT extension 1" + salt + numbers + halves).digest()[:16]
    chi = int.from_bytes(Stream(challenge).blocks(1), "little")

    def hashed(row: bytes) -> bytes:
        first, last = int.from_bytes(row[:16], "little"), int.from_bytes(row[16:], "little")
        return (field_product(chi, first) ^ last).to_bytes(16, "little")

    values = []
    for tree in rows:
        bits = [hashed(added_all([row for x, row in enumerate(tree) if x >> bit & 1])) for bit in range(4)]
        joined = [field_product(1 << bit, int.from_bytes(row, "little")) for bit, row in enumerate(bits)]
        values.append(added_all([product.to_bytes(16, "little") for product in joined]))
    return columns + hashed(sums[0]) + hashlib.sha256(b"capc OT rows 2" + challenge + b"".join(values)).digest()


def added_all(rows: list[bytes]) -> bytes:
    total = 0
    for row in rows:
        total ^= int.from_bytes(row, "little")
    return total.to_bytes(len(rows[0]), "little")


@pytest.mark.parametrize("place", [0, 495, 496, 991, 992, 1007, 1008, 1039])
def test_a_changed_extension_ends_the_session(place: int) -> None:
    garbler, evaluator = ready()
    message = bytearray(evaluator.extend(100))
    message[place] ^= 16
    with pytest.raises(ProtocolError, match="the consistency check failed"):
        garbler.extend(message)
    message[place] ^= 16
    with pytest.raises(OrderError, match="a check has failed"):
        garbler.extend(message)
    evaluation = evaluator.evaluate(Circuit.add(4), 1, np.array([[1]], dtype=np.uint64))
    with pytest.raises(OrderError, match="a check has failed"):
        garbler.garble(Circuit.add(4), 1, evaluation.corrections)


@pytest.mark.parametrize("place", [3072, 4095, 4096, 4127])
def test_changed_trees_end_the_session(place: int) -> None:
    garbler, evaluator = GarblerSession(), EvaluatorSession()
    third = bytearray(evaluator.receive_base(garbler.receive_base(evaluator.start_base())))
    third[place] ^= 1
    with pytest.raises(ProtocolError, match="the trees of the OT extension are not consistent"):
        garbler.finish_base(third)
    third[place] ^= 1
    with pytest.raises(OrderError):
        garbler.finish_base(third)


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=32, max_size=32))
def test_only_points_of_prime_order_are_taken(encoding: bytes) -> None:
    """libsodium knows the same points: canonical, on the curve, of the prime-order subgroup."""
    valid = sodium.crypto_core_ed25519_is_valid_point(encoding)
    try:
        GarblerSession().receive_base(encoding)
    except ProtocolError:
        assert not valid
    else:
        assert valid
