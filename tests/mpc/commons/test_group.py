"""The group: RFC 9380's vectors, what is refused from outside, proofs, and verifiable sharing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from mpc._core import CurvePoints
from mpc.commons import group, sharing
from mpc.commons.group import GENERATOR, ORDER, SecretScalar, encodings, scalars
from mpc.commons.proofs import PROOF_BYTES, are_proven, is_proven, prove
from mpc.errors import ParameterError, ProtocolError
from mpc.randomness import SeededRandomness

VECTORS = json.loads((Path(__file__).parent / "vectors" / "hash_to_curve.json").read_text())


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda one: one["message"][:8] or "empty")
def test_published_hashes_to_the_group(vector: dict[str, str]) -> None:
    point = group.hash_to_points([vector["message"].encode()], VECTORS["domain"].encode())
    expected = int(vector["y"], 16) | (int(vector["x"], 16) & 1) << 255
    assert point.encode() == expected.to_bytes(32, "little")


def test_an_expanded_message_as_the_document_says() -> None:
    """RFC 9380, K.3: SHA-512, `abc` to 32 bytes."""
    found = group.expand_message(b"abc", b"QUUX-V01-CS02-with-expander-SHA512-256", 32)
    assert found.hex() == "0da749f12fbe5483eb066a5f595055679b976e93abe9be6f0f6318bce7aca8dc"
    with pytest.raises(ParameterError, match="tag of 1 to 255 bytes"):
        group.expand_message(b"abc", b"", 32)


def test_the_second_generator_is_neither_the_first_nor_a_hash_for_other_uses() -> None:
    assert not group.same(group.second_generator(), GENERATOR)
    other = group.hash_to_points([b"second generator"], b"another domain")
    assert not group.same(group.second_generator(), other)


def test_no_two_lists_of_parts_are_hashed_alike() -> None:
    assert group.transcript(b"d", b"ab", b"c") != group.transcript(b"d", b"a", b"bc")
    assert group.hash_to_scalar(b"d", b"", b"x") != group.hash_to_scalar(b"d", b"x", b"")


@pytest.mark.parametrize(
    "bad",
    [bytes(32), b"\x01" + bytes(31), b"\xff" * 32, bytes(31), b"\x02" + bytes(31)],
    ids=["order 4", "identity", "not canonical", "short", "off the curve"],
)
def test_what_is_no_element_is_refused(bad: bytes) -> None:
    with pytest.raises(ProtocolError, match=r"key.*expected|expected key"):
        group.read_points([GENERATOR.encode(), bad], "key")


def test_scalars_are_read_in_their_one_way() -> None:
    assert group.read_scalar(scalars((ORDER - 1,)), "a share") == ORDER - 1
    for bad in (ORDER.to_bytes(32, "little"), bytes(31), b"\xff" * 32):
        with pytest.raises(ProtocolError, match="expected a share as 32 bytes below the group order"):
            group.read_scalar(bad, "a share")
        with pytest.raises(ParameterError, match="below the group order"):
            SecretScalar(bad)


def test_secret_scalars_compute_as_integers_and_print_nothing() -> None:
    a, b, c = (SecretScalar.of(value) for value in (ORDER - 2, 7, 9))
    assert a.multiply_add(b, c).reveal() == scalars((-14 + 9,))
    assert b.multiply_add(-3, c).reveal() == scalars((-12,))
    assert repr(a) == "SecretScalar(<hidden>)"
    assert "7" not in repr(sharing.Polynomial([b]))


# -- proofs ----------------------------------------------------------------------------------------------------------


def statement(secret: int, count: int = 2) -> tuple[SecretScalar, CurvePoints, CurvePoints]:
    value = SecretScalar.of(secret)
    bases = CurvePoints.join([GENERATOR, group.second_generator()])[:count]
    return value, bases, value.times(bases)


@pytest.mark.parametrize("count", [1, 2])
def test_a_proof_holds_for_its_statement_alone(count: int) -> None:
    secret, bases, multiples = statement(1234567, count)
    proof = prove(b"use", secret, bases, multiples, b"context")
    assert len(proof) == PROOF_BYTES
    assert is_proven(b"use", bases, multiples, b"context", proof)
    assert not is_proven(b"another", bases, multiples, b"context", proof)
    assert not is_proven(b"use", bases, multiples, b"another", proof)
    assert not is_proven(b"use", bases, multiples + GENERATOR, b"context", proof)
    assert not is_proven(b"use", bases + GENERATOR, multiples, b"context", proof)


def test_every_bit_of_a_proof_matters() -> None:
    secret, bases, multiples = statement(99)
    proof = prove(b"use", secret, bases, multiples, b"")
    for bit in range(8 * PROOF_BYTES):
        wrong = bytearray(proof)
        wrong[bit // 8] ^= 1 << bit % 8
        assert not is_proven(b"use", bases, multiples, b"", bytes(wrong))
    for wrong in (b"", proof[:-1], proof + b"\0", bytes(PROOF_BYTES)):
        assert not is_proven(b"use", bases, multiples, b"", bytes(wrong))
    # The same scalars in another way of writing: z + L.
    response = int.from_bytes(proof[32:], "little") + ORDER
    assert not is_proven(b"use", bases, multiples, b"", proof[:32] + response.to_bytes(32, "little"))


def test_different_multiples_cannot_be_proven_equal() -> None:
    """Chaum and Pedersen's proof of one logarithm says nothing of the other one."""
    secret, bases, multiples = statement(5)
    wrong = CurvePoints.join([multiples[:1], multiples[1:] + GENERATOR])
    assert not is_proven(b"use", bases, wrong, b"", prove(b"use", secret, bases, wrong, b""))


@pytest.mark.parametrize("hashed", [b"", GENERATOR.encode()], ids=["nothing", "another multiple"])
def test_a_statement_cannot_be_made_after_its_proof(hashed: bytes) -> None:
    """The attack on a challenge that leaves the multiple out: R, c and z are chosen first, then M = (z G - R) / c."""
    commitment, response = (GENERATOR.multiply(scalars((value,))) for value in (5, 6))
    challenge = group.hash_to_scalar(
        b"commons proof v1", b"use", GENERATOR.encode(), hashed, commitment.encode(), b"context"
    )
    made = (response - commitment).multiply(scalars((pow(challenge, -1, ORDER),)))
    proof = scalars((challenge, 6))
    # The equation of the proof holds: z G - c M = R.
    assert group.same(response - made.multiply(scalars((challenge,))), commitment)
    assert not is_proven(b"use", GENERATOR, made, b"context", proof)


def test_many_proofs_are_judged_one_by_one() -> None:
    made = [statement(value) for value in (3, 4, 5)]
    proofs = [prove(b"use", secret, bases, multiples, b"") for secret, bases, multiples in made]
    proofs[1] = proofs[0]
    columns = [CurvePoints.join([multiples[k : k + 1] for _, _, multiples in made]) for k in range(2)]
    bases = [GENERATOR, group.second_generator()]
    assert are_proven(b"use", bases, columns, [b""] * 3, proofs) == [True, False, True]


def test_a_nonce_is_never_shared_by_two_statements_even_if_randomness_repeats() -> None:
    """Equal nonces under two challenges open the secret: x = (z1 - z2) / (c1 - c2)."""
    secret, bases, multiples = statement(77)
    one, two = (
        prove(b"use", secret, bases, multiples, context, SeededRandomness(b"stuck")) for context in (b"1", b"2")
    )
    c1, z1, c2, z2 = (int.from_bytes(part, "little") for proof in (one, two) for part in (proof[:32], proof[32:]))
    assert (z1 - z2) * pow(c1 - c2, -1, ORDER) % ORDER != 77


# -- sharing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "t"), [(4, 1), (7, 2)])
def test_shares_fit_what_was_committed_and_any_enough_of_them_give_the_secret(n: int, t: int) -> None:
    polynomial, blinding = sharing.Polynomial.fresh(t), sharing.Polynomial.fresh(t)
    plain, hidden = polynomial.commitments(), polynomial.hidden_commitments(blinding)
    shares = [polynomial.at(j) for j in range(1, n + 1)]
    for j, share in enumerate(shares, 1):
        assert sharing.fits(plain, j, share)
        assert sharing.fits_hidden(hidden, j, share, blinding.at(j))
        assert not sharing.fits(plain, j + 1, share)
        assert not sharing.fits_hidden(hidden, j, share, blinding.at(j + 1))
        assert not sharing.fits_hidden(hidden, j, share.plus(SecretScalar.of(1)), blinding.at(j))
    points = [share.times_generator() for share in shares]
    for first in range(n - t):
        indices = list(range(first + 1, first + t + 2))
        assert group.same(sharing.interpolate(indices, [points[j - 1] for j in indices]), plain[:1])
    assert sharing.are_on_a_polynomial(t, plain[:1], CurvePoints.join(points))
    assert not sharing.are_on_a_polynomial(t - 1, plain[:1], CurvePoints.join(points))
    assert not sharing.are_on_a_polynomial(t, GENERATOR, CurvePoints.join(points))
    wrong = CurvePoints.join([*points[:-1], points[-1] + GENERATOR])
    assert not sharing.are_on_a_polynomial(t, plain[:1], wrong)


def test_shares_are_those_of_integers() -> None:
    polynomial = sharing.Polynomial([SecretScalar.of(value) for value in (5, ORDER - 3, 2)])
    assert polynomial.at(4).reveal() == scalars((5 - 12 + 32,))
    factors = sharing.lagrange([1, 3, 7])
    assert sum(f * (5 - 3 * j + 2 * j * j) for f, j in zip(factors, (1, 3, 7), strict=True)) % ORDER == 5
    with pytest.raises(ParameterError, match="different indices"):
        sharing.lagrange([1, 1])


def test_hidden_commitments_fit_every_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """For whoever knows log H, what t = 1 holders see of a dealer is byte for byte the same for another secret."""
    logarithm = 987654321
    point = CurvePoints.generator().multiply(scalars((logarithm,)))
    table = group.CurveBase(point)
    monkeypatch.setattr(sharing, "second_base", lambda: table)
    first, blind = (sharing.Polynomial([SecretScalar.of(v) for v in pair]) for pair in ((11, 22), (33, 44)))

    def view(f: sharing.Polynomial, g: sharing.Polynomial) -> bytes:
        seen = f.hidden_commitments(g).encode() + f.at(2).reveal() + g.at(2).reveal()  # holder 2 is the spy
        return hashlib.sha256(seen).digest()

    # Another secret 12 with the same value at 2, and the blinding that makes up for it.
    slope = (11 + 2 * 22 - 12) * pow(2, -1, ORDER) % ORDER
    back = pow(logarithm, -1, ORDER)
    other = sharing.Polynomial([SecretScalar.of(12), SecretScalar.of(slope)])
    blind2 = sharing.Polynomial([SecretScalar.of(33 + (11 - 12) * back), SecretScalar.of(44 + (22 - slope) * back)])
    assert view(first, blind) == view(other, blind2)
    # Feldman's commitments alone would give the secret times G away: the same view is not possible.
    assert first.commitments().encode() != other.commitments().encode()


def test_encodings_are_cut_by_element() -> None:
    points = GENERATOR.multiply(scalars((1, 2)))
    assert encodings(points) == (GENERATOR.encode(), (GENERATOR + GENERATOR).encode())
