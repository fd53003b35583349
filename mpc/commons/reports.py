"""A provider's report: a box for each aggregator, all of them sealed to the trustees' key.

The trustees' layer is opened only for a request that was granted. A box is opened by its aggregator alone. Both layers
are bound to a label that says whose report it is, for which task and policy of which log, and which boxes are in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mpc._core import CurvePoints
from mpc.commons.committee import CommitteeKey
from mpc.commons.encoding import DIGEST, KEY, U8, Fixed, Many, Name, Nested, Record, coded, decode, encode
from mpc.commons.group import GENERATOR, Points, SecretScalar, read_points
from mpc.commons.proofs import PROOF_BYTES, is_proven, prove
from mpc.commons.sealing import Sealed, proven_points, seal, unseal
from mpc.errors import CheatingError, ParameterError, ProtocolError
from mpc.randomness import SYSTEM, Randomness

MOST_AGGREGATORS = 64
NONCE_BYTES = 16
NONE = bytes(32)
"""In place of the point of a box that needs no opening to be judged."""
_USE = b"commons box opening v1"


@dataclass(frozen=True)
class ReportLabel(Record):
    """What a report is, in public.

    Attributes:
        origin: of the log.
        policy: leaf hash of the policy's first version.
        provider: the key that signs the report's entry.
        report_id: the provider's own number for it.
    """

    origin: str = coded(Name())
    task: str = coded(Name())
    policy: bytes = coded(DIGEST)
    provider: bytes = coded(KEY)
    report_id: bytes = coded(Fixed(16))


def nonce_of(label: ReportLabel) -> bytes:
    """Return the nonce of a report's proof, so that nobody else can report the same shares."""
    return hashlib.sha256(b"commons nonce v1\n" + encode(label)).digest()[:NONCE_BYTES]


@dataclass(frozen=True)
class SealedReport(Record):
    """What a provider sends. SHA-256 of its encoding is the digest in the log.

    Attributes:
        boxes: SHA-256 of each box's encoding, in the order of the aggregators.
        sealed: the boxes, to the trustees' key.
    """

    boxes: tuple[bytes, ...] = coded(Many(DIGEST, MOST_AGGREGATORS))
    sealed: Sealed = coded(Nested(Sealed))  # noqa: RUF009  (a field, as all others)

    @property
    def digest(self) -> bytes:
        """The digest that stands in the log."""
        return hashlib.sha256(encode(self)).digest()


class Boxed(Protocol):
    """What has boxes: a report, or an aggregator's noise."""

    @property
    def boxes(self) -> tuple[bytes, ...]:
        """SHA-256 of each box's encoding, in the order of the aggregators."""
        ...


@dataclass(frozen=True)
class SealedBoxes(Record):
    """Boxes without the trustees' layer around them, as an aggregator deals its noise."""

    sealed: tuple[Sealed, ...] = coded(Many(Nested(Sealed), MOST_AGGREGATORS))

    @property
    def digest(self) -> bytes:
        """The digest that stands in the log."""
        return hashlib.sha256(encode(self)).digest()

    @property
    def boxes(self) -> tuple[bytes, ...]:
        """SHA-256 of each box's encoding."""
        return tuple(_digest(box) for box in self.sealed)


@dataclass(frozen=True)
class _Boxes(Record):
    boxes: tuple[Sealed, ...] = coded(Many(Nested(Sealed), MOST_AGGREGATORS))


@dataclass(frozen=True)
class _BoxLabel(Record):
    report: ReportLabel = coded(Nested(ReportLabel))  # noqa: RUF009  (a field, as all others)
    aggregator: int = coded(U8)


@dataclass(frozen=True)
class _BoxesLabel(Record):
    report: ReportLabel = coded(Nested(ReportLabel))  # noqa: RUF009  (a field, as all others)
    boxes: tuple[bytes, ...] = coded(Many(DIGEST, MOST_AGGREGATORS))


def seal_report(
    committee: CommitteeKey,
    aggregators: Points,
    label: ReportLabel,
    messages: Sequence[bytes],
    randomness: Randomness = SYSTEM,
) -> SealedReport:
    """Return a report of one message for each aggregator.

    Args:
        aggregators: their keys, in order.
    """
    boxes = seal_boxes(aggregators, label, messages, randomness)
    digests = boxes.boxes
    sealed = seal(committee.point, encode(_BoxesLabel(label, digests)), encode(_Boxes(boxes.sealed)), randomness)
    return SealedReport(digests, sealed)


def seal_boxes(
    aggregators: Points, label: ReportLabel, messages: Sequence[bytes], randomness: Randomness = SYSTEM
) -> SealedBoxes:
    """Return a box for each aggregator, in the order of their keys."""
    if len(messages) != len(aggregators):
        raise ParameterError(f"expected a message for each of {len(aggregators)} aggregators, found {len(messages)}")
    return SealedBoxes(
        tuple(
            seal(aggregators[place : place + 1], encode(_BoxLabel(label, place)), message, randomness)
            for place, message in enumerate(messages)
        )
    )


class CheckedReports:
    """Reports whose ciphertexts were made for their labels. Only such ones may be released.

    Attributes:
        labels, reports: in order.
        points: U of each.
    """

    def __init__(self, labels: Sequence[ReportLabel], reports: Sequence[SealedReport]) -> None:
        """Check all proofs. Raises `ProtocolError` that names the first report whose proof does not hold."""
        if len(labels) != len(reports) or not reports:
            raise ParameterError(f"expected a label for each of some reports, found {len(labels)} and {len(reports)}")
        found = []
        for place, point in enumerate(_points(labels, reports)):
            if point is None:
                raise ProtocolError(f"expected report {place} with a proof for its label, found one without")
            found.append(point)
        self.labels, self.reports, self.points = tuple(labels), tuple(reports), CurvePoints.join(found)

    def __len__(self) -> int:
        return len(self.reports)

    def __repr__(self) -> str:
        return f"CheckedReports({len(self)})"


def are_well_made(labels: Sequence[ReportLabel], reports: Sequence[SealedReport]) -> list[bool]:
    """Return for each report whether its proof holds for its label. A trustee releases no other one."""
    return [point is not None for point in _points(labels, reports)]


def open_report(label: ReportLabel, report: SealedReport, shared: Points) -> tuple[Sealed, ...]:
    """Return the boxes of a released report, given x U.

    Raises:
        ProtocolError: it does not hold the boxes that it says. That is the provider's fault.
    """
    boxes = decode(_Boxes, unseal(report.sealed, encode(_BoxesLabel(label, report.boxes)), shared)).boxes
    if tuple(_digest(box) for box in boxes) != report.boxes:
        raise ProtocolError("expected the boxes of the digests in a report, found others")
    return boxes


def open_box(secret: SecretScalar, label: ReportLabel, report: Boxed, aggregator: int, box: Sealed) -> bytes:
    """Return an aggregator's message.

    Args:
        report: the one with the digest in the log.
        box: as the consumer has handed it on.

    Raises:
        CheatingError: it is not the report's box. The consumer has handed on another, and the aggregator must not
            complain, for everybody would take the complaint for a lie.
        ProtocolError: there is no message in the report's box, about which the aggregator then complains.
    """
    _check_box(report, aggregator, box, "from the consumer")
    bound = encode(_BoxLabel(label, aggregator))
    (point,) = proven_points([box], [bound])
    if point is None:
        raise ProtocolError("expected a box with a proof for its label, found one without")
    return unseal(box, bound, secret.times(point))


def open_to_all(
    secret: SecretScalar,
    label: ReportLabel,
    report: Boxed,
    aggregator: int,
    box: Sealed,
    randomness: Randomness = SYSTEM,
) -> tuple[bytes, bytes]:
    """Return the point that opens a box, and the proof that it is the right one, for a complaint.

    For a box whose own proof does not hold, both are zeros. It is bad by itself, and its point may be copied from
    another's box, which an opened point would open.

    Raises:
        CheatingError: it is not the report's box, see :func:`open_box`. Nothing is opened then.
    """
    _check_box(report, aggregator, box, "from the consumer")
    (point,) = proven_points([box], [encode(_BoxLabel(label, aggregator))])
    if point is None:
        return NONE, bytes(PROOF_BYTES)
    bases = CurvePoints.join([GENERATOR, point])
    multiples = secret.times(bases)
    proof = prove(_USE, secret, bases, multiples, _complained(label, aggregator, box), randomness)
    return multiples[1:].encode(), proof


def judge_box(
    key: Points, label: ReportLabel, report: Boxed, aggregator: int, box: Sealed, point: bytes, proof: bytes
) -> bytes | None:
    """Return what is in a box that an aggregator has opened to all. None says that the box itself is bad.

    Anybody can judge: only the aggregator's key, the logged report, the box and the complaint are needed.

    Raises:
        CheatingError: the complaint is false, which is the aggregator's fault.
    """
    _check_box(report, aggregator, box, "in a complaint")
    bound = encode(_BoxLabel(label, aggregator))
    (own,) = proven_points([box], [bound])
    if own is None:
        return None
    try:
        shared = read_points([point], "the point of a complaint")
    except ProtocolError as error:
        raise CheatingError(str(error)) from None
    context = _complained(label, aggregator, box)
    pairs = CurvePoints.join([GENERATOR, own]), CurvePoints.join([key, shared])
    if not is_proven(_USE, *pairs, context, proof):
        raise CheatingError(f"expected aggregator {aggregator} to open its box with a proof, found none that holds")
    try:
        return unseal(box, bound, shared)
    except ProtocolError:
        return None


def _points(labels: Sequence[ReportLabel], reports: Sequence[SealedReport]) -> list[Points | None]:
    bound = [encode(_BoxesLabel(label, report.boxes)) for label, report in zip(labels, reports, strict=True)]
    return proven_points([report.sealed for report in reports], bound)


def _check_box(report: Boxed, aggregator: int, box: Sealed, where: str) -> None:
    if not 0 <= aggregator < len(report.boxes) or _digest(box) != report.boxes[aggregator]:
        raise CheatingError(f"expected box {aggregator} of the report {where}, found another")


def _digest(box: Sealed) -> bytes:
    return hashlib.sha256(encode(box)).digest()


def _complained(label: ReportLabel, aggregator: int, box: Sealed) -> bytes:
    return encode(_BoxLabel(label, aggregator)) + _digest(box)
