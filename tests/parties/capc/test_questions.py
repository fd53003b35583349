"""Given queries that were answered in an earlier session are kept, and are not asked or paid for again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from mpc.capc.budget import Spent
from parties.capc.config import CapcConfig
from parties.capc.questions import GivenQueries
from parties.capc.settings import QueryingSettings
from parties.frame.plan import Run, RunFolders
from parties.protocols import PROTOCOLS


def party(tmp_path: Path, run: str, answers: Path | None) -> Any:
    """The querying party of a run with five queries, as its program gets it."""
    folders = RunFolders(tmp_path / "files", tmp_path / "logs", run)
    plan = PROTOCOLS["capc"].plan(CapcConfig(first_query=20, n_queries=5), Run(folders, f"session-{run}", 40000))
    settings = plan.processes[0].settings
    assert isinstance(settings, QueryingSettings)
    assert settings.answers is None  # a run on one machine asks anew
    progress = SimpleNamespace(notes=[], advance=lambda *_: None)
    progress.note = progress.notes.append
    changed = settings.model_copy(update={"answers": answers})
    return SimpleNamespace(settings=changed, folder=folders.party("client"), progress=progress)


def test_what_was_answered_before_a_crash_is_not_asked_again(tmp_path: Path) -> None:
    answers = tmp_path / "given.jsonl"
    first = GivenQueries(party(tmp_path, "one", answers))
    images = first.images
    assert len(images) == 5
    first.answered(0, np.array([4, 9]), Spent("", 2, 1.0, 1.5), {})
    later = party(tmp_path, "two", answers)  # the process was killed here
    second = GivenQueries(later)
    assert later.progress.notes == ["2 queries were answered in earlier sessions and are not asked again"]
    assert (second.images == images[2:]).all()
    second.answered(0, np.array([1]), Spent("", 1, 1.0, 2.0), {})
    second.answered(1, np.array([7, 8]), Spent("", 2, 3.0, 3.0), {})
    queries = second._results.queries
    assert [(query.index, query.predicted) for query in queries] == [(20, 4), (21, 9), (22, 1), (23, 7), (24, 8)]
    assert [query.epsilon for query in queries] == [1.5, 1.5, 2.0, 3.0, 3.0]
    assert len(GivenQueries(party(tmp_path, "three", answers)).images) == 0


def test_without_a_file_of_answers_every_run_asks_all(tmp_path: Path) -> None:
    for number in range(2):
        asking = GivenQueries(party(tmp_path, f"run-{number}", None))
        assert len(asking.images) == 5
        asking.answered(0, np.arange(5), Spent("", 5, 1.0, 1.0), {})
