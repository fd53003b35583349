"""What a trustee and a consumer compute for a granted batch, on one core, each in its own time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from mpc.commons.boxes import Place
from mpc.commons.identities import Identity
from mpc.commons.key_generation import run_key_generation
from mpc.commons.release import Batch, ConsumerKey, split_points
from mpc.commons.reports import decrypt, encrypt, valid_ones

T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Return what some work returns, and its processor seconds."""
    start = time.process_time()
    return work(), time.process_time() - start


def measure_release(reports: int, trustees: int = 4, faulty: int = 1) -> dict[str, float]:
    """Return processor seconds by the name of a step."""
    found: dict[str, float] = {}
    identities = [Identity.fresh() for _ in range(trustees)]
    shares, found["key generation, all trustees"] = timed(lambda: run_key_generation(bytes(32), faulty, identities))
    places = [Place("log", "heights", bytes(32), bytes(32), at.to_bytes(16, "big")) for at in range(reports)]
    texts, found["provider, all reports"] = timed(lambda: [encrypt(shares[0].key, one, (b"box",)) for one in places])
    consumer, grant, releases = ConsumerKey.fresh(), bytes(32), {}

    def release(place: int) -> bytes:
        batch = Batch(shares[0].key, grant, consumer.public, valid_ones(places, texts))
        return batch.release(shares[place])

    for place in range(trustees):
        releases[place], found[f"trustee {place}"] = timed(lambda place=place: release(place))  # type: ignore[misc]
    valid = valid_ones(places, texts)
    batch = Batch(shares[0].key, grant, consumer.public, valid)

    def receive() -> None:
        points, liars = batch.combine(releases)
        if liars:
            raise AssertionError(f"expected right releases, found wrong ones of {liars}")
        for at, shared in enumerate(split_points(consumer.remove(shares[0].key, points))):
            decrypt(places[at], valid[at], shared)

    _, found["consumer, all releases checked"] = timed(receive)
    return found
