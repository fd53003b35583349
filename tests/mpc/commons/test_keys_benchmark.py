"""The benchmark of keys and releases does the whole work, at every party."""

from __future__ import annotations

from benchmarks.commons.keys import measure_key, measure_release


def test_every_step_is_measured() -> None:
    times = measure_release(2, aggregators=1)
    assert list(times) == [
        "seal, all providers",
        "check the reports, a trustee",
        "release, a trustee",
        "check one trustee's release",
        "hand on, the consumer",
        "open, an aggregator",
    ]
    assert all(seconds > 0 for seconds in times.values())
    assert measure_key(4, 1) > 0
