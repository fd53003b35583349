"""What the launcher does before a run: it makes the parties' keys and the founding record, and tells each its part."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mpc.commons.encoding import encode
from mpc.commons.founding import AggregatorRecord, Founding, Task, TrusteeRecord
from mpc.commons.functions import check_functions, without_noise
from mpc.commons.group import SecretScalar
from mpc.commons.identities import SEED_BYTES, Identity, TrusteeKeys
from mpc.commons.noise import epsilon_of
from mpc.randomness import SYSTEM
from parties.commons import measured
from parties.commons.config import CommonsConfig
from parties.commons.settings import (
    AGGREGATOR,
    AUDITOR,
    CONSUMER,
    MEASUREMENTS,
    POINT,
    PROVIDER,
    SEED,
    TRUSTEE,
    AggregatorSettings,
    AuditorSettings,
    ConsumerSettings,
    ProviderSettings,
    TrusteeSettings,
)
from parties.commons.ways import LAST_STEP
from parties.frame.errors import ConfigError
from parties.frame.plan import Plan, Process, Run, Tolerance
from parties.frame.private_files import write_private
from parties.frame.settings import Address, Peer

CONSUMERS_NAME, AUDITORS_NAME = "institute", "auditor"
STEPS = {
    "0": "keys and registrations",
    "1": "encrypted reports in the log",
    "2": "requests, granted or refused",
    "3": "the trustees open their layer",
    "4": "the coin",
    "5": "checks, words and the verdict",
    "6": "sums at the consumer",
    "7": "revocation and audit",
    LAST_STEP: "all messages",
}


def plan(config: CommonsConfig, run: Run) -> Plan:
    """Return all processes of a run, after writing each party's keys and measurements into its private folder."""
    names = config.names
    found = [measured.measurements_of(config, name) for name in names["clinics"]]
    reports = [len(one.rows) for one in found]
    if sum(reports) < config.smallest_batch:
        raise ConfigError(
            f"smallest_batch: expected at most the {sum(reports)} reports of all providers, found "
            f"{config.smallest_batch}."
        )
    functions = measured.functions(config)
    founding = _found(config, run, functions)
    keys = {CONSUMERS_NAME: _identity(run.folders.party(CONSUMERS_NAME)).key.hex()}
    serving = [*names["trustees"], *names["aggregators"]]
    peers = {name: Peer(name=name, host=run.host, port=run.start_port + at) for at, name in enumerate(serving)}
    roles = {
        **dict.fromkeys(names["trustees"], TRUSTEE),
        **dict.fromkeys(names["aggregators"], AGGREGATOR),
        **dict.fromkeys(names["clinics"], PROVIDER),
        CONSUMERS_NAME: CONSUMER,
        AUDITORS_NAME: AUDITOR,
    }

    def common(name: str) -> dict[str, Any]:
        return run.common_settings(name) | {
            "connect_deadline_s": config.connect_deadline_s,
            "message_deadline_s": config.message_deadline_s,
            "run_deadline_s": config.run_deadline_s,
            "log_deadline_s": config.log_deadline_s,
            "founding_record": encode(founding).hex(),
            "task": measured.task_name(config),
            "trustees": tuple(peers[one] for one in names["trustees"]),
            "roles": roles,
            "consumers": keys,
            "fault": config.faults.get(name, ""),
        }

    processes = [_serving(config, name, peers[name], common(name)) for name in serving]
    for name, its in zip(names["clinics"], found, strict=True):
        folder = run.folders.party(name)
        _identity(folder)
        asked = [{name: row[name] for name in map(without_noise, functions)} for row in its.rows]
        write_private(folder / MEASUREMENTS, json.dumps(asked).encode())
        after = len(functions) if name == config.revoke else None
        told = ProviderSettings(**common(name), uses=config.uses, revokes_after=after)
        processes.append(Process(name, "parties.commons.provider", told, "Providers" if config.data else "Clinics"))
    asking = ConsumerSettings(
        **common(CONSUMERS_NAME),
        aggregators=tuple(peers[one] for one in names["aggregators"]),
        functions=functions,
        questions=config.asked,
        reports=sum(reports),
        reports_within_s=config.reports_within_s,
        revoker=config.revoke,
        sums_patience_s=config.sums_patience_s,
        privacy=_privacy(config, founding, functions),
    )
    processes.append(Process(CONSUMERS_NAME, "parties.commons.consumer", asking, "Consumer and auditor"))
    auditing = AuditorSettings(
        **common(AUDITORS_NAME),
        requests=len(functions) + (config.revoke is not None),
        copy_to=(run.folders.log(AUDITORS_NAME).parent / "log").resolve(),
    )
    processes.append(Process(AUDITORS_NAME, "parties.commons.auditor", auditing, "Consumer and auditor"))
    return Plan(
        tuple(processes),
        reporter=CONSUMERS_NAME,
        more_reporters=(AUDITORS_NAME,),
        deadline_s=config.run_deadline_s,
        steps=STEPS,
        ready_first=tuple(serving),
        tolerates=_tolerated(config, reports),
        grace_s=10.0,
        notes=(*_notes(config), *(note for one in found for note in one.notes), *asking.privacy),
    )


def _found(config: CommonsConfig, run: Run, functions: tuple[str, ...]) -> Founding:
    """Return the founding record, after writing the keys of all that it names."""
    names, folders = config.names, run.folders
    trustees = []
    for name in names["trustees"]:
        keys = TrusteeKeys(_seed(folders.party(name)))
        trustees.append((keys, TrusteeRecord(name, keys.identity.key, keys.cosigner.key)))
    aggregators = []
    for name in names["aggregators"]:
        point = SecretScalar.fresh()
        write_private(folders.party(name) / POINT, point.reveal())
        record = AggregatorRecord(name, _identity(folders.party(name)).key, point.times_generator().encode())
        aggregators.append(record)
    task = Task(
        measured.task_name(config),
        tuple(sorted(functions)),
        config.smallest_batch,
        tuple(aggregators),
        config.faulty_aggregators,
    )
    first = trustees[0][0]
    founding = Founding(
        measured.log_name(config),
        first.log.key,
        config.faulty_trustees,
        tuple(record for _, record in trustees),
        (task,),
    )
    check_functions(founding)
    return founding


def _seed(folder: Path) -> bytes:
    seed = SYSTEM.bytes(SEED_BYTES)
    write_private(folder / SEED, seed)
    return seed


def _identity(folder: Path) -> Identity:
    return Identity(_seed(folder))


def _serving(config: CommonsConfig, name: str, peer: Peer, common: Mapping[str, Any]) -> Process:
    address = Address(host=peer.host, port=peer.port)
    if name in config.names["aggregators"]:
        told = AggregatorSettings(**common, listen=address)
        return Process(name, "parties.commons.aggregator", told, "Aggregators", peer.port, serves=True)
    settings = TrusteeSettings(
        **common, listen=address, key_patience_s=config.key_patience_s, words_patience_s=config.words_patience_s
    )
    return Process(name, "parties.commons.trustee", settings, "Trustees", peer.port, serves=True)


def _tolerated(config: CommonsConfig, reports: list[int]) -> tuple[Tolerance, ...]:
    """Return of whom so many may be lost. Nobody takes the sequencer's place, and nobody another clinic's."""
    names = config.names
    spare, losses = sum(reports) - config.smallest_batch, 0
    for count in sorted(reports, reverse=True):  # whichever clinics are lost, enough reports are left
        spare -= count
        losses += spare >= 0
    may_be_lost = tuple(one for one in names["clinics"] if one != config.revoke)
    groups = [
        Tolerance(names["trustees"][1:], config.faulty_trustees),
        Tolerance(names["aggregators"], config.faulty_aggregators),
    ]
    if may_be_lost and losses:
        groups.append(Tolerance(may_be_lost, min(losses, len(may_be_lost))))
    return tuple(groups)


def _notes(config: CommonsConfig) -> tuple[str, ...]:
    corrected = min(config.faulty_aggregators, config.aggregators - 2 * config.faulty_aggregators - 1)
    notes = [
        f"{config.faulty_trustees} of {config.trustees} trustees and {config.faulty_aggregators} of "
        f"{config.aggregators} aggregators may be faulty, and {corrected} false sums are corrected"
    ]
    notes += [f"{name} {_does(kind)}, as configured" for name, kind in config.faults.items()]
    return tuple(notes)


def _privacy(config: CommonsConfig, founding: Founding, functions: tuple[str, ...]) -> tuple[str, ...]:
    """Return what each noisy result costs, all of them by adding up, and as many as a record may enter."""
    if config.dp_noise_scale is None:
        return ()
    costs = [epsilon_of(founding.tasks[0], name, config.dp_delta) for name in functions]
    allowed = max(epsilon_of(founding.tasks[0], name, config.dp_delta, config.uses) for name in functions)
    return (
        *(
            f"epsilon {cost:.3g} at delta {config.dp_delta:g} for the {measured.about(config, name)}"
            for name, cost in zip(functions, costs, strict=True)
        ),
        f"together at most epsilon {sum(costs):.3g} at delta {config.dp_delta * len(costs):g} for each record, if at "
        f"most {config.faulty_aggregators} of the aggregators are faulty",
        f"the clinics' policies allow {config.uses} results of a record, which cost at most epsilon {allowed:.3g} at "
        f"delta {config.dp_delta:g}",
        *(("no regression, because it has no noise",) if measured.left_out(config) else ()),
    )


def _does(kind: str) -> str:
    return {"lies": "will lie", "crashes": "will crash", "silent": "will keep silent"}[kind]
