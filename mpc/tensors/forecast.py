"""What a program would cost and reveal, before it runs and without anybody's data.

The program is followed once. No loader of an input is called, and no value is known. So what depends on a value cannot
be foreseen, and a program's course depends on a value only where it reads one that it revealed. Such a reading gets a
number of the tensor's range, and the forecast names its line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mpc.tensors.backends.dry import DryDealer
from mpc.tensors.backends.interface import Backend, Cost, Rounding, Shape
from mpc.tensors.metering import Metered, Spent
from mpc.tensors.ranges import Range, raw_range, real
from mpc.tensors.reveals import Policy, Reveal, Revealed, Reveals, line_of_program, outputs_of
from mpc.tensors.session import FRACTION_BITS, Loader, Session
from mpc.tensors.simulation import PartyRun, Program, ProgramError, backends_in_memory, place_of, run_all
from mpc.tensors.tensor import PrivateTensor


@dataclass(frozen=True)
class Row:
    """The cost of one operation at one place of a program.

    Attributes:
        where: the scope, such as a layer's name, empty outside of all.
        operation: the back-end's.
        calls: how many there are.
        rounds: of the party that waits most often.
        sent: bytes of all parties together.
        correlations: words that the provider gives.
    """

    where: str
    operation: str
    calls: int
    rounds: int
    sent: int
    correlations: int


@dataclass(frozen=True)
class Forecast:
    """What a run will cost, exactly, and what it will reveal.

    Attributes:
        costs: for each party.
        rows: the same by place and operation, the most bytes first. What is sent to set up is in `costs` alone.
        reveals: what is opened to whom, in order.
        comparisons: how often the computing parties of a run compare what they computed with.
        readings: the lines on which the program reads what it revealed. If its course depends on that, the run may
            cost and reveal something else.
        trust: who must be trusted for what.
    """

    costs: Mapping[str, Cost]
    rows: tuple[Row, ...]
    reveals: tuple[Reveal, ...]
    readings: tuple[str, ...]
    trust: str
    comparisons: int = 0

    @property
    def rounds(self) -> int:
        """The rounds of the party that waits most often."""
        return max((cost.rounds for cost in self.costs.values()), default=0)

    @property
    def sent(self) -> int:
        """The bytes of all parties together, with headers."""
        return sum(cost.sent for cost in self.costs.values())

    @property
    def counted(self) -> tuple[tuple[Reveal, int], ...]:
        """The reveals in the order of their first time, each with how often it comes."""
        times: dict[Reveal, int] = {}
        for reveal in self.reveals:
            times[reveal] = times.get(reveal, 0) + 1
        return tuple(times.items())

    @property
    def binding(self) -> Mapping[Reveal, int] | None:
        """The reveals that a run may be held to, or None where they depend on what the program reads."""
        return None if self.readings else dict(self.counted)

    def __str__(self) -> str:
        lines = [self._table()] if self.costs else ["what it costs takes as long as a run to find: see pt.cost"]
        for reveal, times in self.counted:
            often = "" if times == 1 else f", {times} times"
            lines.append(f"reveals {reveal.name}, {shape_text(reveal.shape)}, to {reveal.who}{often}")
        lines += [f"unless its course depends on what it reads on {line}" for line in self.readings]
        return "\n".join(lines)

    def _table(self) -> str:
        lines = [f"{self.rounds} rounds, {self.sent / 1e6:.2f} MB by all parties"]
        lines += [
            f"{name}: {cost.rounds} rounds, {cost.sent / 1e6:.2f} MB sent, {cost.received / 1e6:.2f} MB received"
            for name, cost in self.costs.items()
        ]
        given = max((cost.correlations for cost in self.costs.values()), key=lambda kinds: sum(kinds.values()))
        lines += [f"correlations: {', '.join(f'{count} words {kind}' for kind, count in sorted(given.items()))}"]
        table = [("where", "operation", "calls", "rounds", "MB", "words dealt")]
        table += [
            (row.where or "-", row.operation, str(row.calls), str(row.rounds), f"{row.sent / 1e6:.3f}",
             str(row.correlations))
            for row in self.rows
        ]  # fmt: skip
        widths = [max(len(row[place]) for row in table) for place in range(len(table[0]))]
        for row in table:
            cells = [cell.ljust(width) if i < 2 else cell.rjust(width)
                     for i, (cell, width) in enumerate(zip(row, widths, strict=True))]  # fmt: skip
            lines.append("  ".join(cells))
        return "\n".join(lines)


def shape_text(shape: Shape) -> str:
    """Return a shape in words."""
    return " x ".join(map(str, shape)) if shape else "a number"


def cost(
    program: Program,
    parties: Sequence[str] = ("alice", "bob"),
    *,
    backend: str = "dealer",
    dealer: str | None = None,
    outside: Sequence[str] = (),
    policy: Policy | None = None,
    fraction_bits: int = FRACTION_BITS,
    ring_bits: int = 64,
    rounding: Rounding = "stochastic",
    seed: int = 0,
) -> Forecast:
    """Return what a run of this program will cost each party, and what it will reveal. No loader is called.

    The arguments are those of :func:`mpc.tensors.simulate`.

    Raises:
        ProgramError: the program would be refused, such as by the policy or for want of room in the ring.
    """
    follower = Follower(backend, parties, dealer, outside, ring_bits)
    options = {"fraction_bits": fraction_bits, "rounding": rounding, "policy": policy, "seed": seed}
    try:
        return follower.follow(program, **options)
    except Exception as error:
        place, line = place_of(program, error)
        raise ProgramError("before the run", place, line, error) from error


class Follower:
    """Follows a program for all parties of a back-end.

    The back-end `dealer` has one without numbers. Of any other all parties compute in this process, on made-up inputs.

    Attributes:
        readings: where the program has read what it revealed, also when it ended with an error.
    """

    def __init__(
        self, backend: str, parties: Sequence[str], dealer: str | None, outside: Sequence[str], ring_bits: int
    ) -> None:
        self.readings: list[str] = []
        self._arguments = backend, tuple(parties), dealer, tuple(outside), ring_bits

    def follow(self, program: Program, **options: object) -> Forecast:
        """Return the forecast. Raises what the program raises."""
        backend, parties, dealer, outside, ring_bits = self._arguments
        if backend == "dealer" and dealer is not None:
            return self._dry(program, DryDealer(parties, dealer, outside, ring_bits), options)
        backends = backends_in_memory(backend, parties, dealer, outside, ring_bits)
        runs, meters, sessions = {}, {}, []
        for name, each in backends.items():
            meters[name] = Metered(each, partial(_own_cost, name, each))
            sessions.append(self._session(meters[name], options))
            runs[name] = PartyRun(sessions[-1])
        if error := run_all(program, runs):
            raise error[1]
        costs = {name: each.cost for name, each in backends.items()}
        return self._forecast(sessions[0], costs, list(meters.values()))

    def follow_quickly(self, program: Program, **options: object) -> Forecast:
        """Return the forecast, without costs and trust where these take as long as a run."""
        backend, parties, dealer, outside, ring_bits = self._arguments
        if backend in ("dealer", "clear"):
            return self.follow(program, **options)
        dry = DryDealer(parties, dealer or f"dealer beside {' '.join(parties)}", outside, ring_bits)
        return replace(self._dry(program, dry, options), costs={}, rows=(), trust="")

    def _dry(self, program: Program, dry: DryDealer, options: Mapping[str, object]) -> Forecast:
        meter = Metered(dry, lambda: dry.costs)
        session = self._session(meter, options)
        with session:
            session.reveals.finish(outputs_of(program(session)))
        return self._forecast(session, dry.costs, [meter])

    def _session(self, meter: Metered, options: Mapping[str, object]) -> _Following:
        session = _Following(meter, self.readings, outside=self._arguments[3], **options)
        meter.where = lambda: session.where
        return session

    def _forecast(self, session: _Following, costs: Mapping[str, Cost], meters: Sequence[Metered]) -> Forecast:
        together: dict[tuple[str, str], list[Spent]] = {}
        for meter in meters:
            for key, spent in meter.spent.items():
                together.setdefault(key, []).append(spent)
        rows = [
            Row(
                where, operation, max(spent.calls for spent in each),
                max(rounds for spent in each for rounds in spent.rounds.values()),
                sum(sent for spent in each for sent in spent.sent.values()),
                max(spent.correlations for spent in each),
            )
            for (where, operation), each in together.items()
        ]  # fmt: skip
        rows.sort(key=lambda row: -row.sent)
        return Forecast(
            costs, tuple(rows), tuple(session.reveals.done), tuple(dict.fromkeys(self.readings)),
            session.backend.trust, session.comparisons,
        )  # fmt: skip


def is_followed(session: Session) -> bool:
    """Return whether a session is a forecast's, in which nothing is sent."""
    return isinstance(session, _Following)


def _own_cost(name: str, backend: Backend) -> Mapping[str, Cost]:
    return {name: backend.cost}


class _Following(Session):
    """A session of nobody, in which no input is loaded."""

    def __init__(self, backend: Backend, readings: list[str], **options: object) -> None:
        super().__init__(backend, compare=self._count, **options)  # type: ignore[arg-type]  # as the caller has them
        self.comparisons = 0
        self.reveals = _Foreseen(self, self.reveals.policy, readings)

    def _count(self, _: str) -> None:
        self.comparisons += 1

    def input(
        self, owner: str, loader: Loader | None, *, shape: Shape, bound: object, whole: bool = False
    ) -> PrivateTensor:
        bits = 0 if whole else self.format.fraction_bits
        return super().input(
            owner, lambda: _stand_in(raw_range(bound, bits), bits, shape), shape=shape, bound=bound, whole=whole
        )


class _Foreseen(Reveals):
    """Reveals that open nothing a program could read."""

    def __init__(self, session: Session, policy: Policy | None, readings: list[str]) -> None:
        super().__init__(session, policy)
        self._readings = readings

    def _revealed(
        self, tensor: PrivateTensor, to: tuple[str, ...], name: str | None, line: str, noise: Fraction
    ) -> Revealed:
        return _ReadNowhere(tensor, to, name, line, noise, self._readings)


class _ReadNowhere(Revealed):
    """What is revealed, before it is. Whoever reads it gets a number of its range, and the line is written down."""

    def __init__(
        self,
        tensor: PrivateTensor,
        to: tuple[str, ...],
        name: str | None,
        line: str,
        noise: Fraction,
        readings: list[str],
    ) -> None:
        super().__init__(tensor, to, name, line, noise)
        self._readings = readings
        self._range, self._bits = tensor.range, tensor.fraction_bits

    @property
    def readable(self) -> bool:
        """No. Whoever asks may do something else at those that can read it."""
        self._readings.append(f"{line_of_program()} ({self.name})")
        return False

    @property
    def value(self) -> NDArray[np.float64]:
        if self._tensor is not None:
            return super().value
        self._readings.append(f"{line_of_program()} ({self.name})")
        return _stand_in(self._range, self._bits, self.shape)


def _stand_in(found: Range, fraction_bits: int, shape: Shape) -> NDArray[np.float64]:
    """Return the number of a range that is nearest to one."""
    raw = min(max(1 << fraction_bits, found.low), found.high)
    return np.full(shape, real(raw, fraction_bits))
