"""Step 2, in which the APs' vote shares become one sum at the Privacy Guardian, and nothing else.

With ``paillier`` the QP carries the ciphertexts, so that APs and PG need not meet again after the key::

    PG  -- public key -->  every party                                        once, at start
    AP  -- Enc(m_i), packed -->  QP
                                 QP  -- re-randomised product = Enc(sum m_i) -->  PG decrypts the sum

With ``direct`` every AP talks to PG::

    AP  -- m_i -->  PG adds

Each m_i is uniform in Z_2^width. With ``direct`` PG therefore sees uniform values, and with ``paillier`` only their
sum. The QP sees ciphertexts under a key that it does not hold. PG and the QP together could open every vote. The
paper's assumption is that PG colludes with nobody.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mpc.channels.frames import Channel
from mpc.errors import ParameterError, ProtocolError
from mpc.paillier.packing import Packing
from mpc.paillier.scheme import PublicKey, SecretKey
from mpc.randomness import SYSTEM, Randomness
from mpc.ring import Ring, Words

# PG's public key, at start.


class PublicKeyMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """PG's Paillier modulus, and the base of the random factors, of twice its length. Both are big-endian."""

    modulus: bytes
    base: bytes


def guardian_publish_key(channel: Channel, key: SecretKey) -> None:
    """PG: send the public key to one party."""
    public, size = key.public, key.public.key_bits // 8
    message = PublicKeyMessage(public.modulus.to_bytes(size, "big"), public.base.to_bytes(2 * size, "big"))
    channel.send_message("paillier/key", message)


def party_receive_key(channel: Channel, key_bits: int, randomness: Randomness = SYSTEM) -> PublicKey:
    """QP and APs: receive the key, which encrypts with this randomness.

    Raises:
        ProtocolError: a key of another length than configured, or one that :class:`PublicKey` refuses.
    """
    message = channel.recv_message("paillier/key", PublicKeyMessage)
    expected, found = (key_bits // 8, 2 * key_bits // 8), (len(message.modulus), len(message.base))
    with channel.naming_peer():
        if found != expected:
            raise ProtocolError.mismatch("bytes of a Paillier modulus and base", expected, found)
        modulus, base = int.from_bytes(message.modulus, "big"), int.from_bytes(message.base, "big")
        return PublicKey(modulus, base, key_bits, randomness)


# ``paillier``: from every AP to the QP, and their product from the QP to PG.


def answering_encrypt(channel: Channel, key: PublicKey, packing: Packing, masks: Words) -> None:
    """AP: send the QP its masks ``(n, classes)`` in Z_2^width under PG's key."""
    channel.send("masks/encrypted", key.to_bytes(key.encrypt(packing.pack(masks))))


def querying_collect(channel: Channel, key: PublicKey, packing: Packing, count: int) -> list[int]:
    """QP: receive from one AP the ciphertexts of ``count`` masks, which it cannot open.

    Raises:
        ProtocolError: another length, or a number that is no unit modulo n^2.
    """
    return _receive_ciphertexts(channel, "masks/encrypted", key, packing.plaintexts(count))


def querying_forward(channel: Channel, key: PublicKey, packing: Packing, collected: list[list[int]]) -> None:
    """QP: send PG one re-randomised product, for exactly one contribution of every AP."""
    if len(collected) != packing.parties:
        raise ParameterError(f"expected contributions of {packing.parties} answering parties, found {len(collected)}")
    channel.send("masks/sum", key.to_bytes(key.add(*collected)))


def guardian_decrypt(channel: Channel, key: SecretKey, packing: Packing, shape: tuple[int, int]) -> Words:
    """PG: receive the product from the QP and return the sum of the masks ``(n, classes)`` in Z_2^width.

    Raises:
        ProtocolError: as :func:`querying_collect`, or a sum that is larger than its slots.
    """
    plaintexts = packing.plaintexts(shape[0] * shape[1])
    opened = key.decrypt(_receive_ciphertexts(channel, "masks/sum", key.public, plaintexts))
    largest = 1 << packing.slots * packing.slot_bits
    with channel.naming_peer():
        if any(plaintext >= largest for plaintext in opened):
            raise ProtocolError("expected a sum that fits its slots, found a larger plaintext")
    return packing.unpack(opened, shape)


def _receive_ciphertexts(channel: Channel, message: str, key: PublicKey, count: int) -> list[int]:
    body = channel.recv(message, count * key.ciphertext_bytes)
    with channel.naming_peer():
        return key.from_bytes(body, count)


# ``direct``: from every AP to PG.


def answering_send(channel: Channel, masks: Words, width: int) -> None:
    """AP: send PG its masks ``(n, classes)`` in Z_2^width."""
    channel.send_words("masks/plain", masks, width)


def guardian_add(channels: Sequence[Channel], shape: tuple[int, int], width: int) -> Words:
    """PG: receive the masks of every AP and return their sum in Z_2^width."""
    ring = Ring(width)
    return ring.add(*(channel.recv_words("masks/plain", shape, width) for channel in channels))
