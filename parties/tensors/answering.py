"""How a child process that follows a user's text takes its job and gives its answer."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter

from parties.frame.lifetime import Ended, lifetime
from parties.frame.settings import Supervisor


class Job(BaseModel):
    """A child's task. It exits when `supervisor` is gone, and after its deadline."""

    supervisor: Supervisor
    deadline_s: float


AnyJob = TypeVar("AnyJob", bound=Job)


def answer(kind: type[AnyJob], work: Callable[[AnyJob], object], answers: TypeAdapter[Any]) -> int:
    """Do the job on standard input and write what it gives to standard output, both as JSON. Return the exit status."""
    job = kind.model_validate_json(sys.stdin.buffer.read())
    result = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the user's text prints is no part of the result
    try:
        with lifetime(job.supervisor.pid, job.supervisor.started, job.deadline_s):
            found = work(job)
    except Ended:
        return 1
    with result:
        result.write(answers.dump_json(found))
    return 0
