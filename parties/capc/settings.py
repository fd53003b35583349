"""The settings of one party, which are all that it is told. There is a type for each role.

What is absent here a party cannot leak. An answering party is not told of queries, of other answering parties or of the
guardian's accounts. The guardian is not told of any data. The records of a party lie in its private folder beside
`settings.json`, so that their paths are not settings.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import msgspec
from pydantic import PlainSerializer, PlainValidator

from mpc.capc.parameters import PublicParameters
from parties.frame.settings import Address, PartySettings, Peer, Strict
from parties.learning.selection import Strategy
from parties.learning.training_settings import TrainingSettings


def _parameters(value: Any) -> PublicParameters:
    return value if isinstance(value, PublicParameters) else msgspec.convert(value, PublicParameters)


QUERYING = "querying party"
ANSWERING = "answering party"
GUARDIAN = "privacy guardian"

Parameters = Annotated[PublicParameters, PlainValidator(_parameters), PlainSerializer(msgspec.to_builtins)]


class CapcSettings(PartySettings):
    """What every party of a CaPC run knows.

    Attributes:
        parameters: the public parameters.
        n_queries: the most queries that each querying party has.
        batch_size: the most queries that go through the protocol at once.
        pool: number of batches that a querying and an answering party prepare ahead.
    """

    parameters: Parameters
    n_queries: int
    batch_size: int
    pool: int

    def digest(self) -> str:
        """Return a digest of all that the parties of a run must agree on, for the hello."""
        agreed = (self.parameters.digest(), self.n_queries, self.batch_size, self.pool)
        return hashlib.sha256(" ".join(map(str, agreed)).encode()).hexdigest()


class CampaignSettings(Strict):
    """The way in which a querying party gets a better model from labels that it buys.

    Attributes:
        querying_party: number of the data owner.
        strategy: how it chooses among its unlabelled records.
        seed: of the experiment, for what the strategy leaves to chance.
        training: of its own model, before and after.
        answers: the file, in its private folder that outlives the run, with every answer of this very campaign.
        cache: as an answering party's.
        training_slot: as an answering party's.
    """

    querying_party: int
    strategy: Strategy
    seed: int
    training: TrainingSettings
    answers: Path
    cache: Path
    training_slot: Path


class QueryingSettings(CapcSettings):
    """The settings of a querying party.

    Attributes:
        servers: the answering parties that it asks.
        guardian: the privacy guardian.
        first_query: it asks about the test images from here on, unless a campaign chooses.
        delta: for its report.
        label_names: the names of the labels, where a query has several.
        campaign: None where the queries are given.
    """

    servers: tuple[Peer, ...]
    guardian: Peer
    first_query: int
    delta: Decimal
    label_names: tuple[str, ...] = ()
    campaign: CampaignSettings | None = None


class AnsweringSettings(CapcSettings):
    """The settings of an answering party.

    Attributes:
        listen: where it listens.
        clients: the querying parties, which ask one after the other.
        guardian: the privacy guardian.
        training: of its model.
        cache: its private folder for trained models, which outlives the run.
        training_slot: an empty file. Its lock decides which of the parties on one machine may train now.
    """

    listen: Address
    clients: tuple[str, ...]
    guardian: Peer
    training: TrainingSettings
    cache: Path
    training_slot: Path


class AskingTurn(Strict):
    """The turn of one querying party.

    Attributes:
        client: the querying party.
        servers: the parties that answer it.
        account: its name in the ledger.
    """

    client: str
    servers: tuple[str, ...]
    account: str


class GuardianSettings(CapcSettings):
    """The settings of the privacy guardian.

    Attributes:
        listen: where it listens.
        turns: the querying parties that it serves, one after the other.
        ledger: the file of the accounts, in a private folder that outlives the run.
        epsilon_budget: the epsilon that one account may spend in all. None keeps the accounts without a limit.
        delta: that epsilon is counted at.
    """

    listen: Address
    turns: tuple[AskingTurn, ...]
    ledger: Path
    epsilon_budget: float | None
    delta: Decimal
