"""Answers to given queries outlive a crash of the party that asks. None is bought twice, unless it is asked for."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mpc.capc.batches import NO_BATCH
from mpc.capc.budget import Spent
from mpc.errors import BudgetExceededError
from orchestrator.federation.shared import read_shared
from parties.capc.answers import Answer, Answers, GivenAnswers, record_digests
from parties.capc.config import CapcConfig
from parties.capc.pending import PendingBatch
from parties.capc.questions import GivenQueries
from parties.capc.settings import QueryingSettings
from parties.frame.errors import ConfigError
from parties.frame.plan import Plan, Run, RunFolders
from parties.learning.records import AskedRecords
from parties.protocols import PROTOCOLS
from tests.federations import kill
from tests.parties.capc.federations import ANSWERING, GUARDIAN, FederationHere, federation

IMAGES = np.arange(5 * 4, dtype=np.float32).reshape(5, 1, 2, 2)


def party(tmp_path: Path, run: str, answers: Path | None, images: Any = IMAGES) -> Any:
    """The querying party of a run, as its program gets it."""
    folders = RunFolders(tmp_path / "files", tmp_path / "logs", run)
    config = CapcConfig(first_query=20, n_queries=5, epsilon_budget=9.0)
    settings = PROTOCOLS["capc"].plan(config, Run(folders, f"session-{run}", 40000)).processes[0].settings
    assert isinstance(settings, QueryingSettings)
    assert settings.answers is None  # a run on one machine asks anew
    AskedRecords(images, None).write(folders.party("client") / "queries.npz")
    progress = SimpleNamespace(note=lambda _: None, advance=lambda *_: None)
    changed = settings.model_copy(update={"answers": answers})
    return SimpleNamespace(settings=changed, folder=folders.party("client"), progress=progress)


def shown(asking: Any) -> list[tuple[int, int, bool]]:
    result = json.loads((asking.folder / "result.json").read_text())
    return [(query["index"], query["predicted"], query["earlier_run"]) for query in result["queries"]]


def test_what_was_answered_before_a_crash_is_not_asked_again(tmp_path: Path) -> None:
    answers = tmp_path / "given.jsonl"
    first = GivenQueries(party(tmp_path, "one", answers))
    assert (first.images == IMAGES).all()
    first.answered(0, b"batch-0", np.array([4, 9]), Spent("", 2, 1.0, 1.5), {})
    assert answers.stat().st_mode & 0o777 == 0o600
    later = party(tmp_path, "two", answers)  # the first process was killed here
    second = GivenQueries(later)
    assert (second.images == IMAGES[2:]).all()
    assert shown(later) == [(20, 4, True), (21, 9, True)]
    assert json.loads((later.folder / "result.json").read_text())["epsilon_total"] == 1.5
    second.answered(0, b"batch-0", np.array([1]), Spent("", 1, 1.0, 2.0), {})
    second.answered(1, b"batch-1", np.array([7, 8]), Spent("", 2, 3.0, 3.0), {})
    assert shown(later) == [(20, 4, True), (21, 9, True), (22, 1, False), (23, 7, False), (24, 8, False)]
    assert len(GivenQueries(party(tmp_path, "three", answers)).images) == 0


def test_a_batch_whose_labels_are_kept_is_not_asked_again_by_its_name(tmp_path: Path) -> None:
    """The party was killed between keeping them and forgetting the batch, and the next record equals the last."""
    answers, words = tmp_path / "given.jsonl", np.ones((3, 4), np.uint64)
    pending = PendingBatch(tmp_path / "pending", durable=True)
    first, batch = GivenQueries(party(tmp_path, "one", answers)), pending.next(words, 1)
    first.answered(0, batch.name, np.array([4]), Spent("", 1, 1.0, 1.5), {})
    later, comes_back = GivenQueries(party(tmp_path, "two", answers)), PendingBatch(tmp_path / "pending", durable=True)
    assert comes_back.name == batch.name
    comes_back.settle(later.kept)
    assert comes_back.name == NO_BATCH
    assert list((tmp_path / "pending").iterdir()) == []
    assert comes_back.next(words[1:], 1).name != batch.name
    comes_back.settle(later.kept)
    assert comes_back.name != NO_BATCH


def test_an_answer_belongs_to_its_record_wherever_that_stands(tmp_path: Path) -> None:
    answers = tmp_path / "given.jsonl"
    GivenQueries(party(tmp_path, "one", answers)).answered(0, b"batch-0", np.array([4, 9]), Spent("", 2, 1.0, 1.5), {})
    order = [3, 1, 0, 1, 4]  # record 1 is asked about twice, and has one answer
    later = party(tmp_path, "two", answers, IMAGES[order])
    second = GivenQueries(later)
    assert (second.images == IMAGES[[3, 1, 4]]).all()
    assert shown(later) == [(21, 9, True), (22, 4, True)]
    second.answered(0, b"batch-0", np.array([0, 1, 2]), Spent("", 3, 1.0, 2.0), {})
    assert shown(later) == [(20, 0, False), (21, 9, True), (22, 4, True), (23, 1, False), (24, 2, False)]


def test_without_a_file_of_answers_every_run_asks_all(tmp_path: Path) -> None:
    for number in range(2):
        asking = GivenQueries(party(tmp_path, f"run-{number}", None))
        assert len(asking.images) == 5
        asking.answered(0, b"batch-0", np.arange(5), Spent("", 5, 1.0, 1.0), {})


def test_a_budget_that_ends_an_asking_keeps_what_it_has(tmp_path: Path) -> None:
    answers = tmp_path / "given.jsonl"
    first = GivenQueries(party(tmp_path, "one", answers))
    first.refused(Spent("used up", 0, 0.0, 9.0), {})
    with pytest.raises(BudgetExceededError, match="used up"):
        first.finish()
    GivenQueries(party(tmp_path, "two", answers)).answered(0, b"batch-0", np.array([4, 9]), Spent("", 2, 1.0, 8.5), {})
    later = party(tmp_path, "three", answers)
    third = GivenQueries(later)
    third.refused(Spent("used up", 0, 0.0, 8.5), {})
    third.finish()
    assert [index for index, _, _ in shown(later)] == [20, 21]
    assert json.loads((later.folder / "result.json").read_text())["refusal"] == "used up"


# -- the file ---------------------------------------------------------------------------------------------------------


def given(path: Path, images: Any = IMAGES) -> GivenAnswers:
    return GivenAnswers(path, record_digests(images))


def bought(path: Path, places: list[int]) -> None:
    digests = record_digests(IMAGES)
    Answers(path).add([Answer(place, place % 3, None, "s", digests[place]) for place in places])


def test_an_asking_is_forgotten_once_it_is_finished_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "given.jsonl"
    assert given(path).said() == ""
    given(path).delivered()
    bought(path, [0, 1])
    assert given(path).said() == (
        "2 of 5 queries were answered before this session and are not asked again, so that 3 are asked now"
    )
    given(path).delivered()
    assert sorted(given(path).known()) == [0, 1]
    bought(path, [2, 3, 4])
    assert given(path).said().endswith("so that nothing is asked, and nothing charged")
    given(path).delivered()
    assert not path.exists()


def test_answers_to_other_records_stay(tmp_path: Path) -> None:
    path = tmp_path / "given.jsonl"
    bought(path, [0, 1])
    bought(path, [3])
    few = given(path, IMAGES[2:4])
    bought(path, [2])
    few.delivered()
    assert sorted(given(path).known()) == [0, 1]
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_given_up_is_kept_in_a_file_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "given.jsonl"
    assert given(path).give_up() == ""
    for _ in range(2):
        bought(path, [0, 1])
        said = given(path).give_up()
        assert not path.exists()
        kept = Path(said.removeprefix("2 answers that were bought before are kept in ").partition(",")[0])
        assert [answer.record for answer in Answers(kept).read()] == [0, 1]
        assert kept.stat().st_mode & 0o777 == 0o600
    assert len(list(tmp_path.glob("given.given-up-*.jsonl"))) == 2


@pytest.mark.parametrize("call", ["open", "write", "fsync", "unlink", "replace"])
def test_death_while_answers_are_given_up_loses_none(tmp_path: Path, call: str) -> None:
    """They are in one file or the other, or in both."""
    for nth in range(1, 6):
        path = tmp_path / f"{nth}" / "given.jsonl"
        path.parent.mkdir()
        bought(path, [0, 1, 3])
        child = os.fork()
        if child == 0:
            _die_at(call, nth)
            given(path, IMAGES[:2]).give_up()
            os._exit(0)
        os.waitpid(child, 0)
        aside = [answer.record for kept in path.parent.glob("*.given-up-*") for answer in Answers(kept).read()]
        assert {*aside, *given(path).known()} == {0, 1, 3}


def _die_at(call: str, nth: int) -> None:
    real, count = getattr(os, call), 0

    def deadly(*arguments: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        if count == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)

    setattr(os, call, deadly)


# -- what a member's plan says ----------------------------------------------------------------------------------------


def plan(here: FederationHere, run: str, *, fresh: bool = False, **choices: Any) -> Plan:
    shared = read_shared(here.file, PROTOCOLS)
    config = shared.configuration.settings.model_copy(update=choices)
    folders = RunFolders(here.folder("clinic-a"), here.top / "logs", run)
    return PROTOCOLS["capc"].member(
        config, shared.federation, "clinic-a", "asking", Run(folders, "0" * 32, 0, fresh=fresh)
    )


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FederationHere]:
    with federation(tmp_path_factory.mktemp("asking"), rejoin_s=60, n_queries=12, batch_size=2) as here:
        yield here


def test_other_parameters_are_another_asking_and_how_circuits_are_sent_is_not(here: FederationHere) -> None:
    def answers(number: int, **choices: Any) -> Path | None:
        settings = plan(here, f"run-{number}", **choices).processes[0].settings
        assert isinstance(settings, QueryingSettings)
        return settings.answers

    same = answers(0)
    assert same is not None
    assert same.is_relative_to(here.folder("clinic-a") / "durable")
    for number, choices in enumerate(({"garbling": "three-halves"}, {"n_queries": 3}, {"batch_size": 1}), 1):
        assert answers(number, **choices) == same
    assert answers(4, ring_bits=40) != same
    with pytest.raises(ConfigError, match="fresh: expected strategy given, found entropy"):
        plan(here, "run-5", fresh=True, strategy="entropy")


# -- whole parties ----------------------------------------------------------------------------------------------------


def asked_until_killed(here: FederationHere, answered: int) -> None:
    """Ask, and kill the party that asks and its launcher once so many answers are kept."""
    here.serve(GUARDIAN, *ANSWERING)
    asked = here.start_asking("clinic-a")

    def kept() -> int:
        return sum(len(json.loads(line)) for line in _lines(here))

    here.until(lambda: kept() >= answered, f"{answered} answers are kept")
    for pid in (*here.processes("clinic-a", "ask-"), asked.pid):
        kill(pid)
    asked.communicate()
    here.until(lambda: here.processes("clinic-a", "ask-") == [], "nothing of it is left")


def _lines(here: FederationHere) -> list[bytes]:
    return [
        line
        for path in here.folder("clinic-a").glob("durable/client-clinic-a/given-*.jsonl")
        if "given-up" not in path.name
        for line in path.read_bytes().splitlines(keepends=True)
        if line.endswith(b"\n")
    ]


def test_an_asker_that_was_killed_pays_for_the_rest_alone_and_then_for_all_again(here: FederationHere) -> None:
    asked_until_killed(here, 4)
    expected = here.expected("clinic-a")
    before = sum(len(json.loads(line)) for line in _lines(here))
    assert 4 <= before < 12
    asked = here.start_asking("clinic-a")
    output, errors = asked.communicate(timeout=600)
    assert asked.returncode == 0, errors
    document = json.loads(output)
    queries = document["result"]["queries"]
    assert [query["predicted"] for query in queries] == expected
    assert sum(query["earlier_run"] for query in queries) >= before
    earlier = sum(query["earlier_run"] for query in queries)
    assert document["notes"] == [
        f"{earlier} of 12 queries were answered before this session and are not asked again, so that "
        f"{12 - earlier} are asked now"
    ]
    assert here.charged(GUARDIAN) == {"clinics/clinic-a": 12}
    assert here.charged("clinic-c") == {"clinics/clinic-c": 12}
    assert _lines(here) == []
    assert here.ask("clinic-a") == expected  # finished, so it is asked anew on purpose
    assert here.charged(GUARDIAN) == {"clinics/clinic-a": 24}


def test_an_end_between_the_last_answer_and_the_result_costs_nothing(here: FederationHere) -> None:
    settings = plan(here, "run-6").processes[0].settings
    assert isinstance(settings, QueryingSettings)
    assert settings.answers is not None
    queries = AskedRecords.read(here.folder("clinic-a") / "run-6" / "clinic-a" / "queries.npz")
    labels, digests = [number % 10 for number in range(12)], record_digests(queries.images)
    kept = [Answer(place, labels[place], None, "s", digests[place], "ab") for place in range(12)]
    Answers(settings.answers).add(kept)
    before = here.charged(GUARDIAN)
    asked = here.start_asking("clinic-a")  # whether anybody serves or not
    output, errors = asked.communicate(timeout=600)
    assert asked.returncode == 0, errors
    document = json.loads(output)
    assert [query["predicted"] for query in document["result"]["queries"]] == labels
    assert document["notes"][0].endswith("are not asked again, so that nothing is asked, and nothing charged")
    assert here.charged(GUARDIAN) == before
    assert not settings.answers.exists()


def test_what_is_given_up_is_said_and_all_is_asked_anew(here: FederationHere) -> None:
    before = here.charged(GUARDIAN).get("clinics/clinic-a", 0)  # it may be the first to use these services
    asked_until_killed(here, 2)
    kept = sum(len(json.loads(line)) for line in _lines(here))
    asked = here.start_asking("clinic-a", fresh=None)
    output, errors = asked.communicate(timeout=600)
    assert asked.returncode == 0, errors
    document = json.loads(output)
    assert not any(query["earlier_run"] for query in document["result"]["queries"])
    (note,) = document["notes"]
    assert note.endswith(", and all queries are asked anew")
    path = Path(note.partition(" are kept in ")[2].partition(",")[0])
    assert kept <= len(Answers(path).read()) < 12
    assert here.charged(GUARDIAN)["clinics/clinic-a"] >= before + 12 + kept
