"""The folder on one machine where a member, or the authority, keeps what outlives every session.

It is `$XDG_STATE_HOME/<protocol>/<federation>/<name>` (XDG Base Directory Specification 0.8), by default below
`~/.local/state`, or a folder that is named. It never depends on the folder that a command is started in, so that no
command begins a second account by accident.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from parties.frame.errors import ConfigError
from parties.frame.private_files import make_private_folder


def state_folder(protocol: str, federation: str, name: str, chosen: Path | None = None) -> Path:
    """Return the folder, made with mode 0700 if absent. Raises `ConfigError` where it cannot be made."""
    folder = chosen.absolute() if chosen is not None else _home() / protocol / federation / name
    try:
        return make_private_folder(folder)
    except OSError as error:
        raise ConfigError(f"dir: expected to make {folder}, found {error.strerror}.") from error


def _home() -> Path:
    """Return the base folder for state. The specification says that a relative path in the variable is ignored."""
    chosen = os.environ.get("XDG_STATE_HOME", "")
    return Path(chosen) if os.path.isabs(chosen) else Path.home() / ".local" / "state"


@dataclass(frozen=True)
class MemberFolder:
    """What lies where in a member's folder. All files are for their owner alone."""

    path: Path

    @property
    def key(self) -> Path:
        """The private key, which was made here and is sent nowhere."""
        return self.path / "key.pem"

    def check_installed(self) -> None:
        """Raise `ConfigError` where the member has no certificate yet."""
        for path in (self.key, self.certificate, self.authority, self.revoked):
            if not path.exists():
                raise ConfigError(
                    f"dir: expected a key and a certificate in {self.path}, found no {path.name}: ask for a "
                    "certificate by `request`, and put it into place by `install`."
                )

    @property
    def next_key(self) -> Path:
        """The private key of a request that is not answered yet."""
        return self.path / "next-key.pem"

    @property
    def request(self) -> Path:
        return self.path / "request.csr"

    @property
    def certificate(self) -> Path:
        return self.path / "certificate.pem"

    @property
    def authority(self) -> Path:
        return self.path / "ca.pem"

    @property
    def revoked(self) -> Path:
        """The authority's list of revoked certificates."""
        return self.path / "revoked.pem"
