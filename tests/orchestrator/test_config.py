"""Flags and YAML become one strict configuration; every mistake is one sentence with the key, what was expected and
what was found."""

from __future__ import annotations

import io
import re
import socket
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from pydantic import BaseModel, Field

from orchestrator.config import Configuration, configure
from orchestrator.yaml_text import read_scalar
from parties.frame.errors import ConfigError
from tests.orchestrator.conftest import Game
from tests.orchestrator.game import Game as GameProtocol
from tests.orchestrator.game import GameConfig
from tests.ports import free_ports


def ask(*flags: str) -> Configuration:
    return configure(list(flags), {"game": GameProtocol()})


@pytest.fixture
def yaml_file(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        path = tmp_path / "run.yaml"
        path.write_text(text)
        return str(path)

    return write


def settings(configuration: Configuration) -> GameConfig:
    assert isinstance(configuration.settings, GameConfig)
    return configuration.settings


def test_without_anything_there_are_defaults() -> None:
    configuration = ask()
    assert settings(configuration) == GameConfig()
    assert configuration.run.start_port == 23700
    assert configuration.run.launcher == "tmux"


def test_flags_override_the_file_which_overrides_the_defaults(yaml_file: Callable[[str], str]) -> None:
    path = yaml_file("protocol: game\nrun: {start_port: 4000, launcher: process}\ngame: {players: 5, share: 0.25}\n")
    configuration = ask("--config", path, "--players", "7", "--start_port=5000")
    assert settings(configuration).players == 7
    assert settings(configuration).share == 0.25
    assert configuration.run.start_port == 5000
    assert configuration.run.launcher == "process"


def test_an_empty_file_and_an_empty_section_are_fine(yaml_file: Callable[[str], str]) -> None:
    assert settings(ask("--config", yaml_file(""))) == GameConfig()
    assert settings(ask("--config", yaml_file("game:\nrun:\n"))) == GameConfig()


def test_a_flag_can_take_back_what_the_file_says(yaml_file: Callable[[str], str]) -> None:
    path = yaml_file("run: {attach: true}\n")
    assert ask("--config", path).run.attach
    assert not ask("--config", path, "--no_attach").run.attach


def test_text_stays_text_and_numbers_are_numbers() -> None:
    assert ask("--session", "007").run.session == "007"
    assert settings(ask("--label", "12")).label == "12"
    assert settings(ask("--deadline_s", "1e-5")).deadline_s == 1e-5
    assert settings(ask("--deadline_s", "3")).deadline_s == 3


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-400", "1e-400"), ("0e-400", 0.0), ("3.5e999", "3.5e999"),
        ("1e-5", 1e-5), ("1E5", 1e5), (".5", 0.5), ("-3", -3), ("+3", 3), ("010", 10), ("1.", 1.0),
        ("no", "no"), ("yes", "yes"), ("on", "on"), ("true", True), ("1:30", "1:30"), ("2026-11-21", "2026-11-21"),
        ("0x10", "0x10"), ("1_000", "1_000"), ("null", None), ("a: b", "a: b"), ("[1", "[1"), ("a,b", "a,b"),
    ],
)  # fmt: skip
def test_scalars_are_read_as_a_person_means_them(text: str, value: object) -> None:
    found = read_scalar(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--players", "1"], "players: expected a number of at least 2, found 1 in --players."),
        (["--players", "41"], "players: expected a number of at most 40, found 41 in --players."),
        (["--players", "two"], "players: expected a whole number, found 'two' in --players."),
        (["--players", "2.5"], "players: expected a whole number, found 2.5 in --players."),
        (["--players", "true"], "players: expected a whole number, found True in --players."),
        (["--players"], "--players: expected one argument."),
        (["--playrs", "3"], "--playrs: unknown flag, did you mean '--players'?"),
        (["--n-players", "3"], "--n-players: unknown flag, did you mean '--players'?"),
        (["--xyzzy"], "--xyzzy: unknown flag."),
        (["--play", "3"], "--play: unknown flag, did you mean '--players'?"),
        (["--line", "3"], "--line: unknown flag."),
        (["--port", "3"], "--port: unknown flag, did you mean '--start_port'?"),
        (["--silence", "3"], "--silence: unknown flag, did you mean '--silence_s'?"),
        (["--share_s", "3"], "--share_s: unknown flag."),
        (["3"], "3: unknown command of game."),
        (["--share", "0.5"], "--share: no flag, expected in the YAML file under `game:`."),
        (["--deadline_s", "0"], "deadline_s: expected a number above 0, found 0 in --deadline_s."),
        (["--deadline_s", "soon"], "deadline_s: expected a number, found 'soon' in --deadline_s."),
        (["--launcher", "screen"], "launcher: expected 'tmux', 'process' or 'ray', found 'screen' in --launcher."),
        (["--session", "a:b"], "session: expected 1 to 40 letters, digits, `_` or, not first, `-`, found 'a:b'."),
        (["--start_port", "65536"], "start_port: expected a number of at most 65535, found 65536 in --start_port."),
        (["--silence_s", ".inf"], "silence_s: expected a finite number, found inf in --silence_s."),
        (["--protocol", "chess"], "protocol: expected one of game, found 'chess'."),
        (["--config", "/no/such.yaml"],
         "config: expected a readable YAML file, found /no/such.yaml (No such file or directory)."),
        (["--players", "1", "--deadline_s", "0"],
         "players: expected a number of at least 2, found 1 in --players (and deadline_s must change as well)."),
    ],
)  # fmt: skip
def test_a_wrong_flag_is_one_sentence(flags: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ask(*flags)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("game: {playrs: 3}", "playrs: unknown key in {path} under `game:`, did you mean 'players'?"),
        ("gaem: {players: 3}", "gaem: unknown key in {path}, did you mean 'game'?"),
        ("players: 3", "players: expected under `game:`, found at the top of {path}."),
        ("launcher: tmux", "launcher: expected under `run:`, found at the top of {path}."),
        ("game: {players: '3'}", "players: expected a whole number, found '3' in {path} under `game:`."),
        ("game: {players: [3]}", "players: expected a whole number, found [3] in {path} under `game:`."),
        ("game: {players: }", "players: expected a whole number, found nothing in {path} under `game:`."),
        ("run: {attach: yes}", "attach: expected true or false, found 'yes' in {path} under `run:`."),
        ("run: {attach: 1}", "attach: expected true or false, found 1 in {path} under `run:`."),
        ("game: 3", "game: expected keys and values, found 3 in {path}."),
        ("[1, 2]", "{path}: expected keys and values, found list."),
        ("game:\n  players: 3\n  players: 4", "{path}, line 3: 'players' is given twice."),
        ("game:\n\tplayers: 3",
         "{path}, line 2: expected YAML, found a mistake: found character '\\t' that cannot start any token."),
        ("protocol: chess", "protocol: expected one of game, found 'chess'."),
        ("protocol: [game]", "protocol: expected one of game, found ['game']."),
        ("game: {1: 2}", "1: unknown key in {path} under `game:`."),
        ("? [a]\n: b", "{path}, line 1: expected a word as key, found a list or a mapping."),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_sentence(yaml_file: Callable[[str], str], text: str, sentence: str) -> None:
    path = yaml_file(text)
    with pytest.raises(ConfigError) as caught:
        ask("--config", path)
    assert str(caught.value) == sentence.format(path=path)
    assert "\n" not in str(caught.value)


def test_the_help_names_every_flag_with_unit_and_default() -> None:
    said = io.StringIO()
    with redirect_stdout(said), pytest.raises(SystemExit) as left:
        ask("--help")
    assert left.value.code == 0
    text = re.sub(r"\s+", " ", said.getvalue())
    for flag in ("config", "protocol", "launcher", "start_port", "session", "attach", "log_timing_file", "silence_s"):
        assert re.search(f"--{flag}[ ,]", text)
    assert "--players PLAYERS players [players] (default 3)" in text
    assert "--share" not in text


def help_text(*flags: str) -> str:
    said = io.StringIO()
    with redirect_stdout(said), pytest.raises(SystemExit):
        ask(*flags, "--help")
    return said.getvalue()


def test_the_help_begins_with_the_basic_flags_and_says_how_a_run_may_end() -> None:
    text = help_text()
    assert text.index("basic flags:") < text.index("--launcher {tmux,process,ray}") < text.index("  --config FILE")
    assert text.index("  --config FILE") < text.index("--silence_s S")
    assert "--progress {live,lines,none}" in text
    assert "--attach, --no_attach" in text
    for heading in ("examples:", "exit status:", "environment:"):
        assert f"\n{heading}\n" in text
    assert "\n  130  it was interrupted" in text


def test_a_bound_is_never_rounded_to_what_was_found() -> None:
    class Narrow(BaseModel):
        share: float = Field(0.5, le=10.00000004, json_schema_extra={"flag": True})

    class Tight(GameProtocol):
        Config = Narrow

    with pytest.raises(ConfigError) as caught:
        configure(["--share", "10.00000005"], {"game": Tight()})
    assert str(caught.value) == ("share: expected a number of at most 10.00000004, found 10.00000005 in --share.")


def test_a_taken_port_is_one_sentence_and_nothing_is_started(play: Callable[..., Game]) -> None:
    port = free_ports(3) + 1
    with socket.create_server(("127.0.0.1", port)):
        game = play("--start_port", str(port - 1))
        assert game.wait() == 2
        sentence = (
            f"start_port: expected ports {port - 1} to {port + 1} to be free on 127.0.0.1, found {port} in use.\n"
        )
        assert game.sentence == sentence
        assert game.said == ""
    assert not list((game.folder / "files").iterdir())
    assert not list((game.folder / "logs").iterdir())


def test_ports_beyond_the_last_are_refused(play: Callable[..., Game]) -> None:
    game = play("--start_port", "65534")
    assert game.wait() == 2
    assert game.sentence == "start_port: expected ports 65534 to 65536 to be at most 65535, found 65536.\n"


def test_what_the_protocol_refuses_is_one_sentence(play: Callable[..., Game]) -> None:
    game = play("--who", "3")
    assert game.wait() == 2
    assert game.sentence == "who: expected one of the 3 players, found 3.\n"
    assert not list((game.folder / "files").iterdir())


def test_a_folder_that_cannot_be_made_is_one_sentence(play: Callable[..., Game], tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("not a folder")
    game = play()
    assert game.wait() == 2
    assert game.sentence.startswith(f"logs_dir: expected to make {tmp_path}/logs/game-")
    assert not list((game.folder / "files").iterdir())


@pytest.mark.parametrize("path", ["{tmp}", "{tmp}/file/timing.log"])
def test_a_timing_file_that_cannot_be_written_is_one_sentence(
    play: Callable[..., Game], tmp_path: Path, path: str
) -> None:
    (tmp_path / "file").write_text("no folder")
    wanted = path.format(tmp=tmp_path)
    game = play("--log_timing_file", wanted)
    assert game.wait() == 2
    assert game.sentence == f"log_timing_file: expected a file that can be written, found {wanted}.\n"


def test_the_timing_file_goes_where_it_is_asked_to(play: Callable[..., Game], tmp_path: Path) -> None:
    path = tmp_path / "new" / "timing.log"
    game = play("--log_timing_file", str(path), "--launcher", "process")
    assert game.wait() == 0
    assert path.read_text().startswith(f"# {game.run} ")
    assert not (game.logs / "timing.log").exists()
