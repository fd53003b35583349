"""Two processes release a model by two shares: what each gets, and what is refused."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpc.channels.memory import memory_pair
from mpc.encrypted.packing import Packing
from mpc.encrypted.parameters import parameters_of
from mpc.encrypted.programs.logistic import Logistic, train_in_the_clear
from mpc.encrypted.shared_release import SharedRelease, holder_receive_masked, trainer_send_masked
from mpc.encrypted.training import Job
from parties.encrypted.data_owner import RECORDS
from parties.encrypted.model import LinearModel
from parties.encrypted.project_owner import OPENED
from parties.encrypted.protocol import PROTOCOL
from parties.encrypted.records import read_records
from parties.encrypted.settings import OWNER, TRAINER
from parties.frame.errors import ConfigError
from parties.frame.plan import Summary
from tests.parties.encrypted.processes import ROOT, running

PAGE = ROOT / "docs" / "messages.md"
SHARED: dict[str, Any] = {"release": "shared", "iterations": 3}


def test_both_parties_get_the_model_with_noise_that_neither_has_chosen(tmp_path: Path) -> None:
    choices = SHARED | {"release_to": "both", "output_model": tmp_path / "model.npz", "release_noise": 0.02}
    with running(tmp_path, **choices) as parties:
        found = parties.reports()
        path = parties.folders.party(TRAINER) / OPENED
        theirs = np.load(path)["weights"]
        assert path.stat().st_mode & 0o777 == 0o600
        records = read_records(parties.folders.party(OWNER) / RECORDS)
    model = LinearModel.read(tmp_path / "model.npz")
    prepared, _ = model.preparation.apply(records.features)
    choices_made = Logistic(4.0, 3)
    job = Job.of(*prepared.shape, choices_made)
    signed = job.packing.unpack(job.packing.pack(prepared * records.signs(0)[:, None]))
    noise = model.weights - train_in_the_clear(signed, choices_made, job.packing)[: model.weights.shape[1]]
    assert np.array_equal(theirs[:, : model.weights.shape[1]], model.weights)
    assert 0.5 < np.std(noise) / (0.02 * np.sqrt(2)) < 1.6  # 31 weights
    assert np.abs(noise).max() < found[OWNER]["bound"] < 1.5
    assert 0 < found[OWNER]["leak"] < 0.001
    assert found[OWNER]["accuracy"] > 0.9
    shown = PROTOCOL.summary({"reports": [found[OWNER], found[TRAINER]]})
    assert isinstance(shown, Summary)
    lines = dict(shown.lines)
    assert lines["released"].startswith("the weights with noise of a deviation of 0.02 from each party, to both")
    assert "nats of the key" in lines["left of the encryption's error"]


def test_every_message_of_the_release_has_a_row_on_the_page() -> None:
    text = PAGE.read_text().split("\n## A shared release\n")[1].split("\n## ")[0]
    rows = [row.split("|")[1].strip(" `") for row in text.splitlines() if row.startswith("| `")]
    assert rows == ["release/masked/TARGET", "garbled/…"]
    packing = Packing.fit(100, 4, parameters_of("small").slots)
    release = SharedRelease("small", packing, Fraction(2**36), targets=2)
    one, other = memory_pair(TRAINER, OWNER)
    trainer_send_masked(one, [bytes(release.masked_bytes)] * 2)
    holder_receive_masked(other, release)
    assert [label for _, label, _ in other.transcript] == ["release/masked/0", "release/masked/1"]


def test_weights_beyond_the_limit_are_released_to_nobody(tmp_path: Path) -> None:
    with running(tmp_path, **SHARED, weight_limit=0.25, release_to="both") as parties:
        owner, trainer = parties.status(OWNER), parties.status(TRAINER)
        assert not (parties.folders.party(TRAINER) / OPENED).exists()
        assert not parties.folders.result(OWNER).exists()
    assert "found one beyond: nothing was opened" in owner["error"]
    assert trainer["ok"] is False


def test_noise_that_would_leak_too_much_ends_the_run_before_anything_is_sent(tmp_path: Path) -> None:
    with running(tmp_path, **SHARED, release_noise=0.0001) as parties:
        owner = parties.status(OWNER)
    assert "at most 0.01 nats of the key" in owner["error"]
    assert owner["step"] == "2"


def test_the_loss_of_the_trainer_ends_the_run_in_its_name(tmp_path: Path) -> None:
    with running(tmp_path, **SHARED | {"iterations": 9}) as parties:
        parties.await_step(OWNER, "4")
        parties.processes[TRAINER].kill()
        status = parties.status(OWNER)
        assert not parties.folders.result(OWNER).exists()
    assert (status["ok"], status["peer"]) == (False, TRAINER)


def test_parties_who_were_told_different_noise_do_not_start(tmp_path: Path) -> None:
    with running(tmp_path, {TRAINER: {"noise": 0.001}}, **SHARED) as parties:
        sentences = [parties.status(name)["error"] for name in (OWNER, TRAINER)]
    assert any("noise" in one and "0.001" in one for one in sentences), sentences


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"release_to": "both"}, "release_to: expected both with release: shared alone"),
        ({"release": "shared", "weight_limit": 6}, "weight_limit: expected a power of two, found 6"),
        ({"release": "shared", "weight_limit": 2**12}, r"expected room for weights below 2\^12 .* lower the limit"),
        ({"release": "shared", "release_noise": 1e-7}, "noise of a deviation between the grid's step"),
    ],
)
def test_choices_that_do_not_go_together_are_refused(tmp_path: Path, choices: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence), running(tmp_path, **choices):
        pass
