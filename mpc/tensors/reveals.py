"""What leaves a session: the policy that all agreed on, each reveal, and the array at those that may read it."""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mpc.errors import OrderError, ParameterError
from mpc.ring import Ring, Words
from mpc.tensors.backends.interface import Shape
from mpc.tensors.noise import Scale, exact_scale, with_noise

if TYPE_CHECKING:
    from mpc.tensors.session import Session
    from mpc.tensors.tensor import PrivateTensor


NO_NOISE = Fraction(0)
EXACT_FLOATS = 1 << 53  # up to here every whole number is a float
_PACKAGE = str(Path(__file__).parent)


class RefusedRevealError(ParameterError):
    """The agreed policy does not allow a reveal. Nothing of it was sent."""


class Policy:
    """Which outputs may be revealed, to whom, and how often. Whatever it does not name is refused.

    Args:
        allowed: for each name of an output the parties that may read it.
        times: how often a name may be revealed, where that is more than once.
        noise: the least noise of an output, where it must have some. See :mod:`mpc.tensors.noise`.
    """

    def __init__(
        self,
        allowed: Mapping[str, str | Sequence[str]],
        times: Mapping[str, int] | None = None,
        noise: Mapping[str, Scale] | None = None,
    ) -> None:
        self.times = {name: 1 for name in allowed} | dict(times or {})
        if unknown := sorted(self.times.keys() - allowed.keys()):
            raise ParameterError(f"policy: expected times of outputs that it allows, found {', '.join(unknown)}")
        self.noise = {name: exact_scale(scale) for name, scale in sorted((noise or {}).items())}
        if unknown := sorted(self.noise.keys() - allowed.keys()):
            raise ParameterError(f"policy: expected noise of outputs that it allows, found {', '.join(unknown)}")
        if any(count < 1 for count in self.times.values()):
            raise ParameterError("policy: expected every output at least once, found less")
        self.allowed = {name: frozenset((to,) if isinstance(to, str) else to) for name, to in sorted(allowed.items())}

    def require(self, name: str, to: Sequence[str], before: int = 0, noise: Fraction = NO_NOISE) -> None:
        """Raise RefusedRevealError unless all of these parties may read the output of this name once more.

        Args:
            name: of the output.
            to: who would read it.
            before: how often it was revealed already.
            noise: that it would have.
        """
        if name not in self.allowed:
            known = ", ".join(self.allowed) or "nothing"
            raise RefusedRevealError(f"reveal {name!r}: the policy allows {known}, and no output of this name")
        if forbidden := sorted(set(to) - self.allowed[name]):
            allowed = ", ".join(sorted(self.allowed[name])) or "nobody"
            raise RefusedRevealError(
                f"reveal {name!r}: the policy allows it to {allowed}, found {', '.join(forbidden)} as well"
            )
        if noise < (least := self.noise.get(name, NO_NOISE)):
            raise RefusedRevealError(
                f"reveal {name!r}: the policy allows it with noise of at least {float(least):g}, found {float(noise):g}"
            )
        if before >= self.times[name]:
            raise RefusedRevealError(
                f"reveal {name!r}: the policy allows it {self.times[name]} times, found {before + 1}"
            )

    @property
    def digest(self) -> str:
        """SHA-256 of the policy as JSON with sorted names, which parties compare before they start."""
        plain = {
            name: [sorted(to), self.times[name], str(self.noise.get(name, 0))] for name, to in self.allowed.items()
        }
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()

    def __repr__(self) -> str:
        return f"Policy({ {name: sorted(to) for name, to in self.allowed.items()} })"


def program_digest(program: Callable[..., object]) -> str:
    """Return SHA-256 of the file that a program stands in, or of its own text where it stands in none."""
    program = inspect.unwrap(program)
    try:
        text = inspect.getsource(program).encode()
        file = Path(inspect.getsourcefile(program) or "")
    except (OSError, TypeError):
        raise ParameterError("expected a program whose text can be read, found none") from None
    return hashlib.sha256(file.read_bytes() if file.is_file() else text).hexdigest()


@dataclass(frozen=True)
class Reveal:
    """One reveal, as every party lists it.

    Attributes:
        name: of the output.
        to: who reads it.
        shape: of the array.
        owners: whose inputs it depends on.
        noise: standard deviation of the noise of each computing party, an exact number in words.
    """

    name: str
    to: tuple[str, ...]
    shape: Shape
    owners: tuple[str, ...]
    noise: str = "0"

    @property
    def who(self) -> str:
        """Who reads it, and with what noise, for a sentence."""
        return readers(self.to, self.noise)


def readers(to: Sequence[str], noise: str) -> str:
    """Return who reads what is revealed, and with what noise, for a sentence."""
    by_each = "" if noise == "0" else f" with noise of {float(Fraction(noise)):g} by each computing party"
    return ", ".join(to) + by_each


class Revealed:
    """An opened tensor. Its array is at those it was opened to, and a sentence is elsewhere.

    Attributes:
        name: of the output, once it is known.
        to: who reads it.
    """

    __hash__ = object.__hash__

    def __init__(
        self, tensor: PrivateTensor, to: tuple[str, ...], name: str | None, line: str, noise: Fraction = NO_NOISE
    ) -> None:
        self.name = name
        self.to = to
        self.noise = noise
        self.shape = tensor.shape
        self.line = line
        self.twin: NDArray[np.float64] | None = None
        self._tensor: PrivateTensor | None = tensor
        self._value: NDArray[np.float64] | None = None

    @property
    def readable(self) -> bool:
        """Whether this party has the array."""
        return self._value is not None

    @property
    def value(self) -> NDArray[np.float64]:
        """The array, at those that it was opened to.

        Whole numbers that may be beyond 2^53 are int64. All others are floats. Those beyond 53 bits are rounded to the
        nearest one.
        """
        if self._value is not None:
            return self._value
        if self._tensor is not None:
            raise OrderError(
                "this reveal has no name, so it is opened when the program returns it: "
                "give it one to read it within the program, as in reveal(to=…, name=…)"
            )
        raise ParameterError(f"output {self.name!r} was revealed to {', '.join(self.to)} alone")

    def __array__(self, dtype: object = None, copy: bool | None = None) -> NDArray[np.float64]:
        return np.array(self.value, dtype=dtype)  # type: ignore[call-overload, no-any-return]  # numpy checks it

    def __float__(self) -> float:
        return float(self.value.item())

    def __bool__(self) -> bool:
        return bool(self.value)

    def __len__(self) -> int:
        return self.shape[0] if self.shape else 0

    def __getitem__(self, index: Any) -> NDArray[np.float64]:
        return np.asarray(self.value[index])

    def __eq__(self, other: object) -> NDArray[np.bool_]:  # type: ignore[override]
        return np.asarray(self.value == other)

    def __repr__(self) -> str:
        state = "opened" if self._tensor is None else "not opened yet"
        return f"Revealed(name={self.name!r}, shape={self.shape}, to={', '.join(self.to)}, {state})"


class Reveals:
    """All reveals of one party's session, in their order, which is the same at every party.

    Args:
        session: whose tensors are opened.
        policy: what may be revealed to whom. None allows everything.
        foreseen: each reveal that was foreseen before the run, with its number, where all have agreed on these.
        tell: is told of each reveal before anything of it is sent. Where it raises, nothing is.
    """

    def __init__(
        self,
        session: Session,
        policy: Policy | None,
        foreseen: Mapping[Reveal, int] | None = None,
        tell: Callable[[Reveal], None] = lambda _: None,
    ) -> None:
        self.policy = policy
        self.foreseen = foreseen
        self._tell = tell
        self.done: list[Reveal] = []
        self._session = session
        self._pending: list[Revealed] = []

    def bind(self, foreseen: Mapping[Reveal, int] | None) -> None:
        """Refuse from now on what was not foreseen. What was bound before stays so."""
        self.foreseen = foreseen if self.foreseen is None else self.foreseen

    def add(self, tensor: PrivateTensor, to: tuple[str, ...], name: str | None, noise: Fraction) -> Revealed:
        """Open a tensor now if it has a name, or keep it until the program returns it. Noise is added when it opens."""
        if name is not None:
            self._allow(name, to, noise)
        revealed = self._revealed(tensor, to, name, line_of_program(), noise)
        if name is None:
            self._pending.append(revealed)
        else:
            self._open([revealed])
        return revealed

    def finish(self, outputs: Mapping[str, object]) -> None:
        """Open what waits among a program's outputs, each under its key, in one message for each set of receivers."""
        self._session.compare()
        revealed = [(key, value) for key, value in outputs.items() if isinstance(value, Revealed)]
        waiting = [(key, value) for key, value in revealed if value._tensor is not None]
        if len({id(value) for _, value in waiting}) < len(waiting):
            raise OrderError("expected every reveal under one name, found one that the program returns twice")
        for key, value in waiting:
            try:
                self._allow(key, value.to, value.noise)
            except RefusedRevealError as error:
                raise RefusedRevealError(f"{value.line}: {error}") from error
        for key, value in waiting:
            value.name = key
        forgotten = [value for value in self._pending if value.name is None]
        if forgotten:
            raise OrderError(
                f"{forgotten[0].line}: expected a reveal that has a name or that the program returns, found neither"
            )
        groups: dict[tuple[str, ...], list[Revealed]] = {}
        for _, value in waiting:
            groups.setdefault(value.to, []).append(value)
        for group in groups.values():
            self._open(group)
        self._pending.clear()

    def _revealed(
        self, tensor: PrivateTensor, to: tuple[str, ...], name: str | None, line: str, noise: Fraction
    ) -> Revealed:
        return Revealed(tensor, to, name, line, noise)

    def _allow(self, name: str, to: tuple[str, ...], noise: Fraction) -> None:
        if self.policy is not None:
            self.policy.require(name, to, sum(each.name == name for each in self.done), noise)

    def _open(self, group: list[Revealed]) -> None:
        tensors = [revealed._tensor for revealed in group]
        found = [
            Reveal(str(revealed.name), revealed.to, revealed.shape, tuple(sorted(tensor.owners)), str(revealed.noise))
            for revealed, tensor in zip(group, tensors, strict=True)
            if tensor is not None
        ]
        for reveal in found:
            self._require_foreseen(reveal)
        tensors = [
            None if tensor is None else with_noise(tensor, revealed.noise)
            for tensor, revealed in zip(tensors, group, strict=True)
        ]
        self._session.compare()
        for reveal in found:
            self._tell(reveal)
        shares = [tensor.shared for tensor in tensors if tensor is not None]
        opened = self._session.backend.open(shares, group[0].to)
        ring = Ring(self._session.format.ring_bits)
        for place, (revealed, tensor) in enumerate(zip(group, tensors, strict=True)):
            if tensor is None:
                continue
            if opened is not None:
                revealed._value = _numbers(ring, opened[place], tensor)
            revealed.twin = tensor.twin
            revealed._tensor = None
        self.done.extend(found)

    def _require_foreseen(self, reveal: Reveal) -> None:
        """Refuse what was not foreseen before the run, where all parties have agreed on that."""
        if self.foreseen is None:
            return
        before, agreed = self.done.count(reveal), self.foreseen.get(reveal, 0)
        if before >= agreed:
            raise RefusedRevealError(
                f"reveal {reveal.name!r}: expected what was foreseen before the run, which is {agreed} times of shape "
                f"{reveal.shape} to {', '.join(reveal.to)}, found one more"
            )


def _numbers(ring: Ring, words: Words, tensor: PrivateTensor) -> NDArray[Any]:
    """Return opened words as numbers, whole ones exactly."""
    if tensor.fraction_bits == 0 and tensor.range.bound > EXACT_FLOATS:
        return ring.signed(words)
    return ring.decode(words, tensor.fraction_bits)


def line_of_program() -> str:
    """Return file and line of the frame that called into this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name} line {frame.f_lineno}" if frame else "the program"


def outputs_of(returned: object) -> Mapping[str, object]:
    """Return what a program returned, which is its outputs by name. Raises ParameterError for anything else."""
    if returned is None:
        return {}
    if not isinstance(returned, Mapping) or not all(isinstance(name, str) for name in returned):
        raise ParameterError(f"expected a program that returns its outputs by name, found {type(returned).__name__}")
    hidden = [name for name, value in returned.items() if hasattr(value, "requires_grad") or hasattr(value, "backward")]
    if hidden:
        raise ParameterError(f"expected outputs that are revealed, found the private {hidden[0]!r}: call reveal(to=…)")
    for name, value in returned.items():
        if not name or set(name) & set("/\\\0"):
            raise ParameterError(f"expected names of outputs without a slash, found {name!r}")
        if not isinstance(value, Revealed) and _plain(value) is None:
            raise ParameterError(
                f"expected outputs that are revealed, or numbers or words that are public, found {name!r}, which is a "
                f"{type(value).__name__}"
            )
    return returned


def _plain(value: object) -> NDArray[Any] | None:
    """Return a public output as an array of numbers or words, or None where it is none."""
    try:
        found = np.asarray(value)
    except (TypeError, ValueError):
        return None
    return found if found.dtype.kind in "biufU" else None


def readable(outputs: Mapping[str, object]) -> dict[str, NDArray[np.float64]]:
    """Return the outputs that this party can read, by name: what was revealed to it, and what is public."""
    plain = {}
    for name, value in outputs.items():
        if not isinstance(value, Revealed):
            plain[name] = np.asarray(value)
        elif value.readable:
            plain[name] = value.value
    return plain
