"""The file that all members share, and the member on whose behalf a command is given.

A member's folder remembers whose it is and where the file lies. So a command needs the folder alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from orchestrator.config import Configuration, configure
from orchestrator.federation.state import MemberFolder, state_folder
from parties.frame.errors import ConfigError
from parties.frame.members import Federation, Member
from parties.frame.plan import FederatedProtocol, RunnableProtocol, is_federated
from parties.frame.private_files import write_private


class _Whose(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose folder it is, and the path of the shared file as it was given last."""

    name: str
    shared_file: str


@dataclass(frozen=True)
class Shared:
    """What the shared file says.

    Attributes:
        file: where it was read.
        protocol: the protocol, whose parties may be members of a federation.
        configuration: of the protocol and of runs.
    """

    file: Path
    protocol: FederatedProtocol
    configuration: Configuration
    federation: Federation


@dataclass(frozen=True)
class Membership:
    """One member, with what all members share, and its folder on this machine."""

    shared: Shared
    name: str
    folder: MemberFolder

    @property
    def member(self) -> Member:
        return self.shared.federation.member(self.name)

    def role(self, chosen: str | None, *, serves: bool) -> str:
        """Return the chosen role, or else the only one that serves, or that does not. Raises `ConfigError`."""
        roles = [role for role in self.member.role if self.shared.protocol.roles[role].serves == serves]
        what = "a role that serves" if serves else "a role that opens sessions"
        if not roles or (chosen is not None and chosen not in roles):
            raise ConfigError(f"role: expected {what}, found {chosen or ', '.join(self.member.role)} for {self.name}.")
        if chosen is None and len(roles) > 1:
            raise ConfigError(f"role: expected one of {', '.join(roles)} for {self.name} (--role), found none chosen.")
        return chosen or roles[0]


def read_shared(file: Path, protocols: Mapping[str, RunnableProtocol], flags: Sequence[str] = ()) -> Shared:
    """Read the shared file, which flags of a run override. Raises `ConfigError`."""
    configuration = configure(["--config", str(file), *flags], protocols)
    protocol, federation = configuration.protocol, configuration.federation
    if federation is None or not is_federated(protocol):
        raise ConfigError(f"federation: expected a section of this name in {file}, found none.")
    return Shared(file.absolute(), protocol, configuration, federation)


def find_membership(
    protocols: Mapping[str, RunnableProtocol],
    *,
    config: Path | None,
    name: str | None,
    folder: Path | None,
    flags: Sequence[str] = (),
) -> Membership:
    """Return the membership that these flags mean. What is not given comes from the folder.

    `flags` of a run override the shared file. Raises `ConfigError` where the flags do not say which member, or
    contradict each other.
    """
    known = _read(folder) if folder is not None else None
    file = config or (Path(known.shared_file) if known else None)
    if file is None:
        raise ConfigError("config: expected the file that all members share (--config FILE), or a member's --dir.")
    shared = read_shared(file, protocols, flags)
    name = name or (known.name if known else None)
    if name is None:
        raise ConfigError(f"name: expected a member ({', '.join(shared.federation.names)}), found none given.")
    if name not in shared.federation.names:
        raise ConfigError(f"name: expected one of {', '.join(shared.federation.names)}, found {name!r}.")
    place = state_folder(shared.protocol.name, shared.federation.name, name, folder)
    known = _read(place)
    if known is not None and known.name != name:
        raise ConfigError(f"name: expected {known.name}, whose folder {place} is, found {name}.")
    membership = Membership(shared, name, MemberFolder(place))
    told = _Whose(name, str(shared.file))
    if told != known:
        write_private(_path(place), msgspec.json.encode(told) + b"\n")
    return membership


def _path(folder: Path) -> Path:
    return folder / "member.json"


def _read(folder: Path) -> _Whose | None:
    try:
        return msgspec.json.decode(_path(folder).read_bytes(), type=_Whose)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ConfigError(
            f"dir: expected a member's folder, found {_path(folder)}, which cannot be read ({error})."
        ) from error
