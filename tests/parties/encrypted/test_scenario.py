"""An owner encrypts, a trainer trains, the owner decrypts, each by its commands and knowing only its own files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from mpc.encrypted.programs.logistic import Logistic
from parties.encrypted import commands
from parties.encrypted.container import read_container, read_header, write_container
from parties.encrypted.keys import signing_key
from parties.encrypted.model import LinearModel
from parties.encrypted.options import DecryptModelOptions, EncryptDatasetOptions, InspectOptions, TrainOptions
from parties.encrypted.owner import Choices
from parties.encrypted.owner import encrypt_dataset as encrypt
from parties.encrypted.records import LabelledTable
from parties.frame.errors import PartyError

ROOT = Path(__file__).resolve().parents[3]


def lines(summary: Any) -> dict[str, str]:
    return dict(summary.lines)


def write_records(path: Path, rows: slice, flip: bool = False) -> None:
    features, classes = load_breast_cancer(return_X_y=True)
    np.savez(path, X=features[rows], y=1 - classes[rows] if flip else classes[rows])


@dataclass(frozen=True)
class Parties:
    """Two folders, and what `encrypt-dataset` has shown."""

    owner: Path
    trainer: Path
    shown: dict[str, str]


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Parties:
    """An owner with keys and encrypted records, and a trainer with copies of what it may have."""
    owner, trainer = tmp_path_factory.mktemp("owner"), tmp_path_factory.mktemp("trainer")
    write_records(owner / "x.npz", slice(0, 200))
    write_records(owner / "test.npz", slice(200, 569))
    options = EncryptDatasetOptions(
        dataset=owner / "x.npz", output=owner / "x.enc", keys_dir=owner / "keys", iterations=2
    )
    shown = lines(commands.encrypt_dataset(None, owner, options))
    shutil.copy(owner / "x.enc", trainer)
    shutil.copy(owner / "keys" / "public.key", trainer)
    return Parties(owner, trainer, shown)


AUDITED = """
import json, os, sys
opened = []
def note(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], (str, bytes)):
        opened.append(os.path.abspath(os.fsdecode(arguments[0])))
sys.addaudithook(note)
sys.path.insert(0, {root!r})
from pathlib import Path
from parties.encrypted import commands
from parties.encrypted.options import TrainOptions
options = TrainOptions(encrypted_data=Path("x.enc"), public_key=Path("public.key"), output_model=Path("m.enc"))
summary = commands.train(None, Path("."), options)
print(json.dumps({{"opened": opened, "lines": dict(summary.lines)}}))
"""


@pytest.fixture(scope="module")
def trained(parties: Parties) -> dict[str, Any]:
    """What a process has opened that trained in a folder with two files alone."""
    assert sorted(path.name for path in parties.trainer.iterdir()) == ["public.key", "x.enc"]
    program = AUDITED.format(root=str(ROOT))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=parties.trainer, capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_trainer_opens_nothing_of_the_owner(parties: Parties, trained: dict[str, Any]) -> None:
    """Its folder holds no private key, and no file of the owner's folder is opened, listed or asked for."""
    opened = {Path(path) for path in trained["opened"]}
    inside = {path.relative_to(parties.trainer) for path in opened if parties.trainer in path.parents}
    assert {Path("x.enc"), Path("public.key")} <= inside
    left = {path.name for path in inside} - {"x.enc", "public.key", "keys", "signing.key"}
    assert all(name.startswith(".new-") for name in left), left  # its own files, before they have their names
    assert not any(parties.owner == path or parties.owner in path.parents for path in opened)
    assert not any("private" in path.name for path in opened if ROOT not in path.parents)
    assert {path.name for path in parties.trainer.iterdir()} == {"x.enc", "public.key", "m.enc", "keys"}
    assert "unknown here" in trained["lines"]["accuracy"]


def decrypted(parties: Parties, model: Path, **more: Any) -> Any:
    keys = shutil.copytree(parties.owner / "keys", model.with_name("keys"), dirs_exist_ok=True)
    options: dict[str, Any] = {
        "input_model": model,
        "private_key": keys / "private.key",
        "output_model": model.with_name("m.npz"),
        "verify": parties.owner / "x.npz",
        "test": parties.owner / "test.npz",
    }
    return commands.decrypt_model(None, parties.owner, DecryptModelOptions(**(options | more)))


@pytest.mark.usefixtures("trained")
def test_the_model_comes_back_verified(parties: Parties, tmp_path: Path) -> None:
    model = Path(shutil.copy(parties.trainer / "m.enc", tmp_path))
    summary = decrypted(parties, model)
    assert summary.warnings == ()
    assert lines(summary)["released"] == "the twin's weights"
    found = LinearModel.read(tmp_path / "m.npz")
    features, classes = load_breast_cancer(return_X_y=True)
    accuracy = found.accuracy(features[200:], classes[200:])
    assert accuracy > 0.93
    assert lines(summary)["accuracy on the test"].startswith(f"{accuracy:.4f} (scikit-learn, in the clear: 0.9")
    assert (tmp_path / "m.npz").stat().st_mode & 0o777 == 0o600
    shown = lines(commands.inspect(None, tmp_path, InspectOptions(file=model)))
    assert shown["kind"] == "a trained model, encrypted"
    assert shown["signed by"] == lines(summary)["trained by"] != parties.shown["your fingerprint"]

    decrypted(parties, model)  # the same once more
    with pytest.raises(PartyError, match="found that it has released this model's verified twin"):
        decrypted(parties, model, verify=None)
    renamed = (tmp_path / "keys" / "private.key").rename(tmp_path / "keys" / "renamed.key")
    with pytest.raises(PartyError, match="found that it has released this model's verified twin"):
        decrypted(parties, model, verify=None, private_key=renamed)
    other = tmp_path / "other.enc"
    content = read_container(model, "model")
    write_container(other, content.header, content.parts, signing_key(tmp_path / "stranger"))
    with pytest.raises(PartyError, match="found that it has released another model"):
        decrypted(parties, other)


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("algorithm", "squared"),
        ("rate", 0.001),
        ("iterations", 1),
        ("degree", 5),
        ("records", 1024),
        ("records", 1 << 40),
        ("targets", 2),
        ("source", "00" * 32),
        ("source", ""),
    ],
)
def test_what_the_trainer_says_of_the_job_is_the_owners_own_record(
    parties: Parties, tmp_path: Path, field: str, value: Any
) -> None:
    """A trainer that did another job, or none, and says so in its header, would be compared with a twin of that job."""
    content = read_container(parties.trainer / "m.enc", "model")
    header = msgspec.structs.replace(content.header, **{field: value})
    write_container(tmp_path / "m.enc", header, content.parts, signing_key(tmp_path / "stranger"))
    for verify in (parties.owner / "x.npz", None):
        with pytest.raises(PartyError, match=f"expected {field} .*, as the key pair's job has it, found {value}"):
            decrypted(parties, tmp_path / "m.enc", verify=verify)
    assert not list((tmp_path / "keys").glob("*released*"))  # nothing was decrypted, and the key pair can still answer


@pytest.mark.usefixtures("trained")
def test_without_the_twin_the_numbers_are_private(parties: Parties, tmp_path: Path) -> None:
    model = Path(shutil.copy(parties.trainer / "m.enc", tmp_path))
    (warning,) = decrypted(parties, model, verify=None).warnings
    assert "they are private to its holder" in warning
    noisy = LinearModel.read(tmp_path / "m.npz").weights
    shutil.rmtree(tmp_path / "keys")
    decrypted(parties, model)
    exact = LinearModel.read(tmp_path / "m.npz").weights
    assert 0 < np.abs(noisy - exact).max() < 1e-3


@pytest.mark.usefixtures("trained")
def test_other_records_than_those_that_were_encrypted_are_noticed(parties: Parties, tmp_path: Path) -> None:
    model = Path(shutil.copy(parties.trainer / "m.enc", tmp_path))
    with pytest.raises(PartyError, match="the trainer ran something else, or on other records"):
        decrypted(parties, model, verify=parties.owner / "test.npz")
    assert not (tmp_path / "m.npz").exists()
    (released,) = (tmp_path / "keys").glob("*.released")
    record = json.loads(released.read_text())
    assert record["digest"] == read_container(model, "model").digest  # that was this key pair's one answer


@pytest.mark.usefixtures("trained")
def test_files_that_do_not_belong_together_are_refused(parties: Parties, tmp_path: Path) -> None:
    write_records(tmp_path / "x.npz", slice(0, 200))
    options = EncryptDatasetOptions(
        dataset=tmp_path / "x.npz", output=tmp_path / "x.enc", keys_dir=tmp_path / "keys", iterations=2
    )
    commands.encrypt_dataset(None, tmp_path, options)

    def train(**more: Any) -> None:
        given = {"encrypted_data": parties.owner / "x.enc", "public_key": parties.owner / "keys" / "public.key"}
        made = TrainOptions(**(given | {"output_model": tmp_path / "m.enc", "keys_dir": tmp_path / "trainer"} | more))
        commands.train(None, tmp_path, made)

    with pytest.raises(PartyError, match=r"expected the key pair of|expected it from"):
        train(public_key=tmp_path / "keys" / "public.key")
    with pytest.raises(PartyError, match=r"learning_rate: expected 10, for which the owner of .* has checked"):
        train(learning_rate=5.0)
    with pytest.raises(PartyError, match="expected it from 0000, found it signed by"):
        train(signed_by="0000")
    with pytest.raises(PartyError, match="expected an encrypted data set, found a public key"):
        train(encrypted_data=parties.owner / "keys" / "public.key")
    with pytest.raises(PartyError, match=r"expected an encrypted file, found another \(a private key"):
        train(public_key=parties.owner / "keys" / "private.key")
    (tmp_path / "theirs").mkdir()
    model = Path(shutil.copy(parties.trainer / "m.enc", tmp_path / "theirs"))
    with pytest.raises(PartyError, match=r"expected a model for the key pair .*, found one for"):
        decrypted(Parties(tmp_path, tmp_path, {}), model, test=None)
    with pytest.raises(PartyError, match="a key pair serves one job, so choose another --keys_dir"):
        commands.encrypt_dataset(None, tmp_path, options)
    with pytest.raises(PartyError, match=r"iteration 2 would reach .*: lower learning_rate from 50 to"):
        changed = {"learning_rate": 50.0, "keys_dir": tmp_path / "more"}
        commands.encrypt_dataset(None, tmp_path, options.model_copy(update=changed))
    assert not (tmp_path / "more").exists()  # nothing was made before the twin had been run


def table(classes: np.ndarray) -> LabelledTable:
    features, _ = load_breast_cancer(return_X_y=True)
    return LabelledTable(features[: len(classes)], classes.astype(np.int64), ("0", "1"))


def make(folder: Path, classes: np.ndarray) -> bytes:
    choices = Choices(Logistic(4.0, 1), 7, 0.01, 4.0)
    encrypt(table(classes), folder / "x.enc", folder / "keys", choices, None, lambda _: None)
    return (folder / "x.enc").read_bytes()


def labels_in(content: bytes, classes: np.ndarray) -> int:
    """How many labels stand in a file, as any of the ways in which arrays are stored. The attack on a published
    package, which kept the labels beside the encrypted features.
    """
    forms = [classes.astype(kind).tobytes() for kind in ("u1", "<i4", "<i8", "<f4", "<f8")]
    forms += [(2 * classes - 1).astype(kind).tobytes() for kind in ("i1", "<i4", "<i8", "<f4", "<f8")]
    forms += [np.packbits(classes.astype(bool)).tobytes(), "".join(map(str, classes.tolist())).encode()]
    return len(classes) if any(form in content for form in forms) else 0


def test_labels_are_nowhere_in_the_file(tmp_path: Path) -> None:
    classes = load_breast_cancer(return_X_y=True)[1][:60]
    content = make(tmp_path / "a", classes)
    flipped = make(tmp_path / "b", 1 - classes)
    assert len(content) == len(flipped)
    first, _ = read_header(tmp_path / "a" / "x.enc")
    second, _ = read_header(tmp_path / "b" / "x.enc")
    hidden = {"key_id", "creator", "preparation"}  # the last one is a digest of random bytes, too
    assert {n: v for n, v in vars_of(first).items() if n not in hidden} == {
        n: v for n, v in vars_of(second).items() if n not in hidden
    }
    assert labels_in(content, classes) == labels_in(flipped, 1 - classes) == 0
    beside = tmp_path / "beside.npz"
    np.savez(beside, features=np.frombuffer(content, np.uint8), labels=classes)
    assert labels_in(beside.read_bytes(), classes) == 60


def vars_of(header: Any) -> dict[str, Any]:
    return {name: getattr(header, name) for name in header.__struct_fields__}
