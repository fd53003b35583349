"""A granted batch as everybody opens it who has the log, the ciphertexts and the batch key: trustees and aggregators.

All of them get the same boxes for the same reports. The boxes stay sealed to their aggregators.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mpc.commons.access import State, granted
from mpc.commons.committee import check_for
from mpc.commons.encoding import decode
from mpc.commons.functions import NoiseCircuit, layout_of
from mpc.commons.granted import GrantedReports, granted_reports
from mpc.commons.noise import noise_label
from mpc.commons.prio import HeldShare, RobustPrio
from mpc.commons.proceedings import coins_of, function_of, noise_end, noises_so_far, task_of_grant
from mpc.commons.release import BatchKey, open_batch
from mpc.commons.reports import Boxed, ReportLabel, SealedBoxes, SealedReport, nonce_of
from mpc.commons.sealing import Sealed
from mpc.errors import ProtocolError


@dataclass(frozen=True)
class Item:
    """A report of an opened batch, or an aggregator's part of its noise. Both are checked in the same way.

    Attributes:
        index: in the log.
        dealer: the place of the aggregator whose noise it is, or None for a report.
        digests: of the boxes. boxes: a box for each aggregator, or none where what is there is no item.
        robust: how it is checked.
        share_at, message_size: where an aggregator's share stands in its box, and how long the whole is.
    """

    index: int
    dealer: int | None
    label: ReportLabel
    digests: Boxed
    boxes: tuple[Sealed, ...]
    public_share: bytes
    robust: RobustPrio[Any]
    share_at: int
    message_size: int

    def checked(self, place: int, message: bytes) -> HeldShare | str:
        """Return the share that an aggregator has found in its box, or what is wrong with it."""
        if len(message) != self.message_size:
            return f"expected shares of {self.message_size} bytes in a box, found {len(message)}"
        share = message[self.share_at : self.share_at + self.robust.share_size]
        found = self.robust.check(place + 1, nonce_of(self.label), self.public_share, share)
        return found if isinstance(found, HeldShare) else found.reason


@dataclass(frozen=True)
class Batch:
    """A granted batch that was opened.

    Attributes:
        items: the reports that have opened, in order, and behind them the aggregators' noise.
        rejected: indices of the others, which is the fault of those who have made them.
        liars: places of aggregators whose noise is no item.
    """

    grant: bytes
    items: tuple[Item, ...]
    rejected: tuple[int, ...]
    liars: tuple[int, ...]


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
    layout = layout_of(state.founding.origin, task_of_grant(state, grant))
    part = layout.parts[function_of(state, grant)]
    items, rejected = list[Item](), list(found.rejected)
    labels, ciphertexts = found.reports.labels, found.reports.reports
    for index, label, sealed, its in zip(found.indices, labels, ciphertexts, boxes, strict=True):
        if isinstance(its, str):
            rejected.append(index)
        else:
            own = part.public_share(state.reports[index].public_share)
            items.append(Item(index, None, label, sealed, its, own, part.robust, part.share_at, layout.share_size))
    noises, liars = _noises(state, grant, part.noise, read)
    rejected += [state.noises[grant, place].index for place in liars]
    return Batch(grant, (*items, *noises), tuple(sorted(rejected)), liars)


def coin_of_each(state: State, batch: Batch) -> list[bytes]:
    """Return the coin of each item of a batch: a report's own, and that of the noise.

    Raises:
        ProtocolError: a coin is not in the log yet.
    """
    coins = dict(zip(granted(state, batch.grant).reports, coins_of(state, batch.grant), strict=True))
    if (end := noise_end(state, batch.grant)) is not None:
        if end not in state.coin_values:
            raise ProtocolError("expected the coin of a grant's noise in the log, found none yet")
        coins |= dict.fromkeys((item.index for item in batch.items if item.dealer is not None), state.coin_values[end])
    return [coins[item.index] for item in batch.items]


def _noises(
    state: State, grant: bytes, circuit: NoiseCircuit | None, read: Callable[[bytes], bytes]
) -> tuple[list[Item], tuple[int, ...]]:
    """Return the parts of a grant's noise, and the places of aggregators who have dealt something else."""
    items, liars = list[Item](), list[int]()
    if circuit is None:
        return items, ()
    aggregators = len(task_of_grant(state, grant).aggregators)
    for place, one in noises_so_far(state, grant).items():
        boxes, robust = decode(SealedBoxes, read(one.digest)), circuit.robust
        if len(boxes.sealed) == aggregators:
            label = noise_label(state, grant, place)
            items.append(
                Item(one.index, place, label, boxes, boxes.sealed, one.public_share, robust, 0, robust.share_size)
            )
        else:
            liars.append(place)
    return items, tuple(liars)
