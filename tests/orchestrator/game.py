"""A protocol that computes nothing: players who listen, pass a ball, and misbehave when told to.

It has nothing in common with the real protocols but `parties.frame.plan`, which is what the orchestrator may know.
Run as a program it is the orchestrator with this protocol alone.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.cli import main
from parties.frame.errors import ConfigError
from parties.frame.plan import Plan, Process, Run, Summary, View

Manner = Literal["fair", "raise", "silent_exit", "lie", "hang", "stubborn", "complain", "garble", "print_and_die"]


class PlayerSettings(BaseModel):
    """What one player is told."""

    name: str
    host: str
    port: int
    next_port: int | None
    manner: Manner
    throw_s: float
    folder: Path
    log: Path
    supervisor_pid: int | None


class GameConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    players: int = Field(3, ge=2, le=40, description="players", json_schema_extra={"flag": True, "unit": "players"})
    manner: Manner = Field("fair", description="of one player", json_schema_extra={"flag": True})
    who: int = Field(1, ge=0, description="the player with that manner", json_schema_extra={"flag": True})
    throw_s: float = Field(0.0, ge=0, description="time", json_schema_extra={"flag": True, "unit": "seconds"})
    deadline_s: float = Field(60.0, gt=0, description="in all", json_schema_extra={"flag": True, "unit": "seconds"})
    share: float = Field(0.5, gt=0, lt=1, description="no flag", json_schema_extra={"flag": False})
    label: str | None = Field(None, description="text", json_schema_extra={"flag": True})


class Game:
    """Player i throws to player i + 1; the last one holds the ball."""

    name = "game"
    Config = GameConfig

    @property
    def views(self) -> Mapping[str, View]:
        return {"rules": View("how it is played", lambda config, files: Summary((("players", str(config.players)),)))}

    def plan(self, config: GameConfig, run: Run) -> Plan:
        if config.who >= config.players:
            raise ConfigError(f"who: expected one of the {config.players} players, found {config.who}.")
        processes = []
        for index in range(config.players):
            name = f"player-{index}"
            last = index == config.players - 1
            settings = PlayerSettings(
                name=name,
                host=run.host,
                port=run.start_port + index,
                next_port=None if last else run.start_port + index + 1,
                manner=config.manner if index == config.who else "fair",
                throw_s=config.throw_s,
                folder=run.folders.party(name),
                log=run.folders.log(name),
                supervisor_pid=run.supervisor_pid,
            )
            (run.folders.party(name) / "secret.txt").write_text("a share\n")
            pane = "thrower" if index == 0 else "catcher" if last else "middle"
            processes.append(Process(name, "tests.orchestrator.player", settings, pane, run.start_port + index))
        return Plan(tuple(processes), reporter=processes[0].name, deadline_s=config.deadline_s)

    def summary(self, result: Mapping[str, Any]) -> Summary:
        return Summary((("Ball", str(result["ball"])),), ("it is only a game",))


if __name__ == "__main__":
    sys.exit(main({"game": Game()}))
