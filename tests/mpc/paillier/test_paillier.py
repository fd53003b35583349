"""Packed Paillier: sums come out right at the slots' limits, contributions are hidden, garbage is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from math import gcd

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phe import paillier as phe_paillier

from mpc.errors import ParameterError, ProtocolError
from mpc.paillier.fixed_base import FixedBase
from mpc.paillier.packing import Packing
from mpc.paillier.scheme import PublicKey, SecretKey
from mpc.randomness import SeededRandomness, uniform_below

KEY_BITS = 1024  # speed only; the default is 3072


def is_square(number: int, prime: int) -> bool:
    return pow(number, (prime - 1) // 2, prime) == 1


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


def test_what_was_prepared_is_used_once(key: SecretKey) -> None:
    public = PublicKey(key.public.modulus, key.public.base, KEY_BITS)
    public.prepare(2)
    ready = list(public._zeros)
    ciphertexts = public.encrypt([7, 7, 7])  # one more than was prepared
    assert len(set(ciphertexts)) == 3
    assert key.decrypt(ready) == [0, 0]
    assert key.decrypt(ciphertexts) == [7, 7, 7]
    assert not public._zeros


def test_a_ciphertext_is_as_published() -> None:
    """The formula itself, and a digest: key and ciphertext change only if the scheme does."""
    key = SecretKey(KEY_BITS, SeededRandomness(b"key"))
    n, base = key.public.modulus, key.public.base
    (ciphertext,) = PublicKey(n, base, KEY_BITS, SeededRandomness(b"a")).encrypt([n - 1])
    exponent = uniform_below(1 << KEY_BITS // 2, SeededRandomness(b"a"))
    assert ciphertext == pow(1 + n, n - 1, n**2) * pow(base, exponent, n**2) % n**2
    assert key.decrypt([ciphertext]) == [n - 1]
    digest = hashlib.sha256(f"{n:x} {base:x} {ciphertext:x}".encode()).hexdigest()
    assert digest == "f9c29ac9aca0da6d8fe9073fa992b5ff203ebd4a53ed2fd84ac23d764744b682"


def test_a_key_is_of_two_blum_primes_and_its_base_an_nth_power_of_minus_a_square(key: SecretKey) -> None:
    p, q, base = key._key.p, key._key.q, key.public.base
    assert p * q == key.public.modulus
    assert p % 4 == q % 4 == 3
    assert p.bit_length() == q.bit_length() == KEY_BITS // 2
    assert gcd(p - 1, q - 1) == 2
    assert pow(base, (p - 1) * (q - 1), (p * q) ** 2) == 1  # only n-th powers have such an order
    assert is_square(-base, p)
    assert is_square(-base, q)


def test_phe_opens_what_is_encrypted_here_and_the_other_way_round(key: SecretKey) -> None:
    public = phe_paillier.PaillierPublicKey(key.public.modulus)
    secret = phe_paillier.PaillierPrivateKey(public, key._key.p, key._key.q)
    plaintexts = [0, 1, 2**64, key.public.modulus - 1]
    assert [secret.raw_decrypt(ciphertext) for ciphertext in key.public.encrypt(plaintexts)] == plaintexts
    assert key.decrypt([public.raw_encrypt(plaintext) for plaintext in plaintexts]) == plaintexts
    assert key.decrypt(key.public.add(key.public.encrypt([40]), [public.raw_encrypt(2)])) == [42]


@given(st.data())
@settings(max_examples=40)
def test_a_power_from_tables_is_the_power(data: st.DataObject) -> None:
    bits, modulus = data.draw(st.integers(1, 600)), data.draw(st.integers(2, 2**700))
    base, exponent = data.draw(st.integers(0, 2**700)), data.draw(st.integers(0, 2**bits - 1))
    powers = FixedBase(base, modulus, bits)
    for chosen in {exponent, 0, 2**bits - 1, 2 ** (bits - 1)}:
        assert powers.power(chosen) == pow(base, chosen, modulus)
    for beyond in (-1, 2**bits):
        with pytest.raises(ParameterError, match=f"an exponent of at most {bits} bits"):
            powers.power(beyond)


def test_the_forwarded_product_is_not_the_product_of_what_came_in(key: SecretKey) -> None:
    ciphertexts = key.public.encrypt([5])
    added = key.public.add(ciphertexts)
    assert added != ciphertexts
    assert added != key.public.add(ciphertexts)
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


def test_a_modulus_that_is_no_key_is_refused(key: SecretKey) -> None:
    for modulus in (key.public.modulus + 1, key.public.modulus >> 2 | 1):
        with pytest.raises(ProtocolError, match="an odd Paillier modulus of bits 1024, found"):
            PublicKey(modulus, key.public.base, KEY_BITS)


@pytest.mark.parametrize(
    "base",
    [
        lambda n, p: 0,
        lambda n, p: 1,
        lambda n, p: n**2 - 1,
        lambda n, p: n + 1,  # 1 modulo n: an encryption of 1
        lambda n, p: 5 * p,
        lambda n, p: n**2 + 4,
        lambda n, p: next(b for b in range(2, 100) if is_square(b, p) != is_square(b, n // p)),
    ],
    ids=["0", "1", "-1", "1 modulo n", "no unit", "too large", "Jacobi symbol -1"],
)
def test_a_base_that_hides_nothing_is_refused(key: SecretKey, base: Callable[[int, int], int]) -> None:
    with pytest.raises(ProtocolError, match="as base of Paillier's random factors"):
        PublicKey(key.public.modulus, base(key.public.modulus, key._key.p), KEY_BITS)


def test_the_secret_key_does_not_print(key: SecretKey) -> None:
    assert repr(key) == f"SecretKey(<hidden>, {KEY_BITS} bits)"
