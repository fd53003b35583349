"""Users' own models through a whole run: models made by other libraries, and what comes out for their owner."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from parties.capc.config import CapcConfig
from parties.capc.labels_out import write_labels
from parties.capc.results import Query
from parties.capc.settings import AnsweringSettings, QueryingSettings
from parties.capc.simulation import simulate
from parties.frame.errors import ConfigError
from parties.frame.plan import Plan, Run, RunFolders
from parties.learning.training import OWN_MODEL
from parties.protocols import PROTOCOLS
from tests.copies import ROOT
from tests.parties.capc import clinics
from tests.parties.capc.runs import running

# What the clinics do before they know this project: they train with their own tools on their own files.
OUTSIDE = """
import csv, sys
import numpy as np, skops.io, torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

BOUNDS = {bounds!r}

def read(path):
    rows = list(csv.DictReader(open(path)))
    low, high = np.array(list(BOUNDS.values()), float).T
    values = np.array([[float(row[name]) for name in BOUNDS] for row in rows])
    return np.clip((values - low) / (high - low), 0, 1), np.array([row["diagnosis"] for row in rows])

def net(path, outputs):
    values, labels = read(path)
    x, y = torch.tensor(values, dtype=torch.float32), torch.tensor((labels == "benign").astype(int))
    module = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, outputs))
    optimiser = torch.optim.Adam(module.parameters(), 0.03)
    for _ in range(150):
        z = module(x)
        binary = torch.nn.functional.binary_cross_entropy_with_logits
        loss = torch.nn.functional.cross_entropy(z, y) if outputs > 1 else binary(z[:, 0], y.float())
        optimiser.zero_grad(); loss.backward(); optimiser.step()
    return torch.nn.Sequential(*module, torch.nn.Softmax(dim=1) if outputs > 1 else torch.nn.Sigmoid()).eval()

torch.manual_seed(0); torch.set_num_threads(1)
sizes = {{"dynamo": True, "verbose": False, "dynamic_shapes": ({{0: torch.export.Dim("batch")}},)}}
torch.onnx.export(net("clinic-0.csv", 1), (torch.rand(2, 4),), "net.onnx", **sizes)
skops.io.dump(make_pipeline(StandardScaler(), LogisticRegression()).fit(*read("clinic-1.csv")), "clf.skops")
torch.save(net("clinic-2.csv", 2).state_dict(), "net.pt")
"""
NETS = """
from torch import nn

def make_net():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2), nn.Softmax(dim=1))
"""


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five clinics' files, three of which have trained a model of their own with other tools."""
    for needed in ("torch", "onnxscript", "skops"):
        pytest.importorskip(needed)
    folder = tmp_path_factory.mktemp("federation")
    clinics.write(folder)
    with (folder / "ask.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    with (folder / "ask.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["case", *rows[0]], *([f"case {n}", *row] for n, row in enumerate(rows[1:]))])
    (folder / "ournets.py").write_text(NETS)
    script = OUTSIDE.format(bounds=clinics.BOUNDS)
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=True, capture_output=True)
    return folder


def choices(folder: Path, **changes: Any) -> dict[str, Any]:
    data = clinics.choices(folder, held_out=folder / "test.csv", model={"file": folder / "net.onnx"}) | {"id": "case"}
    data["parties"][1]["model"] = {"file": folder / "clf.skops"}
    data["parties"][2]["model"] = {"file": folder / "net.pt", "factory": "ournets:make_net", "path": folder}
    data["parties"][3]["model"] = "linear-svm"
    return {
        "data": data, "models": "logistic-regression", "strategy": "margin", "n_queries": 12, "batch_size": 6,
        "weight_decay": 0.01, "dp_noise_scale": 0.3,
    } | changes  # fmt: skip


def plan_of(tmp_path: Path, folder: Path, **changes: Any) -> Plan:
    run = Run(RunFolders(tmp_path / "files", tmp_path / "logs", "test"), "session-1", 40000)
    return PROTOCOLS["capc"].plan(CapcConfig(**choices(folder, **changes)), run)


@pytest.mark.slow
def test_labels_and_a_better_model_come_out_of_models_that_other_tools_made(federation: Path, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    out = {"labels_out": tmp_path / "labels.csv", "model_out": tmp_path / "improved.onnx"}
    with running(tmp_path, "own-models", **choices(federation, n_parties=4, **out)) as run:
        result = run.finish()
        told = {name: run.folders.cache(name) / OWN_MODEL for name in run.processes if name != "privacy-guardian"}
        logs = "".join(run.folders.log(name).read_text() for name in run.processes)
    assert result["model"] == "of its own (ONNX)"
    # The labels, by the names of classes and of cases, for their owner alone.
    with out["labels_out"].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [out[key].stat().st_mode & 0o777 for key in out] == [0o600, 0o600]
    assert [(int(row["row"]) - 1, row["label"]) for row in rows] == [
        (query["index"], query["predicted"]) for query in result["queries"]
    ]
    assert all(row["id"] == f"case {int(row['row']) - 1}" for row in rows)
    assert len(rows) == 12
    # The model, in the hands of another library.
    session = runtime.InferenceSession(str(out["model_out"]), providers=["CPUExecutionProvider"])
    properties = session.get_modelmeta().custom_metadata_map
    assert json.loads(properties["classes"]) == clinics.CLASSES
    values, truth = read_rows(federation / "test.csv")
    (logits,) = session.run(None, {"records": values.astype(np.float32)})
    right = (np.array(clinics.CLASSES)[logits.argmax(1)] == truth).mean()
    assert right == pytest.approx(result["accuracy"]["after"], abs=1e-9)
    # What a party learns of its own model stays with it.
    assert [name for name, path in told.items() if path.exists()] == ["client", "server-0", "server-1"]
    assert all("decisions about own records" in told[name].read_text() for name in ("client", "server-0", "server-1"))
    assert "decisions" not in logs
    assert "net.onnx" not in logs


def read_rows(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    low, high = np.array(list(clinics.BOUNDS.values()), float).T
    values = np.array([[float(row[name]) for name in clinics.BOUNDS] for row in rows])
    return np.clip((values - low) / (high - low), 0, 1), np.array([row["diagnosis"] for row in rows])


def test_each_party_gets_its_own_model_and_no_other(federation: Path, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, federation)
    files = {process.name: getattr(process.settings, "training", None) for process in plan.processes}
    named = {name: one.source.file.name if one.source else one.architecture for name, one in files.items() if one}
    assert named == {
        "server-0": "clf.skops", "server-1": "net.pt", "server-2": "linear-svm", "server-3": "logistic-regression",
    }  # fmt: skip
    (asking,) = [process.settings for process in plan.processes if isinstance(process.settings, QueryingSettings)]
    assert asking.campaign is not None
    assert asking.campaign.training.source is not None
    assert asking.campaign.training.source.class_names == tuple(clinics.CLASSES)
    text = {process.name: process.settings.model_dump_json() for process in plan.processes}
    assert [name for name, settings in text.items() if "net.onnx" in settings] == ["client"]


def test_a_campaign_makes_the_model_that_was_brought_better(tmp_path: Path) -> None:
    """The model of a clinic with six biopsies goes on from its weights with labels of four others, in the clear."""
    skops = pytest.importorskip("skops.io")
    from sklearn.linear_model import LogisticRegression

    clinics.write(tmp_path)
    with (tmp_path / "clinic-0.csv").open(newline="") as file:
        head, *rows = list(csv.reader(file))
    kinds = [[row for row in rows if row[-1] == kind] for kind in clinics.CLASSES]
    with (tmp_path / "few.csv").open("w", newline="") as file:
        csv.writer(file).writerows([head, *kinds[0][:2], *kinds[1][:4]])
    values, labels = read_rows(tmp_path / "few.csv")
    skops.dump(LogisticRegression().fit(values, labels), tmp_path / "few.skops")
    data = clinics.choices(tmp_path, held_out=tmp_path / "test.csv", model={"file": tmp_path / "few.skops"})
    data["parties"][0]["records"] = tmp_path / "few.csv"
    config = CapcConfig(
        data=data, models="logistic-regression", strategy="margin", n_queries=40, batch_size=40, dp_noise_scale=0,
        epochs=60, weight_decay=0.01,
    )  # fmt: skip
    (campaign,) = simulate(config)
    assert campaign.before is not None
    assert campaign.after is not None
    assert campaign.after.overall > campaign.before.overall + 0.1


def test_models_in_a_list_are_dealt_in_turn(federation: Path, tmp_path: Path) -> None:
    data = clinics.choices(federation)
    plan = plan_of(
        tmp_path, federation, data=data, strategy="given", models=["mlp", {"file": federation / "clf.skops"}]
    )
    dealt = [one.settings.training for one in plan.processes if isinstance(one.settings, AnsweringSettings)]
    assert [one.source is None for one in dealt] == [True, False, True, False]


def test_a_pickle_is_refused_unless_the_configuration_trusts_it(federation: Path, tmp_path: Path) -> None:
    (tmp_path / "clf.pkl").write_bytes(b"")
    data = choices(federation)["data"]
    data["parties"][1]["model"] = {"file": tmp_path / "clf.pkl"}
    with pytest.raises(ConfigError, match="trust_pickle: true"):
        plan_of(tmp_path, federation, data=data)
    plan = plan_of(tmp_path, federation, data=data, trust_pickle=True)
    assert any("can run any code" in note for note in plan.notes)
    assert not any("can run any code" in note for note in plan_of(tmp_path, federation).notes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels_out": "labels.txt"}, "labels_out: expected a name that ends in .csv"),
        ({"model_out": "net.onnx", "strategy": "given"}, "model_out: expected a campaign"),
        ({"labels_out": "labels.csv", "qp_id": (0, 1)}, "labels_out: expected {party} in the name of labels.csv"),
    ],
)
def test_outputs_that_make_no_sense_are_refused(changes: dict[str, Any], words: str, federation: Path) -> None:
    with pytest.raises(ValidationError, match=words):
        CapcConfig(**choices(federation, **changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_out": "net.h5"}, "model_out: expected a name that ends in .onnx or .npz"),
        ({"model_out": "absent/net.npz"}, "model_out: expected a folder .*absent, found none"),
        ({"labels_out": "absent/labels.csv"}, "labels_out: expected a folder .*absent, found none"),
    ],
)
def test_outputs_that_cannot_be_written_are_refused_before_anything_starts(
    changes: dict[str, Any], words: str, federation: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=words):
        plan_of(tmp_path, federation, **changes)


def test_several_askers_write_a_file_each(federation: Path, tmp_path: Path) -> None:
    data = clinics.choices(federation)
    data["parties"][1]["unlabelled"] = federation / "ask.csv"
    plan = plan_of(tmp_path, federation, data=data, qp_id=(0, 1), labels_out=tmp_path / "labels-{party}.csv")
    asking = [one.settings for one in plan.processes if isinstance(one.settings, QueryingSettings)]
    assert [one.labels_out.name for one in asking if one.labels_out] == ["labels-clinic-a.csv", "labels-1.csv"]


def test_several_labels_are_columns_and_an_abstention_is_empty(federation: Path, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, federation)
    (asking,) = [one.settings for one in plan.processes if isinstance(one.settings, QueryingSettings)]
    queries = [Query(4, (1, 0), None, 1.25, None, "run"), Query(0, None, None, None, None, "run")]
    several = asking.model_copy(update={"label_names": ("loop", "even")})
    write_labels(tmp_path / "labels.csv", queries, several, None)
    assert (tmp_path / "labels.csv").read_text() == "row,loop,even,abstained,epsilon\n5,1,0,0,1.25\n1,,,1,\n"
    write_labels(tmp_path / "labels.csv", [Query(1, 1, None, 2.0, None, "run")], asking, ["a", "b, c"])
    assert (tmp_path / "labels.csv").read_text() == 'row,id,label,abstained,epsilon\n2,"b, c",benign,0,2\n'


def test_the_command_says_what_a_model_costs(federation: Path) -> None:
    found = check(federation, "net.onnx", "--json")
    document = json.loads(found.stdout)
    assert document["refusal"] is None
    assert document["relus"] == 8
    assert document["accuracy"]["same_label"] == document["accuracy"]["queries"] == 64
    assert document["bytes"]["ahead"] > document["bytes"]["online"] > 1000


def check(folder: Path, file: str, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "run_protocol.py", "model", "check", str(folder / file), "--input", "4", *more]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
