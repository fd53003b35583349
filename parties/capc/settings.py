"""The settings of one party, which are all that it is told. There is a type for each role.

What is absent here a party cannot leak. An answering party is not told of queries, of other answering parties or of the
guardian's accounts. All know the budgets, which are part of what they agree on. The guardian is not told of any data.
The records of a party lie in its private folder beside `settings.json`, so that their paths are not settings.
"""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from pydantic import PlainSerializer, PlainValidator

from mpc.capc.parameters import PublicParameters
from mpc.capc.quorum import price, with_voters
from mpc.dp.accountant import Cost
from mpc.inference.models.bounds import Beyond
from parties.frame.process import Party
from parties.frame.settings import Address, PartySettings, Peer, Strict
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
        parameters: the public parameters, with all parties that may answer a querying party.
        min_parties: how many of these must vote.
        n_queries: the most queries that each querying party has.
        batch_size: the most queries that go through the protocol at once.
        pool: number of batches that a querying and an answering party prepare ahead.
        delta: that every epsilon is counted at.
        epsilon_budget: the epsilon that one querying party may spend in all. None keeps its account without a limit.
        owner_epsilon_budget: the epsilon that one data owner's records may lose in all. None as above.
        queries_in_all: the queries, over all runs, for which an answering party's weights stay hidden. None is as many
            as one run has, and counts in one run alone.
        rejoin_s: for how many seconds a querying party tries again when it has lost another party. 0 is not at all, and
            then every request is charged.
        data: the public preprocessing of everybody's records, or the dataset's name, in plain values.
        release: the name of the release rule, and the digest of what it says, or nothing where none is named.
    """

    parameters: Parameters
    min_parties: int
    n_queries: int
    batch_size: int
    pool: int
    delta: Decimal
    epsilon_budget: float | None
    owner_epsilon_budget: float | None
    queries_in_all: int | None
    rejoin_s: float
    data: dict[str, Any]
    release: str = ""

    @property
    def quorum(self) -> bool:
        """Whether a session may go on without some of the parties."""
        return self.min_parties < self.parameters.parties

    @property
    def price(self) -> tuple[Cost, ...]:
        """What a query is charged in both ledgers, whoever votes."""
        return price(self.parameters, self.min_parties)

    def agreed(self) -> dict[str, str]:
        """Return all that the parties of a run must agree on, as text by name, for the hello.

        It is every setting of this class, and every one of the public parameters. All are public. How long a querying
        party tries again is its own affair, but not whether it does.
        """
        shared = {name: getattr(self, name) for name in CapcSettings.model_fields.keys() - PartySettings.model_fields}
        parameters: PublicParameters = shared.pop("parameters")
        shared["rejoin_s"] = shared["rejoin_s"] > 0
        data = {f"data.{name}": value for name, value in shared.pop("data").items()}
        values = shared | data | msgspec.structs.asdict(parameters)
        return {name: _text(value) for name, value in sorted(values.items())}


Settings = TypeVar("Settings", bound=CapcSettings)


def with_voters_of(party: Party[Settings], voters: int, **more: Any) -> Party[Settings]:
    """Return the same party in a session in which so many vote, with more changes to its settings."""
    parameters = with_voters(party.settings.parameters, voters)
    return replace(party, settings=party.settings.model_copy(update={"parameters": parameters, **more}))


def _text(value: Any) -> str:
    """Return a setting as text that is the same for equal values, such as 10 and 10.0, and different otherwise."""
    if isinstance(value, float | Decimal):
        return f"{Decimal(repr(value) if isinstance(value, float) else value).normalize():f}"
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, sort_keys=True)
    return "none" if value is None else str(value)


class CampaignSettings(Strict):
    """The way in which a querying party gets a better model from labels that it buys.

    Attributes:
        strategy: how it chooses among its unlabelled records.
        code_dir: the folder in which the module of a strategy of its own is looked for as well.
        seed: of the experiment, for what the strategy leaves to chance.
        training: of its own model, before and after.
        answers: the file, in its private folder that outlives the run, with every answer of this very campaign.
        cache: as an answering party's.
        training_slot: as an answering party's.
        model_out: the file that it writes its better model to, for itself.
    """

    strategy: str
    seed: int
    training: TrainingSettings
    answers: Path
    cache: Path
    training_slot: Path
    model_out: Path | None = None
    code_dir: Path | None = None


class QueryingSettings(CapcSettings):
    """The settings of a querying party.

    Attributes:
        servers: the answering parties that it asks.
        architectures: the name of each one's architecture, in the same order. None is one that its owner chose.
        guardian: the privacy guardian.
        pending: its private folder for a batch that it has asked for and has no labels of.
        querying_party: its number as a data owner.
        owner_name: its name as a data owner, or nothing.
        first_query: it asks about the given records from here on, unless a campaign chooses.
        label_names: the names of the labels, where a query has several.
        class_values: the values that stand for the classes, or nothing where those are numbers.
        labels_out: the file that it writes its labels to, for itself.
        campaign: None where the queries are given.
        answers: the file, in its private folder, with what it has bought of the answers to given queries. On a machine
            of its own it outlives the session, else its process. None where a process that ended is not started again.
    """

    servers: tuple[Peer, ...]
    architectures: tuple[str | None, ...]
    guardian: Peer
    pending: Path
    querying_party: int
    first_query: int
    owner_name: str = ""
    label_names: tuple[str, ...] = ()
    class_values: tuple[bool | int | str, ...] = ()
    labels_out: Path | None = None
    campaign: CampaignSettings | None = None
    answers: Path | None = None


class AnsweringSettings(CapcSettings):
    """The settings of an answering party.

    Attributes:
        listen: where it listens.
        clients: the querying parties, which ask one after the other.
        guardian: the privacy guardian.
        owner, owners: its number as a data owner, of so many.
        owner_name: its name as a data owner, or nothing.
        account: the name of its own account. It is empty where the name follows from number and records.
        odometer: the file of its own account, in its private folder that outlives the run.
        training: of its model.
        beyond_bounds: whether weights beyond the public bounds are scaled down or refused.
        cache: its private folder for trained models, which outlives the run.
        training_slot: an empty file. Its lock decides which of the parties on one machine may train now.
    """

    listen: Address
    clients: tuple[str, ...]
    guardian: Peer
    owner: int
    owners: int
    owner_name: str = ""
    account: str = ""
    odometer: Path
    training: TrainingSettings
    beyond_bounds: Beyond
    cache: Path
    training_slot: Path


class AskingTurn(Strict):
    """The turn of one querying party.

    Attributes:
        client: the querying party.
        servers: the parties that answer it.
        account: its name in the ledger.
        older_account: the name that it had in older ledgers, whose charges count as well.
    """

    client: str
    servers: tuple[str, ...]
    account: str
    older_account: str


class GuardianSettings(CapcSettings):
    """The settings of the privacy guardian.

    Attributes:
        listen: where it listens.
        turns: the querying parties that it serves, one after the other.
        ledger: the file of the accounts, in a private folder that outlives the run.
        openings: the folder of its notes of batches whose labels were possible, which outlives the run.
        quorum_wait_s: how long it waits for answering parties that are missing, after the last one that came.
    """

    listen: Address
    turns: tuple[AskingTurn, ...]
    ledger: Path
    openings: Path
    quorum_wait_s: float
