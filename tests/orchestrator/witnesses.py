"""A protocol over the frame's real connections, whose group of witnesses may lose one.

A reader asks all witnesses again and again, until one is gone, and once more those that are left. Run as a program it
is the orchestrator with this protocol alone.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.cli import main
from parties.frame.plan import Command, Plan, Process, Run, Summary, Tolerance
from parties.frame.settings import Address, PartySettings, Peer

READER, WITNESS = "reader", "witness"
ASK, END = b"?", b"."


class WitnessesConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    witnesses: int = Field(
        3, ge=1, le=9, description="witnesses", json_schema_extra={"flag": True, "unit": "witnesses"}
    )


class WitnessSettings(PartySettings):
    listen: Address


class ReaderSettings(PartySettings):
    witnesses: tuple[Peer, ...]


class Witnesses:
    name = "witnesses"
    Config = WitnessesConfig
    commands: Mapping[str, Command] = {}

    def plan(self, config: WitnessesConfig, run: Run) -> Plan:
        limits = {"connect_deadline_s": 60.0, "message_deadline_s": 30.0, "run_deadline_s": 120.0}
        peers = [
            Peer(name=f"witness-{index}", host=run.host, port=run.start_port + index)
            for index in range(config.witnesses)
        ]
        processes = [
            Process(
                peer.name,
                "tests.orchestrator.witness",
                WitnessSettings(
                    **run.common_settings(peer.name), **limits, listen=Address(host=peer.host, port=peer.port)
                ),
                "witnesses",
                peer.port,
            )
            for peer in peers
        ]
        settings = ReaderSettings(**run.common_settings(READER), **limits, witnesses=tuple(peers))
        processes.insert(0, Process(READER, "tests.orchestrator.reader", settings, READER))
        return Plan(
            tuple(processes),
            reporter=READER,
            deadline_s=120.0,
            tolerates=(Tolerance(tuple(peer.name for peer in peers), 1),),
            grace_s=3.0,
        )

    def summary(self, result: Mapping[str, Any]) -> Summary:
        return Summary((("lost", ", ".join(result["lost"])), ("heard", ", ".join(result["heard"]))))


if __name__ == "__main__":
    sys.exit(main({"witnesses": Witnesses()}))
