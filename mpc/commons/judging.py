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
from typing import Any

from mpc.commons.access import State
from mpc.commons.batches import Batch, Item
from mpc.commons.encoding import Blob, Many, Record, coded
from mpc.commons.founding import Task
from mpc.commons.group import read_points
from mpc.commons.prio import HeldShare, RobustPrio
from mpc.commons.proceedings import task_of_grant, words_so_far
from mpc.commons.reports import judge_box
from mpc.commons.steps import MOST_REPORTS, Complaint, Verdict, words_digest
from mpc.errors import CheatingError


@dataclass(frozen=True)
class SaidWords(Record):
    """An aggregator's verifier words, one for each item of the opened batch in order.

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
    rejected, liars = set(batch.rejected), set(batch.liars)
    invalid = list[Item]()
    judged: dict[RobustPrio[Any], list[tuple[Item, dict[int, bytes]]]] = {}
    for row, item in enumerate(batch.items):
        complaints = {
            place: state.complaints[batch.grant, item.index, place]
            for place in range(len(task.aggregators))
            if (batch.grant, item.index, place) in state.complaints
        }
        lied = {place for place, one in complaints.items() if not _holds(task, item, place, one)}
        liars |= lied
        words = {
            place + 1: one.words[row] if row < len(one.words) else b""
            for place, one in said.items()
            if place not in complaints
        }
        if len(lied) < len(complaints):
            invalid.append(item)
        elif sum(not word for word in words.values()) > task.faulty:
            rejected.add(item.index)  # an honest aggregator has no word, because the coin gives none
        else:
            judged.setdefault(item.robust, []).append((item, words))
    for robust, items in judged.items():
        valid, lying = robust.decide_batch([words for _, words in items])
        liars |= {number - 1 for number in lying}
        invalid += [item for (item, _), holds in zip(items, valid, strict=True) if not holds]
    rejected |= {item.index for item in invalid}
    liars |= {item.dealer for item in invalid if item.dealer is not None}
    liars |= {place for place, one in said.items() if len(one.words) != len(batch.items)}
    digest = words_digest(words_so_far(state, batch.grant))
    return Verdict(batch.grant, tuple(sorted(rejected)), tuple(sorted(liars)), digest)


def _holds(task: Task, item: Item, place: int, complaint: Complaint) -> bool:
    """Return whether a complaint is true: the box is bad, or what is in it is no share of the item."""
    key, box = read_points([task.aggregators[place].point], "an aggregator's key"), item.boxes[place]
    try:
        message = judge_box(key, item.label, item.digests, place, box, complaint.point, complaint.proof)
    except CheatingError:
        return False
    return message is None or not isinstance(item.checked(place, message), HeldShare)
