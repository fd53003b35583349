"""A group of parties in this process that carries out one operation at a time, as a shell or an old program asks.

:func:`mpc.tensors.simulate` runs a whole program at each party. Here one caller directs all of them, step by step. The
facades for other libraries' programs stand on it.
"""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mpc.errors import OrderError, ParameterError, TransportError
from mpc.tensors.backends.clear import EndedError
from mpc.tensors.backends.interface import Shape
from mpc.tensors.session import FRACTION_BITS, Session
from mpc.tensors.simulation import backends_in_memory
from mpc.tensors.tensor import PrivateTensor

CALLER = "caller"
"""The outside party that gives all inputs and takes all outputs."""
METHODS = frozenset({
    "abs", "argmax", "clip", "exp", "flatten", "log", "max", "mean", "min", "reciprocal", "relu", "reshape", "sigmoid",
    "softmax", "sqrt", "square", "squeeze", "sum", "tanh", "transpose",
})  # fmt: skip
Found = TypeVar("Found")


class Group:
    """Parties that wait for commands, each in a thread with a session of its own."""

    def __init__(
        self,
        parties: Sequence[str],
        dealer: str | None,
        backend: str = "dealer",
        fraction_bits: int = FRACTION_BITS,
    ) -> None:
        backends = backends_in_memory(backend, parties, dealer, (CALLER,), 64)
        self.closed = False
        self._commands: dict[str, Any] = {}
        self._backends = list(backends.values())
        for name, each in backends.items():
            session = Session(each, outside=(CALLER,), fraction_bits=fraction_bits)
            commands: Any = queue.Queue()
            self._commands[name] = commands
            threading.Thread(target=_serve, args=(name, session, commands), name=f"party {name}", daemon=True).start()
        self._finalizer = weakref.finalize(self, _end, list(self._commands.values()))

    def run(self, command: Callable[[Session], Found]) -> Mapping[str, Found]:
        """Run a command at every party, and return what each gave. The first error ends the group and is raised."""
        if self.closed:
            raise OrderError("expected a group that is open, found one that has ended")
        replies: queue.Queue[tuple[str, Found, BaseException | None]] = queue.Queue()
        for commands in self._commands.values():
            commands.put((command, replies))
        found: dict[str, Found] = {}
        errors: list[BaseException] = []
        for _ in self._commands:
            name, value, error = self._wait(replies)
            if error is None:
                found[name] = value
                continue
            errors.append(error)
            self.close()
        own = [error for error in errors if not isinstance(error, TransportError | EndedError)]
        if errors:
            raise (own or errors)[0]
        return found

    def _wait(self, replies: queue.Queue[Found]) -> Found:
        try:
            return replies.get()
        except BaseException:  # such as Ctrl-C, which only this thread sees
            self.close()
            raise

    def close(self) -> None:
        """End all parties."""
        self.closed = True
        for backend in self._backends:
            backend.close()
        self._finalizer()

    def share(self, values: NDArray[np.generic], bound: float, whole: bool) -> Remote:
        """Return a remote tensor of the caller's values."""
        return Remote(
            self, self.run(lambda s: s.input(CALLER, lambda: values, shape=values.shape, bound=bound, whole=whole))
        )


def _serve(name: str, session: Session, commands: Any) -> None:
    while (item := commands.get()) is not None:
        command, replies = item
        try:
            replies.put((name, command(session), None))
        except BaseException as error:  # noqa: BLE001 - raised again by the caller, in its own thread
            replies.put((name, None, error))
        del item, command, replies  # so that a group is let go while its threads wait


def _end(commands: Sequence[Any]) -> None:
    for each in commands:
        each.put(None)


class Remote:
    """A private tensor of a group, as its caller holds it: a name for what the parties hold."""

    __array_priority__ = 1000
    __hash__ = object.__hash__

    def __init__(self, group: Group, parts: Mapping[str, PrivateTensor]) -> None:
        self.group = group
        self._parts = parts

    @property
    def shape(self) -> Shape:
        return next(iter(self._parts.values())).shape

    def apply(self, function: Callable[..., PrivateTensor], *others: object) -> Remote:
        """Return a function of this and other tensors of the group, or of public values, at every party."""
        for other in others:
            if isinstance(other, Remote) and other.group is not self.group:
                raise ParameterError("expected tensors that are shared among the same workers, found two groups")

        def command(session: Session) -> PrivateTensor:
            me = session.me
            return function(*(each._parts[me] if isinstance(each, Remote) else each for each in (self, *others)))

        return Remote(self.group, self.group.run(command))

    def reveal(self) -> NDArray[np.float64]:
        """Return the numbers, opened to the caller alone."""

        def command(session: Session) -> NDArray[np.float64] | None:
            opened = session.reveal(self._parts[session.me], CALLER, "opened")
            return opened.value if opened.readable else None

        found = self.group.run(command)[CALLER]
        assert found is not None  # noqa: S101  (it was opened to the caller)
        return found

    def __getattr__(self, name: str) -> Callable[..., Remote]:
        if name not in METHODS:
            raise AttributeError(f"a shared tensor has no {name!r}: expected one of {', '.join(sorted(METHODS))}")
        return lambda *inputs, **options: self.apply(lambda x: getattr(x, name)(*inputs, **options))

    def __add__(self, other: object) -> Remote:
        return self.apply(lambda x, y: x + y, other)

    def __sub__(self, other: object) -> Remote:
        return self.apply(lambda x, y: x - y, other)

    def __rsub__(self, other: object) -> Remote:
        return self.apply(lambda x, y: y - x, other)

    def __mul__(self, other: object) -> Remote:
        return self.apply(lambda x, y: x * y, other)

    def __truediv__(self, other: object) -> Remote:
        return self.apply(lambda x, y: x / y, other)

    def __matmul__(self, other: object) -> Remote:
        return self.apply(lambda x, y: x @ y, other)

    def __rmatmul__(self, other: object) -> Remote:
        return self.apply(lambda x, y: y @ x, other)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Remote:
        return self.apply(lambda x: -x)

    def __getitem__(self, index: object) -> Remote:
        return self.apply(lambda x: x[index])

    def __lt__(self, other: object) -> Remote:
        return self.apply(lambda x, y: x < y, other)

    def __gt__(self, other: object) -> Remote:
        return self.apply(lambda x, y: x > y, other)

    def __le__(self, other: object) -> Remote:
        return self.apply(lambda x, y: x <= y, other)

    def __ge__(self, other: object) -> Remote:
        return self.apply(lambda x, y: x >= y, other)

    def __eq__(self, other: object) -> Remote:  # type: ignore[override]  # a tensor of bits
        return self.apply(lambda x, y: x == y, other)

    def __ne__(self, other: object) -> Remote:  # type: ignore[override]
        return self.apply(lambda x, y: x != y, other)

    def __bool__(self) -> bool:
        raise TypeError("a shared tensor has no value that this program may look at: get it first")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shape={self.shape}, held by {', '.join(sorted(self._parts))})"
