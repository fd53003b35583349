"""The command that shows the owner of a file what it holds, with a configuration for it."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from parties.capc.config import CapcConfig
from parties.learning.own.describe import described


class DescribeOptions(BaseModel):
    """The flags of `describe`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Path = Field(
        Path("records.csv"),
        description="your own file, in CSV, Parquet or NPZ",
        json_schema_extra={"flag": True, "unit": "path", "place": True},
    )
    label: str | None = Field(
        None,
        description="the column with the class; default the last with few values",
        json_schema_extra={"flag": True, "unit": "column"},
    )
    delimiter: str = Field(
        ",",
        min_length=1,
        max_length=1,
        description="what separates the columns of a CSV file",
        json_schema_extra={"flag": True, "unit": "character"},
    )


def describe(_: CapcConfig, __: Path, options: DescribeOptions) -> int:
    """Print what a file holds, and a configuration for it, to its owner alone."""
    print("\n".join(described(options.file, options.delimiter, options.label)))
    return 0
