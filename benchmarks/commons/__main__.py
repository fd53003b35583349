"""Print the figures, a line each."""

from __future__ import annotations

from benchmarks.commons.log import measure_audit
from benchmarks.commons.release import measure_release


def main() -> None:
    """Measure everything once."""
    reports = 1000
    for step, seconds in measure_release(reports).items():
        print(f"{reports} reports, {step}: {seconds:.3f} s")
    entries, seconds = measure_audit(100_000)
    print(f"audit of {entries} entries: {seconds:.1f} s, {seconds / entries * 1e6:.0f} µs an entry")


if __name__ == "__main__":
    main()
