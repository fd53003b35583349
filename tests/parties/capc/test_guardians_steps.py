"""What the guardian's program keeps of a batch, and when: its steps of one turn, faced by a querying party's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpc.capc import aggregation
from mpc.capc.batches import draw_name, querying_say_ready
from mpc.capc.budget import Spent, querying_end, querying_request_batch
from mpc.channels.memory import MemoryChannel, memory_pair, run_both_sides
from mpc.garbled.session import Evaluator, Garbler
from mpc.ring import Ring, Words
from parties.capc.config import CapcConfig
from parties.capc.openings import PartyOpenings
from parties.capc.privacy_guardian import _serve
from parties.capc.settings import GuardianSettings
from parties.frame.plan import Run, RunFolders
from parties.frame.process import Party
from parties.frame.progress import Progress
from parties.protocols import PROTOCOLS

COUNTS = np.array([[0, 2, *[0] * 8], [1, 0, 0, 1, *[0] * 6]], np.int64)  # two votes each, the second without a majority


@dataclass
class Asking:
    """The querying party's and the answering parties' ends, and their shares of the counts."""

    settings: GuardianSettings
    client: MemoryChannel
    servers: list[MemoryChannel]
    evaluator: Evaluator
    share: Words
    masks: list[Words]

    @property
    def openings(self) -> PartyOpenings:
        return PartyOpenings(self.settings.openings, "later")

    @property
    def kept(self) -> list[str]:
        return sorted(path.name for path in self.settings.openings.glob("share-*"))

    def state(self, batch: bytes) -> str:
        return self.openings.state(self.settings.turns[0].account, batch)

    def request(self, batch: bytes, queries: int = 2) -> Spent:
        return querying_request_batch(self.client, queries, batch)

    def send_masks(self) -> None:
        for server, masks in zip(self.servers, self.masks, strict=True):
            aggregation.answering_send(server, masks, self.settings.parameters.width)

    def labels(self) -> list[int]:
        querying_say_ready(self.client)
        return [int(label) for label in self.settings.parameters.release.querying(self.evaluator, self.share)]


def served(top: Path, ask: Callable[[Asking], None], **choices: Any) -> None:
    """Let the guardian serve one turn, in which `ask` plays everybody else."""
    usual = {"n_parties": 2, "n_queries": 2, "batch_size": 2, "aggregation": "direct", "dp_noise_scale": 0}
    run = Run(RunFolders(top / "files", top / "logs", "test"), "session-1", 40000)
    plan = PROTOCOLS["capc"].plan(CapcConfig(**usual | {"rejoin_s": 60} | choices), run)
    (settings,) = [one.settings for one in plan.processes if isinstance(one.settings, GuardianSettings)]
    (turn,) = settings.turns
    ring, rng = Ring(settings.parameters.width), np.random.default_rng(3)
    masks = [ring.reduce(rng.integers(0, 1 << 30, COUNTS.shape)) for _ in turn.servers]
    share = ring.reduce(COUNTS - sum(one.astype(np.int64) for one in masks))
    pairs = {name: memory_pair(name, "privacy-guardian") for name in (turn.client, *turn.servers)}
    client, far = pairs[turn.client]
    evaluator, garbler = run_both_sides(lambda: Evaluator.open(client), lambda: Garbler.open(far))
    asking = Asking(settings, client, [pairs[name][0] for name in turn.servers], evaluator, share, masks)

    def whole() -> None:
        ask(asking)
        querying_end(client)

    with Progress("privacy-guardian", top / "log", top, echo=False) as progress:
        party, channels = Party(settings, top, progress), {name: ends[1] for name, ends in pairs.items()}
        run_both_sides(whole, lambda: _serve(party, turn, channels, garbler, None))  # type: ignore[arg-type]
    assert asking.kept == []  # nothing is left of what was answered


def test_a_batch_is_opened_before_a_label_is_possible_and_repeated_for_the_same_label(tmp_path: Path) -> None:
    def ask(asking: Asking) -> None:
        batch = draw_name()
        assert asking.request(batch).queries == 2
        asking.send_masks()
        assert asking.state(batch) == "open"  # before the querying party has kept its share
        assert asking.labels() == [1, 0]
        assert asking.state(batch) == "repeat"
        assert asking.kept == [f"share-{batch.hex()}.npz"]
        assert asking.request(batch).state == "repeat"
        assert asking.labels() == [1, 0]  # no answering party has sent anything

    served(tmp_path, ask)


def test_of_a_batch_with_a_threshold_nothing_is_kept_and_it_is_never_repeated(tmp_path: Path) -> None:
    def ask(asking: Asking) -> None:
        batch = draw_name()
        assert asking.request(batch).queries == 2
        asking.send_masks()
        assert asking.labels() == [1, -1]
        assert (asking.state(batch), asking.kept) == ("closed", [])
        refused = asking.request(batch)
        assert (refused.state, refused.queries) == ("closed", 0)

    served(tmp_path, ask, threshold=2, threshold_noise_scale=0)


def test_without_rejoining_nothing_is_noted(tmp_path: Path) -> None:
    def ask(asking: Asking) -> None:
        batch = draw_name()
        for _ in range(2):  # the same name is another batch
            assert asking.request(batch).state == "open"
            asking.send_masks()
            assert asking.labels() == [1, 0]
        assert not asking.settings.openings.exists() or not list(asking.settings.openings.iterdir())

    served(tmp_path, ask, rejoin_s=0)


@pytest.mark.parametrize("budget", [3.5, 0.1])
def test_no_more_is_granted_than_the_budget_has_room_for(tmp_path: Path, budget: float) -> None:
    """One answer at scale 2 costs an epsilon of 2.95 at a delta of 10^-5."""

    def ask(asking: Asking) -> None:
        spent = asking.request(draw_name())
        assert spent.queries == (1 if budget > 1 else 0)
        assert spent.total <= spent.budget == budget
        if spent.queries:
            asking.share, asking.masks = asking.share[:1], [masks[:1] for masks in asking.masks]
            asking.send_masks()
            assert len(asking.labels()) == 1

    served(tmp_path, ask, dp_noise_scale=2, epsilon_budget=budget)
