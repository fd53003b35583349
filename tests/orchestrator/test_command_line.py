"""What stands around the protocols: programs of their own, and configurations that come along."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from orchestrator.cli import main
from orchestrator.command_line import CommandLine, Program
from orchestrator.config import configure
from parties.frame.errors import ConfigError
from parties.frame.plan import Command
from tests.orchestrator.game import Game, ScoreOptions, score

PROGRAM = """
from parties.frame.errors import PartyError

def main(arguments, name):
    if "fail" in arguments:
        raise PartyError("it is of no use.")
    print(name, arguments)
    return 3
"""


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    (tmp_path / "a_program_of_its_own.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(tmp_path)
    configs = tmp_path / "along"
    configs.mkdir()
    (configs / "evening.yaml").write_text("protocol: game\ngame: {players: 9}\n")
    monkeypatch.chdir(tmp_path)
    programs = {
        "watch": Program("watch the game", "a_program_of_its_own", "look"),
        "watch again": Program("watch it once more", "a_program_of_its_own", "look"),
    }
    return CommandLine("play", "1.2.3", programs, configs)


def test_a_program_is_imported_when_it_is_called_and_gets_its_own_arguments(
    line: CommandLine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main({}, ["watch", "--players", "x"], line) == 3
    assert capsys.readouterr().out == "play watch ['--players', 'x']\n"
    del sys.modules["a_program_of_its_own"]
    with redirect_stdout(io.StringIO()) as said:
        assert main({"game": Game()}, ["--help"], line) == 0
    assert "a_program_of_its_own" not in sys.modules
    assert "commands to look:\n  watch              watch the game\n  watch again        watch it" in said.getvalue()
    assert "usage: play [COMMAND]" in said.getvalue()
    assert "\n  play --report RUN " in said.getvalue()


def test_a_program_may_have_two_words(line: CommandLine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main({}, ["watch", "again", "now"], line) == 3
    assert main({}, ["watch", "now", "again"], line) == 3
    assert capsys.readouterr().out == "play watch again ['now']\nplay watch ['now', 'again']\n"


def test_a_program_that_fails_is_one_sentence(line: CommandLine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main({}, ["watch", "fail"], line) == 1
    assert capsys.readouterr().err == "it is of no use.\n"


def test_a_word_near_a_program_is_a_hint(line: CommandLine) -> None:
    with pytest.raises(ConfigError, match=r"^wacth: unknown command of game, did you mean 'watch'\?$"):
        configure(["wacth"], {"game": Game()}, line)


def test_a_command_may_be_named_by_its_module() -> None:
    command = Command("score", "tests.orchestrator.game:score", "tests.orchestrator.game:ScoreOptions")
    assert (command.function, command.options) == (score, ScoreOptions)
    assert Command("score", score, ScoreOptions).function is score


def test_a_configuration_that_comes_along_has_a_name(line: CommandLine) -> None:
    chosen = configure(["--config", "evening"], {"game": Game()}, line)
    assert chosen.settings == Game.Config(players=9)
    Path("evening").write_text("game: {players: 5}\n")  # a file of the user's goes before it
    assert configure(["--config", "evening"], {"game": Game()}, line).settings == Game.Config(players=5)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("morning", "expected a YAML file, found no file 'morning'. Those that come along are evening."),
        ("old/evening.yaml", "found no file 'old/evening.yaml'. `--config evening` is the one that comes along."),
        ("morning.yaml", "expected a readable YAML file, found morning.yaml (No such file or directory)."),
    ],
)
def test_a_configuration_that_is_not_there_is_one_sentence(line: CommandLine, given: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configure(["--config", given], {"game": Game()}, line)
    assert str(caught.value).startswith("config: expected")
    assert str(caught.value).endswith(sentence)
