"""A protocol that computes nothing, the orchestrator's second tenant.

Players listen, pass a ball, and misbehave when told to. Line judges watch, of whom some may be lost. A scorekeeper
serves until it is told to end, and keeps a book that outlives the game. The game shares only `parties.frame` with the
real protocols. Run as a program it is the orchestrator with this protocol alone.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.cli import main
from parties.frame.errors import ConfigError, PartyError
from parties.frame.plan import Command, Plan, Process, Run, Summary, Tolerance
from parties.frame.settings import Address, PartySettings

Manner = Literal[
    "fair",
    "raise",
    "silent_exit",
    "lie",
    "hang",
    "stubborn",
    "complain",
    "garble",
    "print_and_die",
    "mute",
    "late",
    "alone",
]
KeepersManner = Literal["fair", "leaves", "upset", "stubborn", "deaf"]
JudgesManner = Literal["fair", "complain", "hang", "stubborn"]
KEEPER = "scorekeeper"


class PlayerSettings(BaseModel):
    """What one player or judge is told. `judges` and `keeper` are ports."""

    name: str
    host: str
    port: int
    next_port: int | None = None
    judges: tuple[int, ...] = ()
    keeper: int | None = None
    manner: Manner | JudgesManner
    throw_s: float = 0.0
    folder: Path
    log: Path
    supervisor_pid: int | None


class KeeperSettings(PartySettings):
    """What the scorekeeper is told."""

    listen: Address
    book: Path
    manner: KeepersManner


def _flag(unit: str) -> dict[str, Any]:
    return {"flag": True, "unit": unit}


class GameConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    players: int = Field(3, ge=2, le=40, description="players", json_schema_extra=_flag("players"))
    manner: Manner = Field("fair", description="of one player", json_schema_extra={"flag": True})
    who: int = Field(1, ge=0, description="the player with that manner", json_schema_extra={"flag": True})
    throw_s: float = Field(0.0, ge=0, description="time", json_schema_extra=_flag("seconds"))
    deadline_s: float = Field(120.0, gt=0, description="in all", json_schema_extra=_flag("seconds"))
    share: float = Field(0.5, gt=0, lt=1, description="no flag", json_schema_extra={"flag": False})
    label: str | None = Field(None, description="text", json_schema_extra={"flag": True})
    judges: int = Field(0, ge=0, le=9, description="line judges", json_schema_extra=_flag("judges"))
    may_lose: int = Field(1, ge=0, description="so many of the judges", json_schema_extra=_flag("judges"))
    judge: JudgesManner = Field("fair", description="manner of the first judge", json_schema_extra={"flag": True})
    scored: bool = Field(False, description="keep the score", json_schema_extra={"flag": True})
    keeper: KeepersManner = Field("fair", description="manner of the scorekeeper", json_schema_extra={"flag": True})


class ScoreOptions(BaseModel):
    at_least: int = Field(0, description="how many catches it takes", json_schema_extra=_flag("catches"))


class Game:
    """Player i throws to player i + 1. The last one holds the ball and asks the judges."""

    name = "game"
    Config = GameConfig

    @property
    def commands(self) -> Mapping[str, Command]:
        return {
            "rules": Command("show how it is played", lambda config, *_: Summary((("players", str(config.players)),))),
            "score": Command("show how many balls were caught in all games", score, ScoreOptions),
            "whistle": Command("whistle", whistle),
        }

    def plan(self, config: GameConfig, run: Run) -> Plan:
        if config.who >= config.players:
            raise ConfigError(f"who: expected one of the {config.players} players, found {config.who}.")
        first_judge = run.start_port + config.players
        judges = {f"judge-{index}": first_judge + index for index in range(config.judges)}
        keeper = first_judge + config.judges if config.scored else None
        processes = [self._player(config, run, index, judges, keeper) for index in range(config.players)]
        reporter = processes[0].name
        processes += [self._judge(config, run, name, port) for name, port in judges.items()]
        if keeper is not None:
            processes.append(self._keeper(config, run, keeper))
        return Plan(
            tuple(processes),
            reporter=reporter,
            deadline_s=config.deadline_s,
            ready_first=(*judges, *([KEEPER] if config.scored else [])),
            tolerates=(Tolerance(tuple(judges), min(config.may_lose, len(judges))),) if judges else (),
            grace_s=3.0,
        )

    def _player(self, config: GameConfig, run: Run, index: int, judges: dict[str, int], keeper: int | None) -> Process:
        name = f"player-{index}"
        last = index == config.players - 1
        settings = PlayerSettings(
            **_common(run, name, run.start_port + index),
            next_port=None if last else run.start_port + index + 1,
            judges=tuple(judges.values()) if last else (),
            keeper=keeper if index else None,
            manner=config.manner if index == config.who else "fair",
            throw_s=config.throw_s,
        )
        (run.folders.party(name) / "secret.txt").write_text("a share\n")
        pane = "thrower" if index == 0 else "catcher" if last else "middle"
        return Process(name, "tests.orchestrator.player", settings, pane, settings.port)

    def _judge(self, config: GameConfig, run: Run, name: str, port: int) -> Process:
        manner = config.judge if name == "judge-0" else "fair"
        settings = PlayerSettings(**_common(run, name, port), manner=manner)
        return Process(name, "tests.orchestrator.judge", settings, "judges", port)

    def _keeper(self, config: GameConfig, run: Run, port: int) -> Process:
        settings = KeeperSettings(
            **run.common_settings(KEEPER),
            connect_deadline_s=config.deadline_s,
            message_deadline_s=config.deadline_s,
            run_deadline_s=config.deadline_s,
            listen=Address(host=run.host, port=port),
            book=run.folders.durable(KEEPER) / "book.txt",
            manner=config.keeper,
        )
        return Process(KEEPER, "tests.orchestrator.scorekeeper", settings, KEEPER, port, serves=True)

    def summary(self, result: Mapping[str, Any]) -> Summary:
        return Summary((("Ball", str(result["ball"])),), ("it is only a game",))


def _common(run: Run, name: str, port: int) -> dict[str, Any]:
    return {
        "name": name,
        "host": run.host,
        "port": port,
        "folder": run.folders.party(name),
        "log": run.folders.log(name),
        "supervisor_pid": run.supervisor_pid,
    }


def score(_: GameConfig, files: Path, options: ScoreOptions) -> Summary | int:
    """Return the catches of all games that were scored. Exit status 4 stands for too few of them."""
    book = files / "durable" / KEEPER / "book.txt"
    if not book.exists():
        raise PartyError("No game was scored yet.")
    games = [int(line) for line in book.read_text().split()]
    if sum(games) < options.at_least:
        return 4
    return Summary((("games", str(len(games))), ("catches", str(sum(games)))))


def whistle(*_: object) -> int:
    """Print by itself, and return the exit status of a command that does."""
    print("tweet")
    return 0


if __name__ == "__main__":
    sys.exit(main({"game": Game()}))
