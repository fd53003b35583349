"""What each party is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from parties.frame.settings import Address, PartySettings, Peer

Role = Literal["computing party", "provider of correlations", "outside party"]
"""The names of the roles, which the hello compares."""

COMPUTING: Final = "computing party"
PROVIDER: Final = "provider of correlations"
OUTSIDE: Final = "outside party"
Argument = bool | int | float | str


class TensorsSettings(PartySettings):
    """What one party knows.

    Attributes:
        role: of this party.
        backend: the name of the back-end.
        computing, provider, outside: the names of all parties, by role. Some back-ends have no provider.
        ring_bits, fraction_bits, rounding: of all fixed-point numbers.
        program: a built-in program's name, or a file with the user's own.
        program_digest: SHA-256 of the program's text in hex, which all parties compare.
        policy: which output may be revealed to whom.
        times: how often an output may be revealed, where that is more than once.
        seed: of public random numbers, such as initial weights.
        arguments: public numbers and words for the program.
        files: the party's own files, by the names that the program has for them.
        outputs: the file that the party's own outputs go to, or None.
        twin: what the same program gives in the clear, where that is known, to be shown beside the result.
        listen: where this party listens. A provider does so where outside parties get seeds from it.
        dials: the parties that this one connects to, computing ones and maybe the provider.
        awaits: the parties that connect to this one, with their roles.
    """

    role: Role
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
    seed: int
    arguments: dict[str, Argument]
    files: dict[str, Path] = Field(default_factory=dict)
    outputs: Path | None = None
    twin: dict[str, float] = Field(default_factory=dict)
    listen: Address | None = None
    dials: tuple[Peer, ...] = ()
    awaits: dict[str, Role] = Field(default_factory=dict)

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
            "seed": str(self.seed),
            "arguments": json.dumps(self.arguments, sort_keys=True),
        }
