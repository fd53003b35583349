"""Releases of reports to a consumer: who can open what, and who is named where somebody lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mpc._core import CurvePoints
from mpc.commons import release as release_module
from mpc.commons.committee import KeyShare
from mpc.commons.encoding import Record, decode, encode
from mpc.commons.entries import Endorsement, Range, Request
from mpc.commons.group import GENERATOR, Points, SecretScalar, encodings, read_points
from mpc.commons.proofs import PROOF_BYTES
from mpc.commons.release import ConsumerKey, ReleaseShare, check_release, check_request, release
from mpc.commons.reports import NONE, CheckedReports, are_well_made, open_box, open_report, seal_report
from mpc.commons.sharing import interpolate
from mpc.errors import CheatingError, ProtocolError
from tests.mpc.commons.keys import open_release
from tests.mpc.commons.sealed_reports import (
    AGGREGATORS,
    COMMITTEE,
    GRANT,
    KEYS,
    SHARES,
    contents,
    label,
    messages,
    released,
    sealed,
)

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
