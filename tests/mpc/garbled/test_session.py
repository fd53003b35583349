"""Garbled circuits over a channel: both sides together, known bytes, what each side saw, and mismatches refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import mpc
import mpc.garbled.pieces
from mpc._core import Circuit
from mpc.channels.memory import run_both_sides
from mpc.errors import ParameterError, ProtocolError
from mpc.garbled.batch import Projection
from mpc.garbled.session import Circuits, Evaluator, Garbler, Tables
from tests.mpc.garbled.pair import frames, opened, prepared, words

Words = NDArray[np.uint64]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(2, 6), st.integers(2, 30)), min_size=1, max_size=4))
def test_many_batches_in_one_session_with_every_kind_of_output(batches: list[tuple[int, int, int]]) -> None:
    garbler, evaluator = opened()
    for seed, (n, classes, bits) in enumerate(batches):
        circuit = Circuit.argmax(classes, bits)
        own_values, other_values = words((n, classes), bits, seed), words((n, classes), bits, seed + 100)
        expected = circuit.run(own_values, other_values)
        garbled, evaluated = prepared(garbler, evaluator, circuit, own_values, other_values, Projection(11))
        np.testing.assert_array_equal((garbled.shares() + evaluated.shares()) & np.uint64(2047), expected)
        _, label = run_both_sides(garbled.reveal_to_evaluator, evaluated.learn_outputs)
        np.testing.assert_array_equal(label, expected)
        result, _ = run_both_sides(garbled.receive_outputs, evaluated.return_outputs)
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("tables", get_args(Tables))
def test_outputs_that_are_split_are_shares_under_xor_and_send_nothing(tables: Tables) -> None:
    garbler, evaluator = opened(tables=(tables, tables), circuits=("streamed", "streamed"))
    circuit, n = Circuit.relu(20, 3), 5000
    own_values, other_values = words((n, 1), 20, 1), words((n, 1), 20, 2)
    garbled, evaluated = run_both_sides(
        lambda: garbler.garble(circuit, own_values), lambda: evaluator.evaluate(circuit, other_values)
    )
    before = [len(frames(side, way)) for side in (garbler, evaluator) for way in ("sent", "received")]
    shares = garbled.split_outputs(), evaluated.split_outputs()
    assert before == [len(frames(side, way)) for side in (garbler, evaluator) for way in ("sent", "received")]
    np.testing.assert_array_equal(shares[0] ^ shares[1], circuit.run(own_values, other_values))
    for share in shares:  # every bit of each is even, also those of outputs that are mostly zero
        for bit in range(16):
            assert abs(int((share >> np.uint64(bit) & np.uint64(1)).sum()) - n / 2) < 6 * n**0.5 / 2
    with pytest.raises(ParameterError, match="expected split_outputs once"):
        garbled.split_outputs()
    with pytest.raises(ParameterError, match="expected split_outputs once"):
        evaluated.split_outputs()


@pytest.mark.parametrize("projection", [None, Projection(32)])
@pytest.mark.parametrize("circuits", get_args(Circuits))
def test_a_streamed_session_sends_nothing_until_the_inputs_come(
    circuits: Circuits, projection: Projection | None
) -> None:
    circuit, n = Circuit.relu(32, 0), 70
    own_values, other_values = words((n, 1), 32, 5), words((n, 1), 32, 6)
    garbler, evaluator = opened(circuits=(circuits, circuits))
    garbled, evaluated = run_both_sides(
        lambda: garbler.prepare(circuit, n, projection=projection),
        lambda: evaluator.prepare(circuit, n, other_values, projection=projection),
    )
    for side, last in ((garbler, "garbled/base/2"), (evaluator, "garbled/base/3")):
        assert (frames(side, "sent")[-1][0] == last) == (circuits == "streamed")
    expected = circuit.run(own_values, other_values)
    other_values.fill(0)  # the caller's own: the batch has kept what it was given
    run_both_sides(lambda: garbled.send_inputs(own_values), evaluated.receive_inputs)
    if projection:
        outputs = (garbled.shares() + evaluated.shares()) & np.uint64(2**32 - 1)
    else:
        outputs, _ = run_both_sides(garbled.receive_outputs, evaluated.return_outputs)
    np.testing.assert_array_equal(outputs, expected)
    labels = 16 if circuits == "streamed" else 16 * 32 * n
    behind = circuit.projection_bytes(n, 32) if projection else 0
    sent = sum(len(body) for label, body in frames(garbler, "sent") if "base" not in label)
    assert sent == circuit.table_bytes(n) + labels + behind


@pytest.mark.parametrize("circuits", get_args(Circuits))
def test_a_batch_without_instances_or_with_too_few_values_is_refused_at_once(circuits: Circuits) -> None:
    garbler, evaluator = opened(circuits=(circuits, circuits))
    with pytest.raises(ParameterError, match="at least one instance, found 0"):
        garbler.prepare(Circuit.add(8), 0)
    with pytest.raises(ParameterError, match="at least one instance, found 0"):
        evaluator.prepare(Circuit.add(8), 0, words((0, 1), 8, 1))
    with pytest.raises(ParameterError, match="expected 5 rows"):
        evaluator.prepare(Circuit.add(8), 5, words((3, 1), 8, 1))


def test_both_sides_stream_or_neither() -> None:
    for circuits in (("ahead", "streamed"), ("streamed", "ahead")):
        garbler, evaluator = opened(circuits=circuits)
        with pytest.raises(ProtocolError):
            prepared(garbler, evaluator, Circuit.add(8), words((3, 1), 8, 1), words((3, 1), 8, 2))


def test_argmax_leaves_fresh_shares_with_both() -> None:
    values = np.array([[5, -3, 9, 9], [-7, -2, -2, -9]])
    own_values = words(values.shape, 64, 5)
    other_values = values.astype(np.uint64) - own_values
    garbler, evaluator = opened()
    seen = []
    for _ in range(2):
        left, right = run_both_sides(
            lambda: mpc.argmax(garbler, own_values, width=16), lambda: mpc.argmax(evaluator, other_values, width=16)
        )
        assert ((left + right) & np.uint64(65535)).tolist() == [[0, 0, 1, 0], [0, 1, 0, 0]]
        seen.append(left)
    assert (seen[0] != seen[1]).any()


def test_sum_histogram_tells_the_evaluator_alone() -> None:
    counts = np.array([[3, 250, 250, 1], [0, 0, 0, 0], [-5, -1, -4, -2]])
    own_values = words(counts.shape, 12, 6)
    other_values = (counts.astype(np.uint64) - own_values) & np.uint64(4095)
    garbler, evaluator = opened()
    nothing, labels = run_both_sides(
        lambda: mpc.sum_histogram(garbler, own_values, width=12),
        lambda: mpc.sum_histogram(evaluator, other_values, width=12),
    )
    assert nothing is None
    assert labels is not None
    assert labels.tolist() == [1, 0, 1]
    assert [label.rsplit("/", 1)[1] for label, _ in frames(evaluator, "sent")] == ["1", "3", "choices"]


@pytest.mark.parametrize("shape", [(3,), (0, 3), (2, 1)])
def test_shares_of_a_useless_shape(shape: tuple[int, ...]) -> None:
    garbler, _ = opened()
    with pytest.raises(ParameterError, match="shape"):
        mpc.argmax(garbler, np.zeros(shape, dtype=np.uint64))


def run_seeded(seed: bytes, own_values: Words, other_values: Words) -> tuple[Garbler, Evaluator]:
    garbler, evaluator = opened(seed)
    run_both_sides(
        lambda: mpc.argmax(garbler, own_values, ring_bits=16, width=8),
        lambda: mpc.argmax(evaluator, other_values, ring_bits=16, width=8),
    )
    run_both_sides(
        lambda: mpc.sum_histogram(garbler, own_values, width=16),
        lambda: mpc.sum_histogram(evaluator, other_values, width=16),
    )
    return garbler, evaluator


def digest(sent: list[tuple[str, bytes]]) -> str:
    state = hashlib.sha256()
    for label, body in sent:
        state.update(f"{label}:{len(body)}:".encode() + body)
    return state.hexdigest()


def test_known_answer() -> None:
    """A change of these digests is a change of the protocol (or of a circuit)."""
    own_values, other_values = words((3, 5), 16, 7), words((3, 5), 16, 8)
    garbler, evaluator = run_seeded(b"known answer", own_values, other_values)
    assert digest(frames(evaluator, "sent")) == "5bc20fe3b18faa055d42d3df08402359af3da63e84afc3e537d285f40ef497d3"
    assert digest(frames(garbler, "sent")) == "f919ef3f79bba3e571cc7745e0759c787b22eae1ac94862e271a29066477b3ff"


def test_lengths_and_labels_do_not_depend_on_inputs() -> None:
    shapes = set()
    for own_values, other_values in ((0, 0), (65535, 1), (12345, 54321)):
        values = [np.full((3, 5), value, dtype=np.uint64) for value in (own_values, other_values)]
        garbler, evaluator = run_seeded(b"lengths", *values)
        shapes.add(tuple((label, len(body)) for party in (garbler, evaluator) for label, body in frames(party, "sent")))
    assert len(shapes) == 1


def test_labels_of_known_values_are_a_seed_that_they_do_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mpc.garbled.pieces, "OTS_A_PIECE", 32 * 8)
    circuit, other_values = Circuit.add(8), words((64, 1), 8, 1)
    seen = []
    for value in (0, 255, 165):
        garbler, evaluator = opened(b"seed")
        own_values = np.full((64, 1), value, dtype=np.uint64)
        run_both_sides(
            lambda g=garbler, own=own_values: g.garble(circuit, own),
            lambda e=evaluator: e.evaluate(circuit, other_values),
        )
        seen.append([body for label, body in frames(garbler, "sent") if label.endswith("tables")])
    assert [len(piece) for piece in seen[0]] == [16 + circuit.table_bytes(32)] * 2
    assert {tuple(piece[:16] for piece in pieces) for pieces in seen} == {(seen[0][0][:16], seen[0][1][:16])}
    assert seen[0][0][:16] != seen[0][1][:16]  # one a piece
    assert len({piece[16:] for pieces in seen for piece in pieces}) == 6


def test_everything_that_follows_the_base_ots_is_new_in_every_run() -> None:
    own_values, other_values = words((3, 5), 16, 9), words((3, 5), 16, 10)
    first, second = (run_seeded(seed, own_values, other_values) for seed in (b"one", b"two"))
    for before, after in zip(first, second, strict=True):
        for (label, body), (other_label, other) in zip(frames(before, "sent"), frames(after, "sent"), strict=True):
            assert label == other_label
            # A byte of colours of the output is all that may agree by chance.
            assert body != other or len(body) < 8


def test_three_halves_send_a_quarter_less() -> None:
    circuit, n = Circuit.relu(32, 0), 320
    own_values, other_values = words((n, 1), 32, 1), words((n, 1), 32, 2)
    sizes = []
    for tables in get_args(Tables):
        garbler, evaluator = opened(tables=(tables, tables))
        garbled, evaluated = run_both_sides(
            lambda g=garbler: g.garble(circuit, own_values), lambda e=evaluator: e.evaluate(circuit, other_values)
        )
        outputs, _ = run_both_sides(garbled.receive_outputs, evaluated.return_outputs)
        np.testing.assert_array_equal(outputs, circuit.run(own_values, other_values))
        sizes.append(sum(len(body) for label, body in frames(garbler, "sent") if label.endswith(("tables", "halves"))))
    seed = 16  # of the labels, in front
    assert sizes == [32 * n * circuit.and_gates + seed, 10 * 788 * circuit.and_gates + seed]


def test_the_two_sides_must_agree_on_the_tables() -> None:
    garbler, evaluator = opened(tables=("three-halves", "half-gates"))
    one = np.zeros((1, 1), dtype=np.uint64)
    with pytest.raises(ProtocolError, match=r"expected message 'garbled/0/add\(8\)/1/tables'.*three-halves"):
        run_both_sides(lambda: garbler.prepare(Circuit.add(8), 1), lambda: evaluator.prepare(Circuit.add(8), 1, one))


@pytest.mark.parametrize(
    ("other_values", "complaint"),
    [
        (lambda e: e.prepare(Circuit.add(8), 2, np.zeros((2, 1), dtype=np.uint64)), "expected message 'garbled/0/add"),
        (lambda e: e.prepare(Circuit.sub(8), 1, np.zeros((1, 1), dtype=np.uint64)), "expected message 'garbled/0/add"),
        (lambda e: e.channel.send("garbled/0/add(8)/1/choices", bytes(1040)), "expected 1041 bytes"),
        (lambda e: e.channel.send("garbled/0/add(8)/1/choices", bytes(1042)), "expected 1041 bytes"),
    ],
)
def test_the_garbler_refuses_another_batch(other_values: Callable[[Evaluator], object], complaint: str) -> None:
    garbler, evaluator = opened()
    with garbler.channel.in_step("1c"), pytest.raises(ProtocolError, match="step 1c evaluator: " + complaint):
        run_both_sides(lambda: garbler.prepare(Circuit.add(8), 1), lambda: other_values(evaluator))


def test_the_cores_complaint_carries_peer_and_step() -> None:
    garbler, evaluator = opened()
    evaluator.channel.send("garbled/0/add(4)/1/choices", evaluator._pieces._session.extend(4), b"\x10")
    with garbler.channel.in_step("1c"), pytest.raises(ProtocolError, match=r"step 1c evaluator: .*padding") as caught:
        garbler.prepare(Circuit.add(4), 1)
    assert (caught.value.peer, caught.value.step) == ("evaluator", "1c")


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (2,), (2, 2)])
def test_rows_that_do_not_fit_the_batch(shape: tuple[int, ...]) -> None:
    garbler, evaluator = opened()
    with pytest.raises(ParameterError):
        evaluator.prepare(Circuit.add(8), 2, np.zeros(shape, dtype=np.uint64))
    with pytest.raises(ParameterError):
        garbler.garble(Circuit.add(8), np.zeros((0, 1), dtype=np.uint64))


def test_a_value_beyond_its_word_is_the_callers_error() -> None:
    _, evaluator = opened()
    with pytest.raises(ParameterError, match="more than 8 bits"):
        evaluator.prepare(Circuit.add(8), 1, np.array([[256]], dtype=np.uint64))


def test_shares_are_there_after_their_step_and_only_with_a_projection() -> None:
    garbler, evaluator = opened()
    values = words((3, 1), 8, 1)
    garbled, evaluated = run_both_sides(
        lambda: garbler.prepare(Circuit.add(8), 3, projection=Projection(8)),
        lambda: evaluator.prepare(Circuit.add(8), 3, values, projection=Projection(8)),
    )
    with pytest.raises(ParameterError, match="whose outputs are not shared"):
        evaluated.shares()
    run_both_sides(lambda: garbled.send_inputs(values), evaluated.receive_inputs)
    assert garbled.shares().shape == evaluated.shares().shape
    for batch in prepared(garbler, evaluator, Circuit.add(8), values, values):
        with pytest.raises(ParameterError, match="whose outputs are not shared"):
            batch.shares()


def test_a_batch_streamed_into_shares_opens_no_outputs() -> None:
    garbler, evaluator = opened()
    values = np.zeros((3, 1), dtype=np.uint64)
    garbled, evaluated = run_both_sides(
        lambda: garbler.garble(Circuit.add(8), values, projection=Projection(8)),
        lambda: evaluator.evaluate(Circuit.add(8), values, projection=Projection(8)),
    )
    for ask in (
        garbled.reveal_to_evaluator,
        garbled.receive_outputs,
        evaluated.learn_outputs,
        evaluated.return_outputs,
    ):
        with pytest.raises(ParameterError, match="streamed into shares"):
            ask()


@pytest.mark.parametrize("circuits", get_args(Circuits))
def test_each_step_of_a_batch_is_taken_once_and_after_the_inputs(circuits: Circuits) -> None:
    circuit, own, others = Circuit.add(8), words((3, 1), 8, 1), words((3, 1), 8, 2)
    garbler, evaluator = opened(circuits=(circuits, circuits))
    garbled, evaluated = run_both_sides(
        lambda: garbler.prepare(circuit, 3), lambda: evaluator.prepare(circuit, 3, others)
    )
    outputs = (
        (garbled.reveal_to_evaluator, evaluated.learn_outputs),
        (evaluated.return_outputs, garbled.receive_outputs),
    )
    for step in (step for pair in outputs for step in pair):
        with pytest.raises(ParameterError, match="expected the inputs of"):
            step()
    with pytest.raises(ParameterError, match="expected 3 rows"):
        garbled.send_inputs(own[:2])  # refused before anything is sent, so that the step is still to be taken
    for first, second in ((lambda: garbled.send_inputs(own), evaluated.receive_inputs), *outputs):
        run_both_sides(first, second)
        crossed = [len(frames(side, "sent")) for side in (garbler, evaluator)]
        for again in (first, second):
            with pytest.raises(ParameterError, match=r"once for garbled/0/add\(8\)/3, found a second call"):
                again()
        assert crossed == [len(frames(side, "sent")) for side in (garbler, evaluator)]


def test_printing_shows_type_and_shape_only() -> None:
    garbler, evaluator = opened()
    garbled, evaluated = prepared(
        garbler, evaluator, Circuit.add(8), np.array([[1]], dtype=np.uint64), np.array([[2]], dtype=np.uint64)
    )
    assert repr(garbled) == "GarbledBatch(garbled/0/add(8)/1)"
    assert repr(evaluated) == "EvaluatedBatch(garbled/0/add(8)/1)"
    assert repr(garbler) == "Garbler(MemoryChannel(peer='evaluator'))"
    assert repr(evaluator) == "Evaluator(MemoryChannel(peer='garbler'))"
