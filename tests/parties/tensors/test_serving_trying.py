"""A model is tried out before anything starts, away from the process that has the keys, and not for ever."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from parties.frame.errors import ConfigError
from parties.frame.plan import Plan, Run, RunFolders
from parties.tensors.config import TensorsConfig
from parties.tensors.protocol import PROTOCOL
from tests.parties.tensors.services import MODEL


def planned(tmp_path: Path, text: str, **choices: Any) -> Plan:
    path = tmp_path / "own.py"
    path.write_text(text)
    config = TensorsConfig.model_validate({"program": str(path), "serving": {"clients": {"x": {}}}, **choices})
    return PROTOCOL.plan(config, Run(RunFolders(tmp_path / "f", tmp_path / "l", "run"), "0" * 32, 20000))


@pytest.mark.parametrize("where", ["while True: pass\n", None])
def test_a_model_that_does_not_end_is_given_up(tmp_path: Path, where: str | None) -> None:
    """As it is read, and as it answers."""
    text = MODEL + where if where else MODEL.replace("return (x @", "while True: pass\n    return (x @")
    began = time.monotonic()
    with pytest.raises(ConfigError, match=r"tried out within 3 s \(plan_deadline_s\), found that it takes longer"):
        planned(tmp_path, text, plan_deadline_s=3.0)
    assert time.monotonic() - began < 60


def test_a_model_runs_in_another_process_whose_words_do_not_count(tmp_path: Path) -> None:
    shown = f"\nimport os\nprint('[]')\nopen({str(tmp_path / 'number')!r}, 'w').write(str(os.getpid()))\n"
    plan = planned(tmp_path, MODEL + shown)
    assert {process.name for process in plan.processes} >= {"x", "hospital", "laboratory", "provider"}
    assert int((tmp_path / "number").read_text()) != os.getpid()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (MODEL + "\nimport os\nos._exit(3)\n", "program: its process ended with status 3 and no message"),
        (MODEL + "\nimport os\nos._exit(0)\n", "expected what was found about the model, found other words"),
        (MODEL.replace(".relu()", ".relu().value"), "program: own.py, line 18: AttributeError"),
        (MODEL + "\nARGUMENTS = {'a': 1}\n", "arguments: expected a, found b"),
    ],
)
def test_what_is_wrong_with_a_model_is_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        planned(tmp_path, text, arguments={"b": 2})
