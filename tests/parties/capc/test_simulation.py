"""The campaign in the clear spends, abstains and labels as its configuration says."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

import parties
from mpc.capc.release import ABSTAINED
from mpc.randomness import SeededRandomness
from orchestrator.cli import main
from parties.capc.config import CapcConfig
from parties.capc.simulation import simulate
from parties.protocols import PROTOCOLS

CONFIGS = Path(__file__).parents[3] / "configs"
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


def chances(counts: NDArray[np.int64], sigma: float) -> NDArray[np.float64]:
    """How likely each class is the label of each histogram, ``(n, classes)``: the sum over the winner's noisy count of
    its chance, times the chances that all others stay below it, those of a lower class strictly."""
    bound = math.ceil(12 * sigma)
    noise = np.arange(-bound, bound + 1)
    weights = np.exp(-(noise**2) / (2 * sigma**2))
    chance = weights / weights.sum()
    at_most = np.concatenate([[0.0], np.cumsum(chance)])

    def below(limits: NDArray[np.int64]) -> NDArray[np.float64]:
        result: NDArray[np.float64] = at_most[np.clip(limits + bound + 1, 0, len(chance))]
        return result

    wins = np.zeros(counts.shape)
    for label in range(counts.shape[1]):
        value = counts[:, label, None] + noise
        wins[:, label] = (
            chance
            * np.prod(
                [
                    below(value - counts[:, other, None] - (other < label))
                    for other in range(counts.shape[1])
                    if other != label
                ],
                axis=0,
            )
        ).sum(axis=1)
    return wins


@pytest.mark.parametrize("sigma", ["1", "2"])
def test_label_accuracy_is_what_the_noise_predicts(sigma: str) -> None:
    """Within 4.5 standard deviations of the correct labels that the votes and the noise lead one to expect."""
    many = SMALL | {"n_queries": 400, "unlabelled": 400, "batch_size": 400, "dp_noise_scale": sigma}
    (campaign,) = simulate(CapcConfig(**many))
    places = np.arange(len(campaign.counts))
    half, right, twice = (chances(campaign.counts, factor * float(sigma)) for factor in (0.5, 1, 2))
    assert right.sum(axis=1) == pytest.approx(1)
    for expected in (campaign.correct, campaign.counts.argmax(axis=1)):
        chance = right[places, expected]
        reach = 4.5 * np.sqrt((chance * (1 - chance)).sum())
        assert abs((campaign.labels == expected).sum() - chance.sum()) < reach
        assert half[places, expected].sum() > chance.sum() + reach  # other noise would be found out
        assert twice[places, expected].sum() < chance.sum() - reach


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


def test_no_party_uses_the_analysis_that_is_not_private() -> None:
    folder = Path(parties.__file__).parent
    users = {path.name for path in folder.rglob("*.py") if "data_dependent" in path.read_text()}
    assert users == {"simulation.py", "trial.py"}


def test_it_is_a_command_that_starts_no_party(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "campaign.yaml"
    file.write_text(yaml.safe_dump({"protocol": "capc", "capc": SMALL | {"dp_noise_scale": 0, "n_queries": 5}}))
    assert main(PROTOCOLS, ["simulation", "--config", str(file), "--seeds", "0,3"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert [line.split(":")[0] for line in lines] == ["seed 0, party 0", "seed 3, party 0", "average"]
    assert all("epsilon inf" in line for line in lines[:2])
    assert main(PROTOCOLS, ["simulation"]) == 2
    assert capsys.readouterr().err == "strategy: expected a campaign, found given.\n"
    assert main(PROTOCOLS, ["simulation", "--config", str(file), "--seeds", "0;3"]) == 2
    assert capsys.readouterr().err == (
        "seeds: expected whole numbers with commas between them, such as 0,1,2, found '0;3'.\n"
    )
