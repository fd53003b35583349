"""Where each data provider's own file lies."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationInfo

from parties.frame.plan import folder_of_file

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_ENDINGS = (".csv.gz", ".csv", ".tsv.gz", ".tsv", ".txt", ".parquet", ".npz")


def _files(value: Any, info: ValidationInfo) -> dict[str, Path]:
    """Return each provider's file, from a mapping or a pattern, relative to the configuration's folder."""
    folder = folder_of_file(info) or Path()
    if isinstance(value, str):
        found = sorted(folder.glob(value)) if not Path(value).is_absolute() else sorted(Path("/").glob(value[1:]))
        if not found:
            raise ValueError(f"files: expected files that fit {value}, found none in {folder.resolve()}")
        pairs = [(_name_of(path), path) for path in found]
    elif isinstance(value, dict) and value and all(isinstance(one, str | Path) for one in value.values()):
        pairs = [(str(name), folder / path) for name, path in value.items()]
    else:
        raise ValueError("files: expected providers with the path of a file for each, or one pattern of paths")
    names = [name for name, _ in pairs]
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"files: expected providers' names of a-z, 0-9 and '-', found {name!r}")
        if names.count(name) > 1:
            raise ValueError(f"files: expected one file for each provider, found {names.count(name)} for {name}")
    return dict(pairs)


def _name_of(path: Path) -> str:
    ending = next((one for one in _ENDINGS if path.name.lower().endswith(one)), path.suffix)
    return path.name[: len(path.name) - len(ending)].lower().replace("_", "-")


class DataConfig(BaseModel):
    """Users' own files.

    Attributes:
        files: by provider, or a pattern such as `clinics/*.csv`, where each file's name is its provider's.
        delimiter: of columns in CSV files.
        log, task: names in the log, of a-z, 0-9, '.', '_', '/' and '-'.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: Annotated[dict[str, Path], PlainValidator(_files)]
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    log: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._/-]{0,90}$")] = "records.example/questions"
    task: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._/-]{0,90}$")] = "records"
