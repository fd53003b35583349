"""Reports of tests, sealed to a key that honest trustees have made, and how they are released."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mpc._core import CurvePoints
from mpc.commons.group import SecretScalar, read_points
from mpc.commons.release import ConsumerKey, ReleaseShare, release
from mpc.commons.reports import CheckedReports, ReportLabel, SealedReport, open_box, seal_report
from tests.mpc.commons.keys import Opened, made_key

COMMITTEE, SHARES = made_key(4, 1)
GRANT = b"g" * 32
AGGREGATORS = [SecretScalar.of(1000 + place) for place in range(3)]
KEYS = CurvePoints.join([one.times_generator() for one in AGGREGATORS])


def label(number: int = 0, **fields: Any) -> ReportLabel:
    made = ReportLabel("a-log/0123", "task-1", b"p" * 32, b"k" * 32, number.to_bytes(16, "big"))
    return replace(made, **fields)


def messages(number: int) -> list[bytes]:
    return [f"share {place} of report {number}".encode() for place in range(3)]


def sealed(count: int) -> tuple[list[ReportLabel], list[SealedReport]]:
    labels = [label(number) for number in range(count)]
    return labels, [seal_report(COMMITTEE, KEYS, one, messages(number)) for number, one in enumerate(labels)]


def released(
    checked: CheckedReports, key: ConsumerKey, places: tuple[int, ...] = (0, 1, 2, 3)
) -> dict[int, ReleaseShare]:
    consumer = read_points([key.point], "key")
    return {place: release(SHARES[place], COMMITTEE, checked, consumer, GRANT) for place in places}


def contents(opened: Opened, checked: CheckedReports) -> list[list[bytes]]:
    found = []
    for report_label, report, boxes in zip(checked.labels, checked.reports, opened.boxes, strict=True):
        assert not isinstance(boxes, str), boxes
        found.append([open_box(AGGREGATORS[j], report_label, report, j, box) for j, box in enumerate(boxes)])
    return found
