"""The VDAF draft's Python reference as a peer of `benchmarks.prio3`. Its folder `poc` is on PYTHONPATH.

It reads one order a line, a case and a number of reports, and answers with microseconds of processor time a report.
"""

from __future__ import annotations

import json
import os
import sys
import time

from vdaf_poc.vdaf_prio3 import Prio3Count, Prio3Histogram, Prio3Sum, Prio3SumVec

CASES = {
    "Count": (Prio3Count(2), 1),
    "Sum 8-bit": (Prio3Sum(2, 255), 100),
    "Histogram 10": (Prio3Histogram(2, 10, 3), 4),
    "Histogram 100": (Prio3Histogram(2, 100, 10), 4),
    "SumVec 1000": (Prio3SumVec(2, 1000, 1, 31), [1] * 1000),
}
CTX, KEY = b"benchmark", bytes(range(32))

for line in sys.stdin:
    order = json.loads(line)
    prio3, measurement = CASES[order["case"]]
    spent = {"shard": 0.0, "leader": 0.0, "helper": 0.0}
    for _ in range(order["reports"]):
        nonce, rand = os.urandom(16), os.urandom(prio3.RAND_SIZE)
        begun = time.process_time()
        public, inputs = prio3.shard(CTX, measurement, nonce, rand)
        spent["shard"] += time.process_time() - begun
        for agg_id, name in enumerate(("leader", "helper")):
            begun = time.process_time()
            prio3.verify_init(KEY, CTX, agg_id, None, nonce, public, inputs[agg_id])
            spent[name] += time.process_time() - begun
    print(json.dumps({name: 1e6 * seconds / order["reports"] for name, seconds in spent.items()}), flush=True)
