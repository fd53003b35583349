"""The campaign in the clear spends, abstains and labels as its configuration says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from mpc.randomness import SeededRandomness
from mpc.release import ABSTAINED
from parties.capc_config import CapcConfig
from parties.simulation import simulate

CONFIGS = Path(__file__).parents[2] / "configs"
SMALL = {
    "strategy": "margin",
    "models": "logistic-regression",
    "n_parties": 5,
    "missing_classes": 3,
    "unlabelled": 300,
    "n_queries": 20,
    "dp_noise_scale": 1,
    "delta": "1e-4",
}


def test_the_same_noise_gives_the_same_labels_and_the_budget_ends_them() -> None:
    config = CapcConfig(**SMALL, epsilon_budget=20)
    (first,), (second,) = (simulate(config, SeededRandomness(b"same")) for _ in range(2))
    assert first.labels.tolist() == second.labels.tolist()
    assert 0 < len(first.labels) < 20
    assert first.epsilon <= 20


def test_without_noise_the_labels_are_the_majority() -> None:
    (campaign,) = simulate(CapcConfig(**SMALL | {"dp_noise_scale": 0}))
    assert campaign.labels.tolist() == campaign.counts.argmax(axis=1).tolist()
    assert (campaign.counts.sum(axis=1) == 5).all()


def test_those_who_abstain_disagreed() -> None:
    (campaign,) = simulate(CapcConfig(**SMALL | {"threshold": 4, "threshold_noise_scale": 0}))
    assert ((campaign.counts.max(axis=1) < 4) == (campaign.labels == ABSTAINED)).all()
    assert 0 < (campaign.labels == ABSTAINED).sum() < 20


@pytest.mark.slow
def test_the_hospitals_gain_ten_points_for_epsilon_ten() -> None:
    keys = yaml.safe_load((CONFIGS / "hospitals.yaml").read_text())["capc"]
    campaigns = simulate(CapcConfig(**keys))
    gains = [campaign.after.overall - campaign.before.overall for campaign in campaigns]
    assert np.mean(gains) > 0.1
    for campaign in campaigns:
        assert campaign.epsilon <= 10
        assert len(campaign.labels) == 21
