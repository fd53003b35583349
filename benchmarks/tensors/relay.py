"""Carry packets among network namespaces, with a rate and a delay, for measurements.

    python -m benchmarks.tensors.relay RATE_MBIT ONE_WAY_MS NAMESPACE=ADDRESS ...

Each namespace gets a TUN device with its address. The kernel hands over up to 64 kB of a TCP stream as one packet, so
that a program in Python keeps up with fast links. A packet leaves by its sender's line, travels for the delay, and
arrives by its receiver's line. Both lines have the rate, one packet at a time. Nothing is dropped. The program says
`up` when packets are carried, and ends with its standard input.
"""

from __future__ import annotations

import contextlib
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

DEVICE = "link0"
_TUNSETIFF, _TUNSETOFFLOAD = 0x400454CA, 0x400454D0
_TUN, _NO_PACKET_HEADER, _OFFLOAD_HEADER = 0x0001, 0x1000, 0x4000
_CHECKSUMS, _SEGMENTS = 0x01, 0x02  # the kernel leaves both to the device, and so to the receiving kernel
_OFFLOAD_BYTES = 10  # struct virtio_net_hdr, before each packet
_LARGEST = 70_000
_SPIN_S = 2e-4  # what is due within this time is waited for without sleeping


@dataclass
class Line:
    """One namespace's line to all others. `waiting` holds packets and when they arrive."""

    device: int
    sends_until: float = 0.0
    receives_until: float = 0.0
    waiting: deque[tuple[float, bytes]] = field(default_factory=deque)


def open_line(namespace: str, address: str) -> Line:
    """Open a TUN device and move it into the namespace. The open file keeps working."""
    passing = f"bench{address.rpartition('.')[2]}"  # its name until it is there
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    flags = _TUN | _NO_PACKET_HEADER | _OFFLOAD_HEADER
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", passing.encode(), flags))
    fcntl.ioctl(device, _TUNSETOFFLOAD, _CHECKSUMS | _SEGMENTS)
    for words in (
        ("link", "set", passing, "netns", namespace, "name", DEVICE),
        ("-n", namespace, "addr", "add", f"{address}/24", "dev", DEVICE),
        ("-n", namespace, "link", "set", DEVICE, "mtu", "1500", "txqueuelen", "100000", "up"),
        ("-n", namespace, "link", "set", "lo", "up"),
    ):
        subprocess.run(("ip", *words), check=True, timeout=30)
    return Line(device)


def carry(lines: dict[bytes, Line], bytes_per_s: float, delay_s: float) -> None:
    """Carry packets by their destination until standard input ends."""
    sources = {line.device: line for line in lines.values()}
    while True:
        now = time.monotonic()
        due = min((line.waiting[0][0] for line in lines.values() if line.waiting), default=now + 1.0)
        wait_s = due - now
        wait_s = 0.0 if wait_s < _SPIN_S else wait_s - _SPIN_S / 2
        for device in select.select([*sources, sys.stdin.fileno()], [], [], wait_s)[0]:  # poll knows whole milliseconds
            if device not in sources:
                return
            packet = os.read(device, _LARGEST)
            target = lines.get(packet[_OFFLOAD_BYTES + 16 : _OFFLOAD_BYTES + 20])
            if target is not None and packet[_OFFLOAD_BYTES] >> 4 == 4:
                schedule(sources[device], target, packet, time.monotonic(), bytes_per_s, delay_s)
        now = time.monotonic()
        for line in lines.values():
            while line.waiting and line.waiting[0][0] <= now and hand_over(line.device, line.waiting[0][1]):
                line.waiting.popleft()


def schedule(source: Line, target: Line, packet: bytes, now: float, bytes_per_s: float, delay_s: float) -> None:
    """Put a packet where it waits for the instant of its arrival. It arrives while it is still being sent."""
    seconds = (len(packet) - _OFFLOAD_BYTES) / bytes_per_s
    source.sends_until = max(now, source.sends_until) + seconds
    target.receives_until = max(source.sends_until + delay_s, target.receives_until + seconds)
    target.waiting.append((target.receives_until, packet))


def hand_over(device: int, packet: bytes) -> bool:
    """Give a packet to the receiving kernel, if it has room now."""
    try:
        os.write(device, packet)
    except BlockingIOError:
        return False
    return True


def main(arguments: list[str]) -> None:
    """Open all lines and carry packets. The relay goes before what it carries for, where it may."""
    rate, delay, *places = arguments
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    lines = {}
    for place in places:
        namespace, _, address = place.partition("=")
        lines[socket.inet_aton(address)] = open_line(namespace, address)
    print("up", flush=True)
    carry(lines, float(rate) * 1e6 / 8, float(delay) / 1e3)


if __name__ == "__main__":
    main(sys.argv[1:])
