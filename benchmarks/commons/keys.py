"""The trustees' key: how it is made, and what reports under it cost each role, on one core.

Only this thread's own time counts, as others use the machine, and of several runs the fastest.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from mpc._core import CurvePoints
from mpc.commons.committee import CommitteeKey, KeySetup, KeyShare
from mpc.commons.group import SecretScalar, read_points
from mpc.commons.identities import Identity
from mpc.commons.key_session import KeySession, run_in_memory
from mpc.commons.release import ConsumerKey, check_release, gather_release, open_batch, release
from mpc.commons.reports import CheckedReports, ReportLabel, seal_report

_MESSAGE_BYTES = 64  # a share of a report on a histogram
_GRANT = bytes(32)
T = TypeVar("T")


def fastest(work: Callable[[], T], runs: int = 3) -> tuple[float, T]:
    """Return the seconds of the fastest run, and what the work gives."""
    best = float("inf")
    for _ in range(runs):
        started = time.thread_time()
        found = work()
        best = min(best, time.thread_time() - started)
    return best, found


def make_key(trustees: int, faulty: int) -> tuple[CommitteeKey, list[KeyShare]]:
    """Return the key that so many trustees have made in memory, and their shares."""
    identities = [Identity.fresh() for _ in range(trustees)]
    setup = KeySetup("example.org/keys", 0, faulty, tuple(one.key for one in identities))
    sessions = [KeySession(setup, place, identity) for place, identity in enumerate(identities)]
    run_in_memory(sessions)
    return sessions[0].key, [session.share for session in sessions]


def measure_key(trustees: int, faulty: int) -> float:
    """Return the seconds that each trustee computes to make a key."""
    return fastest(lambda: make_key(trustees, faulty))[0] / trustees


def measure_release(reports: int, trustees: int = 4, faulty: int = 1, aggregators: int = 4) -> dict[str, float]:
    """Return the seconds of each step from sealing to opened boxes, one party's own for all reports."""
    committee, shares = make_key(trustees, faulty)
    keys = CurvePoints.join([SecretScalar.fresh().times_generator() for _ in range(aggregators)])
    labels = [
        ReportLabel("example.org/keys", "heights", bytes(32), bytes(32), number.to_bytes(16, "big"))
        for number in range(reports)
    ]
    messages = [bytes(_MESSAGE_BYTES)] * aggregators
    times: dict[str, float] = {}
    times["seal, all providers"], sealed = fastest(
        lambda: [seal_report(committee, keys, label, messages) for label in labels], 1
    )
    times["check the reports, a trustee"], checked = fastest(lambda: CheckedReports(labels, sealed))
    key = ConsumerKey.fresh()
    consumer = read_points([key.point], "the consumer's key")
    released = []
    for share in shares[: committee.needed]:
        seconds, its = fastest(lambda share=share: release(share, committee, checked, consumer, _GRANT))  # type: ignore[misc]
        times["release, a trustee"] = max(seconds, times.get("release, a trustee", 0))
        released.append(its)
    times["check one trustee's release"], _ = fastest(
        lambda: check_release(committee, checked, consumer, _GRANT, released[0])
    )
    times["hand on, the consumer"], (batch_key, liars) = fastest(
        lambda: gather_release(committee, checked, key, _GRANT, dict(enumerate(released)))
    )
    times["open, an aggregator"], opened = fastest(lambda: open_batch(committee, checked, consumer, _GRANT, batch_key))
    if any(isinstance(boxes, str) for boxes in opened) or liars:
        raise ValueError("expected all reports to open, found others")
    return times
