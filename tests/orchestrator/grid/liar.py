"""A worker that answers with no figures and goes on."""

from __future__ import annotations

import time

print("nonsense", flush=True)
time.sleep(600)
