"""How a federation's certificates come about, by commands. No private key leaves the machine that it was made on.

coordinator                          member
init                                 request           a key, and a request for its certificate
approve  <-------------------------  request.csr       its fingerprint is compared by voice
         ------------------------->  install           the authority's fingerprint came by another way
cert revoke  -- revoked.pem ------>  cert update
"""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Sequence
from pathlib import Path

from orchestrator.federation.authority import Authority, check_fingerprint, fingerprint, key_fingerprint, read_request
from orchestrator.federation.behalf import Protocols, member_flags, membership_of
from orchestrator.federation.identity import Identity
from orchestrator.federation.shared import Shared, read_shared
from orchestrator.federation.state import state_folder
from orchestrator.flags import FlagParser
from parties.frame.certificates import pem
from parties.frame.errors import ConfigError
from parties.frame.members import AUTHORITY
from parties.frame.private_files import write_private

_LARGEST = 1 << 20  # bytes of a file that somebody sent


def init(protocols: Protocols, arguments: Sequence[str], name: str) -> int:
    """Make the authority of a federation."""
    parser = FlagParser(name, "Make the authority of a federation, on the coordinator's machine.", command="FILE ")
    parser.add_argument("file", type=Path, metavar="FILE", help="the file that all members share")
    _add_dir(parser)
    given = parser.parse_args(arguments)
    shared = read_shared(given.file, protocols)
    authority = Authority.make(_folder(shared, given.dir), shared.federation)
    print(f"The authority of {shared.federation.name} is in {authority.folder}. Its key stays there.")
    print(f"Its fingerprint, for every member to compare: {fingerprint(authority.certificate)}")
    return 0


def request(protocols: Protocols, arguments: Sequence[str], name: str) -> int:
    """Make a key, and a request for its certificate."""
    parser = member_flags(name, "Make a key, which stays in the member's folder, and a request for its certificate.")
    parser.add_argument("--out", type=Path, default=None, metavar="FILE", help="write the request here as well")
    given = parser.parse_args(arguments)
    membership = membership_of(protocols, given)
    path, key = Identity(membership.name, membership.folder).request()
    if given.out is not None:
        write_private(given.out, path.read_bytes())
        path = given.out
    print(f"Send this file to the coordinator: {path}")
    print(f"Its fingerprint, for the coordinator to compare: {key}")
    return 0


def approve(protocols: Protocols, arguments: Sequence[str], name: str) -> int:
    """Sign a member's request."""
    parser = _authority_flags(name, "Sign a member's request, on the coordinator's machine.")
    parser.add_argument("request", type=Path, metavar="REQUEST", help="the file that the member sent")
    parser.add_argument(
        "--fingerprint", required=True, metavar="HEX", help="of the request, as the member says it by another way"
    )
    parser.add_argument("--out", type=Path, default=None, metavar="FILE", help="where to write (default NAME.crt)")
    given = parser.parse_args(arguments)
    authority = _authority(protocols, given)
    content = _read(given.request)
    member, key = read_request(content)
    check_fingerprint(f"request of {member}", given.fingerprint, key_fingerprint(key), "the member")
    bundle = authority.approve(content)
    out = given.out or Path(f"{member}.crt")
    write_private(out, bundle)
    print(f"Send this file to {member}: {out}")
    print(f"The authority's fingerprint, for {member} to compare: {fingerprint(authority.certificate)}")
    return 0


def install(protocols: Protocols, arguments: Sequence[str], name: str) -> int:
    """Put a certificate into place."""
    parser = member_flags(name, "Check what the coordinator sent, and put it into place.")
    parser.add_argument("bundle", type=Path, metavar="FILE", help="the file that the coordinator sent")
    parser.add_argument(
        "--fingerprint",
        required=True,
        metavar="HEX",
        help="of the authority, as the coordinator says it by another way",
    )
    given = parser.parse_args(arguments)
    membership = membership_of(protocols, given)
    certificate = Identity(membership.name, membership.folder).install(_read(given.bundle), given.fingerprint)
    print(f"{membership.name} has a certificate until {certificate.not_valid_after_utc:%Y-%m-%d}.")
    return 0


def listed(protocols: Protocols, arguments: Sequence[str], name: str) -> int:
    """List the certificates that the authority signed."""
    given = _authority_flags(name, "List the certificates that the authority signed.").parse_args(arguments)
    now = datetime.datetime.now(datetime.timezone.utc).timestamp()
    for one in _authority(protocols, given).issued():
        until = datetime.datetime.fromtimestamp(one.until, datetime.timezone.utc)
        state = "revoked" if one.revoked else "ended" if one.until <= now else f"{(one.until - now) / 86400:.0f} days"
        print(f"{one.name:24} until {until:%Y-%m-%d}  {state:10}  {one.fingerprint}")
    return 0


def revoke(protocols: Protocols, arguments: Sequence[str], name: str) -> int:
    """Revoke all certificates of a member."""
    parser = _authority_flags(name, "Revoke all certificates of a member, and write the list for all others.")
    parser.add_argument("member", metavar="MEMBER", help="the member's name")
    parser.add_argument("--out", type=Path, default=Path("revoked.pem"), metavar="FILE", help="default revoked.pem")
    given = parser.parse_args(arguments)
    authority = _authority(protocols, given)
    gone = authority.revoke(given.member)
    write_private(given.out, pem(authority.revocation_list()))
    print(f"Revoked {len(gone)} of {given.member}. Send this file to all others, for `cert update`: {given.out}")
    return 0


def update(protocols: Protocols, arguments: Sequence[str], name: str) -> int:
    """Install a newer list of revoked certificates, which counts from the next connection on."""
    parser = member_flags(name, "Install a newer list of revoked certificates. It counts from the next connection on.")
    parser.add_argument("list", type=Path, metavar="FILE", help="the list that the coordinator sent")
    given = parser.parse_args(arguments)
    membership = membership_of(protocols, given)
    count = Identity(membership.name, membership.folder).install_revoked(_read(given.list))
    print(f"The list that is in place names {count} revoked certificates.")
    return 0


def _add_dir(parser: FlagParser) -> None:
    parser.add_argument(
        "--dir", type=Path, default=None, metavar="DIR", help="the authority's folder (default: in $XDG_STATE_HOME)"
    )


def _authority_flags(name: str, about: str) -> FlagParser:
    parser = FlagParser(name, about)
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the file that all members share")
    _add_dir(parser)
    return parser


def _authority(protocols: Protocols, given: argparse.Namespace) -> Authority:
    shared = read_shared(given.config, protocols)
    return Authority(_folder(shared, given.dir), shared.federation)


def _folder(shared: Shared, chosen: Path | None) -> Path:
    return state_folder(shared.protocol.name, shared.federation.name, AUTHORITY, chosen)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"expected a file {path}, found {error.strerror}.") from error
    if len(content) > _LARGEST:
        raise ConfigError(f"{path}: expected at most {_LARGEST} bytes, found more.")
    return content
