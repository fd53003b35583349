"""Correlated words and products by OT: against Python's integers, in bytes, and what is refused."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc._core import EvaluatorSession, GarblerSession
from mpc.errors import OrderError, ParameterError, ProtocolError

RNG = np.random.default_rng(3)


def sessions(seed: int | None = None) -> tuple[GarblerSession, EvaluatorSession]:
    given = [None, None] if seed is None else [bytes([seed]) * 32, bytes([seed + 1]) * 32]
    sender, receiver = GarblerSession(given[0]), EvaluatorSession(given[1])
    sender.finish_base(receiver.receive_base(sender.receive_base(receiver.start_base())))
    return sender, receiver


SENDER, RECEIVER = sessions()


def anything(count: int) -> np.ndarray:
    return RNG.integers(0, 2**64, count, dtype=np.uint64)


def extended(count: int) -> None:
    if count > RECEIVER.ots_left:
        SENDER.extend(RECEIVER.extend(count - RECEIVER.ots_left))


@settings(max_examples=40, deadline=None)
@given(bits=st.integers(1, 64), n=st.integers(1, 70))
def test_shares_of_products_add_up_to_them(bits: int, n: int) -> None:
    x, y = anything(n), anything(n)
    extended(n * bits)
    chosen = RECEIVER.choose_products(bits, y)
    message, shares = SENDER.send_products(bits, chosen.corrections, x)
    assert len(message) == chosen.message_bytes == n * ((bits * (bits + 1) // 2 + 7) // 8)
    mask = (1 << bits) - 1
    found = chosen.receive(message)
    for a, b, one, other in zip(x, y, shares, found, strict=True):
        assert max(int(one), int(other)) <= mask
        assert (int(one) + int(other)) & mask == int(a) * int(b) & mask


@settings(max_examples=40, deadline=None)
@given(bits=st.integers(1, 64), n=st.integers(1, 70), words=st.integers(1, 4))
def test_shares_of_words_add_up_to_what_was_chosen(bits: int, n: int, words: int) -> None:
    differences, choices = anything(n * words), RNG.integers(0, 2, n).astype(np.uint8)
    extended(n)
    chosen = RECEIVER.choose_words(n, words, bits, np.packbits(choices, bitorder="little").tobytes())
    message, shares = SENDER.send_words(n, words, bits, chosen.corrections, differences)
    assert len(message) == chosen.message_bytes == n * words * ((bits + 7) // 8)
    mask = np.uint64((1 << bits) - 1)
    total = (shares + chosen.receive(message)) & mask
    assert (total == differences * np.repeat(choices, words).astype(np.uint64) & mask).all()


def test_each_share_alone_and_the_message_say_nothing_of_a_constant() -> None:
    n = 4096
    extended(n)
    chosen = RECEIVER.choose_words(n, 1, 64, b"\xff" * (n // 8))
    message, shares = SENDER.send_words(n, 1, 64, chosen.corrections, np.zeros(n, dtype=np.uint64))
    found = chosen.receive(message)
    for seen in (np.frombuffer(chosen.corrections, np.uint8), np.frombuffer(message, np.uint8),
                 shares.view(np.uint8), found.view(np.uint8)):  # fmt: skip
        bits = np.unpackbits(seen)
        assert abs(bits.mean() - 0.5) < 6 * 0.5 / bits.size**0.5


def test_known_bytes() -> None:
    sender, receiver = sessions(5)
    sender.extend(receiver.extend(40 * 16 + 40))
    chosen = receiver.choose_products(16, np.arange(40, dtype=np.uint64) * np.uint64(1000))
    message, _ = sender.send_products(16, chosen.corrections, np.arange(40, dtype=np.uint64) + np.uint64(7))
    words = receiver.choose_words(40, 3, 20, bytes([0b10110100]) * 5)
    more, _ = sender.send_words(40, 3, 20, words.corrections, np.arange(120, dtype=np.uint64))
    digest = hashlib.sha256(chosen.corrections + message + words.corrections + more).hexdigest()
    assert digest[:32] == KNOWN


KNOWN = "3377bf62d85a0089a47f36a319636421"


def test_what_is_refused() -> None:
    extended(4096)
    one = np.ones(8, dtype=np.uint64)
    with pytest.raises(ParameterError, match="words of 1 to 64 bits, found 65"):
        RECEIVER.choose_products(65, one)
    with pytest.raises(ParameterError, match="1 to 2\\^28 OTs of 1 to 4 words, found 8 of 5"):
        RECEIVER.choose_words(8, 5, 8, b"\0")
    with pytest.raises(OrderError, match="extend first"):
        RECEIVER.choose_products(64, np.ones(1 << 16, dtype=np.uint64))
    for packed in (b"\xff", b"\x0f\0"):
        with pytest.raises(ParameterError, match="4 packed choices, found others"):
            RECEIVER.choose_words(4, 1, 8, packed)
    chosen = RECEIVER.choose_products(12, one)
    with pytest.raises(ProtocolError, match="corrections"):
        SENDER.send_products(12, chosen.corrections + b"\0", one)
    message, _ = SENDER.send_products(12, chosen.corrections, one)
    with pytest.raises(ProtocolError, match="message of products, bytes: expected 80, found 79"):
        chosen.receive(message[:-1])
    wrong = bytearray(message)
    wrong[9] |= 0x80  # 78 bits fill ten bytes
    with pytest.raises(ProtocolError, match="zero padding after each"):
        chosen.receive(wrong)
    words = RECEIVER.choose_words(8, 1, 12, b"\xaa")
    message, _ = SENDER.send_words(8, 1, 12, words.corrections, one)
    with pytest.raises(ProtocolError, match="words modulo 2\\^bits, found wider ones"):
        words.receive(b"\xff" * len(message))
    words.receive(message)
    with pytest.raises(OrderError, match="received twice"):
        words.receive(message)
    assert repr(words) == "<ChosenWords, n=8>"
    assert repr(chosen) == "<ChosenProducts, n=8>"
