"""The works that are compared, their goals, and rounds in which the project and its peers take turns."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Container, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.peers.works import DEEP, SHALLOW
from benchmarks.tensors.groups import Command, Group, GroupError, Measured, started
from benchmarks.tensors.parties import Cast, commands
from benchmarks.tensors.peers import PEERS, Peer

Found = dict[str, Any]

LIMIT_S = 60.0
SLOW_MS = 5000.0  # what takes longer is measured once, ours without a run before that does not count
TURN_MS = 300.0  # a turn repeats short works for about so long
MOST_REPEATS = 5
RATE = 0.2

TRUSTING = ("CrypTen, trusted first party", "CrypTen, trusted third party", "SPU SEMI2K", "SPU ABY3")
ALL = (*TRUSTING, "SPU Cheetah")


@dataclass(frozen=True)
class Row:
    """One piece of work.

    Attributes:
        name: for ``--only``.
        title: in tables.
        order: what a group is told.
        goal_ms: of a back-end that trusts somebody, or None.
        nobody_ms: of a back-end that trusts nobody, or None.
        goal_mb: of what all parties send together, or None.
        peers: who is measured beside it.
        step: the row that has one step of this one, by which it is known beforehand what would take too long.
        with_macs: whether there is a goal for back-ends with MACs, as a multiple of those without.
    """

    name: str
    title: str
    order: dict[str, Any]
    goal_ms: float | None = None
    nobody_ms: float | None = None
    goal_mb: float | None = None
    peers: tuple[str, ...] = field(default=TRUSTING)
    step: str = ""
    with_macs: bool = False

    def goal_of(self, cast: Cast) -> float | None:
        return self.nobody_ms if cast.nobody_trusted else self.goal_ms


def network(sizes: Sequence[int], steps: int, batch: int = 128, clip_every: int = 31) -> dict[str, Any]:
    """Return the order for so many steps of training. Every so many, parameters are clipped to their bounds."""
    order = {"work": "mlp", "sizes": list(sizes), "batch": batch, "steps": steps}
    return order | {"rate": RATE, "clip_every": clip_every}


def logistic(steps: int) -> dict[str, Any]:
    """Return the order for so many steps of logistic regression."""
    return {"work": "logistic", "steps": steps, "clip_every": 25}


ROWS = (
    Row("multiply", "multiply 10^6", {"work": "multiply", "size": 1_000_000}, 45, 2000, peers=ALL),
    Row("multiply-small", "multiply 10^4", {"work": "multiply", "size": 10_000}, peers=("MPyC",)),
    Row("matmul-256", "matmul 256", {"work": "matmul", "size": 256}, 5, 700, peers=ALL),
    Row("matmul-1000", "matmul 1000", {"work": "matmul", "size": 1000}, 180),
    Row("relu", "ReLU 10^5", {"work": "relu", "size": 100_000}, 15, 300, peers=ALL),
    Row("argmax", "argmax 100 x 10", {"work": "argmax", "size": 100}, 6, peers=ALL),
    Row("logistic", "logistic regression 455 x 30, a step", logistic(1), 5, peers=ALL),
    Row("logistic-50", "logistic regression, 50 steps", logistic(50), 250, peers=TRUSTING[:1], step="logistic"),
    Row("mlp", "MLP 784-128-10, batch 128, a step", network(SHALLOW, 1), 25, goal_mb=8, with_macs=True),
    Row("mlp-epoch", "MLP, 62 batches", network(SHALLOW, 62), 1600, peers=(), step="mlp", with_macs=True),
    Row("network-a", "network A 784-128-128-10, a step", network(DEEP, 1, clip_every=1), 35, peers=TRUSTING[:3]),
)


@dataclass(frozen=True)
class Side:
    """A back-end of the project or a peer, and how its processes are started in a folder."""

    name: str
    ours: bool
    start: Callable[[Path, Path], list[Command]]


def our_side(cast: Cast) -> Side:
    return Side(cast.backend, True, lambda folder, orders: commands(cast, folder, orders))


def peer_side(peer: Peer, python: str) -> Side:
    return Side(peer.name, False, lambda folder, orders: peer.commands(python, folder, orders))


def peers_of(names: Container[str], pythons: Container[str]) -> list[Peer]:
    """Return the peers of these names that there is an environment for."""
    return [peer for peer in PEERS if peer.name in names and peer.environment in pythons]


class Sides:
    """All sides that were asked for so far, each started once. One that breaks is started again."""

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._running: dict[str, tuple[ExitStack, Group]] = {}
        self._limit_s = limit_s

    def __enter__(self) -> Sides:
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._running):
            self.end(name)

    def group(self, side: Side) -> Group:
        """Return the side's group. Raises GroupError where it does not start."""
        if side.name not in self._running:
            with ExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                orders = folder / "orders"
                group = stack.enter_context(started(side.name, side.start(folder, orders), orders, self._limit_s))
                self._running[side.name] = (stack.pop_all(), group)
        return self._running[side.name][1]

    def once(self, side: Side, order: dict[str, Any], check: bool = False) -> Measured:
        """Do one work on one side. Raises GroupError, after which a broken side is gone."""
        try:
            return self.group(side).once(order, check)
        except GroupError as error:
            if error.broken:
                self.end(side.name)
            raise

    def end(self, name: str) -> None:
        if name in self._running:
            stack, _ = self._running.pop(name)
            stack.close()


def too_long(row: Row, found: dict[str, Any], side: Side) -> str:
    """Return why a row is not tried, as one of its steps has shown, or nothing."""
    if "ms" not in found.get(row.step, {}).get(side.name, {}):
        return ""
    seconds = row.order["steps"] * statistics.median(found[row.step][side.name]["ms"]) / 1e3
    return f"would take {seconds:.0f} s, by one of its steps" if seconds > LIMIT_S else ""


def compare(
    sides: Sides, wanted: Sequence[Side], order: dict[str, Any], rounds: int, on_loopback: bool = True
) -> dict[str, Any]:
    """Do one work on all sides in turn, in so many rounds after one that does not count. Return figures by side."""
    found: dict[str, dict[str, Any]] = {}
    runs: dict[str, list[list[Measured]]] = {}
    repeats: dict[str, int] = {}
    for number in range(rounds + 1):
        for side in wanted:
            if "missing" in found.get(side.name, {}) or (number > 0 and repeats[side.name] == 0 and runs[side.name]):
                continue
            try:
                if number == 0:
                    first = sides.once(side, order, check=True)
                    if on_loopback and first.mb == 0:
                        raise GroupError("nothing crossed the network: it was done in the clear")
                    found[side.name] = {"ours": side.ours, **first.said}
                    repeats[side.name] = 0 if first.ms > SLOW_MS else max(1, min(MOST_REPEATS, int(TURN_MS / first.ms)))
                    runs[side.name] = [[first]] if side.ours and repeats[side.name] == 0 else []
                else:
                    runs[side.name].append([sides.once(side, order) for _ in range(max(1, repeats[side.name]))])
            except GroupError as error:
                found[side.name] = {"ours": side.ours, "missing": str(error)}
    for name, turns in runs.items():
        if "missing" not in found[name]:
            found[name] |= figures(turns)
            if not on_loopback:
                found[name]["mb"] = None
    return found


def figures(turns: list[list[Measured]]) -> dict[str, Any]:
    """Return the medians of each turn's runs, and what is the same in all of them from the last."""
    last = turns[-1][-1]
    return {
        "ms": [statistics.median(run.ms for run in turn) for turn in turns],
        "cpu_ms": [statistics.median(run.cpu_ms for run in turn) for turn in turns],
        "mb": last.mb,
        "sent_mb": last.sent_mb,
        "rounds": last.rounds,
        "memory_mb": last.memory_mb,
    }


def ratios(peer: dict[str, Any], ours: dict[str, Any], what: str = "ms") -> list[float]:
    """Return peer ÷ ours of each round. A peer that was measured once stands beside each of ours."""
    theirs = peer[what] if len(peer[what]) == len(ours[what]) else peer[what][:1] * len(ours[what])
    return [one / other for one, other in zip(theirs, ours[what], strict=True)]
