"""The RLWE layer: exact, seeded, refusing what is malformed, and silent about the weights."""

from __future__ import annotations

import hashlib
import math
import struct

import numpy as np
import pytest
import seal
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mpc.errors import ParameterError, ProtocolError
from mpc.inference.encryption import PublicKey, SecretKey, noise_scale, reply_size, upload_size, worst_noise
from mpc.inference.keystream import Keystream, noise, residues, ternary
from mpc.inference.residue_words import pack_residues, packed_residues_size, unpack_residues
from mpc.inference.rlwe import DEGREE, PRIMES, UNUSED_PRIME, RlweParameters, RlweRing, rlwe_ring
from mpc.randomness import SYSTEM, SeededRandomness
from mpc.ring import pack_words

PARAMETERS = RlweParameters(41)


@pytest.fixture(scope="module")
def key() -> SecretKey:
    return SecretKey(PARAMETERS, SYSTEM)


@pytest.fixture(scope="module")
def public(key: SecretKey) -> PublicKey:
    return PublicKey(PARAMETERS, key.public_key(), SYSTEM)


def messages(count: int, bits: int = 41, seed: int = 0) -> NDArray[np.uint64]:
    return np.random.default_rng(seed).integers(0, 1 << bits, (count, DEGREE), dtype=np.uint64)


def sparse(*terms: tuple[int, int]) -> NDArray[np.int64]:
    """The polynomial with the given (power, coefficient) pairs."""
    polynomial = np.zeros(DEGREE, dtype=np.int64)
    for power, coefficient in terms:
        polynomial[power] = coefficient
    return polynomial


def centred(residues_of: NDArray[np.uint64]) -> list[int]:
    """Residues ``[2, n]`` to integers in (-q/2, q/2]."""
    q, inverse = PRIMES[0] * PRIMES[1], pow(PRIMES[0], -1, PRIMES[1])
    wide = [int(a) + PRIMES[0] * ((int(b) - int(a)) * inverse % PRIMES[1]) for a, b in residues_of.T]
    return [value - q if value > q // 2 else value for value in wide]


# --- parameters -----------------------------------------------------------------------------------------------------


def test_modulus_keeps_128_bit_security() -> None:
    # HomomorphicEncryption.org standard, Table 1: N = 8192, ternary secret, 128 bits: log2 q at most 218.
    assert seal.CoeffModulus.MaxBitCount(DEGREE, seal.sec_level_type.tc128) == 218
    assert sum(p.bit_length() for p in (*PRIMES, UNUSED_PRIME)) <= 218
    for prime in PRIMES:
        assert prime % (2 * DEGREE) == 1
        assert 0 < (1 << 60) - prime < 1 << 18


@pytest.mark.parametrize("bits", [8, 20, 36, 41, 45])
@pytest.mark.parametrize("primes", [2, 3])
def test_flood_fits_below_the_margin(bits: int, primes: int) -> None:
    parameters = RlweParameters(bits, primes)
    dropped = math.prod(PRIMES[1:primes])
    worst = (2**parameters.flood_bits + parameters.largest_noise) // dropped + (DEGREE + 3) // 2 + 1
    assert worst <= parameters.reply_margin
    assert parameters.reply_margin / PRIMES[0] * 2**bits <= 15 / 32


@pytest.mark.parametrize("bits", [7, 46, 64])
def test_other_rings_are_refused(bits: int) -> None:
    with pytest.raises(ParameterError, match="8 to 45 bits"):
        RlweParameters(bits)


# --- sampling and packing -------------------------------------------------------------------------------------------


def test_noise_is_centred_binomial_of_42_bits() -> None:
    drawn = noise(Keystream(bytes(32)), 200_000)
    assert abs(drawn).max() <= 21
    assert abs(drawn.mean()) < 0.05
    assert abs(drawn.var() - 10.5) < 0.2


def test_ternary_is_balanced() -> None:
    drawn = ternary(Keystream(bytes(32)), 30_000)
    counts = [int((drawn == value).sum()) for value in (-1, 0, 1)]
    assert sum(counts) == 30_000
    assert all(abs(count - 10_000) < 500 for count in counts)


def test_residues_are_uniform_below_any_modulus() -> None:
    drawn = residues(Keystream(bytes(32), 7), 5, 50_000)
    counts = np.bincount(drawn.astype(int), minlength=5)
    assert len(counts) == 5
    assert abs(counts - 10_000).max() < 500


def test_lanes_of_a_seed_differ_and_repeat() -> None:
    first, again, other = (Keystream(bytes(32), lane).bytes(32) for lane in (1, 1, 2))
    assert first == again != other


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_residues_pack_like_words(count: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, PRIMES[0], count, dtype=np.uint64)
    data = pack_residues(values)
    assert len(data) == packed_residues_size(count)
    plain = pack_words(values, 60)
    assert data[: len(plain)] == plain
    np.testing.assert_array_equal(unpack_residues(data, (count,), PRIMES[0]), values)


def test_packed_residues_are_refused_when_malformed() -> None:
    data = pack_residues(np.full(20, PRIMES[0] - 1, dtype=np.uint64))
    with pytest.raises(ProtocolError, match="bytes of residues"):
        unpack_residues(data[:-8], (20,), PRIMES[0])
    with pytest.raises(ProtocolError, match="below their prime"):
        unpack_residues(pack_residues(np.full(20, PRIMES[0], dtype=np.uint64)), (20,), PRIMES[0])
    with pytest.raises(ProtocolError, match="zero padding"):
        unpack_residues(data, (19,), PRIMES[0])


@pytest.mark.parametrize(("bits", "primes"), [(8, 2), (41, 2), (45, 2), (45, 3)])
def test_scaling_rounds_q_m_over_t(bits: int, primes: int) -> None:
    q, t = math.prod(PRIMES[:primes]), 1 << bits
    values = [0, 1, t - 1, t // 2, t // 2 - 1, t // 2 + 1, *map(int, messages(1, bits)[0, :200])]
    found = RlweRing(RlweParameters(bits, primes)).scale(np.array(values, dtype=np.uint64))
    for row, prime in enumerate(PRIMES[:primes]):
        assert [int(v) for v in found[row]] == [(2 * q * m + t) // (2 * t) % prime for m in values]


def test_flood_is_uniform_in_its_range() -> None:
    ring = rlwe_ring(PARAMETERS)
    values = ring.flood(Keystream(bytes(32)), 4000)
    bits, signed = PARAMETERS.flood_bits, centred(values)
    assert all(-(2**bits) <= value < 2**bits for value in signed)
    eighths = np.bincount([(value + 2**bits) >> (bits - 2) for value in signed], minlength=8)
    assert abs(eighths - 500).max() < 120


# --- encryption -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bits", "primes"), [(20, 2), (41, 2), (45, 2), (45, 3)])
def test_product_plus_mask_is_exact(bits: int, primes: int) -> None:
    parameters = RlweParameters(bits, primes)
    key = SecretKey(parameters, SYSTEM)
    public = PublicKey(parameters, key.public_key(), SYSTEM)
    ring = rlwe_ring(parameters)
    plain = messages(3, bits)
    uploads = public.read(key.encrypt(plain), 3)
    factors = [sparse((0, 3), (5, 100)), sparse((0, -7), (5, 1)), sparse((0, -(2 ** (bits - 1))), (5, 2))]
    total = ring.evaluator.multiply_plain(uploads[0], ring.transformed(factors[0]))
    for upload, factor in zip(uploads[1:], factors[1:], strict=True):
        ring.evaluator.add_inplace(total, ring.evaluator.multiply_plain(upload, ring.transformed(factor)))
    positions = np.arange(10, 40)
    shift = messages(1, bits, seed=1)[0, :30]
    second, first = public.reply(total, shift, positions)
    opened = key.open(pack_residues(second) + pack_residues(first), [positions])[0]
    mask = np.uint64((1 << bits) - 1)
    expected = shift.copy()
    for message, factor in zip(plain, factors, strict=True):
        expected += message[positions] * np.uint64(int(factor[0]) % 2**64)
        expected += message[positions - 5] * np.uint64(int(factor[5]) % 2**64)
    np.testing.assert_array_equal(opened, expected & mask)


def test_worst_weights_still_open_exactly(key: SecretKey, public: PublicKey) -> None:
    """Weights whose worst-case noise is just within the bound."""
    ring = rlwe_ring(PARAMETERS)
    factor = np.full(DEGREE, 2**40 - 1, dtype=np.int64)
    factor[1::2] = -(2**40)
    assert worst_noise(int(np.abs(factor).sum())) <= PARAMETERS.largest_noise
    plain = messages(1)
    total = ring.evaluator.multiply_plain(public.read(key.encrypt(plain), 1)[0], ring.transformed(factor))
    positions = np.array([DEGREE - 1])
    second, first = public.reply(total, np.zeros(1, dtype=np.uint64), positions)
    opened = key.open(pack_residues(second) + pack_residues(first), [positions])[0]
    expected = (plain[0, ::-1] * factor.astype(np.uint64)).sum(dtype=np.uint64) & np.uint64(2**41 - 1)
    assert opened[0] == expected


def test_zero_stays_zero(key: SecretKey, public: PublicKey) -> None:
    positions = np.arange(5)
    second, first = public.reply(public.zero(), np.arange(5, dtype=np.uint64), positions)
    opened = key.open(pack_residues(second) + pack_residues(first), [positions])[0]
    np.testing.assert_array_equal(opened, np.arange(5))


def test_uploads_repeat_under_injected_randomness() -> None:
    def transcript(seed: bytes) -> bytes:
        key = SecretKey(PARAMETERS, SeededRandomness(seed))
        return key.public_key() + key.encrypt(np.arange(2 * DEGREE, dtype=np.uint64).reshape(2, DEGREE))

    first, again, other = transcript(b"a"), transcript(b"a"), transcript(b"b")
    assert first == again != other
    assert len(first) == upload_size(PARAMETERS, 1) + upload_size(PARAMETERS, 2)
    assert hashlib.sha256(first).hexdigest() == "9158768060ae17c4de9c31d052dbf91c15a540f17c99842c576d5e9a5113ef73"


def test_seal_decrypts_uploads(key: SecretKey) -> None:
    """Against another implementation: SEAL's decryptor, under a secret key of SEAL's making."""
    ring = rlwe_ring(PARAMETERS)
    made = seal.KeyGenerator(ring.context).secret_key()
    rows = np.frombuffer(made.to_string(), dtype="<u8")[-3 * DEGREE :].reshape(3, DEGREE)[:2]  # NTT form, per prime
    mine = SecretKey(PARAMETERS, SYSTEM)
    own_id = struct.pack("<4Q", *ring.context.first_parms_id())
    body = struct.pack("<Q", 2 * DEGREE) + rows.tobytes()
    fields = own_id + struct.pack("<Qd", 2 * DEGREE, 1.0)
    secret = seal.Plaintext()
    secret.load_bytes(ring.context, seal_header(len(fields) + 16 + len(body)) + fields + seal_header(len(body)) + body)
    mine._secret[2] = secret

    plain = messages(3)
    uploads = PublicKey(PARAMETERS, mine.public_key(), SYSTEM).read(mine.encrypt(plain), 3)
    decryptor = seal.Decryptor(ring.context, made)
    for upload, expected in zip(uploads, plain, strict=True):
        ring.evaluator.transform_from_ntt_inplace(upload)
        assert decryptor.invariant_noise_budget(upload) >= 120 - 41 - 6  # |e| <= 21: under 5 bits, and 1 for the sign
        decrypted = np.frombuffer(decryptor.decrypt(upload).to_bytes(), dtype="<u8", offset=88)
        np.testing.assert_array_equal(decrypted, expected)


def seal_header(content: int) -> bytes:
    return struct.pack("<HBBBBHQ", 0xA15E, 16, 4, 4, 0, 0, 16 + content)


def test_upload_halves_have_uniform_low_bits(key: SecretKey) -> None:
    body = key.encrypt(np.zeros((2, DEGREE), dtype=np.uint64))[32:]
    first = unpack_residues(body, (2 * 2 * DEGREE,), 1 << 60)
    assert chi_square(first & np.uint64(15), 16) < CHI_SQUARE_15


def test_malformed_keys_uploads_and_replies_are_refused(key: SecretKey, public: PublicKey) -> None:
    with pytest.raises(ProtocolError, match="bytes of uploads"):
        PublicKey(PARAMETERS, key.public_key()[:-1], SYSTEM)
    upload = key.encrypt(messages(1))
    with pytest.raises(ProtocolError, match="bytes of uploads"):
        public.read(upload + b"\0", 1)
    with pytest.raises(ProtocolError, match="bytes of uploads"):
        public.read(upload, 2)
    with pytest.raises(ProtocolError, match="below their prime"):
        public.read(upload[:32] + b"\xff" * (len(upload) - 32), 1)
    positions = [np.arange(4)]
    with pytest.raises(ProtocolError, match="bytes of replies"):
        key.open(bytes(reply_size(1, 4) - 1), positions)
    with pytest.raises(ProtocolError, match="below their prime"):
        key.open(b"\xff" * reply_size(1, 16), [np.arange(16)])


def test_keys_of_other_parameters_are_refused(key: SecretKey) -> None:
    with pytest.raises(ProtocolError, match="bytes of uploads"):
        PublicKey(RlweParameters(41, 3), key.public_key(), SYSTEM)


def test_keys_print_nothing(key: SecretKey) -> None:
    assert repr(key) == "SecretKey(RlweParameters(plain_bits=41, primes=2), <hidden>)"


# --- what a reply tells about the weights ----------------------------------------------------------------------------

CHI_SQUARE_15 = 44.3  # 15 degrees of freedom, exceeded with probability 1e-4
SMALL, LARGE = sparse((0, 1)), np.where(np.arange(DEGREE) % 2, 3000, -3000).astype(np.int64)
TRIALS = 12


def chi_square(values: NDArray[np.uint64], classes: int) -> float:
    counts = np.bincount(values.astype(np.int64), minlength=classes)
    expected = len(values) / classes
    return float(((counts - expected) ** 2 / expected).sum())


def phase_noise(key: SecretKey, halves: NDArray[np.uint64], plain: NDArray[np.uint64]) -> list[int]:
    """c_0 + c_1 s - round(q plain / t) over the whole modulus: all that the receiver can compute of the noise."""
    ring = rlwe_ring(PARAMETERS)
    pair = ring.pair(np.stack([halves[1], halves[1]]), ntt=False)
    ring.evaluator.transform_to_ntt_inplace(pair)
    ring.evaluator.multiply_plain_inplace(pair, key._secret[2])
    ring.evaluator.transform_from_ntt_inplace(pair)
    phase = ring.subtract(ring.add(halves[0], ring.polynomials(pair)[0]), ring.scale(plain))
    return centred(phase)


def total_of(key: SecretKey, public: PublicKey, factor: NDArray[np.int64]) -> seal.Ciphertext:
    """An encryption of zero (so that the plaintext is the same for all weights) times the weights."""
    ring = rlwe_ring(PARAMETERS)
    upload = public.read(key.encrypt(np.zeros((1, DEGREE), dtype=np.uint64)), 1)[0]
    return ring.evaluator.multiply_plain(upload, ring.transformed(factor))


def mean_noise(key: SecretKey, public: PublicKey, factor: NDArray[np.int64], *, hidden: bool) -> float:
    total, ring = total_of(key, public, factor), rlwe_ring(PARAMETERS)
    zeros = np.zeros(DEGREE, dtype=np.uint64)
    if hidden:
        halves = public.hide(total, zeros, np.arange(DEGREE))
    else:
        ring.evaluator.transform_from_ntt_inplace(total)
        halves = ring.polynomials(total)
    return float(np.mean([abs(value) for value in phase_noise(key, halves, zeros)]))


def test_noise_tells_weights_apart_without_flooding(key: SecretKey, public: PublicKey) -> None:
    small = [mean_noise(key, public, SMALL, hidden=False) for _ in range(4)]
    large = [mean_noise(key, public, LARGE, hidden=False) for _ in range(4)]
    assert max(small) * 1000 < min(large)


def test_noise_tells_nothing_with_flooding(key: SecretKey, public: PublicKey) -> None:
    """The same distinguisher, its threshold set halfway between what it sees on average, is right half the time."""
    small = [mean_noise(key, public, SMALL, hidden=True) for _ in range(TRIALS)]
    large = [mean_noise(key, public, LARGE, hidden=True) for _ in range(TRIALS)]
    spread = 2**PARAMETERS.flood_bits / math.sqrt(12 * DEGREE)  # standard deviation of a mean of |uniform|
    assert abs(np.mean(small) - np.mean(large)) < 5 * spread * math.sqrt(2 / TRIALS)
    assert all(abs(value - 2 ** (PARAMETERS.flood_bits - 1)) < 6 * spread for value in [*small, *large])


def second_half_less_known(
    key: SecretKey, public: PublicKey, upload: bytes, *, hidden: bool, known: list[NDArray[np.int64]]
) -> list[int]:
    """c_1' - a w, and minus p_1 u where u is known: what the receiver, who chose a and p_1, makes of a guess of w."""
    ring = rlwe_ring(PARAMETERS)
    total = ring.evaluator.multiply_plain(public.read(upload, 1)[0], ring.transformed(LARGE))
    if hidden:
        half = public.hide(total, np.zeros(1, dtype=np.uint64), np.arange(1))[1]
    else:
        ring.evaluator.transform_from_ntt_inplace(total)
        half = ring.polynomials(total)[1]
    for source, factor in zip((public.read(upload, 1)[0], public.zero()), (LARGE, *known), strict=False):
        product = ring.evaluator.multiply_plain(source, ring.transformed(factor))
        ring.evaluator.transform_from_ntt_inplace(product)
        half = ring.subtract(half, ring.polynomials(product)[1])
    return centred(half)


def test_second_half_confirms_the_weights_without_re_randomising(key: SecretKey, public: PublicKey) -> None:
    upload = key.encrypt(np.zeros((1, DEGREE), dtype=np.uint64))
    assert set(second_half_less_known(key, public, upload, hidden=False, known=[])) == {0}


def test_second_half_is_an_rlwe_sample(key: SecretKey) -> None:
    """Hidden, it differs from a w by u p_1 + e_1: spread over the whole modulus, and e_1 is there and small."""
    seed = SeededRandomness(b"reply").bytes(32)
    public = PublicKey(PARAMETERS, key.public_key(), SeededRandomness(b"reply"))
    upload = key.encrypt(np.zeros((1, DEGREE), dtype=np.uint64))
    mask = ternary(Keystream(seed), DEGREE)  # what hide() draws first

    rest = second_half_less_known(key, public, upload, hidden=True, known=[mask])
    assert max(map(abs, rest)) <= 21
    assert abs(np.var(rest) - 10.5) < 1

    spread = second_half_less_known(key, public, upload, hidden=True, known=[])
    assert sum(abs(value) < 2**110 for value in spread) < DEGREE // 100
    assert chi_square(np.array([value & 15 for value in spread], dtype=np.uint64), 16) < CHI_SQUARE_15


def test_noise_scale_bounds_what_is_measured(key: SecretKey, public: PublicKey) -> None:
    factor = np.random.default_rng(1).integers(-3000, 3001, DEGREE)  # unstructured: coefficients nearly independent
    measured = mean_noise(key, public, factor, hidden=False)
    norm = math.sqrt(float((factor.astype(float) ** 2).sum()))
    assert 0.7 * noise_scale(norm) < measured < noise_scale(norm)
    assert measured < worst_noise(int(np.abs(factor).sum()))
