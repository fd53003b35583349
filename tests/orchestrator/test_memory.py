"""What a run says of memory before it starts."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from orchestrator.memory import Memory, check, needed
from parties.frame.errors import ConfigError
from parties.frame.plan import Plan, Process
from parties.frame.settings import Strict

GB = 1_000_000_000


def plan(count: int, each: int, others: int = 0) -> Plan:
    processes = tuple(Process(f"p{n}", "m", Strict(), "p", memory_bytes=each) for n in range(count))
    return Plan(processes, "p0", 1.0, memory_bytes=others)


def test_what_fits_is_not_mentioned_and_what_is_scarce_is_warned_of_with_the_numbers() -> None:
    some = plan(100, 30_000_000, GB)
    assert needed(some, panes=False) == 4 * GB
    assert check(some, Memory(8 * GB, 4 * GB), panes=False) is None
    said = check(some, Memory(8 * GB, 4 * GB - 1), panes=False)
    assert said == (
        "memory: 100 processes take about 4.0 GB, by figures that were measured, and 4.0 GB of 8.0 GB are left"
    )
    assert check(some, Memory(8 * GB, 4 * GB), panes=True) is not None  # a pane has a process of its own


def test_a_run_that_no_machine_of_this_size_could_hold_is_refused() -> None:
    words = (
        "memory: 100 processes take about 4.0 GB, by figures that were measured. Expected a machine that has as much, "
    )
    with pytest.raises(ConfigError, match=re.escape(f"{words}found 3.9 GB.")):
        check(plan(100, 30_000_000, GB), Memory(3_900_000_000, GB), panes=False)


def test_where_nothing_is_known_nothing_is_said() -> None:
    assert check(plan(9, 0, GB), Memory(1, 1), panes=True) is None
    assert check(plan(9, GB), None, panes=False) is None


def test_this_machine_says_what_it_has() -> None:
    found = Memory.of_this_machine()
    assert found is not None
    assert GB // 4 < found.total < 10_000 * GB
    assert found.left <= found.total
    assert check(replace(plan(2, found.total)), replace(found, total=3 * found.total), panes=False) is not None
