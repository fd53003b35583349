"""A party of a computation on private tensors, whatever its role. All of them run the same program.

    provider, where one is    computing parties                            outside party
    seeds, corrections  --->
                              <-- shares of an input, or of what opens -->
                              what opens among themselves

    python -m parties.tensors.party --settings PATH

A computing party holds a share of every value. The provider of correlations follows the program and learns its shapes.
An outside party gives inputs and takes outputs. What anybody learns beyond its own inputs is what the policy lets the
program reveal to it. Trust is the back-end's, and stands in the result.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from mpc.tensors.backends.interface import Backend
from mpc.tensors.backends.kinds import join
from mpc.tensors.network import Network
from mpc.tensors.reveals import Policy, outputs_of, readable
from mpc.tensors.session import Session
from parties.frame.charts import Figure
from parties.frame.connections import Connections
from parties.frame.private_files import write_private
from parties.frame.process import Party, run_party
from parties.tensors.allocator import keep_memory
from parties.tensors.gathering import gather
from parties.tensors.outputs import check_public_numbers, write_outputs
from parties.tensors.programs import Here, Program
from parties.tensors.settings import TensorsSettings


def party(party: Party[TensorsSettings]) -> None:
    """Play one party."""
    settings, progress = party.settings, party.progress
    keep_memory()
    program = Program(settings.program, settings.program_digest)
    here = Here(settings.arguments, settings.files, _advance(party))

    with Connections(settings, party.folder, settings.role, settings.agreed(), progress.note) as connections:
        gathered = gather(party, connections)
        if gathered.record is not None:
            gathered.record.begin()
        with progress.step("1", "set up the back-end"):
            network = Network(settings.name, gathered.channels)
            backend = _backend(settings, network)
        session = Session(
            backend,
            outside=settings.outside,
            fraction_bits=settings.fraction_bits,
            rounding=settings.rounding,
            policy=Policy(settings.policy, settings.times, settings.noise),
            foreseen=None if settings.reveals is None else dict(settings.reveals),
            seed=settings.seed,
            compare=partial(check_public_numbers, network, settings.computing),
            **({} if gathered.record is None else {"tell": gathered.record.reveal}),
        )
        began = time.perf_counter()
        with progress.step("2", "run the program"), session:
            found = outputs_of(program(session, here))
            session.reveals.finish(found)
        seconds = time.perf_counter() - began
        outputs = readable(found)
        if settings.outputs is not None:
            write_outputs(settings.outputs, outputs)
        report = _report(party, session, outputs, seconds)
        unfinished = gathered.finish()
    write_private(party.folder / "result.json", json.dumps(report | {"unfinished": unfinished}).encode())


def _backend(settings: TensorsSettings, network: Network) -> Backend:
    """Return this party's side of the back-end that was agreed on."""
    return join(
        network,
        backend=settings.backend,
        computing=settings.computing,
        provider=settings.provider,
        outside=settings.outside,
        ring_bits=settings.ring_bits,
    )


def _advance(party: Party[TensorsSettings]) -> Any:
    def advance(done: int, of: int, unit: str, **figures: float) -> None:
        party.progress.advance(done, of, unit, [Figure(name, value) for name, value in figures.items()])

    return advance


def _report(party: Party[TensorsSettings], session: Session, outputs: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Return what a result says of one party. Of its outputs it shows single numbers, and the shapes of arrays."""
    settings, cost = party.settings, session.backend.cost
    shown = {name: value.item() if np.ndim(value) == 0 else list(np.shape(value)) for name, value in outputs.items()}
    return {
        "party": settings.name,
        "role": settings.role,
        "backend": settings.backend,
        "trust": session.backend.trust,
        "parties": {
            "computing": settings.computing, "provider": settings.provider, "outside": settings.outside,
        },
        "program": settings.program.name,
        "outputs": shown,
        "outputs_file": None if settings.outputs is None else str(settings.outputs),
        "twin": settings.twin,
        "revealed": [asdict(reveal) for reveal in session.reveals.done],
        "seconds": seconds,
        "rounds": cost.rounds,
        "sent": cost.sent,
        "received": cost.received,
        "correlations": cost.correlations,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(run_party(TensorsSettings, party))
