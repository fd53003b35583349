"""A party's process keeps the memory of its arrays between operations."""

from __future__ import annotations

import subprocess
import sys

FAULTS = """
import resource, sys
import numpy as np
from parties.tensors.allocator import keep_memory

if sys.argv[1] == "kept":
    print(keep_memory())
found = []
for _ in range(8):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [np.ones(1 << 20, dtype=np.uint64) for _ in range(5)]
    del arrays
    found.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(found[-1])
"""


def said(how: str) -> list[str]:
    words = (sys.executable, "-c", FAULTS, how)
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout.split()


def test_arrays_of_40_mb_take_no_fresh_pages_after_the_first_time() -> None:
    able, kept = said("kept")
    (given_back,) = said("not kept")
    assert able == "True"
    assert int(kept) < 10
    assert int(given_back) > 100
