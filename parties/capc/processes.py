"""The processes of a CaPC run, and the settings that each party gets.

One process for each querying party and each answering party, and one for the privacy guardian. The guardian listens at
the run's first port, the answering parties at those after it.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec

from mpc.capc.parameters import PublicParameters
from parties.capc.budget_view import LEDGER
from parties.capc.casting import GUARDIAN_NAME, RoleAssignment, SplitData, training_settings
from parties.capc.config import CapcConfig
from parties.capc.settings import AnsweringSettings, AskingTurn, CampaignSettings, GuardianSettings, QueryingSettings
from parties.frame.lifetime import process_started
from parties.frame.plan import Process, Run, RunFolders
from parties.frame.settings import Address, Peer, Supervisor
from parties.learning.datasets import Dataset
from parties.learning.training_settings import TrainingSettings


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
    ) -> None:
        self._config = config
        self._run = run
        self._dataset = dataset
        self._data = data
        self._roles = roles
        self._ports = {GUARDIAN_NAME: run.start_port}
        self._ports |= {name: run.start_port + 1 + index for index, name in enumerate(roles.servers)}
        self._parameters = parameters

    def clients(self) -> list[Process]:
        """Return the querying parties, in the order of their turns."""
        return [self._client(name, owner) for name, owner in self._roles.clients.items()]

    def _client(self, name: str, owner: int) -> Process:
        settings = QueryingSettings(
            **self._common(name),
            servers=tuple(self._peer(server) for server in self._roles.answering(owner)),
            guardian=self._peer(GUARDIAN_NAME),
            first_query=self._config.first_query,
            delta=self._config.delta,
            label_names=self._dataset.label_names,
            campaign=self._campaign(name, owner),
        )
        return Process(name, "parties.capc.client", settings, "Client (querying party)")

    def _campaign(self, name: str, owner: int) -> CampaignSettings | None:
        """Return the settings of a campaign, with a file of answers that belongs to no other campaign."""
        config, folders = self._config, self._run.folders
        if config.strategy == "given":
            return None
        training = self._training(owner, owner)
        # How circuits are sent changes no answer, so that a campaign continues when that is chosen anew.
        parameters = msgspec.structs.replace(self._parameters, garbling="half-gates", circuits="ahead")
        marks = (
            self._account(owner),
            config.strategy,
            parameters.digest(),
            training.model_dump_json(),
            self._data.owned[owner].digest(),
            self._data.asked["unlabelled"].digest(),
        )
        identity = hashlib.sha256("\n".join(marks).encode()).hexdigest()[:32]
        return CampaignSettings(
            querying_party=owner,
            strategy=config.strategy,
            seed=config.seed,
            training=training,
            answers=folders.durable(f"client-{owner}").resolve() / f"answers-{identity}.jsonl",
            cache=folders.cache(name).resolve(),
            training_slot=_training_slot(folders, owner),
        )

    def guardian(self) -> Process:
        """Return the privacy guardian."""
        turns = [
            AskingTurn(client=name, servers=self._roles.answering(owner), account=self._account(owner))
            for name, owner in self._roles.clients.items()
        ]
        settings = GuardianSettings(
            **self._common(GUARDIAN_NAME),
            listen=self._address(GUARDIAN_NAME),
            turns=tuple(turns),
            ledger=(self._run.folders.durable(GUARDIAN_NAME) / LEDGER).resolve(),
            epsilon_budget=self._config.epsilon_budget,
            delta=self._config.delta,
        )
        return Process(
            GUARDIAN_NAME, "parties.capc.privacy_guardian", settings, "Privacy guardian", settings.listen.port
        )

    def servers(self) -> list[Process]:
        """Return the answering parties."""
        processes = []
        for index, (name, owner) in enumerate(self._roles.servers.items()):
            settings = AnsweringSettings(
                **self._common(name),
                listen=self._address(name),
                clients=tuple(client for client, asking in self._roles.clients.items() if asking != owner),
                guardian=self._peer(GUARDIAN_NAME),
                training=self._training(index, owner),
                cache=self._run.folders.cache(name).resolve(),
                training_slot=_training_slot(self._run.folders, index),
            )
            processes.append(
                Process(name, "parties.capc.server", settings, "Servers (answering parties)", settings.listen.port)
            )
        return processes

    def _training(self, index: int, owner: int) -> TrainingSettings:
        return training_settings(self._config, self._dataset, index, owner)

    def _account(self, owner: int) -> str:
        """Return the name of a querying party in the ledger."""
        return f"{self._dataset.name}/party-{owner}"

    def _common(self, name: str) -> dict[str, Any]:
        """Return what every party is told."""
        config, pid = self._config, self._run.supervisor_pid
        return {
            "name": name,
            "session": self._run.session,
            "log": self._run.folders.log(name).resolve(),
            "supervisor": None if pid is None else Supervisor(pid=pid, started=process_started(pid)),
            "connect_deadline_s": config.patience_s,
            "message_deadline_s": config.message_deadline_s,
            "run_deadline_s": config.run_deadline_s,
            "parameters": self._parameters,
            "n_queries": config.n_queries,
            "batch_size": config.batch_size,
            "pool": config.pool,
        }

    def _address(self, name: str) -> Address:
        return Address(host=self._run.host, port=self._ports[name])

    def _peer(self, name: str) -> Peer:
        return Peer(name=name, host=self._run.host, port=self._ports[name])


def _training_slot(folders: RunFolders, index: int) -> Path:
    """Return a lock file that every n-th answering party shares, where n is the number of processors."""
    return (folders.files / "cache" / f"training-slot-{index % (os.cpu_count() or 1)}").resolve()
