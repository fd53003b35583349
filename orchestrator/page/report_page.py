"""The whole page, with the result and what it cost, or with the reason why there is no result."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator import record
from orchestrator.accounts import Accounts, in_bytes, in_time
from orchestrator.advance import advance
from orchestrator.events import PartyState
from orchestrator.page import charts, run_parts, timeline
from orchestrator.page.markup import Markup, element, joined, table
from orchestrator.record import Record
from orchestrator.scene import figure_value
from parties.frame.charts import Chart, Headline, Section
from parties.frame.errors import ConfigError
from parties.frame.plan import RunFolders, RunnableProtocol, Summary
from parties.frame.private_files import write_private

NAME = "report.html"
NOTES_SHOWN = 100
# Should some text become markup after all, a browser still fetches and runs nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass
class Page:
    """A run that was recorded, with its events, and the summary of its result if it has one."""

    folders: RunFolders
    kept: Record
    summary: Summary | None
    defaults: Mapping[str, Any]

    def __post_init__(self) -> None:
        self._events = record.read_events(self.folders, self.kept.parties)
        self._states = {name: PartyState(name) for name in self.kept.parties}
        self._accounts = Accounts(self.kept.panes)
        for name, event in self._events:
            self._states[name].apply(event)
            self._accounts.tell(name, event)
        for loss in self.kept.lost:
            self._states[loss.party].outcome = "lost"
        last = max((event.t for _, event in self._events), default=self.kept.started)
        self._ended = max(self.kept.ended or last, self.kept.started)

    def written(self) -> str:
        """Return the page as HTML."""
        head = element(
            "head",
            Markup('<meta charset="utf-8">'),
            Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
            element("title", f"{self.kept.protocol}: {self.kept.run}"),
            element("style", Markup(Path(__file__).with_name("style.css").read_text(encoding="utf-8"))),
        )
        sections = self._sections()
        links = [element("li", element("a", title, href=f"#part-{index}")) for index, (title, _) in enumerate(sections)]
        body = element(
            "body",
            self._header(),
            self._failure(),
            self._losses(),
            self._lead(),
            self._headlines(),
            self._warnings(),
            element("nav", element("ul", *links), title="Parts of this page"),
            element(
                "main",
                *(
                    element("section", element("h2", title), content, id=f"part-{index}")
                    for index, (title, content) in enumerate(sections)
                ),
            ),
        )
        return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"

    def _header(self) -> Markup:
        started = datetime.datetime.fromtimestamp(self.kept.started).astimezone()
        outcome = {"running": "ended without saying how"}.get(self.kept.outcome, self.kept.outcome)
        words = f"{started:%A, %d %B %Y, %H:%M:%S %Z} · {in_time(self._ended - self.kept.started)} · {outcome}"
        return element(
            "header", element("h1", f"{self.kept.protocol} · {self.kept.run}"), element("p", words, class_="soft")
        )

    def _lead(self) -> Markup:
        return element("p", self.summary.lead) if self.summary is not None and self.summary.lead else Markup("")

    def _headlines(self) -> Markup:
        shown = [*self._own_headlines(), *self._run_headlines()]
        boxes = [
            element(
                "div",
                element("dt", headline.name),
                element("dd", headline.value, class_="figure"),
                *([element("dd", headline.note, class_="note")] if headline.note else []),
            )
            for headline in shown
        ]
        return element("dl", *boxes, class_="headlines")

    def _own_headlines(self) -> list[Headline]:
        if self.summary is None:
            return []
        return [*self.summary.headlines] or [Headline(name, value) for name, value in self.summary.lines[:6]]

    def _run_headlines(self) -> list[Headline]:
        whole = advance(self._states.values(), self._ended)
        seconds = self._ended - self.kept.started
        made = []
        if whole is not None:
            if self.kept.outcome != "finished":
                made.append(Headline(whole.unit, f"{whole.done}", "done before it ended"))
                made += self._last_figures()
            if whole.seconds_each is not None and whole.done:
                note = f"for each of {whole.done} {whole.unit}, once they are under way"
                made.append(Headline("pace", in_time(whole.seconds_each), note))
        moved = sum(line.forth + line.back for line in self._accounts.links())
        made.append(
            Headline("whole run", in_time(seconds), f"{len(self._states)} parties, {in_bytes(moved)} between them")
        )
        return made

    def _last_figures(self) -> list[Headline]:
        """Return what the parties of a run without a result said last of their figures, such as what was spent."""
        return [
            Headline(figure.name, figure_value(figure), f"{name}, when it said so last")
            for name, state in self._states.items()
            for figure in (state.advanced.figures if state.advanced else ())
        ]

    def _failure(self) -> Markup:
        failed = self.kept.failed
        if failed is None:
            return Markup("")
        where = f" in step {failed.step}" if failed.step else ""
        heading = f"{failed.party} failed{where}" if failed.party else f"The run {self.kept.outcome}"
        parts = [element("h2", heading), element("p", failed.reason)]
        if failed.log:
            parts.append(element("p", "Read on in ", element("code", failed.log)))
        return element("section", *parts, class_="failure", role="alert")

    def _losses(self) -> Markup:
        if not self.kept.lost:
            return Markup("")
        items = element("ul", *(element("li", loss.warning) for loss in self.kept.lost))
        return element("section", element("h2", "Lost on the way"), items, class_="warning")

    def _warnings(self) -> Markup:
        if self.summary is None or not self.summary.warnings:
            return Markup("")
        items = element("ul", *(element("li", warning) for warning in self.summary.warnings))
        return element("section", element("h2", "Mind"), items, class_="warning")

    def _sections(self) -> list[tuple[str, Markup]]:
        own = [(section.title, _drawn(section)) for section in (self.summary.sections if self.summary else ())]
        if self.summary is not None and not own:
            own = [("Result", table(("", ""), self.summary.lines))]
        found = timeline.spans(self._events, self._ended)
        made = [("Timeline", run_parts.timeline_part(found, self.kept, self._ended))] if found else []
        made += [("Time and bytes", run_parts.steps_part(found, self.kept, self._accounts))] if found else []
        made += [("Links", run_parts.links_part(self._accounts))] if self._accounts.links() else []
        made.append(("Parties", run_parts.parties_part(self.kept, self._states)))
        made.append(("What they said", run_parts.notes_part(self._notes())))
        made.append(("Configuration", run_parts.configuration_part(self.kept.configuration, self.defaults)))
        made.append(("Logs", element("p", "In ", element("code", str(self.folders.logs / self.folders.run)))))
        return own + made

    def _notes(self) -> list[tuple[float, str, str]]:
        notes = [
            (event.t - self.kept.started, name, event.detail or "")
            for name, event in self._events
            if event.event in ("note", "began_again", "failed")
        ]
        return notes[-NOTES_SHOWN:]


def write(folders: RunFolders, protocol: RunnableProtocol) -> Path:
    """Write `files/<run>/report.html` from what the run has left. Raises `ConfigError` when there was no such run."""
    kept = record.read(folders)
    path = folders.files / folders.run / NAME
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    defaults = protocol.Config().model_dump(mode="json")
    page = Page(folders, kept, _summary(folders, protocol), defaults)
    write_private(path, page.written().encode())
    return path


def _summary(folders: RunFolders, protocol: RunnableProtocol) -> Summary | None:
    path = folders.files / folders.run / "result.json"
    try:
        return protocol.summary(json.loads(path.read_bytes())["result"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: expected the result of a run, found what cannot be read ({error}).") from error


def _drawn(section: Section) -> Markup:
    parts = [element("p", section.text)] if section.text else []
    for part in section.parts:
        parts.append(charts.drawn(part) if isinstance(part, Chart) else table(part.headings, part.rows, part.title))
    return joined(parts)
