"""A group of which so many may be lost: the run goes on and says who was, and one loss more ends it."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.dashboard import Dashboard
from orchestrator.losses import Loss, beyond_tolerance, exceeded, in_words
from orchestrator.page import report_page
from orchestrator.record import Record
from parties.frame.plan import Pane, Plan, Process, Tolerance
from tests.orchestrator.conftest import LAUNCHERS, Game, processes_of, wait_for
from tests.orchestrator.game import Game as GameProtocol
from tests.orchestrator.recorded import recorded, step
from tests.orchestrator.test_report import Nothing
from tests.orchestrator.test_scene import drawn

launchers = pytest.mark.parametrize("launcher", LAUNCHERS)
JUDGES = ("--judges", "3")


def judged(play: Callable[..., Game], *flags: str) -> Game:
    game = play(*JUDGES, *flags, others=3)
    game.wait_until_said("player-0: begins step throw")
    return game


def gone(game: Game, name: str) -> bool:
    return not any(f"/{name}/settings.json" in command for command in processes_of(game.run).values())


@launchers
def test_one_may_be_killed_and_every_report_names_it(play: Callable[..., Game], launcher: str) -> None:
    game = judged(play, "--launcher", launcher, "--throw_s", "8")
    os.kill(game.party("judge-1"), signal.SIGKILL)
    assert game.wait() == 0, game.sentence
    sentence = "judge-1 was lost in step watch: it was ended by SIGKILL"
    assert f"{sentence}. The run goes on.\n" in game.said
    assert f"warning: {sentence}. The run went on without it (see {game.logs}/judge-1.log).\n" in game.said
    assert "player-2: note: 2 of 3 judges saw it" in game.said
    assert game.said.splitlines()[-1] == "Ball: thrown"
    assert f"{sentence}. The run goes on." in (game.logs / "run.log").read_text()
    loss = {
        "party": "judge-1", "step": "watch", "reason": "it was ended by SIGKILL", "log": f"{game.logs}/judge-1.log",
    }  # fmt: skip
    files = game.folder / "files" / game.run
    assert json.loads((files / "result.json").read_text())["lost"] == [loss]
    record = json.loads((game.logs / "run.json").read_text())
    assert (record["outcome"], record["lost"]) == ("finished", [loss])
    page = (files / "report.html").read_text()
    assert f"{sentence}. The run went on without it" in page
    assert "lost, in step watch: it was ended by SIGKILL" in page
    game.assert_nothing_left(result=True)


@launchers
def test_one_may_fail_and_what_is_left_of_it_is_ended_at_once(play: Callable[..., Game], launcher: str) -> None:
    game = judged(play, "--launcher", launcher, "--judge", "stubborn", "--throw_s", "600")
    game.wait_until_said("judge-0 was lost in step watch: the sun is in my eyes. The run goes on.")
    assert gone(game, "judge-0")  # although it ignores SIGTERM
    assert not gone(game, "judge-1")
    game.process.send_signal(signal.SIGTERM)
    assert game.wait() == 143
    game.assert_nothing_left(result=False)


@launchers
@pytest.mark.parametrize("at_once", [True, False])
def test_one_loss_more_ends_the_run_and_names_group_and_losses(
    play: Callable[..., Game], launcher: str, at_once: bool
) -> None:
    game = judged(play, "--launcher", launcher, "--throw_s", "600")
    if at_once:
        game.process.send_signal(signal.SIGSTOP)  # so that it sees both at the same time
    os.kill(game.party("judge-2"), signal.SIGKILL)
    if not at_once:
        game.wait_until_said("judge-2 was lost")
        os.kill(game.party("judge-0"), signal.SIGKILL)
        assert game.wait() == 1
        assert game.sentence == (
            "judge-0 failed in step watch: it was ended by SIGKILL; at most 1 of judge-0, judge-1 and judge-2 may be "
            f"lost, and judge-2 was lost as well (see {game.logs}/judge-0.log).\n"
        )
    else:
        os.kill(game.party("judge-0"), signal.SIGKILL)
        wait_for(lambda: gone(game, "judge-0") and gone(game, "judge-2"), "the end of both")
        game.process.send_signal(signal.SIGCONT)
        assert game.wait() == 1  # and either may be named
        assert "at most 1 of judge-0, judge-1 and judge-2 may be lost, and judge-" in game.sentence
        assert "was lost as well" in game.sentence
    lost = json.loads((game.logs / "run.json").read_text())["lost"]
    assert [loss["party"] for loss in lost] == ([] if at_once else ["judge-2"])
    game.assert_nothing_left(result=False)


@launchers
def test_a_failure_elsewhere_still_ends_the_run(play: Callable[..., Game], launcher: str) -> None:
    game = judged(play, "--launcher", launcher, "--judge", "complain", "--manner", "print_and_die")
    assert game.wait() == 1
    assert game.sentence.startswith("player-1 failed in step throw: it was ended by SIGKILL after printing")
    assert [loss["party"] for loss in json.loads((game.logs / "run.json").read_text())["lost"]] == ["judge-0"]
    game.assert_nothing_left(result=False)


@launchers
def test_one_that_hangs_is_given_up_after_the_silence(play: Callable[..., Game], launcher: str) -> None:
    game = judged(play, "--launcher", launcher, "--judge", "hang", "--throw_s", "1", "--silence_s", "10")
    assert game.wait() == 0, game.sentence
    assert "judge-0 was lost in step watch: no party said anything for 10 s. The run goes on." in game.said
    game.assert_nothing_left(result=True)


def test_with_no_tolerance_left_the_hanging_one_ends_the_run(play: Callable[..., Game]) -> None:
    flags = ("--judge", "hang", "--throw_s", "1", "--silence_s", "10", "--may_lose", "0")
    game = judged(play, "--launcher", "process", *flags)
    assert game.wait() == 1
    assert game.sentence.startswith("judge-0 failed in step watch: no party said anything for 10 s")


def test_a_lost_party_before_the_others_start_is_not_waited_for(play: Callable[..., Game]) -> None:
    game = play("--launcher", "process", *JUDGES, "--judge", "complain", "--scored", others=4)
    assert game.wait() == 0, game.sentence
    assert "judge-0 was lost in step throw: expected a ball, found a brick" in game.said
    game.assert_nothing_left(result=True)


def test_the_keys_of_a_lost_party_stay_until_the_end(play: Callable[..., Game]) -> None:
    game = judged(play, "--launcher", "process", "--throw_s", "600")
    os.kill(game.party("judge-1"), signal.SIGKILL)
    game.wait_until_said("judge-1 was lost")
    folder = game.folder / "files" / game.run / "judge-1"
    assert (folder / "key.pem").exists()
    game.process.send_signal(signal.SIGTERM)
    assert game.wait() == 143
    wait_for(lambda: not folder.exists(), "the teardown")
    game.assert_nothing_left(result=False)


@launchers
def test_who_talks_to_the_lost_one_over_tls_goes_on_with_the_others(play: Callable[..., Game], launcher: str) -> None:
    """The peer that is killed ends a conversation in the middle, and no other conversation."""
    game = play("--launcher", launcher, module="witnesses", players=0, others=3)
    game.wait_until_said("reader: begins step 2 (ask)")
    os.kill(game.party("witness-1"), signal.SIGKILL)
    assert game.wait() == 0, game.sentence
    assert "witness-1 was lost in step 2: it was ended by SIGKILL. The run goes on.\n" in game.said
    assert re.search(
        r"reader: note: goes on without witness-1: witness-1: the (peer closed the )?connection", game.said
    )
    files = game.folder / "files" / game.run
    result = json.loads((files / "result.json").read_text())
    assert [loss["party"] for loss in result["lost"]] == ["witness-1"]
    assert result["result"] == {"lost": ["witness-1"], "heard": ["witness-0 yes", "witness-2 yes"]}
    game.assert_nothing_left(result=True)


def test_the_dashboard_and_the_report_show_it_in_words(tmp_path: Path) -> None:
    panes = (Pane("thrower", ("player-0",)), Pane("judges", tuple(f"judge-{index}" for index in range(30))))
    events = {"player-0": step(1, None), "judge-7": step(1, None)}
    folders = recorded(tmp_path, panes, events, outcome="running")
    path = folders.logs / folders.run / "run.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"lost": [{"party": "judge-7", "step": "1", "reason": "it fell"}]}))
    dashboard = Dashboard(folders)
    assert dashboard.look()
    for size in ((110, 60), (80, 14)):  # alone in its row also where the others share one
        picture = drawn(dashboard, *size)
        assert "judge-7 was lost in step 1: it fell" in picture
        assert any(line.split()[:2] == ["judge-7", "lost"] for line in picture.splitlines()), picture
    page = report_page.write(folders, GameProtocol()).read_text()
    assert "judge-7 was lost in step 1: it fell. The run went on without it." in page


def test_a_record_without_losses_can_still_be_read(tmp_path: Path) -> None:
    folders = recorded(tmp_path, (Pane("a", ("a",)),), {})
    path = folders.logs / folders.run / "run.json"
    content = json.loads(path.read_text())
    del content["lost"]
    path.write_text(json.dumps(content))
    dashboard = Dashboard(folders)
    assert dashboard.scene.lost == ()
    assert isinstance(dashboard._record, Record)


def plan(*tolerances: Tolerance, reporter: str = "r") -> Plan:
    return Plan(tuple(Process(name, "m", Nothing(), name) for name in "rabc"), reporter, 1.0, tolerates=tolerances)


def test_only_what_a_group_cannot_spare_is_fatal() -> None:
    three = plan(Tolerance(("a", "b", "c"), 1))
    assert beyond_tolerance(three, [], ["a"]) == set()
    assert beyond_tolerance(three, [], ["a", "b"]) == {"a", "b"}
    assert beyond_tolerance(three, ["a"], ["b"]) == {"b"}
    assert beyond_tolerance(three, ["a"], ["r"]) == {"r"}
    assert beyond_tolerance(three, [], ["a", "r"]) == {"r"}
    assert beyond_tolerance(plan(Tolerance(("a", "b"), 2), Tolerance(("c",), 0)), ["a"], ["b", "c"]) == {"c"}


def test_losses_in_words() -> None:
    group = Tolerance(("a", "b", "c"), 1)
    assert exceeded(group, "a", ["a", "b", "z"]) == "at most 1 of a, b and c may be lost, and b was lost as well"
    assert exceeded(group, "a", ["b", "c"]) == "at most 1 of a, b and c may be lost, and b and c were lost as well"
    assert exceeded(Tolerance(("a",), 0), "a", ["a"]) == "at most 0 of a may be lost"
    assert in_words([f"n{index}" for index in range(40)]) == "the 40 from n0 to n39"
    assert str(Loss("a", "it fell.")) == "a was lost: it fell"
    assert Loss("a", "it fell", "2", "/x").warning == (
        "a was lost in step 2: it fell. The run went on without it (see /x)."
    )


@pytest.mark.parametrize(
    ("tolerances", "words"),
    [
        ((Tolerance(("a", "z"), 1),), "expected names of processes, found z"),
        ((Tolerance(("a", "b"), 1), Tolerance(("b", "c"), 1)), "at most one group"),
        ((Tolerance(("a", "r"), 1),), "no reporter"),
    ],
)
def test_a_plan_that_contradicts_itself_is_refused(tolerances: tuple[Tolerance, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        plan(*tolerances)


def test_a_group_cannot_lose_more_than_it_has() -> None:
    with pytest.raises(ValueError, match="expected 0 to 2 losses, found 3"):
        Tolerance(("a", "b"), 3)
