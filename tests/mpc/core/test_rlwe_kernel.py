"""The RLWE kernel against SEAL, against big integers and against a model of its wire format in Python."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import seal
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mpc._core import RlweEvaluator, RlweParameters, RlweSecretKey
from mpc.errors import ParameterError

SEED = bytes(range(32))
Words = NDArray[np.uint64]
Weights = NDArray[np.int64]


def random_words(rng: np.random.Generator, bits: int, shape: int | tuple[int, ...]) -> Words:
    return rng.integers(0, 1 << bits, shape, dtype=np.uint64)


def negacyclic(weights: Sequence[int], message: Sequence[int], modulus: int) -> list[int]:
    """weights * message in Z_modulus[X]/(X^N + 1), by one product of big integers (Kronecker substitution)."""
    degree = len(message)
    largest = max(abs(w) for w in weights) * max(message) * degree
    size = largest.bit_length() // 8 + 1

    def packed(values: Sequence[int]) -> int:
        return int.from_bytes(b"".join(int(v).to_bytes(size, "little") for v in values), "little")

    def product(left: Sequence[int]) -> list[int]:
        raw = (packed(left) * packed(message)).to_bytes(2 * degree * size, "little")
        return [int.from_bytes(raw[i : i + size], "little") for i in range(0, 2 * degree * size, size)]

    plus, minus = product([max(int(w), 0) for w in weights]), product([max(-int(w), 0) for w in weights])
    return [(plus[i] - minus[i] - plus[i + degree] + minus[i + degree]) % modulus for i in range(degree)]


def linear_map(weights: Weights, messages: Words, bits: int) -> Words:
    """sum_j w[o, j] * m[b, j] over Z_2^bits, ``[batch, outputs, N]``."""
    outputs, inputs, degree = weights.shape
    batch = len(messages) // inputs
    result = np.zeros((batch, outputs, degree), dtype=np.uint64)
    for b in range(batch):
        for o in range(outputs):
            for j in range(inputs):
                if weights[o, j].any():
                    term = negacyclic(weights[o, j].tolist(), messages[b * inputs + j].tolist(), 1 << bits)
                    result[b, o] += np.array(term, dtype=np.uint64)
    return result & np.uint64((1 << bits) - 1)


# ---- known by another route


@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_any_linear_map_comes_out_exact_and_masked(data: st.DataObject) -> None:
    degree = data.draw(st.sampled_from([4096, 8192]))
    bits = data.draw(st.integers(2, 36 if degree == 4096 else 54))
    outputs, inputs, batch = (data.draw(st.integers(1, 3)) for _ in range(3))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    weights = np.zeros((outputs, inputs, degree), dtype=np.int64)
    limit = 1 << data.draw(st.integers(0, 11))
    few = rng.integers(0, degree, 20)
    weights[:, :, few] = rng.integers(-limit, limit + 1, (outputs, inputs, 20))
    positions = np.unique(
        np.concatenate([rng.integers(0, degree, 4) + i * degree for i in range(batch * outputs)])
    ).astype(np.int64)
    messages = random_words(rng, bits, (batch * inputs, degree))
    masks = random_words(rng, bits, len(positions))

    parameters = RlweParameters(degree, bits, [(20 * inputs * limit**2, len(positions))])
    key = RlweSecretKey(parameters)
    evaluator = RlweEvaluator(parameters, key.public_key())
    upload = key.encrypt(messages)
    reply = evaluator.apply(evaluator.load(weights, 0), upload, masks, positions, batch)
    assert len(upload) == parameters.upload_bytes(batch * inputs)
    assert len(reply) == parameters.reply_bytes(positions, batch * outputs)
    expected = linear_map(weights, messages, bits).reshape(-1)[positions] + masks
    assert (key.decrypt(reply, positions, batch * outputs) == expected & np.uint64((1 << bits) - 1)).all()


def test_a_full_layer_at_its_largest_weights() -> None:
    degree, bits, inputs = 8192, 44, 2
    rng = np.random.default_rng(2)
    weights = rng.choice(np.array([-2047, 2047]), (1, inputs, degree))
    messages = np.full((inputs, degree), (1 << bits) - 1, dtype=np.uint64)
    positions = np.arange(degree, dtype=np.int64)
    parameters = RlweParameters(degree, bits, [(inputs * degree * 2047**2, degree)])
    key = RlweSecretKey(parameters)
    evaluator = RlweEvaluator(parameters, key.public_key())
    reply = evaluator.apply(
        evaluator.load(weights, 0), key.encrypt(messages), np.zeros(degree, dtype=np.uint64), positions
    )
    assert (key.decrypt(reply, positions, 1) == linear_map(weights, messages, bits)[0, 0]).all()


# ---- the wire format, from its description


class Stream:
    """AES-128 in counter mode, the counter a little-endian word in the low half; requests start at a fresh block."""

    def __init__(self, key: bytes, place: bytes = bytes(16)) -> None:
        self._place = np.frombuffer(place, dtype="<u8")
        self._encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - counters are the blocks
        self._next = 0

    def bytes(self, count: int) -> bytes:
        blocks = -(-count // 16)
        counters = np.zeros((blocks, 2), dtype="<u8")
        counters[:, 0] = np.arange(self._next, self._next + blocks)
        self._next += blocks
        return self._encryptor.update((counters ^ self._place).tobytes())[:count]

    def words(self, count: int) -> Words:
        return np.frombuffer(self.bytes(8 * count), dtype="<u8").astype(np.uint64)


def secret_of(seed: bytes, degree: int) -> list[int]:
    """The ternary secret of a key made from an injected seed: the first thing that it draws."""
    first = Stream(hashlib.sha256(seed).digest()[:16])
    return [((3 * int(u)) >> 64) - 1 for u in Stream(first.bytes(16), first.bytes(16)).words(degree)]


def upload_polynomials(parameters: RlweParameters, upload: bytes) -> NDArray[np.uint64]:
    """``[polynomials, 2, primes, N]``: both halves, in transformed form."""
    degree, primes = parameters.degree, parameters.primes
    stream, position, halves = Stream(upload[:16]), 16, []
    while position < len(upload):
        first, second = [], []
        for prime in primes:
            bits = prime.bit_length()
            size = degree * bits // 8
            packed = np.frombuffer(upload, np.uint8, size, position)
            raw = np.unpackbits(packed, bitorder="little").reshape(degree, bits)
            position += size
            first.append(raw.astype(np.uint64) @ (np.uint64(1) << np.arange(bits, dtype=np.uint64)))
            kept: Words = np.empty(0, dtype=np.uint64)
            while len(kept) < degree:
                drawn = stream.words(degree - len(kept)) & np.uint64((1 << bits) - 1)
                kept = np.concatenate([kept, drawn[drawn < prime]])
            second.append(kept)
        halves.append([first, second])
    return np.array(halves, dtype=np.uint64)


# ---- SEAL as the oracle


class Seal:
    """SEAL at the kernel's own primes; plaintexts, ciphertexts and the secret go in by SEAL's serialisation."""

    def __init__(self, parameters: RlweParameters, secret: Sequence[int], folder: Path) -> None:
        self.degree, self.bits, self.primes = parameters.degree, parameters.plain_bits, parameters.primes
        chosen = seal.EncryptionParameters(seal.scheme_type.bfv)
        chosen.set_poly_modulus_degree(self.degree)
        special = 0xC0001  # SEAL wants one more prime; nothing here switches keys
        chosen.set_coeff_modulus([seal.Modulus(p) for p in (*self.primes, special)])
        chosen.set_plain_modulus(1 << self.bits)
        # No level asked for: the standard counts the special prime, too.
        self.context = seal.SEALContext(chosen, True, seal.sec_level_type.none)
        assert self.context.parameters_set(), self.context.parameter_error_message()
        self.evaluator = seal.Evaluator(self.context)
        at_keys = seal.KeyGenerator(self.context).secret_key().parms_id()
        at_all_primes = self.evaluator.transform_to_ntt(self.plaintext(secret), at_keys)
        path = folder / "secret"
        path.write_bytes(at_all_primes.to_bytes())
        key = seal.SecretKey()
        key.load(self.context, str(path))
        self.decryptor = seal.Decryptor(self.context, key)

    def plaintext(self, coefficients: Sequence[int]) -> seal.Plaintext:
        body = np.array([int(c) % (1 << self.bits) for c in coefficients], dtype="<u8").tobytes()
        fields = struct.pack("<32sQd", bytes(32), self.degree, 1.0)
        loaded = seal.Plaintext()
        loaded.load_bytes(self.context, _framed(fields, self.degree, body))
        return loaded

    def ciphertext(self, halves: NDArray[np.uint64]) -> seal.Ciphertext:
        identifier = struct.pack("<4Q", *self.context.first_parms_id())
        fields = struct.pack("<32sBQQQdQ", identifier, True, 2, self.degree, len(self.primes), 1.0, 1)
        loaded = seal.Ciphertext()
        loaded.load_bytes(self.context, _framed(fields, halves.size, halves.astype("<u8").tobytes()))
        return loaded

    def decrypt(self, ciphertext: seal.Ciphertext) -> Words:
        plain = self.decryptor.decrypt(self.evaluator.transform_from_ntt(ciphertext))
        words = np.zeros(self.degree, dtype=np.uint64)
        data = plain.to_bytes()
        count = plain.coeff_count()
        words[:count] = np.frombuffer(data, dtype="<u8", offset=len(data) - 8 * count)
        return words


def _framed(fields: bytes, count: int, body: bytes) -> bytes:
    def header(content: int) -> bytes:
        return struct.pack("<HBBBBHQ", 0xA15E, 16, 4, 4, 0, 0, 16 + content)

    inner = header(8 + len(body)) + struct.pack("<Q", count)
    return header(len(fields) + len(inner) + len(body)) + fields + inner + body


@pytest.mark.parametrize(("degree", "bits"), [(4096, 30), (8192, 41)])
def test_seal_opens_uploads_and_agrees_on_the_linear_map(degree: int, bits: int, tmp_path: Path) -> None:
    parameters = RlweParameters(degree, bits, [(300 * 255**2, 2 * degree)])
    key = RlweSecretKey(parameters, SEED)
    oracle = Seal(parameters, secret_of(SEED, degree), tmp_path)
    rng = np.random.default_rng(3)
    messages = random_words(rng, bits, (2, degree))
    messages[0, :2] = 0, (1 << bits) - 1
    upload = key.encrypt(messages)
    ciphertexts = [oracle.ciphertext(halves) for halves in upload_polynomials(parameters, upload)]
    for ciphertext, message in zip(ciphertexts, messages, strict=True):
        assert oracle.decryptor.invariant_noise_budget(oracle.evaluator.transform_from_ntt(ciphertext)) > 40
        assert (oracle.decrypt(ciphertext) == message).all()

    weights = np.zeros((1, 2, degree), dtype=np.int64)
    weights[0, :, :150] = rng.integers(-255, 256, (2, 150))
    evaluator = RlweEvaluator(parameters, key.public_key())
    positions = np.arange(degree, dtype=np.int64)
    reply = evaluator.apply(evaluator.load(weights, 0), upload, np.zeros(degree, dtype=np.uint64), positions)
    products = [
        oracle.evaluator.multiply_plain(
            ciphertext, oracle.evaluator.transform_to_ntt(oracle.plaintext(w.tolist()), oracle.context.first_parms_id())
        )
        for ciphertext, w in zip(ciphertexts, weights[0], strict=True)
    ]
    assert (key.decrypt(reply, positions, 1) == oracle.decrypt(oracle.evaluator.add(*products))).all()


def test_the_public_key_is_an_encryption_of_zero(tmp_path: Path) -> None:
    parameters = RlweParameters(4096, 20, [(1000, 1)])
    oracle = Seal(parameters, secret_of(SEED, 4096), tmp_path)
    (halves,) = upload_polynomials(parameters, RlweSecretKey(parameters, SEED).public_key())
    assert not oracle.decrypt(oracle.ciphertext(halves)).any()


# ---- parameters


@pytest.mark.parametrize("degree", [4096, 8192])
def test_parameters_keep_to_the_security_standard(degree: int) -> None:
    for bits in range(8, 55):
        layers = [(2**33, 1000), (2**30, 7)]
        if degree == 4096 and bits > 37:
            with pytest.raises(ParameterError, match="degree 4096 allows 106"):
                RlweParameters(degree, bits, layers)
            continue
        parameters = RlweParameters(degree, bits, layers)
        assert math.log2(math.prod(parameters.primes)) <= {4096: 106, 8192: 214}[degree]
        assert all(p % (2 * degree) == 1 and p.bit_length() <= 47 for p in parameters.primes)
        leak = sum(r * (math.sqrt(10.75 * n + 21 * degree) + 0.5) for n, r in parameters.layers)
        assert 40 <= parameters.flood_bits + 1 - math.log2(leak) < 40.2
        left = 512 - 2.0 ** (parameters.flood_bits + parameters.reply_bits) / math.prod(parameters.primes)
        assert left > 9 * math.sqrt(degree / 12) + 2


def test_results_are_exact_at_the_largest_modulus_and_refused_beyond() -> None:
    degree, bits, limit = 4096, 39, 2047
    bounds = [(degree * limit**2, 195)]  # the flood that just fits
    parameters = RlweParameters(degree, bits, bounds)
    assert parameters.modulus_bits == 106
    with pytest.raises(ParameterError, match="degree 4096 allows 106"):
        RlweParameters(degree, bits + 1, bounds)
    with pytest.raises(ParameterError, match="degree 4096 allows 106"):
        RlweParameters(degree, bits, [(degree * limit**2, 196)])
    rng = np.random.default_rng(8)
    weights = rng.choice(np.array([-limit, limit]), (1, 1, degree))
    messages = random_words(rng, bits, (1, degree))
    positions = np.arange(195, dtype=np.int64) * 21
    key = RlweSecretKey(parameters)
    evaluator = RlweEvaluator(parameters, key.public_key())
    masks = random_words(rng, bits, 195)
    reply = evaluator.apply(evaluator.load(weights, 0), key.encrypt(messages), masks, positions)
    expected = linear_map(weights, messages, bits).reshape(-1)[positions] + masks
    assert (key.decrypt(reply, positions, 1) == expected & np.uint64((1 << bits) - 1)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2048, 20, [(1, 1)]), "degree 4096 or 8192, found 2048"),
        ((8192, 55, [(1, 1)]), "ring of 2 to 54 bits, found 55"),
        ((8192, 20, []), "at least one layer"),
        ((8192, 20, [(1, 0)]), "results of a layer, found 0"),
        ((8192, 20, [(1, 1)], 61), "0 to 60 statistical bits, found 61"),
        ((4096, 45, [(2**36, 1000)]), "degree 4096 allows 106"),
    ],
)
def test_unusable_parameters_are_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        RlweParameters(*arguments)  # type: ignore[arg-type]
