"""How long a charge takes after so many others, in the ledger and in the guardian's notes of opened batches.

    python -m benchmarks.charges [ENTRIES ...]

`first` is the first charge of a process, which reads the file. `later` is the median of the charges after it. The times
are the processor's, without those of the disk.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from mpc.capc.batches import draw_name
from mpc.dp.accountant import answer_cost, epsilon
from parties.capc.openings import Opened, PartyOpenings
from parties.ledger import Charge, Ledger

ENTRIES = (100, 10_000, 100_000)
_TIMES = 5


def main(arguments: Sequence[str]) -> None:
    """Print a table of milliseconds of the processor."""
    print(f"{'entries':>9} {'ledger first':>13} {'later':>8} {'openings first':>15} {'later':>8}   ms")
    for entries in map(int, arguments or ENTRIES):
        with tempfile.TemporaryDirectory() as folder:
            ledger, opened = _ledger(Path(folder), entries), _openings(Path(folder), entries)
        print(f"{entries:>9} {ledger[0]:>13.1f} {ledger[1]:>8.2f} {opened[0]:>15.1f} {opened[1]:>8.2f}", flush=True)


def _ledger(folder: Path, entries: int) -> tuple[float, float]:
    path, costs = folder / "ledger.jsonl", (answer_cost("40"),)
    lines = (Charge("clinics/a", "s", 0.0, costs, draw_name().hex()) for _ in range(entries))
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    ledger = Ledger(path, partial(epsilon, delta=1e-5), None)
    return _measured(lambda: ledger.charge("clinics/a", "s", costs, 1, batch=draw_name().hex()))


def _openings(folder: Path, entries: int) -> tuple[float, float]:
    openings, share = PartyOpenings(folder / "openings", "s"), np.zeros((1, 10), np.uint64)
    openings.folder.mkdir()
    lines = (Opened("clinics/a", draw_name().hex(), "s", 0.0) for _ in range(entries))
    (openings.folder / "opened.jsonl").write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))

    def one_batch() -> None:
        name = draw_name()
        openings.forget_others("clinics/a", name)
        openings.state("clinics/a", name)
        openings.open("clinics/a", name, share, 3)

    return _measured(one_batch)


def _measured(once: Callable[[], object]) -> tuple[float, float]:
    taken = []
    for _ in range(_TIMES + 1):
        began = time.process_time()
        once()
        taken.append(1e3 * (time.process_time() - began))
    return taken[0], statistics.median(taken[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
