"""What CKKS sends, byte for byte: lengths, strict reading, and what is refused."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Callable

import numpy as np
import pytest

from mpc import _core
from mpc.errors import ParameterError, ProtocolError

PARAMETERS = _core.CkksParameters(64, [47, 36, 36], [47], 36, insecure=True)
OTHERS = _core.CkksParameters(64, [47, 36, 36], [46], 36, insecure=True)
KEY = _core.CkksSecretKey(PARAMETERS, bytes(range(32)))
VALUES = np.linspace(-1, 1, 32)
DIGEST, SCALE = 24, 56  # where they begin
SEED = SCALE + 8 * (PARAMETERS.depth + 2)
CHECKSUM = SEED + 16
HEADER = CHECKSUM + 16

PUBLIC = _core.CkksPublicKey(PARAMETERS, KEY.public_key())


def evaluator_of(relinearisation: bytes | None, rotations: list[bytes]) -> _core.CkksEvaluator:
    return _core.CkksEvaluator(PARAMETERS, relinearisation, rotations)


Read = Callable[[bytes], object]
MESSAGES: dict[str, tuple[bytes, Read]] = {
    "ciphertext": (
        PUBLIC.encrypt(VALUES, 1).to_bytes(),
        lambda message: _core.CkksCiphertext.from_bytes(PARAMETERS, message),
    ),
    "seeded ciphertext": (
        KEY.encrypt(VALUES, 1),
        lambda message: _core.CkksCiphertext.from_bytes(PARAMETERS, message),
    ),
    "public key": (KEY.public_key(), lambda message: _core.CkksPublicKey(PARAMETERS, message)),
    "relinearisation key": (KEY.relinearisation_key(1), lambda message: evaluator_of(message, [])),
    "rotation key": (KEY.rotation_key(-3, 1), lambda message: evaluator_of(None, [message])),
}
KINDS = pytest.mark.parametrize("kind", MESSAGES)


def with_checksum(message: bytes) -> bytes:
    return message[:CHECKSUM] + hashlib.sha256(message[:CHECKSUM]).digest()[:16] + message[HEADER:]


def changed(message: bytes, place: int, new: bytes) -> bytes:
    return with_checksum(message[:place] + new + message[place + len(new) :])


def test_lengths_follow_from_the_parameters() -> None:
    row, last = 64 * 47 // 8, 64 * 36 // 8
    assert len(MESSAGES["ciphertext"][0]) == PARAMETERS.ciphertext_bytes(1) == HEADER + 2 * (row + last)
    assert len(MESSAGES["seeded ciphertext"][0]) == PARAMETERS.seeded_bytes(1) == HEADER + row + last
    assert len(MESSAGES["public key"][0]) == PARAMETERS.public_key_bytes() == HEADER + row + 2 * last
    for kind in ("relinearisation key", "rotation key"):
        assert len(MESSAGES[kind][0]) == PARAMETERS.switching_key_bytes(1) == HEADER + 2 * (2 * row + last)
    with pytest.raises(ParameterError, match="level of 0 to 2, found 3"):
        PARAMETERS.ciphertext_bytes(3)


@KINDS
def test_what_is_read_is_what_was_written(kind: str) -> None:
    message, read = MESSAGES[kind]
    found = read(message)
    if isinstance(found, _core.CkksCiphertext):
        assert np.abs(KEY.decrypt(found) - VALUES).max() < 1e-6
        assert found.key_id == KEY.key_id
        again = found.to_bytes()
        assert _core.CkksCiphertext.from_bytes(PARAMETERS, again).to_bytes() == again
        if kind == "ciphertext":
            assert again == message


@KINDS
def test_every_changed_byte_of_a_header_is_noticed(kind: str) -> None:
    message, read = MESSAGES[kind]
    for place in range(HEADER):
        for flip in (1, 0x80):
            altered = bytearray(message)
            altered[place] ^= flip
            with pytest.raises(ProtocolError):
                read(bytes(altered))


@KINDS
def test_other_lengths_are_refused(kind: str) -> None:
    message, read = MESSAGES[kind]
    for wrong in (b"", message[:HEADER], message[:-1], message + b"\0", message[: HEADER - 1]):
        with pytest.raises(ProtocolError, match=r"bytes.*: expected \d+, found"):
            read(wrong)


@KINDS
def test_a_message_of_another_kind_is_refused(kind: str) -> None:
    read = MESSAGES[kind][1]
    for other, (message, _) in MESSAGES.items():
        if other != kind and not ("ciphertext" in other and "ciphertext" in kind):
            with pytest.raises(ProtocolError, match=f"found a {other}"):
                read(message)


@KINDS
def test_residues_that_are_not_below_their_prime_are_refused(kind: str) -> None:
    message, read = MESSAGES[kind]
    full = (1 << 47) - 1
    assert full > PARAMETERS.primes[0]
    with pytest.raises(ProtocolError, match="residues below their prime"):
        read(message[:HEADER] + struct.pack("<Q", full)[:6] + message[HEADER + 6 :])
    packed = int.from_bytes(message[HEADER : HEADER + 8], "little")
    at_prime = (packed >> 47 << 47) | PARAMETERS.primes[0]
    with pytest.raises(ProtocolError, match="residues below their prime"):
        read(message[:HEADER] + at_prime.to_bytes(8, "little") + message[HEADER + 8 :])


@KINDS
def test_other_parameters_versions_and_fields_are_refused(kind: str) -> None:
    """Headers whose checksum fits, as somebody would send who wants to be read."""
    message, read = MESSAGES[kind]
    assert read(with_checksum(message))
    for place, new, sentence in (
        (0, b"notCKKS!", "a message of CKKS"),
        (8, b"\2", "expected version 1, found version 2"),
        (9, b"\x0d", "found kind 13"),
        (9, b"\7", "found a share of a rotation key"),
        (10, b"\3\0", "level of at most 2, found 3"),
        (12, b"\1", "the fields of"),
        (16, struct.pack("<q", -1), "the fields of"),
        (16, struct.pack("<q", 32), "the fields of"),
        (DIGEST, OTHERS.digest[:16], "the parameters of this side"),
    ):
        with pytest.raises(ProtocolError, match=re.escape(sentence)):
            read(changed(message, place, new))
    if "ciphertext" in kind:
        with pytest.raises(ProtocolError, match="exponents of a scale within"):
            read(changed(message, SCALE, struct.pack("<q", -(1 << 62))))
    else:
        with pytest.raises(ProtocolError, match="the fields of"):
            read(changed(message, SCALE, struct.pack("<q", 1)))
    if kind == "ciphertext":
        with pytest.raises(ProtocolError, match="the fields of"):
            read(changed(message, SEED, b"\1"))
    if kind == "rotation key":
        with pytest.raises(ProtocolError, match="the fields of"):
            read(changed(message, 16, bytes(8)))
    elif kind != "public key":
        with pytest.raises(ProtocolError):
            read(changed(message, 10, b"\2\0"))  # the length of another level


def test_nothing_shows_a_secret() -> None:
    shown = [repr(KEY), repr(PUBLIC), repr(PUBLIC.encrypt(VALUES, 1)), repr(PARAMETERS), repr(PARAMETERS.scale)]
    assert shown == [
        "<CkksSecretKey>",
        "<CkksPublicKey>",
        "<CkksCiphertext at level 1, scale 2^36.000000>",
        "CkksParameters(degree=64, depth=2, modulus_bits=166.000000)",
        "<CkksScale 2^36.000000>",
    ]


def test_the_callers_own_faults_are_said_with_numbers() -> None:
    evaluator = evaluator_of(KEY.relinearisation_key(1), [KEY.rotation_key(1, 1)])
    high, low = (_core.CkksCiphertext.from_bytes(PARAMETERS, KEY.encrypt(VALUES, level)) for level in (2, 1))
    scaled = _core.CkksCiphertext.from_bytes(
        PARAMETERS, KEY.encrypt(VALUES, 1, _core.CkksScale.power_of_two(PARAMETERS, 30))
    )
    near = _core.CkksCiphertext.from_bytes(
        PARAMETERS, KEY.encrypt(VALUES, 1, PARAMETERS.prime_scale(1) * PARAMETERS.scale / PARAMETERS.prime_scale(2))
    )
    for wrong, sentence in (
        (lambda: evaluator.add(high, low), "expected ciphertexts of one level, found 2 and 1"),
        (lambda: evaluator.add(low, scaled), "expected equal scales, found 2^36.000000 and 2^30.000000"),
        (lambda: evaluator.add(low, near), "which differ by less than their digits"),
        (
            lambda: evaluator.multiply(high, high),
            "at most level 1, for which the relinearisation key is, found level 2",
        ),
        (lambda: evaluator.rotate(high, 1), "at most level 1 for a rotation by 1, found level 2"),
        (lambda: evaluator.rotate(low, 2), "a rotation for which there is a key, found 2 steps"),
        (lambda: evaluator.rotate(low, 32), "a rotation by less than 32 slots, found 32"),
        (lambda: evaluator.encode(1e-12, 1, PARAMETERS.scale), "rounding changes the number by at most 2^-10"),
        (lambda: evaluator.encode(VALUES * 1e30, 1, PARAMETERS.scale), "expected values of at most"),
        (lambda: evaluator.encode(VALUES.astype(np.float32), 1, PARAMETERS.scale), "float64 array"),
        (lambda: KEY.encrypt(np.zeros((2, 16)), 1), "float64 array of one dimension"),
        (lambda: KEY.encrypt(np.zeros(33), 1), "at most 32 values, found 33"),
        (lambda: KEY.encrypt(VALUES * np.nan, 1), "finite values"),
        (lambda: KEY.rotation_key(0, 1), "a rotation by some slots, found 0"),
        (lambda: KEY.relinearisation_key(3), "a level of 0 to 2, found 3"),
        (lambda: _core.CkksSecretKey(PARAMETERS, bytes(16)), "a seed of 32 bytes, found 16"),
        (lambda: evaluator.rescale(evaluator.drop(low, 0)), "a level above 0"),
        (lambda: evaluator.multiply(evaluator.drop(low, 0), evaluator.drop(low, 0)), "leaves room"),
        (lambda: PARAMETERS.scale * _core.CkksParameters(64, [47, 36], [47], 36, True).scale, "the same parameters"),
    ):
        with pytest.raises(ParameterError, match=re.escape(sentence)):
            wrong()


def test_a_set_above_the_cap_is_refused_with_the_bits_that_are_too_many() -> None:
    with pytest.raises(ParameterError, match="at most 430 bits for degree 16384, found 24 too many"):
        _core.CkksParameters(16384, [47] + [36] * 10, [47], 36)
    with pytest.raises(ParameterError, match="at most 866 bits for degree 32768, found 42 too many"):
        _core.CkksParameters(32768, [47] + [40] * 18, [47, 47, 47], 40)
    assert _core.CkksParameters(16384, [47] + [36] * 10, [47], 36, insecure=True).depth == 10
    for set_, bits, depth in (
        (_core.CkksParameters.small(), 418, 9),
        (_core.CkksParameters.large(), 865, 17),
        (_core.CkksParameters.small_shallow(), 429, 8),
        (_core.CkksParameters.large_shallow(), 865, 16),
    ):
        assert bits - 1 < set_.modulus_bits <= bits
        assert set_.depth == depth
        assert len({*set_.primes, *set_.special_primes}) == depth + 1 + len(set_.special_primes)
        scale = set_.scale
        for level in range(depth, 0, -1):  # squared and rescaled all the way down, it stays near
            scale = scale * scale / set_.prime_scale(level)
            assert abs(scale.bits - set_.scale.bits) < 0.75
