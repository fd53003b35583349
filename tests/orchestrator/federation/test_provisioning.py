"""A member's key stays where it was made, and only the federation's authority makes a certificate of it."""

from __future__ import annotations

import datetime
import os
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as elliptic
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from orchestrator.federation.authority import Authority, CertificateError, fingerprint, key_fingerprint, read_request
from orchestrator.federation.identity import Identity
from orchestrator.federation.state import MemberFolder, state_folder
from parties.frame.certificates import common_name, make_authority, pem, sign_party
from parties.frame.members import Federation
from parties.frame.private_files import make_private_folder

FEDERATION = Federation.model_validate({
    "name": "clinics",
    "members": [
        {"name": "trustee", "role": "keeper", "host": "10.0.0.1", "port": 7100},
        {"name": "clinic-a", "role": ["owner", "asker"], "host": "10.0.0.2", "port": 7100},
    ],
})  # fmt: skip


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.make(make_private_folder(tmp_path / "authority"), FEDERATION)


def identity(tmp_path: Path, name: str = "clinic-a") -> Identity:
    return Identity(name, MemberFolder(make_private_folder(tmp_path / name)))


def joined(tmp_path: Path, authority: Authority, name: str = "clinic-a") -> Identity:
    member = identity(tmp_path, name)
    path, _ = member.request()
    member.install(authority.approve(path.read_bytes()), fingerprint(authority.certificate))
    return member


def test_two_members_that_joined_shake_hands(tmp_path: Path, authority: Authority) -> None:
    near, far = joined(tmp_path, authority), joined(tmp_path, authority, "trustee")
    assert shake_hands(near.folder, far.folder, "trustee") == ("clinic-a", "trustee")


def test_the_private_key_is_in_the_members_folder_alone(tmp_path: Path, authority: Authority) -> None:
    member = joined(tmp_path, authority)
    secret = b"".join(member.folder.key.read_bytes().splitlines()[1:-1])
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if secret in path.read_bytes().replace(b"\n", b"")] == [member.folder.key]
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o600"}


def test_what_the_member_and_the_coordinator_compare_by_voice_is_the_same(tmp_path: Path) -> None:
    path, said = identity(tmp_path).request()
    name, key = read_request(path.read_bytes())
    assert (name, key_fingerprint(key)) == ("clinic-a", said)


def test_asking_again_keeps_the_key_so_that_the_first_answer_fits(tmp_path: Path, authority: Authority) -> None:
    member = identity(tmp_path)
    first = member.request()[0].read_bytes()
    member.request()
    member.install(authority.approve(first), fingerprint(authority.certificate))
    assert member.days_left() == pytest.approx(180, abs=0.1)


def test_a_certificate_is_renewed_with_another_key(tmp_path: Path, authority: Authority) -> None:
    member = joined(tmp_path, authority)
    old = member.folder.key.read_bytes(), member.folder.certificate.read_bytes()
    path, _ = member.request()
    assert (member.folder.key.read_bytes(), member.folder.certificate.read_bytes()) == old  # which serve meanwhile
    member.install(authority.approve(path.read_bytes()), fingerprint(authority.certificate))
    assert member.folder.key.read_bytes() != old[0]
    assert not member.folder.next_key.exists()
    assert [one.name for one in authority.issued()] == ["clinic-a", "clinic-a"]


def test_another_authoritys_fingerprint_is_refused_and_nothing_changes(tmp_path: Path, authority: Authority) -> None:
    other = Authority.make(make_private_folder(tmp_path / "other"), FEDERATION)
    member = identity(tmp_path)
    bundle = other.approve(member.request()[0].read_bytes())
    with pytest.raises(CertificateError, match=f"expected {fingerprint(authority.certificate)}, found"):
        member.install(bundle, fingerprint(authority.certificate))
    assert not member.folder.certificate.exists()
    assert not member.folder.authority.exists()


def test_a_bundle_whose_certificate_another_authority_signed_is_refused(tmp_path: Path, authority: Authority) -> None:
    other = Authority.make(make_private_folder(tmp_path / "other"), FEDERATION)
    member = identity(tmp_path)
    request = member.request()[0].read_bytes()
    mixed = pem(x509.load_pem_x509_certificates(other.approve(request))[0])
    mixed += pem(authority.certificate) + pem(authority.revocation_list())
    with pytest.raises(CertificateError, match="expected one that this authority signed"):
        member.install(mixed, fingerprint(authority.certificate))
    assert not member.folder.certificate.exists()


def test_a_certificate_for_another_key_or_member_is_refused(tmp_path: Path, authority: Authority) -> None:
    member, thief = identity(tmp_path), identity(tmp_path / "elsewhere")
    bundle = authority.approve(member.request()[0].read_bytes())
    thief.request()
    with pytest.raises(CertificateError, match="found one for another key"):
        thief.install(bundle, fingerprint(authority.certificate))
    with pytest.raises(CertificateError, match="expected one for trustee, found one for clinic-a"):
        identity(tmp_path, "trustee").install(bundle, fingerprint(authority.certificate))


def test_requests_that_cannot_be_used_are_refused_by_name(tmp_path: Path, authority: Authority) -> None:
    stranger, _ = identity(tmp_path, "stranger").request()
    with pytest.raises(CertificateError, match=r"expected a member of clinics \(trustee, clinic-a\), found 'stranger'"):
        authority.approve(stranger.read_bytes())
    with pytest.raises(CertificateError, match="expected a certificate request"):
        authority.approve(b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n")
    other_curve = x509.CertificateSigningRequestBuilder().subject_name(common_name("clinic-a"))
    with pytest.raises(CertificateError, match="expected an Ed25519 key, found"):
        authority.approve(pem(other_curve.sign(elliptic(SECP256R1()), SHA256())))
    with pytest.raises(CertificateError, match="expected at most 65536 bytes"):
        authority.approve(b"A" * 70_000)
    own, _ = identity(tmp_path).request()
    changed = bytearray(x509.load_pem_x509_csr(own.read_bytes()).public_bytes(_der()))
    changed[-1] ^= 1
    with pytest.raises(CertificateError, match="expected a signature by its own key"):
        authority.approve(pem(x509.load_der_x509_csr(bytes(changed))))
    assert authority.issued() == []


def test_a_second_authority_in_the_same_folder_is_refused(authority: Authority) -> None:
    before = authority.certificate
    with pytest.raises(CertificateError, match="a second would disown the first"):
        Authority.make(authority.folder, FEDERATION)
    assert authority.certificate == before


def test_a_revoked_member_is_on_the_list_and_its_bundle_cannot_be_installed(
    tmp_path: Path, authority: Authority
) -> None:
    member, other = joined(tmp_path, authority), joined(tmp_path, authority, "trustee")
    certificate = x509.load_pem_x509_certificate(member.folder.certificate.read_bytes())
    assert authority.revoke("clinic-a")[0].serial == f"{certificate.serial_number:x}"
    assert other.install_revoked(pem(authority.revocation_list())) == 1
    assert [one.name for one in authority.issued() if one.revoked] == ["clinic-a"]
    again = pem(certificate) + pem(authority.certificate) + pem(authority.revocation_list())
    with pytest.raises(CertificateError, match="found it among the revoked"):
        member.install(again, fingerprint(authority.certificate))
    with pytest.raises(CertificateError, match="found none"):
        authority.revoke("clinic-a")


def test_an_older_or_foreign_list_does_not_bring_a_revoked_member_back(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = joined(tmp_path, authority, "trustee")
    joined(tmp_path, authority)
    old = pem(authority.revocation_list())
    authority.revoke("clinic-a")
    later = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(seconds=5)
    with monkeypatch.context() as patch:
        patch.setattr("orchestrator.federation.authority.now", lambda: later)
        new = pem(authority.revocation_list())
    member.install_revoked(new)
    with pytest.raises(CertificateError, match="found an older one"):
        member.install_revoked(old)
    other = Authority.make(make_private_folder(tmp_path / "other"), FEDERATION)
    with pytest.raises(CertificateError, match="found another authority's"):
        member.install_revoked(pem(other.revocation_list()))
    assert member.folder.revoked.read_bytes() == new


def test_a_key_that_others_may_read_is_refused(tmp_path: Path, authority: Authority) -> None:
    path, _ = identity(tmp_path).request()
    os.chmod(authority.folder / "authority-key.pem", 0o640)
    with pytest.raises(CertificateError, match=r"its owner's alone .mode 0600., found mode 0640"):
        authority.approve(path.read_bytes())


def test_a_certificate_never_outlives_its_authority() -> None:
    key = Ed25519PrivateKey.generate()
    authority = make_authority("short", key, datetime.timedelta(days=1))
    party = sign_party("clinic-a", key.public_key(), authority, key, datetime.timedelta(days=30))
    assert party.not_valid_after_utc <= authority.not_valid_after_utc


def test_state_does_not_depend_on_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    first = state_folder("game", "clinics", "clinic-a")
    monkeypatch.chdir(make_private_folder(tmp_path / "elsewhere"))
    assert state_folder("game", "clinics", "clinic-a") == first == tmp_path / "state/game/clinics/clinic-a"
    assert first.stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_folder("game", "clinics", "clinic-a") == tmp_path / ".local/state/game/clinics/clinic-a"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"members": [{"name": "a", "role": "x"}]}, "at least 2"),
        ({"members": [{"name": "a", "role": "x"}, {"name": "a", "role": "y"}]}, "expected each name once, found a"),
        ({"members": [{"name": "authority", "role": "x"}, {"name": "b", "role": "y"}]}, "other names than"),
        ({"members": [{"name": "A b", "role": "x"}, {"name": "b", "role": "y"}]}, "expected 1 to 63 small letters"),
        ({"members": [{"name": "a", "role": "x", "host": "h"}, {"name": "b", "role": "y"}]}, "both host and port"),
        ({"members": [{"name": "a", "role": [], "host": "h"}, {"name": "b", "role": "y"}]}, "at least 1"),
        (
            {
                "members": [
                    {"name": "a", "role": "x", "host": "h", "port": 1},
                    {"name": "b", "role": "y", "host": "h", "port": 1},
                ]
            },
            "an address each, found h:1 twice",
        ),
    ],
)
def test_a_federation_that_contradicts_itself_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Federation.model_validate({"name": "clinics", **change})


def _der() -> object:
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.DER


def shake_hands(near: MemberFolder, far: MemberFolder, expected: str) -> tuple[str, str]:
    """The names that both sides see of each other."""
    to_near, to_far = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context(near, ssl.PROTOCOL_TLS_CLIENT).wrap_bio(to_near, to_far, server_hostname=expected)
    server = context(far, ssl.PROTOCOL_TLS_SERVER).wrap_bio(to_far, to_near, server_side=True)
    waiting = {client, server}
    for _ in range(10):
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.discard(side)
            except ssl.SSLWantReadError:
                pass
    assert not waiting
    return name_of(server), name_of(client)


def context(folder: MemberFolder, purpose: int) -> ssl.SSLContext:
    made = ssl.SSLContext(purpose)
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    made.load_verify_locations(folder.authority)
    made.load_cert_chain(folder.certificate, folder.key)
    return made


def name_of(side: ssl.SSLObject) -> str:
    certificate = side.getpeercert()
    assert certificate is not None
    return certificate["subjectAltName"][0][1]
