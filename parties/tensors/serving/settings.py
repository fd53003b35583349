"""What each party of a service is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, Literal

from mpc.tensors.backends.kinds import KINDS
from mpc.tensors.backends.subsets import SUMS
from mpc.tensors.fingerprints import Ticket
from mpc.tensors.ranges import Format
from parties.frame.settings import Address, PartySettings, Peer
from parties.tensors.serving.tickets import TICKETS
from parties.tensors.settings import COMPUTING, PROVIDER, Argument

ServingRole = Literal["computing party", "provider of correlations", "owner of the model", "client"]
"""The names of the roles, which the hello compares."""

OWNER: Final = "owner of the model"
CLIENT: Final = "client"
__all__ = ["CLIENT", "COMPUTING", "OWNER", "PROVIDER", "ServingRole", "ServingSettings", "lanes_end_s"]
_LANES_END_S = 30.0  # a service has 45 s in deploy/ before it is killed


def lanes_end_s(message_deadline_s: float) -> float:
    """Return for how long the end of a session waits for lanes that still compute. A longer one is given up."""
    return min(message_deadline_s, _LANES_END_S)


class ServingSettings(PartySettings):
    """What one party of a service knows.

    Attributes:
        role: of this party.
        backend: the name of the back-end.
        computing, provider, owner, clients: the names of all parties, by role. The first computing party is the leader.
            Some back-ends have no provider.
        ring_bits, fraction_bits, rounding: of all fixed-point numbers.
        seed: of public random numbers.
        model: the file of the model, which holds none of its numbers.
        model_digest: SHA-256 of that file in hex, which all parties compare.
        arguments: public numbers and words for the model's file.
        files: the party's own files, by the names that the model's file has for them.
        lanes: how many records each lane computes at once.
        max_wait_ms: how long a request may wait for others that fill its batch.
        queue: how many records may wait.
        quota: how many records one client may ask about in all, or None.
        pool: for how many batches of a lane the provider prepares correlations ahead.
        low_water: it prepares more when so few are left.
        return_s: how long a party that was lost may take to come back.
        answer_s: how long a client waits for an answer in all, and how long a request may last at a computing party.
        listen: where a computing party listens.
        dials: the computing parties that this one connects to.
        share: where a computing party keeps its share of the model, in a folder of its own.
        accounts: where a computing party counts what each client has asked.
        keep_share: whether the share stays on the disk when the service has ended well.
        restarts: how often a party that was killed is started again.
        ask: how many records a client asks about at once.
        pause_ms: how long a client waits between an answer and its next request.
        outputs: the file (.npz) that a client's answers go to, or None.
        twin: a client's answers as the model gives them in the clear, where that is known.
    """

    role: ServingRole
    backend: str
    computing: tuple[str, ...]
    provider: str | None
    owner: str
    clients: tuple[str, ...]
    ring_bits: int
    fraction_bits: int
    rounding: Literal["stochastic", "floor", "nearest"]
    seed: int
    model: Path
    model_digest: str
    arguments: dict[str, Argument]
    lanes: tuple[int, ...]
    max_wait_ms: float
    queue: int
    quota: int | None
    pool: int
    low_water: int
    return_s: float
    answer_s: float
    files: dict[str, Path]
    listen: Address | None = None
    dials: tuple[Peer, ...] = ()
    share: Path | None = None
    accounts: Path | None = None
    keep_share: bool = False
    restarts: int = 0
    ask: int = 1
    pause_ms: float = 0.0
    outputs: Path | None = None
    twin: tuple[tuple[float, ...], ...] = ()

    @property
    def deployed(self) -> bool:
        """Whether this party is a member of a federation, which serves on until it is told to end."""
        return self.credentials is not None

    @property
    def format(self) -> Format:
        """Of all fixed-point numbers."""
        return Format(self.ring_bits, self.fraction_bits)

    @property
    def pads(self) -> int:
        """The words of the pad of each record, or 0 where all parties follow the protocol."""
        return SUMS if KINDS[self.backend].proven else 0

    @property
    def ticket_bytes(self) -> int:
        """The bytes of a computing party's tickets."""
        return len(self.lanes) * TICKETS * Ticket.SIZE if self.pads else 0

    @property
    def leader(self) -> str:
        """The computing party that says which requests make up the next batch."""
        return self.computing[0]

    @property
    def largest_batch(self) -> int:
        return max(self.lanes)

    def agreed(self) -> dict[str, str]:
        """Return what all parties must agree on, as text by name. It is public."""
        return {
            "protocol": "serving tensors",
            "back-end": self.backend,
            "computing parties": ", ".join(self.computing),
            "provider of correlations": self.provider or "none",
            "owner of the model": self.owner,
            "clients": ", ".join(self.clients),
            "ring bits": str(self.ring_bits),
            "fraction bits": str(self.fraction_bits),
            "rounding": self.rounding,
            "seed": str(self.seed),
            "model": self.model_digest,
            "arguments": json.dumps(self.arguments, sort_keys=True),
            "lanes": ", ".join(map(str, self.lanes)),
            "quota": str(self.quota),
        }
