"""A file comes back as it was written, and every change of it is refused in a sentence."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mpc.encrypted.packing import Packing
from mpc.encrypted.programs.logistic import Logistic
from mpc.encrypted.training import Job
from parties.encrypted import container
from parties.encrypted.container import (
    FileError,
    Header,
    fingerprint,
    public_bytes,
    read_container,
    read_header,
    write_container,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


def header(**more: object) -> Header:
    fields: dict[str, object] = {
        "kind": "data", "version": container.VERSION, "parameters": "small", "parameters_digest": "00", "key_id": "11",
        "algorithm": "logistic", "records": 512, "features": 16, "targets": 1, "rate": 4.0, "iterations": 3,
        "degree": 3, "source": "", "parts": (), "creator": "",
    }  # fmt: skip
    return Header(**(fields | more))  # type: ignore[arg-type]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(container, "CHUNK_BYTES", 100)
    path = tmp_path / "x.enc"
    write_container(path, header(), {"first": os.urandom(130), "second": b"", "third": os.urandom(125)}, KEY)
    return path


def test_a_file_comes_back(written: Path) -> None:
    found = read_container(written, "data", signed_by=fingerprint(public_bytes(KEY)))
    assert [len(part) for part in found.parts.values()] == [130, 0, 125]
    assert list(found.parts) == ["first", "second", "third"]
    assert found.header.chunks == 3
    assert found.header.content_bytes == 255
    assert read_header(written) == (found.header, written.stat().st_size)
    assert repr(found) == "Container(data, parts=3)"
    again = written.with_name("again.enc")
    assert write_container(again, header(), found.parts, KEY) == found.digest
    assert again.read_bytes() == written.read_bytes()


def test_every_changed_byte_is_refused(written: Path) -> None:
    content = written.read_bytes()
    for place in range(len(content)):
        written.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(FileError):
            read_container(written, "data")
    (size,) = struct.unpack("<I", content[8:12])
    place = 12 + size + 140 + 40 + 5  # the sixth byte of the second chunk
    written.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(FileError, match="expected chunk 1 as its digest says, found it changed"):
        read_container(written, "data")


def test_every_cut_and_what_is_appended_is_refused(written: Path) -> None:
    content = written.read_bytes()
    for length in range(len(content)):
        written.write_bytes(content[:length])
        with pytest.raises(FileError, match="it is cut short"):
            read_container(written, "data")
    written.write_bytes(content + b"x")
    with pytest.raises(FileError, match="expected its end after the signature, found more"):
        read_container(written, "data")


def test_swapped_chunks_are_refused(written: Path) -> None:
    content = written.read_bytes()
    (size,) = struct.unpack("<I", content[8:12])
    start, chunk = 12 + size, 8 + 32 + 100
    first, second = content[start : start + chunk], content[start + chunk : start + 2 * chunk]
    written.write_bytes(content[:start] + second + first + content[start + 2 * chunk :])
    with pytest.raises(FileError, match="expected chunk 0 of 100 bytes, found chunk 1 of 100"):
        read_container(written, "data")
    relabelled = struct.pack("<I", 0) + second[4:] + struct.pack("<I", 1) + first[4:]
    written.write_bytes(content[:start] + relabelled + content[start + 2 * chunk :])
    with pytest.raises(FileError, match="expected the digest over all of it, found another"):
        read_container(written, "data")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"version": 4}, "expected a file of version 5, found 4: use the same release"),
        ({"kind": "model"}, "expected an encrypted data set, found a trained model, encrypted"),
        ({"kind": "secret"}, "expected a header in its one form, found another"),
        ({"algorithm": "\x1b[31mlogistic"}, "expected a header in its one form, found another"),
        ({"key_id": "\x1b]0;title\x07"}, "expected a header in its one form, found another"),
        ({"extractor": "\x1b[2J"}, "expected a header in its one form, found another"),
        ({"preparation": "\x1b[2J"}, "expected a header in its one form, found another"),
        ({"source": "\x1b[2J"}, "expected a header in its one form, found another"),
        ({"parameters": "\x1b[2J"}, "expected a header in its one form, found another"),
        ({"parameters_digest": "\x1b[2J"}, "expected a header in its one form, found another"),
    ],
)
def test_another_kind_or_version_is_refused(tmp_path: Path, change: dict[str, object], sentence: str) -> None:
    path = tmp_path / "x.enc"
    write_container(path, header(**change), {"a": b"b"}, KEY)
    with pytest.raises(FileError, match=sentence):
        read_container(path, "data")


def test_the_version_counts_the_layouts() -> None:
    """Whoever changes what a file says or holds counts `VERSION` up, so that a reader refuses the other layout by it.

    Version 5 has `extractor` and `preparation`, and the weights after the first iteration in rows of the records.
    """
    assert Header.__struct_fields__ == (
        "kind", "version", "parameters", "parameters_digest", "key_id", "algorithm", "records", "features", "targets",
        "rate", "iterations", "degree", "regularisation", "largest", "extractor", "preparation", "owners", "share",
        "pooled", "creators", "source", "parts", "creator",
    )  # fmt: skip
    job = Job.of(455, 16, Logistic(4.0, 3, 3))
    assert [Packing.fit(records, 16, 8192).records for records in (480, 481)] == [512, 1024]
    assert job.record_sizes() == {"records 0 0": 686_248}
    assert [name for name in job.key_sizes() if name.startswith("rotation")][-2:] == ["rotation 4096", "rotation 7681"]
    assert job.weight_sizes() == {"weights 0": 192_680}
    assert container.VERSION == 5


def test_an_unknown_field_and_another_form_are_refused(written: Path) -> None:
    content = written.read_bytes()
    (size,) = struct.unpack("<I", content[8:12])
    fields = msgspec.json.decode(content[12 : 12 + size])
    for changed in (msgspec.json.encode(fields | {"more": 1}), content[12 : 12 + size] + b" "):
        written.write_bytes(content[:8] + struct.pack("<I", len(changed)) + changed + content[12 + size :])
        with pytest.raises(FileError, match="expected a header in its one form, found another"):
            read_container(written, "data")


def test_another_signer_is_refused(written: Path) -> None:
    other = fingerprint(public_bytes(Ed25519PrivateKey.generate()))
    with pytest.raises(FileError, match=f"expected it from {other}, found it signed by"):
        read_container(written, "data", signed_by=other)
    content = written.read_bytes()
    written.write_bytes(content[:-64] + Ed25519PrivateKey.generate().sign(container._SIGNED + content[-96:-64]))
    with pytest.raises(FileError, match="expected the signature of"):
        read_container(written, "data")


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.enc"
    with pytest.raises(FileError, match="found none that can be read"):
        read_container(path, "data")
    path.write_bytes(b'{"kind": "capc private key"}')
    with pytest.raises(FileError, match="found another \\(a private key"):
        read_container(path, "data")
    deep = b'{"version":5,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    path.write_bytes(b"CAPCENC1" + struct.pack("<I", len(deep)) + deep)
    for read in (lambda: read_container(path, "data"), lambda: read_header(path)):
        with pytest.raises(FileError, match="expected a header in its one form"):
            read()
    path.write_bytes(b"CAPCENC1" + struct.pack("<I", 2**31))
    with pytest.raises(FileError, match="expected a header of at most"):
        read_container(path, "data")
