"""The page of a report about a CaPC result. It has headlines, and for each querying party the use of its labels.

Everything comes from what the querying parties published (`parties/capc/results.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from parties.frame.charts import Chart, Headline, Section, Series, Table

STEPS = {
    "0": "start: models, keys, connections",
    "0'": "preprocessing, ahead of the query",
    "1a": "private inference",
    "1c": "vote",
    "2": "sum of the votes, and noise",
    "3": "release of the label",
    "4": "training again",
}
QUERIES_SHOWN = 200  # of each querying party, in the table of labels

Report = Mapping[str, Any]


def compared(query: Mapping[str, Any]) -> bool:
    """Tell whether the truth of a query is known, so that its label can be called right or wrong."""
    return "agree" in query


def lead(reports: Sequence[Report]) -> str:
    """Return the result in one sentence: labels, how many are right, what they changed, and what they cost."""
    queries = [query for report in reports for query in report["queries"] if not query["abstained"]]
    right = [query["agree"] for query in queries if compared(query)]
    campaigns = [report for report in reports if "strategy" in report]
    measured = _measured(reports)
    labels = f"{len(queries)} label{'' if len(queries) == 1 else 's'}{' bought' if campaigns else ''}"
    parts = [labels + (f" by {len(reports)} parties" if len(reports) > 1 else "")]
    if right:
        of = "them" if len(right) == len(queries) else f"the {len(right)} whose truth is known"
        words = f"{sum(right) / len(right):.0%} of {of} right"
        parts.append(words if len(queries) > 1 else "right" if right[0] else "wrong")
    if measured:
        gained = _mean([_after(report["accuracy"]) - report["accuracy"]["before"] for report in measured])
        parts.append(f"model {100 * gained:+.1f} points" + (" on average" if len(measured) > 1 else ""))
    parts += dict.fromkeys(f"{turnout_words(report)} answered" for report in reports if report.get("left_out"))
    total, budget = _largest(reports, "epsilon_total"), reports[0]["epsilon_budget"]
    parts.append(f"epsilon {_number(total)}{of_budget(total, budget)}")
    if any(report.get("owners") for report in reports):
        lost, allowed = _largest(reports, "owner_epsilon"), reports[0]["owner_epsilon_budget"]
        parts.append(f"{_number(lost)}{of_budget(lost, allowed)} for a data owner")
    return ", ".join(parts)


def turnout_words(report: Report) -> str:
    """Return how many of the parties answered, the fewest on any batch."""
    return f"{report['fewest_voters']} of {report['n_parties']}"


def of_budget(spent: float | None, budget: float | None) -> str:
    """Return the budget beside what was spent, marked where it is exceeded. It is empty without a budget."""
    if budget is None:
        return ""
    return f" of {budget:g}" + (", OVER THE BUDGET" if spent is None or spent > budget else "")


def _largest(reports: Sequence[Report], key: str) -> float | None:
    """Return the largest epsilon, or None where one has no bound."""
    values = [report.get(key, 0.0) for report in reports]
    return None if None in values else max(values)


def _number(epsilon: float | None) -> str:
    return "without bound" if epsilon is None else f"{epsilon:.3g}"


def headlines(reports: Sequence[Report]) -> tuple[Headline, ...]:
    """Return what the labels changed, what they cost in privacy, and how many there are."""
    campaigns = [report for report in reports if "strategy" in report]
    measured = _measured(reports)
    made = [_accuracy(measured)] if measured else [] if campaigns else _labels(reports)
    answered, abstained = (sum(report[key] for report in reports) for key in ("answered", "abstained"))
    right = [
        query["agree"]
        for report in reports
        for query in report["queries"]
        if not query["abstained"] and compared(query)
    ]
    correct = f"{sum(right)} of them correct, " if campaigns and right else ""
    made.append(Headline("queries answered", str(answered), f"{correct}{abstained} abstained"))
    made.append(_epsilon(reports))
    made.append(Headline("trusted", "nobody alone", "all keep to the protocol, guardian and asker do not collude"))
    return tuple(made)


def sections(reports: Sequence[Report]) -> tuple[Section, ...]:
    """Return sections with the accuracy before and after, epsilon over the queries, and the labels themselves."""
    named = [(name_of(report), report) for report in reports]
    campaigns = [(name, report) for name, report in named if report.get("accuracy")]
    made = [_before_and_after(campaigns), _by_class(campaigns)] if campaigns else []
    asked = [(name, report) for name, report in named if report["queries"]]
    if asked:
        made += [_privacy(asked, named), _label_section(asked)]
    elif refused := _refused(named):
        made.append(Section("Privacy", "Nobody got a label.", refused))
    if any(report.get("left_out") for report in reports):
        made.append(_left_out(named))
    lines = dict.fromkeys(line for report in reports for line in report["trust"])
    made.append(Section("Trust", parts=(Table("", ("who has to keep to what",), tuple((line,) for line in lines)),)))
    return tuple(made)


def _left_out(named: Sequence[tuple[str, Report]]) -> Section:
    rows = tuple(
        (name, party, reason) for name, report in named for party, reason in (report.get("left_out") or {}).items()
    )
    votes = ", ".join(f"{turnout_words(report)} for {name}" for name, report in named if report.get("left_out"))
    text = f"Not all parties voted on every query. The fewest were {votes}. The noise is the same for fewer votes."
    return Section("Who voted", text, (Table("Left out", ("querying party", "party", "why"), rows),))


def name_of(report: Report) -> str:
    """Return the name of a querying party: its own, or its number where there may be several."""
    own = report.get("name")
    return own or (f"party {report['querying_party']}" if "strategy" in report else "the querying party")


def label_words(label: Any) -> str:
    """Return a label for people, of several labels those that hold. A dash where the parties abstained."""
    if label is None:
        return "–"
    if isinstance(label, bool):
        return "true" if label else "false"
    return (", ".join(label) or "none") if isinstance(label, list) else str(label)


def _measured(reports: Sequence[Report]) -> list[Report]:
    """Return the campaigns that had held-out records to measure accuracy on."""
    return [report for report in reports if report.get("accuracy")]


def _accuracy(campaigns: Sequence[Report]) -> Headline:
    before = _mean([report["accuracy"]["before"] for report in campaigns])
    after = _mean([_after(report["accuracy"]) for report in campaigns])
    over = f"mean of {len(campaigns)} querying parties, " if len(campaigns) > 1 else ""
    sizes = sorted({report["accuracy"]["held_out_records"] for report in campaigns})
    held_out = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    note = f"before and after: {100 * (after - before):+.1f} points, {over}on {held_out} held-out records"
    return Headline("accuracy", f"{100 * before:.1f} → {after:.1%}", note)


def _labels(reports: Sequence[Report]) -> list[Headline]:
    queries = [query for report in reports for query in report["queries"]]
    if len(queries) == 1:
        (query,) = queries
        correct = f"correct label {label_words(query['correct'])}" if compared(query) else ""
        return [Headline("label", "abstained" if query["abstained"] else label_words(query["predicted"]), correct)]
    agreeing = [query["agree"] for query in queries if compared(query)]
    if queries and not agreeing:
        return []
    return [Headline("correct labels", f"{sum(agreeing)} of {len(agreeing)}", "compared with the dataset's own")]


def _epsilon(reports: Sequence[Report]) -> Headline:
    delta = f"at delta {float(reports[0]['delta']):g}"
    each = "; the highest of the querying parties" if len(reports) > 1 else ""
    total, run = _largest(reports, "epsilon_total"), _largest(reports, "epsilon")
    if total is None:
        return Headline("epsilon spent in all runs", "without bound", "there is no noise, and so no privacy")
    note = f"{_number(run)} of it in this run, {delta}{each}"
    if any(report.get("owners") for report in reports):
        lost, allowed = _largest(reports, "owner_epsilon"), reports[0]["owner_epsilon_budget"]
        note += f"; a data owner's records have lost {_number(lost)}{of_budget(lost, allowed)} to all who asked"
    limit = of_budget(total, reports[0]["epsilon_budget"])
    return Headline("epsilon spent in all runs", f"{total:.3g}{limit}", note)


def _before_and_after(campaigns: Sequence[tuple[str, Report]]) -> Section:
    names = tuple(f"{name} ({report['model']})" for name, report in campaigns)
    accuracies = [report["accuracy"] for _, report in campaigns]
    chart = Chart(
        "bars", "Accuracy on held-out records, before and after the labels", names,
        (
            Series("before", tuple(_percent(accuracy["before"]) for accuracy in accuracies)),
            Series("after", tuple(_percent(_after(accuracy)) for accuracy in accuracies)),
        ), "%", "querying party", most=100.0,
    )  # fmt: skip
    known = any(compared(query) for _, report in campaigns for query in report["queries"])
    rows = []
    for name, report in campaigns:
        accuracy = report["accuracy"]
        gained = 100 * (_after(accuracy) - accuracy["before"])
        share = "–" if report["label_accuracy"] is None else f"{report['label_accuracy']:.0%}"
        bought = (str(report["own_records"]), str(report["answered"]), *((share,) if known else ()))
        rows.append((name, report["strategy"], *bought, f"{gained:+.1f}"))
    correct = ("of them correct",) if known else ()
    headings = ("querying party", "chooses by", "own records", "labels bought", *correct, "points gained")
    text = "Each querying party trains on its own records, asks about others, and trains again with the labels it got."
    return Section("Accuracy", text, (chart, Table("", headings, tuple(rows))))


def _by_class(campaigns: Sequence[tuple[str, Report]]) -> Section:
    charts = []
    kind = "label" if campaigns[0][1]["labels"] else "class"
    for name, report in campaigns:
        classes = report["accuracy"]["by_class"]
        places = tuple(
            f"{kind} {entry['class']}" + ("" if entry["own_records"] else " (no own record)") for entry in classes
        )
        charts.append(
            Chart(
                "bars", f"Accuracy of {name} by {kind}", places,
                (
                    Series("before", tuple(_percent(entry["before"]) for entry in classes)),
                    Series("after", tuple(_percent(entry["after"]) for entry in classes)),
                ), "%", kind, most=100.0,
            )
        )  # fmt: skip
    text = f"What a party has no record of, only labels from others can teach it: look at every {kind} without one."
    return Section(f"Accuracy by {kind}", text, tuple(charts))


def _refused(named: Sequence[tuple[str, Report]]) -> tuple[Table, ...]:
    """Return a table of the parties whose budget ended, also of those that got nothing."""
    rows = tuple((name, report["refusal"]) for name, report in named if report.get("refusal"))
    return (Table("Ended by the budget", ("querying party", "why"), rows),) if rows else ()


def _privacy(asked: Sequence[tuple[str, Report]], named: Sequence[tuple[str, Report]]) -> Section:
    budget = asked[0][1]["epsilon_budget"]
    if all(query["epsilon"] is None for _, report in asked for query in report["queries"]):
        return Section("Privacy", "There is no noise: epsilon has no bound. The labels give no differential privacy.")
    spent = {name: [query["epsilon"] for query in report["queries"]] for name, report in asked}
    chart = Chart(
        "lines", "Epsilon spent after each query", _places(asked),
        tuple(Series(name, _padded(values, asked)) for name, values in spent.items()),
        axis="queries answered", limit=None if budget is None else (f"budget {budget:g}", budget),
    )  # fmt: skip
    delta = float(asked[0][1]["delta"])
    text = (
        f"How much the labels may tell about any single training record of an answering party, at delta {delta:g}: "
        "data-independent, composed over all that the querying party ever asked. A batch is charged at once, before it "
        "is answered."
    )
    return Section("Privacy", text, (chart, *_refused(named)))


def _label_section(asked: Sequence[tuple[str, Report]]) -> Section:
    queries = {name: report["queries"] for name, report in asked}
    known = any(compared(query) for those in queries.values() for query in those)
    parts: list[Chart | Table] = [
        Chart("bars", "What became of the queries", tuple(queries), _outcomes(queries, known), "", "querying party")
    ]
    if known and max(map(len, queries.values())) > 1:
        running = tuple(Series(name, _padded(_running_share(those), asked)) for name, those in queries.items())
        title = "Share of labels so far that are correct"
        parts.append(Chart("lines", title, _places(asked), running, "%", "queries answered", most=100.0))
    headings = ("querying party", "record", "label", *(("correct label", "agree") if known else ()))
    headings += ("epsilon by then", "asked")
    rows = [
        (
            name, str(query["index"]), label_words(query["predicted"]), *(_truth(query) if known else ()),
            "∞" if query["epsilon"] is None else f"{query['epsilon']:.3g}",
            "in an earlier run" if query["earlier_run"] else "now",
        )
        for name, those in queries.items() for query in those[:QUERIES_SHOWN]
    ]  # fmt: skip
    parts.append(Table("Every label", headings, tuple(rows)))
    return Section("Labels", "", tuple(parts))


def _outcomes(queries: Mapping[str, Sequence[Mapping[str, Any]]], known: bool) -> tuple[Series, ...]:
    """Return how many labels were correct and wrong where the truth is known, how many others there are, and none."""

    def counted(title: str, test: Callable[[Mapping[str, Any]], bool]) -> Series:
        return Series(title, tuple(sum(map(test, those)) for those in queries.values()))

    made = []
    if known:
        made.append(counted("correct label", lambda query: compared(query) and query["agree"]))
        made.append(
            counted("wrong label", lambda query: compared(query) and not query["agree"] and not query["abstained"])
        )
    unknown = counted("label", lambda query: not compared(query) and not query["abstained"])
    if any(unknown.values):
        made.append(unknown)
    return (*made, counted("abstained", lambda query: bool(query["abstained"])))


def _truth(query: Mapping[str, Any]) -> tuple[str, str]:
    """Return the correct label and whether it was given, or dashes where nobody knows it."""
    if not compared(query):
        return "–", "–"
    agree = "yes" if query["agree"] else "abstained" if query["abstained"] else "no"
    return label_words(query["correct"]), agree


def _running_share(queries: Sequence[Mapping[str, Any]]) -> list[float | None]:
    shares: list[float | None] = []
    right = labelled = 0
    for query in queries:
        right += compared(query) and bool(query["agree"])
        labelled += compared(query) and not query["abstained"]
        shares.append(100 * right / labelled if labelled else None)
    return shares


def _places(asked: Sequence[tuple[str, Report]]) -> tuple[float, ...]:
    return tuple(float(number) for number in range(1, 1 + max(len(report["queries"]) for _, report in asked)))


def _padded(values: Sequence[float | None], asked: Sequence[tuple[str, Report]]) -> tuple[float | None, ...]:
    return (*values, *([None] * (len(_places(asked)) - len(values))))


def _after(accuracy: Mapping[str, Any]) -> float:
    """Return the accuracy after the campaign, which is that of before where nothing was learnt."""
    return float(accuracy["before"] if accuracy["after"] is None else accuracy["after"])


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
