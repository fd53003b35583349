"""The command is the same by each of its names, and says the version that is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path

import pytest

import capc
from capc.command import CONFIGS, PROGRAMS
from parties.protocols import PROTOCOLS

ROOT = Path(__file__).resolve().parents[2]
WAYS = {
    "run_protocol.py": [sys.executable, str(ROOT / "run_protocol.py")],
    "run_protocol.py, isolated": [sys.executable, "-I", str(ROOT / "run_protocol.py")],
    "capc": [sys.executable, "-c", "from capc.start import main; main()"],
    "capc, as a module": [sys.executable, "-m", "capc"],
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_start_it_says_the_same_version(way: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [*WAYS[way], "--version"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    name = way.partition(",")[0]
    if PROTOCOLS:
        assert (done.returncode, done.stdout) == (0, f"{name} {metadata.version('capc')}\n"), done.stderr


def test_the_version_is_the_installed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert capc.__version__ == metadata.version("capc")

    def none(_: str) -> str:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "version", none)
    assert capc.__version__ == "unknown"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = capc.nothing


def test_every_program_is_there() -> None:
    for program in PROGRAMS.values():
        module, _, function = program.module.partition(":")
        assert find_spec(module) is not None
        assert callable(getattr(import_module(module), function or "main"))
        assert program.help
        assert program.group


def test_the_configurations_of_the_checkout_come_along() -> None:
    assert CONFIGS == ROOT / "configs"


def test_every_command_of_a_protocol_is_there() -> None:
    for protocol in PROTOCOLS.values():
        for command in protocol.commands.values():
            assert callable(command.function)
            assert command.options.model_fields is not None
