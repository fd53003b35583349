"""What the aggregators have said about a batch, and what follows from it: which reports are valid, and who has lied.

    aggregator    opens its boxes, checks its shares
                  Complaint about a bad one ──►   everybody opens that box, and judges
                  SaidWords of the others   ──►   everybody decides
    trustee                                       Verdict

Everything here follows from the log and its attachments. So honest trustees say the same verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mpc.commons.access import State
from mpc.commons.batches import Batch, BatchReport
from mpc.commons.encoding import Blob, Many, Record, coded
from mpc.commons.entries import MOST_REPORTS, Complaint, Verdict, words_digest
from mpc.commons.group import read_points
from mpc.commons.prio import HeldShare
from mpc.commons.proceedings import task_of_grant, words_so_far
from mpc.commons.reports import judge_box
from mpc.errors import CheatingError


@dataclass(frozen=True)
class SaidWords(Record):
    """An aggregator's verifier words, one for each report of the opened batch in order.

    A word is empty where the aggregator has complained, or where the coin gives none.
    """

    words: tuple[bytes, ...] = coded(Many(Blob(1 << 20), MOST_REPORTS))

    def __repr__(self) -> str:
        return f"SaidWords({len(self.words)})"


def judge(state: State, batch: Batch, said: Mapping[int, SaidWords]) -> Verdict:
    """Return the verdict on a batch.

    Args:
        said: by the aggregator's place, of those that have said their words before the step's end.

    Raises:
        TooManyLiesError: more aggregators lied or were silent than can be corrected. There is no verdict.
    """
    task = task_of_grant(state, batch.grant)
    rejected, liars = set(batch.rejected), set[int]()
    for row, report in enumerate(batch.reports):
        complained = {
            place: state.complaints[batch.grant, report.index, place]
            for place in range(len(task.aggregators))
            if (batch.grant, report.index, place) in state.complaints
        }
        lied = {place for place, one in complained.items() if not _holds(state, batch, report, place, one)}
        liars |= lied
        if len(lied) < len(complained):
            rejected.add(report.index)
            continue
        words = {
            place: one.words[row] if row < len(one.words) else b""
            for place, one in said.items()
            if place not in complained
        }
        if sum(not word for word in words.values()) > task.faulty:
            rejected.add(report.index)  # an honest aggregator has no word, because the coin gives none
            continue
        verdict = batch.part.robust.decide({place + 1: word for place, word in words.items()})
        liars |= {number - 1 for number in verdict.liars}
        if not verdict.valid:
            rejected.add(report.index)
    liars |= {place for place, one in said.items() if len(one.words) != len(batch.reports)}
    digest = words_digest(words_so_far(state, batch.grant))
    return Verdict(batch.grant, tuple(sorted(rejected)), tuple(sorted(liars)), digest)


def _holds(state: State, batch: Batch, report: BatchReport, place: int, complaint: Complaint) -> bool:
    """Return whether a complaint is true: the box is bad, or what is in it is no share of the report."""
    aggregator = task_of_grant(state, batch.grant).aggregators[place]
    key = read_points([aggregator.point], "an aggregator's key")
    box = report.boxes[place]
    try:
        message = judge_box(key, report.label, report.sealed, place, box, complaint.point, complaint.proof)
    except CheatingError:
        return False
    return message is None or not isinstance(batch.checked(place, report, message), HeldShare)
