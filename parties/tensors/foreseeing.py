"""What a run will cost and reveal, found before any party is started, in a process of its own.

The program is followed once by a child without keys and without anybody's data, because it is a user's own text. What
it would reveal is held against the policy there. A program that would be refused is refused here, with its line. Where
the program's course depends on a revealed number, nothing is certain, and the policy alone decides in the run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from mpc.errors import MpcError
from mpc.tensors.forecast import Follower, Forecast, shape_text
from mpc.tensors.reveals import Policy, Reveal
from parties.frame.child import ending, run_child
from parties.frame.errors import ConfigError, PartyError
from parties.frame.lifetime import process_started
from parties.frame.plan import Summary
from parties.frame.settings import Supervisor
from parties.tensors.answering import Job, answer
from parties.tensors.outputs import cost_of_check
from parties.tensors.programs import Here, Program
from parties.tensors.settings import Computation

CHILD = "parties.tensors.foreseeing"


class Task(Job):
    """The child's task. It exits when `supervisor` is gone, and after its deadline.

    Attributes:
        computation: the program, its parties and the policy.
        costs: whether costs are wanted, too. Of a back-end other than the dealer's they take as long as a run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    computation: Computation
    costs: bool


@dataclass(frozen=True)
class Foreseen:
    """What the child found. One of `forecast` and `refusal` is there.

    Attributes:
        forecast: what the run will cost and reveal.
        refusal: the sentence with which the program would end.
        readings: where the program reads what it revealed before, on which its course may depend.
    """

    forecast: Forecast | None = None
    refusal: str = ""
    readings: tuple[str, ...] = ()


def foresee(computation: Computation, deadline_s: float, *, costs: bool = True) -> Foreseen | None:
    """Return what a program will cost and reveal, or None where that took longer than the deadline.

    Without `costs`, only those are returned that take no time.

    Raises:
        ConfigError: the program would be refused whatever the data are, or cannot be followed at all.
    """
    supervisor = Supervisor(pid=os.getpid(), started=process_started(os.getpid()))
    job = Task(computation=computation, supervisor=supervisor, deadline_s=deadline_s, costs=costs)
    try:
        child = run_child(CHILD, job, deadline_s)
    except subprocess.TimeoutExpired:
        return None
    if child.returncode != 0:
        raise ConfigError(f"program: {ending(child)}")
    try:
        found: Foreseen = _FOUND.validate_json(child.stdout)
    except ValidationError:
        raise ConfigError("program: expected a forecast of it, found other words") from None
    if found.forecast is None and not found.readings:
        raise ConfigError(f"program: {found.refusal}")
    return found


def notes(found: Foreseen | None, deadline_s: float) -> tuple[str, ...]:
    """Return what a person is shown before the run."""
    if found is None:
        return (f"what the program costs is not known, because following it took longer than {deadline_s:g} s",)
    if found.forecast is None:
        lines = ", ".join(found.readings)
        return (f"what the program costs is not known, because it depends on what it reads on {lines}",)
    forecast = found.forecast
    said = []
    for reveal, times in forecast.counted:
        often = "" if times == 1 else f", {times} times"
        said.append(f"{reveal.name} ({shape_text(reveal.shape)}) will be revealed to {reveal.who}{often}")
    if not forecast.costs:
        said.append(
            "what the run costs is shown by the command `cost`, which takes as long as a run with this back-end"
        )
        return (*said, *_may_change(found))
    sent = ", ".join(f"{name} {cost.sent / 1e6:.2f} MB" for name, cost in forecast.costs.items())
    said.append(f"the run takes {forecast.rounds} rounds and sends {forecast.sent / 1e6:.2f} MB: {sent}")
    return (*said, *_may_change(found))


def _may_change(found: Foreseen) -> tuple[str, ...]:
    lines = ", ".join(found.readings)
    return (f"this may change with what the program reads on {lines}",) if lines else ()


def summary(found: Foreseen | None, deadline_s: float) -> Summary:
    """Return what the command `cost` shows."""
    if found is None or found.forecast is None:
        return Summary((), warnings=notes(found, deadline_s))
    forecast = found.forecast
    lines = [
        (
            f"reveals {reveal.name}",
            f"{shape_text(reveal.shape)} to {reveal.who}, {'once' if times == 1 else f'{times} times'}",
        )
        for reveal, times in forecast.counted
    ]
    lines += [
        (name, f"{cost.rounds} rounds, {cost.sent / 1e6:.2f} MB sent, {cost.received / 1e6:.2f} MB received")
        for name, cost in forecast.costs.items()
    ]
    lines += [
        (
            " ".join(filter(None, (row.where, row.operation))),
            f"{row.calls} calls, {row.rounds} rounds, {row.sent / 1e6:.3f} MB, {row.correlations} words dealt",
        )
        for row in forecast.rows
    ]
    lead = f"{forecast.rounds} rounds, {forecast.sent / 1e6:.2f} MB by all parties"
    warnings = [f"this may change with what the program reads on {line}" for line in found.readings]
    return Summary((*lines, ("trust", forecast.trust)), warnings=tuple(warnings), lead=lead)


def binding(found: Foreseen | None) -> tuple[tuple[Reveal, int], ...] | None:
    """Return the reveals that all parties agree on, each with how often it may come, or None where none are certain."""
    bound = found.forecast.binding if found is not None and found.forecast is not None else None
    return None if bound is None else tuple(bound.items())


# -- the child --------------------------------------------------------------------------------------------------------


def followed(computation: Computation, *, costs: bool) -> Foreseen:
    """Follow the program, for all of its parties."""
    follower = Follower(
        computation.backend, computation.computing, computation.provider, computation.outside, computation.ring_bits
    )
    try:
        program = Program(computation.program, computation.program_digest)
        here = Here(computation.arguments)
        follow = follower.follow if costs else follower.follow_quickly
        forecast = follow(
            lambda session: program(session, here),
            fraction_bits=computation.fraction_bits,
            rounding=computation.rounding,
            policy=Policy(computation.policy, computation.times, computation.noise),
            seed=computation.seed,
        )
    except (MpcError, PartyError) as error:
        return Foreseen(refusal=str(error), readings=tuple(dict.fromkeys(follower.readings)))
    if not forecast.costs:
        return Foreseen(forecast, readings=forecast.readings)
    return Foreseen(cost_of_check(forecast, computation.computing), readings=forecast.readings)


def main() -> int:
    return answer(Task, lambda job: followed(job.computation, costs=job.costs), _FOUND)


_FOUND: TypeAdapter[Any] = TypeAdapter(Foreseen)

if __name__ == "__main__":
    sys.exit(main())
