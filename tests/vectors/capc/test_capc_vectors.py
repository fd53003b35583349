"""The vectors hold: whole runs come out byte for byte, and each altered message is refused in the step that is named.

Beside this folder it uses nothing of the suite. docs/vectors.md describes the format.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from mpc import errors
from mpc.capc import ABSTAINED, plaintext_labels
from tests.vectors.capc import make, messages
from tests.vectors.capc.scenario import (
    MESSAGES,
    REFUSED,
    Vector,
    Wiring,
    described,
    networks_of,
    parameters_of,
    play,
    queries_of,
    randomness_of,
    read,
    refusal,
    scenario_files,
)

SCENARIOS = {path.stem: read(path) for path in scenario_files()}
REFUSALS: list[Vector] = read(REFUSED)  # type: ignore[assignment]
SINGLE: list[Vector] = read(MESSAGES)  # type: ignore[assignment]


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_run_under_the_same_seeds_is_the_same_to_the_byte(name: str) -> None:
    vector, wiring = SCENARIOS[name], Wiring()
    found = described(vector, play(vector, wiring), wiring)
    for key in ("parameters_sha256", "in_the_open", "shares", "labels"):
        assert found[key] == vector[key], key
    for channel, expected in zip(found["channels"], vector["channels"], strict=True):
        assert channel["between"] == expected["between"]
        for place, (message, known) in enumerate(zip(channel["messages"], expected["messages"], strict=True)):
            assert message == known, f"message {place} between {' and '.join(channel['between'])}"


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_labels_follow_from_what_the_vector_gives_in_the_open(name: str) -> None:
    """By the rules of the paper in a few lines, without the project's own."""
    vector = SCENARIOS[name]
    chosen, values = vector["parameters"], vector["in_the_open"]
    logits, counts = np.array(values["logits"]), np.array(values["counts"])
    classes = chosen["classes"]
    if chosen["labelling"] == "labels":
        assert ((logits > 0).sum(axis=0) == counts).all()
    else:
        assert (np.eye(classes, dtype=int)[logits.argmax(axis=2)].sum(axis=0) == counts).all()
    noisy = counts + np.array(values["noise"])
    labels = noisy.argmax(axis=1)
    if chosen["labelling"] == "labels":
        labels = (2 * noisy > chosen["parties"]).astype(int)
    if "limits" in values:
        labels = np.where(counts.max(axis=1) >= values["limits"], labels, ABSTAINED)
    assert labels.tolist() == vector["labels"]


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_labels_are_those_of_the_vote_in_the_clear(name: str) -> None:
    vector = SCENARIOS[name]
    clear = plaintext_labels(queries_of(vector), networks_of(vector), parameters_of(vector), randomness_of(vector))
    assert clear.tolist() == vector["labels"]


@pytest.mark.parametrize("vector", REFUSALS, ids=lambda vector: vector["name"])
def test_an_altered_message_is_refused_in_its_step_and_nothing_is_sent_after_it(vector: Vector) -> None:
    error, receiver = refusal(SCENARIOS[vector["scenario"]], vector)
    assert type(error) is getattr(errors, vector["error"])
    assert (error.step, error.peer) == (vector["step"], vector["from"])
    way_and_label = [(way, label) for way, label, _ in receiver.transcript]
    altered = ("received", vector["message"])
    after = way_and_label[way_and_label.index(altered) + 1 :] if altered in way_and_label else []
    # The party that accepts a connection answers every hello with its own, so that the other learns the difference too.
    assert {label for way, label in after if way == "sent"} <= {"hello"}


@pytest.mark.parametrize("vector", SINGLE, ids=lambda vector: f"{vector['message']}, {vector.get('name', 'taken')}")
def test_a_single_message_is_taken_or_refused(vector: Vector) -> None:
    if "error" in vector:
        with pytest.raises(getattr(errors, vector["error"])) as caught:
            messages.receive(vector)
        assert (caught.value.step, caught.value.peer) == (vector["step"], vector["from"])
    else:
        assert messages.body_of(vector["message"], vector["fields"]).hex() == vector["body"]
        messages.receive(vector)


def test_the_vectors_cover_every_choice_and_every_step() -> None:
    chosen = [vector["parameters"] for vector in SCENARIOS.values()]
    for key, values in {
        "aggregation": {"paillier", "direct"},
        "preprocessing": {"he", "dealer"},
        "labelling": {"class", "labels"},
        "garbling": {"half-gates", "three-halves"},
        "circuits": {"ahead", "streamed"},
    }.items():
        assert {one[key] for one in chosen} == values
    assert any(one["threshold"] for one in chosen)
    assert any(one["noise_parts"] for one in chosen)
    labels = [label for name in SCENARIOS if "confident" in name for label in SCENARIOS[name]["labels"]]
    assert ABSTAINED in labels
    assert set(labels) != {ABSTAINED}
    assert {vector["step"] for vector in REFUSALS} == {"hello", "0", "0'", "1a", "1c", "2", "3"}


def test_each_role_draws_for_itself_alone() -> None:
    """Another seed of one role changes nothing before the first message in which this role draws."""
    vector = SCENARIOS["argmax-no-noise"]
    first = vector["channels"][0]["messages"]
    for role, own in (("client", "garbled/base/1"), ("privacy-guardian", "garbled/base/2"), ("dealer", "dealer/seeds")):
        other, wiring = vector | {"seeds": vector["seeds"] | {role: "00" * 32}}, Wiring()
        found = described(other, play(other, wiring), wiring)["channels"][0]["messages"]
        changed = next(message for message, known in zip(found, first, strict=True) if message != known)
        assert changed[2] == own


def test_the_generator_does_not_overwrite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "vector.json"
    make.write(file, {"first": 1}, force=False)
    with pytest.raises(FileExistsError):
        make.write(file, {"second": 2}, force=False)
    assert read(file) == {"first": 1}
    make.write(file, {"second": 2}, force=True)
    assert read(file) == {"second": 2}
    monkeypatch.setattr(make, "SCENARIOS", {"argmax-no-noise": make.SCENARIOS["argmax-no-noise"]})
    assert make.main([]) == 1


def test_the_generator_gives_what_is_checked_in() -> None:
    name = "argmax-no-noise"
    assert msgspec.json.decode(make.text(make.complete(name))) == SCENARIOS[name]
