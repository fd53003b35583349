"""A program that is followed before it runs, by the parties that will run it, and is then held to what was found."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping

from mpc.tensors.forecast import Follower, Forecast, is_followed
from mpc.tensors.session import Session

Program = Callable[..., Mapping[str, object] | None]


def compile(program: Program, show: Callable[[str], object] = print) -> Program:
    """Return the same program, which is traced once before anything of it is sent.

    The trace shows rounds, bytes and correlations by operation, and what will be revealed (`show`, at the first
    computing party alone). Costs are shown for the back-end `dealer`, for others see `pt.cost`. Whatever the policy or
    the ring would refuse is refused there, and so is a course that depends on a secret. All reveals that were found are
    binding, unless the program reads what it revealed.

    Args:
        program: takes a session, and more arguments if it likes. With these it is traced every time.
        show: is given the forecast as text.

    The forecast is then `program.forecasts[-1]`. It may be used as a decorator.
    """
    known: dict[object, Forecast] = {}
    forecasts: list[Forecast] = []
    lock = threading.Lock()

    @functools.wraps(program)
    def compiled(session: Session, *arguments: object) -> Mapping[str, object] | None:
        if is_followed(session):
            return program(session, *arguments)
        backend, policy = session.backend, session.reveals.policy
        parts = backend.name, backend.computing, getattr(backend, "provider", None), session.outside, backend.ring_bits
        key = (*parts, session.format, session.rounding, session.seed, None if policy is None else policy.digest)
        with lock:
            if arguments or key not in known:
                known[key] = Follower(*parts).follow_quickly(
                    lambda traced: program(traced, *arguments), fraction_bits=session.format.fraction_bits,
                    rounding=session.rounding, policy=policy, seed=session.seed,
                )  # fmt: skip
                forecasts.append(known[key])
            found = known[key]
        if session.me == backend.computing[0]:
            show(str(found))
        session.reveals.bind(found.binding)
        return program(session, *arguments)

    compiled.forecasts = forecasts  # type: ignore[attr-defined]
    return compiled
