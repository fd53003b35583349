"""Each party gets a certificate that its peers can check, and nobody can make another."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import ExtensionOID

from orchestrator import certificates
from parties.frame.private_files import make_private_folder

NAMES = ("first", "second-0")


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    found = {name: make_private_folder(tmp_path / name) for name in NAMES}
    certificates.issue("a-run", list(found.items()))
    return found


def context(folder: Path, purpose: int) -> ssl.SSLContext:
    made = ssl.SSLContext(purpose)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    made.load_verify_locations(folder / "ca.pem")
    made.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return made


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, expected: str) -> str:
    """The client's name as the server sees it; raises what the client or the server raises."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname=expected)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    done: set[ssl.SSLObject] = set()
    for _ in range(10):
        for side in (near, far):
            if side not in done:
                try:
                    side.do_handshake()
                    done.add(side)
                except ssl.SSLWantReadError:
                    pass
    assert len(done) == 2
    certificate = far.getpeercert()
    assert certificate is not None
    return dict(pair[0] for pair in certificate["subject"])["commonName"]


def test_a_key_may_be_used_for_one_purpose_alone(folders: dict[str, Path]) -> None:
    """The authority's signs certificates and lists of revoked ones, a party's signs handshakes."""
    for file, allowed in (("ca.pem", {"key_cert_sign", "crl_sign"}), ("certificate.pem", {"digital_signature"})):
        usage = x509.load_pem_x509_certificate(
            (folders["first"] / file).read_bytes()
        ).extensions.get_extension_for_class(x509.KeyUsage)
        assert usage.critical
        names = (
            "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
            "key_cert_sign", "crl_sign",
        )  # fmt: skip
        assert {name for name in names if getattr(usage.value, name)} == allowed


def test_two_parties_of_a_run_accept_each_other(folders: dict[str, Path]) -> None:
    client = context(folders["first"], ssl.PROTOCOL_TLS_CLIENT)
    server = context(folders["second-0"], ssl.PROTOCOL_TLS_SERVER)
    assert shake_hands(client, server, "second-0") == "first"


def test_a_party_cannot_pass_for_another(folders: dict[str, Path]) -> None:
    client = context(folders["first"], ssl.PROTOCOL_TLS_CLIENT)
    server = context(folders["first"], ssl.PROTOCOL_TLS_SERVER)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(client, server, "second-0")


def test_a_party_of_another_run_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    stranger = make_private_folder(tmp_path / "elsewhere")
    certificates.issue("another-run", [("second-0", stranger)])
    client = context(folders["first"], ssl.PROTOCOL_TLS_CLIENT)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(client, context(stranger, ssl.PROTOCOL_TLS_SERVER), "second-0")
    server = context(folders["second-0"], ssl.PROTOCOL_TLS_SERVER)
    visitor = context(stranger, ssl.PROTOCOL_TLS_CLIENT)
    visitor.load_verify_locations(folders["first"] / "ca.pem")  # it would talk to anybody
    with pytest.raises(ssl.SSLError):
        shake_hands(visitor, server, "second-0")


def test_a_party_cannot_sign_certificates(folders: dict[str, Path]) -> None:
    certificate = x509.load_pem_x509_certificate((folders["first"] / "certificate.pem").read_bytes())
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    names = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    assert isinstance(names, x509.SubjectAlternativeName)
    assert names.get_values_for_type(x509.DNSName) == ["first"]
    assert isinstance(certificate.public_key(), Ed25519PublicKey)


def test_only_a_partys_own_key_is_on_disk(folders: dict[str, Path], tmp_path: Path) -> None:
    for folder in folders.values():
        assert sorted(path.name for path in folder.iterdir()) == ["ca.pem", "certificate.pem", "key.pem"]
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    keys = [path for path in tmp_path.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert sorted(keys) == sorted(folder / "key.pem" for folder in folders.values())
    assert len({key.read_bytes() for key in keys}) == len(NAMES)
    assert (folders["first"] / "ca.pem").read_bytes() == (folders["second-0"] / "ca.pem").read_bytes()
