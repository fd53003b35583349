"""Noise on what is revealed, so that an output says less of single records.

Every computing party gives a discrete Gaussian of the full scale as an input of its own, and all are added before the
value is opened. So whoever reads the output, and whoever else colludes, one honest computing party's noise of that
scale stays on every number. With n computing parties the noise has a standard deviation of sqrt(n) times the scale.

Noise is drawn on raw words, which are integers, by the project's exact sampler (:mod:`mpc.dp.discrete_gaussian`). It
has a largest magnitude, so the range of the result is exact as every other.

A scale alone is no guarantee. Whoever states the most that one record can change the output, as an L2 norm, gets an
epsilon from :func:`epsilon`. It counts one party's noise alone.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from mpc.dp.accountant import check_countable
from mpc.dp.discrete_gaussian import discrete_gaussian, noise_bound
from mpc.errors import ParameterError
from mpc.ring import Ring
from mpc.tensors.ranges import Range, real

if TYPE_CHECKING:
    from mpc.tensors.tensor import PrivateTensor

Scale = int | float | str | Fraction
"""A standard deviation, as a number or in words such as "0.5" or "1/3". A float counts as the decimals it prints as."""


def exact_scale(noise: Scale) -> Fraction:
    """Return a scale as an exact number. Raises `ParameterError` for what is no number of at least zero."""
    try:
        scale = Fraction(repr(noise) if isinstance(noise, float) else noise)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        raise ParameterError(f"noise: expected a number of at least 0, found {noise!r}") from None
    if scale < 0:
        raise ParameterError(f"noise: expected a number of at least 0, found {noise!r}")
    return scale


def with_noise(tensor: PrivateTensor, scale: Fraction) -> PrivateTensor:
    """Return a tensor plus the noise of every computing party, each with this standard deviation.

    Args:
        tensor: what will be revealed.
        scale: in the tensor's own numbers. 0 gives the tensor itself.

    Raises:
        ParameterError: a scale that is finer than a thousandth of the tensor's unit, or beyond what can be drawn.
        RangeError: the ring has no room for the noise.
    """
    if scale == 0:
        return tensor
    session, backend = tensor.session, tensor.session.backend
    label = session.label("noise")
    unit = Fraction(1, 1 << tensor.fraction_bits)
    raw = scale / unit
    try:
        check_countable(raw)
    except ParameterError as wrong:
        raise ParameterError(f"{label}: in units of 2^-{tensor.fraction_bits}, {wrong}") from wrong
    bound = noise_bound(raw)
    found = tensor.range + Range.around_zero(bound).times(len(backend.computing))
    session.require_room(found, label, f"noise of up to {bound} units of every computing party", [tensor])
    ring = Ring(session.format.ring_bits)
    shared = tensor.shared
    for party in backend.computing:
        words = ring.reduce(discrete_gaussian(raw, tensor.shape)) if party == session.me else None
        shared = backend.add(shared, backend.input(party, words, tensor.shape))
    session.note(np.array([raw.numerator % 2**64, raw.denominator], dtype=np.uint64))
    error = real(len(backend.computing) * bound, tensor.fraction_bits)
    return session.result(
        label, shared, found, tensor.fraction_bits, [tensor], reference=lambda value: value, error=error
    )


def epsilon(noise: Scale, sensitivity: float, delta: float, times: int = 1) -> float:
    """Return the epsilon of outputs that were revealed with noise, in closed form.

    Each is a discrete Gaussian mechanism, which is zero-concentrated differentially private with rho = sensitivity^2 /
    (2 noise^2) (Canonne, Kamath, Steinke, "The Discrete Gaussian for Differential Privacy", NeurIPS 2020, Theorem 4,
    which holds for several integers by the L2 norm). Rho adds up. Then epsilon = rho + 2 sqrt(rho ln(1/delta)) (Bun,
    Steinke, TCC 2016, Proposition 1.3).

    Args:
        noise: the scale of the reveals.
        sensitivity: the most that one record can change an output, as an L2 norm over all of its numbers. Roundings of
            the computation are part of it, because another record may be rounded otherwise.
        delta: above 0 and below 1.
        times: how many outputs.
    """
    scale = exact_scale(noise)
    if not (0 < delta < 1 and math.isfinite(sensitivity) and sensitivity >= 0 and times >= 0):
        raise ParameterError(
            f"expected a delta above 0 and below 1, a sensitivity and a number of times of at least 0, found {delta}, "
            f"{sensitivity} and {times}"
        )
    if sensitivity == 0 or times == 0:
        return 0.0
    if scale == 0:
        return math.inf
    rho = times * sensitivity**2 / (2 * float(scale) ** 2)
    return rho + 2 * math.sqrt(rho * math.log(1 / delta))
