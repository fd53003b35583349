"""What would keep a member from taking part, looked for before it does, and how to mend it."""

from __future__ import annotations

import datetime
import hashlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography import x509

from orchestrator.federation.authority import read_certificate, read_private_key
from orchestrator.federation.records import ServiceFolder
from orchestrator.federation.shared import Membership
from orchestrator.federation.signs import DAYS_LEFT
from parties.frame.certificates import now
from parties.frame.errors import PartyError
from parties.frame.plan import RunFolders
from parties.frame.reach import complaint

State = Literal["ok", "warning", "cannot"]

STATUS: dict[State, int] = {"ok": 0, "warning": 1, "cannot": 2}
"""The exit status of each, of which the worst counts."""

_MEMORY, _DISK, _LEAST_DISK = 1 << 30, 1 << 30, 50 << 20  # bytes
_REACH_S = 8.0


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was found, and how to mend it where that is needed."""

    state: State
    what: str
    found: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.state:8} {self.what}: {self.found}" + (f". {self.mend}" if self.mend else "")


def check(membership: Membership) -> Iterator[Finding]:
    """Look at everything, and return what was found, in the order in which a person would mend it."""
    yield _file(membership)
    yield from _folder(membership)
    yield from _machine(membership)
    usable = True
    for finding in _certificates(membership):
        usable = usable and finding.state != "cannot"
        yield finding
    yield from _ports(membership)
    if usable:
        yield from _peers(membership)


def _file(membership: Membership) -> Finding:
    shared = membership.shared
    digest = hashlib.sha256(shared.file.read_bytes()).hexdigest()[:16]
    return Finding("ok", "shared file", f"{shared.file}, SHA-256 begins {digest}")


def _folder(membership: Membership) -> Iterator[Finding]:
    path = membership.folder.path
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        yield Finding("cannot", "folder", f"{path} has mode {mode:04o}", f"`chmod 700 {path}`")
    try:
        with tempfile.TemporaryFile(dir=path) as file:
            file.write(b"a charge")
            file.flush()
            os.fsync(file.fileno())
        yield Finding("ok", "folder", f"{path} takes files")
    except OSError as error:
        yield Finding("cannot", "folder", f"{path} takes no file ({error.strerror})", "accounts must be written there")
    for account in sorted(path.glob("durable/**/*.jsonl")):
        if not os.access(account, os.R_OK | os.W_OK):
            yield Finding("cannot", "account", f"{account} cannot be read and written", "give it back to this user")
    free = shutil.disk_usage(path).free
    state: State = "ok" if free >= _DISK else "warning" if free >= _LEAST_DISK else "cannot"
    yield Finding(state, "disk", f"{free / (1 << 30):.1f} GiB free", "" if state == "ok" else "`prune`, or make room")


def _machine(membership: Membership) -> Iterator[Finding]:
    features = _features()
    if features:
        lacking = [name for name in ("aes", "vaes") if name not in features]
        found = "AES in hardware" if not lacking else f"no {' and no '.join(lacking).upper()}"
        mend = {0: "", 1: "Garbling is about half as fast without VAES.", 2: "Garbling is very slow without AES."}
        yield Finding("warning" if "aes" in lacking else "ok", "processor", found, mend[len(lacking)])
    available = _memory()
    if available is not None:
        state: State = "ok" if available >= _MEMORY else "warning"
        yield Finding(
            state, "memory", f"{available / (1 << 30):.1f} GiB available", "" if state == "ok" else "end others"
        )


def _certificates(membership: Membership) -> Iterator[Finding]:
    folder, ask = membership.folder, "`request` one, and `install` what the coordinator sends"
    try:
        folder.check_installed()
        own, authority = read_certificate(folder.certificate), read_certificate(folder.authority)
        key = read_private_key(folder.key)
        revoked = x509.load_pem_x509_crl(folder.revoked.read_bytes())
    except (PartyError, ValueError) as error:
        yield Finding("cannot", "certificate", str(error).rstrip("."), ask)
        return
    names = own.subject.rfc4514_string().removeprefix("CN=")
    if names != membership.name:
        yield Finding("cannot", "certificate", f"expected one for {membership.name}, found one for {names}", ask)
    if own.public_key() != key.public_key():
        yield Finding("cannot", "certificate", "it is for another key than the one in this folder", ask)
    if own.not_valid_before_utc > now() or revoked.last_update_utc > now():
        yield Finding(
            "cannot", "clock", f"it says {now()}, before the certificate begins", "set it, for instance by NTP"
        )
    else:
        yield Finding("ok", "clock", f"{now():%Y-%m-%d %H:%M:%S} UTC, within the certificate's dates or after them")
    if revoked.get_revoked_certificate_by_serial_number(own.serial_number) is not None:
        yield Finding("cannot", "certificate", "it was revoked", ask)
    for what, one in (("certificate", own), ("authority", authority)):
        days = (one.not_valid_after_utc - now()) / datetime.timedelta(days=1)
        state: State = "ok" if days > DAYS_LEFT else "warning" if days > 0 else "cannot"
        renew = "`cert renew`, and `install` what the coordinator makes of it by `approve`"
        mend = "" if state == "ok" else renew if what == "certificate" else "the coordinator makes a new one by `init`"
        ended = f"it ended on {one.not_valid_after_utc:%Y-%m-%d %H:%M} UTC, and every handshake is refused"
        yield Finding(state, what, ended if days <= 0 else f"{days:.0f} days left", mend)


def _ports(membership: Membership) -> Iterator[Finding]:
    member, roles = membership.member, membership.shared.protocol.roles
    for role in (role for role in member.role if roles[role].serves):
        where = (member.bind or member.host or "", member.port or 0)
        running = ServiceFolder(membership.folder.path, role).running()
        if running is not None:
            yield Finding("ok", f"port {where[1]}", f"the service runs as process {running.pid}")
            continue
        try:
            socket.create_server(where).close()
            yield Finding("ok", f"port {where[1]}", f"free at {where[0]}")
        except OSError as error:
            mend = "give `bind` the address that this machine listens at, or choose another port"
            yield Finding("cannot", f"port {where[1]}", f"cannot listen at {where[0]} ({error.strerror})", mend)


def _peers(membership: Membership) -> Iterator[Finding]:
    shared, path = membership.shared, membership.folder.path
    folders = RunFolders(path, path / "logs", "roles/check")
    try:
        reach = shared.protocol.reach(shared.configuration.settings, shared.federation, membership.name, folders)
    except PartyError as error:
        yield Finding("cannot", "own data", str(error).rstrip("."))
        return
    finally:
        shutil.rmtree(path / "roles" / "check", ignore_errors=True)
    for peer, role in reach.peers:
        found = complaint(peer, role, reach.agreed, path, _REACH_S)
        what, where = f"{peer.name} ({role})", f"{peer.host}:{peer.port}"
        if not found:
            yield Finding("ok", what, f"reached at {where}, with the same parameters")
        elif found.startswith(("nobody accepted", "no ")):
            yield Finding("warning", what, f"{found} at {where}", "start its service, or look at firewalls between")
        else:
            yield Finding("cannot", what, found, "compare the shared file and certificates with this member")


def _features() -> frozenset[str]:
    """Return the names of the processor's features, or none where they cannot be read."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    found = next((line.partition(":")[2] for line in lines if line.lower().startswith(("flags", "features"))), "")
    return frozenset(found.split())


def _memory() -> int | None:
    """Return the bytes of memory that are available, or None where that cannot be read."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None
