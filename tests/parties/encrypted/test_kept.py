"""What is done to features belongs to one key pair, and is refused when it is another pair's or was changed."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from parties.encrypted import commands, ridge_commands
from parties.encrypted.container import FileError, read_container, write_container
from parties.encrypted.kept import pack_preparation, preparation_from, read_preparation
from parties.encrypted.keys import read_private_key, signing_key
from parties.encrypted.model import LinearModel
from parties.encrypted.options import DecryptModelOptions, EncryptDatasetOptions, PoolOptions, TrainOptions
from parties.frame.errors import PartyError
from parties.learning.records import DataError


def encrypt(folder: Path, algorithm: str, **more: Any) -> None:
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(len(more))
    y = np.arange(80) % 2
    np.savez(folder / "x.npz", X=random.normal(size=(80, 3)) + y[:, None], y=y)
    options: dict[str, Any] = {
        "algorithm": algorithm, "dataset": folder / "x.npz", "output": folder / "x.enc", "keys_dir": folder / "keys",
    }  # fmt: skip
    choices: dict[str, Any] = {
        "logistic": {"iterations": 1},
        "ridge": {"regularisation": 0.2, "largest_eigenvalue": 0.8, "inverse_degree": 4, "all_records": 200},
        "join": {},
    }
    options |= choices["join" if "public_key" in more else algorithm]
    commands.encrypt_dataset(None, folder, EncryptDatasetOptions(**(options | more)))


def train(folder: Path, data: Path, public_key: Path) -> None:
    made = TrainOptions(
        encrypted_data=data, public_key=public_key, output_model=folder / "m.enc", keys_dir=folder / "trainer"
    )
    commands.train(None, folder, made)


def decrypt(folder: Path) -> None:
    asked = DecryptModelOptions(
        input_model=folder / "m.enc", private_key=folder / "keys/private.key", output_model=folder / "m.npz"
    )
    commands.decrypt_model(None, folder, asked)


@pytest.mark.parametrize("algorithm", ["logistic", "ridge"])
def test_another_key_pairs_or_a_changed_preparation_decrypts_nothing(tmp_path: Path, algorithm: str) -> None:
    for name in ("one", "two"):
        encrypt(tmp_path / name, algorithm)
    one, kept = tmp_path / "one", tmp_path / "one/keys/preparation.npz"
    train(one, one / "x.enc", one / "keys/public.key")
    key, content = read_private_key(one / "keys/private.key"), kept.read_bytes()
    assert key.job.preparation == hashlib.sha256(content).hexdigest()
    other = read_private_key(tmp_path / "two/keys/private.key").key_id

    shutil.copy(tmp_path / "two/keys/preparation.npz", kept)
    with pytest.raises(
        FileError, match=f"expected the preparation of the key pair {key.key_id}, found that of {other}"
    ):
        decrypt(one)
    model = LinearModel.from_bytes(kept, content)
    changed, digest = pack_preparation(model, key.key_id)  # a new nonce is all that differs
    kept.write_bytes(changed)
    with pytest.raises(
        FileError,
        match=f"expected the preparation {key.job.preparation[:16]} of .*, found {digest[:16]}: it was changed",
    ):
        decrypt(one)
    model.write(kept)
    with pytest.raises(FileError, match=r"expected the preparation of the key pair .*, found one of no key pair"):
        decrypt(one)
    kept.write_bytes(b"anything")
    with pytest.raises(FileError, match=r"expected the preparation of the key pair .*, found one of no key pair"):
        decrypt(one)
    assert not list(one.glob("keys/*.released"))  # nothing was decrypted until now
    assert not (one / "m.npz").exists()
    kept.write_bytes(content)
    decrypt(one)
    assert (one / "m.npz").exists()


def test_owners_join_with_the_preparation_of_the_public_key_alone(tmp_path: Path) -> None:
    for name in ("one", "two"):
        encrypt(tmp_path / name, "ridge")
    key, shown = tmp_path / "one/keys/public.key", tmp_path / "one/keys/preparation.npz"
    with pytest.raises(FileError, match=r"expected the preparation of the key pair .*, found that of"):
        encrypt(tmp_path / "join", "ridge", public_key=key, preparation=tmp_path / "two/keys/preparation.npz")
    encrypt(tmp_path / "join", "ridge", public_key=key, preparation=shown)
    joined = read_container(tmp_path / "join/x.enc", "data")
    assert joined.header.preparation == hashlib.sha256(shown.read_bytes()).hexdigest()

    # An owner whose file says that it has prepared its records in another way is not added up, nor trained on.
    lying = msgspec.structs.replace(joined.header, preparation="ab" * 32)
    write_container(tmp_path / "join/x.enc", lying, joined.parts, signing_key(tmp_path / "join/keys"))
    inputs = f"{tmp_path / 'one/x.enc'},{tmp_path / 'join/x.enc'}"
    with pytest.raises(PartyError, match=f"expected preparation {joined.header.preparation} as in .*, found abab"):
        ridge_commands.pool(None, tmp_path, PoolOptions(inputs=inputs, output=tmp_path / "p.enc"))
    with pytest.raises(PartyError, match=f"expected preparation abab.* as in .*, found {joined.header.preparation}"):
        train(tmp_path, tmp_path / "join/x.enc", key)


def test_the_digest_tells_nothing_of_what_is_prepared(tmp_path: Path) -> None:
    """Two files of the same constants differ, so that nobody finds records by trying which ones give a digest."""
    encrypt(tmp_path, "logistic")
    path = tmp_path / "keys/preparation.npz"
    key = read_private_key(tmp_path / "keys/private.key")
    model = read_preparation(path, key.key_id, key.job.preparation)
    packed = [pack_preparation(model, key.key_id) for _ in range(3)]
    assert len({key.job.preparation, *(digest for _, digest in packed)}) == 4
    again = preparation_from(path, *packed[0][:1], key.key_id, packed[0][1])
    np.testing.assert_array_equal(again.preparation.matrix, model.preparation.matrix)
    with pytest.raises(DataError, match="expected a model with"):
        preparation_from(path, b"x", key.key_id, hashlib.sha256(b"x").hexdigest())
