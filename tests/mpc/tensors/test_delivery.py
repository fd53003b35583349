"""Inputs from outside and answers to one client: right, and uniform to all others."""

from __future__ import annotations

import numpy as np
import pytest

import mpc.tensors as pt
from mpc.errors import ParameterError, ProtocolError, RangeError
from mpc.randomness import SeededRandomness
from mpc.tensors.delivery import (
    Piece,
    Question,
    open_masked,
    pieces_of,
    put_together,
    read_piece,
    split,
    sum_of_pieces,
)
from mpc.tensors.ranges import Format

FORMAT = Format(64, 16)
WEIGHTS = np.array([[0.5, -1.25], [2.0, 0.75], [-3.0, 1.5]])
RECORDS = np.array([[1.0, -2.0, 0.5], [0.25, 4.0, -1.0]])


@pytest.mark.parametrize("bits", [16, 32, 64])
@pytest.mark.parametrize("parties", [2, 3, 5])
def test_pieces_add_up_and_all_but_one_say_nothing(parties: int, bits: int) -> None:
    words = np.zeros(4000, dtype=np.uint64) + np.uint64(7)
    pieces = split(words, parties, bits)
    total = np.sum(pieces, axis=0, dtype=np.uint64) & np.uint64((1 << bits) - 1)
    assert (total == 7).all()
    for left_out in range(parties):
        rest = np.sum([p for i, p in enumerate(pieces) if i != left_out], axis=0, dtype=np.uint64)
        high = (rest >> np.uint64(bits - 4)) & np.uint64(15)
        counts = np.bincount(high.astype(int), minlength=16)
        assert ((counts - 250) ** 2 / 250).sum() < 50  # chi-square of 15 degrees: beyond it once in 10^5


@pytest.mark.parametrize("ring_bits", [32, 64])
@pytest.mark.parametrize(
    ("backend", "parties"), [("clear", 2), ("dealer", 2), ("dealer", 3), ("replicated", 3), ("two_party", 2)]
)
def test_an_answer_is_right_and_the_parties_see_it_under_its_mask(backend: str, parties: int, ring_bits: int) -> None:
    format = Format(ring_bits, 8 if ring_bits == 32 else 16)
    names = tuple(f"p{i}" for i in range(parties))
    weights = pieces_of("weights", WEIGHTS, (3, 2), 4, format, parties)
    question = Question.of(RECORDS, (2, 3), 4, (2, 2), format, parties)
    seen: dict[str, np.ndarray] = {}
    bits_of_answer: list[int] = []

    def program(s: pt.Session) -> None:
        me = names.index(s.me) if s.me in names else None
        w = None if me is None else read_piece(memoryview(weights[me]), (3, 2), ring_bits)
        piece = None if me is None else Piece.read(memoryview(question.messages[me]), (2, 3), (2, 2), ring_bits)
        model = put_together(s, w, (3, 2), 4, "owner")
        x = put_together(s, piece and piece.records, (2, 3), 4, "client")
        y = (x @ model).relu()
        assert y.owners == {"owner", "client"}
        bits_of_answer.append(y.fraction_bits)
        opened = open_masked(s, y, sum_of_pieces(s, piece and piece.mask, (2, 2)))
        if opened is not None and me is not None:
            (seen[s.me],) = opened

    pt.simulate(
        program, names, backend=backend, dealer="dora" if backend == "dealer" else None, ring_bits=ring_bits,
        fraction_bits=format.fraction_bits,
    )  # fmt: skip
    width = ring_bits // 8
    bodies = [(name, words.astype(f"<u{width}").tobytes()) for name, words in seen.items()]
    assert [name for name, _ in bodies] == sorted(names) or len(bodies) == parties
    answer = question.answer(bodies, bits_of_answer[0])
    expected = np.maximum(RECORDS @ WEIGHTS, 0)
    assert np.abs(answer - expected).max() <= 2**-format.fraction_bits * 1.01
    raw = np.rint(np.ldexp(answer, bits_of_answer[0])).astype(np.int64).astype(np.uint64) & np.uint64(2**ring_bits - 1)
    assert ((seen["p0"] - raw) & np.uint64(2**ring_bits - 1) == question.mask).all()


def test_every_question_has_a_mask_of_its_own() -> None:
    """With one mask for two, the difference of two answers would be open."""
    one, two = (Question.of(RECORDS, (2, 3), 4, (2, 2), FORMAT, 2) for _ in range(2))
    assert (one.mask != two.mask).all()
    assert one.messages[0] != two.messages[0]
    same = [Question.of(RECORDS, (2, 3), 4, (2, 2), FORMAT, 2, SeededRandomness(b"1")) for _ in range(2)]
    assert (same[0].mask == same[1].mask).all()  # such a seed is for known answers alone


def test_a_party_that_sends_another_answer_is_found() -> None:
    question = Question.of(RECORDS, (2, 3), 4, (2, 2), FORMAT, 3)
    good = question.mask.tobytes()
    bad = (question.mask + np.uint64(1)).tobytes()
    assert (question.answer([("a", good), ("b", good)], 16) == 0).all()
    for bodies in ([("a", good), ("b", bad), ("c", good)], [("b", bad), ("a", good), ("c", good)]):
        with pytest.raises(ProtocolError, match=r"found that . and . sent different ones") as caught:
            question.answer(bodies, 16)
        assert caught.value.peer == ""  # either may be wrong, whichever answered first
        assert {"a", "b"} <= set(str(caught.value).split())


@pytest.mark.parametrize(
    ("records", "error", "words"),
    [
        (RECORDS[:, :2], ParameterError, r"expected an array of shape \(2, 3\), found one of shape \(2, 2\)"),
        (RECORDS * np.nan, RangeError, "found NaN or infinity"),
        (RECORDS * 100, RangeError, "expected values within the stated bound, found one beyond it"),
        ([["a"] * 3] * 2, ParameterError, "expected an array of numbers"),
    ],
)
def test_records_that_do_not_fit_are_refused_before_anything_is_sent(records: object, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        Question.of(records, (2, 3), 4, (2, 2), FORMAT, 2)


def test_messages_of_another_length_are_refused() -> None:
    question = Question.of(RECORDS, (2, 3), 4, (2, 2), FORMAT, 2)
    with pytest.raises(ProtocolError, match="expected bytes of a question 80, found 79"):
        Piece.read(memoryview(question.messages[0][:-1]), (2, 3), (2, 2), 64)
    with pytest.raises(ProtocolError, match="expected bytes of an array 48, found 80"):
        read_piece(memoryview(question.messages[0]), (2, 3), 64)


def test_nothing_prints_a_piece_or_a_mask() -> None:
    question = Question.of(RECORDS, (2, 3), 4, (2, 2), FORMAT, 2)
    piece = Piece.read(memoryview(question.messages[0]), (2, 3), (2, 2), 64)
    assert repr(question) == "Question(parties=2, answer=(2, 2))"
    assert repr(piece) == "Piece(records=(2, 3), mask=(2, 2))"


def test_rows_without_a_question_stay_closed() -> None:
    """With zeros as their masks, the parties would read the model's answer to a record of zeros."""
    messages = [Question.of(RECORDS, (2, 3), 4, (2, 2), FORMAT, 2).messages[0] for _ in range(2)]
    pieces = [Piece.read(memoryview(message), (2, 3), (2, 2), 64) for message in messages]
    filled, again = (Piece.filled(pieces, 100, 64) for _ in range(2))
    assert filled.records.shape == (100, 3)
    assert (filled.records[4:] == 0).all()
    assert (filled.records[:2] == pieces[0].records).all()
    assert (filled.mask[2:4] == pieces[1].mask).all()
    assert (filled.mask[4:] != again.mask[4:]).all()
    with pytest.raises(ParameterError, match="expected at most 3 records, found 4"):
        Piece.filled(pieces, 3, 64)
