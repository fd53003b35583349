"""Running one program for all parties in this process, each in a thread with a session of its own.

Values pass between threads as they would pass between machines, over channels in memory. A program that runs here runs
unchanged on separate machines.
"""

from __future__ import annotations

import inspect
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mpc.errors import MpcError, ParameterError, TransportError
from mpc.tensors.backends.clear import EndedError
from mpc.tensors.backends.interface import Backend, Cost, Rounding
from mpc.tensors.backends.kinds import KINDS, all_in_memory
from mpc.tensors.checking import check_simulation
from mpc.tensors.reveals import Policy, Reveal, Revealed, outputs_of, program_digest, readable
from mpc.tensors.session import FRACTION_BITS, Session

Program = Callable[[Session], Mapping[str, object] | None]


class ProgramError(MpcError):
    """A party's program ended with an error. The sentence names the party, the line and the cause.

    Attributes:
        party: whose program it was.
        line: of the program, or 0 where the error arose outside of it.
    """

    def __init__(self, party: str, place: str, line: int, cause: BaseException) -> None:
        super().__init__(f"{party}, {place}: {type(cause).__name__}: {cause}")
        self.party = party
        self.line = line


@dataclass(frozen=True)
class Result:
    """What a simulation gave.

    Attributes:
        outputs: for each party the arrays by name that were revealed to it, and the public ones.
        reveals: what was opened to whom, in order.
        costs: for each party.
        trust: who must be trusted for what, in one sentence.
        policy: digest of the policy, or None where every reveal was allowed.
        program: digest of the program's text, or None where it stands in no file, as in a shell.
        deviations: with `check`, for each output the largest distance from the same program on floats.
        used_error: with `check`, for each kind of operation the largest share of its stated error that was used.
    """

    outputs: Mapping[str, Mapping[str, NDArray[np.float64]]]
    reveals: tuple[Reveal, ...]
    costs: Mapping[str, Cost]
    trust: str
    policy: str | None
    program: str | None
    deviations: Mapping[str, float] = field(default_factory=dict)
    used_error: Mapping[str, float] = field(default_factory=dict)

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        """Return an output, from whichever party reads it."""
        for outputs in self.outputs.values():
            if name in outputs:
                return outputs[name]
        known = ", ".join(sorted({each for outputs in self.outputs.values() for each in outputs})) or "none"
        raise KeyError(f"expected an output among {known}, found {name!r}")


@dataclass(repr=False)
class PartyRun:
    """One party's thread.

    Attributes:
        values: what the program returned.
    """

    session: Session
    values: Mapping[str, object] = field(default_factory=dict)


def simulate(
    program: Program,
    parties: Sequence[str] = ("alice", "bob"),
    *,
    backend: str = "dealer",
    dealer: str | None = None,
    outside: Sequence[str] = (),
    check: bool = False,
    policy: Policy | None = None,
    fraction_bits: int = FRACTION_BITS,
    ring_bits: int = 64,
    rounding: Rounding = "stochastic",
    seed: int = 0,
) -> Result:
    """Run a program at every party and return what each may read.

    Args:
        program: takes a session and returns its outputs by name, which are reveals or public values.
        parties: those who compute.
        backend: `dealer`, `dealer_mac` against parties that cheat, `replicated` for three parties without a dealer,
            `replicated_mac` for three of whom one may cheat, `two_party` for two who trust nobody else, or `clear` to
            try a program without hiding anything.
        dealer: the provider of correlations, where the back-end has one.
        outside: those who only give inputs and take outputs.
        check: whether each operation is compared with floats, for which all values are opened.
        policy: what may be revealed to whom. None allows every reveal of the program.
        fraction_bits, ring_bits, rounding: of the session's numbers.
        seed: of public random numbers, such as initial weights.

    Raises:
        ProgramError: the first error of any party, which ends all.
        DeviationError: within that, where `check` found one.
    """
    backends = backends_in_memory(backend, parties, dealer, outside, ring_bits)
    runs = {}
    for name, each in backends.items():
        session = Session(
            each, outside=outside, fraction_bits=fraction_bits, rounding=rounding, policy=policy, seed=seed
        )
        if check:
            check_simulation(session)
        runs[name] = PartyRun(session)
    first = run_all(program, runs)
    if first is not None:
        party, error = first
        if not isinstance(error, Exception):
            raise error
        place, line = place_of(program, error)
        raise ProgramError(party, place, line, error) from error
    _same_public_numbers(runs)
    return _result(program, runs, policy)


def backends_in_memory(
    backend: str, parties: Sequence[str], dealer: str | None, outside: Sequence[str], ring_bits: int
) -> Mapping[str, Backend]:
    """Return a back-end for every party by name, connected in memory."""
    if len(set(parties)) != len(parties) or not parties:
        raise ParameterError(f"expected parties with names of their own, found {', '.join(parties) or 'none'}")
    if dealer in parties or set(outside) & {*parties, dealer}:
        others = ", ".join((dealer or "none", *outside))
        raise ParameterError(
            f"expected a dealer and outside parties that do not compute, found {others} beside {', '.join(parties)}"
        )
    if backend in KINDS and KINDS[backend].dealt and dealer is None:
        raise ParameterError("expected dealer=…, a party that provides correlations and holds no share, found none")
    return all_in_memory(backend, parties, dealer, outside, ring_bits)


def run_all(program: Program, runs: Mapping[str, PartyRun]) -> tuple[str, BaseException] | None:
    """Run the program in a thread for each party. Return the error that ended them all, or nothing."""
    errors: list[tuple[str, BaseException]] = []
    lock = threading.Lock()

    def run(name: str) -> None:
        each = runs[name]
        try:
            with each.session:
                each.values = outputs_of(program(each.session))
                each.session.reveals.finish(each.values)
        except BaseException as error:  # noqa: BLE001 - raised again by the caller, in its own thread
            with lock:
                errors.append((name, error))
            for other in runs.values():
                other.session.backend.close()

    threads = [threading.Thread(target=run, args=(name,), name=f"party {name}", daemon=True) for name in runs]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except BaseException:  # such as Ctrl-C, which only this thread sees
        for each in runs.values():
            each.session.backend.close()
        raise
    own = [found for found in errors if not isinstance(found[1], TransportError | EndedError)]
    return next(iter(own or errors), None)


def place_of(program: Program, error: BaseException) -> tuple[str, int]:
    """Return where in the program's own file an error arose."""
    program = inspect.unwrap(program)
    file = program.__code__.co_filename if hasattr(program, "__code__") else ""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    if not lines or lines[-1] is None:
        return "outside of the program", 0
    return f"line {lines[-1]} of {file.rsplit('/', 1)[-1]}", lines[-1]


def _same_public_numbers(runs: Mapping[str, PartyRun]) -> None:
    """Refuse a result of parties that did different things, because shares of different sums mean nothing."""
    digests = {name: run.session.public_digest for name, run in runs.items()}
    first = next(iter(digests))
    if different := [name for name, digest in digests.items() if digest != digests[first]]:
        raise ParameterError(
            f"expected the same operations on the same public numbers at all parties, found others at {different[0]} "
            f"than at {first}: a program must not depend on the party or on its own randomness"
        )


def _result(program: Program, runs: Mapping[str, PartyRun], policy: Policy | None) -> Result:
    sessions = {name: run.session for name, run in runs.items()}
    outputs = {name: readable(run.values) for name, run in runs.items()}
    some = next(iter(sessions.values()))
    deviations: dict[str, float] = {}
    used: dict[str, float] = {}
    for name, run in runs.items():
        for key, value in run.values.items():
            if isinstance(value, Revealed) and value.readable and value.twin is not None and value.twin.size:
                found = float(np.abs(value.value - value.twin).max())
                deviations[key] = max(deviations.get(key, 0.0), found)
        checker = sessions[name].checker
        for kind, share in (checker.worst if checker else {}).items():
            used[kind] = max(used.get(kind, 0.0), share)
    return Result(
        outputs=outputs,
        reveals=tuple(some.reveals.done),
        costs={name: session.backend.cost for name, session in sessions.items()},
        trust=some.backend.trust,
        policy=policy.digest if policy else None,
        program=_digest(program),
        deviations=deviations,
        used_error=used,
    )


def _digest(program: Program) -> str | None:
    try:
        return program_digest(program)
    except ParameterError:
        return None
