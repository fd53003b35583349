"""Kill members of a federation over a slow link, and print what became of it. The status is 1 where that was wrong."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from tests.parties.capc.federations import GUARDIAN
from tests.parties.capc.slow_link.kills import Trial
from tests.parties.capc.slow_link.members import ASKING, MEMBERS, found
from tests.parties.capc.slow_link.refusals import refusals
from tests.slow_networks import Networks, loopback, round_trip_ms, slow_networks, unavailable

PATIENT = {"rejoin_s": 400, "connect_deadline_s": 120, "message_deadline_s": 120, "run_deadline_s": 3000}


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the federation or take that of an earlier time, kill, and print a summary."""
    parser = argparse.ArgumentParser(prog="python -m tests.parties.capc.slow_link", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, metavar="N", help="in all, with those of earlier times")
    parser.add_argument("--seed", type=int, default=1, help="of the moments. Default 1")
    parser.add_argument("--queries", type=int, default=40, help="of an asking. Default 40")
    parser.add_argument("--batch", type=int, default=2, help="queries of a batch. Default 2")
    parser.add_argument("--longest_s", type=float, default=10.0, help="before a kill. Default 10")
    parser.add_argument("--folder", type=Path, help="where all is kept, to go on later. Default: a new one")
    parser.add_argument("--loopback", action="store_true", help="without namespaces and without a slow link")
    parser.add_argument("--no_refusals", action="store_true", help="leave out members that must be refused")
    chosen = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    top = (chosen.folder or Path(tempfile.mkdtemp(prefix="slow-link-"))).resolve()
    top.mkdir(exist_ok=True)
    reason = "it was asked for" if chosen.loopback else unavailable()
    if reason:
        print(f"loopback in place of a slow link, because {reason}", flush=True)
    with nullcontext(loopback(MEMBERS)) if reason else slow_networks(MEMBERS) as networks:
        print(f"{top}: round trip {round_trip_ms(networks, ASKING, GUARDIAN):.1f} ms", flush=True)
        return carry_out(top, networks, chosen)


def carry_out(top: Path, networks: Networks, chosen: argparse.Namespace) -> int:
    """Kill members of a federation in `top`, have others refused, and return the status."""
    here, labels = found(top, networks, chosen.queries, batch_size=chosen.batch, **PATIENT)
    trial = Trial(here, labels, top / "outcomes.jsonl", chosen.seed, chosen.longest_s)
    faults = []
    try:
        trial.run(chosen.kills)
        if not chosen.no_refusals:
            faults += refusals(here)
    finally:
        trial.end()
    faults += [f"{name}: a process is left: {here.processes(name, '')}" for name in MEMBERS if here.processes(name, "")]
    return conclude(trial, faults)


def conclude(trial: Trial, faults: Sequence[str]) -> int:
    """Print a summary of all kills and askings, also of earlier times."""
    kills, askings = trial.kills, trial.askings
    whole = [line for line in askings if line["sessions"] == 1 and line["earlier"] == 0]
    all_faults = [*faults, *(fault for line in trial.lines for fault in line["faults"])]
    print(f"{len(kills)} kills: {dict(Counter(line['victim'] for line in kills))}")
    connected, named = sum(line["connected"] for line in kills), sum(bool(line["named"]) for line in kills)
    print(f"{connected} of them in a session, {named} named by another member")
    sessions, answers = sum(line["sessions"] for line in askings), len(trial.labels)
    print(f"{len(askings)} askings of {answers} queries, which took {sessions} processes of the member that asks")
    if whole:
        first = whole[0]
        print(f"without a kill: {first['seconds']} s, {first['sent']:,} bytes sent, {first['received']:,} received")
    for fault in all_faults:
        print(f"!!! {fault}")
    print(f"{len(all_faults)} faults")
    return 1 if all_faults else 0


if __name__ == "__main__":
    sys.exit(main())
