"""A member that must be refused, with the reason on both sides."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml

from orchestrator.federation.authority import Authority, fingerprint
from orchestrator.federation.identity import Identity
from orchestrator.federation.shared import read_shared
from orchestrator.federation.state import MemberFolder
from parties.frame.certificates import pem
from parties.frame.private_files import make_private_folder
from parties.protocols import PROTOCOLS
from tests.parties.capc.federations import GUARDIAN, FederationHere
from tests.parties.capc.slow_link.kills import log_sizes, logged_since
from tests.parties.capc.slow_link.members import ASKING, start_folder

_SECONDS = 3.0  # that a certificate is valid which then has expired
_DAY_S = 86400.0


def refusals(here: FederationHere) -> list[str]:
    """Have the member that asks refused for each reason. Return what was wrong."""
    federation = read_shared(start_folder(here.top, "coordinator") / "federation.yaml", PROTOCOLS).federation
    authority = Authority(here.top / "authority", federation)
    foreign = Authority.make(make_private_folder(here.top / "foreign"), federation)
    member = Identity(ASKING, MemberFolder(here.folder(ASKING)))

    def expire() -> None:
        join(member, authority, days=_SECONDS / _DAY_S)
        time.sleep(_SECONDS + 1)

    def revoke() -> None:
        authority.revoke(ASKING)
        Identity(GUARDIAN, MemberFolder(here.folder(GUARDIAN))).install_revoked(pem(authority.revocation_list()))

    cases: Mapping[str, tuple[Callable[[], None], str, str]] = {
        "another authority": (
            lambda: join(member, foreign), "the peer's certificate is refused", "this party's certificate is not"
        ),
        "expired": (expire, f"expected one that is valid, found that {ASKING}'s ended on", ""),  # it asks nobody
        "changed parameter": (
            lambda: change(here, dp_noise_scale=7), "sigma: here 7, at trustee 0", f"sigma: here 0, at {ASKING} 7"
        ),
        "revoked": (
            revoke,
            "this party's certificate has been revoked",
            "the peer's certificate is refused (certificate revoked)",
        ),
    }  # fmt: skip
    return [fault for what, case in cases.items() for fault in _refused(here, member, what, *case)]


def _refused(
    here: FederationHere, member: Identity, what: str, prepare: Callable[[], None], said: str, heard: str
) -> list[str]:
    """Prepare a reason, ask, and compare what both sides say. Afterwards all is as before."""
    guardian = here.folder(GUARDIAN)
    sizes = log_sizes(guardian)
    with as_before(member.folder.path, start_folder(here.top, ASKING)):
        change(here, rejoin_s=1)  # how long it tries again is its own affair
        prepare()
        _, errors = (asked := here.start_asking(ASKING)).communicate(timeout=400)
    found = []
    if asked.returncode != 1 or said not in errors:
        found.append(f"{what}: expected status 1 and {said!r}, found {asked.returncode} and {errors.strip()!r}")
    expires = time.monotonic() + 30
    while heard not in (new := logged_since(guardian, sizes)):
        if time.monotonic() > expires:
            found.append(f"{what}: expected {heard!r} in the guardian's log, found {new[-300:]!r}")
            break
        time.sleep(0.2)
    print(f"refused, {what}: {errors.strip()[:300]}", flush=True)
    return found


@contextmanager
def as_before(*folders: Path) -> Iterator[None]:
    """Put the files that lie in these folders back at the end."""
    kept = {path: path.read_bytes() for folder in folders for path in folder.iterdir() if path.is_file()}
    try:
        yield
    finally:
        for path, content in kept.items():
            path.write_bytes(content)


def join(member: Identity, authority: Authority, days: float | None = None) -> None:
    """Get and install a certificate of an authority."""
    request, _ = member.request()
    member.install(authority.approve(request.read_bytes(), days), fingerprint(authority.certificate))


def change(here: FederationHere, **choices: object) -> None:
    """Change the shared file on the machine of the member that asks."""
    path = start_folder(here.top, ASKING) / "federation.yaml"
    document = yaml.safe_load(path.read_text())
    document["capc"] |= choices
    path.write_text(yaml.safe_dump(document))
