"""CaPC (Choquette-Choo et al., ICLR 2021) as a run of processes: which there are, what each gets, what comes out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mpc.parameters import PublicParameters
from parties.capc_config import CapcConfig
from parties.data import Dataset, load_dataset
from parties.lifetime import process_started
from parties.models import architecture
from parties.plan import ConfigError, Plan, Process, Run, RunFolders, Summary
from parties.settings import Address, AnsweringSettings, GuardianSettings, Peer, QueryingSettings, Supervisor
from parties.split import split
from parties.training import TrainingSettings

CLIENT = "client"
GUARDIAN = "privacy-guardian"


class Capc:
    """CaPC, for the launcher."""

    name = "capc"
    Config = CapcConfig

    def plan(self, config: CapcConfig, run: Run) -> Plan:
        """One querying party, `n_parties` answering parties, one privacy guardian.

        Writes each party's own data into its private folder: `records.npz` for the querying and the answering
        parties, `queries.npz` for the querying party. Raises `ConfigError` for a choice that cannot be run.
        """
        dataset = load_dataset(config.dataset, _data_folder(config))
        if dataset.classes != config.num_classes:
            raise ConfigError(f"num_classes is {config.num_classes}, but {dataset.name} has {dataset.classes} classes")
        for model in config.models:
            architecture(model, dataset.image_shape, dataset.classes)  # refuses a name that it does not know
        queries = dataset.queries(config.start_batch, config.n_queries)
        owners = split(dataset.pool.labels, config.n_parties + 1, config.seed, config.split, config.missing_classes)

        settings = _Settings(config, run, dataset)
        processes = [settings.client(), *settings.servers(), settings.guardian()]
        queries.write(run.folders.party(CLIENT) / "queries.npz")
        for name, owner in zip((CLIENT, *settings.server_names), settings.owners, strict=True):
            dataset.pool.take(owners[owner]).write(run.folders.party(name) / "records.npz")
        return Plan(tuple(processes), reporter=CLIENT, deadline_s=config.run_deadline_s)

    def summary(self, result: Mapping[str, Any]) -> Summary:
        """Each label beside the correct one, how many agree, and what they cost in privacy."""
        lines: list[tuple[str, str]] = []
        queries = result["queries"]
        for query in queries[:10]:
            lines += [
                ("query", str(query["index"])),
                ("correct label", str(query["correct"])),
                ("predicted label", str(query["predicted"])),
            ]
        if len(queries) > 10:
            lines.append(("more queries", f"{len(queries) - 10}, in the result file"))
        agreeing = sum(query["agree"] for query in queries)
        lines.append(("agree", f"{agreeing} of {len(queries)}"))
        lines.append(("epsilon spent", _epsilon(result["epsilon"], result["delta"])))
        if result["epsilon_total"] != result["epsilon"]:
            lines.append(("epsilon spent in all runs", _epsilon(result["epsilon_total"], result["delta"])))
        return Summary(tuple(lines), tuple(result["warnings"]))


def _epsilon(value: float | None, delta: str) -> str:
    return "without bound" if value is None else f"{value:.3g} at delta {float(delta):g}"


class _Settings:
    """Deals the configuration out: to every party what it may know.

    `owners` says which part of the pool the querying party and the answering parties hold, in this order.
    """

    def __init__(self, config: CapcConfig, run: Run, dataset: Dataset) -> None:
        self._config = config
        self._run = run
        self._dataset = dataset
        self.owners = (config.qp_id, *(owner for owner in range(config.n_parties + 1) if owner != config.qp_id))
        self.server_names = tuple(f"server-{index}" for index in range(config.n_parties))
        self._parameters = PublicParameters(
            parties=config.n_parties,
            classes=config.num_classes,
            input_shape=dataset.image_shape,
            ring_bits=config.ring_bits,
            fraction_bits=config.round_exp,
            sigma=str(config.sigma),
            aggregation=config.aggregation,
            key_bits=config.paillier_bits,
        )

    def client(self) -> Process:
        settings = QueryingSettings(
            **self._common(CLIENT),
            servers=tuple(self._peer(name, 1 + index) for index, name in enumerate(self.server_names)),
            guardian=self._peer(GUARDIAN, 0),
            first_query=self._config.start_batch,
            delta=self._config.delta,
        )
        return Process(CLIENT, "parties.client", settings, "Client (querying party)")

    def guardian(self) -> Process:
        settings = GuardianSettings(
            **self._common(GUARDIAN),
            listen=self._address(0),
            client=CLIENT,
            servers=self.server_names,
            ledger=self._run.folders.durable(GUARDIAN).resolve() / "ledger.jsonl",
            account=f"{self._dataset.name}/party-{self._config.qp_id}",
            epsilon_budget=self._config.epsilon_budget,
            delta=self._config.delta,
        )
        return Process(GUARDIAN, "parties.privacy_guardian", settings, "Privacy guardian", settings.listen.port)

    def servers(self) -> list[Process]:
        processes = []
        for index, name in enumerate(self.server_names):
            settings = AnsweringSettings(
                **self._common(name),
                listen=self._address(1 + index),
                client=CLIENT,
                guardian=self._peer(GUARDIAN, 0),
                training=self._training(index),
                cache=self._run.folders.cache(name).resolve(),
                training_slot=_training_slot(self._run.folders, index),
            )
            processes.append(
                Process(name, "parties.server", settings, "Servers (answering parties)", settings.listen.port)
            )
        return processes

    def _training(self, index: int) -> TrainingSettings:
        config = self._config
        seed = hashlib.sha256(f"training {config.seed} {self.owners[1 + index]}".encode()).digest()
        return TrainingSettings(
            architecture=config.models[index % len(config.models)],
            image_shape=self._dataset.image_shape,
            classes=self._dataset.classes,
            seed=int.from_bytes(seed[:6], "big"),
            epochs=config.epochs,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            batch=config.training_batch,
        )

    def _common(self, name: str) -> dict[str, Any]:
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
        }

    def _address(self, offset: int) -> Address:
        return Address(host=self._run.host, port=self._run.start_port + offset)

    def _peer(self, name: str, offset: int) -> Peer:
        return Peer(name=name, host=self._run.host, port=self._run.start_port + offset)


def _data_folder(config: CapcConfig) -> Path | None:
    """Where the dataset's files lie: the configuration's word, else the environment's."""
    if config.data_dir is not None:
        return config.data_dir
    value = os.environ.get("CAPC_DATA_DIR")
    return Path(value) if value else None


def _training_slot(folders: RunFolders, index: int) -> Path:
    """A lock file shared by every n-th answering party of this machine, n being its processors."""
    return (folders.files / "cache" / f"training-slot-{index % (os.cpu_count() or 1)}").resolve()
