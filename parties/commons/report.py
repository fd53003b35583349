"""What is shown of a run: the results, who has lied, and the timeline of requests and their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from parties.commons import clinics
from parties.commons.questions import Histogram, Question
from parties.commons.units import agreed_rows
from parties.frame.charts import Chart, Headline, Section, Series, Table
from parties.frame.plan import Summary

_QUESTION: TypeAdapter[Question] = TypeAdapter(Question)
_SHOWN = ("policy", "request", "grant", "refuse", "revoke", "coin", "complaint", "close", "verdict", "delivered")


def summary(reports: Sequence[Mapping[str, Any]]) -> Summary:
    """Return what to show of the consumer's and the auditor's results."""
    asked, audited = reports
    answers = asked["answers"]
    lines = [(_about(one), _answer(one)) for one in answers]
    lied = who_lied(answers)
    lines.append(("who lied", ", ".join(lied) or "nobody that was noticed"))
    lines.append(("log", f"{audited['folder']}, {audited['certified']} of {audited['size']} entries certified"))
    given = [one for one in answers if "value" in one]
    if asked["privacy"]:
        lines.append(("privacy", "; ".join(asked["privacy"])))
    return Summary(
        tuple(lines),
        warnings=(*_warnings(given), *_absent(asked.get("absent", {})), *_left_out(asked.get("left_out", ()), given)),
        headlines=(
            Headline("requests", f"{len(given)} of {len(answers)}", "granted and delivered"),
            Headline("reports", str(max((one["reports"] for one in given), default=0)), "in a result, at most"),
            Headline("lied", str(len(lied)), ", ".join(lied) or "nobody that was noticed"),
            Headline("log", str(audited["certified"]), "certified entries, all of which hold"),
        ),
        sections=(*_results(answers), _timeline(audited["events"])),
        lead=f"{len(given)} aggregates of the providers' records, and nobody saw a single one."
        if any("question" in one for one in answers)
        else f"{len(given)} aggregates of the clinics' measurements, and nobody saw a single one.",
    )


def who_lied(answers: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of all parties that have lied in any request, in order."""
    found: set[str] = set()
    for one in answers:
        found |= {*one.get("aggregators_lied", ()), *one.get("trustees_lied", ()), *one.get("rejected", ())}
    return sorted(found)


def in_words(function: str, value: Mapping[str, Any]) -> str:
    """Return a result as text."""
    if "unsolvable" in value:
        return str(value["unsolvable"])
    if "counts" in value:
        return ", ".join(map(str, value["counts"]))
    if "sum" in value:
        return f"{value['sum'] / 10:g}" if function.startswith(clinics.SUM) else str(value["sum"])
    radius, texture = value["coefficients"]
    return f"{radius:.4f} radius {texture:+.4f} texture {value['intercept'] / 10:+.4f}"


def _answer(one: Mapping[str, Any]) -> str:
    if "refused" in one:
        return f"refused: {one['refused']}"
    words = one["words"] if "words" in one else in_words(one["function"], one["value"])
    return f"{words} (of {one['reports']} reports)"


def _about(one: Mapping[str, Any]) -> str:
    return str(one["about"]) if "about" in one else clinics.about(one["function"])


def _warnings(given: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return a sentence for each fault, once for all requests."""
    found: dict[str, None] = {}
    for one in given:
        for name, count in one["rejected"].items():
            found[f"{name} sent {count} reports that are not valid, and they are in no result."] = None
        for name in one["aggregators_lied"]:
            found[f"{name} has lied about its shares or sums. The results are right without it."] = None
        for name in one["aggregators_silent"]:
            found[f"{name} sent no sum. The results are right without it."] = None
        for name, why in one["trustees_lied"].items():
            found[f"{name} released a false share ({why}). The others sufficed."] = None
    return tuple(found)


def _absent(absent: Mapping[str, str]) -> tuple[str, ...]:
    """Return a sentence for each member that was not there when an asking began."""
    return tuple(
        f"{name} was not there, so that the asking went on without it ({why})." for name, why in absent.items()
    )


def _left_out(left_out: Sequence[Mapping[str, Any]], given: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return a sentence for each provider whose reports were left out, and one where results are of others."""
    sentences = [f"{one['reports']} reports of {one['name']} were left out: {one['why']}." for one in left_out]
    if left_out and len({one["reports"] + sum(one["rejected"].values()) for one in given}) > 1:
        sentences.append("So the results are of different reports.")
    return tuple(sentences)


def _results(answers: Sequence[Mapping[str, Any]]) -> list[Section]:
    sections = []
    for one in answers:
        title = _about(one)
        counts = tuple(float(count) for count in one.get("value", {}).get("counts", ()))
        if counts and min(counts) >= 0:  # noise may take a count below zero, which no bar shows
            its = _question(one)
            names, unit = (its.buckets, its.unit) if isinstance(its, Histogram) else (clinics.bucket_names(), "mm")
            heading = title if its else f"The {title}"
            chart = Chart("bars", heading, names, (Series("reports", counts),), axis=unit)
            sections.append(Section("Histogram", f"{one['reports']} reports.", (chart,)))
    rows = tuple((str(one["request"]), one["function"], _answer(one)) for one in answers)
    sections.append(Section("Requests", "", (Table("All requests", ("entry", "function", "answer"), rows),)))
    asked = {one["function"]: its for one in answers if (its := _question(one))}
    if asked:
        columns = ("function in the log", "column", "range or values", "what becomes of others")
        agreed = tuple(row for function, its in asked.items() for row in agreed_rows(its, function))
        text = "All parties agreed on this beforehand. The functions stand in the policies under these names."
        sections.append(Section("What was agreed", text, (Table("Numbers as they were counted", columns, agreed),)))
    return sections


def _question(one: Mapping[str, Any]) -> Question | None:
    return _QUESTION.validate_json(one["question"], strict=True) if "question" in one else None


def _timeline(events: Sequence[Mapping[str, Any]]) -> Section:
    rows = tuple((str(one["index"]), one["author"], one["text"]) for one in events if one["kind"] in _SHOWN)
    text = "What the log says, in its order. Everything here was verified from the copy of the log alone."
    return Section("Timeline", text, (Table("Requests, answers and what followed", ("entry", "by", "what"), rows),))
