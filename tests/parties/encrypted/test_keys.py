"""Private keys are for their owner alone, and a key pair releases one result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from mpc.encrypted.training import owner_make_secret
from parties.encrypted import keys
from parties.encrypted.container import FileError
from parties.encrypted.keys import (
    KeyFileError,
    KeyJob,
    PrivateKey,
    Release,
    check_key_id,
    read_passphrase,
    read_private_key,
    record_release,
    signing_key,
    write_private_key,
)

JOB = KeyJob(
    parameters="small", parameters_digest="00", algorithm="logistic", records=512, features=16, targets=1, rate=4.0,
    iterations=3, degree=3, regularisation=0.0, largest=0.0, extractor="", preparation="ef" * 32, source="cd" * 32,
)  # fmt: skip
KEY = PrivateKey(bytes(range(32)), JOB, "ab" * 16)


def test_a_key_comes_back_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "private.key"
    write_private_key(path, KEY)
    assert read_private_key(path) == KEY
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert KEY.seed.hex() not in repr(KEY)
    with pytest.raises(KeyFileError, match="expected no private key yet, found one: a key pair serves one job"):
        write_private_key(path, KEY)
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="expected a file that only its owner can read"):
        read_private_key(path)


def test_a_passphrase_seals_the_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_SCRYPT_COST", 1 << 10)
    path = tmp_path / "private.key"
    with pytest.raises(KeyFileError, match="passphrase: expected at least 8 characters, found 3"):
        write_private_key(path, KEY, "abc")
    write_private_key(path, KEY, "correct horse")
    assert KEY.seed.hex().encode() not in path.read_bytes()
    assert read_private_key(path, "correct horse") == KEY
    with pytest.raises(KeyFileError, match="expected the key's passphrase, found another"):
        read_private_key(path, "correct house")
    with pytest.raises(KeyFileError, match=r"expected the key's passphrase \(--passphrase_file\), found none"):
        read_private_key(path)
    sealed = path.read_bytes()
    for one, other in ((b'"small"', b'"large"'), (b'"logistic"', b'"squared"'), (b'"iterations":3', b'"iterations":2')):
        path.write_bytes(sealed.replace(one, other))
        with pytest.raises(KeyFileError, match="or the file was changed"):
            read_private_key(path, "correct horse")
    path.write_bytes(path.read_bytes().replace(b'"cost":1024', b'"cost":1073741824'))
    with pytest.raises(KeyFileError, match="expected a cost of scrypt of at most 1048576, found 1073741824"):
        read_private_key(path, "correct horse")


@pytest.mark.parametrize("content", [b"", b"\x00", b"{}", b'{"kind":"x","parameters":"small","key_id":"","seed":"00"}'])
def test_another_file_is_no_key_and_its_content_is_not_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "private.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match=r"private.key: expected a private key, found another file$"):
        read_private_key(path)


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_a_key_of_another_release_is_named_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passphrase: str | None
) -> None:
    monkeypatch.setattr(keys, "_SCRYPT_COST", 1 << 10)
    path = tmp_path / "private.key"
    write_private_key(path, KEY, passphrase)
    written = msgspec.json.decode(path.read_bytes())
    before = {name: value for name, value in written["job"].items() if name not in ("extractor", "preparation")}
    jobless = {name: value for name, value in written.items() if name != "job"}
    for older in (written | {"job": before}, written | {"job": written["job"] | {"more": 1}}, jobless):
        path.write_bytes(msgspec.json.encode(older))
        with pytest.raises(KeyFileError, match=r"private.key: expected a private key, found one of another release"):
            read_private_key(path, passphrase)
    path.write_bytes(msgspec.json.encode(written | {"kind": "another"}))
    with pytest.raises(KeyFileError, match=r"found another file$"):
        read_private_key(path, passphrase)


def test_the_seed_is_that_of_the_key_pair() -> None:
    found = owner_make_secret("small", KEY.seed).key_id
    right = found.hex()
    check_key_id(Path("private.key"), replace(KEY, key_id=right), found)
    with pytest.raises(KeyFileError, match=f"expected the seed of the key pair {'ab' * 16}, found that of {right}"):
        check_key_id(Path("private.key"), KEY, found)


def test_a_key_pair_releases_one_result(tmp_path: Path) -> None:
    first = Release("aa" * 32, verified=True)
    record_release(tmp_path, "ab" * 16, first)
    record_release(tmp_path, "ab" * 16, first)  # a crash after the record loses nothing
    record = tmp_path / f"{'ab' * 16}.released"
    assert [*tmp_path.iterdir()] == [record]
    assert record.stat().st_mode & 0o777 == 0o600
    with pytest.raises(
        FileError, match="expected the first release of this key pair, found that it has released anoth"
    ):
        record_release(tmp_path, "ab" * 16, Release("bb" * 32, verified=True))
    with pytest.raises(FileError, match="found that it has released this model's verified twin"):
        record_release(tmp_path, "ab" * 16, Release("aa" * 32, verified=False))
    record_release(tmp_path, "cd" * 16, Release("bb" * 32, verified=True))  # another key pair's
    record.write_bytes(b"")
    with pytest.raises(FileError, match="expected the record of a release, found another file"):
        record_release(tmp_path, "ab" * 16, first)


def test_a_signing_key_is_made_once(tmp_path: Path) -> None:
    made = signing_key(tmp_path / "keys")
    assert signing_key(tmp_path / "keys").private_bytes_raw() == made.private_bytes_raw()
    path = tmp_path / "keys" / "signing.key"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"short")
    with pytest.raises(KeyFileError, match="expected a signing key of 32 bytes, found 5"):
        signing_key(tmp_path / "keys")


def test_a_passphrase_is_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "phrase"
    path.write_text("correct horse\nsecond\n")
    assert read_passphrase(path) == "correct horse"
    assert read_passphrase(None) is None
    path.write_text("\n")
    with pytest.raises(KeyFileError, match="expected a passphrase in its first line, found none"):
        read_passphrase(path)
    with pytest.raises(KeyFileError, match="found no text to read"):
        read_passphrase(tmp_path / "none")
