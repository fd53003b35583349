"""Files that only their owner may read, replaced as a whole. A reader sees the old content or the new one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_UNFINISHED = ".new-"


def make_private_folder(path: Path) -> Path:
    """Make the folder with mode 0700, whatever the umask, and return it. Folders above it keep their modes."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def write_private(path: Path, content: bytes) -> None:
    """Replace `path` by a file of mode 0600 with this content, atomically and durably.

    Raises `OSError`, which names `path`.
    """
    try:
        _write(path, content)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def remove_unfinished(folder: Path) -> None:
    """Remove what killed writers have left in a folder. Nobody may be writing there meanwhile."""
    for path in folder.glob(f"{_UNFINISHED}*"):
        path.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=_UNFINISHED)  # mkstemp makes it 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
