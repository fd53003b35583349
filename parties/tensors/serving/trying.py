"""A model that is tried out before any party starts, in a process of its own.

The model's file is a user's own text, so a child without keys runs it, and a deadline ends what does not end by itself.
The model computes made-up batches in the clear there. Its answers in the clear are kept where all data are built in.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from mpc.errors import MpcError
from mpc.tensors.ranges import Format
from parties.frame.child import ending, run_child
from parties.frame.errors import ConfigError, PartyError
from parties.frame.lifetime import process_started
from parties.frame.settings import Supervisor
from parties.tensors.answering import Job, answer
from parties.tensors.programs import Here
from parties.tensors.serving.model import Model
from parties.tensors.settings import Argument

CHILD = "parties.tensors.serving.trying"
Answers = tuple[tuple[float, ...], ...]


class Trial(Job):
    """The child's task. It exits when `supervisor` is gone, and after its deadline.

    Attributes:
        model: the model's file.
        digest: of that file.
        arguments: the public arguments of the configuration.
        ring_bits, fraction_bits: the format of its numbers.
        lanes: the sizes of batch that are tried out.
        clients: whose answers in the clear are wanted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Path
    digest: str
    arguments: dict[str, Argument]
    ring_bits: int
    fraction_bits: int
    lanes: tuple[int, ...]
    clients: tuple[str, ...]


@dataclass(frozen=True)
class Tried:
    """What the child found.

    Attributes:
        refusal: what is wrong with the model, or nothing.
        arguments: all arguments, with the model's defaults.
        twins: by client its answers in the clear.
    """

    refusal: str = ""
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    twins: Mapping[str, Answers] = field(default_factory=dict)


def try_out(
    model: Path, digest: str, arguments: Mapping[str, Argument], format: Format, *,
    lanes: tuple[int, ...], clients: tuple[str, ...], deadline_s: float,
) -> Tried:  # fmt: skip
    """Return what is known of a model before it is served.

    Raises:
        ConfigError: the model cannot be served, or trying it out took longer than the deadline.
    """
    trial = Trial(
        model=model, digest=digest, arguments=dict(arguments), ring_bits=format.ring_bits,
        fraction_bits=format.fraction_bits, lanes=lanes, clients=clients,
        supervisor=Supervisor(pid=os.getpid(), started=process_started(os.getpid())), deadline_s=deadline_s,
    )  # fmt: skip
    try:
        child = run_child(CHILD, trial, deadline_s)
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"program: expected that the model can be tried out within {deadline_s:g} s (plan_deadline_s), "
            "found that it takes longer"
        ) from None
    if child.returncode != 0:
        raise ConfigError(f"program: {ending(child)}")
    try:
        found: Tried = _TRIED.validate_json(child.stdout)
    except ValidationError:
        raise ConfigError("program: expected what was found about the model, found other words") from None
    if found.refusal:
        raise ConfigError(found.refusal)
    return found


# -- the child --------------------------------------------------------------------------------------------------------


def tried(trial: Trial) -> Tried:
    """Try out the model of a trial."""
    try:
        model = Model(trial.model, trial.digest)
        stated = model.arguments
        if stated is not None and (unknown := sorted(trial.arguments.keys() - stated.keys())):
            return Tried(f"arguments: expected {', '.join(stated)}, found {', '.join(unknown)}")
        arguments = (stated or {}) | trial.arguments
        for size in sorted(set(trial.lanes)):
            model.try_out(size, Format(trial.ring_bits, trial.fraction_bits))
        return Tried(arguments=arguments, twins=_twins(model, Here(arguments), trial.clients))
    except (PartyError, MpcError) as error:
        return Tried(f"program: {error}")


def _twins(model: Model, here: Here, clients: tuple[str, ...]) -> dict[str, Answers]:
    if not clients:
        return {}
    parameters, twins = model.load(here), {}
    for client in clients:
        found = model.in_the_clear(parameters, model.records(here, client))
        if found is not None:
            twins[client] = tuple(tuple(row) for row in found.reshape(len(found), -1).tolist())
    return twins


def main() -> int:
    return answer(Trial, tried, _TRIED)


_TRIED: TypeAdapter[Any] = TypeAdapter(Tried)

if __name__ == "__main__":
    sys.exit(main())
