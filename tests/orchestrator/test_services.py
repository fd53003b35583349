"""Processes without an end: they start first if the plan says so, serve, and end when all others have ended well."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable

import pytest

from orchestrator.events import Event, PartyState
from orchestrator.stuck import without_idle_services
from parties.frame.plan import Plan
from tests.orchestrator.conftest import LAUNCHERS, Game
from tests.orchestrator.test_report import Nothing, Process

launchers = pytest.mark.parametrize("launcher", LAUNCHERS)


@launchers
def test_a_service_serves_until_the_others_are_done_and_ends_well(play: Callable[..., Game], launcher: str) -> None:
    game = play("--launcher", launcher, "--scored", others=1)
    assert game.wait() == 0, game.said + game.sentence
    assert game.said.splitlines()[-1] == "Ball: thrown"
    lines = game.said.splitlines()
    order = [next(index for index, line in enumerate(lines) if words in line) for words in (
        "scorekeeper: listening", "player-0: listening", "scorekeeper: note: 2 caught", "scorekeeper: finished",
    )]  # fmt: skip
    assert order == sorted(order)  # it was ready before any player was started, and outlived them
    assert all(f"player-{number}: finished" in "\n".join(lines[: order[-1]]) for number in range(3))
    assert (game.folder / "files" / "durable" / "scorekeeper" / "book.txt").read_text() == "2\n"
    game.assert_nothing_left(result=True)


@launchers
@pytest.mark.parametrize(
    ("manner", "sentence"),
    [
        ("leaves", "scorekeeper failed in step keep: it is a service and ended before it was asked to (see "),
        ("upset", "scorekeeper failed in step keep: the book is full (see "),
        ("stubborn", "scorekeeper failed in step keep: it was asked to end and had not ended 3 s later (see "),
        ("deaf", "scorekeeper failed in step keep: it was asked to end and had not ended 3 s later (see "),
    ],
)
def test_a_service_that_ends_badly_is_named(
    play: Callable[..., Game], launcher: str, manner: str, sentence: str
) -> None:
    long = ("--throw_s", "1") if manner == "leaves" else ()  # the last throw comes after the first catch
    game = play("--launcher", launcher, "--scored", "--keeper", manner, *long, others=1)
    assert game.wait() == 1
    assert game.sentence.startswith(sentence)
    game.assert_nothing_left(result=False)


@launchers
def test_a_service_that_is_killed_while_it_serves_ends_the_run(play: Callable[..., Game], launcher: str) -> None:
    game = play("--launcher", launcher, "--scored", "--throw_s", "600", others=1)
    game.wait_until_said("player-0: begins step throw")
    os.kill(game.party("scorekeeper"), signal.SIGKILL)
    assert game.wait() == 1
    assert game.sentence.startswith("scorekeeper failed in step keep: it was ended by SIGKILL")
    game.assert_nothing_left(result=False)


@launchers
def test_a_signal_ends_a_run_with_a_service(play: Callable[..., Game], launcher: str) -> None:
    game = play("--launcher", launcher, "--scored", "--keeper", "deaf", "--throw_s", "600", others=1)
    game.wait_until_said("player-0: begins step throw")
    game.process.send_signal(signal.SIGINT)
    assert game.wait() == 130
    game.assert_nothing_left(result=False)


def test_an_idle_service_is_not_to_blame_for_the_silence_of_others(play: Callable[..., Game]) -> None:
    game = play("--launcher", "process", "--scored", "--manner", "hang", "--silence_s", "10", others=1)
    assert game.wait() == 1
    assert re.match(r"player-[12] failed in step \w+: no party said anything for 10 s", game.sentence)


def test_who_waits_for_a_service_makes_it_busy() -> None:
    def state(name: str, peer: str | None = None) -> PartyState:
        made = PartyState(name)
        made.apply(Event("step_started", t=1, step="1", peer=peer))
        return made

    keeper, archive, asker = state("keeper", "archive"), state("archive"), state("asker", "keeper")
    services = ("keeper", "archive")
    assert without_idle_services([keeper, archive, state("alone")], services) == [state("alone")]
    assert without_idle_services([keeper, archive, asker], services) == [keeper, archive, asker]
    assert without_idle_services([keeper, archive], services) == [keeper, archive]


def test_a_plan_of_services_alone_has_no_end() -> None:
    with pytest.raises(ValueError, match="found only services"):
        Plan((Process("a", "m", Nothing(), "a", serves=True),), "a", 1.0)


def test_the_record_of_a_finished_run_says_so(play: Callable[..., Game]) -> None:
    game = play("--launcher", "process", "--scored", others=1)
    assert game.wait() == 0
    assert json.loads((game.logs / "run.json").read_text())["outcome"] == "finished"
