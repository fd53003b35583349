"""Prio3: sums over many clients' measurements, of which each aggregator sees a share alone.

This is the VDAF of draft-irtf-cfrg-vdaf-20 (wire-compatible with drafts 18 and 19). A client splits its measurement
into shares and proves that it is valid. The aggregators check the proof together, add up their shares, and a collector
puts the sums together. ``docs/prio3.md`` is the page for users.

==========================================  ========================================================================
:class:`Prio3Count`                         how many measurements are 1
:class:`Prio3Sum`, :class:`Prio3SumVec`     sums of integers, or of vectors of them
:class:`Prio3Histogram`                     how many measurements are in each bucket
:class:`Prio3MultihotCountVec`              the same where a measurement may be in several buckets
:class:`Prio3LinearRegression`              least squares over integers. This one is not in the draft.
:class:`Prio3`                              the steps that all of these have
:class:`RobustPrio`                         any of them among aggregators of whom a few may lie
==========================================  ========================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpc.lazy_names import lazy_names

if TYPE_CHECKING:
    from mpc.commons.prio.circuits import (
        Prio3Count,
        Prio3Histogram,
        Prio3LinearRegression,
        Prio3MultihotCountVec,
        Prio3Sum,
        Prio3SumVec,
    )
    from mpc.commons.prio.errors import (
        AggregateError,
        DecodeError,
        InvalidProofError,
        JointRandomnessError,
        MeasurementError,
        ReportError,
        TestPointError,
    )
    from mpc.commons.prio.prio3 import Prio3
    from mpc.commons.prio.regression import RegressionSums
    from mpc.commons.prio.robust import Complaint, HeldShare, RobustPrio, TooManyLiesError, Verdict
    from mpc.commons.prio.shares import Messages, OutShare, OutShares, Reports, VerifyState, VerifyStates

_NAMES = {
    "AggregateError": "errors",
    "Complaint": "robust",
    "DecodeError": "errors",
    "InvalidProofError": "errors",
    "JointRandomnessError": "errors",
    "MeasurementError": "errors",
    "HeldShare": "robust",
    "Messages": "shares",
    "OutShare": "shares",
    "OutShares": "shares",
    "Prio3": "prio3",
    "Prio3Count": "circuits",
    "Prio3Histogram": "circuits",
    "Prio3LinearRegression": "circuits",
    "Prio3MultihotCountVec": "circuits",
    "Prio3Sum": "circuits",
    "Prio3SumVec": "circuits",
    "RegressionSums": "regression",
    "ReportError": "errors",
    "Reports": "shares",
    "RobustPrio": "robust",
    "TestPointError": "errors",
    "TooManyLiesError": "robust",
    "Verdict": "robust",
    "VerifyState": "shares",
    "VerifyStates": "shares",
}

__all__ = [
    "AggregateError",
    "Complaint",
    "DecodeError",
    "HeldShare",
    "InvalidProofError",
    "JointRandomnessError",
    "MeasurementError",
    "Messages",
    "OutShare",
    "OutShares",
    "Prio3",
    "Prio3Count",
    "Prio3Histogram",
    "Prio3LinearRegression",
    "Prio3MultihotCountVec",
    "Prio3Sum",
    "Prio3SumVec",
    "RegressionSums",
    "ReportError",
    "Reports",
    "RobustPrio",
    "TestPointError",
    "TooManyLiesError",
    "Verdict",
    "VerifyState",
    "VerifyStates",
]

__getattr__ = lazy_names(__name__, _NAMES)
