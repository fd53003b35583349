"""The certificate by which a party shows its name, and what it demands of the other side's certificate.

A run has an authority of its own, which signs the certificate of every party. A party's name is the one DNS name in its
certificate.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL, crypto

from mpc.errors import RefusedError, TransportError

_PARTIAL_WRITES = 1  # SSL_MODE_ENABLE_PARTIAL_WRITE, which would take a call from Python for every record
_LIBRARY = Binding()  # OpenSSL, by its C names
_DATES = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
_ALERTS = {
    "bad certificate": "this party's certificate is not valid, or not yet",
    "certificate expired": "this party's certificate has expired",
    "certificate required": "this party showed no certificate",
    "certificate revoked": "this party's certificate has been revoked",
    "decrypt error": "this party's certificate is not signed by the authority of the peer's run",
    "protocol version": "it speaks another version of TLS",
    "unknown ca": "this party's certificate is not from the authority of the peer's run",
}


@dataclass(frozen=True)
class Credentials:
    """Paths of what a party shows, and of what it judges others by.

    Attributes:
        certificate, key: the party's own certificate and its private key.
        authority: the certificate of the run's or federation's authority.
        revoked: the authority's list of revoked certificates (RFC 5280, section 5), or None where it keeps none.
    """

    certificate: Path
    key: Path
    authority: Path
    revoked: Path | None = None

    def context(self) -> SSL.Context:
        """Return a TLS 1.3 context that demands a certificate of the other side which the authority has signed.

        The name in that certificate is not checked here, see :func:`peer_name`.

        Raises:
            TransportError: a file is missing, or does not fit the others.
        """
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(SSL.TLS1_3_VERSION)
        context.set_tls13_ciphersuites(b"TLS_AES_128_GCM_SHA256")
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_options(SSL.OP_NO_TICKET)
        context.clear_mode(_PARTIAL_WRITES)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _judge)
        try:
            context.load_verify_locations(str(self.authority))
            context.use_certificate_chain_file(str(self.certificate))
            context.use_privatekey_file(str(self.key))
            context.check_privatekey()
            if self.revoked is not None:
                if (store := context.get_cert_store()) is None:
                    raise ValueError("OpenSSL has no store for a list of revoked certificates")
                store.add_crl(x509.load_pem_x509_crl(self.revoked.read_bytes()))
                store.set_flags(crypto.X509StoreFlags.CRL_CHECK)
        except (SSL.Error, crypto.Error, OSError, ValueError) as error:
            raise TransportError(
                f"cannot use the credentials beside {self.certificate} ({reason_of(error)})"
            ) from error
        return context


def _judge(connection: SSL.Connection, certificate: crypto.X509, error: int, _: int, good: int) -> bool:
    """Return the library's own verdict on a certificate of the other side's chain, and keep the words of a bad one.

    OpenSSL calls this function. An exception could come out of another connection, so there is none.
    """
    if not good:
        words = _LIBRARY.ffi.string(_LIBRARY.lib.X509_verify_cert_error_string(error)).decode()
        dates = f", valid from {_date(certificate.get_notBefore())} to {_date(certificate.get_notAfter())}"
        connection.set_app_data(words + (dates if error in _DATES else ""))
    return bool(good)


def _date(generalized: bytes | None) -> str:
    """Return a date of a certificate, such as ``20261128211400Z``, for a reader. Any bytes will do."""
    digits = (generalized or b"").decode("ascii", "replace")
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]} {digits[8:10]}:{digits[10:12]} UTC"


def handshake_error(error: SSL.Error | OSError, connection: SSL.Connection, peer: str, step: str) -> TransportError:
    """Return this layer's error for one that ended a TLS handshake.

    It is a :class:`~mpc.errors.RefusedError` unless the connection merely broke.
    """
    if fault := connection.get_app_data():
        return RefusedError(f"the peer's certificate is refused ({fault})", peer=peer, step=step)
    if refusal := refusal_in(error):
        return RefusedError(refusal, peer=peer, step=step)
    words = f"the TLS handshake failed ({reason_of(error)})"
    if isinstance(error, OSError | SSL.SysCallError | SSL.ZeroReturnError):
        return TransportError(words, peer=peer, step=step)
    return RefusedError(words, peer=peer, step=step)


def refusal_in(error: BaseException) -> str | None:
    """Return a sentence for a TLS alert (RFC 8446, section 6.2) by which the peer refused this party, or None."""
    reasons = error.args[0] if isinstance(error, SSL.Error) and error.args else ()
    for entry in reasons if isinstance(reasons, list) else ():
        _, found, alert = str(entry[-1]).partition(" alert ")
        if found:
            return f"the peer refused this party: {_ALERTS.get(alert, 'it sent a TLS alert')} ('{alert}')"
    return None


def reason_of(error: BaseException) -> str:
    """Return an error in words. The errors of OpenSSL are a list of (library, function, reason)."""
    if isinstance(error, SSL.SysCallError):
        return str(error.args[-1])
    if isinstance(error, SSL.Error) and error.args and isinstance(error.args[0], list):
        return "; ".join(str(entry[-1]) for entry in error.args[0])
    return str(error)


def peer_name(connection: SSL.Connection) -> str:
    """Return the one DNS name in the peer's certificate. Raises RefusedError where there is none, or more than one."""
    certificate = connection.get_peer_certificate(as_cryptography=True)
    if certificate is None:
        raise RefusedError("expected a certificate of the peer, found none", step="connect")
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = extension.value.get_values_for_type(x509.DNSName)
    except (x509.ExtensionNotFound, ValueError):
        names = []
    if len(names) != 1:
        raise RefusedError(f"expected one DNS name in the peer's certificate, found {len(names)}", step="connect")
    return names[0]
