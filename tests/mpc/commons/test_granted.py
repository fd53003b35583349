"""From a grant in the log to the ciphertexts that may be released for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mpc._core import CurvePoints
from mpc.commons.entries import NONE, Report
from mpc.commons.granted import granted_reports
from mpc.commons.group import SecretScalar
from mpc.commons.identities import Identity
from mpc.commons.release import release
from mpc.commons.reports import ReportLabel, SealedReport, open_box, seal_report
from mpc.errors import ProtocolError
from tests.mpc.commons.keys import open_release
from tests.mpc.commons.setting import Log

AGGREGATOR = SecretScalar.of(1000)
KEYS = CurvePoints.join([AGGREGATOR.times_generator()])


class Batch:
    """A grant over reports of which the last `copied` are a ciphertext of the first provider, logged by another."""

    def __init__(self, good: int, copied: int) -> None:
        self.log = Log()
        self.log.register_all()
        self.policy = self.log.policy()
        first = self._sealed(self.log.provider, 0)
        found = [self._logged(self.log.provider, number, self._sealed(self.log.provider, number) if number else first)
                 for number in range(good)]  # fmt: skip
        found += [self._logged(self.log.other_provider, number, first) for number in range(copied)]
        self.log.step()
        self.sealed = dict(zip(self.log.copy.state.of_task["heights"], found, strict=True))
        self.log.submit(self.log.consumer, self.log.request())
        self.log.step()
        (self.grant,) = self.log.copy.state.grants

    def _sealed(self, provider: Identity, number: int) -> SealedReport:
        label = ReportLabel(self.log.origin, "heights", self.policy, provider.key, number.to_bytes(16, "big"))
        return seal_report(self.log.key, KEYS, label, [b"share %d" % number])

    def _logged(self, provider: Identity, number: int, sealed: SealedReport) -> SealedReport:
        body = Report("heights", self.policy, number.to_bytes(16, "big"), sealed.digest, self.log.public_share)
        self.log.submit(provider, body)
        return sealed


def test_a_grant_releases_its_valid_reports_to_the_logged_key() -> None:
    batch = Batch(good=2, copied=1)
    log, (one, two, copied) = batch.log, batch.sealed
    found = granted_reports(log.copy.state, batch.grant, batch.sealed)
    assert (found.indices, found.rejected) == ((one, two), (copied,))
    assert found.consumer.encode() == log.consumer_key.point
    shares = {
        share.trustee: release(share, log.key, found.reports, found.consumer, batch.grant) for share in log.shares[:2]
    }
    opened = open_release(log.key, found.reports, log.consumer_key, batch.grant, shares)
    for place, boxes in enumerate(opened.boxes):
        assert not isinstance(boxes, str)
        label, report = found.reports.labels[place], found.reports.reports[place]
        assert open_box(AGGREGATOR, label, report, 0, boxes[0]) == b"share %d" % place


def test_a_batch_with_fewer_valid_reports_than_the_smallest_is_not_released() -> None:
    """Reports without a valid ciphertext fill a batch in the log, so that one honest report would stand alone."""
    batch = Batch(good=1, copied=1)
    with pytest.raises(ProtocolError, match="expected at least 2 valid reports of a granted batch, found 1"):
        granted_reports(batch.log.copy.state, batch.grant, batch.sealed)


def test_ciphertexts_are_those_of_the_log() -> None:
    batch = Batch(good=2, copied=0)
    state, (one, two) = batch.log.copy.state, batch.sealed
    for wrong, words in (
        ({one: batch.sealed[one]}, f"ciphertext of report {two} with the digest in the log, found none"),
        (batch.sealed | {two: batch.sealed[one]}, f"report {two} with the digest in the log, found another"),
        (batch.sealed | {one: replace(batch.sealed[one], boxes=(NONE,))}, f"report {one} with the digest in the log"),
    ):
        with pytest.raises(ProtocolError, match=words):
            granted_reports(state, batch.grant, wrong)
    with pytest.raises(ProtocolError, match="expected the hash of a grant"):
        granted_reports(state, NONE, batch.sealed)
