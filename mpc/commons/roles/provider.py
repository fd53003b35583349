"""A data provider: it makes policies and reports, and may revoke them.

provider                                          each trustee
register, policy             entries ──►          log
report     entry, encrypted report ──►            log the entry, keep the report
revoke                       entry ──►            log, and release no more
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mpc._core import CurvePoints
from mpc.commons.access import State, task_of
from mpc.commons.committee import check_for
from mpc.commons.encoding import encode
from mpc.commons.entries import NONE, REPORT_ID_BYTES, Policy, Register, Report, Revoke, Role, Rules, sign_entry
from mpc.commons.following import Follower
from mpc.commons.founding import Founding
from mpc.commons.functions import layout_of
from mpc.commons.group import read_points
from mpc.commons.identities import Identity
from mpc.commons.reports import ReportLabel, nonce_of, seal_report
from mpc.errors import ProtocolError
from mpc.randomness import SYSTEM, Randomness


class DataProvider:
    """One data provider. It keeps no measurement, and prints its name alone.

    Attributes:
        log: what this provider has seen of the log.
    """

    def __init__(self, founding: Founding, name: str, identity: Identity, randomness: Randomness = SYSTEM) -> None:
        self.name, self.identity = name, identity
        self.log = Follower(founding)
        self._founding, self._randomness = founding, randomness

    def register(self) -> bytes:
        """Return the entry that gives this provider its name."""
        return self._sign(Register(self.name, Role.PROVIDER, b""))

    def policy(self, task: str, rules: Rules) -> bytes:
        """Return the first version of a policy of this provider's own. Its leaf hash is the policy's name."""
        return self._sign(Policy(0, NONE, self.identity.key, task, rules))

    def report(self, task: str, policy: bytes, measurements: Mapping[str, Any]) -> tuple[bytes, bytes]:
        """Return the entry of a new report, and the encrypted report for the trustees.

        Args:
            policy: leaf hash of the policy's first version.
            measurements: one for each function of the task.

        Raises:
            ProtocolError: there is no such task, or the log has no trustees' key yet.
            MeasurementError: a measurement is not valid.
        """
        state, report_id = self.log.state, self._randomness.bytes(REPORT_ID_BYTES)
        label = ReportLabel(self._founding.origin, task, policy, self.identity.key, report_id)
        entry, sealed = report_of(state, label, measurements, self._randomness)
        return self._sign(entry), sealed

    def revoke(self, target: bytes) -> bytes:
        """Return the revocation of a policy or report of this provider, by leaf hash. It goes to every trustee."""
        return self._sign(Revoke(target))

    def _sign(self, contents: Register | Policy | Report | Revoke) -> bytes:
        return sign_entry(self.identity, self._founding.origin, contents)

    def __repr__(self) -> str:
        return f"DataProvider({self.name})"


def report_of(
    state: State, label: ReportLabel, measurements: Mapping[str, Any], randomness: Randomness = SYSTEM
) -> tuple[Report, bytes]:
    """Return a report as it stands in the log, and the encrypted report."""
    task = task_of(state, label.task)
    if not state.trustees_key:
        raise ProtocolError("expected the trustees' key in the log before a report, found none")
    committee = check_for(state.founding, state.trustees_key)
    public, messages = layout_of(label.origin, task).deal(measurements, nonce_of(label), randomness)
    points = CurvePoints.join([read_points([one.point], "an aggregator's key") for one in task.aggregators])
    sealed = seal_report(committee, points, label, messages, randomness)
    return Report(label.task, label.policy, label.report_id, sealed.digest, public), encode(sealed)
