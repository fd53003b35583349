"""Every class of choices or settings refuses unknown names and cannot be changed once it was checked."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

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
    kind.__qualname__: [
        kind.model_config.get("frozen"), kind.model_config.get("extra"), kind.model_config.get("allow_inf_nan"),
        [name for name in kind.model_fields if name.endswith("_s")],
    ]
    for kind in kinds
    if kind.__module__.startswith(("orchestrator.", "parties.")) and not kinds & {*kind.__subclasses__()}
}))
"""


@pytest.fixture(scope="module")
def kinds() -> dict[str, list[Any]]:
    """Of every class: whether it is frozen, what it does with unknown names and infinity, and its times."""
    done = subprocess.run([sys.executable, "-c", LISTING], cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, list[Any]] = json.loads(done.stdout)
    return found


def test_settings_are_frozen_and_refuse_what_they_do_not_know(kinds: dict[str, list[Any]]) -> None:
    """All but parts that only their whole is made of."""
    assert {"RunOptions"} <= {*kinds}
    assert {name: found for name, found in kinds.items() if found[:2] != [True, "forbid"]} == {}


def test_no_deadline_that_a_person_chooses_is_infinite(kinds: dict[str, list[Any]]) -> None:
    """What a party is told may be, such as the deadline of a service, which serves until it is told to end."""
    chosen = {name: found for name, found in kinds.items() if found[3] and name.endswith(("Config", "Options"))}
    assert {"RunOptions"} <= {*chosen}
    assert {name: found for name, found in chosen.items() if found[2] is not False} == {}


VALUES = """
import dataclasses, importlib, inspect, json, pkgutil
import msgspec
import mpc, orchestrator, parties

found = {}
for package in (mpc, orchestrator, parties):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if module.name in ("orchestrator.teardown", "orchestrator.launchers.ray_party"):
            continue  # programs, and what needs a package that is optional
        for name, kind in vars(importlib.import_module(module.name)).items():
            if inspect.isclass(kind) and kind.__module__ == module.name and not kind.__name__.startswith("_"):
                if dataclasses.is_dataclass(kind):
                    parameters = kind.__dataclass_params__
                    found[f"{module.name}.{name}"] = parameters.frozen, parameters.repr
                elif issubclass(kind, msgspec.Struct):
                    found[f"{module.name}.{name}"] = kind.__struct_config__.frozen, True
print(json.dumps(found))
"""
CHANGING = {  # what is no value: it counts, follows or is filled
    "mpc.capc.budget.GuardiansAccount", "mpc.capc.protocol.CapcRun", "mpc.capc.protocol.PartyRun",
    "mpc.channels.frames.Traffic", "mpc.inference.models.quantiser.RealWeights",
    "mpc.tensors.backends.authenticated.check.Pending", "mpc.tensors.backends.clear.Board",
    "mpc.tensors.backends.interface.Cost", "mpc.tensors.backends.replicated_mac.gates.Pending",
    "mpc.tensors.backends.seeds.Seeds", "mpc.tensors.metering.Spent", "mpc.tensors.simulation.PartyRun",
    "orchestrator.accounts.Line", "orchestrator.events.EventFile", "orchestrator.events.PartyState",
    "orchestrator.federation.service.Service", "orchestrator.federation.signs.Signs",
    "orchestrator.grid.table.SweepTable", "orchestrator.page.report_page.Page", "orchestrator.scene.Scene",
    "orchestrator.watch.Watch", "parties.capc.client.AnsweringPeer", "parties.capc.client.Asked",
    "parties.capc.client.Session", "parties.capc.odometer.Odometer", "parties.capc.openings.PartyOpenings",
    "parties.frame.journal.FoldedJournal", "parties.learning.own.cells.Counts", "parties.tensors.serving.client.Client",
    "parties.tensors.serving.meeting.Meeting", "parties.tensors.serving.tally.Tally",
}  # fmt: skip


SECRET = {  # their `repr` shows shapes at most
    "mpc.capc.protocol.PartyRun", "mpc.commons.prio.shares.Messages", "mpc.commons.prio.shares.OutShare",
    "mpc.commons.prio.shares.OutShares", "mpc.commons.prio.shares.Reports", "mpc.commons.prio.shares.VerifyState",
    "mpc.commons.prio.shares.VerifyStates", "mpc.encrypted.ciphertexts.Encrypted", "mpc.encrypted.ranges.Foreseen",
    "mpc.encrypted.threshold.agreement.Contribution", "mpc.encrypted.threshold.simulation.JointRun",
    "mpc.encrypted.twin.Clear", "mpc.inference.models.convert_torch_calls.Call",
    "mpc.inference.models.fixed.layer.FixedWeights", "mpc.inference.models.floats.weighted.BatchNorm",
    "mpc.inference.models.floats.weighted.Conv2d", "mpc.inference.models.floats.weighted.Linear",
    "mpc.inference.models.floats.weighted.WeightedLayer", "mpc.inference.models.pending.Pending",
    "mpc.inference.models.quantiser.Quantised", "mpc.inference.models.quantiser.RealWeights",
    "mpc.inference.models.scales.Scales", "mpc.inference.network.Network", "mpc.randomness.RoleRandomness",
    "mpc.tensors.autograd.Node", "mpc.tensors.backends.authenticated.check.Pending",
    "mpc.tensors.backends.authenticated.values.Dealt", "mpc.tensors.backends.authenticated.values.Mask",
    "mpc.tensors.backends.clear.Board", "mpc.tensors.backends.clear.Clear", "mpc.tensors.backends.handles.Mask",
    "mpc.tensors.backends.handles.Origin", "mpc.tensors.backends.handles.Top",
    "mpc.tensors.backends.replicated.masked.Masked", "mpc.tensors.backends.replicated.trio.Replica",
    "mpc.tensors.backends.replicated_mac.carries.Half", "mpc.tensors.backends.replicated_mac.carries.Sum",
    "mpc.tensors.backends.replicated_mac.gates.Claim", "mpc.tensors.backends.replicated_mac.gates.MatrixGate",
    "mpc.tensors.backends.replicated_mac.gates.Pending", "mpc.tensors.backends.replicated_mac.guarded.Part",
    "mpc.tensors.backends.replicated_mac.guarded.Shares", "mpc.tensors.backends.replicated_mac.pieces.Piece",
    "mpc.tensors.backends.seeds.Seeds", "mpc.tensors.backends.two_party.oblivious.Chosen",
    "mpc.tensors.backends.two_party.oblivious.Sent", "mpc.tensors.backends.two_party.values.Bit",
    "mpc.tensors.delivery.Piece", "mpc.tensors.delivery.Question", "mpc.tensors.fingerprints.Ticket",
    "mpc.tensors.network.Part", "mpc.tensors.normalising.Normalised", "mpc.tensors.raw.Raw",
    "mpc.tensors.simulation.PartyRun",
    "parties.commons.measured.Measured",
    "parties.encrypted.container.Container", "parties.encrypted.features.Features",
    "parties.encrypted.keys.PrivateKey", "parties.encrypted.model.LinearModel",
    "parties.encrypted.preparation.Preparation", "parties.encrypted.records.LabelledTable",
    "parties.learning.model_files.extractor.Extractor", "parties.learning.records.Records",
    "parties.tensors.serving.desk.Ending", "parties.tensors.serving.desk.Request",
    "parties.tensors.serving.lane.Answers", "parties.tensors.serving.share.ModelShare",
}  # fmt: skip


def test_values_cannot_be_changed_and_secrets_are_not_printed() -> None:
    """Whoever adds a class that changes, or one that holds secrets, says so here."""
    done = subprocess.run([sys.executable, "-c", VALUES], cwd=ROOT, capture_output=True, text=True, check=True)
    kinds = json.loads(done.stdout)
    assert "mpc.channels.frames.Traffic" in kinds
    assert {name for name, (frozen, _) in kinds.items() if not frozen} == CHANGING & kinds.keys()
    assert {name for name, (_, printed) in kinds.items() if not printed} == SECRET & kinds.keys()
