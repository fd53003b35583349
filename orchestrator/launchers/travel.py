"""What a party takes along to another machine and brings back: files by their names below the folder of all runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from parties.frame.errors import ConfigError
from parties.frame.private_files import make_private_folder, write_private


@dataclass(frozen=True)
class Luggage:
    """Files with their contents, and folders, which may be empty. They are one party's own and are never printed."""

    files: Mapping[str, bytes]
    folders: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Luggage({len(self.files)} files)"

    @classmethod
    def packed(cls, top: Path, paths: Iterable[Path]) -> Luggage:
        """Pack files and all files in folders. All lie below `top`. Nothing that links elsewhere is followed."""
        found = {}
        for path in paths:
            for file in [path] if path.is_file() else sorted(path.rglob("*")):
                if file.is_file() and not file.is_symlink():
                    found[str(file.relative_to(top))] = file.read_bytes()
        return cls(found)

    def unpack(self, top: Path) -> None:
        """Write the files below `top`, each for its owner alone. Raises ValueError for a name that leads elsewhere."""
        for name in self.folders:
            _folder_below(top, PurePosixPath(name))
        for name, content in self.files.items():
            path = PurePosixPath(name)
            write_private(_folder_below(top, path.parent) / path.name, content)

    def below(self, *tops: str) -> Luggage:
        """Return the files in some of the top folders."""
        return Luggage({name: content for name, content in self.files.items() if name.split("/")[0] in tops})


def _folder_below(top: Path, path: PurePosixPath) -> Path:
    if ".." in path.parts or path.is_absolute():
        raise ValueError(f"expected a name below the folder, found {str(path)!r}")
    folder = top
    for part in path.parts:
        folder = make_private_folder(folder / part)
    return folder


@dataclass(frozen=True)
class Places:
    """The folders of one machine: of all runs' files, of all logs, and of the locks that parties share there."""

    files: Path
    logs: Path
    turns: Path

    def in_settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return settings in which neutral paths are those of this machine."""
        tops = {"files": str(self.files), "logs": str(self.logs), "turns": str(self.turns)}

        def local(text: str) -> str:
            for top, folder in tops.items():
                if text.startswith(f"{_NEUTRAL}{top}/"):
                    return folder + text[len(_NEUTRAL) + len(top) :]
            return text

        found = _changed(settings, local)
        if not isinstance(found, dict):
            raise TypeError(f"expected settings, found {type(found).__name__}")
        return found

    def neutral(self, settings: dict[str, Any], hosts: Mapping[int, str]) -> tuple[dict[str, Any], list[Path]]:
        """Return settings without this machine's paths, and the paths that lead out of its folders.

        Every address with a port in `hosts` gets the host there. Files directly in the cache are locks, which parties
        of a machine share.
        """
        outside: list[Path] = []
        cache, files, logs = (f"{folder}/" for folder in (self.files / "cache", self.files, self.logs))

        def neutral(text: str) -> str:
            if text.startswith(cache) and "/" not in text[len(cache) :] and not Path(text).is_dir():
                return f"{_NEUTRAL}turns/{text[len(cache) :]}"
            if text.startswith(files):
                return f"{_NEUTRAL}files/{text[len(files) :]}"
            if text.startswith(logs):
                return f"{_NEUTRAL}logs/{text[len(logs) :]}"
            if text.startswith("/") and "\n" not in text and Path(text).parent.is_dir():
                outside.append(Path(text))
            return text

        found = _changed(settings, neutral, hosts)
        if not isinstance(found, dict):
            raise TypeError(f"expected settings, found {type(found).__name__}")
        return found, outside

    @staticmethod
    def as_json(settings: dict[str, Any]) -> bytes:
        """Return settings as their file holds them."""
        return json.dumps(settings, indent=2).encode() + b"\n"


_NEUTRAL = "\0"  # before a path that belongs to no machine; no path holds it


def _changed(value: Any, change: Any, hosts: Mapping[int, str] | None = None) -> Any:
    """Return a JSON value with all texts changed, and with the hosts of addresses replaced by port."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_changed(one, change, hosts) for one in value]
    if isinstance(value, dict):
        found = {key: _changed(one, change, hosts) for key, one in value.items()}
        if hosts and isinstance(found.get("host"), str) and found.get("port") in hosts:
            found["host"] = hosts[found["port"]]
        return found
    return value


# -- accounts that are on their way ------------------------------------------------------------------------------------

AWAY = "away.json"
"""A note in a folder of accounts while a run has taken them to another machine."""


def refuse_accounts_away(files: Path) -> None:
    """Raise `ConfigError` where an earlier run has taken accounts to another machine and not brought them back."""
    try:
        notes = sorted((files / "durable").glob(f"*/{AWAY}"))
    except OSError:  # such a folder is refused where the run makes it
        return
    for note in notes:
        try:
            said = json.loads(note.read_bytes())
            where = f"{said['node']}, in {said['folder']}"
        except (OSError, ValueError, KeyError):
            where = "another machine"
        raise ConfigError(
            f"accounts: expected those in {note.parent} to be complete, found that a run has taken them to {where}, "
            f"and they have not come back. Copy its files from there, then delete {note.name}. Without them, what that "
            "run has spent is not counted."
        )
