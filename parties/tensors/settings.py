"""What each party is told."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from mpc.tensors.reveals import Reveal
from parties.frame.settings import Address, PartySettings, Peer, Strict

Role = Literal["computing party", "provider of correlations", "outside party"]
"""The names of the roles, which the hello compares."""

COMPUTING: Final = "computing party"
PROVIDER: Final = "provider of correlations"
OUTSIDE: Final = "outside party"
Argument = bool | int | float | str


class Computation(Strict):
    """What is computed, by whom and with what, as all parties know it.

    Attributes:
        backend: the name of the back-end.
        computing, provider, outside: the names of all parties, by role. Some back-ends have no provider.
        ring_bits, fraction_bits, rounding: of all fixed-point numbers.
        program: a file with the program.
        program_digest: SHA-256 of the program's text in hex, which all parties compare.
        policy: which output may be revealed to whom.
        times: how often an output may be revealed, where that is more than once.
        noise: the least noise of an output, where it must have some.
        seed: of public random numbers, such as initial weights.
        arguments: public numbers and words for the program.
    """

    backend: str
    computing: tuple[str, ...]
    provider: str | None
    outside: tuple[str, ...]
    ring_bits: int
    fraction_bits: int
    rounding: Literal["stochastic", "floor", "nearest"]
    program: Path
    program_digest: str
    policy: dict[str, tuple[str, ...]]
    times: dict[str, int]
    noise: dict[str, float]
    seed: int
    arguments: dict[str, Argument]


class TensorsSettings(Computation, PartySettings):
    """What one party knows.

    Attributes:
        role: of this party.
        reveals: what the program was found to reveal, each with how often it may come, which the party holds it to.
            None where that depends on numbers that it reveals.
        files: the party's own files, by the names that the program has for them.
        outputs: the file that the party's own outputs go to, or None.
        twin: what the same program gives in the clear, where that is known, to be shown beside the result.
        listen: where this party listens. A provider does so where outside parties get seeds from it.
        dials: the parties that this one connects to, computing ones and maybe the provider.
        awaits: the parties that connect to this one, with their roles.
        openers: the members that may open a session with this one, with their roles..
        record: the file in which a member of a federation writes down its sessions and what they reveal.
        sessions: how many sessions of this computation members may open in all, or None.
    """

    role: Role
    reveals: tuple[tuple[Reveal, int], ...] | None = None
    files: dict[str, Path] = Field(default_factory=dict)
    outputs: Path | None = None
    twin: dict[str, float] = Field(default_factory=dict)
    listen: Address | None = None
    dials: tuple[Peer, ...] = ()
    awaits: dict[str, Role] = Field(default_factory=dict)
    openers: dict[str, Role] = Field(default_factory=dict)
    record: Path | None = None
    sessions: int | None = None

    def agreed(self) -> dict[str, str]:
        """Return what all parties must agree on, as text by name. It is public."""
        return {
            "protocol": "tensors",
            "back-end": self.backend,
            "computing parties": ", ".join(self.computing),
            "provider of correlations": self.provider or "none",
            "outside parties": ", ".join(self.outside),
            "ring bits": str(self.ring_bits),
            "fraction bits": str(self.fraction_bits),
            "rounding": self.rounding,
            "program": self.program_digest,
            "policy": json.dumps(self.policy, sort_keys=True),
            "times of reveals": json.dumps(self.times, sort_keys=True),
            "noise on reveals": json.dumps(self.noise, sort_keys=True),
            "reveals": "as the policy says" if self.reveals is None else _as_text(self.reveals),
            "seed": str(self.seed),
            "arguments": json.dumps(self.arguments, sort_keys=True),
            "sessions in all": "any number" if self.sessions is None else str(self.sessions),
        }

    def counted(self) -> dict[str, str]:
        """Return the part of it that decides what an output tells, under which sessions are counted.

        Another back-end, format, rounding, seed or forecast of the same program tells the same once more, so that these
        must not begin the count anew.
        """
        parties = {*self.computing, *self.outside, *([self.provider] if self.provider else [])}
        return {"parties": ", ".join(sorted(parties))} | {
            name: value
            for name, value in self.agreed().items()
            if name in ("program", "policy", "times of reveals", "noise on reveals", "arguments")
        }


def _as_text(reveals: tuple[tuple[Reveal, int], ...]) -> str:
    return json.dumps([[asdict(reveal), times] for reveal, times in reveals])
