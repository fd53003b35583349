"""The certificate by which a party shows its name, and what it demands of the other side's certificate.

A run has an authority of its own, which signs the certificate of every party. A party's name is the one DNS name in its
certificate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from OpenSSL import SSL, crypto

from mpc.errors import ProtocolError, TransportError

_PARTIAL_WRITES = 1  # SSL_MODE_ENABLE_PARTIAL_WRITE, which would take a call from Python for every record


@dataclass(frozen=True)
class Credentials:
    """Paths of a party's certificate, of its private key, and of the certificate of the run's authority."""

    certificate: Path
    key: Path
    authority: Path

    def context(self, peer: str | None = None) -> SSL.Context:
        """Return a TLS 1.3 context that demands and verifies the other side's certificate.

        Args:
            peer: the name that the certificate must carry. None accepts any name that the authority signed.

        Raises:
            TransportError: a file is missing, or does not fit the others.
        """
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(SSL.TLS1_3_VERSION)
        context.set_tls13_ciphersuites(b"TLS_AES_128_GCM_SHA256")
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_options(SSL.OP_NO_TICKET)
        context.clear_mode(_PARTIAL_WRITES)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verifier(peer))
        try:
            context.load_verify_locations(str(self.authority))
            context.use_certificate_chain_file(str(self.certificate))
            context.use_privatekey_file(str(self.key))
            context.check_privatekey()
        except SSL.Error as error:
            raise TransportError(
                f"cannot use the credentials beside {self.certificate} ({reason_of(error)})"
            ) from error
        return context


def _verifier(peer: str | None) -> Callable[[SSL.Connection, crypto.X509, int, int, int], bool]:
    """Return the function that OpenSSL calls for every certificate of the other side's chain.

    It gets the library's own verdict. The other side's own certificate comes last, with depth 0.
    """

    def accept(_: SSL.Connection, certificate: crypto.X509, error: int, depth: int, good: int) -> bool:
        if good and depth == 0 and peer is not None:
            found = dns_name(certificate.to_cryptography())
            if found != peer:
                raise ProtocolError.mismatch("peer's certificate", peer, found, step="connect")
        return bool(good)

    return accept


def reason_of(error: BaseException) -> str:
    """Return an error in words. The errors of OpenSSL are a list of (library, function, reason)."""
    if isinstance(error, SSL.Error) and error.args and isinstance(error.args[0], list):
        return "; ".join(str(entry[-1]) for entry in error.args[0])
    return str(error)


def dns_name(certificate: x509.Certificate) -> str:
    """Return the one DNS name in a certificate. Raises ProtocolError where there is none, or more than one."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = extension.value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        names = []
    if len(names) != 1:
        raise ProtocolError.mismatch("one DNS name in the peer's certificate", 1, len(names), step="connect")
    return names[0]
