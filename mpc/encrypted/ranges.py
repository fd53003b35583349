"""What is looked at before anything is encrypted: whether training stays where the polynomial means something.

Outside of its range the polynomial is far from the logistic function, and training would end in numbers that look like
weights. One owner runs the twin of the whole training and looks at every z. Several owners may not run it together.
They have the worst case of what their records' norm allows, which proves the range of a short and slow training alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from mpc.encrypted.packing import Floats, Packing
from mpc.encrypted.programs.logistic import Logistic, train, train_in_the_clear
from mpc.encrypted.reading import Reading
from mpc.encrypted.twin import Clear, Twin
from mpc.errors import ParameterError, RangeError

_DIFFERENCE = 1e-3
"""How far twin and plain numpy may be apart, relative to the largest weight. Only the encoding of constants differs."""

LARGEST_BOUND = 0.01
"""The largest bound on the error, relative to the largest weight. With a larger one a comparison would say little."""


@dataclass(frozen=True, repr=False)
class Foreseen:
    """What the twin of one training gives.

    Attributes:
        weights: ``(d',)``.
        deviation: ``(d',)``, the standard deviation of the encrypted run's weights.
        bound: ``(d',)``, what the encrypted run's weights differ by at most, see :mod:`mpc.encrypted.twin`.
        reach: the largest magnitude of z in each iteration but the first.
        refreshed: the same at each refresh, by iteration. The program goes on from these weights.
        read: ``(d',)``, what the numbers that a shared release reads differ by at most, without its noise. Only where
            a reading was given.
    """

    weights: Floats
    deviation: Floats
    bound: Floats
    reach: tuple[float, ...]
    refreshed: Mapping[int, Foreseen] = field(default_factory=dict)
    read: Floats | None = None

    def __repr__(self) -> str:
        return f"Foreseen(weights={self.weights.shape}, iterations={len(self.reach) + 1})"


def first_weights(packing: Packing, records: Floats, choices: Logistic) -> Floats:
    """Return the weights ``(d,)`` after the first iteration from Z ``(n, d)``, which every later one adds, too.

    They are the rate times the mean over n' of Z / 2.
    """
    found: Floats = choices.rate * records.sum(axis=0) / (2 * packing.records)
    return found


def packed(packing: Packing, records: Floats, choices: Logistic) -> Floats:
    """Return what is encrypted of Z ``(n, d)``, ``(chunks, slots)``, with the first weights in the spare rows."""
    return packing.pack(records, first_weights(packing, records, choices))


def foresee(
    twin: Twin, packing: Packing, records: Floats, choices: Logistic, reading: Reading | None = None
) -> Foreseen:
    """Run the twin of a training on Z ``(n, d)`` and return what it gives, with the bound on the encrypted run's error.

    Args:
        reading: of the shared release by which the weights are to be opened, if there is one.

    Raises:
        RangeError: some z leaves the polynomial's range, or a number leaves its ciphertext. The sentence says which
            iteration, the value and what to change. Also where the bound is not small against the weights.
    """
    scale = twin.chain.scale
    chunks = [twin.fresh(chunk, scale, level=choices.levels) for chunk in packed(packing, records, choices)]
    reach: list[float] = []
    refreshed: dict[int, Foreseen] = {}
    means = np.kron(np.eye(packing.features), np.full(packing.rows, 1 / packing.rows))

    def found_in(weights: Clear) -> Foreseen:
        lowest = twin.lower(weights, 0)
        found = Foreseen(packing.weights(lowest.slots), *twin.errors(lowest, means), tuple(reach))
        _check_bound(found, choices)
        return found

    def refresh(iteration: int, weights: Clear) -> Clear:
        refreshed[iteration] = found_in(weights)
        again = packing.repeat(refreshed[iteration].weights)
        return twin.fresh(again, weights.scale, level=choices.refreshed_levels)

    weights: Clear | None = None
    for step in train(twin, packing, chunks, choices, refresh, keep_z=True):
        weights = step.weights or weights
        if step.z:
            reach.append(max(float(np.abs(z.slots).max()) for z in step.z))
            if reach[-1] > choices.sigmoid.range:
                raise _too_far(packing, records, choices, step.iteration, reach[-1])
    if weights is None:
        raise ParameterError("expected at least 1 iteration, found none")
    last = found_in(weights)
    _compare(weights.slots, packing.repeat(train_in_the_clear(records, choices, packing)))
    if reading is None:
        return replace(last, refreshed=refreshed)
    # The mask comes in as a fresh public encryption, whose noise counts.
    level = len(reading.primes) - 1
    fresh = twin.fresh(np.zeros(packing.slots), weights.scale, public=True, level=level)
    masked = twin.add(twin.lower(weights, level), fresh)
    return replace(last, refreshed=refreshed, read=read_bounds(twin, reading, masked))


def read_bounds(twin: Twin, reading: Reading, decrypted: Clear) -> Floats:
    """Return what the numbers ``(d',)`` that a shared release reads differ by at most, before rounding and noise.

    Factors that are rounded to integers weigh real and imaginary parts of slots. Both hold noise of equal deviations,
    as all that slots are multiplied by is real.

    Args:
        decrypted: what the ciphertext holds that is decrypted, without masks.
    """
    _, bounds = twin.errors(decrypted, np.concatenate([reading.real, reading.imaginary]))
    both: Floats = bounds.reshape(2, -1).sum(axis=0)
    return both


def read_of(foreseen: Sequence[Foreseen]) -> list[Floats]:
    """Return the bounds on what is read of each target. Raises `ParameterError` where a twin had no reading."""
    found = [one.read for one in foreseen if one.read is not None]
    if len(found) != len(foreseen):
        raise ParameterError("expected twins that were run with a reading, found one without")
    return found


def _check_bound(found: Foreseen, choices: Logistic) -> None:
    """Refuse a training of which a comparison within the bound would not tell whether it was done at all."""
    largest, bound = float(np.abs(found.weights).max()), float(found.bound.max())
    if not bound <= LARGEST_BOUND * largest:
        raise RangeError(
            f"expected a bound on the error of at most {LARGEST_BOUND:g} times the largest weight, which is "
            f"{largest:.2g}, found {bound:.2g}: raise learning_rate from {choices.rate:g}, or take larger parameters"
        )


def _compare(twin: Floats, plain: Floats) -> None:
    """Compare the twin's weights in all slots with plain numpy's, repeated. A difference is a bug here."""
    allowed = _DIFFERENCE * float(np.abs(plain).max())
    if (difference := float(np.abs(twin - plain).max())) > allowed:
        raise RangeError(
            f"expected the twin's weights within {allowed:.1g} of those of plain numpy, found a difference of "
            f"{difference:.1g}: take fewer records or a larger learning rate"
        )


def largest_z(records: Floats, choices: Logistic, padded: int) -> tuple[float, ...]:
    """Return the largest magnitude of z in each iteration but the first, by plain numpy, of Z ``(n, d)``."""
    weights, found = np.zeros(records.shape[1]), []
    for iteration in range(choices.iterations):
        z = records @ weights
        if iteration:
            found.append(float(np.abs(z).max()))
        weights = weights + choices.rate / padded * (choices.sigmoid(-z) @ records)
    return tuple(found)


def _too_far(packing: Packing, records: Floats, choices: Logistic, iteration: int, value: float) -> RangeError:
    reach = choices.sigmoid.range
    changes = [
        f"learning_rate from {choices.rate:g} to {rate:g}"
        for rate in _smaller(choices.rate)
        if max(largest_z(records, replace(choices, rate=rate), packing.records), default=0.0) <= reach
    ][:1]
    changes += [f"iterations from {choices.iterations} to {iteration - 1}"]
    return RangeError(
        f"iteration {iteration} would reach {value:.3g}, outside of the sigmoid's -{reach:g}..{reach:g}: lower "
        f"{' or '.join(changes)}"
    )


def _smaller(rate: float) -> list[float]:
    """Return smaller rates with one digit that counts, the largest first, down to a thousandth."""
    found = []
    exponent = math.floor(math.log10(rate))
    for power in range(exponent, exponent - 4, -1):
        found += [float(Fraction(digit) * Fraction(10) ** power) for digit in range(9, 0, -1)]
    return [one for one in found if one < rate]


def worst_case(norm: float, choices: Logistic, filled: float = 1.0) -> tuple[float, ...]:
    """Return the largest z that any records can reach in each iteration but the first, as far as all stay in the range.

    Every record, the constant among it, has a norm of at most R = ``norm``. A step moves the weights by at most
    ``rate * filled * R`` times the polynomial's largest value in its range, and by half of that in the first iteration.
    The norms multiply to z. It is reached in the second iteration, by records that are all alike.

    Args:
        filled: n / n', the part of the records that are no padding.
    """
    first = 0.5 * choices.rate * filled * norm
    step = choices.rate * filled * choices.sigmoid.largest_slope * norm
    return tuple(norm * (first + step * done) for done in range(choices.iterations - 1))
