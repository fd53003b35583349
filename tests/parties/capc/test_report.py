"""What a report shows of CaPC: every figure of the result, for given queries and for a campaign of several parties."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.page import report_page
from parties.capc.report import STEPS, headlines, lead, sections
from parties.frame.charts import Chart, Table
from parties.frame.plan import Pane
from parties.protocols import PROTOCOLS
from tests.orchestrator.recorded import advanced, recorded, step
from tests.orchestrator.test_page import HOSTILE, Whole


def query(
    index: int, predicted: Any, correct: Any, epsilon: float | None = 2.5, earlier: bool = False
) -> dict[str, Any]:
    return {
        "index": index, "chosen_by": None, "predicted": predicted, "abstained": predicted is None, "correct": correct,
        "agree": predicted == correct, "epsilon": epsilon, "earlier_run": earlier,
    }  # fmt: skip


def report(*queries: dict[str, Any], **more: Any) -> dict[str, Any]:
    answered = [one for one in queries if not one["abstained"]]
    return {
        "n_parties": 3, "classes": 10, "labels": [], "delta": "1e-5", "epsilon": 2.5, "epsilon_total": 2.5,
        "epsilon_budget": None, "answered": len(answered), "abstained": len(queries) - len(answered),
        "label_accuracy": 0.5, "refusal": None, "queries": list(queries), "trust": ["nobody"], "warnings": [], **more,
    }  # fmt: skip


def campaign(party: int, before: float, after: float | None, *queries: dict[str, Any], **more: Any) -> dict[str, Any]:
    by_class = [
        {"class": 3, "own_records": 0, "held_out_records": 4, "before": 0.0, "after": after},
        {"class": 4, "own_records": 5, "held_out_records": 0, "before": None, "after": None},
    ]
    accuracy = {
        "held_out_records": 360, "before": before, "after": after, "exact_before": before, "exact_after": after,
        "by_class": by_class,
    }  # fmt: skip
    return report(
        *queries, querying_party=party, strategy="margin", model="mlp", own_records=5, unlabelled_records=9,
        accuracy=accuracy, **more,
    )  # fmt: skip


CAMPAIGNS = [
    campaign(0, 0.5, 0.75, query(7, 1, 1, 2.0, earlier=True), query(8, None, 4), epsilon_budget=10.0),
    campaign(2, 0.25, None, query(9, 2, 3), epsilon_total=9.5, epsilon_budget=10.0, refusal="it is spent"),
]


def said(reports: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    return {headline.name: (headline.value, headline.note) for headline in headlines(reports)}


def test_one_query_is_headed_by_its_label() -> None:
    found = said([report(query(0, 7, 7))])
    assert found["label"] == ("7", "correct label 7")
    assert found["epsilon spent in all runs"] == ("2.5", "2.5 of it in this run, at delta 1e-05")
    assert said([report(query(0, None, 7))])["label"][0] == "abstained"
    assert said([report(query(0, [], ["fog", "ice"]))])["label"] == ("none", "correct label fog, ice")


def test_without_truth_there_is_a_label_and_no_verdict() -> None:
    unknown = [
        {key: value for key, value in query(n, True, 0).items() if key not in ("correct", "agree")} for n in (0, 1)
    ]
    assert said([report(unknown[0])])["label"] == ("true", "")
    assert "correct labels" not in said([report(*unknown)])
    assert lead([report(*unknown)]).startswith("2 labels, epsilon")
    mixed = [report(*unknown, query(2, 1, 1), query(3, None, 4))]
    assert said(mixed)["correct labels"][0] == "1 of 2"
    assert "100% of the 1 whose truth is known right" in lead(mixed)
    (labels,) = [section for section in sections(mixed) if section.title == "Labels"]
    outcomes = {series.name: series.values for series in labels.parts[0].series}
    assert outcomes == {"correct label": (1,), "wrong label": (0,), "label": (2,), "abstained": (1,)}
    assert [row[3:5] for row in labels.parts[-1].rows] == [("–", "–"), ("–", "–"), ("1", "yes"), ("4", "abstained")]


def test_without_noise_no_epsilon_is_claimed() -> None:
    reports = [report(query(0, 1, 1, None), query(1, 2, 3, None), epsilon_total=None)]
    assert said(reports)["epsilon spent in all runs"][0] == "without bound"
    assert said(reports)["correct labels"][0] == "1 of 2"
    (privacy,) = [section for section in sections(reports) if section.title == "Privacy"]
    assert privacy.parts == ()
    assert "no differential privacy" in privacy.text


def test_a_campaign_is_headed_by_what_it_changed() -> None:
    found = said(CAMPAIGNS)
    assert found["accuracy"][0] == "37.5 → 50.0%"
    assert found["accuracy"][1].startswith("before and after: +12.5 points, mean of 2 querying parties")
    assert found["queries answered"] == ("2", "1 of them correct, 1 abstained")
    assert found["epsilon spent in all runs"][0] == "9.5 of 10"


OWNERS = {"owners": {"server-0": 20.22}, "owner_epsilon": 20.22, "owner_epsilon_budget": 15.0}


def test_a_report_begins_with_one_sentence() -> None:
    assert (
        lead(CAMPAIGNS)
        == "2 labels bought by 2 parties, 50% of them right, model +12.5 points on average, epsilon 9.5 of 10"
    )
    assert lead([report(query(0, 7, 7), **OWNERS)]) == (
        "1 label, right, epsilon 2.5, 20.2 of 15, OVER THE BUDGET for a data owner"
    )
    assert lead([report(query(0, 7, 6), epsilon_total=None, epsilon_budget=3.0)]) == (
        "1 label, wrong, epsilon without bound of 3, OVER THE BUDGET"
    )


def test_what_is_over_a_budget_is_marked_and_both_accounts_are_shown() -> None:
    over = report(query(0, 7, 7), epsilon=1.0, epsilon_total=11.0, epsilon_budget=10.0, **OWNERS)
    assert said([over])["epsilon spent in all runs"] == (
        "11 of 10, OVER THE BUDGET",
        "1 of it in this run, at delta 1e-05; a data owner's records have lost 20.2 of 15, OVER THE BUDGET to all who "
        "asked",
    )
    lines = dict(PROTOCOLS["capc"].summary(over).lines)
    assert lines["epsilon spent in this run"] == "1 at delta 1e-05"
    assert lines["epsilon spent in all runs"] == "11 at delta 1e-05 of 10, OVER THE BUDGET"
    assert lines["epsilon per data owner"].startswith("20.2 at delta 1e-05 of 15, OVER THE BUDGET")


def test_who_got_nothing_is_named_beside_the_others() -> None:
    none = campaign(1, 0.5, 0.5, refusal="nothing is left")
    for reports, names in (
        ([CAMPAIGNS[0], none], ["party 1"]),
        ([none], ["party 1"]),
        ([*CAMPAIGNS, none], ["party 2", "party 1"]),
    ):
        (privacy,) = [section for section in sections(reports) if section.title == "Privacy"]
        (table,) = [part for part in privacy.parts if isinstance(part, Table)]
        assert (table.title, [row[0] for row in table.rows]) == ("Ended by the budget", names)


def charts(reports: list[dict[str, Any]]) -> dict[str, Chart]:
    return {part.title: part for section in sections(reports) for part in section.parts if isinstance(part, Chart)}


def test_a_campaigns_charts_hold_its_figures() -> None:
    found = charts(CAMPAIGNS)
    overall = found["Accuracy on held-out records, before and after the labels"]
    assert [series.values for series in overall.series] == [(50.0, 25.0), (75.0, 25.0)]
    assert found["Accuracy of party 0 by class"].places == ("class 3 (no own record)", "class 4")
    assert found["Accuracy of party 0 by class"].series[0].values == (0.0, None)
    epsilon = found["Epsilon spent after each query"]
    assert [series.values for series in epsilon.series] == [(2.0, 2.5), (2.5, None)]
    assert epsilon.limit == ("budget 10", 10.0)
    assert [series.values for series in found["What became of the queries"].series] == [(1, 0), (0, 1), (1, 0)]
    assert found["Share of labels so far that are correct"].series[0].values == (100.0, 100.0)


@pytest.mark.parametrize(
    "reports", [CAMPAIGNS, [report(query(0, 7, 7), warnings=[HOSTILE])]], ids=["campaign", "given"]
)
def test_the_whole_page_stands(tmp_path: Path, reports: list[dict[str, Any]]) -> None:
    names = ("client-0", "client-2") if len(reports) > 1 else ("client",)
    panes = (Pane("Client", names), Pane("Guardian", ("privacy-guardian",)))
    events = {names[0]: [advanced(1, 0, 2), *step(2, 9, "privacy-guardian"), advanced(10, 2, 2)]}
    result = {"reports": reports} if len(reports) > 1 else reports[0]
    configuration = {"n_parties": 3, "dataset": "digits"}
    folders = recorded(tmp_path, panes, events, result=result, protocol="capc", configuration=configuration)
    whole = Whole(report_page.write(folders, PROTOCOLS["capc"]).read_text())
    titles = ["Privacy", "Labels", "Trust", "Timeline", "Time and bytes", "Links", "Parties", "Configuration"]
    titles += ["Accuracy", "Accuracy by class", "it is spent"] if len(reports) > 1 else [HOSTILE]
    assert [title for title in titles if title not in whole.words] == []


def test_every_step_that_a_party_names_is_explained() -> None:
    source = Path(report_page.__file__).parents[2] / "parties" / "capc"
    text = "".join((source / f"{name}.py").read_text() for name in ("client", "server", "privacy_guardian", "campaign"))
    for step_name in STEPS:
        assert f'"{step_name}"' in text
