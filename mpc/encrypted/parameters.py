"""The sets of parameters of encrypted training, and which one a training needs.

A shallow set has one level less, and its keys are smaller by a third or more. Its bits go into special primes, so that
a digit of hybrid key switching holds more primes (Han and Ki, CT-RSA 2020, section 3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mpc._core import CkksParameters
from mpc.errors import ParameterError

SETS: Mapping[str, Callable[[], CkksParameters]] = {
    "small-shallow": CkksParameters.small_shallow,
    "small": CkksParameters.small,
    "large-shallow": CkksParameters.large_shallow,
    "large": CkksParameters.large,
}
"""By name, the smallest keys first. ``mpc/core/ckks`` says what they hold, and how secure they are."""

_made: dict[str, CkksParameters] = {}


def parameters_of(name: str) -> CkksParameters:
    """Return a set of parameters, the same object each time.

    Raises:
        ParameterError: there is no set of this name.
    """
    if name not in SETS:
        raise ParameterError(f"expected one of the parameters {', '.join(SETS)}, found {name!r}")
    if name not in _made:
        _made[name] = SETS[name]()
    return _made[name]


def smallest_set(levels: int) -> str:
    """Return the name of the set with so many levels that has the smallest keys.

    Raises:
        ParameterError: there is none.
    """
    for name in SETS:
        if parameters_of(name).depth >= levels:
            return name
    largest = max(parameters_of(name).depth for name in SETS)
    raise ParameterError(f"expected at most {largest} levels, found {levels}: take fewer iterations or degree 3")
