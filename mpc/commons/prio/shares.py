"""What the steps of Prio3 keep or give besides bytes. None of it shows a share when it is printed.

A batch is a table of bytes with a row a report, and a status a report that says why it failed, or 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpc.commons.prio.errors import ReportError, error_of
from mpc.errors import ParameterError

Rows = NDArray[np.uint8]


@dataclass(frozen=True, repr=False)
class VerifyState:
    """What one aggregator keeps of one report between two steps."""

    encoded: bytes

    def __repr__(self) -> str:
        return f"VerifyState({len(self.encoded)} bytes)"


@dataclass(frozen=True, repr=False)
class OutShare:
    """One aggregator's share of one valid measurement, as field elements one after the other."""

    encoded: bytes

    def __repr__(self) -> str:
        return f"OutShare({len(self.encoded)} bytes)"


@dataclass(frozen=True, repr=False)
class Reports:
    """What clients send: a row a report. ``input_shares`` has a table for each aggregator, which goes to it alone."""

    nonces: Rows
    public_shares: Rows
    input_shares: tuple[Rows, ...]

    def __len__(self) -> int:
        return len(self.nonces)

    def __repr__(self) -> str:
        return f"Reports({len(self)} reports, {len(self.input_shares)} aggregators)"


@dataclass(frozen=True, repr=False)
class _Batch:
    rows: Rows
    statuses: Rows

    def __len__(self) -> int:
        return len(self.statuses)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} reports, {int(np.count_nonzero(self.statuses))} of them failed)"

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Which reports have not failed."""
        return np.equal(self.statuses, 0)

    @property
    def failures(self) -> dict[int, ReportError]:
        """The errors of those reports that failed, by their row."""
        return {int(row): error_of(int(self.statuses[row])) for row in np.flatnonzero(self.statuses)}


class VerifyStates(_Batch):
    """What one aggregator keeps of a batch between two steps."""


class Messages(_Batch):
    """The verifier messages of a batch, which are public, and which reports failed."""


class OutShares(_Batch):
    """One aggregator's shares of a batch of measurements. Those that failed are zeros and do not count."""

    def keep(self, chosen: NDArray[np.bool_]) -> OutShares:
        """Return only those reports that are chosen, so that all aggregators add up the same ones."""
        if chosen.dtype != np.bool_ or chosen.shape != self.statuses.shape:
            raise ParameterError(
                f"expected a bool array of shape {self.statuses.shape}, found {chosen.dtype} of {chosen.shape}"
            )
        return OutShares(self.rows[chosen], self.statuses[chosen])
