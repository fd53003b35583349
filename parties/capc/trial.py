"""Single trials of a configuration, in the clear or from a run's result, as figures for a table.

Of several querying parties, `epsilon` is the largest, `labels` and `abstained` are added up, and the others are means.

- ``epsilon``: what a querying party has spent. It is infinite without noise.
- ``labels``: how many were bought, and ``abstained`` how many queries got none.
- ``right``: the share of the labels that are correct.
- ``before``, ``after``, ``gain``: accuracy on held-out records, and the difference.
- ``given_votes``: epsilon by the analysis that is not private (:mod:`mpc.dp.data_dependent`), of a trial in the clear.
"""

from __future__ import annotations

import json
import math
import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mpc.capc.release import answered
from parties.capc.casting import load_data
from parties.capc.config import CapcConfig
from parties.capc.simulation import Simulated, simulate
from parties.frame.errors import ConfigError
from parties.frame.plan import Trials
from parties.frame.trials import serve_trials
from parties.learning.models import Model
from parties.learning.parts import Dataset
from parties.learning.records import Records
from parties.learning.training import train
from parties.learning.training_settings import TrainingSettings

FIGURES = ("epsilon", "labels", "abstained", "right", "before", "after", "gain", "given_votes")

Figures = dict[str, float | int | None]

_MODELS_KEPT = 2000


class Worker:
    """Tries one configuration after the other. It keeps the dataset and the models that several of them share."""

    def __init__(self) -> None:
        self._dataset: tuple[str, Dataset] | None = None
        self._models: OrderedDict[tuple[str, str], Model] = OrderedDict()

    def figures(self, settings: dict[str, Any]) -> Figures:
        """Return the figures of one trial. Raises `ConfigError` for what cannot be tried."""
        config = CapcConfig.model_validate_json(json.dumps(settings), strict=True)
        campaigns = simulate(config, dataset=self._load(config), trainer=self._train)
        return _together([_of_campaign(one) for one in campaigns])

    def _load(self, config: CapcConfig) -> Dataset:
        key = repr((config.dataset, config.data, config.data_dir, config.code_dir))
        if self._dataset is None or self._dataset[0] != key:
            self._dataset = key, load_data(config)
        return self._dataset[1]

    def _train(self, settings: TrainingSettings, records: Records, start: Model | None = None) -> Model:
        """Train as :func:`parties.learning.training.train` does, and the same model once only."""
        if start is not None or settings.source is not None:
            return train(settings, records, start)
        key = settings.identity(), records.digest()
        if key not in self._models:
            self._models[key] = train(settings, records)
            if len(self._models) > _MODELS_KEPT:
                self._models.popitem(last=False)
        self._models.move_to_end(key)
        return self._models[key]


def _of_campaign(campaign: Simulated) -> Figures:
    got = answered(campaign.labels)
    right = None
    if campaign.correct is not None and got.any():
        right = float((campaign.labels == campaign.correct)[got].mean())
    before, after = campaign.before, campaign.after
    return {
        "epsilon": campaign.epsilon,
        "labels": int(got.sum()),
        "abstained": int((~got).sum()),
        "right": right,
        "before": None if before is None else before.overall,
        "after": None if after is None else after.overall,
        "given_votes": campaign.analysed_epsilon,
    }


def of_result(result: Mapping[str, Any]) -> Figures:
    """Return the figures of a run's result. Raises `ConfigError` for a run that was no campaign."""
    return _together([_of_report(report) for report in result.get("reports", [result])])


def _of_report(report: Mapping[str, Any]) -> Figures:
    if "strategy" not in report:
        raise ConfigError("strategy: expected a campaign, found given.")
    accuracy = report["accuracy"] or {}
    before, after = accuracy.get("before"), accuracy.get("after")
    return {
        "epsilon": math.inf if report["epsilon_total"] is None else report["epsilon_total"],
        "labels": report["answered"],
        "abstained": report["abstained"],
        "right": report["label_accuracy"],
        "before": before,
        "after": before if after is None else after,
        "given_votes": None,
    }


def _together(parties: Sequence[Figures]) -> Figures:
    """Return the figures of all querying parties together, with the gain."""

    def of(name: str) -> list[float | int]:
        return [value for one in parties if (value := one[name]) is not None]

    figures: Figures = {name: float(np.mean(of(name))) if of(name) else None for name in ("right", "before", "after")}
    figures |= {name: max(of(name), default=None) for name in ("epsilon", "given_votes")}
    figures |= {name: sum(of(name)) for name in ("labels", "abstained")}
    before, after = figures["before"], figures["after"]
    figures["gain"] = None if before is None or after is None else after - before
    return {name: figures[name] for name in FIGURES}


TRIALS = Trials(
    module="parties.capc.trial",
    figures=FIGURES,
    seed="seed",
    of_result=of_result,
    deadline_s=lambda config: float(config.run_deadline_s),
)
"""How a configuration of CaPC is tried, for the launcher."""

if __name__ == "__main__":
    sys.exit(serve_trials(Worker().figures, *sys.argv[1:3]))
