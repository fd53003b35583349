"""Strategies choose what they say they choose, and repeat."""

from __future__ import annotations

import numpy as np
import pytest

from parties.learning.labels import LABEL_KINDS
from parties.learning.models import Model, architecture
from parties.learning.records import Records
from parties.learning.selection import STRATEGIES, order_to_ask

SHAPE = (1, 1, 2)


def records(points: list[tuple[float, float]]) -> Records:
    images = np.array(points, np.float32).reshape(-1, *SHAPE)
    return Records(images, np.zeros(len(points), np.int64))


def model() -> Model:
    """Three classes; the logits are 4x, 4y and 0."""
    weights = np.array([[4.0, 0], [0, 4], [0, 0]])
    return Model.filled(SHAPE, architecture("linear", SHAPE, 3), [(weights, np.zeros(3))])


OWN = records([(0, 0)])
UNLABELLED = records([(1.0, 0.0), (0.0, 0.1), (0.9, 0.88), (0.3, 0.0)])


def order(strategy: str, seed: int = 0) -> list[int]:
    return [int(index) for index in order_to_ask(strategy, model(), OWN, UNLABELLED, seed)]


@pytest.mark.parametrize("strategy", STRATEGIES.built_in)
def test_every_record_comes_once_and_the_same_seed_repeats(strategy: str) -> None:
    assert sorted(order(strategy)) == [0, 1, 2, 3]
    assert order(strategy, 5) == order(strategy, 5)


def test_entropy_asks_where_all_classes_are_alike() -> None:
    assert order("entropy") == [1, 3, 2, 0]


def test_margin_asks_where_two_classes_are_alike() -> None:
    assert order("margin") == [2, 1, 3, 0]


def test_doubt_does_not_depend_on_what_is_added_to_all_logits_of_a_record() -> None:
    """Records with large logits stand beside others with small ones, as outside of what a model has learnt."""
    logits, kind = np.array([[1.0, 0.0, -2.0], [0.0, 0.0, 0.0]]), LABEL_KINDS["class"]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for added in (0.0, 2000.0, -2000.0):
        shifted = logits + np.array([[added], [0.0]])
        np.testing.assert_allclose(kind.entropy(shifted), -(shares * np.log(shares)).sum(axis=1))
        ranked = np.sort(shares, axis=1)
        np.testing.assert_allclose(kind.margin(shifted), ranked[:, -1] - ranked[:, -2], atol=1e-12)


def test_k_center_asks_where_nothing_is_near() -> None:
    assert order("k-center") == [2, 0, 3, 1]


def test_random_depends_on_the_seed() -> None:
    assert len({tuple(order("random", seed)) for seed in range(10)}) > 1


def test_the_correct_labels_are_not_looked_at() -> None:
    other = Records(UNLABELLED.images, UNLABELLED.labels + 2)
    for strategy in STRATEGIES.built_in:
        assert order_to_ask(strategy, model(), OWN, other, 1).tolist() == order(strategy, 1)
