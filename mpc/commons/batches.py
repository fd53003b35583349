"""A granted batch as everybody opens it who has the log, the ciphertexts and the batch key: trustees and aggregators.

All of them get the same boxes for the same reports. The boxes stay sealed to their aggregators.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mpc.commons.access import State, granted, request_of
from mpc.commons.committee import check_for
from mpc.commons.encoding import decode, encode
from mpc.commons.functions import Part, layout_of
from mpc.commons.granted import GrantedReports, granted_reports
from mpc.commons.proceedings import task_of_grant
from mpc.commons.release import BatchKey, open_batch
from mpc.commons.reports import ReportLabel, SealedReport
from mpc.commons.sealing import Sealed
from mpc.errors import ProtocolError

NONCE_BYTES = 16


@dataclass(frozen=True)
class BatchReport:
    """One report of an opened batch.

    Attributes:
        index: in the log.
        sealed: as its digest stands in the log. boxes: what was in it, a box for each aggregator.
        public_share: of all functions.
    """

    index: int
    label: ReportLabel
    sealed: SealedReport
    boxes: tuple[Sealed, ...]
    public_share: bytes

    @property
    def nonce(self) -> bytes:
        """The nonce of its proof."""
        return nonce_of(self.label)


@dataclass(frozen=True)
class Batch:
    """A granted batch that was opened.

    Attributes:
        part: where the granted function stands in a report. share_size: bytes of an aggregator's shares in all.
        reports: that have opened, in order.
        rejected: indices of the others, which is their providers' fault.
    """

    grant: bytes
    part: Part
    share_size: int
    reports: tuple[BatchReport, ...]
    rejected: tuple[int, ...]

    def checked(self, place: int, report: BatchReport, message: bytes) -> Any:
        """Return the share that an aggregator has found in its box, or what is wrong with it."""
        robust = self.part.robust
        if len(message) != self.share_size:
            return f"expected shares of {self.share_size} bytes in a box, found {len(message)}"
        public, share = self.part.public_share(report.public_share), self.part.share(message)
        return robust.check(place + 1, report.nonce, public, share)


def nonce_of(label: ReportLabel) -> bytes:
    """Return the nonce of a report's proof, so that nobody else can report the same shares."""
    return hashlib.sha256(b"commons nonce v1\n" + encode(label)).digest()[:NONCE_BYTES]


def sealed_batch(state: State, grant: bytes, read: Callable[[bytes], bytes]) -> GrantedReports:
    """Return what may be released for a grant.

    Args:
        read: returns the attachment of a digest.

    Raises:
        ProtocolError: as :func:`mpc.commons.granted.granted_reports`, or an attachment is missing.
    """
    sealed = {
        report: decode(SealedReport, read(state.reports[report].digest)) for report in granted(state, grant).reports
    }
    return granted_reports(state, grant, sealed)


def opened_batch(state: State, grant: bytes, read: Callable[[bytes], bytes]) -> Batch:
    """Return a batch that the consumer has handed on, opened.

    Raises:
        ProtocolError: it was not handed on, or an attachment is missing.
        CheatingError: the consumer has handed on something else than what opens it.
    """
    found = sealed_batch(state, grant, read)
    if grant not in state.hand_ons:
        raise ProtocolError("expected a batch that was handed on, found one that was not")
    committee = check_for(state.founding, state.trustees_key)
    key = decode(BatchKey, read(state.hand_ons[grant]))
    boxes = open_batch(committee, found.reports, found.consumer, grant, key)
    task, function = task_of_grant(state, grant), request_of(state, grant).request.function
    layout = layout_of(state.founding.origin, task)
    reports, rejected = list[BatchReport](), list(found.rejected)
    for index, label, sealed, its in zip(
        found.indices, found.reports.labels, found.reports.reports, boxes, strict=True
    ):
        public = state.reports[index].public_share
        if isinstance(its, str) or len(public) != layout.public_size:
            rejected.append(index)
        else:
            reports.append(BatchReport(index, label, sealed, its, public))
    return Batch(grant, layout.parts[function], layout.share_size, tuple(reports), tuple(sorted(rejected)))
