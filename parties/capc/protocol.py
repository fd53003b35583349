"""CaPC (Choquette-Choo et al., ICLR 2021) as a run of processes: which there are, what each gets, what comes out."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from mpc.capc.parameters import PublicParameters
from mpc.dp.accountant import epsilon
from parties.capc import report as capc_report
from parties.capc.casting import RoleAssignment, SplitData, public_parameters, split_data, training_settings
from parties.capc.config import CapcConfig
from parties.capc.settings import AnsweringSettings, AskingTurn, CampaignSettings, GuardianSettings, QueryingSettings
from parties.capc.simulation import SimulationOptions, simulation_lines
from parties.frame.lifetime import process_started
from parties.frame.plan import Command, Plan, Process, Run, RunFolders, Summary
from parties.frame.settings import Address, Peer, Supervisor
from parties.learning.datasets import Dataset, load_dataset
from parties.learning.models import architecture
from parties.learning.training_settings import TrainingSettings
from parties.ledger import Ledger

GUARDIAN = "privacy-guardian"


class Capc:
    """CaPC, for the launcher."""

    name = "capc"
    Config = CapcConfig

    @property
    def commands(self) -> Mapping[str, Command]:
        return {
            "budget": Command("show what each querying party has spent of its privacy budget", budget_view),
            "simulation": Command("run a campaign in the clear, in one process", simulation_command, SimulationOptions),
        }

    def plan(self, config: CapcConfig, run: Run) -> Plan:
        """The querying parties, `n_parties` answering parties for each, one privacy guardian.

        Writes each party's own data into its private folder: `records.npz` for the querying and the answering
        parties; for a querying party `queries.npz`, or in a campaign `unlabelled.npz` and `held_out.npz`. Raises
        `ConfigError` for a choice that cannot be run.
        """
        dataset = load_dataset(config.dataset, _data_folder(config))
        parameters = public_parameters(config, dataset)
        for model in config.models:
            architecture(model, dataset.image_shape, dataset.classes)  # refuses a name that it does not know
        data = split_data(config, dataset)
        roles = RoleAssignment.of(config)
        settings = _Settings(config, run, dataset, parameters, data, roles)
        for name, owner in (roles.clients | roles.servers).items():
            data.owned[owner].write(run.folders.party(name) / "records.npz")
        for name in roles.clients:
            for part, records in data.asked.items():
                records.write(run.folders.party(name) / f"{part}.npz")
        first, *others = roles.clients
        return Plan(
            (*settings.clients(), *settings.servers(), settings.guardian()),
            reporter=first,
            deadline_s=config.run_deadline_s,
            more_reporters=tuple(others),
            steps=capc_report.STEPS,
        )

    def summary(self, result: Mapping[str, Any]) -> Summary:
        """What came out, for each querying party."""
        reports = result.get("reports", [result])
        lines = [
            line for report in reports for line in (_campaign(report) if "accuracy" in report else _labels(report))
        ]
        lines += [("trust", line) for line in dict.fromkeys(line for report in reports for line in report["trust"])]
        warnings = dict.fromkeys(warning for report in reports for warning in report["warnings"])
        return Summary(tuple(lines), tuple(warnings), capc_report.headlines(reports), capc_report.sections(reports))


PROTOCOL = Capc()


def _labels(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each label beside the correct one, how many agree, and what they cost in privacy."""
    queries = report["queries"]
    if len(queries) == 1:
        (query,) = queries
        lines = [
            ("query", str(query["index"])),
            ("correct label", _label_text(query["correct"], report)),
            ("predicted label", _label_text(query["predicted"], report)),
        ]
    else:
        lines = [(f"query {query['index']}", _compared(query, report)) for query in queries[:10]]
    if len(queries) > 10:
        lines.append(("more queries", f"{len(queries) - 10}, in the result file"))
    agreeing = sum(query["agree"] for query in queries)
    lines.append(("agree", f"{agreeing} of {len(queries)}"))
    if report.get("labels"):
        lines.append(("correct labels", f"{report['label_accuracy']:.0%} of {', '.join(report['labels'])}"))
    return lines + _spent(report)


def _compared(query: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """A label, and the correct one where it is another."""
    predicted = f"label {_label_text(query['predicted'], report)}"
    return predicted if query["agree"] else f"{predicted} (correct is {_label_text(query['correct'], report)})"


def _label_text(label: int | list[str] | None, report: Mapping[str, Any]) -> str:
    """A label, or those of several that hold."""
    if label is None:
        return "none, the parties abstained"
    if isinstance(label, int):
        return str(label)
    return ", ".join(label) or f"none of {', '.join(report['labels'])}"


def _campaign(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How much better the model became, by how many labels, and what they cost in privacy."""
    accuracy = report["accuracy"]
    lines = [
        ("querying party", f"{report['querying_party']}, model {report['model']}, strategy {report['strategy']}"),
        ("queries answered", f"{report['answered']}, abstained {report['abstained']}"),
    ]
    if report["label_accuracy"] is not None:
        names = f" of {', '.join(report['labels'])}" if report.get("labels") else ""
        lines.append(("correct labels", f"{report['label_accuracy']:.0%}{names}"))
    after = accuracy["before"] if accuracy["after"] is None else accuracy["after"]
    lines.append(("accuracy before", f"{accuracy['before']:.3f} on {accuracy['held_out_records']} held-out records"))
    lines.append(("accuracy after", f"{after:.3f} ({100 * (after - accuracy['before']):+.1f} points)"))
    if report.get("labels"):
        exact = accuracy["exact_before"] if accuracy["exact_after"] is None else accuracy["exact_after"]
        lines.append(("all labels right", f"{accuracy['exact_before']:.3f} before, {exact:.3f} after"))
    return lines + _spent(report)


def _spent(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    lines = [("epsilon spent", _epsilon(report["epsilon"], report["delta"]))]
    if report["epsilon_total"] != report["epsilon"]:
        lines.append(("epsilon spent in all runs", _epsilon(report["epsilon_total"], report["delta"])))
    if report.get("refusal"):
        lines.append(("ended by the budget", report["refusal"]))
    return lines


def _epsilon(value: float | None, delta: str) -> str:
    return "without bound" if value is None else f"{value:.3g} at delta {float(delta):g}"


class _Settings:
    """Deals the configuration out: to every party what it may know."""

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
        self._ports = {GUARDIAN: run.start_port}
        self._ports |= {name: run.start_port + 1 + index for index, name in enumerate(roles.servers)}
        self._parameters = parameters

    def clients(self) -> list[Process]:
        return [self._client(name, owner) for name, owner in self._roles.clients.items()]

    def _client(self, name: str, owner: int) -> Process:
        settings = QueryingSettings(
            **self._common(name),
            servers=tuple(self._peer(server) for server in self._roles.answering(owner)),
            guardian=self._peer(GUARDIAN),
            first_query=self._config.first_query,
            delta=self._config.delta,
            label_names=self._dataset.label_names,
            campaign=self._campaign(name, owner),
        )
        return Process(name, "parties.capc.client", settings, "Client (querying party)")

    def _campaign(self, name: str, owner: int) -> CampaignSettings | None:
        config, folders = self._config, self._run.folders
        if config.strategy == "given":
            return None
        training = self._training(owner, owner)
        # How circuits are sent changes no answer: a campaign goes on when that is chosen anew.
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
        turns = [
            AskingTurn(client=name, servers=self._roles.answering(owner), account=self._account(owner))
            for name, owner in self._roles.clients.items()
        ]
        settings = GuardianSettings(
            **self._common(GUARDIAN),
            listen=self._address(GUARDIAN),
            turns=tuple(turns),
            ledger=ledger_path(self._run.folders).resolve(),
            epsilon_budget=self._config.epsilon_budget,
            delta=self._config.delta,
        )
        return Process(GUARDIAN, "parties.capc.privacy_guardian", settings, "Privacy guardian", settings.listen.port)

    def servers(self) -> list[Process]:
        processes = []
        for index, (name, owner) in enumerate(self._roles.servers.items()):
            settings = AnsweringSettings(
                **self._common(name),
                listen=self._address(name),
                clients=tuple(client for client, asking in self._roles.clients.items() if asking != owner),
                guardian=self._peer(GUARDIAN),
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
        return f"{self._dataset.name}/party-{owner}"

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
            "pool": config.pool,
            "credit_abstentions": config.threshold > 0 and config.credit_abstentions,
        }

    def _address(self, name: str) -> Address:
        return Address(host=self._run.host, port=self._ports[name])

    def _peer(self, name: str) -> Peer:
        return Peer(name=name, host=self._run.host, port=self._ports[name])


def ledger_path(folders: RunFolders) -> Path:
    """The guardian's accounts of all querying parties, over all runs."""
    return folders.durable(GUARDIAN) / "ledger.jsonl"


def simulation_command(config: CapcConfig, _: Path, options: SimulationOptions) -> Summary:
    """Return what every querying party would gain, and the average, for each experiment seed."""
    config = config.model_copy(update={"data_dir": _data_folder(config)})
    return Summary(tuple(simulation_lines(config, options.seeds)))


def budget_view(config: CapcConfig, files: Path, _: object = None) -> Summary:
    """Each account in the guardian's ledger: what was released, the epsilon spent at `delta`, and what is left."""
    path = files / "durable" / GUARDIAN / "ledger.jsonl"
    if not path.exists():
        return Summary((("ledger", f"none at {path}: nothing was spent"),))
    ledger = Ledger(path, partial(epsilon, delta=float(config.delta)), config.epsilon_budget)
    lines = [("ledger", str(path))]
    for account, released in ledger.released().items():
        spent = ledger.spent(account)
        words = f"epsilon {_epsilon(spent if math.isfinite(spent) else None, str(config.delta))} spent"
        if config.epsilon_budget is not None:
            words += f", {max(0.0, config.epsilon_budget - spent):.3g} of {config.epsilon_budget:g} left"
        lines.append((account, words + ", for " + ", ".join(f"{count} {what}s" for what, count in released.items())))
    return Summary(tuple(lines))


def _data_folder(config: CapcConfig) -> Path | None:
    """Where the dataset's files lie: the configuration's word, else the environment's."""
    if config.data_dir is not None:
        return config.data_dir
    value = os.environ.get("CAPC_DATA_DIR")
    return Path(value) if value else None


def _training_slot(folders: RunFolders, index: int) -> Path:
    """A lock file shared by every n-th answering party of this machine, n being its processors."""
    return (folders.files / "cache" / f"training-slot-{index % (os.cpu_count() or 1)}").resolve()
