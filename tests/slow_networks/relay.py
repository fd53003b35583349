"""Carry packets among network namespaces, with a rate and a delay.

    python -m tests.slow_networks.relay RATE_MBIT DELAY_MS NAMESPACE=ADDRESS ...

Each namespace gets a TUN device with its address in a network of 256. A packet waits for the sender's line, travels for
the delay, and waits for the receiver's line. Both lines have the rate. What waits too long is dropped, as by a router.
The program says `up` when packets are carried, and ends with its standard input.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field

_TUNSETIFF, _TUN_WITHOUT_HEADER = 0x400454CA, 0x1001
_MOST_WAITING_S = 0.1
_LARGEST = 65536


@dataclass
class Line:
    """One namespace's line to all others. `waiting` holds packets and when they arrive."""

    device: int
    sends_until: float = 0.0
    receives_until: float = 0.0
    waiting: deque[tuple[float, bytes]] = field(default_factory=deque)


def open_line(namespace: str, address: str) -> Line:
    """Open a TUN device and move it into the namespace. The open file keeps working."""
    name = f"slow{address.rpartition('.')[2]}"
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TUN_WITHOUT_HEADER))
    for words in (
        ("link", "set", name, "netns", namespace),
        ("-n", namespace, "addr", "add", f"{address}/24", "dev", name),
        ("-n", namespace, "link", "set", name, "mtu", "1500", "txqueuelen", "5000", "up"),
        ("-n", namespace, "link", "set", "lo", "up"),
    ):
        subprocess.run(("ip", *words), check=True, timeout=30)
    return Line(device)


def carry(lines: dict[bytes, Line], bytes_per_s: float, delay_s: float) -> None:
    """Carry packets by their destination until standard input ends."""
    sources = {line.device: line for line in lines.values()}
    while True:
        now = time.monotonic()
        for line in lines.values():
            while line.waiting and line.waiting[0][0] <= now:
                _hand_over(line.device, line.waiting.popleft()[1])
        due = min((line.waiting[0][0] for line in lines.values() if line.waiting), default=now + 1.0)
        readable, _, _ = select.select([*sources, sys.stdin], [], [], max(0.0, due - now))
        if sys.stdin in readable:
            return
        for device in readable:
            packet = os.read(device, _LARGEST)
            target = lines.get(packet[16:20])
            if target is not None and packet[0] >> 4 == 4:
                _send(sources[device], target, packet, len(packet) / bytes_per_s, delay_s)


def _send(source: Line, target: Line, packet: bytes, seconds: float, delay_s: float) -> None:
    now = time.monotonic()
    sent = max(now, source.sends_until) + seconds
    received = max(sent + delay_s, target.receives_until) + seconds
    if received - now - delay_s > _MOST_WAITING_S:
        return
    source.sends_until, target.receives_until = sent, received
    target.waiting.append((received, packet))


def _hand_over(device: int, packet: bytes) -> None:
    try:
        os.write(device, packet)
    except (BlockingIOError, OSError):  # a namespace that has no room drops it
        return


def main(arguments: list[str]) -> None:
    rate, delay, *places = arguments
    lines = {}
    for place in places:
        namespace, _, address = place.partition("=")
        lines[socket.inet_aton(address)] = open_line(namespace, address)
    print("up", flush=True)
    carry(lines, float(rate) * 1e6 / 8, float(delay) / 1e3)


if __name__ == "__main__":
    main(sys.argv[1:])
