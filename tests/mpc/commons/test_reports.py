"""What a report is sealed for: its label, and the boxes of its aggregators."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mpc.commons import reports as reports_module
from mpc.commons import sealing
from mpc.commons.encoding import Record, decode, encode
from mpc.commons.group import GENERATOR, Points, hash_to_points, read_points
from mpc.commons.release import ConsumerKey
from mpc.commons.reports import (
    NONE,
    CheckedReports,
    ReportLabel,
    SealedReport,
    are_well_made,
    judge_box,
    open_box,
    open_to_all,
    seal_report,
)
from mpc.commons.sealing import Sealed, proven_points, seal, unseal
from mpc.errors import CheatingError, ParameterError, ProtocolError
from tests.mpc.commons.keys import open_release
from tests.mpc.commons.sealed_reports import AGGREGATORS, COMMITTEE, GRANT, KEYS, label, messages, released, sealed

# -- labels ------------------------------------------------------------------------------------------------------------


OTHER_LABELS: dict[str, ReportLabel] = {
    "origin": label(origin="a-log/4567"),
    "task": label(task="task-2"),
    "policy": label(policy=b"q" * 32),
    "provider": label(provider=b"l" * 32),
    "report": label(1),
}


@pytest.mark.parametrize("part", OTHER_LABELS)
def test_a_report_is_for_its_label_alone(part: str) -> None:
    _, reports = sealed(1)
    assert are_well_made([OTHER_LABELS[part]], reports) == [False]
    with pytest.raises(ProtocolError, match="expected report 0 with a proof for its label, found one without"):
        CheckedReports([OTHER_LABELS[part]], reports)


def test_without_the_binding_a_copied_report_is_opened_under_another_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attack: the provider's neighbour logs the ciphertext as its own, under a policy that grants it to him."""
    labels, reports = sealed(1)
    stolen = label(policy=b"q" * 32, provider=b"thief" + bytes(27))
    key = ConsumerKey.fresh()
    assert are_well_made([stolen], reports) == [False]
    # Without the defence: neither the proof nor the payload's key depends on the label.
    for name in ("_bound", "_symmetric_key"):
        original = getattr(sealing, name)
        if name == "_bound":
            monkeypatch.setattr(sealing, name, lambda _, payload, original=original: original(b"", payload))
        else:
            monkeypatch.setattr(sealing, name, lambda one, two, _, original=original: original(one, two, b""))
    copied = [seal_report(COMMITTEE, KEYS, labels[0], messages(0))]
    checked = CheckedReports([stolen], copied)
    opened = open_release(COMMITTEE, checked, key, GRANT, released(checked, key))
    assert not isinstance(opened.boxes[0], str)
    assert open_box(AGGREGATORS[0], stolen, copied[0], 0, opened.boxes[0][0]) == messages(0)[0]


def test_a_point_that_is_copied_into_a_new_report_is_refused() -> None:
    _, reports = sealed(1)
    old = reports[0].sealed
    fresh = seal(COMMITTEE.point, b"another", b"text")
    for wrong in (replace(fresh, point=old.point, second=old.second), replace(old, payload=fresh.payload)):
        assert proven_points([wrong], [b"another"]) == [None]


def test_every_byte_of_a_ciphertext_matters() -> None:
    one = seal(COMMITTEE.point, b"label", b"message")
    data = encode(one)
    for place in range(len(data)):
        wrong = bytearray(data)
        wrong[place] ^= 1 << place % 8
        try:
            changed = decode(Sealed, bytes(wrong))
        except ProtocolError:
            continue
        assert proven_points([changed], [b"label"]) == [None]


def test_bad_reports_are_told_from_good_ones_in_one_batch() -> None:
    labels, reports = sealed(4)
    broken = replace(reports[1], sealed=replace(reports[1].sealed, point=bytes(32)))
    false = replace(reports[2], sealed=replace(reports[2].sealed, second=GENERATOR.encode()))
    assert are_well_made(labels, [reports[0], broken, false, reports[3]]) == [True, False, False, True]
    assert are_well_made(labels, [reports[0], reports[1], false, reports[3]]) == [True, True, False, True]


def test_boxes_that_are_not_those_of_the_label_are_the_providers_fault() -> None:
    """The provider proves one list of digests and seals other boxes, or no boxes at all."""
    labels, reports = sealed(2)
    digests = reports[0].boxes
    bound = encode(reports_module._BoxesLabel(labels[0], digests))
    wrong: list[Record] = [reports_module._Boxes(()), reports_module._BoxLabel(labels[0], 0)]
    bad = [SealedReport(digests, seal(COMMITTEE.point, bound, encode(one))) for one in wrong]
    other = SealedReport(digests, seal(GENERATOR, bound, b"to another key"))
    checked, key = CheckedReports([labels[0]] * 3 + [labels[1]], [*bad, other, reports[1]]), ConsumerKey.fresh()
    opened = open_release(COMMITTEE, checked, key, GRANT, released(checked, key))
    assert opened.boxes[0] == "expected the boxes of the digests in a report, found others"
    assert [isinstance(one, str) for one in opened.boxes] == [True, True, True, False]
    assert opened.liars == {}


# -- complaints about boxes ----------------------------------------------------------------------------------------


def bad_box(place: int, message: bytes, key: Points | None = None) -> tuple[SealedReport, list[Sealed]]:
    """A report whose box at a place is sealed to another key, or under another label."""
    boxes = []
    for j in range(3):
        bound = encode(reports_module._BoxLabel(label(), j))
        boxes.append(seal(KEYS[j : j + 1] if j != place or key is None else key, bound, message))
    digests = tuple(reports_module._digest(one) for one in boxes)
    return SealedReport(digests, seal(COMMITTEE.point, b"not looked at", b"")), boxes


def test_everybody_sees_that_an_opened_box_is_good_and_its_aggregator_has_lied() -> None:
    report, boxes = bad_box(9, b"a good share")
    point, proof = open_to_all(AGGREGATORS[1], label(), report, 1, boxes[1])
    assert judge_box(KEYS[1:2], label(), report, 1, boxes[1], point, proof) == b"a good share"


def test_everybody_sees_that_an_opened_box_is_bad() -> None:
    report, boxes = bad_box(1, b"text", GENERATOR)
    with pytest.raises(ProtocolError, match="under the key of its ciphertext"):
        open_box(AGGREGATORS[1], label(), report, 1, boxes[1])
    point, proof = open_to_all(AGGREGATORS[1], label(), report, 1, boxes[1])
    assert judge_box(KEYS[1:2], label(), report, 1, boxes[1], point, proof) is None


def test_a_false_complaint_is_the_aggregators_fault() -> None:
    report, boxes = bad_box(9, b"a good share")
    point, proof = open_to_all(AGGREGATORS[1], label(), report, 1, boxes[1])
    for wrong_point, wrong_proof in ((GENERATOR.encode(), proof), (point, bytes(64)), (NONE, bytes(64))):
        with pytest.raises(CheatingError, match="expected"):
            judge_box(KEYS[1:2], label(), report, 1, boxes[1], wrong_point, wrong_proof)
    with pytest.raises(CheatingError, match="expected box 1 of the report in a complaint, found another"):
        judge_box(KEYS[1:2], label(), report, 1, boxes[2], point, proof)


def test_a_box_that_the_consumer_changed_is_the_consumers_fault_and_no_complaint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report, boxes = bad_box(9, b"a good share")
    changed = replace(boxes[1], payload=bytes([boxes[1].payload[0] ^ 1]) + boxes[1].payload[1:])
    for box in (changed, boxes[2]):
        with pytest.raises(CheatingError, match="expected box 1 of the report from the consumer, found another"):
            open_box(AGGREGATORS[1], label(), report, 1, box)
        with pytest.raises(CheatingError, match="expected box 1 of the report from the consumer, found another"):
            open_to_all(AGGREGATORS[1], label(), report, 1, box)
    # Without the defence the honest aggregator takes the report for bad, complains, and is found guilty.
    check = reports_module._check_box
    monkeypatch.setattr(reports_module, "_check_box", lambda *_: None)
    with pytest.raises(ProtocolError, match="a proof for its label"):
        open_box(AGGREGATORS[1], label(), report, 1, changed)
    point, proof = open_to_all(AGGREGATORS[1], label(), report, 1, changed)
    monkeypatch.setattr(reports_module, "_check_box", check)
    for box in (changed, boxes[1]):
        with pytest.raises(CheatingError):
            judge_box(KEYS[1:2], label(), report, 1, box, point, proof)


def test_a_complaint_never_opens_the_box_of_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attack: a provider copies the point of a victim's box. The honest aggregator's complaint would open it."""
    victim_label = label(7)
    victim = seal_report(COMMITTEE, KEYS, victim_label, messages(7))
    checked, key = CheckedReports([victim_label], [victim]), ConsumerKey.fresh()
    (boxes,) = open_release(COMMITTEE, checked, key, GRANT, released(checked, key)).boxes
    assert not isinstance(boxes, str)
    copied = replace(boxes[0], payload=b"garbage of sixteen bytes and more")
    digests = tuple(reports_module._digest(one) for one in (copied, *boxes[1:]))
    report = SealedReport(digests, victim.sealed)
    assert open_to_all(AGGREGATORS[0], label(), report, 0, copied) == (NONE, bytes(64))
    assert judge_box(KEYS[:1], label(), report, 0, copied, NONE, bytes(64)) is None
    # Without the defence the opened point is the key to the victim's message.
    monkeypatch.setattr(reports_module, "proven_points", lambda some, _: [read_points([some[0].point], "U")])
    point, _ = open_to_all(AGGREGATORS[0], label(), report, 0, copied)
    bound = encode(reports_module._BoxLabel(victim_label, 0))
    assert unseal(boxes[0], bound, read_points([point], "opened")) == messages(7)[0]


def test_arguments_that_do_not_fit_are_refused() -> None:
    labels, reports = sealed(1)
    with pytest.raises(ParameterError, match="expected a message for each of 3 aggregators, found 1"):
        seal_report(COMMITTEE, KEYS, labels[0], [b"one"])
    with pytest.raises(ParameterError, match="expected a label for each of some reports, found 0 and 0"):
        CheckedReports([], [])
    assert repr(CheckedReports(labels, reports)) == "CheckedReports(1)"


def test_points_without_a_known_logarithm_cannot_be_proven() -> None:
    """The element of a coin cannot become U of a report, whose release would give the coin ahead."""
    coin = hash_to_points([b"a coin"], b"domain").encode()
    made = seal(COMMITTEE.point, b"label", b"text")
    assert proven_points([replace(made, point=coin)], [b"label"]) == [None]
    assert proven_points([replace(made, point=coin, second=coin)], [b"label"]) == [None]
