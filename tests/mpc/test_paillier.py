"""Packed Paillier: sums come out right at the slots' limits, contributions are hidden, garbage is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc import aggregation
from mpc.channel import memory_pair
from mpc.errors import ParameterError, ProtocolError
from mpc.paillier import Packing, PublicKey, SecretKey
from mpc.randomness import uniform_words
from mpc.ring import Ring

KEY_BITS = 1024  # speed only; the default is 3072


@pytest.fixture(scope="module")
def key() -> SecretKey:
    return SecretKey(KEY_BITS)


@given(st.integers(1, 64), st.integers(1, 250), st.integers(1, 60))
@settings(max_examples=60)
def test_packing_holds_the_largest_masks_of_all_parties(width: int, parties: int, count: int) -> None:
    packing = Packing(width, parties, KEY_BITS)
    largest = np.full(count, 2**width - 1, dtype=np.uint64)
    packed = packing.pack(largest)
    assert len(packed) == packing.plaintexts(count)
    assert all(parties * plaintext < 2 ** (KEY_BITS - 1) for plaintext in packed)
    total = packing.unpack([parties * plaintext for plaintext in packed], (count,))
    assert (total == (parties * (2**width - 1)) % 2**width).all()


def test_the_guardian_gets_the_sum_of_every_party_once(key: SecretKey) -> None:
    packing = Packing(9, 3, KEY_BITS)
    masks = [uniform_words((25, 10), 9) for _ in range(3)]
    collected = [key.public.encrypt(packing.pack(mask)) for mask in masks]
    querying, guardian = memory_pair("client", "privacy-guardian")
    aggregation.querying_forward(querying, key.public, packing, collected)
    total = aggregation.guardian_decrypt(guardian, key, packing, (25, 10))
    assert (total == Ring(9).add(*masks)).all()
    with pytest.raises(ParameterError, match="expected contributions of 3 answering parties, found 2"):
        aggregation.querying_forward(querying, key.public, packing, collected[:2])


def test_what_was_prepared_is_used_once(key: SecretKey) -> None:
    public = PublicKey(key.public.modulus, KEY_BITS)
    public.prepare(2)
    ready = list(public._zeros)
    ciphertexts = public.encrypt([7, 7, 7])  # one more than was prepared
    assert len(set(ciphertexts)) == 3
    assert key.decrypt(ready) == [0, 0]
    assert key.decrypt(ciphertexts) == [7, 7, 7]
    assert not public._zeros


def test_the_forwarded_product_is_not_the_product_of_what_came_in(key: SecretKey) -> None:
    ciphertexts = key.public.encrypt([5])
    added = key.public.add(ciphertexts)
    assert added != ciphertexts
    assert key.decrypt(added) == [5]


def test_what_is_not_a_ciphertext_is_refused(key: SecretKey) -> None:
    size = key.public.ciphertext_bytes
    with pytest.raises(ProtocolError, match="expected bytes of ciphertexts"):
        key.public.from_bytes(b"\x01" * (size - 1), 1)
    square = key.public.modulus**2
    for bad in (0, square, key.public.modulus):
        if bad < 2 ** (8 * size):
            with pytest.raises(ProtocolError, match="not a unit"):
                key.public.from_bytes(bad.to_bytes(size, "big"), 1)


def test_a_key_of_another_length_is_refused(key: SecretKey) -> None:
    guardian, party = memory_pair("privacy-guardian", "server-0")
    aggregation.guardian_publish_key(guardian, key)
    with pytest.raises(ProtocolError, match="modulus of bits 3072, found 1024"):
        aggregation.party_receive_key(party, 3072)
    with pytest.raises(ProtocolError):
        PublicKey(key.public.modulus + 1, KEY_BITS)


def test_a_sum_that_overflows_its_slots_is_refused(key: SecretKey) -> None:
    packing = Packing(9, 3, KEY_BITS)
    querying, guardian = memory_pair("client", "privacy-guardian")
    beyond = 1 << packing.slots * packing.slot_bits
    querying.send("masks/sum", key.public.to_bytes(key.public.encrypt([beyond])))
    with pytest.raises(ProtocolError, match="larger plaintext"):
        aggregation.guardian_decrypt(guardian, key, packing, (1, 10))


def test_direct_sums_in_the_ring() -> None:
    masks = [uniform_words((4, 10), 7) for _ in range(3)]
    pairs = [memory_pair(f"server-{index}", "privacy-guardian") for index in range(3)]
    for (answering, _), mask in zip(pairs, masks, strict=True):
        aggregation.answering_send(answering, mask, 7)
    total = aggregation.guardian_add([guardian for _, guardian in pairs], (4, 10), 7)
    assert (total == Ring(7).add(*masks)).all()


def test_the_secret_key_does_not_print(key: SecretKey) -> None:
    assert repr(key) == f"SecretKey(<hidden>, {KEY_BITS} bits)"
