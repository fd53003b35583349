"""The guardian gets the sum of the masks, encrypted or in the ring, and what does not fit is refused."""

from __future__ import annotations

import pytest

from mpc.capc import aggregation
from mpc.capc.aggregation import PublicKeyMessage
from mpc.channels.memory import memory_pair
from mpc.errors import ParameterError, ProtocolError
from mpc.paillier.packing import Packing
from mpc.paillier.scheme import SecretKey
from mpc.randomness import uniform_words
from mpc.ring import Ring

KEY_BITS = 1024  # speed only; the default is 3072


@pytest.fixture(scope="module")
def key() -> SecretKey:
    return SecretKey(KEY_BITS)


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


def test_a_key_travels_whole_and_in_its_configured_length(key: SecretKey) -> None:
    guardian, party = memory_pair("privacy-guardian", "server-0")
    aggregation.guardian_publish_key(guardian, key)
    received = aggregation.party_receive_key(party, KEY_BITS)
    assert (received.modulus, received.base) == (key.public.modulus, key.public.base)
    aggregation.guardian_publish_key(guardian, key)
    with pytest.raises(ProtocolError, match=r"modulus and base \(384, 768\), found \(128, 256\)"):
        aggregation.party_receive_key(party, 3072)
    size = KEY_BITS // 8
    guardian.send_message("paillier/key", PublicKeyMessage(bytes(size), bytes(2 * size - 1)))
    with pytest.raises(ProtocolError, match=r"\(128, 256\), found \(128, 255\)"):
        aggregation.party_receive_key(party, KEY_BITS)


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
