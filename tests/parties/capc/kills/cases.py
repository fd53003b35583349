"""The scenarios, and the cases that follow from a seed.

Every combination of victim, signal and launcher comes before one comes again. The moment is random.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.launchers import tmux
from parties.capc.casting import GUARDIAN_NAME, RoleAssignment
from parties.capc.config import CapcConfig

LAUNCHER = "launcher"
SIGNALS = ("KILL", "TERM", "INT", "HUP", "STOP", "STOP+CONT")
LAUNCHERS = ("process", "tmux") if tmux.unavailable() is None else ("process",)

_SMALL = {"n_queries": 20, "batch_size": 2, "epochs": 2, "paillier_bits": 2048, "dp_noise_scale": 0}


@dataclass(frozen=True)
class Scenario:
    """A configuration to run.

    Attributes:
        choices: keys of the protocol, beside the deadlines.
        trains: whether the parties begin without models, so that there are training children.
    """

    name: str
    choices: dict[str, Any]
    trains: bool = False

    @property
    def config(self) -> CapcConfig:
        return CapcConfig(**self.choices)

    @property
    def roles(self) -> RoleAssignment:
        return RoleAssignment.of(self.config)

    @property
    def parties(self) -> tuple[str, ...]:
        return (*self.roles.clients, *self.roles.servers, GUARDIAN_NAME)


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("encrypted", {"n_parties": 2, "models": ["linear"], **_SMALL}),
        Scenario(
            "dealt",
            {"n_parties": 2, "models": ["linear"], "preprocessing": "dealer", "aggregation": "direct", **_SMALL},
        ),
        Scenario("in turn", {"n_parties": 2, "models": ["linear"], "qp_id": [0, 2], **_SMALL, "n_queries": 6}),
        Scenario(
            "training", {"n_parties": 2, "models": ["linear", "logistic-regression"], **_SMALL, "n_queries": 4}, True
        ),
    )
}

_DEALER, _CHILD = "dealer", "training child"
_KINDS = ("querying party", "answering party", "guardian", _DEALER, _CHILD, LAUNCHER)


@dataclass(frozen=True)
class Waits:
    """A run's deadlines in seconds, long where a case is not about them. `first` names the one that passes first."""

    first: str = ""
    silence_s: float = 90
    message_s: float = 90
    connect_s: float = 90
    run_s: float = 150

    @property
    def longest(self) -> float:
        """By when a run has ended in which nobody does anything."""
        return min(self.silence_s, self.message_s + self.connect_s, self.run_s)


@dataclass(frozen=True)
class Case:
    """One run and what happens to it.

    Attributes:
        number: in its seed's order. With the seed it gives the same case again.
        victim: name of a party or of a training child's party, or `launcher`.
        is_child: whether the training child of that party is the victim.
        after_event: the signal comes after this share of the victim's events. None for a moment in time.
        after_s: the moment, as a share of how long the victim lives.
        pause_s: between STOP and CONT.
    """

    number: int
    scenario: Scenario
    launcher: str
    victim: str
    is_child: bool
    signal: str
    after_event: float | None
    after_s: float
    pause_s: float
    waits: Waits

    def __str__(self) -> str:
        moment = (
            f"{self.after_s:.0%} of its time" if self.after_event is None else f"{self.after_event:.0%} of its events"
        )
        who = f"{self.victim}'s training child" if self.is_child else self.victim
        first = f", {self.waits.first} deadline" if self.waits.first else ""
        return f"{self.scenario.name}, {self.launcher}: {who}, {self.signal} after {moment}{first}"


def draw(seed: int, count: int, signals: Sequence[str] = SIGNALS) -> list[Case]:
    """Return the first `count` cases of a seed, with these signals alone."""
    combinations = [
        combination
        for combination in itertools.product(_KINDS, signals, LAUNCHERS)
        if combination[:2] != (LAUNCHER, "STOP")  # nobody is left who could end the run
    ]
    cases: list[Case] = []
    while len(cases) < count:
        in_order = random.Random(f"{seed} {len(cases)}").sample(combinations, len(combinations))
        cases += [_case(seed, len(cases) + index, *one) for index, one in enumerate(in_order)]
    return cases[:count]


def _case(seed: int, number: int, kind: str, signal: str, launcher: str) -> Case:
    rng = random.Random(f"{seed} case {number}")
    names = {_DEALER: ["dealt"], _CHILD: ["training"]}.get(kind, list(SCENARIOS))
    scenario = SCENARIOS[rng.choice(names)]
    victims = {
        "querying party": list(scenario.roles.clients),
        "answering party": list(scenario.roles.servers),
        _CHILD: list(scenario.roles.servers),
        LAUNCHER: [LAUNCHER],
    }
    by_event = kind not in (_CHILD, LAUNCHER) and rng.random() < 0.6
    return Case(
        number,
        scenario,
        launcher,
        victim=rng.choice(victims.get(kind, [GUARDIAN_NAME])),
        is_child=kind == _CHILD,
        signal=signal,
        after_event=rng.random() if by_event else None,
        after_s=rng.random(),
        pause_s=rng.uniform(0.05, 2.0),
        waits=_waits(rng, scenario) if signal == "STOP" else Waits(),
    )


def _waits(rng: random.Random, scenario: Scenario) -> Waits:
    """Return deadlines of which a random one ends a run that a stopped party holds up."""
    patience = 20 if scenario.trains else 8  # nobody says anything while the children train
    return rng.choice(
        [
            Waits("silence", silence_s=patience),
            Waits("message", message_s=8, connect_s=patience + 6),
            Waits("run", run_s=patience + 10),
        ]
    )
