"""The lines that a terminal shows at the end of a run, each a name and a value.

Everything comes from what the querying parties published (`parties/capc/results.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parties.capc.report import compared, headlines, label_words, lead, of_budget, sections, turnout_words
from parties.frame.plan import Summary

Report = Mapping[str, Any]


def summary(result: Report) -> Summary:
    """Return what came out, for each querying party."""
    reports = result.get("reports", [result])
    lines = [
        line for report in reports for line in (campaign_lines(report) if "strategy" in report else label_lines(report))
    ]
    lines += [("trust", line) for line in dict.fromkeys(line for report in reports for line in report["trust"])]
    warnings = dict.fromkeys(warning for report in reports for warning in report["warnings"])
    return Summary(tuple(lines), tuple(warnings), headlines(reports), sections(reports), lead(reports))


def label_lines(report: Report) -> list[tuple[str, str]]:
    """Return each label, beside the correct one where that is known, how many agree, and what they cost in privacy."""
    queries = report["queries"]
    if len(queries) == 1:
        (query,) = queries
        lines = [("query", str(query["index"]))]
        if compared(query):
            lines.append(("correct label", _label_text(query["correct"], report)))
        lines.append(("predicted label", _label_text(query["predicted"], report)))
    else:
        lines = [(f"query {query['index']}", _compared(query, report)) for query in queries[:10]]
    if len(queries) > 10:
        lines.append(("more queries", f"{len(queries) - 10}, in the result file"))
    agreeing = [query["agree"] for query in queries if compared(query)]
    if agreeing:
        lines.append(("agree", f"{sum(agreeing)} of {len(agreeing)}"))
    if report.get("labels") and report["label_accuracy"] is not None:
        lines.append(("correct labels", f"{report['label_accuracy']:.0%} of {', '.join(report['labels'])}"))
    return lines + _spent(report)


def _compared(query: Report, report: Report) -> str:
    """Return a label, and the correct one where it is another."""
    predicted = f"label {_label_text(query['predicted'], report)}"
    return (
        predicted
        if not compared(query) or query["agree"]
        else f"{predicted} (correct is {_label_text(query['correct'], report)})"
    )


def _label_text(label: bool | int | str | list[str] | None, report: Report) -> str:
    """Return a label, or those of several that hold."""
    if label is None:
        return "none, the parties abstained"
    return f"none of {', '.join(report['labels'])}" if label == [] else label_words(label)


def campaign_lines(report: Report) -> list[tuple[str, str]]:
    """Return how much better the model became, by how many labels, and what they cost in privacy."""
    accuracy = report["accuracy"]
    lines = [
        (
            "querying party",
            f"{report.get('name') or report['querying_party']}, model {report['model']}, strategy {report['strategy']}",
        ),
        ("queries answered", f"{report['answered']}, abstained {report['abstained']}"),
    ]
    if report["label_accuracy"] is not None:
        names = f" of {', '.join(report['labels'])}" if report.get("labels") else ""
        lines.append(("correct labels", f"{report['label_accuracy']:.0%}{names}"))
    if accuracy is None:
        lines.append(("accuracy", "not measured, because there are no held-out records"))
        return lines + _spent(report)
    after = accuracy["before"] if accuracy["after"] is None else accuracy["after"]
    lines.append(("accuracy before", f"{accuracy['before']:.3f} on {accuracy['held_out_records']} held-out records"))
    lines.append(("accuracy after", f"{after:.3f} ({100 * (after - accuracy['before']):+.1f} points)"))
    if report.get("labels"):
        exact = accuracy["exact_before"] if accuracy["exact_after"] is None else accuracy["exact_after"]
        lines.append(("all labels right", f"{accuracy['exact_before']:.3f} before, {exact:.3f} after"))
    return lines + _spent(report)


def _spent(report: Report) -> list[tuple[str, str]]:
    """Return the epsilon of this run, of all runs and of the data owners, and the refusal that ended them."""
    delta = report["delta"]
    total = epsilon_text(report["epsilon_total"], delta) + of_budget(report["epsilon_total"], report["epsilon_budget"])
    lines = [
        *_turnout(report),
        ("epsilon spent in this run", epsilon_text(report["epsilon"], delta)),
        ("epsilon spent in all runs", total),
    ]
    if report.get("owners"):
        lost = epsilon_text(report["owner_epsilon"], delta)
        budget = of_budget(report["owner_epsilon"], report["owner_epsilon_budget"])
        lines.append(
            ("epsilon per data owner", f"{lost}{budget}, the most that records have lost to all who ever asked")
        )
    if report.get("refusal"):
        lines.append(("ended by the budget", report["refusal"]))
    return lines


def _turnout(report: Report) -> list[tuple[str, str]]:
    """Return how many parties answered, and who was left out and why, where it was not all of them."""
    left_out = report.get("left_out")
    if not left_out:
        return []
    reasons = "; ".join(f"{name} ({reason})" for name, reason in left_out.items())
    return [("answered by", f"{turnout_words(report)}; left out: {reasons}")]


def epsilon_text(value: float | None, delta: str) -> str:
    """Return an epsilon for people. None is one without bound."""
    return "without bound" if value is None else f"{value:.3g} at delta {float(delta):g}"
