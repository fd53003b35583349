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
        parameters: the public ones.
        n_queries, batch_size: how many queries each querying party has at most, and how many go through the protocol
            at once at most.
        pool: for how many batches a querying and an answering party prepare ahead.
        credit_abstentions: whether the guardian is told how many queries of a batch got no label, so that it charges
            no answer for them.
    """

    parameters: Parameters
    n_queries: int
    batch_size: int
    pool: int
    credit_abstentions: bool

    def digest(self) -> str:
        """What the parties of a run must agree on, for the hello."""
        agreed = (self.parameters.digest(), self.n_queries, self.batch_size, self.pool, self.credit_abstentions)
        return hashlib.sha256(" ".join(map(str, agreed)).encode()).hexdigest()


class CampaignSettings(Strict):
    """How a querying party gets a better model from labels that it buys.

    Attributes:
        querying_party: which data owner it is.
        strategy: how it chooses among its unlabelled records.
        seed: of the experiment, for what the strategy leaves to chance.
        training: of its own model, before and after.
        answers: the file, in its private folder that outlives the run, with every answer of this very campaign.
        cache, training_slot: as an answering party's.
    """

    querying_party: int
    strategy: Strategy
    seed: int
    training: TrainingSettings
    answers: Path
    cache: Path
    training_slot: Path


class QueryingSettings(CapcSettings):
    """The querying party's own: whom to ask, what it asks about, and delta for its report.

    It asks about the test images from `first_query` on, or about what a campaign chooses. `label_names` are there where
    a query has several labels.
    """

    servers: tuple[Peer, ...]
    guardian: Peer
    first_query: int
    delta: Decimal
    label_names: tuple[str, ...] = ()
    campaign: CampaignSettings | None = None


class AnsweringSettings(CapcSettings):
    """An answering party's own: who may ask, where the guardian is, and how to train its model.

    `clients` ask one after the other. `cache` is private and outlives the run. `training_slot` is an empty file whose
    lock says whose turn it is to train among the parties on one machine.
    """

    listen: Address
    clients: tuple[str, ...]
    guardian: Peer
    training: TrainingSettings
    cache: Path
    training_slot: Path


class AskingTurn(Strict):
    """One querying party's turn: who asks, who answers, and the querying party's name in the ledger."""

    client: str
    servers: tuple[str, ...]
    account: str


class GuardianSettings(CapcSettings):
    """The privacy guardian's own: whom it serves, one querying party after the other, and the accounts that it keeps.

    `ledger` is a file in a private folder that outlives the run. `epsilon_budget` is what one account may spend in all
    at `delta`; None keeps the accounts without a limit.
    """

    listen: Address
    turns: tuple[AskingTurn, ...]
    ledger: Path
    epsilon_budget: float | None
    delta: Decimal
