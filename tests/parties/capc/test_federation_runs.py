"""Short forms of the runs of a federation: members that are killed and come back, and services that go on and on."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from parties.capc.odometer import MOST_TIMES_AGAIN
from tests.parties.capc import soak
from tests.parties.capc.federations import ANSWERING, GUARDIAN, FederationHere
from tests.parties.capc.slow_link.__main__ import PATIENT, carry_out
from tests.parties.capc.slow_link.kills import ACCOUNT, accounting
from tests.parties.capc.slow_link.members import MEMBERS, found
from tests.slow_networks import loopback


@pytest.mark.slow
def test_members_that_are_killed_cost_no_label_and_no_charge(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    chosen = argparse.Namespace(queries=12, batch=2, kills=3, seed=2, longest_s=3.0, no_refusals=True)
    status = carry_out(tmp_path, loopback(MEMBERS), chosen)
    said = capfd.readouterr().out
    assert status == 0, said
    assert "3 kills: {'trustee': 1, 'clinic-a': 1, 'clinic-b': 1}" in said


@pytest.mark.slow
def test_services_stay_as_they_are_also_after_sessions_that_fail(tmp_path: Path) -> None:
    with services(tmp_path) as (here, labels):
        samples, faults = soak.soak(here, labels, sessions=4, disturb=3)
    steady = [fault for fault in faults if "processes" not in fault]
    assert steady == []
    assert len(samples) == 4 * 4


@contextmanager
def services(top: Path) -> Iterator[tuple[FederationHere, list[str]]]:
    here, labels = found(top, loopback(MEMBERS), 10, batch_size=5, **PATIENT)
    try:
        yield here, labels
    finally:
        for service in here.services.values():
            service.terminate()
        for service in here.services.values():
            service.wait(60)


# -- what the runs look at ---------------------------------------------------------------------------------------------


def accounts(tmp_path: Path, ledger: list[tuple[str, int]], odometer: list[tuple[str, int]]) -> FederationHere:
    """Accounts with these batches and numbers of queries, all of which were opened."""
    guardian = tmp_path / GUARDIAN / "durable" / GUARDIAN
    _write(guardian / "ledger.jsonl", ACCOUNT, ledger)
    _write(guardian / "openings" / "opened.jsonl", ACCOUNT, ledger)
    for owner in ANSWERING:
        _write(tmp_path / owner / "durable" / f"owner-{owner}" / "odometer.jsonl", f"clinics/{owner}", odometer)
    return FederationHere(tmp_path)


def _write(path: Path, account: str, batches: list[tuple[str, int]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (
        f'{{"account": "{account}", "batch": "{batch}", "costs": [{f"""{{"count": {count}}}""" if count else ""}]}}\n'
        for batch, count in batches
    )
    path.write_text("".join(lines))


def test_the_count_finds_a_charge_that_is_lost_or_doubled(tmp_path: Path) -> None:
    whole = [("a", 2), ("b", 2)]
    assert accounting(accounts(tmp_path, whole, [*whole, ("b", 0)]), 4) == []
    assert len(accounting(accounts(tmp_path, whole, whole), 6)) == 1 + len(ANSWERING)
    lost = accounting(accounts(tmp_path, whole[:1], whole), 4)
    assert lost == ["expected 4 queries in the guardian's ledger, all opened, found 2, of which 0 were not opened"]
    doubled = accounting(accounts(tmp_path, [*whole, ("b", 2)], whole), 4)
    assert "found 1 charged again" in doubled[0]
    again = [*whole, *[("b", 0)] * MOST_TIMES_AGAIN, ("b", 2)]
    assert accounting(accounts(tmp_path, whole, again), 4) == []
    too_soon = [*whole, *[("b", 0)] * (MOST_TIMES_AGAIN - 1), ("b", 2)]
    assert len(accounting(accounts(tmp_path, whole, too_soon), 4)) == len(ANSWERING)


def test_the_soak_finds_what_grows() -> None:
    steady = [soak.Sample(session, GUARDIAN, 1000, 2000, 10, 20) for session in range(1, 51)]
    assert soak.unsteady(steady) == []
    assert soak.unsteady([soak.Sample(1, GUARDIAN, 1, 1, 1, 1), *steady[1:]]) == []  # not settled yet
    grown = [*steady[:-1], soak.Sample(50, GUARDIAN, 1051, 1899, 11, 21)]  # one file more at the end is no leak
    assert [fault.split()[1] for fault in soak.unsteady(grown)] == ["resident", "processes"]
    leaking = [soak.Sample(session, GUARDIAN, 1000, 2000, 10 + session // 15, 20) for session in range(1, 51)]
    assert soak.unsteady(leaking) == [f"{GUARDIAN}: files at most 11, then at least 12"]
