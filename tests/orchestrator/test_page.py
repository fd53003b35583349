"""The report of a run on one page: whole, from nowhere else, with every figure, and unharmed by what it is told."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from orchestrator.cli import main
from orchestrator.events import Event
from orchestrator.page import charts, report_page, run_parts, timeline
from orchestrator.record import Failed, Record
from parties.frame.charts import Chart, Headline, Section, Series, Table
from parties.frame.errors import ConfigError
from parties.frame.plan import Pane, RunFolders, Summary
from tests.orchestrator.game import Game
from tests.orchestrator.recorded import advanced, recorded, step

VOID = {"meta"}
HOSTILE = "<script>alert('x')</script>\"&"
PANES = (Pane("thrower", ("player-0",)), Pane("catchers", ("player-1", "player-2")))


class Whole(HTMLParser):
    """Fails where elements do not close in order; collects text, names, and all that a browser might fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.fetched: list[str] = []
        self.words = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.fetched += [
            value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "srcset", "data")
        ]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data + "\n"


class Shown(Game):
    """The game with something to show."""

    def summary(self, result: object) -> Summary:
        chart = Chart(
            "bars",
            f"Throws {HOSTILE}",
            ("here", HOSTILE),
            (Series("far", (1.0, None)), Series("wide", (2.0, 12.5))),
            "%",
        )
        lines = Chart("lines", "Spent", (1.0, 2.0, 3.0), (Series(HOSTILE, (1.0, 2.0, None)),), limit=("budget", 3.0))
        table = Table("Every throw", ("who", "metres"), (("player-0", "12.5"), (HOSTILE, "7")))
        return Summary(
            (("Ball", "thrown"),), (f"mind {HOSTILE}",), (Headline("metres", "12.5", "the best"),),
            (Section("Throws", "How far.", (chart, lines, table)),),
        )  # fmt: skip


def page(folders: RunFolders, game: Game) -> tuple[Whole, str]:
    path = report_page.write(folders, game)
    assert path == folders.files / folders.run / "report.html"
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    whole = Whole(text)
    assert whole.fetched == [reference for reference in whole.fetched if reference.startswith("#part-")]
    assert not re.search(r"https?:|url\(|@import", text)
    assert not whole.names & {"script", "img", "link", "iframe", "object"}
    return whole, text


def played(tmp_path: Path, name: str = "player-1", **more: object) -> RunFolders:
    events = {
        "player-0": [
            advanced(1, 0, 4),
            *step(2, 12, name),
            advanced(13, 2, 4),
            advanced(23, 4, 4),
            {"t": 24, "event": "finished"},
        ],
        name: [*step(2, 14, "player-0"), {"t": 15, "event": "note", "detail": HOSTILE}],
        "player-2": step(3, None, awaits=[name]),
    }
    panes = (PANES[0], Pane("catchers", (name, "player-2")))
    return recorded(tmp_path, panes, events, configuration={"players": 4, "label": HOSTILE}, **more)  # type: ignore[arg-type]


def test_a_finished_runs_report_has_every_figure(tmp_path: Path) -> None:
    whole, text = page(played(tmp_path, result={"ball": 1}), Shown())
    assert "<script" not in text
    for words in (
        "metres",
        "12.5",
        "How far.",
        "Every throw",
        "budget",
        "1  the only step",
        "5.00 s",
        "player-2",
    ):
        assert words in whole.words, words
    assert "1:00" in whole.words.splitlines()  # from the start to the end, and no longer
    assert whole.words.count(HOSTILE) >= 6  # as text, wherever it was given
    assert "for each of 4 throws" in whole.words
    assert "4 kB between them" in whole.words
    moved = re.sub(r"\n+", "\n", whole.words).partition("Bytes that each step moved")[2]
    assert "\nThe numbers\nstep\nall links\n1  the only step\n4 kB\n" in moved
    assert re.search(r"players\n+4\n+3\n", re.sub(r"\n+", "\n", whole.words))  # key, chosen, default
    assert "<svg" in text
    assert (
        text.count("<figure>")
        == text.count("<figcaption>")
        == len(re.findall(r"<svg><title>|<svg [^>]*><title>", text))
    )


def test_a_protocol_that_says_nothing_more_gets_a_report_of_its_lines(tmp_path: Path) -> None:
    whole, _ = page(played(tmp_path, result={"ball": "thrown"}), Game())
    assert "thrown" in whole.words
    assert "it is only a game" in whole.words
    assert "Timeline" in whole.words


def test_a_failed_runs_report_says_what_failed_where_and_what_to_read(tmp_path: Path) -> None:
    failed = Failed(f"it fell {HOSTILE}", "player-2", "1", "/logs/player-2.log")
    whole, text = page(played(tmp_path, outcome="failed", failed=failed), Shown())
    assert text.count('<section class="failure" role="alert">') == 1
    for words in ("player-2 failed in step 1", f"it fell {HOSTILE}", "/logs/player-2.log", "done before it ended"):
        assert words in whole.words, words
    assert "How far." not in whole.words  # there is no result


def test_a_run_that_did_not_begin_has_a_report_too(tmp_path: Path) -> None:
    whole, _ = page(recorded(tmp_path, PANES, {}, outcome="failed", failed=Failed("no pane")), Game())
    assert "no pane" in whole.words


def test_an_earlier_runs_report_is_written_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = played(tmp_path, result={"ball": "thrown"})
    flags = ["--report", "the-run", "--files_dir", str(folders.files), "--logs_dir", str(folders.logs)]
    assert main({"game": Game()}, flags) == 0
    assert capsys.readouterr().out == f"Report: {folders.files}/the-run/report.html\n"
    assert main({"chess": Game()}, flags) == 2
    assert capsys.readouterr().err == "report: expected a run of chess, found another protocol's.\n"
    flags[1] = "no-run"
    assert main({"game": Game()}, flags) == 2
    assert capsys.readouterr().err == "run: expected the name of a run, such as the-run, found 'no-run'.\n"


def test_a_result_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"result\.json: expected the result of a run"):
        report_page.write(played(tmp_path, result={}), Game())


def test_time_with_several_peers_at_once_counts_once() -> None:
    def event(t: float, what: str, peer: str) -> tuple[str, Event]:
        return "a", Event(what, t=t, step="1", title="x", peer=peer)

    events = [event(0, "step_started", "b"), event(1, "step_started", "c"), event(3, "step_finished", "b")]
    found = timeline.spans([*events, event(4, "step_finished", "c"), event(6, "step_started", "b")], 8)
    assert timeline.seconds_in_steps(found) == {("a", "1"): 4 + 2}
    assert timeline.united([(0, 1), (1.5, 2), (4, 5)], gap=0.5) == [(0, 2), (4, 5)]


@pytest.mark.parametrize(("most", "last"), [(1, 1), (97, 100), (0.03, 0.03), (7.61, 8), (0, 1), (123456, 150_000)])
def test_a_scale_ends_at_a_round_number_that_holds_the_largest(most: float, last: float) -> None:
    assert most <= charts.ticks(most)[-1] == pytest.approx(last)


def test_a_failed_run_shows_what_was_said_last_of_what_it_spent(tmp_path: Path) -> None:
    folders = played(tmp_path, outcome="failed", failed=Failed("it fell", "player-1", "1", None))
    _, text = page(folders, Game())
    assert "<dt>spent</dt>" in text
    assert ">2 of 10<" in text  # half of the four throws that were done
    assert "player-0, when it said so last" in text


def test_a_line_through_a_single_place_is_a_table_alone() -> None:
    one = charts.drawn(Chart("lines", "Spent", (1.0,), (Series("spent", (0.5,)),), "", "throws"))
    assert "<svg" not in one
    assert "Spent" in one
    assert "0.5" in one
    assert "<svg" in charts.drawn(Chart("lines", "Spent", (1.0, 2.0), (Series("spent", (0.5, 1.0)),)))
    drawn = charts.drawn(Chart("lines", "Spent", (1.0, 2.0, 3.0), (Series("spent", (0.0, 1.0, None)),)))
    assert 'd="M64.0 268.0 L320.0 18.0"' in drawn  # nothing spent lies on the axis
    assert re.findall(r'<circle [^>]*cy="(\d+)"', drawn) == ["268", "18"]


def test_the_name_of_an_axis_stands_under_its_middle() -> None:
    chart = Chart("lines", "Spent", (1.0, 2.0), (Series("spent", (0.5, 1.0)),), axis="queries")
    picture = str(charts.drawn(chart))
    (x,) = re.findall(r'<text x="(\S+?)"[^>]*>queries<', picture)
    grid = [(float(a), float(b)) for a, b in re.findall(r'<line x1="(\S+?)" y1="\S+?" x2="(\S+?)"', picture)]
    assert float(x) == pytest.approx(sum(grid[0]) / 2, abs=0.1)


@pytest.mark.parametrize(("second_began", "pictures"), [(4.0, 1), (6.0, 2)])
def test_what_follows_a_long_first_step_is_drawn_again(tmp_path: Path, second_began: float, pictures: int) -> None:
    kept = Record("r", "game", 100.0, 1, (Pane("p", ("alice",)),), ("alice",), {}, {}, "finished", 110.0, None)
    found = [
        timeline.Span("alice", "1", "throw", 100, 100 + second_began),
        timeline.Span("alice", "2", "catch", 100 + second_began, 110),
    ]
    assert str(run_parts.timeline_part(found, kept, 110.0)).count("<svg") == pictures


@pytest.mark.parametrize(("first", "zero"), [(0, None), (20, 15)])
def test_a_timelines_grid_stands_where_the_steps_begin_and_all_is_within_the_picture(
    first: int, zero: float | None
) -> None:
    """Its seconds are those since `zero`, or since its own begin."""
    steps = {str(number): f"step {number}" for number in range(10)}
    found = [
        timeline.Span("alice", name, title, first + int(name), first + int(name) + 0.5) for name, title in steps.items()
    ]
    page = str(timeline.drawn("run", found, ["alice"], steps, (first, first + 10), zero))
    assert ("The numbers" in page) is (zero is None)  # which count a step from its begin, so from the run's alone
    (picture,) = re.findall(r"<svg.*?</svg>", page, re.S)
    ((width, height),) = [map(float, size) for size in re.findall(r'viewBox="0 0 (\S+) (\S+)"', picture)]
    boxes = [float(x) for x in re.findall(r'd="M(\S+) ', picture)]
    grid = [float(x) for x in re.findall(r'<line x1="(\S+?)"', picture)]
    marks = [float(mark) for mark in re.findall(r'class="tick">(\d+)<', picture)]
    assert len(marks) == len(grid) >= 5
    assert [mark for mark in marks if mark in range(6, 9)]
    begins = dict(zip(range(5 if zero else 0, 15 if zero else 10), sorted(boxes), strict=True))
    for mark, x in zip(marks, grid, strict=True):
        assert int(mark) not in begins or x == pytest.approx(begins[int(mark)], abs=0.06)
    assert all(0 <= float(x) <= width for x in re.findall(r' x[12]?="(\S+?)"', picture))
    assert all(0 <= float(y) <= height for y in re.findall(r' y[12]?="(\S+?)"', picture))


def test_the_names_of_bars_are_whole_as_long_as_there_is_room_for_them() -> None:
    def named(*places: str) -> str:
        return str(charts.drawn(Chart("bars", "Catches", places, (Series("caught", (1.0,) * len(places)),))))

    assert named("ab").count('text-anchor="end">ab</text>') == 1  # it ends where the bar begins
    assert all(f">{name}</text>" in named("ab", "a-longer-name") for name in ("ab", "a-longer-name"))
    shown = named("ab", "x" * 200)
    assert ">ab</text>" in shown
    (cut,) = re.findall(r">(x+)…</text>", shown)
    assert 10 < len(cut) < 40


def test_bars_stand_beside_their_places_end_at_their_values_and_are_followed_by_them() -> None:
    series = (Series("s", (1.0, 2.0)), Series("u", (None, 4.0)))
    drawn = str(charts.drawn(Chart("bars", "T", ("a", "b"), series, "%")))
    grid = [float(x) for x in re.findall(r'<line x1="([\d.]+)" y1="4"', drawn)]
    assert [b - a for a, b in pairwise(grid)] == [129] * 4
    assert re.findall(r'<text x="([\d.]+)" y="102" text-anchor="middle" class="tick">(\d)%', drawn) == [
        (f"{x:g}", str(number)) for number, x in enumerate(grid)
    ]
    names = re.findall(r'<text x="([\d.]+)" y="([\d.]+)" text-anchor="end">(\w)', drawn)
    bars = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)" class="(\w+)"', drawn)
    values = re.findall(r'<text x="([\d.]+)" y="([\d.]+)" text-anchor="start" class="value">(\d)%', drawn)
    assert names == [("12", "27.5", "a"), ("12", "66.5", "b")]
    assert bars == [("20", "8", "129", "13", "s0"), ("20", "47", "258", "13", "s0"), ("20", "62", "516", "13", "s1")]
    for (x, y, width, height, _), (right, low, value) in zip(bars, values, strict=True):
        assert float(x) + float(width) == grid[int(value)]
        assert float(right) == grid[int(value)] + 5
        assert float(y) < float(low) < float(y) + float(height)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.12345, "0.123"),
        (12.0, "12"),
        (999.4, "999"),
        (999.6, "1000"),
        (1000.4, "1000"),
        (12345.6, "12346"),
    ],
)
def test_a_value_has_three_digits_or_all_of_its_whole_ones(value: float | None, text: str) -> None:
    drawn = charts.drawn(Chart("lines", "T", (1.0, 2.0), (Series("s", (value, 1.0)),)))
    assert re.findall(r'<td class="number">([^<]*)', str(drawn))[1] == text
