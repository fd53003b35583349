"""What holds for a whole test session, also when workers (pytest-xdist) share it."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

from tests import trained

_SHARED = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


settings.register_profile("busy", deadline=None)  # a machine whose processors are busy finds no fault by that
settings.load_profile("busy")


def pytest_configure(config: pytest.Config) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests send it; under nohup every process would inherit its neglect
    if not hasattr(config, "workerinput"):  # a worker has its environment from the process that starts it
        config.stash[_SHARED] = tempfile.TemporaryDirectory(prefix="capc-tests-")
        trained.share_in(Path(config.stash[_SHARED].name))


def pytest_unconfigure(config: pytest.Config) -> None:
    if _SHARED in config.stash:
        config.stash[_SHARED].cleanup()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that no worker is left with one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
