"""The folders `files/<run>/` and `logs/<run>/`, which are new for every run and private to their owner."""

from __future__ import annotations

import datetime
import secrets
from pathlib import Path

from parties.frame.errors import ConfigError
from parties.frame.plan import RunFolders


def run_name(session: str) -> str:
    """Return a name that no other run has, `session-YYYYMMDD-HHMMSS-xxxx`."""
    now = datetime.datetime.now().astimezone()
    return f"{session}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def make_folders(files: Path, logs: Path, run: str) -> RunFolders:
    """Make both folders with mode 0700. Raises `ConfigError` when one of them exists already."""
    folders = RunFolders(files=files.resolve(), logs=logs.resolve(), run=run)
    made: list[Path] = []
    for key, folder in (("files_dir", folders.files / run), ("logs_dir", folders.logs / run)):
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700)
            made.append(folder)
        except OSError as error:
            for earlier in made:
                earlier.rmdir()
            raise ConfigError(f"{key}: expected to make {folder}, found {error.strerror}.") from error
    return folders


def keep_events(folders: RunFolders) -> None:
    """Move each party's events beside its log, before its private folder goes."""
    for events in (folders.files / folders.run).glob("*/events.jsonl"):
        events.replace(folders.logs / folders.run / f"{events.parent.name}.events.jsonl")
