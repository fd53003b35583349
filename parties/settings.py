"""What ONE party may know, one type a role. The launcher writes each party's own, as JSON for its owner alone.

Beside `settings.json` in the party's private folder lie its certificate, key and authority, and its records; paths to
those are not settings. What is absent here a party cannot leak: an answering party is not told of queries, other
answering parties or the guardian's business; the guardian is not told of any data.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator

from mpc.parameters import PublicParameters
from parties.training import TrainingSettings


def _parameters(value: Any) -> PublicParameters:
    return value if isinstance(value, PublicParameters) else msgspec.convert(value, PublicParameters)


Parameters = Annotated[PublicParameters, PlainValidator(_parameters), PlainSerializer(msgspec.to_builtins)]


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Address(Strict):
    """Where a party listens."""

    host: str
    port: int


class Peer(Address):
    """A party to connect to; its certificate must carry this name."""

    name: str


class Supervisor(Strict):
    """The process whose end ends the party. `started` tells it from a later process with the same number."""

    pid: int
    started: str | None


class PartySettings(Strict):
    """What every party knows.

    Attributes:
        name: its own, as in its certificate.
        session: fresh for every run; a peer of another run is refused.
        log: the file it logs to, which anybody may read.
        parameters: the public ones.
        n_queries, batch_size: how many queries the run has, and how many go through the protocol at once.
    """

    name: str
    session: str
    log: Path
    supervisor: Supervisor | None
    connect_deadline_s: float
    message_deadline_s: float
    run_deadline_s: float
    parameters: Parameters
    n_queries: int
    batch_size: int

    @property
    def batches(self) -> list[slice]:
        """The queries in the order and the groups in which they go through the protocol."""
        starts = range(0, self.n_queries, self.batch_size)
        return [slice(start, min(start + self.batch_size, self.n_queries)) for start in starts]

    def digest(self) -> str:
        """What the parties of a run must agree on, for the hello."""
        agreed = f"{self.parameters.digest()} {self.n_queries} {self.batch_size}"
        return hashlib.sha256(agreed.encode()).hexdigest()


class QueryingSettings(PartySettings):
    """The querying party's own: whom to ask, which test images it asks about, and delta for its report."""

    servers: tuple[Peer, ...]
    guardian: Peer
    first_query: int
    delta: Decimal


class AnsweringSettings(PartySettings):
    """An answering party's own: who may ask, where the guardian is, and how to train its model.

    `cache` is private and outlives the run. `training_slot` is an empty file whose lock says whose turn it is to
    train among the parties on one machine.
    """

    listen: Address
    client: str
    guardian: Peer
    training: TrainingSettings
    cache: Path
    training_slot: Path


class GuardianSettings(PartySettings):
    """The privacy guardian's own: whom it serves, and the account that it keeps of the querying party.

    `ledger` is a file in a private folder that outlives the run; `account` is the querying party's name in it.
    `epsilon_budget` is what one account may spend in all at `delta`; None keeps the account without a limit.
    """

    listen: Address
    client: str
    servers: tuple[str, ...]
    ledger: Path
    account: str
    epsilon_budget: float | None
    delta: Decimal
