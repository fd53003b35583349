"""A model's file, which says what the model takes and computes, and holds none of its numbers.

It is a file of Python with these names:

- ``INPUT``, ``BOUND``: the shape of one record, and the bound of its numbers.
- ``OUTPUT``: the shape of one answer.
- ``PARAMETERS``: for each parameter by name its shape and its bound, as in ``{"weights": ((64, 10), 4)}``.
- ``load(here)``: returns the parameters by name. It runs at the model's owner alone.
- ``records(here, client)``: returns a client's records, with one more axis in front. It runs at that client alone.
- ``answer(s, parameters, x)``: returns the private tensor of the answers to a batch of records, each from its record
  alone. It runs at the computing parties and at the provider.
- ``plain(parameters, x)``: the same in the clear, if it is there.
- ``ARGUMENTS``: the public arguments with their defaults, if it is there.

`here` is a :class:`~parties.tensors.programs.Here`. All parties have the same text, whose digest they compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mpc.tensors as pt
from mpc.tensors.ranges import Format, raw_range, real
from parties.tensors.programs import Here, Program, ProgramError

BUILT_IN = Path(__file__).parent / "models"
_FINE_BITS = 32  # of numbers that a model is tried out with
Floats = NDArray[np.float64]
Shape = tuple[int, ...]
Weights = Mapping[str, pt.PrivateTensor]


def built_in_models() -> tuple[str, ...]:
    """Return the names of the built-in models."""
    return tuple(sorted(path.stem for path in BUILT_IN.glob("*.py") if not path.stem.startswith("_")))


def model_path(model: str) -> Path:
    """Return the file of a model, which is given as a built-in name or as a path. Raises `ProgramError`."""
    if model in built_in_models():
        return BUILT_IN / f"{model}.py"
    path = Path(model)
    if path.suffix != ".py" or not path.is_file():
        named = ", ".join(built_in_models())
        raise ProgramError(f"expected a built-in model ({named}) or a file of Python, found {model}")
    return path.absolute()


class Model(Program):
    """A model's file that was read. Its own mistakes are sentences with their line.

    Attributes:
        input, bound: the shape of one record, and the bound of its numbers.
        output: the shape of one answer.
        parameters: for each parameter its shape and its bound.
        arguments: the arguments that the file names with their defaults (``ARGUMENTS``), or None.
    """

    needed = ("load(here)", "records(here, client)", "answer(s, parameters, x)")

    def __init__(self, path: Path, expected_digest: str = "") -> None:
        super().__init__(path, expected_digest)
        self.input = self._shape("INPUT", self._constant("INPUT"))
        self.output = self._shape("OUTPUT", self._constant("OUTPUT"))
        self.bound = self._bound("BOUND", self._constant("BOUND"))
        self.arguments: dict[str, Any] | None = self._names.get("ARGUMENTS")
        stated = self._constant("PARAMETERS")
        if not isinstance(stated, dict) or not stated:
            raise ProgramError(f"{path.name}: expected PARAMETERS with at least one, found {stated!r}")
        self.parameters: dict[str, tuple[Shape, object]] = {}
        for name, about in stated.items():
            if not isinstance(name, str) or not isinstance(about, tuple) or len(about) != 2:
                raise ProgramError(f"{path.name}: expected a shape and a bound for {name!r}, found {about!r}")
            self.parameters[name] = self._shape(name, about[0]), self._bound(name, about[1])

    def _constant(self, name: str) -> Any:
        if name not in self._names:
            raise ProgramError(f"{self.path.name}: expected the name {name}, found none")
        return self._names[name]

    def _shape(self, name: str, shape: object) -> Shape:
        if not isinstance(shape, tuple) or not all(isinstance(size, int) and size > 0 for size in shape):
            raise ProgramError(f"{self.path.name}: expected a shape as {name}, found {shape!r}")
        return shape

    def _bound(self, name: str, bound: object) -> object:
        try:
            raw_range(bound, 0)
        except ValueError as error:
            raise ProgramError(f"{self.path.name}, {name}: {error}") from error
        return bound

    def load(self, here: Here) -> dict[str, Floats]:
        """Return the owner's parameters by name. Raises `ProgramError` for other names than were stated."""
        found = self._run(lambda: self._names["load"](here))
        if not isinstance(found, Mapping) or set(found) != set(self.parameters):
            expected = ", ".join(self.parameters)
            words = ", ".join(map(str, found)) if isinstance(found, Mapping) else type(found).__name__
            raise ProgramError(f"{self.path.name}, load: expected {expected}, found {words or 'none'}")
        return {name: np.asarray(found[name]) for name in self.parameters}

    def records(self, here: Here, client: str) -> Floats:
        """Return a client's records ``(n, *input)``. Raises `ProgramError` for another shape."""
        found = np.asarray(self._run(lambda: self._names["records"](here, client)))
        if found.ndim != 1 + len(self.input) or found.shape[1:] != self.input or not len(found):
            wanted = " x ".join(("n", *map(str, self.input)))
            raise ProgramError(f"{self.path.name}, records: expected an array of {wanted}, found {found.shape}")
        return found

    def answer(self, session: pt.Session, parameters: Weights, x: pt.PrivateTensor) -> pt.PrivateTensor:
        """Return the answers to a batch. Raises `ProgramError` for another shape."""

        def work() -> pt.PrivateTensor:
            with session.no_grad():
                found = self._names["answer"](session, parameters, x)
            if not isinstance(found, pt.PrivateTensor):
                raise ProgramError(f"expected a private tensor as the answer, found {type(found).__name__}")
            return found

        found: pt.PrivateTensor = self._run(work)
        expected = (x.shape[0], *self.output)
        if found.shape != expected:
            raise ProgramError(f"{self.path.name}, answer: expected answers of shape {expected}, found {found.shape}")
        return found

    def in_the_clear(self, parameters: Mapping[str, Floats], records: Floats) -> Floats | None:
        """Return the answers in floats, or None where the file has no function `plain`."""
        plain = self._names.get("plain")
        if not callable(plain):
            return None
        return np.asarray(self._run(lambda: plain(parameters, records)), dtype=np.float64)

    def try_out(self, batch: int, format: Format) -> None:
        """Compute made-up batches in the clear, so that mistakes and missing bits are found before anything starts.

        Answers must not depend on other records of their batch, which may be other clients'. So the answers to batches
        are compared that differ in half of the records, those whose number has a bit that is one, or zero. Any two
        records differ in some bit. A model in which others' records decide only for some values may get through.

        Raises:
            ProgramError: the mistake, with its line, or the bits that the ring does not have.
        """
        random = np.random.default_rng(0)
        weights = {name: _within(random, shape, bound) for name, (shape, bound) in self.parameters.items()}
        records = _within(random, (batch, *self.input), self.bound)
        before = self._try(weights, records, format)
        numbers = np.arange(batch)
        for bit in range((batch - 1).bit_length()):
            for there in (0, 1):
                chosen = numbers >> bit & 1 == there
                others = records.copy()
                others[chosen] = _within(random, (int(chosen.sum()), *self.input), self.bound)
                after = self._try(weights, others, format)
                changed = (before != after).reshape(batch, -1).any(axis=1) & ~chosen
                if changed.any():
                    raise ProgramError(
                        f"{self.path.name}, answer: expected each answer to depend on its own record alone, found that "
                        f"other records change the answer to record {np.flatnonzero(changed)[0] + 1}"
                    )

    def _try(self, weights: Mapping[str, Floats], records: Floats, format: Format) -> Floats:
        def program(s: pt.Session) -> dict[str, object]:
            me = s.me

            def given(values: Floats, bound: object) -> pt.PrivateTensor:
                return s.input(me, lambda: values, shape=values.shape, bound=bound)

            private = {name: given(weights[name], bound) for name, (_, bound) in self.parameters.items()}
            return {"answers": self.answer(s, private, given(records, self.bound)).reveal(to=me)}

        try:
            found = pt.simulate(
                program, ("somebody",), backend="clear", ring_bits=format.ring_bits,
                fraction_bits=format.fraction_bits, rounding="nearest", policy=pt.Policy({"answers": "somebody"}),
            )  # fmt: skip
        except pt.ProgramError as error:
            raise ProgramError(str(error.__cause__ or error)) from error
        return found["answers"]


def _within(random: np.random.Generator, shape: Shape, bound: object) -> Floats:
    """Return an array of numbers within a bound."""
    found = raw_range(bound, _FINE_BITS)
    return random.uniform(real(found.low, _FINE_BITS), real(found.high, _FINE_BITS), shape)
