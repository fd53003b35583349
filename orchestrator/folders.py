"""The folders `files/<run>/` and `logs/<run>/`, which are new for every run and private to their owner."""

from __future__ import annotations

import contextlib
import datetime
import errno
import secrets
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import Interrupted
from parties.frame.errors import ConfigError
from parties.frame.plan import RunFolders
from parties.frame.private_files import write_private


def run_name(session: str) -> str:
    """Return a name that no other run has, `session-YYYYMMDD-HHMMSS-xxxx`."""
    now = datetime.datetime.now().astimezone()
    return f"{session}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def make_folders(files: Path, logs: Path, run: str) -> RunFolders:
    """Make both folders with mode 0700. Raises `ConfigError` when one of them exists already or has no usable name."""
    made: list[Path] = []
    for key, top in (("files_dir", files), ("logs_dir", logs)):
        try:
            folder = top.resolve() / run
            str(folder).encode()
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700)
            made.append(folder)
        except (OSError, ValueError) as error:
            for earlier in made:
                earlier.rmdir()
            problem = error.strerror if isinstance(error, OSError) else "a name that is no text in UTF-8"
            raise ConfigError(f"{key}: expected to make {shown(top / run)}, found {problem}.") from error
    return RunFolders(files=files.resolve(), logs=logs.resolve(), run=run)


@contextlib.contextmanager
def unused_removed(files: Path, logs: Path, run: str) -> Iterator[None]:
    """Where a signal ends what is in here, remove the run's folders that are empty: no guard knew of them yet."""
    try:
        yield
    except Interrupted:
        for top in (files, logs):
            with contextlib.suppress(OSError):  # it holds something, or there is none
                (top / run).rmdir()
        raise


def shown(path: Path) -> str:
    """Return a path as text that can be printed, at most 200 letters of it."""
    text = str(path).encode(errors="backslashreplace").decode()
    return text if len(text) <= 200 else f"{text[:90]}...{text[-90:]}"


def keep_events(folders: RunFolders) -> None:
    """Move each party's events beside its log, before its private folder goes. What cannot be moved is left behind."""
    for events in (folders.files / folders.run).glob("*/events.jsonl"):
        with contextlib.suppress(OSError):  # a full disk
            _move(events, folders.logs / folders.run / f"{events.parent.name}.events.jsonl")


def _move(path: Path, target: Path) -> None:
    """Move a file, also to another file system. A reader finds it whole at one of both places."""
    try:
        path.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        write_private(target, path.read_bytes())
        path.unlink()
