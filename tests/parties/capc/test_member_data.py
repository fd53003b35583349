"""What a member of a federation reads of its own: the questions that a command names, and its accounts."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from mpc.dp.accountant import Cost, epsilon
from orchestrator.cli import main
from orchestrator.config import configure
from orchestrator.federation.shared import Shared, read_shared
from parties.capc.settings import CapcSettings
from parties.frame.errors import ConfigError
from parties.frame.plan import Plan, Run, RunFolders
from parties.frame.private_files import make_private_folder
from parties.learning.records import AskedRecords, DataError
from parties.ledger import Ledger
from parties.protocols import PROTOCOLS
from tests.parties.capc import clinics

MEMBERS = ("trustee", "clinic-a", "clinic-b", "clinic-c", "clinic-d", "clinic-e")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file that five clinics and a guardian share."""
    folder = tmp_path / "data"
    folder.mkdir()
    clinics.write(folder)
    data = clinics.choices(folder)
    for files, name in zip(data["parties"], MEMBERS[1:], strict=True):
        files["name"] = name
    return write(tmp_path, {"data": data})


def write(folder: Path, more: dict[str, Any]) -> Path:
    members: list[dict[str, Any]] = [
        {"name": name, "role": "answering", "host": "127.0.0.1", "port": 7100 + place}
        for place, name in enumerate(MEMBERS)
    ]
    members[0]["role"], members[1]["role"] = "guardian", ["answering", "asking"]
    capc = {"n_parties": 4, "n_queries": 3, "models": ["logistic-regression"], "epsilon_budget": 20.0} | more
    document = {"protocol": "capc", "federation": {"name": "clinics", "members": members}, "capc": capc}
    path = folder / "federation.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(document, default=str))))
    return path


def plan_of(folder: Path, shared: Shared, name: str = "clinic-a", role: str = "asking") -> tuple[Plan, RunFolders]:
    folders = RunFolders(folder / name, folder / name, "run")
    return (
        shared.protocol.member(
            shared.configuration.settings, shared.federation, name, role, Run(folders, session="0" * 32, start_port=0)
        ),
        folders,
    )


def asked(folder: Path, file: Path, *flags: str) -> tuple[AskedRecords, Plan]:
    plan, folders = plan_of(folder, read_shared(file, PROTOCOLS, flags))
    return AskedRecords.read(folders.party("clinic-a") / "queries.npz"), plan


# -- questions that the command names ---------------------------------------------------------------------------------


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="") as rows:
        return list(csv.reader(rows))


def test_the_questions_of_a_command_pass_the_same_door_in_every_format(tmp_path: Path, file: Path) -> None:
    header, *rows = rows_of(tmp_path / "data" / "ask.csv")
    chosen, by_column = rows[5:8], dict(zip(header, zip(*rows[5:8], strict=True), strict=True))
    with (tmp_path / "q.csv").open("w", newline="") as text:
        csv.writer(text).writerows([header, *chosen])
    np.savez(tmp_path / "q.npz", **{name: np.array(column, float) for name, column in by_column.items()})  # type: ignore[arg-type]
    pq = pytest.importorskip("pyarrow.parquet")
    pa = pytest.importorskip("pyarrow")
    pq.write_table(
        pa.table({name: [*map(float, column)] for name, column in by_column.items()}), tmp_path / "q.parquet"
    )
    expected, _ = asked(tmp_path, file, "--first_query", "5")
    assert len(expected) == 3
    for name in ("q.csv", "q.npz", "q.parquet"):
        found, plan = asked(tmp_path, file, "--queries", str(tmp_path / name))
        assert np.array_equal(found.images, expected.images), name
        assert found.labels is None
        assert not [note for note in plan.notes if "asked about" in note]


def test_a_truth_that_comes_along_is_taken_and_fewer_questions_than_agreed_are_all_asked(
    tmp_path: Path, file: Path
) -> None:
    header, *rows = rows_of(tmp_path / "data" / "test.csv")
    with (tmp_path / "q.csv").open("w", newline="") as text:
        csv.writer(text).writerows([header, *rows[:2]])
    found, _ = asked(tmp_path, file, "--queries", str(tmp_path / "q.csv"))
    assert found.labels is not None
    assert found.labels.tolist() == [clinics.CLASSES.index(row[-1]) for row in rows[:2]]


def test_more_questions_than_agreed_are_said_in_numbers(tmp_path: Path, file: Path) -> None:
    found, plan = asked(tmp_path, file, "--queries", str(tmp_path / "data" / "ask.csv"), "--first_query", "2")
    assert len(found) == 3
    assert plan.notes[-1] == "records 3 to 5 of 47 are asked about, by first_query 2 and n_queries 3"


def test_questions_that_do_not_fit_are_refused(tmp_path: Path, file: Path) -> None:
    (tmp_path / "q.csv").write_text("mean radius\n12.5\n")
    with pytest.raises(DataError, match=r"q.csv.*mean texture"):
        asked(tmp_path, file, "--queries", str(tmp_path / "q.csv"))
    with pytest.raises(ConfigError, match=r"queries: expected own records .`data`. to prepare them as, found dataset"):
        asked(tmp_path, write(tmp_path, {}), "--queries", str(tmp_path / "q.csv"))


def test_the_flags_of_a_command_have_the_names_that_a_person_tries(file: Path) -> None:
    flags = ["--out", "labels.csv", "--model-out", "better.onnx", "--n-queries=2", "--strategy", "margin"]
    config: Any = configure(["--config", str(file), *flags], PROTOCOLS).settings
    assert (str(config.labels_out), str(config.model_out), config.n_queries) == ("labels.csv", "better.onnx", 2)
    chosen = configure(["model", "check", "net.onnx", "--input", "4", "--trust-pickle"], PROTOCOLS).chosen
    assert chosen is not None
    assert chosen.options.file == Path("net.onnx")  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match=r"^--model-uot: unknown flag, did you mean '--model_out'\?$"):
        configure(["--model-uot", "x"], PROTOCOLS)


# -- a member that only asks -----------------------------------------------------------------------------------------


def with_institute(file: Path, entry: dict[str, Any], **changes: Any) -> Path:
    """The same federation with an institute that asks and answers nobody, and this entry of it under `data:`."""
    document = yaml.safe_load(file.read_text())
    members, capc = document["federation"]["members"], document["capc"]
    members[1]["role"] = "answering"
    members.append({"name": "institute", "role": "asking"})
    capc |= {"n_parties": 5} | changes
    capc["data"]["parties"] = [*capc["data"]["parties"], {"name": "institute"} | entry]
    path = file.with_name("institute.yaml")
    path.write_text(yaml.safe_dump(json.loads(json.dumps(document, default=str))))
    return path


def institutes(folder: Path, file: Path, *flags: str) -> tuple[Plan, RunFolders]:
    return plan_of(folder, read_shared(file, PROTOCOLS, flags), "institute")


def test_a_member_that_only_asks_needs_no_records(tmp_path: Path, file: Path) -> None:
    path = with_institute(file, {"unlabelled": tmp_path / "data" / "ask.csv"})
    plan, folders = institutes(tmp_path, path)
    assert len(AskedRecords.read(folders.party("institute") / "queries.npz")) == 3
    assert not [note for note in plan.notes if "class" in note or "needed" in note or "training" in note]
    assert agreed(tmp_path, path, "institute", "asking") == agreed(tmp_path, path, "clinic-b", "answering")
    assert agreed(tmp_path, path, "institute", "asking") == agreed(tmp_path, path, "trustee", "guardian")
    run = Run(RunFolders(tmp_path / "files", tmp_path / "logs", "run"), "0" * 32, 7100)
    shared = read_shared(path, PROTOCOLS)
    whole = shared.protocol.plan(shared.configuration.settings, replace(run, federation=shared.federation))
    assert "institute" in [process.name for process in whole.processes]
    assert not [note for note in whole.notes if "needed" in note or "nobody has a record" in note]


def test_its_questions_may_come_with_the_command_alone(tmp_path: Path, file: Path) -> None:
    path = with_institute(file, {})
    with pytest.raises(DataError, match=r"of institute, or where it only asks `unlabelled`, `held_out` or .*`--que"):
        institutes(tmp_path, path)
    institutes(tmp_path, path, "--queries", str(tmp_path / "data" / "ask.csv"))


def test_a_check_needs_no_questions_of_a_member_that_only_asks(tmp_path: Path, file: Path) -> None:
    """It says of itself what a member with questions says, and an owner that answers or chooses needs its records."""
    path = with_institute(file, {})
    shared, folders = read_shared(path, PROTOCOLS), RunFolders(tmp_path / "check", tmp_path / "check", "run")
    reach = shared.protocol.reach(shared.configuration.settings, shared.federation, "institute", folders)
    assert [peer.name for peer, _ in reach.peers] == [*MEMBERS]
    asking = with_institute(file, {"unlabelled": tmp_path / "data" / "ask.csv"})
    assert reach.agreed == agreed(tmp_path, asking, "institute", "asking")
    shared = read_shared(with_institute(file, {}, strategy="margin"), PROTOCOLS)
    with pytest.raises(
        ConfigError, match=r"expected `records` of data owner 5 \(institute\), which chooses by a model"
    ):
        shared.protocol.reach(shared.configuration.settings, shared.federation, "institute", folders)


def test_records_that_nobody_needs_are_said_to_be_so(tmp_path: Path, file: Path) -> None:
    data = tmp_path / "data"
    path = with_institute(file, {"unlabelled": data / "ask.csv", "records": data / "test.csv"})
    said = (
        "institute only asks, about given records: its `records` are not needed, and no model is trained on them; "
        "without them the ledger of a run on one machine begins other accounts"
    )
    assert said in institutes(tmp_path, path)[0].notes
    assert said not in plan_of(tmp_path, read_shared(path, PROTOCOLS), "clinic-b", "answering")[0].notes
    run = Run(RunFolders(tmp_path / "files", tmp_path / "logs", "run"), "0" * 32, 7100)
    shared = read_shared(path, PROTOCOLS)
    assert said in shared.protocol.plan(
        shared.configuration.settings, replace(run, federation=shared.federation)
    ).notes  # fmt: skip


def test_whoever_trains_a_model_needs_records(tmp_path: Path, file: Path) -> None:
    path = with_institute(file, {"unlabelled": tmp_path / "data" / "ask.csv"}, strategy="margin")
    words = r"expected `records` of data owner 5 \(institute\), which chooses by a model of its own what it asks about"
    for name, role in (("institute", "asking"), ("clinic-b", "answering"), ("trustee", "guardian")):
        with pytest.raises(ConfigError, match=words):
            plan_of(tmp_path, read_shared(path, PROTOCOLS), name, role)
    document = yaml.safe_load(path.read_text())
    del document["capc"]["strategy"], document["capc"]["data"]["parties"][2]["records"]
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(
        ConfigError, match=r"expected `records` of data owner 2 \(clinic-c\), which answers, found none"
    ):
        institutes(tmp_path, path)


# -- accounts ---------------------------------------------------------------------------------------------------------

COST = Cost("answer", "4", 2, 1)


def charge(path: Path, account: str, times: int) -> float:
    """Charge an account and return the epsilon that is spent then, computed from the costs alone."""
    make_private_folder(path.parent)
    Ledger(path, lambda costs: epsilon(costs, 1e-5), None).charge(account, "s", [COST], times)
    return epsilon([COST.times(times)], 1e-5)


def test_the_budget_of_a_members_folder_is_in_its_own_ledgers(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_private_folder(tmp_path / "trustee")
    spent = charge(folder / "durable" / "trustee" / "ledger.jsonl", "clinics/clinic-a", 3)
    flags = ["--config", str(file), "--name", "trustee", "--dir", str(folder)]
    assert main(PROTOCOLS, ["budget", *flags]) == 0
    printed = capsys.readouterr().out
    assert f"clinics/clinic-a: epsilon {spent:.3g} at delta 1e-05 spent, {20 - spent:.3g} of 20 left" in printed
    assert "for 3 answers" in printed
    assert main(PROTOCOLS, ["budget", "--dir", str(folder), "--json"]) == 0  # the folder knows the file
    lines = json.loads(capsys.readouterr().out)["lines"]
    assert lines["ledger"] == str(folder / "durable" / "trustee" / "ledger.jsonl")

    other = make_private_folder(tmp_path / "clinic-b")
    lost = charge(other / "durable" / "owner-clinic-b" / "odometer.jsonl", "clinics/clinic-b", 2)
    assert main(PROTOCOLS, ["budget", "--config", str(file), "--name", "clinic-b", "--dir", str(other)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"records of clinics/clinic-b: epsilon {lost:.3g} at delta 1e-05 lost to all who asked")
    assert "ledger" not in printed  # it keeps none


def test_a_member_that_is_none_has_no_budget(tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(PROTOCOLS, ["budget", "--config", str(file), "--name", "clinic-z", "--dir", str(tmp_path / "z")]) == 2
    assert "name: expected one of trustee, clinic-a" in capsys.readouterr().err
    assert main(PROTOCOLS, ["budget", "--dir", str(tmp_path / "z")]) == 2
    assert "expected the file that all members share" in capsys.readouterr().err


# -- a loader ---------------------------------------------------------------------------------------------------------

LOADER = """
import numpy as np

def load(source, options):
    values = np.loadtxt(source, ndmin=2)
    return {"inputs": values[:, :-1], "labels": values[:, -1]}
"""


def loaded(tmp_path: Path, **stated: Any) -> Path:
    """A federation whose members read their records by a loader, for what the shared file states of it."""
    folder = tmp_path / "own"
    folder.mkdir(exist_ok=True)
    (folder / f"loader_of_{tmp_path.name}.py").write_text(LOADER)
    generator = np.random.default_rng(1)
    for name in MEMBERS[1:]:
        rows = np.column_stack([generator.random((12, 3)), np.arange(12) % 2])
        np.savetxt(folder / f"{name}.txt", rows)
    data = {
        "classes": [0, 1], "loader": f"loader_of_{tmp_path.name}:load", "path": folder,
        "parties": [
            {"name": name, "records": folder / f"{name}.txt", "unlabelled": folder / f"{name}.txt"}
            for name in MEMBERS[1:]
        ],
    }  # fmt: skip
    return write(tmp_path, {"data": data | stated, "num_classes": 2})


def digest(tmp_path: Path) -> str:
    return hashlib.sha256((tmp_path / "own" / f"loader_of_{tmp_path.name}.py").read_bytes()).hexdigest()


def agreed(tmp_path: Path, file: Path, name: str, role: str) -> dict[str, str]:
    settings = plan_of(tmp_path, read_shared(file, PROTOCOLS), name, role)[0].processes[0].settings
    assert isinstance(settings, CapcSettings)
    return settings.agreed()


def test_a_guardian_agrees_with_members_whose_records_a_loader_reads(tmp_path: Path) -> None:
    loaded(tmp_path)
    file = loaded(tmp_path, shape=[3], loader_digest=digest(tmp_path))
    guardians = agreed(tmp_path, file, "trustee", "guardian")
    assert guardians == agreed(tmp_path, file, "clinic-b", "answering") == agreed(tmp_path, file, "clinic-a", "asking")
    assert guardians["data.loader_digest"] == digest(tmp_path)
    assert json.loads(guardians["input_shape"]) == [1, 1, 3]


def test_a_loader_is_refused_where_the_file_does_not_state_what_it_gives(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^shape: expected the shape of a record that the loader gives"):
        agreed(tmp_path, loaded(tmp_path), "trustee", "guardian")
    with pytest.raises(ConfigError, match=rf"^loader_digest: .* This member's is {digest(tmp_path)}\.$"):
        agreed(tmp_path, loaded(tmp_path, shape=[3]), "clinic-b", "answering")


def test_records_of_another_shape_or_by_another_loader_are_refused_with_both(tmp_path: Path) -> None:
    loaded(tmp_path)
    file = loaded(tmp_path, shape=[4], loader_digest=digest(tmp_path))
    with pytest.raises(DataError, match=r"clinic-b.txt: expected records of the stated shape \[4\] .* found \[3\]"):
        agreed(tmp_path, file, "clinic-b", "answering")
    file = loaded(tmp_path, shape=[1, 1, 3], loader_digest="0" * 64)
    with pytest.raises(DataError, match=f"expected the file with SHA-256 {'0' * 64}, found {digest(tmp_path)}"):
        agreed(tmp_path, file, "clinic-b", "answering")
    with pytest.raises(ConfigError, match=r"shape: expected \[values\] or \[channels, height, width\]"):
        read_shared(loaded(tmp_path, shape=[1, 3]), PROTOCOLS)
