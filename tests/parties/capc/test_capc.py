"""The configuration refuses what cannot be run, and the plan gives each party its own and nothing else."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from parties.capc.config import CapcConfig
from parties.capc.settings import AnsweringSettings, GuardianSettings, QueryingSettings
from parties.frame.errors import ConfigError
from parties.frame.plan import Plan, Run, RunFolders, write_settings
from parties.learning.datasets import load_dataset
from parties.learning.records import Records
from parties.protocols import PROTOCOLS

CAPC = PROTOCOLS["capc"]
CONFIGS = Path(__file__).parents[3] / "configs"


def plan_of(tmp_path: Path, **choices: Any) -> tuple[Plan, Run]:
    run = Run(RunFolders(tmp_path / "files", tmp_path / "logs", "test"), "session-1", 40000)
    return CAPC.plan(CapcConfig(**choices), run), run


@pytest.mark.parametrize(
    ("written", "exact"),
    [(0.1, Fraction(1, 10)), ("0.1", Fraction(1, 10)), (7, Fraction(7)), (0, Fraction(0)), ("1e-1", Fraction(1, 10))],
)
def test_the_noise_scale_is_exactly_what_was_written(written: object, exact: Fraction) -> None:
    assert CapcConfig(dp_noise_scale=written).sigma == exact


def test_the_noise_scale_follows_the_parties_unless_it_is_given() -> None:
    assert CapcConfig(n_parties=60).sigma == 10
    assert CapcConfig().sigma == Fraction(1, 6)


def test_delta_may_be_a_string_as_yaml_reads_it() -> None:
    assert CapcConfig(delta="1e-5").delta == Decimal("0.00001")


@pytest.mark.parametrize(
    ("choices", "key"),
    [
        ({"n_parties": 0}, "n_parties"),
        ({"n_parties": 1001}, "n_parties"),
        ({"n_partys": 2}, "n_partys"),
        ({"first_query": -1}, "first_query"),
        ({"n_queries": 0}, "n_queries"),
        ({"batch_size": 0}, "batch_size"),
        ({"dp_noise_scale": -1}, "dp_noise_scale"),
        ({"dp_noise_scale": "nan"}, "dp_noise_scale"),
        ({"dp_noise_scale": float("inf")}, "dp_noise_scale"),
        ({"dp_noise_scale": "much"}, "dp_noise_scale"),
        ({"delta": 0}, "delta"),
        ({"delta": 1}, "delta"),
        ({"delta": "1e-321"}, "delta"),
        ({"dp_noise_scale": "1e-150"}, "dp_noise_scale"),
        ({"dp_noise_scale": "1e-88888888"}, "dp_noise_scale"),
        ({"dp_noise_scale": "0.70000000000000000000001"}, "dp_noise_scale"),
        ({"n_parties": 3, "threshold": 2, "threshold_noise_scale": "1e-7"}, "threshold_noise_scale"),
        ({"paillier_bits": 1024}, "paillier_bits"),
        ({"ring_bits": 64}, "ring_bits"),
        ({"aggregation": "shamir"}, "aggregation"),
        ({"dataset": "cifar"}, "dataset"),
        ({"models": []}, "models"),
        ({"seed": -1}, "seed"),
        ({"n_parties": 2, "qp_id": 3}, "qp_id"),
        ({"n_parties": 2, "qp_id": [0, 3]}, "qp_id"),
        ({"n_parties": 2, "qp_id": "0,0"}, "qp_id"),
        ({"n_parties": 2, "qp_id": []}, "qp_id"),
        ({"n_parties": 2, "qp_id": "0,-1"}, "qp_id"),
        ({"n_parties": 2, "qp_id": True}, "qp_id"),
        ({"strategy": "deepest"}, "strategy"),
        ({"colluding": 1, "n_parties": 3}, "colluding"),
        ({"colluding": 3, "n_parties": 3, "noise_by": "parties", "dp_noise_scale": 2}, "colluding"),
        ({"noise_by": "parties", "n_parties": 9, "dp_noise_scale": 1}, "noise_by"),
        ({"noise_by": "parties", "n_parties": 3, "dp_noise_scale": 2, "threshold": 2}, "noise_by"),
        ({"strategy": "random", "n_queries": 11, "unlabelled": 10}, "n_queries"),
        ({"fraction_bits": 12, "ring_bits": 24}, "fraction_bits"),
        ({"learning_rate": float("nan")}, "learning_rate"),
    ],
)
def test_what_cannot_be_run_is_refused_by_its_key(choices: dict[str, Any], key: str) -> None:
    with pytest.raises(ValidationError, match=key):
        CapcConfig(**choices)


def test_the_thresholds_noise_is_the_labels_unless_it_is_given_and_none_without_a_threshold() -> None:
    scales = {"dp_noise_scale": "3", "threshold_noise_scale": "0.1"}
    assert CapcConfig(**scales).threshold_sigma == 0
    assert CapcConfig(**scales, n_parties=5, threshold=2).threshold_sigma == Fraction(1, 10)
    assert CapcConfig(dp_noise_scale="3", n_parties=5, threshold=2).threshold_sigma == 3


def test_every_part_of_the_noise_has_a_scale_of_one_half_or_more() -> None:
    parts = {"noise_by": "parties", "n_parties": 9}
    assert CapcConfig(**parts, dp_noise_scale="1.5").noise_parts == 9  # nine parts of 1/2 each
    with pytest.raises(ValidationError, match=r"noise_by: expected a dp_noise_scale of at least 1\.5, .* found 1\.49"):
        CapcConfig(**parts, dp_noise_scale="1.49")


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"num_classes": 3}, "num_classes is 3, but digits has 10 classes"),
        ({"models": "mlp,resnet"}, "architecture 'resnet' is not known"),
        ({"first_query": 360}, r"test set has images 0\.\.359"),
        ({"dataset": "mnist", "data_dir": "/nowhere"}, "neither t10k-images"),
    ],
)
def test_the_plan_refuses_what_does_not_fit_the_dataset(tmp_path: Path, choices: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        plan_of(tmp_path, **choices)


def test_every_key_says_what_it_is_in_which_unit() -> None:
    for name, field in CapcConfig.model_fields.items():
        assert field.description, name
        assert isinstance(field.json_schema_extra, dict), name
        assert field.json_schema_extra["unit"], name


def test_the_plan_names_processes_ports_and_panes(tmp_path: Path) -> None:
    plan, _ = plan_of(tmp_path, n_parties=3)
    assert [(process.name, process.listens) for process in plan.processes] == [
        ("client", None),
        ("server-0", 40001),
        ("server-1", 40002),
        ("server-2", 40003),
        ("privacy-guardian", 40000),
    ]
    assert plan.reporter == "client"
    assert [len(pane.processes) for pane in plan.panes] == [1, 3, 1]


def test_each_party_gets_its_own_part_of_the_data_and_nobody_elses(tmp_path: Path) -> None:
    _, run = plan_of(tmp_path, n_parties=3, qp_id=1, first_query=5, n_queries=4)
    names = ("client", "server-0", "server-1", "server-2")
    parts = [Records.read(run.folders.party(name) / "records.npz") for name in names]
    digits = load_dataset("digits", None)
    rows = [{image.tobytes() for image in part.images} for part in parts]
    assert sum(len(part) for part in parts) == len(digits.pool)
    together = set.union(*rows)
    assert together == {image.tobytes() for image in digits.pool.images}
    assert sum(len(own) for own in rows) == len(together)  # no image at two parties
    queries = Records.read(run.folders.party("client") / "queries.npz")
    assert np.array_equal(queries.images, digits.test.images[5:9])
    assert not {image.tobytes() for image in queries.images} & together
    found = {path.relative_to(tmp_path / "files" / "test").as_posix() for path in tmp_path.rglob("*.npz")}
    assert found == {f"{name}/records.npz" for name in names} | {"client/queries.npz"}


def test_which_party_asks_does_not_change_the_parts(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    _, run = plan_of(first, n_parties=2, qp_id=0)
    _, other = plan_of(second, n_parties=2, qp_id=1)
    part = Records.read(run.folders.party("client") / "records.npz")
    assert Records.read(other.folders.party("server-0") / "records.npz").digest() == part.digest()


def test_private_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    plan, run = plan_of(tmp_path, n_parties=2)
    for process in plan.processes:
        path = write_settings(process, run.folders)
        for file in path.parent.iterdir():
            assert file.stat().st_mode & 0o777 == 0o600, file
        assert path.parent.stat().st_mode & 0o777 == 0o700
    for kind in ("cache", "durable"):
        folders = list((tmp_path / "files" / kind).iterdir())
        assert folders
        for folder in folders:
            assert folder.stat().st_mode & 0o777 == 0o700


def test_settings_survive_their_file(tmp_path: Path) -> None:
    plan, run = plan_of(tmp_path, n_parties=2, dp_noise_scale="0.3")
    for process in plan.processes:
        again = type(process.settings).model_validate_json(write_settings(process, run.folders).read_bytes())
        assert again == process.settings


def test_settings_hold_only_what_the_party_may_know(tmp_path: Path) -> None:
    plan, _ = plan_of(tmp_path, n_parties=3, first_query=123, data_dir=tmp_path / "secret-place")
    kinds = {"client": QueryingSettings, "privacy-guardian": GuardianSettings}
    for process in plan.processes:
        assert isinstance(process.settings, kinds.get(process.name, AnsweringSettings))
        text = process.settings.model_dump_json()
        others = {other.name for other in plan.processes if other.name.startswith("server")} - {process.name}
        if process.name.startswith("server"):
            assert not any(other in text for other in others)
            assert "ledger" not in text
            assert json.loads(text)["odometer"].endswith(f"owner-{json.loads(text)['owner']}/odometer.jsonl")
            assert "123" not in text  # which queries
        if process.name == "privacy-guardian":
            assert not any(word in json.loads(text) for word in ("training", "first_query", "cache"))
            assert "123" not in text
        if process.name == "client":
            assert not any(word in json.loads(text) for word in ("training", "ledger", "odometer"))
        assert "secret-place" not in text
        assert '"seed"' not in text or process.name.startswith("server")


def test_settings_refuse_an_unknown_key_and_another_partys_settings(tmp_path: Path) -> None:
    plan, _ = plan_of(tmp_path)
    client, server, _ = plan.processes
    with pytest.raises(ValidationError, match="queries_too"):
        QueryingSettings.model_validate({**client.settings.model_dump(), "queries_too": 1})
    with pytest.raises(ValidationError):
        QueryingSettings.model_validate(server.settings.model_dump())
    with pytest.raises(ValidationError, match="parameters"):
        changed = client.settings.model_dump()
        changed["parameters"]["surprise"] = 1
        QueryingSettings.model_validate(changed)


def test_each_answering_party_trains_under_its_own_seed_and_architecture(tmp_path: Path) -> None:
    plan, _ = plan_of(tmp_path, n_parties=3, models="mlp,cnn-avgpool")
    training = [p.settings.training for p in plan.processes if isinstance(p.settings, AnsweringSettings)]
    assert [settings.architecture for settings in training] == ["mlp", "cnn-avgpool", "mlp"]
    assert len({settings.seed for settings in training}) == 3


def result(*, epsilon: float | None, total: float | None) -> dict[str, Any]:
    same = {"abstained": False, "chosen_by": None, "epsilon": total, "earlier_run": False}
    queries = [
        {"index": 0, "predicted": 7, "correct": 7, "agree": True, **same},
        {"index": 1, "predicted": 3, "correct": 2, "agree": False, **same},
    ]
    return {
        "delta": "0.00001",
        "answered": 2,
        "abstained": 0,
        "epsilon": epsilon,
        "epsilon_total": total,
        "epsilon_budget": None,
        "queries": queries,
        "trust": ["nobody"],
        "warnings": ["!"],
    }


def test_the_summary_shows_labels_agreement_privacy_and_warnings() -> None:
    summary = CAPC.summary(result(epsilon=6.7, total=13.123))
    assert ("query 0", "label 7") in summary.lines
    assert ("query 1", "label 3 (correct is 2)") in summary.lines
    assert ("agree", "1 of 2") in summary.lines
    assert ("epsilon spent in this run", "6.7 at delta 1e-05") in summary.lines
    assert ("epsilon spent in all runs", "13.1 at delta 1e-05") in summary.lines
    assert summary.lines.count(("trust", "nobody")) == 1
    assert summary.warnings == ("!",)
    assert ("epsilon spent in all runs", "without bound") in CAPC.summary(result(epsilon=None, total=None)).lines


def test_the_default_file_holds_every_key_at_its_default() -> None:
    keys = yaml.safe_load((CONFIGS / "default.yaml").read_text())["capc"]
    assert CapcConfig(**keys) == CapcConfig()
    assert list(keys.keys() ^ CapcConfig.model_fields.keys()) == []


def test_every_file_is_a_configuration_with_a_comment_on_every_key() -> None:
    for path in CONFIGS.glob("*.yaml"):
        if (document := yaml.safe_load(path.read_text()))["protocol"] != "capc":
            continue
        CapcConfig(**document["capc"])
        for line in path.read_text().splitlines():
            assert "#" in line or not line.strip() or line in {"run:", "capc:"}, f"{path}: {line}"


LIMITS = {
    "n_parties": {"ge": 1, "le": 1000},
    "min_parties": {"ge": 1, "le": 1000},
    "num_classes": {"ge": 2, "le": 1000},
    "unlabelled": {"ge": 1},
    "first_query": {"ge": 0},
    "n_queries": {"ge": 1},
    "batch_size": {"ge": 1, "le": 4096},
    "pool": {"ge": 0, "le": 64},
    "dp_noise_scale": {"ge": 0, "le": 1000000},
    "colluding": {"ge": 0},
    "threshold": {"ge": 0, "le": 1000000},
    "threshold_noise_scale": {"ge": 0, "le": 1000000},
    "delta": {"gt": 0, "lt": 1},
    "epsilon_budget": {"gt": 0},
    "owner_epsilon_budget": {"gt": 0},
    "queries_in_all": {"ge": 1, "le": 1048576},
    "missing_classes": {"ge": 0},
    "seed": {"ge": 0, "lt": 9223372036854775808},
    "epochs": {"ge": 1, "le": 10000},
    "learning_rate": {"gt": 0, "le": 1},
    "weight_decay": {"ge": 0, "le": 1},
    "training_batch": {"ge": 1},
    "fraction_bits": {"ge": 1, "le": 30},
    "ring_bits": {"ge": 16, "le": 45},
    "weight_norm": {"ge": 1, "le": 65536},
    "weight_bits": {"ge": 1, "le": 44},
    "paillier_bits": {"ge": 2048, "le": 8192},
    "connect_deadline_s": {"gt": 0},
    "message_deadline_s": {"gt": 0},
    "quorum_wait_s": {"gt": 0},
    "run_deadline_s": {"gt": 0},
    "rejoin_s": {"ge": 0},
}


@pytest.mark.parametrize("key", [*LIMITS])
def test_numbers_beyond_their_limits_are_refused(key: str) -> None:
    """The limits of every key, and each of them at work."""
    for kind, limit in LIMITS[key].items():
        step = 64 if key == "paillier_bits" else 1
        beyond = {"ge": limit - step, "gt": limit, "le": limit + step, "lt": limit}[kind]
        with pytest.raises(ValidationError, match=rf"{key}\n.*(greater|less) than"):
            CapcConfig(**{key: beyond})


def test_every_limit_is_among_them() -> None:
    found: dict[str, dict[str, float]] = {}
    for name, field in CapcConfig.model_fields.items():
        for mark in field.metadata:
            for kind in ("ge", "gt", "le", "lt"):
                if hasattr(mark, kind):
                    found.setdefault(name, {})[kind] = getattr(mark, kind)
    assert found == LIMITS
