"""Five networks between parties that have a namespace each, for the project and its peers.

The slower ones are emulated by :mod:`benchmarks.tensors.relay`. Loopback's rate is limited by the kernel where the
delay does not count.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.tensors.parties import Cast, commands
from benchmarks.tensors.peers import PEERS, Peer
from benchmarks.tensors.relay import DEVICE
from benchmarks.tensors.rows import ROWS, Row, Side, Sides, compare
from tests.parties.capc.slow_link.networks import Networks, round_trip_ms

Within = Mapping[str, tuple[str, ...]]
WORKS = ("relu", "mlp")
BESIDE = ("CrypTen, trusted first party", "SPU SEMI2K", "SPU Cheetah")
MOST_ROUNDS = 2
LIMIT_S = 120.0


@dataclass(frozen=True)
class Network:
    """A link between any two parties.

    Attributes:
        rate_mbit: each party's line, both ways.
        one_way_ms: without the time that the line takes. Zero stands for loopback at this rate.
    """

    title: str
    rate_mbit: int
    one_way_ms: float


NETWORKS = (
    Network("10 Gbit/s", 10_000, 0),
    Network("1 Gbit/s, 1 ms", 1_000, 0.5),
    Network("200 Mbit/s, 20 ms", 200, 10),
    Network("100 Mbit/s, 40 ms", 100, 20),
    Network("20 Mbit/s, 80 ms", 20, 40),
)


def unavailable() -> str:
    """Say what is missing for namespaces and links, or nothing."""
    if os.geteuid() != 0:
        return "network namespaces take root"
    if shutil.which("ip") is None or shutil.which("tc") is None:
        return "there are no programs ip and tc"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "there is no /dev/net/tun to write to"
    return ""


@contextmanager
def joined(network: Network, names: Sequence[str]) -> Iterator[tuple[dict[str, str], Within]]:
    """Make namespaces with this network among them. Yield each name's address and the words before its command.

    Nothing of it is left.
    """
    mark = secrets.token_hex(3)
    apart = network.one_way_ms > 0
    spaces = {name: f"{mark}-{name}" if apart else mark for name in names}
    hosts = {name: f"10.79.0.{number}" if apart else "127.0.0.1" for number, name in enumerate(names, 1)}
    made: list[str] = []
    relay = None
    try:
        for space in dict.fromkeys(spaces.values()):
            subprocess.run(("ip", "netns", "add", space), check=True, timeout=30)
            made.append(space)
        if apart:
            places = [f"{spaces[name]}={hosts[name]}" for name in names]
            words = (sys.executable, "-m", "benchmarks.tensors.relay", str(network.rate_mbit), str(network.one_way_ms))
            relay = subprocess.Popen((*words, *places), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            if relay.stdout is None or relay.stdout.readline() != "up\n":
                raise RuntimeError("the relay did not start")
        else:
            limit = f"tc -n {mark} qdisc add dev lo root tbf rate {network.rate_mbit}mbit burst 1mb latency 20ms"
            for command in (f"ip -n {mark} link set lo up", limit):
                subprocess.run(command.split(), check=True, capture_output=True, timeout=30)
        enter = {
            name: ("ip", "netns", "exec", space, "env", f"GLOO_SOCKET_IFNAME={DEVICE if apart else 'lo'}")
            for name, space in spaces.items()
        }
        yield hosts, enter
    finally:
        if relay is not None:
            relay.kill()
            relay.wait(30)
        for space in made:
            subprocess.run(("ip", "netns", "del", space), check=True, timeout=30)


@contextmanager
def side_in(network: Network, who: Cast | Peer, python: str = "") -> Iterator[Side]:
    """Yield a side whose processes are in namespaces of their own."""
    names = who.names if isinstance(who, Cast) else tuple(f"rank{rank}" for rank in range(who.ranks))
    with joined(network, names) as (hosts, within):

        def start(folder: Path, orders: Path) -> list[Any]:
            if isinstance(who, Cast):
                return commands(who, folder, orders, hosts, within)
            return who.commands(python, folder, orders, hosts, within)

        yield Side(who.backend if isinstance(who, Cast) else who.name, isinstance(who, Cast), start)


def round_trip(network: Network) -> float:
    """Return the milliseconds of a round trip, as two parties find it."""
    with joined(network, ("one", "other")) as (hosts, within):
        return round_trip_ms(Networks(hosts, dict(within)), "one", "other")


def measure_networks(
    casts: Sequence[Cast],
    pythons: Mapping[str, str],
    rounds: int,
    todo: Callable[[str, str], bool],
    keep: Callable[[str, str, Any], None],
) -> None:
    """Do some of the work on each network, one side after the other, because links take processor time as well.

    Back-ends with MACs are left out. They send several times as many bytes, in the rounds of those without.
    """
    if why := unavailable():
        keep("networks", "missing", why)
        return
    rows: list[Row] = [row for row in ROWS if row.name in WORKS]
    peers = [peer for peer in PEERS if peer.name in BESIDE and peer.environment in pythons]
    for network in NETWORKS:
        if not todo("networks", network.title):
            continue
        found: dict[str, Any] = {row.name: {} for row in rows}
        keep("networks", f"{network.title}, round trip in ms", round_trip(network))
        everybody: list[Cast | Peer] = [*(each for each in casts if not each.backend.endswith("_mac")), *peers]
        for who in everybody:
            python = "" if isinstance(who, Cast) else pythons[who.environment]
            with side_in(network, who, python) as side, Sides(LIMIT_S) as sides:
                for row in rows:
                    found[row.name] |= compare(sides, [side], row.order, min(rounds, MOST_ROUNDS), on_loopback=False)
        keep("networks", network.title, found)
