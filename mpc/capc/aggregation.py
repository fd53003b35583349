"""Step 2: the APs' vote shares become one sum at the Privacy Guardian, and nothing else.

``paillier`` (the QP carries the ciphertexts, so APs and PG need not meet again after the key)::

    PG  -- public key -->  every party                                        once, at start
    AP  -- Enc(m_i), packed -->  QP
                                 QP  -- re-randomised product = Enc(sum m_i) -->  PG decrypts the sum

``direct`` (every AP talks to PG)::

    AP  -- m_i -->  PG adds

Each m_i is uniform in Z_2^width, so PG sees uniform noise (in ``paillier`` it sees only the sum), and the QP sees
ciphertexts under a key that it does not hold. PG and the QP together could open every vote: the paper's assumption
is that PG colludes with nobody.
"""

from __future__ import annotations

import msgspec

from mpc.channels.frames import Channel
from mpc.errors import ParameterError, ProtocolError
from mpc.paillier.packing import Packing
from mpc.paillier.scheme import PublicKey, SecretKey
from mpc.ring import Ring, Words


class PublicKeyMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """PG's Paillier modulus, and the base of the random factors, of twice its length; both big-endian."""

    modulus: bytes
    base: bytes


def guardian_publish_key(channel: Channel, key: SecretKey) -> None:
    """PG, to each party at start."""
    public, size = key.public, key.public.key_bits // 8
    message = PublicKeyMessage(public.modulus.to_bytes(size, "big"), public.base.to_bytes(2 * size, "big"))
    channel.send_message("paillier/key", message)


def party_receive_key(channel: Channel, key_bits: int) -> PublicKey:
    """QP and APs: the key must have the configured length."""
    message = channel.recv_message("paillier/key", PublicKeyMessage)
    expected, found = (key_bits // 8, 2 * key_bits // 8), (len(message.modulus), len(message.base))
    if found != expected:
        raise ProtocolError.mismatch(
            "bytes of a Paillier modulus and base", expected, found, peer=channel.peer, step=channel.step
        )
    return PublicKey(int.from_bytes(message.modulus, "big"), int.from_bytes(message.base, "big"), key_bits)


def answering_encrypt(channel: Channel, key: PublicKey, packing: Packing, masks: Words) -> None:
    """AP, to the QP: its masks ``(n, classes)`` in Z_2^width under PG's key."""
    channel.send("masks/encrypted", key.to_bytes(key.encrypt(packing.pack(masks))))


def querying_collect(channel: Channel, key: PublicKey, packing: Packing, count: int) -> list[int]:
    """QP, from one AP: ciphertexts of ``count`` masks, which the QP cannot open."""
    plaintexts = packing.plaintexts(count)
    return key.from_bytes(channel.recv("masks/encrypted", plaintexts * key.ciphertext_bytes), plaintexts)


def querying_forward(channel: Channel, key: PublicKey, packing: Packing, collected: list[list[int]]) -> None:
    """QP, to PG: one re-randomised product for exactly one contribution of every AP."""
    if len(collected) != packing.parties:
        raise ParameterError(f"expected contributions of {packing.parties} answering parties, found {len(collected)}")
    channel.send("masks/sum", key.to_bytes(key.add(*collected)))


def guardian_decrypt(channel: Channel, key: SecretKey, packing: Packing, shape: tuple[int, int]) -> Words:
    """PG, from the QP: the sum of the masks ``(n, classes)`` in Z_2^width."""
    plaintexts = packing.plaintexts(shape[0] * shape[1])
    body = channel.recv("masks/sum", plaintexts * key.public.ciphertext_bytes)
    opened = key.decrypt(key.public.from_bytes(body, plaintexts))
    largest = 1 << packing.slots * packing.slot_bits
    if any(plaintext >= largest for plaintext in opened):
        raise ProtocolError(
            "expected a sum that fits its slots, found a larger plaintext",
            peer=channel.peer,
            step=channel.step,
        )
    return packing.unpack(opened, shape)


def answering_send(channel: Channel, masks: Words, width: int) -> None:
    """AP, to PG (``direct``): its masks ``(n, classes)`` in Z_2^width."""
    channel.send_words("masks/plain", masks, width)


def guardian_add(channels: list[Channel], shape: tuple[int, int], width: int) -> Words:
    """PG, from every AP (``direct``): the sum of the masks in Z_2^width."""
    ring = Ring(width)
    return ring.add(*(channel.recv_words("masks/plain", shape, width) for channel in channels))
