"""Owners who train a last layer online: each makes features of its own images, with the extractor that all know."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from mpc.encrypted.pooled import RidgeJob, owner_moments
from mpc.encrypted.programs.ridge import Ridge, solve_in_the_clear
from mpc.inference.models.floats import Conv2d, Flatten, FloatLayer, Linear, ReLU
from parties.encrypted.config import PoolConfig, SecureTrainConfig
from parties.encrypted.container import FileError
from parties.encrypted.kept import read_agreed
from parties.encrypted.model import LinearModel
from parties.encrypted.pool.owner import at_home, prepared
from parties.encrypted.pool.planning import plan
from parties.encrypted.pool.settings import PoolOwnerSettings, PoolSettings
from parties.encrypted.pooling import share_of
from parties.encrypted.records import LabelledTable
from parties.frame.errors import ConfigError
from parties.frame.plan import Run, RunFolders
from parties.learning.model_files.extractor import Extractor
from parties.learning.model_files.layers_file import write_layers
from parties.learning.records import DataError
from tests.parties.encrypted.processes import running

OWNERS = ("ada", "bea", "cyd")
CHOICES: dict[str, Any] = {"owners": OWNERS, "regularisation": 0.1, "largest_eigenvalue": 0.7, "degree": 4}


def images(folder: Path, features: int = 6) -> tuple[Path, Path]:
    """Images of three digits, and a network whose first three layers make features of them."""
    found, classes = load_digits(n_class=3, return_X_y=True)
    np.savez(folder / "x.npz", X=found.reshape(-1, 8, 8) / 16, y=classes)
    draw = np.random.default_rng(3)
    layers: list[FloatLayer] = [
        Conv2d(draw.normal(0, 0.5, (1, 1, 6, 6)), np.zeros(1)),
        Flatten(),
        Linear(draw.normal(0, 0.5, (features, 9)), draw.normal(0, 0.5, features)),
        ReLU(),
    ]
    write_layers(folder / "net.npz", layers, (1, 8, 8))
    return folder / "x.npz", folder / "net.npz"


def test_each_owner_makes_its_features_and_all_get_the_last_layer(tmp_path: Path) -> None:
    dataset, net = images(tmp_path)
    pool = CHOICES | {"features": {"file": net, "layers": 3}}
    with running(tmp_path, pool=pool, dataset=dataset, output_model=tmp_path / "head.npz") as parties:
        found = parties.reports()
        party = parties.folders.party
        raw = [LabelledTable.read(party(name) / "records.npz") for name in OWNERS]
        kept = LinearModel.read(party("ada") / "preparation.npz")
        assert not list(party("trainer").glob("*.npz"))
    extractor = Extractor.read(net)
    extractor = Extractor(extractor.layers[:3], extractor.shape)
    assert found["trainer"]["seen"]["extractor"] == extractor.digest == kept.preparation.extractor
    assert {one.features.shape[1:] for one in raw} == {(8, 8)}  # what lies in an owner's folder are its images
    tables = [LabelledTable(extractor.apply(one.features), one.places, one.classes, extractor.digest) for one in raw]
    job = RidgeJob.of(share_of(sum(len(one.features) for one in tables)), 8, Ridge(0.1, 0.7, 4), 3, 3, 3)
    moments = [owner_moments(job, *prepared(kept, one, 8)) for one in tables]
    matrix = np.sum([one[0] for one in moments], axis=0)
    twin = np.stack([solve_in_the_clear(matrix, one, job.choices) for one in np.sum([m[1] for m in moments], axis=0)])
    head = LinearModel.read(tmp_path / "head.npz")
    assert head.preparation.extractor == extractor.digest
    assert np.abs(head.weights - twin[:, :7]).max() < 6 * 0.05 * 2**0.5
    assert found["ada"]["accuracy"] == found["cyd"]["accuracy"] > 0.6
    assert found["ada"]["twin"]["accuracy"] > 0.6


def test_owners_with_different_extractors_do_not_start(tmp_path: Path) -> None:
    dataset, net = images(tmp_path)
    pool = CHOICES | {"features": {"file": net}}
    choices = {"dataset": dataset, "connect_deadline_s": 4}
    with running(tmp_path, {"cyd": {"extractor": ""}}, pool=pool, **choices) as parties:
        sentences = [parties.status(name)["error"] for name in (*OWNERS, "trainer")]
    assert any("extractor" in one or "features" in one for one in sentences), sentences


def test_an_owner_refuses_an_extractor_that_is_not_the_agreed_one(tmp_path: Path) -> None:
    dataset, net = images(tmp_path)
    config = SecureTrainConfig(dataset=dataset, pool=PoolConfig(**CHOICES, features={"file": net}))
    assert config.pool is not None
    run = Run(RunFolders(tmp_path / "files", tmp_path / "logs", "run"), "0" * 32, 23700)
    told = plan(config, config.pool, run).processes[0].settings
    assert isinstance(told, PoolOwnerSettings)
    folder = run.folders.party("ada")
    assert at_home(told, folder, "records.npz").extractor == told.extractor == Extractor.read(net).digest
    images(folder, features=5)
    (folder / "net.npz").rename(folder / "extractor.npz")
    with pytest.raises(DataError, match=r"expected the extractor [0-9a-f]{16} that all owners use, found [0-9a-f]{16}"):
        at_home(told, folder, "records.npz")


def test_owners_who_prepare_features_differently_do_not_start(tmp_path: Path) -> None:
    """The extractor is one, but the preparation of its features is that of another run in one owner's hands."""
    dataset, net = images(tmp_path)
    pool = CHOICES | {"features": {"file": net}}
    with running(
        tmp_path, {"cyd": {"preparation": "ab" * 32}}, pool=pool, dataset=dataset, connect_deadline_s=10
    ) as parties:
        assert re.search(
            r"expected the preparation abababababababab that all owners use, found [0-9a-f]{16}: it is that of another "
            "run, or was changed",
            parties.status("cyd")["error"],
        )
        assert not any(parties.status(name)["ok"] for name in (*OWNERS, "trainer"))


def test_all_parties_agree_on_the_preparation_and_an_owner_refuses_another(tmp_path: Path) -> None:
    dataset, net = images(tmp_path)
    config = SecureTrainConfig(dataset=dataset, pool=PoolConfig(**CHOICES, features={"file": net}))
    assert config.pool is not None
    run = Run(RunFolders(tmp_path / "files", tmp_path / "logs", "run"), "0" * 32, 23700)
    processes = plan(config, config.pool, run).processes
    told = [one.settings for one in processes]
    assert all(isinstance(one, PoolSettings) for one in told)
    digests = {one.agreed()["preparation"] for one in told if isinstance(one, PoolSettings)}
    path = run.folders.party("bea") / "preparation.npz"
    assert digests == {hashlib.sha256(path.read_bytes()).hexdigest()}
    kept = read_agreed(path, *digests)
    moved = replace(kept.preparation, mean=kept.preparation.mean + 1.0)  # of the same extractor
    replace(kept, preparation=moved).write(path)
    with pytest.raises(FileError, match=r"preparation.npz: expected the preparation [0-9a-f]{16} that all owners use"):
        read_agreed(path, *digests)
    path.unlink()
    with pytest.raises(FileError, match="expected a preparation, found none that can be read"):
        read_agreed(path, *digests)


def test_more_features_than_there_is_room_for_are_refused(tmp_path: Path) -> None:
    dataset, net = images(tmp_path, features=256)
    with (
        pytest.raises(
            ConfigError, match="features: expected an extractor of at most 255 features for ridge, found 256"
        ),
        running(tmp_path, pool=CHOICES | {"features": {"file": net}}, dataset=dataset),
    ):
        pass
