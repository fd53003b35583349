"""A campaign in the clear, with the same parts, models, choices, votes, noise and accounts, but no cryptography.

It serves to compare with a run, and to find good settings in seconds. All parties' models lie in one process here,
which is so in no run. Without noise its labels are those of a run. With noise it draws from the same distribution.

    python run_protocol.py simulation --config configs/hospitals.yaml --seeds 0,1,2
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from mpc.capc.clear import labels_of
from mpc.capc.release import answered
from mpc.dp.accountant import Cost, epsilon
from mpc.dp.data_dependent import data_dependent_epsilon
from mpc.randomness import SYSTEM, Randomness
from mpc.ring import Ring
from parties.capc.campaign import Accuracy
from parties.capc.casting import (
    RoleAssignment,
    load_data,
    public_parameters,
    refuse_missing_records,
    split_data,
    training_settings,
    with_own_queries,
    with_queries,
)
from parties.capc.config import CapcConfig
from parties.capc.releases import with_release
from parties.frame.errors import ConfigError
from parties.frame.plan import Summary
from parties.learning.labels import Labels
from parties.learning.models import Model
from parties.learning.network import fixed_point
from parties.learning.parts import AskedData, Dataset
from parties.learning.records import AskedRecords, Records
from parties.learning.selection import order_to_ask
from parties.learning.training import train
from parties.learning.training_settings import TrainingSettings
from parties.ledger import largest_within


@dataclass(frozen=True)
class Simulated:
    """The campaign of one querying party.

    Attributes:
        querying_party: number of the data owner.
        records: indices of the unlabelled records that it asked about, in order.
        labels: the labels that it got, as :data:`mpc.capc.release.Labels`.
        correct: the labels in the dataset, or None where nobody knows them.
        counts: the votes behind every answer, ``(n, classes)`` or ``(n, labels)``. In a run nobody sees them.
        before: accuracy of its own model, or None where there are no held-out records.
        after: accuracy of the model with the answers, or None likewise.
        epsilon: the epsilon that was spent.
        analysed_epsilon: the epsilon given the votes (:mod:`mpc.dp.data_dependent`). It is not private and must not be
            published. None where the analysis does not apply (noise in parts).
    """

    querying_party: int
    records: list[int]
    labels: Labels
    correct: Labels | None
    counts: Labels
    before: Accuracy | None
    after: Accuracy | None
    epsilon: float
    analysed_epsilon: float | None


class Trainer(Protocol):
    """Trains as :func:`parties.learning.training.train` does."""

    def __call__(self, settings: TrainingSettings, records: Records, start: Model | None = None) -> Model: ...


def simulate(
    config: CapcConfig,
    noise_randomness: Randomness = SYSTEM,
    dataset: Dataset | None = None,
    trainer: Trainer = train,
) -> list[Simulated]:
    """Return the campaigns of all querying parties of a configuration, each as if its account were empty.

    The dataset is the configuration's own, which is loaded unless it is given. Raises `ConfigError` for what is no
    campaign.
    """
    if config.strategy == "given":
        raise ConfigError("strategy: expected a campaign, found given.")
    roles = RoleAssignment.of(config)
    refuse_missing_records(config, roles)
    dataset = load_data(config) if dataset is None else dataset
    config = with_release(config, dataset)
    data = split_data(config, dataset)
    config = with_queries(config, data)
    answering = {
        owner: trainer(training_settings(config, dataset, index, owner), data.owned[owner])
        for index, owner in enumerate(roles.servers.values())
    }
    return [
        _campaign(config, dataset, owner, data.owned[owner], data.asked[owner], answering, noise_randomness, trainer)
        for owner in roles.clients.values()
    ]


def _campaign(
    config: CapcConfig,
    dataset: Dataset,
    owner: int,
    own: Records,
    asked: AskedData,
    answering: dict[int, Model],
    noise_randomness: Randomness,
    trainer: Trainer,
) -> Simulated:
    settings = training_settings(config, dataset, owner, owner)
    unlabelled, held_out = asked.records, asked.held_out
    before = trainer(settings, own)
    chosen = order_to_ask(config.strategy, before, own, unlabelled, config.seed, config.code_dir)[: config.n_queries]
    others = [model for other, model in answering.items() if other != owner]
    counts = _votes(config, dataset, others, unlabelled.take(chosen))

    parameters = public_parameters(config, dataset)
    query_costs = parameters.costs
    spent: list[Cost] = []
    labels = own.labels[:0]
    while len(labels) < len(chosen):
        granted = _granted(config, spent, query_costs, min(config.batch_size, len(chosen) - len(labels)))
        if granted == 0:
            break
        batch = labels_of(counts[len(labels) : len(labels) + granted], parameters, noise_randomness)
        spent += [cost.times(granted) for cost in query_costs]
        labels = np.concatenate([labels, batch])

    records, counts = chosen[: len(labels)], counts[: len(labels)]
    got = answered(labels)
    after = before
    if got.any():
        more = unlabelled.images[records[got]]
        both = Records(np.concatenate([own.images, more]), np.concatenate([own.labels, labels[got]]))
        after = trainer(settings, both, before if settings.source else None)
    total, analysed = epsilon(spent, float(config.delta)), _analysed(config, dataset, counts, got)
    return Simulated(
        owner,
        [int(record) for record in records],
        labels,
        None if unlabelled.labels is None else unlabelled.labels[records],
        counts,
        None if held_out is None else Accuracy.of(before, held_out),
        None if held_out is None else Accuracy.of(after, held_out),
        total,
        None if analysed is None else min(total, analysed),
    )


def _analysed(config: CapcConfig, dataset: Dataset, counts: Labels, got: NDArray[np.bool_]) -> float | None:
    if config.noise_parts:
        return None
    return data_dependent_epsilon(
        counts,
        float(config.sigma),
        float(config.delta),
        threshold=config.threshold,
        threshold_sigma=float(config.threshold_sigma),
        answered=got,
        majority_of=config.n_parties if dataset.labelling == "labels" else 0,
    )


def _votes(config: CapcConfig, dataset: Dataset, models: Sequence[Model], queries: AskedRecords) -> Labels:
    """Count how many of the fixed-point models vote for each class or label, ``(n, classes)``."""
    parameters = public_parameters(config, dataset)
    encoded = Ring(parameters.ring_bits).encode(queries.images, parameters.fraction_bits)
    counts = np.zeros((len(queries), parameters.classes), np.int64)
    for model in models:
        asked = config.n_queries * len(config.qp_id)
        network = fixed_point(model, parameters, asked, config.beyond_bounds)
        counts += parameters.voting_rule.votes(network.run_clear(encoded))
    return counts


def _granted(config: CapcConfig, spent: Sequence[Cost], query_costs: Sequence[Cost], requested: int) -> int:
    """Return how many of the queries the budget allows, as the ledger would."""
    if config.epsilon_budget is None:
        return requested
    delta = float(config.delta)

    def total(count: int) -> float:
        return epsilon([*spent, *(cost.times(count) for cost in query_costs)], delta)

    return largest_within(total, requested, config.epsilon_budget)


class SimulationOptions(BaseModel):
    """The flags of the command."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seeds: str = Field(
        "0",
        description="experiment seeds, comma-separated",
        json_schema_extra={"flag": True, "unit": "numbers"},
    )

    @field_validator("seeds")
    @classmethod
    def _numbers(cls, value: str) -> str:
        if not re.fullmatch("[0-9]+(,[0-9]+)*", value):
            raise ValueError(f"expected whole numbers with commas between them, such as 0,1,2, found {value!r}")
        return value


def simulation_lines(config: CapcConfig, seeds: str, dataset: Dataset | None = None) -> Iterator[tuple[str, str]]:
    """Yield what every querying party gained under each seed, and the average, as names and values."""
    dataset = load_data(config) if dataset is None else dataset
    gains = []
    for seed in seeds.split(","):
        for campaign in simulate(config.model_copy(update={"seed": int(seed)}), dataset=dataset):
            yield f"seed {seed}, party {campaign.querying_party}", _gain(campaign)
            if campaign.before is not None and campaign.after is not None:
                gains.append((campaign.before.overall, campaign.after.overall))
            if campaign.analysed_epsilon is not None:
                yield (
                    "    given the votes",
                    f"epsilon {campaign.analysed_epsilon:.3g}, by an analysis that is not private",
                )
    if gains:
        before, after = np.mean(gains, axis=0)
        yield "average", f"{before:.3f} -> {after:.3f}, {100 * (after - before):+.1f} points"


def _gain(campaign: Simulated) -> str:
    """Return what a campaign gained, as far as there are records to measure it on, and what it cost."""
    got = answered(campaign.labels)
    words = f"{got.sum()} labels"
    if campaign.before is not None and campaign.after is not None:
        words = f"{campaign.before.overall:.3f} -> {campaign.after.overall:.3f} by {words}"
    if campaign.correct is not None:
        right = (campaign.labels == campaign.correct)[got].mean() if got.any() else float("nan")
        words += f", {right:.0%} of them correct"
    return f"{words}, {(~got).sum()} abstained, epsilon {campaign.epsilon:.3g}"


def simulation(config: CapcConfig, _: Path, options: SimulationOptions) -> Summary:
    """Return what every querying party would gain, and the average, for each experiment seed."""
    config = with_own_queries(config, config.qp_id)
    dataset = load_data(config)
    return Summary(tuple(simulation_lines(config, options.seeds, dataset)), dataset.notes)
