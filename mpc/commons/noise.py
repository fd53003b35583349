"""Noise by parts: each aggregator deals a part of the discrete Gaussian noise of a result, and none knows the sum.

    each aggregator j                                 all
    draws e_j, at most `bound` in magnitude
    Noise, a box for each aggregator ──►              log it, and end the step
                                                      toss a coin for what was dealt
    checks the shares of all parts as those of reports, with this coin
    adds its shares of the accepted parts to its sum

**How much.** A part has the scale sigma / sqrt(n - 2t), rounded up, where sigma is the function's. A result with fewer
than n - t accepted parts is refused. At most t aggregators are faulty, and these may deal noise that they know. So
n - 2t parts at least are of honest aggregators, whoever is heard in time, and whatever the sequencer leaves out. Their
variances add up to sigma^2.

**What it hides.** The sum of discrete Gaussians is not quite a discrete Gaussian. Kairouz, Liu and Steinke, "The
Distributed Discrete Gaussian Mechanism for Federated Learning with Secure Aggregation" (ICML 2021, theorem 1), bound
the difference for scales of at least 1/2. :func:`epsilon_of` uses their bound, by :mod:`mpc.dp.accountant`. It holds
against the consumer, all who read the log, and t aggregators together. More noise never costs privacy, so all parts
but n - 2t are left out of the account.

**What a liar can do.** A part is proven to be within its bound of 12 scales, as a report is proven to be valid. So a
faulty aggregator can shift each element by that much, and no more. That is inherent to noise that nobody sees.
"""

from __future__ import annotations

from mpc._core import CurvePoints
from mpc.commons.access import State
from mpc.commons.encoding import encode
from mpc.commons.founding import Task
from mpc.commons.functions import NoiseCircuit, circuit_of, layout_of, without_noise
from mpc.commons.group import read_points
from mpc.commons.prio import Prio3Histogram, Prio3MultihotCountVec
from mpc.commons.proceedings import function_of, task_of_grant
from mpc.commons.reports import ReportLabel, nonce_of, seal_boxes
from mpc.commons.steps import Noise
from mpc.dp import Cost, discrete_gaussian, epsilon
from mpc.errors import ParameterError, ProtocolError
from mpc.randomness import SYSTEM, Randomness


def noise_label(state: State, grant: bytes, place: int) -> ReportLabel:
    """Return what one aggregator's part of the noise of a grant is, in public."""
    task = task_of_grant(state, grant)
    return ReportLabel(state.founding.origin, task.name, grant, task.aggregators[place].key, bytes(16))


def deal_noise(state: State, grant: bytes, place: int, randomness: Randomness = SYSTEM) -> tuple[Noise, bytes]:
    """Return an aggregator's part of the noise as it stands in the log, and its boxes.

    Raises:
        ProtocolError: the grant's function has no noise.
    """
    task = task_of_grant(state, grant)
    circuit = circuit_of_noise(state, grant)
    if circuit is None:
        raise ProtocolError(f"expected a function with noise, found {function_of(state, grant)}")
    drawn = [int(one) + circuit.bound for one in discrete_gaussian(circuit.scale, (circuit.length,), randomness)]
    label = noise_label(state, grant, place)
    measurement = drawn if circuit.is_vector else drawn[0]
    public, shares = circuit.robust.deal(measurement, nonce_of(label), randomness)
    points = CurvePoints.join([read_points([one.point], "an aggregator's key") for one in task.aggregators])
    boxes = seal_boxes(points, label, shares, randomness)
    return Noise(grant, boxes.digest, public), encode(boxes)


def circuit_of_noise(state: State, grant: bytes) -> NoiseCircuit | None:
    """Return the circuit of an aggregator's part of the noise of a grant, or None where its function has none."""
    return layout_of(state.founding.origin, task_of_grant(state, grant)).parts[function_of(state, grant)].noise


def epsilon_of(task: Task, function: str, delta: float, results: int = 1) -> float:
    """Return the epsilon at a delta of so many results of a function that one report has entered.

    Two batches are neighbours if they differ in what one report holds. A sum of integers up to M then moves by at most
    M. Its cost is counted as that of M^2 integers that move by 1. With one discrete Gaussian that is the same, and
    with a sum of them it is no less, because the theorem's second term counts M times.

    Raises:
        ParameterError: the function has no noise.
    """
    circuit = layout_of("any", task).parts[function].noise
    if circuit is None:
        raise ParameterError(f"expected a function with noise, found {function}")
    honest = len(task.aggregators) - 2 * task.faulty
    moved = squared_sensitivity(function)
    return epsilon([Cost("answer", str(circuit.scale), moved, results, honest)], delta)


def squared_sensitivity(function: str) -> int:
    """Return the square of the L2 distance by which another measurement in one report can move a result."""
    circuit = circuit_of(without_noise(function))
    if isinstance(circuit, Prio3Histogram):
        return min(2, circuit.length)
    if isinstance(circuit, Prio3MultihotCountVec):
        return min(2 * circuit.max_weight, circuit.length)
    return sum(largest * largest for largest in circuit.largest)
