"""Many sessions of the same services: their memory and their open files stay the same, and the accounts are exact.

    python -m tests.parties.capc.soak --sessions 50 --queries 20 [--disturb 10] --folder FOLDER

With `--disturb N` every N-th session is preceded by one that fails. A stranger knocks at every port, and the member
that asks is killed in the middle. What it had bought is not charged again, so the accounts are as exact as without.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestrator.federation.shared import read_shared
from parties.protocols import PROTOCOLS
from tests.parties.capc.federations import FederationHere
from tests.parties.capc.slow_link.kills import accounting
from tests.parties.capc.slow_link.members import ASKING, MEMBERS, SERVING, found, labels_of, start_folder
from tests.slow_networks import loopback

SETTLED, MOST_CHANGE = 10, 0.05  # from this session on, memory may change by so much
WINDOW = 10  # sessions whose open files are compared with those of others
_LOOK_S = 0.1


@dataclass(frozen=True)
class Sample:
    """One service in one session.

    Attributes:
        resident: bytes of the supervisor at the end.
        processes: the most bytes of one of its processes during the session, as the kernel kept it.
        files: open files of the supervisor at the end.
        most_files: the most open files of one of its processes.
    """

    session: int
    service: str
    resident: int
    processes: int
    files: int
    most_files: int


class Watch:
    """Looks at the processes of all services while a session goes on."""

    def __init__(self, here: FederationHere) -> None:
        self._here = here
        self._most = {name: (0, 0) for name in SERVING}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self, session: int) -> list[Sample]:
        """Return what was seen."""
        self._over.set()
        self._thread.join()
        return [
            Sample(session, name, _bytes(pid, "VmRSS"), self._most[name][0], _files(pid), self._most[name][1])
            for name, pid in ((name, self._here.services[name].pid) for name in SERVING)
        ]

    def _look(self) -> None:
        while not self._over.wait(_LOOK_S):
            for name in SERVING:
                for pid in self._here.processes(name):
                    peak, files = self._most[name]
                    self._most[name] = max(peak, _bytes(pid, "VmHWM")), max(files, _files(pid))


def _bytes(pid: int, what: str) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{what}:"):
                return 1024 * int(line.split()[1])
    return 0


def _files(pid: int) -> int:
    with suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/fd"))
    return 0


def soak(here: FederationHere, labels: list[str], sessions: int, disturb: int = 0) -> tuple[list[Sample], list[str]]:
    """Ask in so many sessions, the same queries each time. Return what was seen, and what was wrong."""
    samples, faults = list[Sample](), list[str]()
    here.serve(*SERVING)
    for session in range(1, sessions + 1):
        if disturb and session % disturb == 0:
            _fail(here)
        watch = Watch(here)
        asked = here.start_asking(ASKING)
        output, errors = asked.communicate(timeout=900)
        samples += watch.end(session)
        if asked.returncode:
            faults.append(f"session {session}: {errors.strip()}")
            break
        if labels_of(json.loads(output)) != labels:
            faults.append(f"session {session}: expected {labels}, found {labels_of(json.loads(output))}")
        print(f"session {session} of {sessions}", flush=True)
    faults += accounting(here, len(labels) * sessions)
    return samples, faults + unsteady(samples)


def _fail(here: FederationHere) -> None:
    """Let a stranger knock at every port, and kill the member that asks in the middle of a session."""
    federation = read_shared(start_folder(here.top, "coordinator") / "federation.yaml", PROTOCOLS).federation
    for member in federation.members:
        if member.host and member.port:
            with suppress(OSError), socket.create_connection((member.host, member.port), 10) as stranger:
                stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
    asked = here.start_asking(ASKING)
    kept = here.folder(ASKING) / "durable" / f"client-{ASKING}"
    here.until(lambda: any(path.stat().st_size for path in kept.glob("given-*.jsonl")), "answers are kept")
    for pid in (asked.pid, *here.processes(ASKING, "ask-")):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    asked.communicate(timeout=60)


def unsteady(samples: Sequence[Sample], settled: int = SETTLED) -> list[str]:
    """Return what has changed between the sessions after which all is settled and the last ones.

    The number of open files at one moment may be one more or fewer. They leak if all of the last ten sessions have more
    than each of the first ten that are settled.
    """
    found_wrong = []
    for service in dict.fromkeys(sample.service for sample in samples):
        own = [sample for sample in samples if sample.service == service]
        first, last = next((sample for sample in own if sample.session >= settled), own[-1]), own[-1]
        for what in ("resident", "processes"):
            before, after = getattr(first, what), getattr(last, what)
            if abs(after - before) > MOST_CHANGE * before:
                found_wrong.append(f"{service}: {what} {before} in session {first.session}, {after} in {last.session}")
        for what in ("files", "most_files"):
            counts = [getattr(sample, what) for sample in own if sample.session >= first.session]
            before, after = counts[:WINDOW], counts[-WINDOW:]
            if min(after) > max(before):
                found_wrong.append(f"{service}: {what} at most {max(before)}, then at least {min(after)}")
    return found_wrong


def show(samples: Sequence[Sample]) -> None:
    """Print a table of the sessions that count in tens, and the last one."""
    print(f"{'session':>7}  {'service':10} {'supervisor MB':>13} {'process MB':>10} {'files':>6} {'of process':>10}")
    last = max((sample.session for sample in samples), default=0)
    for one in samples:
        if one.session in (1, last) or one.session % SETTLED == 0:
            megabytes = f"{one.resident / 1e6:>13.1f} {one.processes / 1e6:>10.1f}"
            print(f"{one.session:>7}  {one.service:10} {megabytes} {one.files:>6} {one.most_files:>10}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the federation, let it work, and print a table. The status is 1 where something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.parties.capc.soak", description=__doc__)
    parser.add_argument("--sessions", type=int, default=50, help="Default 50")
    parser.add_argument("--queries", type=int, default=20, help="of each session. Default 20")
    parser.add_argument("--disturb", type=int, default=0, metavar="N", help="before every N-th session. Default never")
    parser.add_argument("--folder", type=Path, help="an empty folder. Default: a new one")
    chosen = parser.parse_args(arguments)
    top = (chosen.folder or Path(tempfile.mkdtemp(prefix="soak-"))).resolve()
    top.mkdir(exist_ok=True)
    patient = {"rejoin_s": 120, "connect_deadline_s": 120, "message_deadline_s": 120, "run_deadline_s": 900}
    here, labels = found(top, loopback(MEMBERS), chosen.queries, batch_size=5, **patient)
    try:
        samples, faults = soak(here, labels, chosen.sessions, chosen.disturb)
    finally:
        for service in here.services.values():
            service.terminate()
        for service in here.services.values():
            service.wait(60)
    (top / "samples.json").write_text(json.dumps([asdict(sample) for sample in samples]))
    show(samples)
    print(f"{len(labels) * chosen.sessions} queries in {chosen.sessions} sessions; {len(faults)} faults")
    for fault in faults:
        print(f"!!! {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
