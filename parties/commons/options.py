"""The flags of the commands, with the words of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from parties.frame.errors import ConfigError


def _flag(unit: str, **more: Any) -> dict[str, Any]:
    return {"flag": True, "unit": unit, **more}


class AuditOptions(BaseModel):
    """Flags of `audit`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    log: Path = Field(description="a copy of a trustee's log folder", json_schema_extra=_flag("path", place=True))
    checkpoint: Path | None = Field(
        None,
        description="a checkpoint or receipt from elsewhere, which the log must hold",
        json_schema_extra=_flag("path"),
    )
    origin: str | None = Field(
        None, description="the log's identity, if you know it from elsewhere", json_schema_extra=_flag("name")
    )
    keep: Path | None = Field(
        None, description="write the last certified checkpoint for the next time", json_schema_extra=_flag("path")
    )
    reports: bool = Field(False, description="show each report, too", json_schema_extra={"flag": True})


class MemberOptions(BaseModel):
    """Whose command it is, in a federation. `--dir` or `--name` say so, and the launcher gives these."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    member: str | None = Field(None, description="the member, as --dir or --name say", json_schema_extra=_flag("name"))
    member_role: str | None = Field(
        None, description="its role, as the shared file says", json_schema_extra=_flag("role")
    )

    def whose(self, word: str) -> tuple[str, str]:
        """Return the member's name and role. Raises `ConfigError` where nobody has said whose command it is."""
        if self.member is None or self.member_role is None:
            raise ConfigError(f"{word}: expected a member (--dir DIR, or --config FILE and --name NAME), found none.")
        return self.member, self.member_role
