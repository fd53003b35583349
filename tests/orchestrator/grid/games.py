"""The game as a protocol that is tried over a grid. Run as a program it is the command, for signals to end."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from orchestrator.cli import main
from orchestrator.command_line import CommandLine, Program
from orchestrator.grid.sweep import simulate
from parties.frame.plan import Trials
from tests.orchestrator.game import Game, GameConfig

FLAGS = ("--progress", "lines")


class SeededConfig(GameConfig):
    seed: int = Field(0, ge=0, description="of the game", json_schema_extra={"flag": True, "unit": "seed"})


def of_result(result: Mapping[str, Any]) -> dict[str, float | int | None]:
    return {"catches": len(result["ball"]), "drops": None}


class SeededGame(Game):
    Config = SeededConfig
    trials = Trials(
        "tests.orchestrator.grid.tryer", ("catches", "drops"), "seed", of_result, lambda one: one.deadline_s
    )


PROTOCOLS = {"game": SeededGame()}


def command(arguments: list[str], name: str) -> int:
    return simulate(PROTOCOLS, CommandLine(name, "1.2", {}, Path("nowhere")), arguments, name)


LINE = CommandLine("run", "1.2", {"simulate": Program("try", "tests.orchestrator.grid.games:command")})


def run(*arguments: str) -> int:
    return main(PROTOCOLS, ["simulate", *arguments, *FLAGS], LINE)


if __name__ == "__main__":
    sys.exit(run(*sys.argv[1:]))
