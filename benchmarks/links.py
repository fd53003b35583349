"""The rate of the link itself in this run, which is the limit of the engine's rates."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks.two_party import Transport, run_two_party
from mpc.channels.frames import Channel
from mpc.garbled.pieces import FRAME_BYTES

STREAM_BYTES = 500_000_000
ROUND_TRIPS = 500


def measure_link(transport: Transport) -> dict[str, Any]:
    """Bytes a second one way in the engine's own frames, and a small message's round trip."""
    _, measured = run_two_party(_sender, _receiver, transport)
    return {"transport": transport, **measured}


def _sender(channel: Channel) -> None:
    frame = bytes(FRAME_BYTES)
    for _ in range(ROUND_TRIPS):
        channel.recv("ping")
        channel.send("pong", b"x" * 16)
    channel.recv("go")
    for _ in range(STREAM_BYTES // FRAME_BYTES):
        channel.send("stream", frame)


def _receiver(channel: Channel) -> dict[str, float]:
    trips = []
    for _ in range(ROUND_TRIPS):
        started = time.perf_counter()
        channel.send("ping", b"x" * 16)
        channel.recv("pong")
        trips.append(time.perf_counter() - started)
    channel.send("go")
    started = time.perf_counter()
    frame = memoryview(bytearray(FRAME_BYTES))
    for _ in range(STREAM_BYTES // FRAME_BYTES):
        channel.recv_into("stream", frame)
    seconds = time.perf_counter() - started
    return {
        "bytes_per_s": STREAM_BYTES // FRAME_BYTES * FRAME_BYTES / seconds,
        "round_trip_us": statistics.median(trips) * 1e6,
    }


def repeated(times: int, once: Callable[[], float]) -> dict[str, float]:
    """Median, least and greatest of ``times`` measurements after one that does not count."""
    once()
    taken = sorted(once() for _ in range(times))
    return {"median": statistics.median(taken), "min": taken[0], "max": taken[-1], "runs": times}
