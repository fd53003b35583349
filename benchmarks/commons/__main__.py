"""Print the figures, a line each."""

from __future__ import annotations

from benchmarks.commons.keys import measure_key, measure_release
from benchmarks.commons.log import measure_audit


def main() -> None:
    """Measure everything once."""
    entries, seconds = measure_audit(100_000)
    print(f"audit of {entries} entries: {seconds:.1f} s, {seconds / entries * 1e6:.0f} µs an entry")
    for trustees, faulty in ((4, 1), (7, 2)):
        print(f"key of {trustees} trustees, t = {faulty}: {measure_key(trustees, faulty) * 1e3:.1f} ms a trustee")
    for step, seconds in measure_release(1000).items():
        print(f"1,000 reports, {step}: {seconds:.3f} s")


if __name__ == "__main__":
    main()
