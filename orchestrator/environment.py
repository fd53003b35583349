"""The environment of a party's process, which holds what it needs and nothing that happens to be set."""

from __future__ import annotations

import os

MARKER = "ORCHESTRATED_RUN"  # in every process of a run, so that the teardown finds all of them
PARTY_MARKER = "ORCHESTRATED_PARTY"  # in every process of one party, its children among them
PANES_MARKER = "ORCHESTRATED_PANES"  # in a run's tmux server and in what waits in its panes
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH")
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def party_environment(run: str, processes: int) -> dict[str, str]:
    """Return the variables that all of `processes` parties have, which share this machine's processors."""
    threads = max(1, (os.cpu_count() or 1) // max(1, processes))
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment.setdefault("PATH", os.defpath)
    environment |= dict.fromkeys(_THREAD_LIMITS, str(threads))
    environment |= {"LANG": "C.UTF-8", MARKER: run}
    return environment


def marker_of(run: str, party: str) -> dict[str, str]:
    """Return the variable that only processes of this party carry."""
    return {PARTY_MARKER: f"{run}/{party}"}
