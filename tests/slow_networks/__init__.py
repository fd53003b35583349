"""Network namespaces, one a member, with a slow link among them."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

RATE_MBIT, ONE_WAY_MS = 100.0, 20.0


@dataclass(frozen=True)
class Networks:
    """By member, its address and the words before each of its commands."""

    hosts: dict[str, str]
    within: dict[str, tuple[str, ...]]


def unavailable() -> str:
    """Say what is missing for namespaces with a slow link, or nothing."""
    if os.geteuid() != 0:
        return "network namespaces take root"
    if shutil.which("ip") is None:
        return "there is no program ip"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "there is no /dev/net/tun to write to"
    name = f"try-{secrets.token_hex(3)}"
    made = subprocess.run(("ip", "netns", "add", name), capture_output=True, text=True, timeout=30, check=False)
    if made.returncode:
        return f"this system has no network namespaces ({made.stderr.strip()})"
    subprocess.run(("ip", "netns", "del", name), check=True, timeout=30)
    return ""


def loopback(members: Sequence[str]) -> Networks:
    """Return no networks, where all members share this machine's."""
    return Networks(dict.fromkeys(members, "127.0.0.1"), {})


@contextmanager
def slow_networks(
    members: Sequence[str], rate_mbit: float = RATE_MBIT, one_way_ms: float = ONE_WAY_MS
) -> Iterator[Networks]:
    """Make a namespace for each member, joined by a slow link. Nothing of it is left."""
    mark = secrets.token_hex(3)
    spaces = {name: f"{mark}-{name}" for name in members}
    hosts = {name: f"10.78.0.{number}" for number, name in enumerate(members, 1)}
    made: list[str] = []
    relay = None
    try:
        for space in spaces.values():
            subprocess.run(("ip", "netns", "add", space), check=True, timeout=30)
            made.append(space)
        places = [f"{space}={hosts[name]}" for name, space in spaces.items()]
        command = (sys.executable, "-m", f"{__package__}.relay", str(rate_mbit), str(one_way_ms), *places)
        relay = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert relay.stdout is not None
        assert relay.stdout.readline() == "up\n", "the relay did not start"
        yield Networks(hosts, {name: ("ip", "netns", "exec", space) for name, space in spaces.items()})
    finally:
        if relay is not None:
            relay.kill()
            relay.wait(30)
        for space in made:
            subprocess.run(("ip", "netns", "del", space), check=True, timeout=30)


_REFUSED = """
import socket, sys, time
for _ in range(7):
    began = time.monotonic()
    socket.socket().connect_ex((sys.argv[1], 9))
    print(1e3 * (time.monotonic() - began))
"""


def round_trip_ms(networks: Networks, one: str, other: str) -> float:
    """Return the shortest time in which one member hears that another one's port is closed."""
    command = (*networks.within.get(one, ()), sys.executable, "-c", _REFUSED, networks.hosts[other])
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    return min(map(float, said.split()))
