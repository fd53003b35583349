"""The processes of a CaPC run, and the settings that each party gets.

One process for each querying party and each answering party, and one for the privacy guardian. The guardian listens at
the run's first port, the answering parties at those after it.
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from mpc.capc.parameters import PublicParameters
from mpc.capc.quorum import price
from mpc.dp.accountant import epsilon
from mpc.extras import missing
from parties.capc.accounts import account_name, folder_of
from parties.capc.answers import GivenAnswers, record_digests
from parties.capc.budget_view import LEDGER, ODOMETER
from parties.capc.casting import GUARDIAN_NAME, RoleAssignment, model_of, training_settings
from parties.capc.config import CapcConfig
from parties.capc.memory import Memory
from parties.capc.releases import release_agreed
from parties.capc.settings import AnsweringSettings, AskingTurn, CampaignSettings, GuardianSettings, QueryingSettings
from parties.frame.errors import ConfigError
from parties.frame.members import Federation
from parties.frame.plan import Process, Run, RunFolders, Tolerance
from parties.frame.settings import Address, Peer
from parties.learning.model_files.exporting import cannot_export
from parties.learning.model_files.source import PICKLE_WARNING, RUN_CODE
from parties.learning.models import MODELS
from parties.learning.parts import Dataset, SplitData
from parties.learning.records import Images
from parties.learning.training import missing_to_train, missing_to_train_further, model_path
from parties.learning.training_settings import TrainingSettings
from parties.ledger import Ledger


class Processes:
    """The processes of a run, each with the settings of its party, who is told only what it may know."""

    def __init__(
        self,
        config: CapcConfig,
        run: Run,
        dataset: Dataset,
        parameters: PublicParameters,
        data: SplitData,
        roles: RoleAssignment,
        deployed: Federation | None = None,
    ) -> None:
        self._config = config
        self._run = run
        self._dataset = dataset
        self._data = data
        self._roles = roles
        self._deployed = deployed
        listening = enumerate((roles.guardian, *roles.servers), run.start_port)
        self._places = {name: Address(host=run.host, port=port) for port, name in listening}
        if deployed is not None:
            self._places = {
                member.name: Address(host=member.host, port=member.port)
                for member in deployed.members
                if member.host is not None and member.port is not None
            }
        self._parameters = parameters
        self._accounts: dict[int, str] = {}
        self._memory = Memory(config, dataset.image_shape, dataset.classes)

    def clients(self) -> list[Process]:
        """Return the querying parties, in the order of their turns."""
        return [self._client(name, owner) for name, owner in self._roles.clients.items()]

    def _client(self, name: str, owner: int) -> Process:
        campaign = self._campaign(name, owner)
        settings = QueryingSettings(
            **self._common(name),
            servers=tuple(self._peer(server) for server in self._roles.answering(owner)),
            architectures=tuple(self._public_architecture(server) for server in self._roles.answering(owner)),
            guardian=self._peer(self._roles.guardian),
            pending=self._pending(name, owner, campaign),
            querying_party=owner,
            owner_name=self._data.names[owner],
            first_query=self._config.first_query,
            label_names=self._dataset.label_names,
            class_values=self._dataset.class_values,
            labels_out=self._out(self._config.labels_out, owner),
            campaign=campaign,
            answers=self._answers(name, owner),
        )
        memory = self._memory.querying(settings.architectures)
        return Process(name, "parties.capc.client", settings, "Client (querying party)", memory_bytes=memory)

    def client(self, name: str) -> Process:
        """Return one querying party."""
        return self._client(name, self._roles.clients[name])

    def server(self, name: str) -> Process:
        """Return one answering party."""
        return self._server(list(self._roles.servers).index(name), name, self._roles.servers[name])

    def _campaign(self, name: str, owner: int) -> CampaignSettings | None:
        """Return the settings of a campaign, with a file of answers that belongs to no other campaign."""
        config, folders = self._config, self._run.folders
        if config.strategy == "given":
            return None
        training = self._training(owner, owner)
        marks = [
            self._account(owner),
            config.strategy,
            self._what_answers_depend_on(),
            training.identity(),
            self._data.owned[owner].digest(),
            self._data.asked[owner].records.digest(),
        ]
        if config.data is not None:  # campaigns on datasets that have a name were named before there were others
            marks.append(json.dumps(dict(self._dataset.agreed), sort_keys=True))
        identity = hashlib.sha256("\n".join(marks).encode()).hexdigest()[:32]
        return CampaignSettings(
            strategy=config.strategy,
            seed=config.seed,
            training=training,
            answers=folders.durable(self._folder("client", owner)).resolve() / f"answers-{identity}.jsonl",
            cache=folders.cache(name).resolve(),
            training_slot=_training_slot(folders, owner),
            model_out=self._out(config.model_out, owner),
            code_dir=None if config.code_dir is None else config.code_dir.absolute(),
        )

    def _public_architecture(self, server: str) -> str | None:
        """Return the name of an answering party's architecture, or None for one of its owner's own."""
        model = model_of(self._config, list(self._roles.servers).index(server), self._roles.servers[server])
        return model if isinstance(model, str) and model in MODELS.built_in else None

    def _out(self, path: Path | None, owner: int) -> Path | None:
        """Return the path that a querying party writes to, for itself."""
        name = self._data.names[owner] or str(owner)
        return None if path is None else path.absolute().with_name(path.name.replace("{party}", name))

    def refuse_outputs(self) -> None:
        """Raise `ConfigError` where what the querying parties want as files cannot be written."""
        for owner in self._roles.clients.values():
            labels, model = self._out(self._config.labels_out, owner), self._out(self._config.model_out, owner)
            if labels is not None and not labels.parent.is_dir():
                raise ConfigError(f"labels_out: expected a folder {labels.parent}, found none")
            if model is not None and (complaint := cannot_export(model)):
                raise ConfigError(f"model_out: {complaint}")

    def _pending(self, name: str, owner: int, campaign: CampaignSettings | None) -> Path:
        """Return where a querying party keeps an unfinished batch, beside its answers or in its own run.

        What it asks under other parameters is another batch, with another charge.
        """
        if campaign is not None:
            return campaign.answers.with_suffix(".pending")
        answers = None if self._deployed is None else self._answers(name, owner)
        return (
            self._run.folders.party(name).resolve() / "pending" if answers is None else answers.with_suffix(".pending")
        )

    def _what_answers_depend_on(self) -> str:
        """Return a digest of the public parameters. How circuits are sent changes no answer, and is left out."""
        return msgspec.structs.replace(self._parameters, garbling="half-gates", circuits="ahead").digest()

    def _answers(self, name: str, owner: int) -> Path | None:
        """Return where answers to given queries outlive a process, or None where nothing does.

        On a machine of the party's own they outlive a session as well. A run on one machine asks anew.
        """
        if self._config.strategy != "given":
            return None
        if self._deployed is None:
            again = self._config.tries_again_s > 0
            return self._run.folders.party(name).resolve() / "given.jsonl" if again else None
        agreed = json.dumps(dict(self._dataset.agreed), sort_keys=True)
        marks = (self._account(owner), self._what_answers_depend_on(), agreed)
        identity = hashlib.sha256("\n".join(marks).encode()).hexdigest()[:32]
        return self._run.folders.durable(self._folder("client", owner)).resolve() / f"given-{identity}.jsonl"

    def given_answers(self, name: str) -> GivenAnswers | None:
        """Return what a querying party has bought of the answers to its given queries, or None where it keeps none."""
        owner = self._roles.clients[name]
        path = self._answers(name, owner)
        return None if path is None else GivenAnswers(path, record_digests(self._data.asked[owner].records.images))

    def guardian(self) -> Process:
        """Return the privacy guardian."""
        turns = [
            AskingTurn(
                client=name,
                servers=self._roles.answering(owner),
                account=self._account(owner),
                older_account=self._older_account(owner),
            )
            for name, owner in self._roles.clients.items()
        ]
        settings = GuardianSettings(
            **self._common(self._roles.guardian),
            listen=self._address(self._roles.guardian),
            turns=tuple(turns),
            ledger=(self._run.folders.durable(self._roles.guardian) / LEDGER).resolve(),
            openings=(self._run.folders.durable(self._roles.guardian) / "openings").resolve(),
            quorum_wait_s=self._config.quorum_wait_s,
        )
        return Process(
            self._roles.guardian,
            "parties.capc.privacy_guardian",
            settings,
            "Privacy guardian",
            settings.listen.port,
            memory_bytes=self._memory.guardian(),
        )

    def servers(self) -> list[Process]:
        """Return the answering parties."""
        return [self._server(index, name, owner) for index, (name, owner) in enumerate(self._roles.servers.items())]

    def _server(self, index: int, name: str, owner: int) -> Process:
        settings = AnsweringSettings(
            **self._common(name),
            listen=self._address(name),
            clients=tuple(client for client, asking in self._roles.clients.items() if asking != owner),
            guardian=self._peer(self._roles.guardian),
            owner=owner,
            owners=len(self._data.owned),
            owner_name=self._data.names[owner],
            account=f"{self._deployed.name}/{name}" if self._deployed is not None else "",
            odometer=(self._run.folders.durable(self._folder("owner", owner)) / ODOMETER).resolve(),
            training=self._training(index, owner),
            beyond_bounds=self._config.beyond_bounds,
            cache=self._run.folders.cache(name).resolve(),
            training_slot=_training_slot(self._run.folders, index),
        )
        # In a run with a quorum it answers one session after the other, and does not know which is the last.
        return Process(
            name,
            "parties.capc.server",
            settings,
            "Servers (answering parties)",
            settings.listen.port,
            serves=settings.quorum and self._deployed is None,
            memory_bytes=self._memory.answering(self._public_architecture(name)),
        )

    def tolerates(self) -> tuple[Tolerance, ...]:
        """Return how many of the answering parties may be lost."""
        losses = self._config.n_parties - self._config.least
        return (Tolerance(tuple(self._roles.servers), losses),) if losses else ()

    def notes(self) -> tuple[str, ...]:
        """Return what the person who starts the run should know of the parties' own models."""
        trainings = [self._training(index, owner) for index, owner in enumerate(self._roles.servers.values())]
        if self._config.strategy != "given":
            trainings += [self._training(owner, owner) for owner in self._roles.clients.values()]
        risky = any(one.source is not None and one.source.kind in RUN_CODE for one in trainings)
        return (PICKLE_WARNING,) if risky else ()

    def refuse_missing(self) -> None:
        """Raise `ConfigError` where a package is not installed that a party would need in this run."""
        if self._config.aggregation == "paillier" and (complaint := missing("phe", "aggregation by paillier")):
            raise ConfigError(f"aggregation: {complaint}. `--aggregation direct` needs none.")
        servers, folders = enumerate(self._roles.servers.items()), self._run.folders
        jobs = [(self._training(index, owner), owner, folders.cache(name)) for index, (name, owner) in servers]
        if self._config.strategy != "given":
            clients = self._roles.clients.items()
            jobs += [(self._training(owner, owner), owner, folders.cache(name)) for name, owner in clients]
        for settings, owner, cache in jobs:
            complaint = missing_to_train(settings)
            if complaint and not model_path(settings, self._data.owned[owner], cache).exists():
                raise ConfigError(f"models: {complaint}.")
        if self._config.strategy != "given":
            for owner in self._roles.clients.values():
                settings = self._training(owner, owner)
                if settings.source is not None and (complaint := missing_to_train_further(settings)):
                    raise ConfigError(f"models: {complaint}.")

    def refuse_empty(self) -> None:
        """Raise `ConfigError` where earlier runs have left no querying party anything to get."""
        refusals = [self._refusal(owner) for owner in self._roles.clients.values()]
        if all(refusals):
            raise ConfigError(
                f"budget: nobody would get a label, because of earlier runs: {'; '.join(refusals)}. `--budget` shows "
                "all accounts. A larger budget, or for a new experiment a files_dir of its own, would go on."
            )

    def _refusal(self, asking: int) -> str:
        """Return the reason why a querying party would get nothing, or nothing."""
        config, durable = self._config, self._run.folders.files / "durable"
        costs = price(self._parameters, config.least)
        campaign = self._campaign(next(n for n, owner in self._roles.clients.items() if owner == asking), asking)
        if campaign is not None and campaign.answers.exists():
            return ""  # it goes on, and has labels
        accountant, account = partial(epsilon, delta=float(config.delta)), self._account(asking)
        path, older = durable / GUARDIAN_NAME / LEDGER, {account: self._older_account(asking)}
        if path.exists():
            refusal = Ledger(path, accountant, config.epsilon_budget, older).room(account, costs, 1).refusal
            if refusal:
                return refusal
        for owner in (self._roles.servers[name] for name in self._roles.answering(asking)):
            path = durable / self._folder("owner", owner) / ODOMETER
            if path.exists():
                name = self._name_of_account(owner, [self._data.owned[owner].images])
                refusal = Ledger(path, accountant, config.owner_epsilon_budget).room(name, costs, 1).refusal
                if refusal:
                    return refusal
        return ""

    def _training(self, index: int, owner: int) -> TrainingSettings:
        return training_settings(self._config, self._dataset, index, owner)

    def _account(self, owner: int) -> str:
        """Return the name of a querying party in the ledger, with a digest of all owners' records.

        A federation's member has an account of its own name, whatever records there are.
        """
        if self._deployed is not None:
            name = next(name for name, number in self._roles.clients.items() if number == owner)
            return f"{self._deployed.name}/{name}"
        if owner not in self._accounts:
            parts = [records.images for records in self._data.owned]
            self._accounts[owner] = self._name_of_account(owner, parts)
        return self._accounts[owner]

    def _name_of_account(self, owner: int, parts: list[Images]) -> str:
        return account_name(owner, len(self._data.owned), parts, self._data.names[owner])

    def _older_account(self, owner: int) -> str:
        """Return the name in older ledgers, which knew only datasets with a name."""
        return self._account(owner) if self._config.data is not None else f"{self._dataset.name}/party-{owner}"

    def _folder(self, kind: str, owner: int) -> str:
        return folder_of(kind, owner, self._data.names[owner])

    def _common(self, name: str) -> dict[str, Any]:
        """Return what every party is told."""
        config = self._config
        return {
            **self._run.common_settings(name),
            "connect_deadline_s": config.patience_s,
            "message_deadline_s": config.message_deadline_s,
            "run_deadline_s": config.run_deadline_s,
            "parameters": self._parameters,
            "min_parties": config.least,
            "n_queries": config.n_queries,
            "batch_size": config.batch_size,
            "pool": config.pool,
            "delta": config.delta,
            "epsilon_budget": config.epsilon_budget,
            "owner_epsilon_budget": config.owner_epsilon_budget,
            "queries_in_all": config.queries_in_all,
            "rejoin_s": config.tries_again_s,
            "data": dict(self._dataset.agreed),
            "release": release_agreed(config, self._dataset.labelling),
        }

    def _address(self, name: str) -> Address:
        """Return where a party listens, which may be another address than others connect to."""
        place = self._places[name]
        bind = self._deployed.member(name).bind if self._deployed is not None else None
        return place if bind is None else Address(host=bind, port=place.port)

    def _peer(self, name: str) -> Peer:
        return Peer(name=name, host=self._places[name].host, port=self._places[name].port)


def _training_slot(folders: RunFolders, index: int) -> Path:
    """Return a lock file that every n-th answering party shares, where n is the number of processors."""
    return (folders.files / "cache" / f"training-slot-{index % (os.cpu_count() or 1)}").resolve()
