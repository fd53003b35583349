"""How often records answer to owners of encrypted models is counted, because enough results tell their moments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpc.encrypted.programs.squared import Squared, linear_map
from parties.encrypted import commands
from parties.encrypted.answers import Answer, Answered, digest_of, record_answer
from parties.encrypted.container import FileError
from parties.encrypted.model import LinearModel
from parties.encrypted.options import DecryptModelOptions, EncryptModelOptions, TrainOptions
from parties.encrypted.preparation import Preparation
from parties.encrypted.records import LabelledTable
from parties.frame.errors import PartyError


def table(n: int = 20, d: int = 2, seed: int = 0) -> LabelledTable:
    random = np.random.default_rng(seed)
    return LabelledTable(random.normal(size=(n, d)), np.arange(n) % 3, ("a", "b", "c"))


def asked(name: str, targets: int = 1) -> Answer:
    return Answer(name * 16, name * 32, targets)


def test_the_same_records_are_known_in_any_order_and_with_any_labels() -> None:
    one = table()
    order = np.random.default_rng(1).permutation(20)
    again = LabelledTable(one.features[order], one.places[order[::-1]], ("x", "y", "z"))
    assert digest_of(one) == digest_of(again) != digest_of(table(seed=1))
    assert digest_of(LabelledTable(one.features[1:], one.places[1:], one.classes)) != digest_of(one)


def test_answers_add_up_over_all_who_ask(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    assert record_answer(folder, table(), asked("aa", 2), 5, False) == Answered(1, 2)
    assert record_answer(folder, table(), asked("bb", 2), 5, False) == Answered(2, 4)
    with pytest.raises(FileError, match="expected fewer than 5 results from these records in all, found 5 with 1 of"):
        record_answer(folder, table(), asked("cc"), 5, False)
    assert record_answer(folder, table(seed=1), asked("cc"), 5, False) == Answered(1, 1)
    assert record_answer(folder, table(), asked("cc"), 5, True) == Answered(3, 5)
    (path,) = folder.glob(f"{digest_of(table())[:32]}*")
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("{}")
    with pytest.raises(FileError, match="expected the record of what was answered, found another file"):
        record_answer(folder, table(), asked("dd"), 5, True)


def rounds(folder: Path, weights: np.ndarray, **more: Any) -> np.ndarray:
    """One round of the three commands from weights of the model's owner, and what it decrypts."""
    one = table()
    preparation = Preparation.of(one.features, None, None, 4.0)
    LinearModel(weights, preparation, one.classes).write(folder / "m.npz")
    np.savez(folder / "x.npz", X=one.features, y=np.array(one.classes)[one.places])
    keys = folder / f"keys{len([*folder.iterdir()])}"
    commands.encrypt_model(
        None, folder, EncryptModelOptions(model=folder / "m.npz", output=folder / "m.enc", keys_dir=keys)
    )
    options: dict[str, Any] = {
        "encrypted_model": folder / "m.enc",
        "dataset": folder / "x.npz",
        "public_key": keys / "public.key",
        "output_model": folder / "t.enc",
        "keys_dir": folder / "other",
        "learning_rate": 0.5,
        "iterations": 2,
    }
    commands.train(None, folder, TrainOptions(**(options | more)))
    found = DecryptModelOptions(
        input_model=folder / "t.enc", private_key=keys / "private.key", output_model=folder / "t.npz"
    )
    commands.decrypt_model(None, folder, found)
    return LinearModel.read(folder / "t.npz").weights


def test_as_many_targets_as_weights_tell_the_moments_and_are_refused(tmp_path: Path) -> None:
    """The attack: c is the same for both questions of a target, so differences of results are A times those of w."""
    with pytest.raises(PartyError, match=r"expected fewer than 3 results .* found 3 with 3 of this model"):
        rounds(tmp_path, np.zeros((3, 3)))
    assert not (tmp_path / "t.enc").exists()
    zero = rounds(tmp_path, np.zeros((3, 3)), moments_known=True)
    found = (rounds(tmp_path, np.eye(3), moments_known=True) - zero).T
    prepared, _ = Preparation.of(table().features, None, None, 4.0).apply(table().features)
    a, _ = linear_map(prepared, table().signs(0), Squared(0.5, 2))
    assert np.abs(found - a).max() < 1e-4  # all of A, without a record
