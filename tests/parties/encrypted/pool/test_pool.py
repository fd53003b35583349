"""Three owners and a trainer as processes: what is opened, what each learns, and how failures end."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris

from mpc.channels.memory import memory_pair
from mpc.encrypted.joint_ridge import JointRidge
from mpc.encrypted.pooled import RidgeJob, owner_moments
from mpc.encrypted.programs.ridge import Ridge, solve_in_the_clear
from mpc.encrypted.threshold import key_making
from mpc.encrypted.threshold.session import JointKey
from mpc.errors import CheatingError, RangeError
from parties.encrypted.config import PoolConfig, SecureTrainConfig
from parties.encrypted.model import LinearModel
from parties.encrypted.pool.owner import _receive, prepared
from parties.encrypted.pool.planning import plan
from parties.encrypted.pool.report import summary
from parties.encrypted.pool.ridge import RidgeOwner
from parties.encrypted.pooling import share_of
from parties.encrypted.preparation import Preparation
from parties.encrypted.records import LabelledTable
from parties.encrypted.wire import label
from parties.frame.errors import ConfigError
from parties.frame.plan import Run, RunFolders
from tests.parties.encrypted.processes import ROOT, running

OWNERS = ("ada", "bea", "cyd")
PAGE = ROOT / "docs" / "messages.md"
CHOICES: dict[str, Any] = {"owners": OWNERS, "regularisation": 0.1, "largest_eigenvalue": 0.7, "degree": 4}


def flowers(folder: Path) -> Path:
    features, classes = load_iris(return_X_y=True)
    path = folder / "x.npz"
    np.savez(path, X=features, y=classes)
    return path


def test_the_owners_get_the_pooled_model_with_noise_and_nobody_sees_a_record(tmp_path: Path) -> None:
    choices = {"dataset": flowers(tmp_path), "output_model": tmp_path / "model.npz"}
    with running(tmp_path, pool=CHOICES, **choices) as parties:
        found = parties.reports()
        party = parties.folders.party
        tables = [LabelledTable.read(party(name) / "records.npz") for name in OWNERS]
        kept = LinearModel.read(party("ada") / "preparation.npz")
        assert not list(party("trainer").glob("*.npz"))
        assert not list(party("trainer").glob("signing.key"))
        for name in OWNERS:  # each has written down what it has answered, the one decryption among it
            answered = [path.read_text() for path in party(name).glob("*.answered/*.json")]
            assert sum('"decryption"' in text for text in answered) == 1
        logs = "".join(parties.folders.log(name).read_text() for name in (*OWNERS, "trainer"))
    job = RidgeJob.of(share_of(sum(len(one.features) for one in tables)), 8, Ridge(0.1, 0.7, 4), 3, 3, 3)
    moments = [owner_moments(job, *prepared(kept, one, 8)) for one in tables]
    matrix = np.sum([one[0] for one in moments], axis=0)
    twin = np.stack([solve_in_the_clear(matrix, one, job.choices) for one in np.sum([m[1] for m in moments], axis=0)])
    model = LinearModel.read(tmp_path / "model.npz")
    noise = model.weights - twin[:, :5]
    assert np.abs(noise).max() < 6 * 0.05 * 2**0.5
    assert noise.std() > 0.02
    assert not any(f"{weight:.4f}"[:6] in logs for weight in model.weights.ravel() if abs(weight) > 0.1)
    assert len({found[name]["accuracy"] for name in OWNERS}) == 1
    assert found["ada"]["accuracy"] > 0.6
    assert 0 < found["ada"]["leak"] <= 0.01
    assert [found[name]["twin"] == {} for name in OWNERS] == [False, True, True]
    assert found["trainer"]["seen"]["records"] == str(job.records)
    assert job.records > sum(len(one.features) for one in tables)
    assert not {"accuracy", "leak"} & {*found["trainer"]}
    shown = summary([*(found[name] for name in OWNERS), found["trainer"]])
    assert dict(shown.lines)["sent"].startswith("ada ")
    assert "trainer and ada together could open the result" in shown.warnings[0]


def test_owners_bring_files_of_their_own_and_each_measures_on_its_own(tmp_path: Path) -> None:
    features, classes = load_iris(return_X_y=True)
    order = np.random.default_rng(1).permutation(len(features))
    files = {}
    for name, rows in zip(("public", *OWNERS), np.split(order[:140], [20, 60, 100]), strict=True):
        files[name] = tmp_path / f"{name}.npz"
        np.savez(files[name], X=features[rows], y=classes[rows])
    public = files.pop("public")
    config = SecureTrainConfig(dataset=public, pool=PoolConfig(**CHOICES, files=files))
    assert config.pool is not None
    run = Run(RunFolders(tmp_path / "files", tmp_path / "logs", "run"), "0" * 32, 23700)
    found = plan(config, config.pool, run)
    assert [process.name for process in found.processes] == [*OWNERS, "trainer"]
    for name in OWNERS:
        folder, own = run.folders.party(name), np.load(files[name])["X"]
        kept, test = (LabelledTable.read(folder / part).features for part in ("records.npz", "held_out.npz"))
        assert (len(kept), len(test)) == (32, 8)
        assert {*map(bytes, own)} == {*map(bytes, kept), *map(bytes, test)}
    with pytest.raises(ValueError, match="files: expected one for each of ada, bea, cyd, found ada"):
        PoolConfig(**CHOICES, files={"ada": public})
    np.savez(files["cyd"], X=features[:, :3], y=classes)
    with pytest.raises(ConfigError, match=r"expected 4 features and the classes 0, 1, 2 .* found 3 and .* of cyd"):
        plan(config, config.pool, run)


@pytest.mark.parametrize("lost", ["bea", "trainer"])
def test_a_party_that_is_killed_ends_the_run_in_its_name_and_nothing_is_opened(tmp_path: Path, lost: str) -> None:
    choices = {"dataset": flowers(tmp_path), "message_deadline_s": 30}
    with running(tmp_path, pool=CHOICES, **choices) as parties:
        parties.await_step(lost, "3")
        parties.processes[lost].send_signal(signal.SIGKILL)
        for name in {*OWNERS, "trainer"} - {lost}:
            status = parties.status(name)
            assert not status["ok"]
            # An owner that was sending sees that the trainer has left, and cannot be told why.
            assert status["peer"] in ((lost,) if "trainer" in (name, lost) else (lost, "trainer")), (name, status)
            assert not parties.folders.result(name).exists()


def test_owners_who_were_told_different_noise_do_not_start(tmp_path: Path) -> None:
    changed = {"cyd": {"sigma": 0.06}}
    choices = {"dataset": flowers(tmp_path), "connect_deadline_s": 4}
    with running(tmp_path, changed, pool=CHOICES, **choices) as parties:
        sentences = [parties.status(name)["error"] for name in (*OWNERS, "trainer")]
    assert any("sigma" in one and "0.05" in one and "0.06" in one for one in sentences), sentences


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"largest_eigenvalue": 0.3}, "expected records whose second moments have eigenvalues of at most 0.3, found 0"),
        ({"sigma": 0.001}, r"found \S+ at a sigma of 0.001: raise it to 0.0\d+ or more"),
        ({"degree": 2}, "expected a polynomial within 0.05 of the inverse"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_the_start(
    tmp_path: Path, changed: dict[str, Any], sentence: str
) -> None:
    with (
        pytest.raises(ConfigError, match=sentence),
        running(tmp_path, pool=CHOICES | changed, dataset=flowers(tmp_path)),
    ):
        pass


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e300, 50.0, None])
def test_an_owner_takes_no_weights_that_no_records_have(wrong: float | None) -> None:
    joint = JointRidge(RidgeJob.of(100, 8, Ridge(0.1, 0.7, 4), 2, 3, 3), 0.05)
    weights = np.full((2, 8), 0.1)
    near, far = memory_pair("ada", "bea", 10)
    if wrong is not None:
        weights[1, 3] = wrong
    near.send("opened", weights.tobytes())
    if wrong is None:
        assert (_receive(joint, far, []) == weights).all()
        return
    with pytest.raises(CheatingError, match=r"ada: expected opened weights of a norm of at most \d"):
        _receive(joint, far, [])


@pytest.mark.parametrize(
    ("records", "largest", "sentence"),
    [
        (9, 0.7, "expected 1 to 9 records, found more or none$"),
        (10, 0.01, "eigenvalues of at most 0.01, found larger ones"),
    ],
)
def test_an_owners_refusal_says_what_is_wrong_without_its_numbers(records: int, largest: float, sentence: str) -> None:
    table = LabelledTable(np.eye(10)[:, :3], np.arange(10) % 2, ("0", "1"))
    kept = LinearModel.untrained(Preparation.of(table.features, None, None, 4.0, 0.8), table.classes, 0)
    joint = JointRidge(RidgeJob.of(records, 4, Ridge(0.1, largest, 4), 1, 3, 3), 0.05)
    with pytest.raises(RangeError, match=sentence):
        RidgeOwner(joint, *prepared(kept, table, joint.job.features))


@pytest.mark.parametrize("owners", [("ada",), ("ada", "ada"), ("ada", "trainer"), ("ada", "b/a")])
def test_names_that_cannot_be_are_refused(owners: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"different names|at least 2 items"):
        PoolConfig(owners=owners)


def test_every_message_has_a_row_on_the_page() -> None:
    text = PAGE.read_text().split("\n## Pooled training\n")[1].split("\n## ")[0]
    places = r"\b(?:K|STEP|ROW|COLUMN|PLACE)\b"
    found = [re.sub(places, r"-?\\d+", one) for one in re.findall(r"`([\w-]+(?:/[\w-]+)*)`", text) if one != "K"]
    job = RidgeJob.of(100, 32, Ridge(0.025, 0.5, 8), 2, 3, 3)
    key = JointKey(job.parameters, tuple(bytes([place]) * 32 for place in range(3)), bytes(32), bytes(32))
    sizes = {
        "first": key_making.first_sizes(key, job), "firsts/2": key_making.first_sizes(key, job),
        "second": key_making.second_sizes(key, job), "moments": job.moment_sizes(seeded=False),
    }  # fmt: skip
    sent = [label(what, name) for what, names in sizes.items() for name in names]
    sent += [f"agree/{word}{many}" for word in ("commitment", "opening") for many in ("", "s")]
    sent += ["release/masked/0", "decryption/0", "opened"]
    assert all(any(re.fullmatch(pattern, one) for pattern in found) for one in sent)
    assert all(any(re.fullmatch(pattern, one) for one in sent) for pattern in found), found
