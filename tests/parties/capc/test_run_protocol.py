"""`run_protocol.py` with the real parties and both launchers: it labels queries, and a party's death ends it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from orchestrator.config import configure
from parties.frame.errors import ConfigError
from parties.frame.private_files import make_private_folder
from parties.protocols import PROTOCOLS
from tests import trained
from tests.orchestrator.conftest import LAUNCHERS, PATIENCE_S, ROOT, Game, processes_of
from tests.ports import free_ports

CONFIGURATIONS = sorted((ROOT / "configs").glob("*.yaml"))
FLAGS = ("--n_parties", "2", "--n_queries", "4", "--dp_noise_scale", "0")
PARTIES = 4


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Game]]:
    started = []
    caches = [make_private_folder(tmp_path / "files" / "cache" / f"server-{number}") for number in range(2)]
    trained.fill(caches)

    def start(*flags: str) -> Game:
        port = free_ports(PARTIES)
        command = [sys.executable, "run_protocol.py", *FLAGS, "--start_port", str(port), *flags]
        command += ["--files_dir", str(tmp_path / "files"), "--logs_dir", str(tmp_path / "logs")]
        output, errors = tmp_path / "output", tmp_path / "errors"
        with output.open("wb") as out, errors.open("wb") as err:
            process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        started.append(Game(process, output, errors, tmp_path, port, PARTIES))
        return started[-1]

    yield start
    for game in started:
        if game.process.poll() is None:
            game.process.send_signal(signal.SIGTERM)
            game.process.wait(PATIENCE_S)
    trained.keep(caches)


def process_of(game: Game, party: str) -> int:
    # A party that is about to start a child is there twice for a moment, and the party itself came first.
    its = re.compile(rf"/start\.py parties\.[\w.]+ --settings \S+/{party}/settings\.json")
    pid, *_ = [
        pid for pid, command in sorted(processes_of(game.run).items())
        if its.search(command) and "env -i" not in command
    ]  # fmt: skip
    return pid


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_it_labels_queries(run: Callable[..., Game], launcher: str) -> None:
    game = run("--launcher", launcher)
    assert game.process.wait(5 * PATIENCE_S) == 0, game.said + game.sentence
    game.assert_nothing_left(result=True)
    document = json.loads((game.folder / "files" / game.run / "result.json").read_text())
    assert document["protocol"] == "capc"
    assert {"1a", "1c", "2", "3"} <= {line["step"] for line in document["links"]}
    assert all(line["seconds"] >= 0 for line in document["links"])
    assert re.search(r"query \d: label \d", game.said)
    timings = (game.logs / "timing.log").read_text().splitlines()
    assert {line.split("\t")[1] for line in timings[1:]} == {"client", "server-0", "server-1", "privacy-guardian"}


@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.parametrize(
    ("party", "moment"),
    [
        ("server-1", "server-0: begins step"),
        ("client", "client: begins step"),
        ("privacy-guardian", "privacy-guardian: listening"),
        ("server-0", "client: begins step 0'"),
        ("client", "client: begins step 1a"),
    ],
)
def test_a_partys_death_ends_the_run(run: Callable[..., Game], launcher: str, party: str, moment: str) -> None:
    game = run("--launcher", launcher, "--n_queries", "64")
    game.wait_until_said(moment)
    os.kill(process_of(game, party), signal.SIGKILL)
    assert game.wait() == 1, game.said
    assert game.sentence.startswith(f"{party} failed")
    assert "it was ended by SIGKILL" in game.sentence
    assert re.search(rf"\(see \S+/{party}\.(log|out)\)\.\n$", game.sentence)
    game.assert_nothing_left(result=False)


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.name)
def test_every_configuration_that_is_shipped_is_valid(path: Path) -> None:
    named = yaml.safe_load(path.read_text())["protocol"]
    assert configure(["--config", str(path)], PROTOCOLS).protocol.name == named


def test_the_default_configuration_says_what_the_defaults_are() -> None:
    assert configure(["--config", str(ROOT / "configs" / "default.yaml")], PROTOCOLS) == configure([], PROTOCOLS)


def test_output_that_nobody_takes_is_a_failure_with_our_own_status(tmp_path: Path) -> None:
    command = [sys.executable, "run_protocol.py", "--budget", "--files_dir", str(tmp_path)]
    with Path("/dev/full").open("wb") as full:
        assert subprocess.run(command, cwd=ROOT, stdout=full, check=False).returncode == 1
        refused = subprocess.run([*command, "--n_parties", "0"], cwd=ROOT, stdout=full, check=False)
    assert refused.returncode == 2


def test_the_published_demos_names_are_names_still() -> None:
    given = configure(["--start_batch", "7", "--round_exp", "12"], PROTOCOLS).settings.model_dump()
    assert (given["first_query"], given["fraction_bits"]) == (7, 12)


def test_a_key_under_both_its_names_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "twice.yaml"
    file.write_text("capc: {round_exp: 12, fraction_bits: 13}\n")
    with pytest.raises(ConfigError, match="round_exp: expected one of its names, found fraction_bits as well"):
        configure(["--config", str(file)], PROTOCOLS)
    file.write_text("capc: {round_exp: 12}\n")
    assert configure(["--config", str(file)], PROTOCOLS).settings.model_dump()["fraction_bits"] == 12
    overridden = configure(["--config", str(file), "--fraction_bits", "11"], PROTOCOLS)
    assert overridden.settings.model_dump()["fraction_bits"] == 11
