"""The functions of a task: names that say which circuit of Prio computes them, with its parameters.

==================================  ================================================================================
`count`                             how many measurements are 1
`sum/MOST`                          the sum of integers from 0 to MOST
`sum_vec/LENGTH/MOST`               the sums of vectors
`histogram/LENGTH`                  how many measurements are in each of LENGTH buckets
`multihot/LENGTH/WEIGHT`            the same where a measurement may be in up to WEIGHT buckets
`regression/FEATURES/BITS`          least squares over integers of BITS bits, a row of FEATURES and the label behind it
==================================  ================================================================================

A text and a point may stand before it, as in `age.histogram/10` or `height_0_to_2.5_by_0.1.sum/25`. So a task can have
several of one kind, and the log says what is asked. Behind all but a regression may stand `/noise-SCALE`, as in
`sum/100/noise-250.5`. Its result has discrete Gaussian noise of at least this scale (:mod:`mpc.commons.noise`). A
policy can allow a function with noise, and not the same without.

A report holds one measurement for each function of its task, where noise does not count. The names stand in the
founding record, so all parties use the same circuits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

from mpc.commons.founding import Founding, Task
from mpc.commons.prio import (
    Prio3,
    Prio3Count,
    Prio3Histogram,
    Prio3LinearRegression,
    Prio3MultihotCountVec,
    Prio3Sum,
    Prio3SumVec,
    RobustPrio,
)
from mpc.commons.prio.prio3 import FIELD64
from mpc.dp import check_countable, noise_bound, part_scale
from mpc.errors import ParameterError
from mpc.randomness import SYSTEM, Randomness

_NAME = re.compile(r"((?:[a-z0-9_.-]+\.)?([a-z_]+)((?:/[1-9][0-9]{0,17})*))(?:/noise-([0-9]{1,10}(?:\.[0-9]{1,9})?))?")
LEAST_PART_SCALE = Fraction(1, 2)
"""The theorem on sums of discrete Gaussians needs it, see :mod:`mpc.commons.noise`."""
_CIRCUITS: dict[str, tuple[tuple[str, ...], Callable[..., Prio3[Any, Any]]]] = {
    "count": ((), Prio3Count),
    "sum": (("MOST",), Prio3Sum),
    "sum_vec": (("LENGTH", "MOST"), Prio3SumVec),
    "histogram": (("LENGTH",), Prio3Histogram),
    "multihot": (("LENGTH", "WEIGHT"), Prio3MultihotCountVec),
    "regression": (("FEATURES", "BITS"), Prio3LinearRegression),
}


@dataclass(frozen=True)
class Part:
    """One function's part of a report: its circuit among the task's aggregators, and where its bytes begin.

    Attributes:
        noise: the circuit of an aggregator's part of the noise, or None.
    """

    robust: RobustPrio[Any]
    public_at: int
    share_at: int
    noise: NoiseCircuit | None

    def public_share(self, whole: bytes) -> bytes:
        """Return this function's part of a report's public shares."""
        return whole[self.public_at : self.public_at + self.robust.public_share_size]


@dataclass(frozen=True)
class Layout:
    """How all functions of a task stand in a report, one behind the other in the order of their names.

    Attributes:
        parts: by function.
        public_size, share_size: bytes in all.
    """

    parts: Mapping[str, Part]
    public_size: int
    share_size: int

    def deal(
        self, measurements: Mapping[str, Any], nonce: bytes, randomness: Randomness = SYSTEM
    ) -> tuple[bytes, list[bytes]]:
        """Return a report's public shares, and a message for each aggregator.

        Args:
            measurements: one for each function of the task, by its name without noise.

        Raises:
            ParameterError: a measurement is missing, or is for no function of the task.
            MeasurementError: one is not valid.
        """
        circuits = {without_noise(name): part.robust for name, part in self.parts.items()}
        if measurements.keys() != circuits.keys():
            found = ", ".join(measurements) or "none"
            raise ParameterError(f"expected a measurement for each of {', '.join(circuits)}, found {found}")
        dealt = [robust.deal(measurements[name], nonce, randomness) for name, robust in circuits.items()]
        return b"".join(public for public, _ in dealt), [
            b"".join(one) for one in zip(*(shares for _, shares in dealt), strict=True)
        ]


def circuit_of(function: str) -> Prio3[Any, Any]:
    """Return the circuit that a function's name says. Raises `ParameterError`."""
    found = _read(function)
    names, make = _CIRCUITS[found[2]]
    numbers = [int(one) for one in found[3].split("/")[1:]]
    if len(numbers) != len(names):
        raise ParameterError(f"expected {'/'.join((found[2], *names))} with numbers, found {function!r}")
    try:
        return make(2, *numbers)  # the number of shares does not count here, as RobustPrio has its own
    except ParameterError as error:
        raise ParameterError(f"function {function}: {error}") from None


@lru_cache(maxsize=256)
def layout_of(origin: str, task: Task) -> Layout:
    """Return how a report of a task looks. Raises `ParameterError` where a function's name says no circuit."""
    n, t = len(task.aggregators), task.faulty
    bases, public_at, share_at = dict[str, Part](), 0, 0
    for base in sorted({without_noise(function) for function in task.functions}):
        robust = RobustPrio(circuit_of(base), n, t, f"{origin}\n{task.name}\n{base}".encode())
        bases[base] = Part(robust, public_at, share_at, None)
        public_at += robust.public_share_size
        share_at += robust.share_size
    parts = {
        function: replace(
            bases[without_noise(function)], noise=noise_circuit(function, n, t, f"{origin}\n{task.name}\n{function}")
        )
        for function in task.functions
    }
    return Layout(parts, public_at, share_at)


def without_noise(function: str) -> str:
    """Return the name of a function without the noise of its result. Raises `ParameterError`."""
    return str(_read(function)[1])


def noise_of(function: str) -> Fraction:
    """Return the scale of the noise of a function's result, which is 0 where it has none.

    What is no function of :func:`circuit_of` has none.
    """
    found = _NAME.fullmatch(function)
    return Fraction(found[4]) if found is not None and found[4] is not None else Fraction(0)


@dataclass(frozen=True)
class NoiseCircuit:
    """How an aggregator proves that its part of the noise is within its bound.

    Attributes:
        robust: its measurement is the noise of each element of the result plus the bound.
        scale: of one part. n - 2t parts have the function's scale.
        bound: the largest magnitude of one part of one element.
        length: how many elements the result has. is_vector: whether the measurement is a row of them.
    """

    robust: RobustPrio[Any]
    scale: Fraction
    bound: int
    length: int
    is_vector: bool


def noise_circuit(function: str, n: int, t: int, context: str) -> NoiseCircuit | None:
    """Return the circuit for the noise of a function among n aggregators, or None where it has none.

    Raises:
        ParameterError: its scale is none that can be accounted for, or the function has no noise by its kind.
    """
    if not (wanted := noise_of(function)):
        if _read(function)[4] is not None:
            raise ParameterError(f"expected a noise scale above 0, found the function {function}")
        return None
    if _read(function)[2] == "regression":
        raise ParameterError(f"expected noise on counts and sums alone, found the function {function}")
    scale = part_scale(wanted, n - 2 * t)
    if scale < LEAST_PART_SCALE:
        raise ParameterError(
            f"expected noise of which each of {n - 2 * t} parts has a scale of at least {LEAST_PART_SCALE}, found the "
            f"function {function}"
        )
    check_countable(scale)
    circuit = circuit_of(function)
    bound, length = noise_bound(scale), len(circuit.largest)
    # The noise is added to the result, so its field is the same.
    is_vector = circuit.modulus != FIELD64
    of_noise: Prio3[Any, Any] = Prio3SumVec(2, length, 2 * bound) if is_vector else Prio3Sum(2, 2 * bound)
    return NoiseCircuit(RobustPrio(of_noise, n, t, f"{context}\nnoise".encode()), scale, bound, length, is_vector)


def _read(function: str) -> re.Match[str]:
    found = _NAME.fullmatch(function)
    if found is None or found[2] not in _CIRCUITS:
        raise ParameterError(f"expected a function of {', '.join(_CIRCUITS)}, found {function!r}")
    return found


def check_functions(founding: Founding) -> None:
    """Raise `ParameterError` where a task has a function that nobody can compute."""
    for task in founding.tasks:
        layout_of(founding.origin, task)
