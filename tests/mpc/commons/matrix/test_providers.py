"""What faulty data providers reach: their reports are left out, and nobody else is blamed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import pytest

from mpc._core import CurvePoints
from mpc.commons.committee import check_for
from mpc.commons.encoding import encode
from mpc.commons.entries import Report, sign_entry
from mpc.commons.functions import layout_of
from mpc.commons.group import SecretScalar, read_points
from mpc.commons.merkle import leaf_hash
from mpc.commons.prio import MeasurementError, Prio3Sum, RobustPrio
from mpc.commons.reports import ReportLabel, SealedReport, _Boxes, _BoxesLabel, nonce_of, seal_boxes, seal_report
from mpc.commons.roles.run import CommonsRun, make_cast
from mpc.commons.sealing import seal
from tests.mpc.commons.forger import Forger
from tests.mpc.commons.prepared import SETTINGS, Faults, aggregate, ranges_of, refusal, silent

HONEST = [3, 7, 1]


class Liar:
    """Makes a report of its own for one provider of a run."""

    def __init__(self, run: CommonsRun, place: int, policy: bytes) -> None:
        self.provider = run.cast.providers[place]
        self.founding = run.cast.founding
        state = self.provider.log.state
        self.committee = check_for(self.founding, state.trustees_key)
        self.task = self.founding.tasks[0]
        self.points = [read_points([one.point], "key") for one in self.task.aggregators]
        report_id = place.to_bytes(16, "big")
        self.label = ReportLabel(self.founding.origin, "task", policy, self.provider.identity.key, report_id)
        robust = layout_of(self.founding.origin, self.task).parts["sum/7"].robust
        self.forger = Forger(robust, nonce_of(self.label))

    @property
    def messages(self) -> list[bytes]:
        return [self.forger.share(j) for j in range(self.forger.n)]

    def said(self, public: bytes | None = None, sealed: SealedReport | None = None) -> tuple[bytes, bytes]:
        """Return the entry and the encrypted report, by default honest ones of what the forger holds."""
        public = self.forger.public() if public is None else public
        sealed = sealed or seal_report(self.committee, CurvePoints.join(self.points), self.label, self.messages)
        entry = Report("task", self.label.policy, self.label.report_id, sealed.digest, public)
        return sign_entry(self.provider.identity, self.founding.origin, entry), encode(sealed)


def out_of_range(liar: Liar) -> Any:
    liar.forger.add(0, 1)
    return liar.said()


def wrong_proof(liar: Liar) -> Any:
    liar.forger.add(liar.forger.proof_elements[1], 5)
    return liar.said()


def share_beside_the_polynomial(liar: Liar) -> Any:
    liar.forger.values[-1][0] += 1
    return liar.said()


def box_for_nobody(liar: Liar) -> Any:
    liar.points[1] = SecretScalar.of(77).times_generator()
    return liar.said()


def short_share(liar: Liar) -> Any:
    messages = liar.messages
    messages[2] = messages[2][:-1]
    points = CurvePoints.join(liar.points)
    return liar.said(sealed=seal_report(liar.committee, points, liar.label, messages))


def boxes_of_other_digests(liar: Liar) -> Any:
    boxes = seal_boxes(CurvePoints.join(liar.points), liar.label, liar.messages)
    digests = (bytes(32), *boxes.boxes[1:])
    inner = encode(_Boxes(boxes.sealed))
    return liar.said(
        sealed=SealedReport(digests, seal(liar.committee.point, encode(_BoxesLabel(liar.label, digests)), inner))
    )


def no_boxes_inside(liar: Liar) -> Any:
    digests = (bytes(32),) * liar.forger.n
    sealed = seal(liar.committee.point, encode(_BoxesLabel(liar.label, digests)), b"no boxes")
    return liar.said(sealed=SealedReport(digests, sealed))


def ciphertext_for_another_label(liar: Liar) -> Any:
    other = replace(liar.label, report_id=b"\xff" * 16)
    return liar.said(sealed=seal_report(liar.committee, CurvePoints.join(liar.points), other, liar.messages))


LIES: dict[str, Callable[[Liar], Any]] = {
    one.__name__: one
    for one in (
        out_of_range, wrong_proof, share_beside_the_polynomial, box_for_nobody, short_share,
        boxes_of_other_digests, no_boxes_inside, ciphertext_for_another_label, silent,
    )
}  # fmt: skip


@lru_cache
def reported(n: int, t: int) -> tuple[CommonsRun, list[int]]:
    """Return a run with three honest providers, and one for each lie. And the entries of their reports, in order."""
    cast = make_cast(
        {"task": ["sum/7"]},
        providers=len(HONEST) + len(LIES),
        trustees=n,
        faulty_trustees=t,
        aggregators=n,
        faulty_aggregators=t,
    )
    run = CommonsRun(cast, Faults())
    run.make_key()
    run.open_log()
    policies = {}

    def heard(role: str, place: int, step: str, said: Any) -> Any:
        if role == "provider" and step == "policy":
            policies[place] = leaf_hash(said)
        if role == "provider" and step == "report" and place >= len(HONEST):
            lie = list(LIES.values())[place - len(HONEST)]
            return lie(Liar(run, place, policies[place]))
        return said

    run.hearing = heard
    run.report("task", [{"sum/7": value} for value in (*HONEST, *[0] * len(LIES))], uses=100)
    return run, cast.trustees[0].state.of_task["task"]


@pytest.mark.parametrize("lie", [one for one in LIES if one != "silent"])
def test_a_report_that_lies_is_left_out_and_no_aggregator_is_blamed(lie: str) -> None:
    run, reports = reported(4, 1)
    bad = reports[len(HONEST) + list(LIES).index(lie)]
    found = aggregate(run, ranges=ranges_of([*reports[: len(HONEST)], bad]), function="sum/7")
    assert found.value == sum(HONEST)
    assert (found.rejected, found.liars, found.silent) == ((bad,), (), ())


@pytest.mark.parametrize(("n", "t"), SETTINGS)
def test_all_lies_at_once_leave_the_honest_sum(n: int, t: int) -> None:
    """The last provider has crashed before it reported."""
    run, reports = reported(n, t)
    assert len(reports) == len(HONEST) + len(LIES) - 1
    found = aggregate(run, function="sum/7")
    assert found.value == sum(HONEST)
    assert (found.reports, found.rejected, found.liars) == (tuple(reports[:3]), tuple(reports[3:]), ())


def test_a_batch_that_lies_leave_too_small_is_not_summed() -> None:
    run, reports = reported(4, 1)
    run.unsaid.clear()
    with pytest.raises(Exception, match="expected at least 2 valid reports in a batch, found 1"):
        aggregate(run, ranges=ranges_of([reports[0], reports[3]]), function="sum/7")
    for place in range(4):  # no aggregator gives its share of a sum over one report
        assert "expected at least 2 valid reports" in run.unsaid["aggregator", place, "sum"]


@pytest.mark.parametrize("size", [-1, 1, 1 << 20])
def test_a_report_whose_public_part_has_another_length_than_its_circuits_is_not_logged(size: int) -> None:
    """So a provider cannot fill the log with what ends in no result."""
    run, reports = reported(4, 1)
    liar = Liar(run, 3, run.cast.trustees[0].state.reports[reports[3]].policy)
    liar.label = replace(liar.label, report_id=b"\x02" * 16)
    public = liar.forger.public()
    wrong = public[:size] if size < 0 else public + bytes(size)
    expected = f"expected {len(public)} bytes as the public part of a report of task, found {len(public) + size}"
    assert expected in refusal(run, *liar.said(public=wrong))
    assert len(run.cast.trustees[0].state.of_task["task"]) == len(reports)


def test_two_stories_of_one_report_are_logged_once() -> None:
    run, reports = reported(4, 1)
    state = run.cast.trustees[0].state
    policy = state.reports[reports[3]].policy
    liar = Liar(run, 3, policy)  # the same report's number, with other contents
    assert "expected a new number of a report" in refusal(run, *liar.said())
    liar.label = replace(liar.label, report_id=b"\x01" * 16)
    liar.forger.nonce = nonce_of(liar.label)
    entry, _ = liar.said()
    _, other = liar.said()
    assert refusal(run, entry, other) == "expected the attachment with the digest in the entry, found another"
    run.unsaid.clear()
    run.submit(entry)
    assert "expected the attachment" in next(iter(run.unsaid.values()))  # and none is not enough either


def test_a_measurement_out_of_range_is_refused_at_an_honest_provider() -> None:
    run, reports = reported(4, 1)
    policy = run.cast.trustees[0].state.reports[reports[0]].policy
    with pytest.raises(MeasurementError):
        run.cast.providers[0].report("task", policy, {"sum/7": 8})


@pytest.mark.parametrize(("n", "t"), SETTINGS)
def test_who_knows_the_coin_before_can_cheat_and_who_does_not_cannot(n: int, t: int) -> None:
    """The attack of a provider together with an aggregator, where the aggregators' randomness were a fixed key.

    The provider adds to its proof what makes the polynomial right at the one place that the coin gives. Under any other
    coin it is still wrong there. The log fixes a report before its coin is tossed.
    """
    known, fresh = bytes(range(32)), bytes(32)
    forger = Forger(RobustPrio(Prio3Sum(2, 7), n, t, b"known coin"))
    forger.add(0, 1)
    assert not forger.verdict(known).valid
    element = forger.proof_elements[1]
    output, wire, value = forger.whole(known)
    assert output == 0
    forger.add(element, 1)
    slope = forger.whole(known)[2] - value
    missing = wire * wire - wire - value  # the circuit proves x * (x - 1) = 0 for each bit
    forger.add(element, missing * pow(slope, -1, forger.p) - 1)
    assert forger.verdict(known).valid
    assert not forger.verdict(fresh).valid
