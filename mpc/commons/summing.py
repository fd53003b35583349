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

from mpc.commons.access import State, granted
from mpc.commons.encoding import DIGEST, Blob, Record, coded, decode
from mpc.commons.entries import batch_digest
from mpc.commons.functions import layout_of, noise_of
from mpc.commons.proceedings import function_of, noises_so_far, task_of_grant
from mpc.errors import ProtocolError


@dataclass(frozen=True)
class SumShare(Record):
    """One aggregator's sum, for the consumer alone.

    Attributes:
        batch: :attr:`Valid.digest` of the reports and the noise that are in it.
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


@dataclass(frozen=True)
class Valid:
    """What a sum is over.

    Attributes:
        reports: indices of the valid reports of a granted batch, in order.
        noises: indices of the accepted parts of its noise, in order.
    """

    reports: tuple[int, ...]
    noises: tuple[int, ...]

    @property
    def digest(self) -> bytes:
        """The digest of all this."""
        return batch_digest([*self.reports, *self.noises])


def valid_items(state: State, grant: bytes) -> Valid:
    """Return what a sum is over, by the verdict that stands.

    Raises:
        ProtocolError: no verdict stands, or fewer reports are valid than the task's smallest batch, or fewer parts of
            the noise than make sure that n - 2t are of honest aggregators.
    """
    held = state.verdicts.get(grant)
    if held is None:
        raise ProtocolError("expected a verdict that t + 1 trustees have said, found none")
    rejected = set(held.verdict.rejected)
    reports = tuple(report for report in granted(state, grant).reports if report not in rejected)
    task = task_of_grant(state, grant)
    if len(reports) < task.smallest_batch:
        raise ProtocolError(f"expected at least {task.smallest_batch} valid reports in a batch, found {len(reports)}")
    noises = sorted(one.index for one in noises_so_far(state, grant).values() if one.index not in rejected)
    needed = len(task.aggregators) - task.faulty if noise_of(function_of(state, grant)) else 0
    if len(noises) < needed:
        raise ProtocolError(f"expected noise of at least {needed} aggregators, found {len(noises)}")
    return Valid(reports, tuple(noises))


def result_of(state: State, grant: bytes, sums: Mapping[int, bytes]) -> Result:
    """Return the result from the sums of those aggregators that have sent theirs, by place.

    With noise the result is a list of integers, or one, which may be negative.

    Raises:
        TooManyLiesError: more aggregators lied or were silent than can be corrected. There is no result.
        ProtocolError: as in :func:`valid_items`.
        AggregateError: the sum is none that so many reports can give.
    """
    valid, verdict = valid_items(state, grant), state.verdicts[grant].verdict
    task = task_of_grant(state, grant)
    part = layout_of(state.founding.origin, task).parts[function_of(state, grant)]
    points = {place + 1: _share(grant, valid.digest, data) for place, data in sums.items()}
    value: Any
    if part.noise is None:
        value, liars = part.robust.combine(points, len(valid.reports))
    else:
        added = part.noise.bound * len(valid.noises)
        value, liars = part.robust.combine_noisy(points, len(valid.reports), added)
        value = value if part.noise.is_vector else value[0]
    lied = sorted({*verdict.liars, *(number - 1 for number in liars)})
    silent = [one.name for place, one in enumerate(task.aggregators) if place not in sums]
    names = tuple(task.aggregators[place].name for place in lied)
    rejected = tuple(one for one in granted(state, grant).reports if one in set(verdict.rejected))
    return Result(value, valid.reports, rejected, names, tuple(silent))


def _share(grant: bytes, digest: bytes, data: bytes) -> bytes:
    """Return the share of a sum over the right reports. What is none is empty, which counts as a lie."""
    try:
        found = decode(SumShare, data)
    except ProtocolError:
        return b""
    return found.share if (found.grant, found.batch) == (grant, digest) else b""
