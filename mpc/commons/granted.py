"""Which ciphertexts a grant is for: the link from the log's entries to a release.

The log has digests of reports, and does not look at the reports themselves. Trustees before a release, and the consumer
before it opens one, take the batch from here, so that all of them have the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mpc.commons.access import State, task_of
from mpc.commons.group import Points
from mpc.commons.release import check_request
from mpc.commons.reports import CheckedReports, ReportLabel, SealedReport, are_well_made
from mpc.errors import ProtocolError


@dataclass(frozen=True)
class GrantedReports:
    """What may be released for a grant.

    Attributes:
        grant: its leaf hash.
        consumer: Q of the logged request.
        reports: those whose proofs hold, in order. indices: where they stand in the log.
        rejected: indices of the others, which is their providers' fault.
    """

    grant: bytes
    consumer: Points
    reports: CheckedReports
    indices: tuple[int, ...]
    rejected: tuple[int, ...]


def label_of(state: State, report: int) -> ReportLabel:
    """Return the label of a logged report, by its index, as the log's entry says it."""
    logged = state.reports[report]
    return ReportLabel(state.founding.origin, logged.task, logged.policy, logged.author, logged.report_id)


def granted_reports(state: State, grant: bytes, sealed: Mapping[int, SealedReport]) -> GrantedReports:
    """Return what may be released for a grant. A trustee asks `Trustee.check_release` before.

    Args:
        grant: leaf hash of the grant.
        sealed: all ciphertexts of the batch, by the report's index in the log.

    Raises:
        ProtocolError: there is no such grant, or a ciphertext is missing or has another digest than the log, or fewer
            are valid than the task's smallest batch.
    """
    granted = state.grants.get(grant)
    if granted is None:
        raise ProtocolError(f"expected the hash of a grant, found {grant.hex()[:16]}")
    for report in granted.reports:
        if report not in sealed or sealed[report].digest != state.reports[report].digest:
            found = "another" if report in sealed else "none"
            raise ProtocolError(f"expected the ciphertext of report {report} with the digest in the log, found {found}")
    labels = {report: label_of(state, report) for report in granted.reports}
    holds = are_well_made(list(labels.values()), [sealed[report] for report in granted.reports])
    indices = tuple(report for report, good in zip(granted.reports, holds, strict=True) if good)
    asked = state.requests[granted.request]
    smallest = task_of(state, asked.request.task).smallest_batch
    if len(indices) < smallest:
        raise ProtocolError(f"expected at least {smallest} valid reports of a granted batch, found {len(indices)}")
    return GrantedReports(
        grant,
        check_request(state.founding.origin, asked.author, asked.request),
        CheckedReports([labels[report] for report in indices], [sealed[report] for report in indices]),
        indices,
        tuple(report for report in granted.reports if report not in set(indices)),
    )
