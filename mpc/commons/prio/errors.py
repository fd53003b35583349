"""What can be wrong with a measurement, a report or an aggregate. Each sentence holds no secret."""

from __future__ import annotations

from mpc.errors import MpcError, ParameterError, ProtocolError


class MeasurementError(ParameterError):
    """A measurement is not one that the circuit has. Nothing was sharded."""


class ReportError(ProtocolError):
    """A report must be left out of the aggregate. Each kind of reason has a class of its own."""


class DecodeError(ReportError):
    """A message has another length, or holds a number that is no field element."""


class TestPointError(ReportError):
    """The random place of a proof's test is one that would show a secret. The chance is below 2^-50."""

    __test__ = False  # no case for pytest, whatever its name says


class InvalidProofError(ReportError):
    """The measurement is not valid, or some share is not the one that the client made."""


class JointRandomnessError(ReportError):
    """The aggregators derived other randomness for the proof than the client used."""


class AggregateError(MpcError):
    """Aggregate shares do not fit together, or their sum could have passed the modulus."""


STATUSES: dict[int, tuple[type[ReportError], str]] = {
    1: (DecodeError, "expected field elements below the modulus, found a larger number"),
    2: (TestPointError, "expected a place for the proof's test that is no root of unity, found one that is"),
    3: (InvalidProofError, "expected a proof that fits the measurement's shares, found one that does not"),
    4: (JointRandomnessError, "expected the joint randomness that the client used, found another"),
}
"""By the core's number, why a report fails. 0 is for reports that do not."""


def error_of(status: int) -> ReportError:
    """Return the error of a status that is not 0."""
    kind, sentence = STATUSES[status]
    return kind(sentence)
