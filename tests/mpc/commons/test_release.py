"""Reports to the trustees' key: who can open what, for which label, and who is named where somebody lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mpc._core import CurvePoints
from mpc.commons import release as release_module
from mpc.commons import reports as reports_module
from mpc.commons import sealing
from mpc.commons.committee import KeyShare
from mpc.commons.encoding import Record, decode, encode
from mpc.commons.entries import Endorsement, Range, Request
from mpc.commons.group import GENERATOR, Points, SecretScalar, encodings, hash_to_points, read_points
from mpc.commons.proofs import PROOF_BYTES
from mpc.commons.release import (
    ConsumerKey,
    ReleaseShare,
    check_release,
    check_request,
    release,
)
from mpc.commons.reports import (
    NONE,
    CheckedReports,
    ReportLabel,
    SealedReport,
    are_well_made,
    judge_box,
    open_box,
    open_report,
    open_to_all,
    seal_report,
)
from mpc.commons.sealing import Sealed, proven_points, seal, unseal
from mpc.commons.sharing import interpolate
from mpc.errors import CheatingError, ParameterError, ProtocolError
from tests.mpc.commons.keys import Opened, made_key, open_release

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


# -- the honest way ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("places", [(0, 1), (3, 1), (2, 3)])
def test_any_t_plus_one_trustees_open_granted_reports_to_the_consumer(places: tuple[int, ...]) -> None:
    labels, reports = sealed(3)
    assert are_well_made(labels, reports) == [True] * 3
    checked, key = CheckedReports(labels, reports), ConsumerKey.fresh()
    opened = open_release(COMMITTEE, checked, key, GRANT, released(checked, key, places))
    assert opened.liars == {}
    assert contents(opened, checked) == [messages(number) for number in range(3)]


def test_every_record_has_one_encoding() -> None:
    labels, reports = sealed(1)
    checked = CheckedReports(labels, reports)
    (share,) = released(checked, ConsumerKey.fresh(), (2,)).values()
    records: list[Record] = [labels[0], reports[0], share]
    for record in records:
        assert decode(type(record), encode(record)) == record
        with pytest.raises(ProtocolError, match="more bytes"):
            decode(type(record), encode(record) + b"\0")


def test_two_reports_of_the_same_are_never_the_same() -> None:
    one, other = (seal_report(COMMITTEE, KEYS, label(), messages(0)) for _ in range(2))
    assert one.digest != other.digest
    assert one.sealed.point != other.sealed.point


# -- who cannot open ---------------------------------------------------------------------------------------------------


def test_t_trustees_open_nothing() -> None:
    labels, reports = sealed(1)
    checked, key = CheckedReports(labels, reports), ConsumerKey.fresh()
    with pytest.raises(ProtocolError, match="expected 2 proven shares of a release, found 1; lied: nobody"):
        open_release(COMMITTEE, checked, key, GRANT, released(checked, key, (3,)))
    # Whatever t trustees compute with their part alone is another point than that of the report's key.
    own = SHARES[3].secret.times(checked.points)
    for factor in (1, 2, 4):
        shared = SecretScalar.of(factor).times(own)
        with pytest.raises(ProtocolError, match="under the key of its ciphertext"):
            open_report(labels[0], reports[0], shared)


def test_another_consumer_opens_nothing() -> None:
    labels, reports = sealed(1)
    checked, key = CheckedReports(labels, reports), ConsumerKey.fresh()
    points = interpolate([1, 2], [read_points(one.points, "R") for one in released(checked, key, (0, 1)).values()])
    for wrong in (points, points - SecretScalar.of(5).times(COMMITTEE.point)):
        with pytest.raises(ProtocolError, match="under the key of its ciphertext"):
            open_report(labels[0], reports[0], wrong)


def test_the_consumer_sees_boxes_and_another_aggregator_cannot_open_one() -> None:
    labels, reports = sealed(1)
    checked, key = CheckedReports(labels, reports), ConsumerKey.fresh()
    (boxes,) = open_release(COMMITTEE, checked, key, GRANT, released(checked, key)).boxes
    assert not isinstance(boxes, str)
    assert all(message not in encode(box) for box in boxes for message in messages(0))
    with pytest.raises(ProtocolError, match="under the key of its ciphertext"):
        open_box(AGGREGATORS[1], labels[0], reports[0], 0, boxes[0])
    with pytest.raises(ProtocolError, match="expected a box with a proof for its label"):
        open_box(AGGREGATORS[1], label(1), reports[0], 0, boxes[0])


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


# -- release shares ----------------------------------------------------------------------------------------------------


def other_point(share: ReleaseShare) -> ReleaseShare:
    return replace(share, points=(*share.points[:1], GENERATOR.encode(), *share.points[2:]))


def swapped(share: ReleaseShare) -> ReleaseShare:
    return replace(share, points=(share.points[1], share.points[0], *share.points[2:]))


LIES: dict[str, Callable[[ReleaseShare], ReleaseShare]] = {
    "one point of many": other_point,
    "no element": lambda share: replace(share, points=(bytes(32), *share.points[1:])),
    "two points swapped": swapped,
    "a proof of zeros": lambda share: replace(share, proof=bytes(PROOF_BYTES)),
    "too few points": lambda share: replace(share, points=share.points[1:]),
    "another grant": lambda share: replace(share, grant=b"h" * 32),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_false_share_is_named_and_the_others_open(lie: str) -> None:
    checked, key = CheckedReports(*sealed(5)), ConsumerKey.fresh()
    shares = released(checked, key)
    shares[0] = LIES[lie](shares[0])
    with pytest.raises(CheatingError, match="by trustee 0"):
        check_release(COMMITTEE, checked, read_points([key.point], "key"), GRANT, shares[0])
    opened = open_release(COMMITTEE, checked, key, GRANT, shares)
    assert list(opened.liars) == [0]
    assert contents(opened, checked) == [messages(number) for number in range(5)]
    with pytest.raises(ProtocolError, match="expected 2 proven shares of a release, found 1; lied: 0"):
        open_release(COMMITTEE, checked, key, GRANT, {place: shares[place] for place in (0, 1)})


def test_a_share_under_another_trustees_name_or_for_another_consumer_is_refused() -> None:
    checked, key, other = CheckedReports(*sealed(2)), ConsumerKey.fresh(), ConsumerKey.fresh()
    (share,) = released(checked, key, (2,)).values()
    for wrong in (replace(share, trustee=1), replace(share, trustee=9)):
        with pytest.raises(CheatingError, match=f"by trustee {wrong.trustee}"):
            check_release(COMMITTEE, checked, read_points([key.point], "key"), GRANT, wrong)
    with pytest.raises(CheatingError, match="by trustee 2"):
        check_release(COMMITTEE, checked, read_points([other.point], "key"), GRANT, share)


def test_a_share_with_anothers_number_is_the_fault_of_its_sender() -> None:
    checked, key = CheckedReports(*sealed(2)), ConsumerKey.fresh()
    shares = released(checked, key)
    shares[0] = replace(shares[0], trustee=1)  # trustee 0 says it were trustee 1, which is honest
    opened = open_release(COMMITTEE, checked, key, GRANT, shares)
    assert opened.liars == {0: "expected a release by trustee 0, found one of trustee 1"}
    assert contents(opened, checked) == [messages(0), messages(1)]


def test_errors_that_cancel_out_in_a_plain_sum_do_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """A liar adds D to one point and takes it from another. Without random factors the one proof would still hold."""

    def lying_share(checked: CheckedReports, key: ConsumerKey) -> ReleaseShare:
        consumer = read_points([key.point], "key")
        original = release_module.encodings
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(release_module, "_factors", lambda *_: plain(len(checked)))
            honest = release(SHARES[0], COMMITTEE, checked, consumer, GRANT)
        points = read_points(honest.points, "R")
        moved = CurvePoints.join([points[:1] + GENERATOR, points[1:2] - GENERATOR])
        return replace(honest, points=original(moved))

    def plain(count: int) -> bytes:
        return (b"\1" + bytes(31)) * count

    checked, key = CheckedReports(*sealed(2)), ConsumerKey.fresh()
    share, consumer = lying_share(checked, key), read_points([key.point], "key")
    with pytest.raises(CheatingError, match="by trustee 0"):
        check_release(COMMITTEE, checked, consumer, GRANT, share)
    monkeypatch.setattr(release_module, "_factors", lambda *_: plain(2))
    check_release(COMMITTEE, checked, consumer, GRANT, share)  # the defence is out, and the lie passes


def test_a_wrong_part_of_the_key_is_noticed_at_once() -> None:
    checked, key = CheckedReports(*sealed(1)), ConsumerKey.fresh()
    wrong = KeyShare(0, SHARES[1].secret)
    share = release(wrong, COMMITTEE, checked, read_points([key.point], "key"), GRANT)
    with pytest.raises(CheatingError, match="by trustee 0"):
        check_release(COMMITTEE, checked, read_points([key.point], "key"), GRANT, share)


# -- the consumer's key ------------------------------------------------------------------------------------------------


REQUEST = Request("task-1", "sum", NONE, bytes(64), (Range(3, 9),), 100, ())
ORIGIN, AUTHOR = "a-log/0123", b"c" * 32


def test_a_consumer_proves_that_it_knows_its_key_for_one_request() -> None:
    key = ConsumerKey.fresh()
    request = key.sign(ORIGIN, AUTHOR, REQUEST)
    assert check_request(ORIGIN, AUTHOR, request).encode() == key.point == request.consumer_key
    endorsed = replace(request, endorsements=(Endorsement(b"e" * 32, bytes(64)),))
    check_request(ORIGIN, AUTHOR, endorsed)  # others sign later
    wrong = [
        ("a-log/4567", AUTHOR, request),
        (ORIGIN, b"d" * 32, request),
        (ORIGIN, AUTHOR, replace(request, task="task-2")),
        (ORIGIN, AUTHOR, replace(request, function="mean")),
        (ORIGIN, AUTHOR, replace(request, ranges=(Range(3, 10),))),
        (ORIGIN, AUTHOR, replace(request, not_after=101)),
        (ORIGIN, AUTHOR, replace(request, consumer_key=ConsumerKey.fresh().point)),
        (ORIGIN, AUTHOR, replace(request, proof=bytes(64))),
    ]
    for origin, author, other in wrong:
        with pytest.raises(ProtocolError, match="proof that the consumer knows the secret of its key"):
            check_request(origin, author, other)
    assert key.secret.reveal().hex() not in repr(key)


def test_without_the_consumers_proof_a_release_opens_a_report_that_nobody_granted() -> None:
    """The attack: Q = U' - U, so the release of U gives x U'. The attacker knows no q, so it has no proof."""
    labels, reports = sealed(2)
    granted, secret = (CheckedReports([labels[i]], [reports[i]]) for i in range(2))
    key: Points = secret.points - granted.points
    shares = [release(SHARES[place], COMMITTEE, granted, key, GRANT) for place in (0, 1)]
    shared = interpolate([1, 2], [read_points(one.points, "R") for one in shares])
    boxes = open_report(labels[1], reports[1], shared)
    assert open_box(AGGREGATORS[0], labels[1], reports[1], 0, boxes[0]) == messages(1)[0]
    (encoding,) = encodings(key)
    for proof in (bytes(64), ConsumerKey.fresh().sign(ORIGIN, AUTHOR, REQUEST).proof):
        with pytest.raises(ProtocolError, match="proof that the consumer knows the secret of its key"):
            check_request(ORIGIN, AUTHOR, replace(REQUEST, consumer_key=encoding, proof=proof))


def test_a_provider_and_a_consumer_together_cannot_make_honest_trustees_look_like_liars() -> None:
    """They choose Q = -U. Then x (U + Q) is the identity, which no reader takes for an element."""
    secret = SecretScalar.of(77)
    minus = ConsumerKey(SecretScalar.of(-77))
    labels, reports = sealed(1)
    checked = CheckedReports(labels, reports)
    checked.points = secret.times_generator()
    for call in (
        lambda: released(checked, minus, (0,)),
        lambda: check_release(
            COMMITTEE, checked, read_points([minus.point], "key"), GRANT, ReleaseShare(0, GRANT, (NONE,), bytes(64))
        ),
    ):
        with pytest.raises(ProtocolError, match="than the opposite of report 0's point") as caught:
            call()  # type: ignore[no-untyped-call]
        assert not isinstance(caught.value, CheatingError)


def test_whoever_has_the_shares_and_one_report_opens_the_trustees_layer_of_all() -> None:
    """Why shares are sent to the consumer alone. The boxes stay closed to everybody but their aggregators."""
    labels, reports = sealed(2)
    checked, key = CheckedReports(labels, reports), ConsumerKey.fresh()
    masked = interpolate([1, 2], [read_points(one.points, "R") for one in released(checked, key, (0, 1)).values()])
    known = open_release(COMMITTEE, checked, key, GRANT, released(checked, key, (0, 1)))
    own = masked[:1] - key.secret.times(COMMITTEE.point)  # r X, which the provider of report 0 knows by itself
    other = masked[1:] - (masked[:1] - own)
    assert open_report(labels[1], reports[1], other) == known.boxes[1]


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
