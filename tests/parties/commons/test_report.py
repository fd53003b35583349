"""What a person is shown of a run."""

from __future__ import annotations

from typing import Any

from parties.commons import clinics
from parties.commons.report import summary

EVENTS = [
    {"index": 1, "kind": "register", "author": "institute", "text": "registers as consumer", "certified": True},
    {"index": 7, "kind": "request", "author": "institute", "text": "asks for something", "certified": True},
    {"index": 8, "kind": "refuse", "author": "trustee-0", "text": "refuses the request of entry 7", "certified": True},
]


def answer(function: str, value: dict[str, Any], **more: Any) -> dict[str, Any]:
    usual = {"function": function, "request": 3, "grant": 4, "value": value, "reports": 9, "rejected": {}}
    return usual | {"aggregators_lied": [], "aggregators_silent": [], "trustees_lied": {}} | more


def shown(*answers: dict[str, Any], privacy: tuple[str, ...] = ()) -> Any:
    audited = {"folder": "logs/run/log", "size": 9, "certified": 9, "events": EVENTS}
    return summary([{"answers": answers, "privacy": privacy}, audited])


def test_results_refusals_and_all_who_lied_are_shown() -> None:
    refused = {"function": clinics.REGRESSION, "request": 7, "refused": "entry 6 revokes the policy of entry 2"}
    found = shown(
        answer(clinics.HISTOGRAM, {"counts": [1, 2, 3]}, rejected={"clinic-1": 4}),
        answer(clinics.SUM, {"sum": 1234}, aggregators_lied=["aggregator-2"], trustees_lied={"trustee-3": "no proof"}),
        refused,
    )
    lines = dict(found.lines)
    assert lines["mean radius in buckets"] == "1, 2, 3 (of 9 reports)"
    assert lines["sum of the mean radius"] == "123.4 (of 9 reports)"
    assert lines[clinics.about(clinics.REGRESSION)] == "refused: entry 6 revokes the policy of entry 2"
    assert lines["who lied"] == "aggregator-2, clinic-1, trustee-3"
    assert len(found.warnings) == 3
    assert found.headlines[0].value == "2 of 3"
    timeline = found.sections[-1].parts[0]
    assert [row[0] for row in timeline.rows] == ["7", "8"]  # registrations are left out


def test_who_was_not_there_when_a_member_asked_is_shown() -> None:
    asked = {"answers": [answer(clinics.SUM, {"sum": 1})], "privacy": (), "absent": {"trustee-3": "no answer"}}
    audited = {"folder": "logs/run/log", "size": 9, "certified": 9, "events": EVENTS}
    (warning,) = summary([asked, audited]).warnings
    assert warning == "trustee-3 was not there, so that the asking went on without it (no answer)."


def test_whose_reports_were_left_out_is_shown_and_that_results_are_of_different_ones() -> None:
    left_out = [{"name": "clinic-1", "reports": 4, "why": "their policy is revoked"}]
    asked = {"answers": [answer(clinics.SUM, {"sum": 1})], "privacy": (), "left_out": left_out}
    audited = {"folder": "logs/run/log", "size": 9, "certified": 9, "events": EVENTS}
    assert summary([asked, audited]).warnings == ("4 reports of clinic-1 were left out: their policy is revoked.",)
    asked["answers"] = [answer(clinics.SUM, {"sum": 1}), answer(clinics.SUM, {"sum": 1}, reports=13)]
    assert summary([asked, audited]).warnings[1] == "So the results are of different reports."


def test_a_singular_regression_and_noise_below_zero_are_shown_as_they_are() -> None:
    noisy = f"{clinics.HISTOGRAM}{clinics.NOISE}5"
    found = shown(
        answer(noisy, {"counts": [-4, 2]}), answer(clinics.REGRESSION, {"unsolvable": "no one solution"}),
        privacy=("epsilon 1 at delta 1e-06",),
    )  # fmt: skip
    lines = dict(found.lines)
    assert lines["mean radius in buckets, with noise of scale 5"] == "-4, 2 (of 9 reports)"
    assert lines[clinics.about(clinics.REGRESSION)] == "no one solution (of 9 reports)"
    assert lines["privacy"] == "epsilon 1 at delta 1e-06"
    assert [section.title for section in found.sections] == ["Requests", "Timeline"]  # no bar goes below zero
