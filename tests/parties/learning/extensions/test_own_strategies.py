"""A strategy by a function of the user's own: its scores decide, and it sees no correct label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parties.learning.models import Model, architecture
from parties.learning.records import DataError, Records
from parties.learning.selection import order_to_ask
from tests.parties.learning.extensions.own_code import write_code

SHAPE = (1, 1, 2)


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_code(tmp_path_factory.mktemp("code"))


def records(points: list[tuple[float, float]]) -> Records:
    return Records(np.array(points, np.float32).reshape(-1, *SHAPE), np.zeros(len(points), np.int64))


def model() -> Model:
    weights = np.array([[4.0, 0], [0, 4], [0, 0]])
    return Model.filled(SHAPE, architecture("linear", SHAPE, 3), [(weights, np.zeros(3))])


OWN = records([(0, 0)])
UNLABELLED = records([(1.0, 0.0), (0.0, 0.1), (0.9, 0.88), (0.3, 0.0), (0.0, 0.1)])


def order(name: str, code: Path, seed: int = 0, work: Path | None = None) -> list[int]:
    return order_to_ask(name, model(), OWN, UNLABELLED, seed, code, work).tolist()


def test_the_largest_scores_come_first_and_equal_ones_are_shuffled(code: Path) -> None:
    assert order("researchers:brightest", code)[:3] == [2, 0, 3]
    ends = {tuple(order("researchers:brightest", code, seed)[3:]) for seed in range(4)}
    assert ends == {(1, 4), (4, 1)}


def test_it_gets_model_and_own_records_but_no_correct_label(code: Path, tmp_path: Path) -> None:
    """`least_sure` asserts that there are none. It is the built-in margin on logits in place of chances."""
    assert order("researchers:least_sure", code, work=tmp_path)[0] == order("margin", code)[0] == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("too_few", r"expected scores \(5,\), one for each record, found \(2,\)"),
        ("infinite", "expected finite scores, found 5 infinite or undefined ones"),
        ("fails", "KeyError"),
    ],
)
def test_scores_that_are_none_are_refused(code: Path, name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"^strategy researchers:{name}: {words}"):
        order(f"researchers:{name}", code, work=tmp_path)
    assert list(tmp_path.iterdir()) == []
