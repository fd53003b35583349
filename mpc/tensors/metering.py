"""A back-end that writes down what each operation of it has cost, for a forecast."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mpc.tensors.backends.interface import Backend, Cost

METERED = (
    "input", "constant", "open", "add", "subtract", "add_public", "linear",
    "multiply", "multiply_rounded", "matmul", "truncate", "negative", "keep_if", "relu", "below", "between",
)  # fmt: skip
PASSED_ON = ("mask_ahead", "subset_sums")
"""What a back-end may offer besides, and is not written down.

It is set like the others, as from Python 3.12 on `isinstance` does not see what `__getattr__` gives for a protocol.
"""


@dataclass
class Spent:
    """What all calls of one operation at one place of a program have cost.

    Attributes:
        calls: how many there were.
        rounds, sent: for each party, sent in bytes.
        correlations: words that the provider gave.
    """

    calls: int = 0
    rounds: dict[str, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    correlations: int = 0

    def add(self, before: Mapping[str, Cost], after: Mapping[str, Cost]) -> None:
        """Count one call."""
        self.calls += 1
        for name, cost in after.items():
            self.rounds[name] = self.rounds.get(name, 0) + cost.rounds - before[name].rounds
            self.sent[name] = self.sent.get(name, 0) + cost.sent - before[name].sent
        self.correlations += _words(after) - _words(before)


def _words(costs: Mapping[str, Cost]) -> int:
    return max((sum(cost.correlations.values()) for cost in costs.values()), default=0)


class Metered:
    """Another back-end, of which every call is written down by the scope that it stands in and its own name.

    Args:
        backend: what computes.
        costs: returns what each party has spent so far, as far as it is known here.

    Attributes:
        where: returns the scope of the program that runs.
    """

    def __init__(self, backend: Backend, costs: Callable[[], Mapping[str, Cost]]) -> None:
        self.spent: dict[tuple[str, str], Spent] = {}
        self.where: Callable[[], str] = lambda: ""
        self._backend = backend
        self._costs = costs
        for name in METERED:
            if hasattr(backend, name):
                setattr(self, name, self._metered(name))
        for name in PASSED_ON:
            if hasattr(backend, name):
                setattr(self, name, getattr(backend, name))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def _metered(self, name: str) -> Callable[..., Any]:
        work = getattr(self._backend, name)

        def call(*arguments: Any, **options: Any) -> Any:
            before = self._costs()
            found = work(*arguments, **options)
            self.spent.setdefault((self.where(), name), Spent()).add(before, self._costs())
            return found

        return call

    def __repr__(self) -> str:
        return f"Metered({self._backend!r})"
