"""Records with several labels, from the data to the report: each label is voted on, paid for, learnt and shown."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from mpc.dp.accountant import epsilon
from mpc.dp.data_dependent import rdp_of_majorities
from parties.capc.answers import Answer, Answers
from parties.capc.casting import public_parameters
from parties.capc.config import CapcConfig
from parties.capc.protocol import Capc
from parties.capc.simulation import simulate
from parties.capc.summary import label_lines
from parties.frame.errors import ConfigError
from parties.frame.plan import Run, RunFolders
from parties.learning.datasets import load_dataset
from parties.learning.labels import kind_of
from parties.learning.models import ARCHITECTURES, Model, architecture
from parties.learning.parts import PooledDataset as Dataset
from parties.learning.records import DataError, Records
from parties.learning.selection import order_to_ask
from parties.learning.split import split
from parties.learning.training import train
from parties.learning.training_settings import TrainingSettings
from tests.parties.capc.runs import QUICK, running

SHAPE = (1, 8, 8)
CAMPAIGN = {
    "dataset": "digit-traits",
    "num_classes": 3,
    "strategy": "entropy",
    "models": "logistic-regression",
    "n_parties": 4,
    "missing_classes": 2,
    "unlabelled": 1000,
    "n_queries": 25,
    "batch_size": 10,
    "dp_noise_scale": 0,
}


@pytest.fixture(scope="module")
def traits() -> Dataset:
    return load_dataset("digit-traits", None)


def test_every_trait_is_what_the_digits_say(traits: Dataset) -> None:
    digits = load_dataset("digits", None).test.labels
    assert (traits.labelling, traits.classes, traits.label_names) == ("labels", 3, ("loop", "bowl", "even"))
    for digit, bits in {0: [1, 1, 1], 4: [0, 0, 1], 5: [0, 1, 0], 7: [0, 0, 0], 9: [1, 0, 0]}.items():
        assert np.unique(traits.test.labels[digits == digit], axis=0).tolist() == [bits]


def test_labels_of_another_shape_or_value_are_refused(traits: Dataset) -> None:
    with pytest.raises(DataError, match=r"labels \(n,\), or \(n, labels\), found"):
        Records(traits.test.images, traits.test.labels[:, :, None])
    with pytest.raises(ValueError, match=r"labels 0\.\.1, found 0\.\.2"):
        train(settings("linear-svm"), Records(traits.test.images, traits.test.labels * 2))


def test_every_combination_of_labels_is_dealt_evenly_or_lacked(traits: Dataset) -> None:
    kinds = kind_of(traits.pool.labels).strata(traits.pool.labels)
    assert len(np.unique(kinds)) == 5
    for number in range(5):
        counts = [int((kinds[part] == number).sum()) for part in split(traits.pool.labels, 5, 1, "stratified")]
        assert max(counts) - min(counts) <= 1
    for part in split(traits.pool.labels, 5, 1, "stratified", missing_classes=2):
        assert len(np.unique(kinds[part])) == 3


def settings(name: str, **changes: object) -> TrainingSettings:
    values = {"image_shape": SHAPE, "classes": 3, "seed": 5, "epochs": 20, "learning_rate": 0.005, "weight_decay": 0.2}
    return TrainingSettings.model_validate(
        values | {"architecture": name, "batch": 32, "labelling": "labels"} | changes
    )


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_learns_every_label(name: str, traits: Dataset) -> None:
    model = train(settings(name), traits.pool.take(slice(400)))
    right = (model.logits(traits.test.images) > 0) == traits.test.labels
    guess = np.maximum(traits.test.labels.mean(axis=0), 1 - traits.test.labels.mean(axis=0))
    assert (right.mean(axis=0) > guess + 0.08).all(), right.mean(axis=0)


@pytest.mark.parametrize("name", ["logistic-regression", "linear-svm", "sklearn-mlp"])
def test_who_has_seen_but_one_value_of_a_label_says_that(name: str, traits: Dataset) -> None:
    looped = traits.pool.take(np.flatnonzero(traits.pool.labels[:, 0] == 1))
    never = Records(looped.images, looped.labels * np.array([1, 1, 0]))
    found = train(settings(name), never).logits(traits.test.images) > 0
    assert found[:, 0].all()
    assert not found[:, 2].any()
    assert 0 < found[:, 1].mean() < 1


def order(strategy: str) -> list[int]:
    """Two labels whose logits are 4x and 4y; the records lie at different distances from doubt."""
    points = np.array([(1.0, 1.0), (0.0, 0.5), (0.0, 0.0), (0.1, 0.2)], np.float32).reshape(-1, 1, 1, 2)
    unlabelled = Records(points, np.zeros((4, 2), np.int64))
    model = Model.filled((1, 1, 2), architecture("linear", (1, 1, 2), 2), [(np.eye(2) * 4, np.zeros(2))])
    return [int(index) for index in order_to_ask(strategy, model, unlabelled.take(slice(1)), unlabelled, 0)]


def test_strategies_ask_where_the_labels_are_in_doubt_on_average() -> None:
    assert order("entropy") == [2, 3, 1, 0]
    assert order("margin") == [2, 3, 1, 0]
    assert order("k-center")[0] == 2
    assert sorted(order("random")) == [0, 1, 2, 3]


def config(**changes: object) -> CapcConfig:
    return CapcConfig(**{"dataset": "digit-traits", "num_classes": 3, "n_parties": 50, "dp_noise_scale": 7} | changes)


def gaussian(sensitivity: float, sigma: float, delta: float) -> float:
    """Balle and Wang 2018, Theorem 8."""
    mean = sensitivity / sigma

    def beyond(eps: float) -> float:
        return norm.cdf(mean / 2 - eps / mean) - math.exp(eps + norm.logcdf(-mean / 2 - eps / mean)) - delta

    return float(brentq(beyond, 0, 1000))


def test_all_labels_of_a_query_are_charged_as_the_gaussian_of_their_sensitivity(traits: Dataset) -> None:
    """One record can turn 3 votes on each of 60 queries: L2 sensitivity sqrt 180, in closed form and by OpenDP."""
    import opendp.prelude as dp

    (answer,) = public_parameters(config(), traits).costs
    charged = epsilon([answer.times(60)], 1e-4)
    assert charged == pytest.approx(gaussian(math.sqrt(3 * 60), 7, 1e-4), rel=0.01)
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T=int)), dp.l2_distance(T=float)
    zcdp = dp.m.make_gaussian(*space, scale=7.0)
    rho = zcdp.map(math.sqrt(3 * 60))
    assert 60 * answer.sensitivity * answer.rho == pytest.approx(rho, rel=0.01)
    assert charged < dp.c.make_zCDP_to_approxDP(zcdp).map(math.sqrt(3 * 60)).epsilon(delta=1e-4) < 1.1 * charged


def test_noise_in_parts_is_charged_for_all_labels_too(traits: Dataset) -> None:
    (whole,) = public_parameters(config(), traits).costs
    (parts,) = public_parameters(config(noise_by="parties"), traits).costs
    assert (parts.parts, parts.sensitivity) == (50, 3)
    assert parts.rho == pytest.approx(whole.rho, rel=0.01)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"threshold": 15},
            "threshold: expected 0 with dataset digit-traits, whose labels are each a yes or no, found 15",
        ),
        ({"num_classes": 10}, "num_classes is 10, but digit-traits has 3 labels"),
        ({"missing_classes": 5}, "missing_classes: expected fewer than the 5 classes, found 5"),
    ],
)
def test_what_makes_no_sense_with_several_labels_is_refused(tmp_path: Path, changes: Any, words: str) -> None:
    run = Run(RunFolders(tmp_path / "files", tmp_path / "logs", "test"), "session", 40000)
    with pytest.raises(ConfigError, match=words):
        Capc().plan(config(**changes), run)


def test_the_analysis_of_labels_bounds_the_divergence_of_every_neighbour() -> None:
    parties, sigma, orders = 20, 3.0, np.array([1.5, 2, 4, 8])

    def yes(count: int) -> float:
        return float(norm.sf((10.5 - count) / sigma))

    for count in (1, 8, 13, 19):
        bounds = rdp_of_majorities(np.array([count, count]), parties, sigma, orders)
        for neighbour in (count - 1, count + 1):
            sides = ((yes(count), yes(neighbour)), (1 - yes(count), 1 - yes(neighbour)))
            for alpha, bound in zip(orders, bounds, strict=True):
                true = math.log(sum(p**alpha * q ** (1 - alpha) for p, q in sides)) / (alpha - 1)
                assert 2 * true <= bound * (1 + 1e-9) <= 2 * alpha / (2 * sigma**2) * (1 + 1e-9)


def test_answers_with_several_labels_survive(tmp_path: Path) -> None:
    answers = Answers(tmp_path / "answers.jsonl")
    batch = [Answer(4, (1, 0, 1), 1.5, "a"), Answer(2, (0, 0, 0), None, "a")]
    answers.add(batch)
    assert answers.read() == batch


def test_a_campaign_of_real_parties_is_the_campaign_in_the_clear(tmp_path: Path) -> None:
    with running(tmp_path, **CAMPAIGN) as run:
        report = run.finish()
        sessions = json.loads(run.folders.result("client").read_text())["queries"]
    (clear,) = simulate(CapcConfig(**QUICK | CAMPAIGN))
    assert clear.labels.tolist() == (2 * clear.counts > 4).astype(int).tolist()
    names = ["loop", "bowl", "even"]
    expected = [[name for name, bit in zip(names, row, strict=True) if bit] for row in clear.labels.tolist()]
    assert report["labels"] == names
    assert [query["predicted"] for query in sessions] == expected
    assert [query["index"] for query in sessions] == clear.records
    assert len({tuple(row) for row in expected}) > 3
    assert report["label_accuracy"] == pytest.approx((clear.labels == clear.correct).mean())
    accuracy = report["accuracy"]
    assert (accuracy["before"], accuracy["after"]) == (clear.before.overall, clear.after.overall)
    assert (accuracy["exact_before"], accuracy["exact_after"]) == (clear.before.exact, clear.after.exact)
    assert accuracy["after"] > accuracy["before"] > accuracy["exact_before"]
    assert [row["class"] for row in accuracy["by_class"]] == names
    lines = dict(Capc().summary(report).lines)
    assert lines["correct labels"] == f"{report['label_accuracy']:.0%} of loop, bowl, even"
    assert lines["all labels right"].endswith(f"{accuracy['exact_after']:.3f} after")


def test_a_summary_names_the_labels_that_hold() -> None:
    query = {"index": 0, "predicted": ["loop", "even"], "correct": [], "agree": False}
    report = {"queries": [query], "labels": ["loop", "bowl", "even"], "label_accuracy": 1 / 3}
    lines = dict(label_lines(report | {"epsilon": 1.0, "epsilon_total": 1.0, "epsilon_budget": None, "delta": "1e-5"}))
    assert lines["predicted label"] == "loop, even"
    assert lines["correct label"] == "none of loop, bowl, even"
    assert lines["correct labels"] == "33% of loop, bowl, even"
