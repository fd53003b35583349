"""A run's two folders are new, for their owner alone, and both there or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.folders import make_folders, shown
from parties.frame.errors import ConfigError


def test_both_folders_are_for_their_owner_alone(tmp_path: Path) -> None:
    folders = make_folders(tmp_path / "files", tmp_path / "logs", "run")
    assert [(top / "run").stat().st_mode & 0o777 for top in (folders.files, folders.logs)] == [0o700] * 2


def test_where_one_cannot_be_made_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "logs" / "run").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"logs_dir: expected to make .*/logs/run, found File exists"):
        make_folders(tmp_path / "files", tmp_path / "logs", "run")
    assert not (tmp_path / "files" / "run").exists()


@pytest.mark.parametrize("length", [200, 201])
def test_a_path_is_shown_with_200_letters_at_most(length: int) -> None:
    path = "/" + "a" * (length - 1)
    assert shown(Path(path)) == (path if length == 200 else f"{path[:90]}...{path[-90:]}")
