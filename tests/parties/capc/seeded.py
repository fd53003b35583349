"""A party whose noise follows from a seed: `python -m tests.parties.capc.seeded MODULE --settings PATH`.

It draws the same values as the same role of `plaintext_labels` does under `randomness_of`. Only the source of the noise
is replaced, so that a program that does not draw, or draws anew, gives other labels.
"""

from __future__ import annotations

import functools
import json
import runpy
import sys
from pathlib import Path
from typing import Any

from mpc.capc import confident, release
from mpc.capc.roles import CapcRandomness
from mpc.dp.discrete_gaussian import discrete_gaussian
from mpc.randomness import RoleRandomness


def role(name: str) -> RoleRandomness:
    """The seeded randomness of one party."""
    return RoleRandomness(f"noise of {name}".encode())


def randomness_of(parties: int) -> CapcRandomness:
    """That of all parties of a run."""
    answering = tuple(role(f"server-{index}") for index in range(parties))
    return CapcRandomness(role("client"), answering, role("privacy-guardian"), role("privacy-guardian"))


def _drawing_from(name: str, purpose: str) -> Any:
    source = role(name).source(purpose)
    return functools.partial(lambda sigma, shape, _=None: discrete_gaussian(sigma, shape, source))


if __name__ == "__main__":
    own = json.loads(Path(sys.argv[sys.argv.index("--settings") + 1]).read_text())["name"]
    release.discrete_gaussian = _drawing_from(own, "noise")  # type: ignore[attr-defined]
    confident.discrete_gaussian = _drawing_from(own, "threshold")  # type: ignore[attr-defined]
    module = sys.argv.pop(1)
    runpy.run_module(module, run_name="__main__", alter_sys=True)
