"""The loop of a worker that tries one configuration after the other, for a sweep.

    <- {"key": value, ...}                   the configuration, on standard input, a line each
    -> {"figures": {"name": 1.5, ...}}       what came out, on standard output
    -> {"failed": "one sentence"}            why nothing did

The worker ends when its standard input does, or when the process that started it is gone.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from mpc.errors import MpcError
from parties.frame.errors import PartyError
from parties.frame.lifetime import Ended, lifetime

__all__ = ["serve_trials"]

Figures = Mapping[str, float | int | None]


def serve_trials(try_one: Callable[[dict[str, Any]], Figures], supervisor: str, started: str) -> int:
    """Answer every configuration with what `try_one` finds. Return the exit status.

    `supervisor` is the number of the process that started this one, and `started` its mark. Whatever is printed
    meanwhile goes to standard error.
    """
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        with lifetime(int(supervisor), started or None, math.inf):
            for line in sys.stdin.buffer:
                answers.write(json.dumps(_answer(try_one, json.loads(line))).encode() + b"\n")
                answers.flush()
    except Ended as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _answer(try_one: Callable[[dict[str, Any]], Figures], settings: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"figures": dict(try_one(settings))}
    except ValidationError as error:
        return {"failed": error.errors(include_url=False)[0]["msg"]}
    except (MpcError, PartyError, OSError) as error:
        return {"failed": " ".join(str(error).split()) or type(error).__name__}
