"""The aggregators' sums of a batch, and the result at the consumer.

    each aggregator                                   consumer
    sums its shares of the valid reports
    SumShare(grant, digest of these reports, sum) ──►     compares the digest with the log's
                                                      corrects the sums, and names who lied

The log says which reports are valid: those of the grant that the standing verdict does not reject. A sum over others
is a lie, whatever it holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mpc.commons.access import State, granted, request_of
from mpc.commons.encoding import DIGEST, Blob, Record, coded, decode
from mpc.commons.entries import batch_digest
from mpc.commons.functions import layout_of
from mpc.commons.proceedings import task_of_grant
from mpc.errors import ProtocolError


@dataclass(frozen=True)
class SumShare(Record):
    """One aggregator's sum, for the consumer alone.

    Attributes:
        batch: :func:`mpc.commons.entries.batch_digest` of the reports that are in it.
        share: the sum of this aggregator's shares.
    """

    grant: bytes = coded(DIGEST)
    batch: bytes = coded(DIGEST)
    share: bytes = coded(Blob(1 << 24))

    def __repr__(self) -> str:
        return f"SumShare({len(self.share)} bytes)"


@dataclass(frozen=True)
class Result:
    """What the consumer gets. It alone prints its value.

    Attributes:
        value: see the function's circuit.
        reports: indices of the reports that are in it. rejected: those of the granted batch that are not.
        liars, silent: names of aggregators.
    """

    value: Any
    reports: tuple[int, ...]
    rejected: tuple[int, ...]
    liars: tuple[str, ...]
    silent: tuple[str, ...]


def valid_reports(state: State, grant: bytes) -> tuple[tuple[int, ...], bytes]:
    """Return the indices of the reports that a sum is over, and their digest.

    Raises:
        ProtocolError: no verdict stands, or fewer are valid than the task's smallest batch.
    """
    held = state.verdicts.get(grant)
    if held is None:
        raise ProtocolError("expected a verdict that t + 1 trustees have said, found none")
    rejected = set(held.verdict.rejected)
    valid = tuple(report for report in granted(state, grant).reports if report not in rejected)
    smallest = task_of_grant(state, grant).smallest_batch
    if len(valid) < smallest:
        raise ProtocolError(f"expected at least {smallest} valid reports in a batch, found {len(valid)}")
    return valid, batch_digest(list(valid))


def result_of(state: State, grant: bytes, sums: Mapping[int, bytes]) -> Result:
    """Return the result from the sums of those aggregators that have sent theirs, by place.

    Raises:
        TooManyLiesError: more aggregators lied or were silent than can be corrected. There is no result.
        ProtocolError: as in :func:`valid_reports`.
        AggregateError: the sum is none that so many reports can give.
    """
    valid, digest = valid_reports(state, grant)
    task, verdict = task_of_grant(state, grant), state.verdicts[grant].verdict
    part = layout_of(state.founding.origin, task).parts[request_of(state, grant).request.function]
    points = {place + 1: _share(grant, digest, data) for place, data in sums.items()}
    value, liars = part.robust.combine(points, len(valid))
    lied = sorted({*verdict.liars, *(number - 1 for number in liars)})
    silent = [one.name for place, one in enumerate(task.aggregators) if place not in sums]
    names = tuple(task.aggregators[place].name for place in lied)
    return Result(value, valid, verdict.rejected, names, tuple(silent))


def _share(grant: bytes, digest: bytes, data: bytes) -> bytes:
    """Return the share of a sum over the right reports. What is none is empty, which counts as a lie."""
    try:
        found = decode(SumShare, data)
    except ProtocolError:
        return b""
    return found.share if (found.grant, found.batch) == (grant, digest) else b""
