"""The C++ core through its binding: against plain integers, against libsodium, and what it refuses."""

from __future__ import annotations

import hashlib
import os
import resource
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mpc import _core
from mpc._core import Circuit, EvaluatedPiece, EvaluatorSession, GarbledPiece, GarblerSession
from mpc.errors import OrderError, ParameterError, PeerError, ProtocolError

Words = NDArray[np.uint64]
TABLES = ("half-gates", "three-halves")


def ready(seed: int | None = None, tables: str = "half-gates") -> tuple[GarblerSession, EvaluatorSession]:
    """Two sides whose base OTs are done."""
    seeds = (None, None) if seed is None else tuple(hashlib.sha256(f"{seed}{side}".encode()).digest() for side in "ge")
    garbler, evaluator = GarblerSession(seeds[0], tables), EvaluatorSession(seeds[1], tables)
    garbler.finish_base(evaluator.receive_base(garbler.receive_base(evaluator.start_base())))
    return garbler, evaluator


def begin(
    circuit: Circuit,
    theirs: Words,
    *,
    seed: int | None = None,
    tables: str = "half-gates",
    projected: bool = False,
    known: Words | None = None,
) -> tuple[GarbledPiece, EvaluatedPiece]:
    """Both sides of a batch. ``known``: the garbler's values, if it garbles with them."""
    garbler, evaluator = ready(seed, tables)
    garbler.extend(evaluator.extend(len(theirs) * circuit.evaluator_bits))
    evaluation = evaluator.evaluate(circuit, len(theirs), theirs, projected, known is not None)
    return garbler.garble(circuit, len(theirs), evaluation.corrections, projected, known), evaluation


def pieces(garbling: GarbledPiece, size: int) -> Iterator[bytes]:
    """The tables, piece after piece."""
    memory = memoryview(bytearray(size))
    while written := garbling.write_tables(memory):
        yield bytes(memory[:written])


def complete(garbling: GarbledPiece, evaluation: EvaluatedPiece, mine: Words, chunk: int = 4096) -> None:
    evaluation.set_labels(garbling.input_labels(mine))
    for piece in pieces(garbling, chunk):
        evaluation.feed_tables(piece)


def random_inputs(circuit: Circuit, n: int, seed: int) -> tuple[Words, Words]:
    generator = np.random.default_rng(seed)

    def words(widths: list[int]) -> Words:
        full = generator.integers(0, 2**64, (n, len(widths)), dtype=np.uint64)
        return np.ascontiguousarray(full >> np.array([64 - width for width in widths], dtype=np.uint64))

    return words(circuit.garbler_widths), words(circuit.evaluator_widths)


def signed(value: int, bits: int) -> int:
    value %= 1 << bits
    return value - (1 << bits) if value >> (bits - 1) else value


def sums(mine: list[int], theirs: list[int], bits: int) -> list[int]:
    return [signed(a + b, bits) for a, b in zip(mine, theirs, strict=True)]


Row = list[int]
Case = tuple[Circuit, Callable[[Row, Row], Row]]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A circuit of random widths, and the same function over Python integers."""
    bits = draw(st.integers(1, 64))
    count = draw(st.integers(2, 12))
    shift = draw(st.integers(0, bits - 1))
    rectify = draw(st.booleans())
    mask, kept = (1 << bits) - 1, (1 << (bits - shift)) - 1
    kinds: dict[str, Callable[[], Case]] = {
        "relu": lambda: (
            Circuit.relu(bits, shift),
            lambda g, e: [max(0, signed(g[0] + e[0], bits) >> shift)],
        ),
        "rescale": lambda: (
            Circuit.rescale(bits, shift),
            lambda g, e: [(signed(g[0] + e[0], bits) >> shift) & kept],
        ),
        "max_pool": lambda: (
            Circuit.max_pool(count, bits, shift, rectify),
            lambda g, e: [(max([0] * rectify + sums(g, e, bits)) >> shift) & kept],
        ),
        "argmax": lambda: (
            Circuit.argmax(count, bits),
            lambda g, e: [int(i == sums(g, e, bits).index(max(sums(g, e, bits)))) for i in range(count)],
        ),
        "threshold": lambda: (Circuit.threshold(count, bits), lambda g, e: [int(z > 0) for z in sums(g, e, bits)]),
        "sum_histogram": lambda: (
            Circuit.sum_histogram(count, bits),
            lambda g, e: [sums(g, e, bits).index(max(sums(g, e, bits)))],
        ),
        "add": lambda: (Circuit.add(bits), lambda g, e: [(g[0] + e[0]) & mask]),
        "sub": lambda: (Circuit.sub(bits), lambda g, e: [(g[0] - e[0]) & mask]),
        "less_than": lambda: (Circuit.less_than(bits), lambda g, e: [int(signed(g[0], bits) < signed(e[0], bits))]),
        "select": lambda: (Circuit.select(bits), lambda g, e: [g[0] if e[1] else e[0]]),
    }
    return kinds[draw(st.sampled_from(sorted(kinds)))]()


@settings(max_examples=120, deadline=None)
@given(cases(), st.integers(1, 70), st.integers(0, 2**32), st.booleans(), st.sampled_from(TABLES))
def test_garbled_equals_clear_equals_integers(case: Case, n: int, seed: int, known: bool, tables: str) -> None:
    circuit, function = case
    mine, theirs = random_inputs(circuit, n, seed)
    expected = np.array([function(g, e) for g, e in zip(mine.tolist(), theirs.tolist(), strict=True)], dtype=np.uint64)
    np.testing.assert_array_equal(circuit.run(mine, theirs), expected)
    garbling, evaluation = begin(circuit, theirs, tables=tables, known=mine if known else None)
    assert garbling.tables_left == circuit.table_bytes(n, tables)
    evaluation.set_labels(garbling.input_labels(None if known else mine))
    for piece in pieces(garbling, 1000):
        evaluation.feed_tables(piece)
    assert garbling.tables_left == 0
    np.testing.assert_array_equal(evaluation.decode(garbling.decoding()), expected)
    np.testing.assert_array_equal(garbling.decode(evaluation.colours()), expected)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 10), st.integers(1, 64), st.integers(1, 64), st.integers(1, 40), st.integers(0, 2**32))
def test_projection_shares_sum_to_the_one_hot_vote(classes: int, bits: int, width: int, n: int, seed: int) -> None:
    circuit = Circuit.argmax(classes, bits)
    mine, theirs = random_inputs(circuit, n, seed)
    garbling, evaluation = begin(circuit, theirs)
    complete(garbling, evaluation, mine)
    message, garbler_shares = garbling.project(width)
    total = (garbler_shares + evaluation.open_projection(message, width)) & np.uint64(2**width - 1)
    np.testing.assert_array_equal(total, circuit.run(mine, theirs))
    assert (total.sum(axis=1) == 1).all()
    assert len(message) == (width * n * classes + 7) // 8 == circuit.projection_bytes(n, width)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 64), st.integers(0, 63), st.booleans(), st.integers(1, 40), st.integers(0, 2**32))
def test_projected_words_are_shares_of_the_value(bits: int, shift: int, rectify: bool, n: int, seed: int) -> None:
    circuit = Circuit.relu(bits, shift % bits) if rectify else Circuit.rescale(bits, shift % bits)
    mine, theirs = random_inputs(circuit, n, seed)
    garbling, evaluation = begin(circuit, theirs, projected=True)
    complete(garbling, evaluation, mine)
    message, shares = garbling.project(bits, signed_words=not rectify)
    opened = evaluation.open_projection(message, bits, signed_words=not rectify)
    values = [signed(g + e, bits) >> (shift % bits) for [g], [e] in zip(mine.tolist(), theirs.tolist(), strict=True)]
    expected = [[max(0, value) if rectify else value] for value in values]
    found = [[signed(total, bits)] for total in (shares + opened)[:, 0].tolist()]
    assert found == expected
    assert len(message) == circuit.projection_bytes(n, bits)


def test_projection_masks_are_fresh_and_do_not_follow_the_vote() -> None:
    circuit = Circuit.argmax(4, 8)
    mine, theirs = random_inputs(circuit, 500, 1)
    masks = []
    for _ in range(2):
        garbling, evaluation = begin(circuit, theirs)
        complete(garbling, evaluation, mine)
        masks.append(garbling.project(16)[1])
    assert (masks[0] != masks[1]).mean() > 0.99
    votes = circuit.run(mine, theirs).astype(bool)
    for mask in masks:  # uniform whether the bit is one or zero: means within 6 standard deviations
        for chosen in (mask[votes], mask[~votes]):
            assert abs(chosen.mean() / 2**16 - 0.5) < 6 * (1 / 12 / chosen.size) ** 0.5


def test_tables_may_be_made_before_labels_and_wait_for_them() -> None:
    circuit = Circuit.relu(32, 0)
    n = 1100  # tables of more than a huge page
    mine, theirs = random_inputs(circuit, n, 2)
    garbling, evaluation = begin(circuit, theirs)
    tables = _core.table_memory(circuit.table_bytes(n)).data
    assert garbling.write_tables(tables[:12345]) + garbling.write_tables(tables[12345:]) == len(tables)
    with pytest.raises(OrderError, match="the labels come first"):
        evaluation.feed_tables(tables)
    evaluation.set_labels(bytearray(garbling.input_labels(mine)))
    evaluation.feed_tables(tables)
    np.testing.assert_array_equal(evaluation.decode(garbling.decoding()), circuit.run(mine, theirs))


# -- what is seen -----------------------------------------------------------------------------------------------------


def bits_of(values: Words, width: int) -> NDArray[np.uint8]:
    """Bits of one row of words, least significant first: wire order for one instance."""
    return np.unpackbits(values.view(np.uint8).reshape(-1, 8), axis=1, count=width, bitorder="little").ravel()


def test_corrections_pad_the_evaluators_input() -> None:
    """The published demo sent the evaluator's input itself, because its OT pads were zero."""
    circuit = Circuit.argmax(10, 64)
    _, theirs = random_inputs(circuit, 1, 3)
    plain = bits_of(theirs, 64)
    distances = []
    for _ in range(20):
        _, evaluation = begin(circuit, theirs)
        sent = np.unpackbits(np.frombuffer(evaluation.corrections, dtype=np.uint8), bitorder="little")
        distances.append(int((sent != plain).sum()))
    assert all(220 < distance < 420 for distance in distances)  # 640 fair coins: 8 standard deviations
    assert len(set(distances)) > 1


def test_one_pad_serves_one_input() -> None:
    """Under one seed two inputs differ on the wire exactly where they differ themselves; two batches share no pad."""
    circuit = Circuit.add(64)
    first, second = (np.array([[value]], dtype=np.uint64) for value in (0x0123456789ABCDEF, 0xFFFF0000FFFF0000))
    sent = [np.frombuffer(begin(circuit, value, seed=5)[1].corrections, dtype=np.uint64) for value in (first, second)]
    assert sent[0] ^ sent[1] == first.ravel() ^ second.ravel()
    garbler, evaluator = ready(5)
    garbler.extend(evaluator.extend(128))
    pads = [np.frombuffer(evaluator.evaluate(circuit, 1, first).corrections, dtype=np.uint64) for _ in range(2)]
    assert pads[0] != pads[1]


def test_labels_do_not_show_the_garblers_bits() -> None:
    circuit = Circuit.argmax(10, 64)
    mine, theirs = random_inputs(circuit, 1, 4)
    garbling, _ = begin(circuit, theirs)
    labels = np.frombuffer(garbling.input_labels(mine), dtype=np.uint8).reshape(-1, 16)
    for bit in range(8):
        assert 220 < int((((labels[:, 0] >> bit) & 1) != bits_of(mine, 64)).sum()) < 420


def test_lengths_do_not_depend_on_values() -> None:
    circuit = Circuit.argmax(5, 20)
    lengths = set()
    for value in (0, 2**20 - 1, 12345):
        words = np.full((7, 5), value, dtype=np.uint64)
        garbling, evaluation = begin(circuit, words)
        tables = b"".join(pieces(garbling, 1 << 20))
        labels = garbling.input_labels(words)
        evaluation.set_labels(labels)
        evaluation.feed_tables(tables)
        message, _ = garbling.project(9)
        sizes = (len(tables), len(labels), len(message), len(evaluation.corrections), len(evaluation.colours()))
        assert len(tables) == circuit.table_bytes(7) == 7 * 32 * circuit.and_gates
        lengths.add(sizes)
    assert len(lengths) == 1


def test_a_seed_reproduces_every_byte_and_two_seeds_share_none() -> None:
    def transcript(seed: int) -> list[bytes]:
        seeds = [hashlib.sha256(bytes([seed, side])).digest() for side in (0, 1)]
        garbler, evaluator = GarblerSession(seeds[0]), EvaluatorSession(seeds[1])
        first = evaluator.start_base()
        reply = garbler.receive_base(first)
        third = evaluator.receive_base(reply)
        garbler.finish_base(third)
        extension = evaluator.extend(200)
        garbler.extend(extension)
        values = np.array([[3, 1, 2]], dtype=np.uint64)
        circuit = Circuit.argmax(3, 4)
        evaluation = evaluator.evaluate(circuit, 1, values)
        garbling = garbler.garble(circuit, 1, evaluation.corrections)
        tables = b"".join(pieces(garbling, 1 << 20))
        message, shares = garbling.project(8)
        return [first, reply, third, extension, tables, garbling.input_labels(values), message, shares.tobytes()]

    assert transcript(1) == transcript(1)
    assert all(a != b for a, b in zip(transcript(1), transcript(2), strict=True))


def test_printing_shows_type_and_shape_only() -> None:
    circuit = Circuit.argmax(3, 4)
    garbling, evaluation = begin(circuit, np.zeros((2, 3), dtype=np.uint64))
    garbler, evaluator = ready()
    shown = [repr(each) for each in (circuit, garbling, evaluation, garbler, evaluator)]
    assert shown == [
        f"<Circuit argmax(3, 4), {circuit.and_gates} AND gates>",
        "<GarbledPiece argmax(3, 4), n=2>",
        "<EvaluatedPiece argmax(3, 4), n=2>",
        "<GarblerSession>",
        "<EvaluatorSession>",
    ]


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 31, 33])
def test_base_messages_of_the_wrong_length(size: int) -> None:
    with pytest.raises(ProtocolError, match=f"expected 32, found {size}"):
        GarblerSession().receive_base(bytes(size))
    evaluator = EvaluatorSession()
    reply = GarblerSession().receive_base(evaluator.start_base())
    with pytest.raises(ProtocolError, match="expected 4112, found 4111"):
        evaluator.receive_base(reply[:-1])


def test_points_of_small_order_and_off_the_curve() -> None:
    with pytest.raises(ProtocolError, match="not a valid group element"):
        GarblerSession().receive_base(bytes(32))
    evaluator = EvaluatorSession()
    reply = bytearray(GarblerSession().receive_base(evaluator.start_base()))
    reply[16 : 16 + 32] = (2).to_bytes(32, "little")
    with pytest.raises(ProtocolError, match="point 0 of the receiver"):
        evaluator.receive_base(reply)


def test_calls_out_of_turn_blame_this_program() -> None:
    assert not issubclass(OrderError, PeerError)
    with pytest.raises(OrderError, match="base OTs are not finished"):
        EvaluatorSession().extend(5)
    garbler, evaluator = ready()
    with pytest.raises(OrderError, match="received twice"):
        garbler.receive_base(bytes(32))
    with pytest.raises(OrderError, match="needs 4 OTs, and 0 are left"):
        garbler.garble(Circuit.add(4), 1, bytes(1))
    garbling, evaluation = begin(Circuit.add(4), np.array([[1]], dtype=np.uint64))
    with pytest.raises(OrderError, match="tables are still to be taken"):
        garbling.decoding()
    with pytest.raises(OrderError, match="not complete"):
        evaluation.colours()
    with pytest.raises(OrderError, match="started twice"):
        evaluator.start_base()
        evaluator.start_base()


def test_messages_of_the_wrong_length_or_content_leave_the_session_usable() -> None:
    garbler, evaluator = ready()
    extension = evaluator.extend(100)
    for bad in (b"", extension[:-1], extension + b"\x00"):
        with pytest.raises(ProtocolError, match="multiples of 496"):
            garbler.extend(bad)
    garbler.extend(extension)
    circuit, value = Circuit.add(4), np.array([[9]], dtype=np.uint64)
    evaluation = evaluator.evaluate(circuit, 1, value)
    for bad, complaint in ((b"", "expected 1, found 0"), (b"\x10", "padding"), (b"\x00\x00", "expected 1, found 2")):
        with pytest.raises(ProtocolError, match=complaint):
            garbler.garble(circuit, 1, bad)
    assert garbler.ots_left == 128
    garbling = garbler.garble(circuit, 1, evaluation.corrections)
    labels, tables = garbling.input_labels(value), b"".join(pieces(garbling, 1 << 16))
    for bad in (labels[:-16], labels + bytes(16)):
        with pytest.raises(ProtocolError, match="labels"):
            evaluation.set_labels(bad)
    evaluation.set_labels(labels)
    with pytest.raises(ProtocolError, match="tables"):
        evaluation.feed_tables(tables + b"\x00")
    evaluation.feed_tables(tables)
    for bad in (b"", b"\x00\x00"):
        with pytest.raises(ProtocolError, match="decoding"):
            evaluation.decode(bad)
    assert evaluation.decode(garbling.decoding()).tolist() == [[2]]
    garbling, evaluation = begin(circuit, value, known=value)
    seed = garbling.input_labels()
    for bad in (b"", seed[:-1], seed + b"\x00", labels):
        with pytest.raises(ProtocolError, match=f"labels, bytes: expected 16, found {len(bad)}"):
            evaluation.set_labels(bad)
    evaluation.set_labels(seed)
    evaluation.feed_tables(b"".join(pieces(garbling, 1 << 16)))
    assert evaluation.decode(garbling.decoding()).tolist() == [[2]]


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((2, 1), dtype=np.int64),
        np.zeros((2, 1), dtype=np.uint32),
        np.zeros((1, 2), dtype=np.uint64),
        np.zeros(2, dtype=np.uint64),
        np.zeros((3, 1), dtype=np.uint64),
        np.zeros((2, 2), dtype=np.uint64)[:, :1],
        np.full((2, 1), 16, dtype=np.uint64),
        [[1], [2]],
    ],
)
def test_values_of_the_wrong_type_shape_or_size(values: object) -> None:
    garbler, evaluator = ready()
    garbler.extend(evaluator.extend(8))
    with pytest.raises(ParameterError):
        evaluator.evaluate(Circuit.add(4), 2, values)  # type: ignore[arg-type]
    with pytest.raises(ParameterError):
        garbler.garble(Circuit.add(4), 2, bytes(1), False, values)  # type: ignore[arg-type]
    assert evaluator.ots_left == garbler.ots_left == 128


def test_parameters_out_of_range() -> None:
    for make in (
        lambda: Circuit.add(0),
        lambda: Circuit.add(65),
        lambda: Circuit.relu(8, 8),
        lambda: Circuit.argmax(0, 8),
        lambda: GarblerSession(b"short"),
        lambda: EvaluatorSession(None, "quarter-gates"),
        lambda: ready()[1].extend(0),
    ):
        with pytest.raises(ParameterError):
            make()
    garbling, evaluation = begin(Circuit.add(4), np.array([[1]], dtype=np.uint64))
    complete(garbling, evaluation, np.array([[1]], dtype=np.uint64))
    with pytest.raises(ParameterError, match="narrower than an output word"):
        garbling.project(3)
    with pytest.raises(OrderError, match="not made to be"):
        garbling.project(8)


@pytest.mark.parametrize("n", [1 << 44, 1 << 61, 1 << 63])
def test_sizes_beyond_all_limits_are_refused_before_anything_is_allocated(n: int) -> None:
    circuit = Circuit.less_than(64)
    evaluator = ready()[1]
    for make in (
        lambda: circuit.table_bytes(n),
        lambda: circuit.table_bytes(n, "three-halves"),
        lambda: circuit.projection_bytes(n, 64),
        lambda: evaluator.extend(n),
    ):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(ParameterError):
            make()
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10_000  # KiB
    assert circuit.table_bytes(1 << 20) == 32 * circuit.and_gates << 20


def test_a_session_refuses_to_go_on_in_a_fork() -> None:
    garbler, evaluator = ready()
    child = os.fork()
    if child == 0:
        try:
            evaluator.extend(1)
        except OrderError as error:
            os._exit(0 if "after a fork" in str(error) else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    garbler.extend(evaluator.extend(1))
    assert garbler.ots_left == evaluator.ots_left == 128


# -- the base OTs, against libsodium and another library's AES ---------------------------------------------------------
