"""Signed notes, checkpoints and cosignatures in the formats of C2SP, and receipts."""

from __future__ import annotations

import base64

import pytest

from mpc.commons.certificates import check_certificate, check_proposal
from mpc.commons.identities import Identity
from mpc.commons.merkle import leaf_hash
from mpc.commons.notes import (
    COSIGNATURE,
    LOG_SIGNATURE,
    Checkpoint,
    Note,
    SignatureLine,
    Verifier,
    cosign,
    sign_as_log,
)
from mpc.commons.receipts import Receipt
from mpc.errors import ParameterError, ProtocolError
from tests.mpc.commons.setting import Log

# C2SP signed-note, section "Example" (https://c2sp.org/signed-note, CC BY 4.0 or BSD-1-Clause).
VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()


def verifier_of(vkey: str) -> Verifier:
    name, key_id, key = vkey.split("+", 2)
    raw = base64.b64decode(key)
    found = Verifier(name, raw[0], raw[1:])
    assert found.key_id.hex() == key_id
    return found


def test_the_example_of_the_specification_is_valid() -> None:
    verifier, note = verifier_of(VKEY), Note.read(NOTE)
    assert verifier.vkey == VKEY
    assert bytes(note) == NOTE
    assert verifier.has_signed(note.text, note.signatures[0])
    assert not verifier.has_signed(note.text.replace("an", "no"), note.signatures[0])


def test_a_checkpoint_reads_as_it_is_written() -> None:
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    found = Checkpoint.read(text)
    assert (found.origin, found.size, found.text) == ("example.com/behind-the-sofa", 20852163, text)


@pytest.mark.parametrize(
    "text",
    [
        "example.com\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\nextension\n",
        "example.com\n01\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "example.com\n-1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "example.com\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=\n",
        "example.com\n1\nCsUY\n",
        "\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "example.com\n1\n",
    ],
)
def test_other_texts_are_no_checkpoints(text: str) -> None:
    with pytest.raises(ProtocolError):
        Checkpoint.read(text)


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note.replace(b"\n\n", b"\n"),
        lambda note: note[:-1],
        lambda note: note.replace(b"example m", b"example\tm"),
        lambda note: note.replace("— ".encode(), b"- "),
        lambda note: note.replace(b"aQM=", b"aQN="),
        lambda note: note.replace(b"aQM=", b"aQM"),
        lambda note: note + b"\n",
        lambda note: note.replace(b"foo ", b"f+o "),
        lambda note: b"\xff" + note,
    ],
)
def test_other_writings_are_no_notes(change) -> None:
    with pytest.raises(ProtocolError):
        Note.read(change(NOTE))


def test_a_cosignature_covers_its_time_and_its_words() -> None:
    identity, text = Identity(bytes(32)), "example.com\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
    line = cosign(identity, "w1", text, 1679315147)
    verifier = Verifier("w1", COSIGNATURE, identity.key)
    assert verifier.has_signed(text, line)
    later = SignatureLine(line.name, line.key_id, (1679315148).to_bytes(8, "big") + line.signature[8:])
    assert not verifier.has_signed(text, later)
    as_log = Verifier("w1", LOG_SIGNATURE, identity.key)
    assert not as_log.has_signed(text, SignatureLine("w1", as_log.key_id, line.signature[8:]))
    assert not Verifier("w2", COSIGNATURE, identity.key).has_signed(text, line)
    with pytest.raises(ParameterError):
        cosign(identity, "w1", text, 1 << 63)


def test_a_certificate_needs_a_quorum_and_no_line_of_strangers() -> None:
    log = Log()
    log.register_all()
    certificate = Note.read(log.step())
    assert check_certificate(log.founding, certificate).size == log.copy.size
    fewer = Note(certificate.text, certificate.signatures[:3])  # the log's, and two of three that are needed
    assert check_proposal(log.founding, fewer).size == log.copy.size
    with pytest.raises(ProtocolError, match="expected cosignatures of 3 trustees under a checkpoint, found 2"):
        check_certificate(log.founding, fewer)
    twice = fewer.with_signatures([fewer.signatures[1]])
    with pytest.raises(ProtocolError, match="found another line of"):
        check_certificate(log.founding, twice)
    stranger = certificate.with_signatures([sign_as_log(Identity(bytes(32)), "stranger", certificate.text)])
    with pytest.raises(ProtocolError, match="found no valid one of stranger"):
        check_certificate(log.founding, stranger)
    without_log = Note(certificate.text, certificate.signatures[1:])
    with pytest.raises(ProtocolError, match="without the log's own"):
        check_certificate(log.founding, without_log)
    with pytest.raises(ProtocolError, match=r"expected a checkpoint of example.org/clinics/.*, found one of"):
        other = Log(7, 2)
        text = Checkpoint(other.origin, 0, bytes(32)).text
        check_proposal(log.founding, Note(text, (sign_as_log(log.keys[0].log, log.origin, text),)))


def test_a_receipt_shows_one_entry_and_no_other() -> None:
    log = Log()
    log.register_all()
    certificate = Note.read(log.step())
    receipt = Receipt(4, tuple(log.copy.tree.inclusion(4, log.copy.size)), certificate)
    data = bytes(receipt)
    assert data.startswith(b"c2sp.org/tlog-proof@v1\nindex 4\n")
    assert Receipt.read(data) == receipt
    receipt.check(log.founding, log.copy.entries[4])
    with pytest.raises(ProtocolError, match="inclusion proof of entry 4"):
        receipt.check(log.founding, log.copy.entries[5])
    assert leaf_hash(log.copy.entries[4]) == log.copy.tree.leaf(4)


def test_every_byte_of_a_receipt_matters() -> None:
    log = Log()
    log.register_all()
    certificate = Note.read(log.step())
    data = bytes(Receipt(4, tuple(log.copy.tree.inclusion(4, log.copy.size)), certificate))
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(ProtocolError):
            Receipt.read(changed).check(log.founding, log.copy.entries[4])
