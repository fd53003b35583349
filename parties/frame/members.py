"""The members of a federation, which is the section `federation` of the file that all of them share.

    federation:
      name: clinics
      members:
        - {name: trustee, role: keeper, host: trustee.example.org, port: 7100}
        - {name: clinic-a, role: [owner, asker], host: 10.0.0.7, port: 7100}

The roles are the protocol's own words. Nothing in this section is secret.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""A member's name is one part of a DNS name (RFC 1035, section 2.3.1), because certificates hold it as such."""

AUTHORITY = "authority"
"""The name of the authority's folder, beside those of the members."""


def _checked_name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError(f"expected 1 to 63 small letters, digits and, inside, hyphens, found {value!r}")
    return value


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


class Member(BaseModel):
    """One member.

    Attributes:
        name: as in its certificate.
        role: its parts in the protocol, in the protocol's words.
        host, port: where others reach it. A member that only connects needs neither.
        bind: the address that it listens at, where that is not `host`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    role: Annotated[tuple[str, ...], BeforeValidator(_several), Field(min_length=1)]
    host: str | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    bind: str | None = None

    @field_validator("name")
    @classmethod
    def _is_part_of_a_dns_name(cls, value: str) -> str:
        return _checked_name(value)

    @field_validator("role")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError(f"expected each role once, found {', '.join(value)}")
        return value

    @model_validator(mode="after")
    def _whole_address(self) -> Member:
        if (self.host is None) != (self.port is None):
            raise ValueError(f"expected both host and port of {self.name}, or neither, found one")
        return self


class Federation(BaseModel):
    """Who takes part.

    Attributes:
        name: of the federation, which names its authority and its folders.
        members: in an order that all members share.
        certificate_days: how long a member's certificate is valid.
        authority_days: how long the authority signs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    members: Annotated[tuple[Member, ...], Field(min_length=2)]
    certificate_days: Annotated[float, Field(gt=0, le=825)] = 180
    authority_days: Annotated[float, Field(gt=0, le=3650)] = 1825

    @field_validator("name")
    @classmethod
    def _names_a_folder(cls, value: str) -> str:
        return _checked_name(value)

    @model_validator(mode="after")
    def _no_two_alike(self) -> Federation:
        names = [member.name for member in self.members]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"members: expected each name once, found {', '.join(twice)} twice")
        if AUTHORITY in names:
            raise ValueError(f"members: expected other names than {AUTHORITY!r}, which is the authority's, found it")
        places = [(member.host, member.port) for member in self.members if member.host is not None]
        if shared := sorted({f"{host}:{port}" for host, port in places if places.count((host, port)) > 1}):
            raise ValueError(f"members: expected an address each, found {', '.join(shared)} twice")
        return self

    def member(self, name: str) -> Member:
        """Return the member of this name. Raises `KeyError`."""
        return {member.name: member for member in self.members}[name]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(member.name for member in self.members)

    def with_role(self, role: str) -> tuple[Member, ...]:
        """Return the members that have a role, in the shared order."""
        return tuple(member for member in self.members if role in member.role)

    def unknown_roles(self, known: Collection[str]) -> tuple[str, ...]:
        """Return the roles in this section that the protocol does not have."""
        return tuple(sorted({role for member in self.members for role in member.role} - set(known)))
