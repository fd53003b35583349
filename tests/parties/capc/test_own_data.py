"""Users' own records through a whole run: what is agreed, whose account it is, what is asked, and what is shown."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from pydantic import ValidationError

from mpc.channels.hello import digest_of
from orchestrator.config import configure
from parties.capc import report, summary
from parties.capc.config import CapcConfig
from parties.capc.settings import AnsweringSettings, CapcSettings, GuardianSettings, QueryingSettings
from parties.capc.simulation import simulate, simulation_lines
from parties.frame.charts import Chart, Table
from parties.frame.errors import ConfigError
from parties.frame.plan import Plan, Run, RunFolders
from parties.learning.datasets import load_dataset
from parties.learning.records import AskedRecords, Records
from parties.protocols import PROTOCOLS
from tests.copies import ROOT
from tests.parties.capc import clinics
from tests.parties.capc.runs import QUICK, running
from tests.ports import free_ports

CHOICES = {"models": "logistic-regression", "dp_noise_scale": 0, "batch_size": 16}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    clinics.write(folder)
    return folder


def plan_of(tmp_path: Path, **choices: Any) -> tuple[Plan, Run]:
    run = Run(RunFolders(tmp_path / "files", tmp_path / "logs", "test"), "session-1", 40000)
    return PROTOCOLS["capc"].plan(CapcConfig(**CHOICES | choices), run), run


def settings_of(plan: Plan, kind: type) -> list[Any]:
    return [process.settings for process in plan.processes if isinstance(process.settings, kind)]


def digests(tmp_path: Path, **choices: Any) -> str:
    plan, _ = plan_of(tmp_path, **choices)
    (digest,) = {digest_of(settings.agreed()) for settings in settings_of(plan, CapcSettings)}
    return digest


def test_in_a_run_whoever_only_asks_needs_no_records_and_in_a_campaign_it_does(tmp_path: Path, files: Path) -> None:
    data = clinics.choices(files)
    del data["parties"][0]["records"]
    plan, _ = plan_of(tmp_path, data=data, n_queries=3)
    assert not [note for note in plan.notes if "nobody has a record" in note]
    words = r"expected `records` of data owner 0 \(clinic-a\), which chooses by a model of its own"
    with pytest.raises(ConfigError, match=words):
        plan_of(tmp_path, data=data, n_queries=3, strategy="margin")
    with pytest.raises(ConfigError, match=words):
        simulate(CapcConfig(**CHOICES, data=data, n_queries=3, strategy="margin"))
    with pytest.raises(ConfigError, match=r"expected `records` of data owner 0 \(clinic-a\), which answers"):
        plan_of(tmp_path, data=data, n_queries=3, qp_id="0,1")


# -- the configuration -----------------------------------------------------------------------------------------------


def test_parties_and_classes_follow_from_the_records_or_must_match(files: Path) -> None:
    config = CapcConfig(data=clinics.choices(files))
    assert (config.n_parties, config.num_classes) == (4, 2)
    assert CapcConfig(data=clinics.choices(files), n_parties=4, num_classes=2) == config
    for key, number in (("n_parties", 5), ("num_classes", 10)):
        with pytest.raises(ValidationError, match=f"{key}: expected . which follows|{key}: expected ., which follows"):
            CapcConfig(data=clinics.choices(files), **{key: number})


def test_a_dataset_and_own_records_at_once_are_refused(files: Path) -> None:
    with pytest.raises(ValidationError, match="dataset: expected it or data, found both digits and data"):
        CapcConfig(data=clinics.choices(files), dataset="digits")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no scale": ({"scale": None}, "scale: expected the public constants that take 'mean radius', .* describe"),
    "too few scales": ({"scale": [{"minimum": 0, "maximum": 1}]}, "scale: expected 4 of them"),
    "a scale for nothing": ({"scale": {"age": {"minimum": 0, "maximum": 1}}}, "scale: expected one for each feature"),
    "half a scale": ({"scale": {"minimum": 0}}, "expected minimum and maximum, or mean and deviation, found minimum"),
    "two scales in one": ({"scale": {"minimum": 0, "maximum": 1, "mean": 1}}, "found maximum and mean and minimum"),
    "an empty range": ({"scale": {"minimum": 1, "maximum": 1}}, "a minimum below the maximum, found 1 and 1"),
    "an unknown constant": ({"scale": {"minimum": 0, "max": 1}}, "expected some of minimum, .*, found max"),
    "a word": ({"scale": {"minimum": "low", "maximum": 1}}, "minimum: expected a number, found 'low'"),
    "no deviation": ({"scale": {"mean": 1, "deviation": 0}}, "deviation: expected a number greater than 0, found 0"),
    "a feature twice": ({"features": ["a", "a"]}, "expected every column once, found 'a' twice"),
    "no features": ({"features": []}, "features: expected the columns that the network gets, or `image`"),
    "the label as feature": ({"features": ["diagnosis"]}, "features: expected no label among them"),
    "no classes": ({"classes": []}, "classes: expected the values of the label column"),
    "one class": ({"classes": ["benign"]}, "expected at least 2 of them, found 1"),
    "alike classes": ({"classes": [1, "1"]}, "expected values that differ in a file of text, found 1 and '1'"),
    "labels and classes": ({"labels": ["a", "b"]}, "expected `label` with `classes`, or `labels`, found both"),
    "strange categories": ({"categories": {"age": [1, 2]}}, "categories: expected columns that are among the features"),
    "strange fillings": ({"missing": {"age": 1}}, "missing: expected columns that are among the features"),
    "no records": ({"parties": []}, "expected `records` for all, or `parties`"),
    "one party": ({"parties": [{"records": "a.csv"}]}, "parties: expected at least 2"),
    "a name twice": ({"parties": [{"records": "a.csv", "name": "a"}] * 2}, "parties: expected every name once"),
    "a number's name": ({"parties": [{"records": "a.csv", "name": "party-1"}] * 2}, "`party-` at its start"),
    "everybody's test": ({"held_out": "a.csv"}, "held_out and unlabelled under each of the parties"),
    "images and features": ({"image": {"size": [8, 8]}}, "features: expected none with images"),
    "a loader and features": ({"loader": "a.b:c"}, "features: expected none with a loader"),
    "options alone": ({"options": {"a": 1}}, "options: expected only with a loader"),
}


@pytest.mark.parametrize("name", WRONG)
def test_records_that_make_no_sense_are_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    changes, words = WRONG[name]
    data = clinics.choices(Path()) | changes
    file = tmp_path / "federation.yaml"
    file.write_text(yaml.safe_dump({"capc": {"data": json.loads(json.dumps(data, default=str))}}))
    with pytest.raises(ConfigError, match=words) as refused:
        configure(["--config", str(file)], PROTOCOLS)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"featurs": ["a"]}, r"data\.featurs: unknown key in .*, did you mean 'features'\?"),
        ({"parties": [{"record": "a.csv"}]}, r"data\.parties\.0\.record: unknown key .* did you mean 'records'"),
        ({"image": {"size": [8]}}, r"data\.image\.size\.1: expected a value, found nothing"),
        ({"image": {"size": [8, 8], "color": "grey"}}, r"data\.image\.color: unknown key .* did you mean 'colour'"),
        ({"features": "a"}, r"data\.features: expected a list, found 'a'"),
        ({"classes": [1.5, 2]}, r"data\.classes\.0: expected text, a whole number, or true or false, found 1\.5"),
        ({"missing": "fill"}, r"data\.missing: expected refuse, or columns and what stands in .* found 'fill'"),
        ({"missing": {"a": [1]}}, r"data\.missing: a: expected a number, text, or true or false, found \[1\]"),
        ({"delimiter": "ab"}, r"data\.delimiter: expected at most 1 characters, found 'ab'"),
    ],
)
def test_a_mistake_within_data_is_named_by_its_place(tmp_path: Path, data: dict[str, Any], words: str) -> None:
    file = tmp_path / "federation.yaml"
    file.write_text(yaml.safe_dump({"capc": {"data": data}}))
    with pytest.raises(ConfigError, match=words):
        configure(["--config", str(file)], PROTOCOLS)


def test_paths_are_relative_to_the_file_that_names_them(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = json.loads(json.dumps(clinics.choices(Path()), default=str))
    (files / "federation.yaml").write_text(yaml.safe_dump({"capc": {"data": data}}))
    monkeypatch.chdir("/")
    config = configure(["--config", str(files / "federation.yaml")], PROTOCOLS).settings
    assert isinstance(config, CapcConfig)
    assert config.data is not None
    assert config.data.parties[0].unlabelled == files / "ask.csv"


# -- the plan --------------------------------------------------------------------------------------------------------


def test_each_party_gets_its_own_file_and_the_asker_what_it_asks(tmp_path: Path, files: Path) -> None:
    plan, run = plan_of(tmp_path, data=clinics.choices(files))
    own = [Records.read(run.folders.party(name) / "records.npz") for name in ("client", "server-0", "server-2")]
    assert [len(records) for records in own] == [95, 95, 95]
    biopsies = load_dataset("breast-cancer", None)
    assert len(biopsies.pool) + len(biopsies.test) == 569
    low, high = clinics.BOUNDS["mean area"]
    rows = np.genfromtxt(files / "clinic-0.csv", delimiter=",", skip_header=1, usecols=3)
    np.testing.assert_allclose(own[0].images[:, 0, 0, 2], np.clip((rows - low) / (high - low), 0, 1), atol=1e-7)
    rows = np.genfromtxt(files / "clinic-3.csv", delimiter=",", skip_header=1, usecols=-4)  # in reverse
    np.testing.assert_allclose(own[2].images[:, 0, 0, 2], np.clip((rows - low) / (high - low), 0, 1), atol=1e-7)
    queries = AskedRecords.read(run.folders.party("client") / "queries.npz")
    assert (len(queries), queries.labels) == (47, None)
    assert {settings.n_queries for settings in settings_of(plan, CapcSettings)} == {47}
    found = {path.relative_to(tmp_path / "files" / "test").as_posix() for path in (tmp_path / "files").rglob("*.npz")}
    assert found == {f"{name}/records.npz" for name in ("client", *(f"server-{n}" for n in range(4)))} | {
        "client/queries.npz"
    }


def test_the_number_of_queries_limits_what_is_asked(tmp_path: Path, files: Path) -> None:
    _, run = plan_of(tmp_path, data=clinics.choices(files), n_queries=5, first_query=2)
    five = AskedRecords.read(run.folders.party("client") / "queries.npz")
    _, run = plan_of(tmp_path, data=clinics.choices(files))
    every = AskedRecords.read(run.folders.party("client") / "queries.npz")
    assert np.array_equal(five.images, every.images[2:7])
    with pytest.raises(ConfigError, match="n_queries: expected at most the 47 records to ask about, found 48"):
        plan_of(tmp_path, data=clinics.choices(files), n_queries=48)
    with pytest.raises(ConfigError, match=r"first_query: expected one of the 47 records of data owner 0 \(clinic-a\)"):
        plan_of(tmp_path, data=clinics.choices(files), first_query=47)
    with pytest.raises(
        ConfigError,
        match="expected `unlabelled` or `held_out` of data owner 1, which asks, or a command with `--queries`",
    ):
        plan_of(tmp_path, data=clinics.choices(files), qp_id=1)


def test_every_asker_has_its_own_questions_and_tests(tmp_path: Path, files: Path) -> None:
    data = clinics.choices(files)
    text = (files / "ask.csv").read_text().splitlines(keepends=True)
    (files / "few.csv").write_text("".join(text[:4]))
    data["parties"][2] |= {"unlabelled": files / "few.csv", "held_out": files / "test.csv"}
    plan, run = plan_of(tmp_path, data=data, qp_id=[0, 2], strategy="random", n_queries=20)
    asked = {name: AskedRecords.read(run.folders.party(name) / "unlabelled.npz") for name in ("client-0", "client-2")}
    assert [len(records) for records in asked.values()] == [47, 3]
    assert not (run.folders.party("client-0") / "held_out.npz").exists()
    assert len(Records.read(run.folders.party("client-2") / "held_out.npz")) == 47
    assert [settings.owner_name for settings in settings_of(plan, QueryingSettings)] == ["clinic-a", ""]


def test_what_all_agree_on_is_in_the_digest_and_holds_no_path(tmp_path: Path, files: Path) -> None:
    data = clinics.choices(files)
    usual = digests(tmp_path, data=data)
    moved = data["scale"] | {"mean area": {"minimum": 100, "maximum": 2700}}
    changes = (
        {"features": data["features"][::-1]},
        {"classes": data["classes"][::-1]},
        {"scale": moved},
        {"missing": {"mean area": 500}},
    )
    others = {digests(tmp_path, data=data | change) for change in changes}
    assert len(others - {usual}) == len(changes)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    clinics.write(elsewhere)
    assert digests(tmp_path, data=clinics.choices(elsewhere)) == usual
    plan, _ = plan_of(tmp_path, data=data)
    for settings in settings_of(plan, CapcSettings):
        assert "clinic-1.csv" not in settings.model_dump_json()
        assert settings.data["scale"]["mean area"]["maximum"] == 2600
    assert digests(tmp_path, dataset="digits") != digests(tmp_path, dataset="breast-cancer", num_classes=2)


def test_no_party_is_told_of_a_file_whatever_holds_the_records(tmp_path: Path, files: Path) -> None:
    own = clinics.choices(files)
    shared = {key: value for key, value in own.items() if key != "parties"}
    shared |= {"records": files / "clinic-1.csv", "held_out": files / "test.csv", "unlabelled": files / "ask.csv"}
    own["parties"][0] |= {"held_out": files / "test.csv"}
    for data, more in ((own, {}), (shared, {"n_parties": 3, "strategy": "margin", "n_queries": 4})):
        plan, _ = plan_of(tmp_path, data=data, **more)
        for settings in settings_of(plan, CapcSettings):
            told = settings.model_dump_json() + str(settings.agreed())
            assert not [file.name for file in files.glob("*.csv") if file.name in told]


def test_accounts_and_folders_follow_an_owners_name_and_records(tmp_path: Path, files: Path) -> None:
    data = clinics.choices(files)
    plan, _ = plan_of(tmp_path, data=data, strategy="random", n_queries=3)
    (guardian,) = settings_of(plan, GuardianSettings)
    account = guardian.turns[0].account
    assert account.startswith("clinic-a/")
    assert guardian.turns[0].older_account == account
    (client,) = settings_of(plan, QueryingSettings)
    assert client.campaign is not None
    assert client.campaign.answers.parent.name == "client-clinic-a"
    moved = data | {"parties": [*data["parties"][1:], data["parties"][0]]}
    plan, _ = plan_of(tmp_path, data=moved, strategy="random", n_queries=3, qp_id=4)
    (again,) = settings_of(plan, QueryingSettings)
    assert again.campaign is not None
    assert settings_of(plan, GuardianSettings)[0].turns[0].account == account
    assert again.campaign.answers.parent == client.campaign.answers.parent
    data["parties"][0]["name"] = "clinic-b"
    plan, _ = plan_of(tmp_path, data=data, qp_id=0)
    assert settings_of(plan, GuardianSettings)[0].turns[0].account == account.replace("clinic-a", "clinic-b")
    data["parties"][1]["name"] = "clinic-c"
    (odometer, *_) = [s.odometer for s in settings_of(plan_of(tmp_path, data=data)[0], AnsweringSettings)]
    assert odometer.parent.name == "owner-clinic-c"


def test_one_source_is_split_as_a_dataset_is(tmp_path: Path, files: Path) -> None:
    shared = {key: value for key, value in clinics.choices(files).items() if key != "parties"}
    shared |= {"records": files / "clinic-1.csv", "held_out": files / "test.csv"}
    _, run = plan_of(tmp_path, data=shared, n_parties=3, n_queries=4)
    names = ("client", "server-0", "server-1", "server-2")
    parts = [Records.read(run.folders.party(name) / "records.npz") for name in names]
    assert sum(map(len, parts)) == 95
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    queries = AskedRecords.read(run.folders.party("client") / "queries.npz")
    assert queries.labels is not None
    assert len(queries) == 4
    plan_of(tmp_path, data=shared, n_parties=3, strategy="margin", unlabelled=20, n_queries=4)
    unlabelled = AskedRecords.read(run.folders.party("client") / "unlabelled.npz")
    assert len(unlabelled) == 20
    with pytest.raises(ConfigError, match="n_queries: expected at most the 20 records to ask about, found 21"):
        plan_of(tmp_path, data=shared, n_parties=3, strategy="margin", unlabelled=20, n_queries=21)
    plan_of(tmp_path, data=shared | {"unlabelled": files / "ask.csv"}, n_parties=3, strategy="margin", n_queries=30)
    assert AskedRecords.read(run.folders.party("client") / "unlabelled.npz").labels is None
    with pytest.raises(ConfigError, match="missing_classes: expected 0 where every data owner has its own records"):
        plan_of(tmp_path, data=clinics.choices(files), missing_classes=1)


def test_the_person_who_starts_a_run_is_told_what_to_know_in_counts(tmp_path: Path, files: Path) -> None:
    data = clinics.choices(files, held_out=files / "clinic-1.csv")
    kept = [line for line in (files / "clinic-2.csv").read_text().splitlines() if not line.endswith("malignant")]
    (files / "clinic-2.csv").write_text("\n".join(kept) + "\n")
    data["scale"]["mean area"]["from"] = "private"
    notes = plan_of(tmp_path, data=data)[0].notes
    overlap = "held_out are also among training records, 0 of them among its own"
    assert sum(f"95 of the 95 different records in {overlap}" in note for note in notes) == 1
    assert sum("marked `from: private`" in note for note in notes) == 1
    assert "data owners without a record of some class: clinic-2.csv of 1" in notes
    assert sum(note.startswith("columns that are not among the features are not used: 26 in") for note in notes) == 1
    third = data | {"classes": ["malignant", "benign", "unclear"]}
    assert (
        "class unclear: nobody has a record of it, so that no answer can name it"
        in plan_of(tmp_path, data=third)[0].notes
    )


# -- whole runs ------------------------------------------------------------------------------------------------------


def shown(result: dict[str, Any]) -> str:
    """Everything that a terminal and a report page show of a result."""
    words = summary.summary(result)
    parts = [part for section in report.sections([result]) for part in section.parts]
    titles = [part.title for part in parts] + [
        series.name for part in parts if isinstance(part, Chart) for series in part.series
    ]
    headings = [heading for part in parts if isinstance(part, Table) for heading in part.headings]
    return "\n".join([words.lead, *map(str, words.lines), *map(str, words.headlines), *titles, *headings])


def test_labels_without_truth_are_shown_without_a_verdict(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    truth = clinics.write(folder)
    with running(tmp_path, data=clinics.choices(folder), **CHOICES | {"n_parties": 4}) as run:
        result = run.finish()
        labels = [query["predicted"] for query in result["queries"]]
    assert (result["name"], result["answered"], result["label_accuracy"]) == ("clinic-a", 47, None)
    assert not any("correct" in query or "agree" in query for query in result["queries"])
    assert np.mean([label == own for label, own in zip(labels, truth, strict=True)]) > 0.8
    assert set(labels) == set(clinics.CLASSES)
    words = shown(result)
    assert "('query 0', 'label " in words
    for verdict in ("correct", "agree", "right", "wrong"):
        assert verdict not in words


def test_a_campaign_with_own_records_is_the_campaign_in_the_clear(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    clinics.write(folder)
    choices = CHOICES | {"n_parties": 4, "strategy": "entropy", "n_queries": 12, "preprocessing": "dealer"}
    for held_out in ({}, {"held_out": folder / "test.csv"}):
        data = clinics.choices(folder, **held_out)
        with running(tmp_path, f"run-{len(held_out)}", data=data, **choices) as run:
            result = run.finish()
        (clear,) = simulate(CapcConfig(**QUICK | choices, data=data))
        assert clear.correct is None
        values = [clinics.CLASSES[label] for label in clear.labels]
        assert [query["predicted"] for query in result["queries"]] == values
        assert [query["index"] for query in result["queries"]] == clear.records
        lines = dict(simulation_lines(CapcConfig(**QUICK | choices, data=data), "0"))
        assert ("average" in lines) == bool(held_out)
        assert "correct" not in shown(result)
        if held_out:
            assert clear.before is not None
            assert result["accuracy"]["before"] == clear.before.overall
            assert [row["class"] for row in result["accuracy"]["by_class"]] == clinics.CLASSES
        else:
            assert result["accuracy"] is clear.before is None
            assert "not measured, because there are no held-out records" in shown(result)
        unmeasured = "there are no held-out records, so that no accuracy is measured"
        assert (unmeasured in run.folders.log("client").read_text()) == (not held_out)


def test_several_labels_of_ones_own(tmp_path: Path) -> None:
    traits = load_dataset("digit-traits", None)
    images = (traits.pool.images * 16).astype(np.uint8)
    for owner in range(3):
        part = slice(owner, 900, 3)
        np.savez(tmp_path / f"{owner}.npz", images=images[part], labels=traits.pool.labels[part])
    np.savez(tmp_path / "ask.npz", images=images[900:906], labels=traits.pool.labels[900:906])
    data = {
        "image": {"size": [8, 8]}, "labels": ["loop", "bowl", "even"], "scale": {"minimum": 0, "maximum": 16},
        "parties": [{"records": tmp_path / f"{owner}.npz", "unlabelled": tmp_path / "ask.npz"} for owner in range(3)],
    }  # fmt: skip
    with running(tmp_path, data=data, **CHOICES) as run:
        result = run.finish()
        own = Records.read(run.folders.party("client") / "records.npz")
    np.testing.assert_allclose(own.images, traits.pool.images[0:900:3], atol=1e-7)
    assert result["labels"] == ["loop", "bowl", "even"]
    truth = [
        [name for name, bit in zip(result["labels"], row, strict=True) if bit] for row in traits.pool.labels[900:906]
    ]
    assert [query["correct"] for query in result["queries"]] == truth
    assert result["label_accuracy"] > 0.6


def test_a_folder_of_images_through_the_launcher(tmp_path: Path) -> None:
    """`run_protocol.py` with plain processes, from another folder: images for a class each, and images to ask about."""
    digits = load_dataset("digits", None)
    pixels = (digits.pool.images[:, 0] * 255).astype(np.uint8)
    kept = np.flatnonzero(digits.pool.labels < 2)
    for place, index in enumerate(kept[:60]):
        folder = tmp_path / f"clinic-{place % 3}" / ("zero", "one")[digits.pool.labels[index]]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[index]).save(folder / f"{place}.png")
    (tmp_path / "ask").mkdir()
    asked = kept[60:66]
    for place, index in enumerate(asked):
        Image.fromarray(pixels[index]).save(tmp_path / "ask" / f"{place}.png")
    data = {
        "image": {"size": [8, 8]}, "classes": ["zero", "one"],
        "parties": [{"records": f"clinic-{owner}", "unlabelled": "ask"} for owner in range(3)],
    }  # fmt: skip
    choices = CHOICES | {"data": data, "paillier_bits": 2048}
    (tmp_path / "federation.yaml").write_text(yaml.safe_dump({"protocol": "capc", "capc": choices}))
    command = [
        sys.executable,
        "run_protocol.py",
        "--config",
        str(tmp_path / "federation.yaml"),
        "--launcher",
        "process",
    ]
    command += ["--start_port", str(free_ports(4)), "--files_dir", str(tmp_path / "files")]
    command += ["--logs_dir", str(tmp_path / "logs")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (document,) = (json.loads(path.read_text()) for path in (tmp_path / "files").glob("capc-*/result.json"))
    expected = [("zero", "one")[label] for label in digits.pool.labels[asked]]
    assert [query["predicted"] for query in document["result"]["queries"]] == expected
    assert document["notes"] == []
