"""A federation that goes on without members that never start, or that are killed between two batches."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.federations import kill
from tests.parties.capc.federations import GUARDIAN, FederationHere, federation

CHOICES = {
    "min_parties": 1,
    "quorum_wait_s": 12,
    "rejoin_s": 100,
    "n_queries": 10,
    "batch_size": 2,
    "connect_deadline_s": 100,
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FederationHere]:
    """All members but one serve."""
    with federation(tmp_path_factory.mktemp("quorum"), **CHOICES) as here:
        here.train_all()
        here.serve(GUARDIAN, "clinic-a", "clinic-b")
        yield here


def kill_for_good(here: FederationHere, name: str) -> None:
    """Kill a member's service with all its processes, as the end of its machine would."""
    here.services.pop(name).kill()
    for pid in here.processes(name):
        kill(pid)


def test_a_member_that_never_starts_is_left_out_by_name(here: FederationHere) -> None:
    before = here.charged(GUARDIAN).get("clinics/clinic-a", 0)
    result = here.result(here.start_asking("clinic-a"))
    assert (result["fewest_voters"], result["n_parties"], set(result["left_out"])) == (1, 2, {"clinic-c"})
    assert "nobody accepted a connection" in result["left_out"]["clinic-c"]
    assert here.charged(GUARDIAN)["clinics/clinic-a"] == before + 10
    assert here.charged("clinic-b") == {"clinics/clinic-b": 10}
    assert here.charged("clinic-c") == {}
    here.serve("clinic-c")
    asked = here.result(here.start_asking("clinic-a"))
    assert (asked["fewest_voters"], asked["left_out"]) == (2, {})
    assert [query["predicted"] for query in asked["queries"]] == here.expected("clinic-a")
    assert [query["predicted"] for query in result["queries"]] == here.expected("clinic-a", ["clinic-b"])


def test_a_member_that_is_killed_between_two_batches_is_left_out_of_the_rest(here: FederationHere) -> None:
    if "clinic-c" not in here.services:
        here.serve("clinic-c")
    before = {name: here.charged(name) for name in (GUARDIAN, "clinic-b", "clinic-c")}
    answered = '"step_finished", "step": "2"'  # twice in each of five batches
    stopped = here.stop("clinic-c", "clinic-a", at=answered, before=answered, times=7)
    kill_for_good(here, "clinic-c")
    result = here.result(stopped.asked)
    missed = 10 * stopped.missed
    labels = [query["predicted"] for query in result["queries"]]
    both, one = here.expected("clinic-a"), here.expected("clinic-a", ["clinic-b"])
    assert labels in [both[:count] + one[count:] for count in range(0, 12, 2)]
    gained = {name: sum(here.charged(name).values()) - sum(before[name].values()) for name in before}
    assert (gained[GUARDIAN], gained["clinic-b"]) == (10 + missed, 10 + missed)
    assert 2 <= gained["clinic-c"] - missed <= 10
    assert set(result["left_out"]) == {"clinic-c"}
    assert result["fewest_voters"] == 1
