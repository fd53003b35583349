"""Checking a simulation: each operation's result is opened and compared with the same operation on floats.

All values become visible to all computing parties, so only a simulation on made-up data may check. Besides, each tensor
carries a twin, which is what plain float64 arithmetic gives from the inputs on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mpc.errors import MpcError
from mpc.ring import Ring

if TYPE_CHECKING:
    from mpc.tensors.session import Session
    from mpc.tensors.tensor import PrivateTensor

Reals = NDArray[np.float64]
Reference = Callable[..., Reals]
FLOAT_ERROR = 2.0**-44
"""Relative, of the float arithmetic that a result is compared with."""


class DeviationError(MpcError):
    """An operation deviates from the same operation on floats by more than its stated error."""


def check_simulation(session: Session) -> None:
    """Let every operation of a simulated party be compared with floats from now on.

    All values are opened to all computing parties for that. So a session on separate machines has no option for it.
    """
    session.checker = Checker(session)


class Checker:
    """Compares each operation of one party's session with floats.

    Attributes:
        worst: for each kind of operation the largest share of its stated error that was used.
    """

    def __init__(self, session: Session) -> None:
        self.worst: dict[str, float] = {}
        self._session = session

    def start(self, label: str, tensor: PrivateTensor) -> None:
        """Give an input its twin."""
        found = self._opened(tensor)
        self._within_range(label, tensor, found)
        tensor.twin = found

    def check(
        self, label: str, tensor: PrivateTensor, parents: Sequence[PrivateTensor], reference: Reference, error: float
    ) -> None:
        """Compare a result with the operation on the inputs' real values, and give it its twin.

        Raises:
            DeviationError: naming the operation, its stated error and the deviation.
        """
        found, inputs = self._opened(tensor), [self._opened(parent) for parent in parents]
        if found is None:
            return
        self._within_range(label, tensor, found)
        expected = np.asarray(reference(*inputs), dtype=np.float64)
        largest = max((float(np.abs(array).max()) for array in (expected, *inputs) if array.size), default=0.0)  # type: ignore[arg-type, union-attr]
        deviation = float(np.abs(found - expected).max()) if found.size else 0.0
        allowed = error + FLOAT_ERROR * max(1.0, largest)
        kind = label.split(" ", maxsplit=1)[0]
        self.worst[kind] = max(self.worst.get(kind, 0.0), deviation / allowed)
        if expected.shape != found.shape or deviation > allowed:
            raise DeviationError(f"{label}: expected a deviation of at most {allowed:.3g}, found {deviation:.3g}")
        twins = [parent.twin for parent in parents]
        tensor.twin = np.asarray(reference(*twins), dtype=np.float64)

    def _opened(self, tensor: PrivateTensor | None) -> Reals | None:
        if tensor is None:
            return None
        backend = self._session.backend
        opened = backend.open([tensor.shared], backend.computing)
        return None if opened is None else Ring(backend.ring_bits).decode(opened[0], tensor.fraction_bits)

    def _within_range(self, label: str, tensor: PrivateTensor, found: Reals | None) -> None:
        if found is None or not found.size:
            return
        low, high = (np.ldexp(float(end), -tensor.fraction_bits) for end in (tensor.range.low, tensor.range.high))
        slack = FLOAT_ERROR * max(abs(low), abs(high))
        if found.min() < low - slack or found.max() > high + slack:
            raise DeviationError(f"{label}: expected values within the range of its bound, found one beyond")
