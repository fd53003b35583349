"""Offline commands: the first word of the command line, with flags of their own, and no parties."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from orchestrator.cli import main
from orchestrator.config import configure
from parties.frame.errors import ConfigError
from parties.frame.plan import Command, Summary
from tests.orchestrator.game import KEEPER, Game, ScoreOptions


class Chess(Game):
    name = "chess"
    commands = {  # noqa: RUF012
        "clock": Game().commands["rules"],
        "resign": Command("give up", lambda *_: Summary((("winner", "the other one"),)), alone=True),
    }


PROTOCOLS = {"game": Game(), "chess": Chess()}


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "durable" / KEEPER / "book.txt"
    path.parent.mkdir(parents=True)
    path.write_text("2\n3\n")
    return path


def test_a_command_is_the_first_word_and_its_summary_is_shown(
    book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(PROTOCOLS, ["score", "--files_dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "games: 2\ncatches: 5\n"
    assert main(PROTOCOLS, ["rules", "--players", "7"]) == 0
    assert capsys.readouterr().out == "players: 7\n"


def test_a_command_has_flags_of_its_own_and_a_status(
    book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(PROTOCOLS, ["score", "--at_least", "6", "--files_dir", str(tmp_path)]) == 4
    assert capsys.readouterr().out == ""
    chosen = configure(["score", "--at_least", "6"], PROTOCOLS).chosen
    assert chosen is not None
    assert chosen.options == ScoreOptions(at_least=6)
    assert main(PROTOCOLS, ["whistle"]) == 0
    assert capsys.readouterr().out == "tweet\n"


def test_a_command_is_a_flag_too(book: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(PROTOCOLS, ["--files_dir", str(tmp_path), "--score"]) == 0
    assert capsys.readouterr().out == "games: 2\ncatches: 5\n"


def test_what_a_command_cannot_do_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(PROTOCOLS, ["score", "--files_dir", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "No game was scored yet.\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["scor"], "scor: unknown command of game, did you mean 'score'?"),
        (["3"], "3: unknown command of game."),
        (["clock"], "clock: a command of chess, expected with --protocol chess."),
        (["--players", "3", "score"], "score: a command, expected as the first word."),
        (["score", "score"], "score: a command, expected as the first word."),
        (["--at_least", "3"], "--at_least: unknown flag."),
        (["score", "--at_leas", "3"], "--at_leas: unknown flag, did you mean '--at_least'?"),
        (["score", "--at_least", "two"], "at_least: expected a whole number, found 'two' in --at_least."),
    ],
)
def test_a_wrong_command_is_one_sentence(arguments: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configure(arguments, PROTOCOLS)
    assert str(caught.value) == sentence


def test_the_protocol_is_chosen_as_for_a_run() -> None:
    configuration = configure(["clock", "--protocol", "chess"], PROTOCOLS)
    assert configuration.protocol.name == "chess"


def test_a_command_that_reads_no_configuration_needs_no_name_of_its_protocol(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(PROTOCOLS, ["resign"]) == 0
    assert capsys.readouterr().out == "winner: the other one\n"
    assert "  resign             give up\n" in help_of()
    with pytest.raises(ConfigError, match="resign: a command of chess, expected with --protocol chess"):
        configure(["resign", "--protocol", "game"], PROTOCOLS)


@pytest.mark.parametrize("arguments", [[], ["score"], ["--protocol", "capc"], ["--help"]])
def test_without_any_protocol_there_is_one_sentence(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main({}, arguments) == 2
    assert capsys.readouterr().err == "protocol: expected at least one in the folder `parties`, found none.\n"


def help_of(*arguments: str) -> str:
    said = io.StringIO()
    with redirect_stdout(said), pytest.raises(SystemExit) as left:
        configure([*arguments, "--help"], PROTOCOLS)
    assert left.value.code == 0
    return said.getvalue()


def test_the_help_lists_the_commands_and_each_has_its_own() -> None:
    text = help_of()
    assert "usage: run_protocol.py [COMMAND] [--config FILE] [flags]" in text
    assert "  score              show how many balls were caught in all games\n" in text
    assert "--at_least" not in text
    own = help_of("score")
    assert "usage: run_protocol.py score [--config FILE] [flags]" in own
    assert "Show how many balls were caught in all games." in own
    assert "--at_least LEAST" in own
