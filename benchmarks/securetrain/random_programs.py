"""Random programs, each on ciphertexts and by its twin in the clear: how much of the derived bound the error takes up.

A program begins with four vectors of random numbers. Each step takes values that are there and makes another one. The
output is the last value, and what is compared are the numbers of all its slots.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.securetrain.rivals import Row
from mpc._core import CkksEvaluator
from mpc.encrypted.arithmetic import Arithmetic, V
from mpc.encrypted.ciphertexts import Ciphertexts, Encrypted, chain_of
from mpc.encrypted.parameters import parameters_of
from mpc.encrypted.training import owner_make_secret
from mpc.encrypted.twin import Clear, Twin
from mpc.errors import ParameterError

PARAMETERS, STEPS, BEGUN = "small", (1, 37, 4096), 4
SHORTEST, LONGEST = 4, 16  # operations
READ = 32  # of the slots are bounded: each takes a walk back through the program
Program = list[Callable[[Any, list[Any]], Any]]


@dataclass(frozen=True)
class Compared:
    """What one program gave: how many operations it has, and the largest error over its bound."""

    operations: int
    part: float


def grow(twin: Twin, values: list[Clear], count: int, random: np.random.Generator) -> Program:
    """Return a program of so many operations that the twin can run on these values, which it is run on."""
    program: Program = []
    while len(program) < count:
        step = _drawn(twin, values, random)
        try:
            values.append(step(twin, values))
        except ParameterError:  # out of levels or out of room, so another one is drawn
            continue
        program.append(step)
    return program


def _drawn(twin: Twin, values: list[Clear], random: np.random.Generator) -> Callable[[Any, list[Any]], Any]:
    """Return one operation on values that are there, the later ones more often."""
    one = len(values) - 1 - int(random.geometric(0.5) - 1) % len(values)
    other = int(random.integers(len(values)))
    number, step = float(random.uniform(0.2, 1.5)), int(random.choice(STEPS))
    slots = random.uniform(-1, 1, twin.chain.slots)
    scale = twin.chain.scale

    def add(arithmetic: Arithmetic[V], there: list[V]) -> V:
        return arithmetic.add(there[one], there[other])

    def add_constant(arithmetic: Arithmetic[V], there: list[V]) -> V:
        return arithmetic.add_constant(there[one], number)

    def multiply(arithmetic: Arithmetic[V], there: list[V]) -> V:
        return arithmetic.multiply(there[one], there[other])

    def multiply_plain(arithmetic: Arithmetic[V], there: list[V]) -> V:
        return arithmetic.multiply_plain(there[one], slots, scale)

    def multiply_constant(arithmetic: Arithmetic[V], there: list[V]) -> V:
        return arithmetic.multiply_constant(there[one], number, scale)

    def rotate(arithmetic: Arithmetic[V], there: list[V]) -> V:
        return arithmetic.rotate(there[one], step)

    def add_rotated(arithmetic: Arithmetic[V], there: list[V]) -> V:
        return arithmetic.add_rotated(there[one], [step])

    operations = (add, add_constant, multiply, multiply_plain, multiply_constant, rotate, add_rotated)
    found: Callable[[Any, list[Any]], Any] = operations[int(random.integers(len(operations)))]
    return found


def measure_random(programs: int) -> Row:
    """Run so many programs, of the seeds from 0 on.

    Raises:
        ValueError: an error is larger than its bound.
    """
    core = parameters_of(PARAMETERS)
    secret = owner_make_secret(PARAMETERS, secrets.token_bytes(32))
    rotations: list[Any] = [secret.rotation_key(step, core.depth) for step in STEPS]
    encrypted = Ciphertexts(core, CkksEvaluator(core, secret.relinearisation_key(core.depth), rotations))

    def compared(seed: int) -> Compared:
        random, twin = np.random.default_rng(seed), Twin(chain_of(core))
        numbers = [random.uniform(-1, 1, core.slots) for _ in range(BEGUN)]
        clear = [twin.fresh(one, twin.chain.scale) for one in numbers]
        program = grow(twin, clear, int(random.integers(SHORTEST, LONGEST + 1)), random)
        values: list[Encrypted] = [encrypted.read(secret.encrypt(one, core.depth)) for one in numbers]
        for step in program:
            values.append(step(encrypted, values))
        if values[-1].scale != clear[-1].scale or values[-1].level != clear[-1].level:
            raise ValueError(f"program {seed}: expected the twin's scale and level of the result, found others")
        chosen = random.choice(core.slots, READ, replace=False)
        outputs = np.zeros((READ, core.slots))
        outputs[np.arange(READ), chosen] = 1.0
        _, bound = twin.errors(clear[-1], outputs)
        errors = np.abs(secret.decrypt(values[-1].ciphertext) - clear[-1].slots)[chosen]
        return Compared(len(program), float((errors / bound).max()))

    found = [compared(seed) for seed in range(programs)]
    worst = max(one.part for one in found)
    if not worst <= 1:
        raise ValueError(f"expected errors within their bounds, found one of {worst:.3g} times its bound")
    return {
        "programs": programs,
        "operations": sum(one.operations for one in found),
        "part": worst,
        "mean_part": math.exp(float(np.mean(np.log([one.part for one in found])))),
    }
