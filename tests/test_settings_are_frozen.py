"""Every class of choices or settings refuses unknown names and cannot be changed once it was checked."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.copies import ROOT

# In a process of its own, because other tests look at which modules are imported. One program runs by itself.
LISTING = """
import importlib, json, pkgutil
from pydantic import BaseModel
import orchestrator, parties

for package in (orchestrator, parties):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if module.name != "orchestrator.teardown":
            importlib.import_module(module.name)
kinds, found = set(), [*BaseModel.__subclasses__()]
while found:
    kind = found.pop()
    found += kind.__subclasses__()
    kinds.add(kind)
print(json.dumps({
    kind.__qualname__: [kind.model_config.get("frozen"), kind.model_config.get("extra")]
    for kind in kinds
    if kind.__module__.startswith(("orchestrator.", "parties.")) and not kinds & {*kind.__subclasses__()}
}))
"""


def test_settings_are_frozen_and_refuse_what_they_do_not_know() -> None:
    """All but parts that only their whole is made of."""
    done = subprocess.run([sys.executable, "-c", LISTING], cwd=ROOT, capture_output=True, text=True, check=True)
    kinds = json.loads(done.stdout)
    assert {"RunOptions"} <= {*kinds}
    assert {name: found for name, found in kinds.items() if found != [True, "forbid"]} == {}
