"""What the launcher does before a run: it makes the parties' keys and the founding record, and tells each its part."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mpc.commons.encoding import decode, encode
from mpc.commons.founding import Founding, Task
from mpc.commons.functions import check_functions, without_noise
from mpc.commons.noise import epsilon_of
from parties.commons import measured
from parties.commons.config import CommonsConfig
from parties.commons.own_keys import WORDS, PublicKeys, make_keys
from parties.commons.settings import (
    AGGREGATOR,
    AUDITOR,
    CONSUMER,
    MEASUREMENTS,
    PROVIDER,
    TRUSTEE,
    AggregatorSettings,
    AuditorSettings,
    ConsumerSettings,
    ProviderSettings,
    TrusteeSettings,
)
from parties.commons.ways import LAST_STEP
from parties.frame.errors import ConfigError
from parties.frame.members import Federation
from parties.frame.plan import Plan, Process, Run, Tolerance
from parties.frame.private_files import write_private
from parties.frame.settings import Address, Peer

CONSUMERS_NAME, AUDITORS_NAME = "institute", "auditor"
GROUPS = {"trustees": "trustee", "aggregators": "aggregator", "clinics": "provider", "consumers": "consumer"}
"""The groups of parties, each with the word for its role in a federation."""

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
    """Return all processes of a run, after writing each party's keys and measurements into its private folder.

    A run that stands for a federation has its members' names, and fresh keys.
    """
    names = names_of(config, run.federation)
    found = [measured.measurements_of(config, name) for name in names["clinics"]]
    reports = [len(one.rows) for one in found]
    if sum(reports) < config.smallest_batch:
        raise ConfigError(
            f"smallest_batch: expected at most the {sum(reports)} reports of all providers, found "
            f"{config.smallest_batch}."
        )
    functions = measured.functions(config)
    founding = _found(config, names, run)
    consumer = names["consumers"][0]
    keys = {consumer: make_keys(run.folders.party(consumer), CONSUMER).identity.hex()}
    serving = [*names["trustees"], *names["aggregators"]]
    peers = {name: Peer(name=name, host=run.host, port=run.start_port + at) for at, name in enumerate(serving)}
    roles = roles_of(names) | {AUDITORS_NAME: AUDITOR}

    def common(name: str) -> dict[str, Any]:
        return run.common_settings(name) | shared_settings(config, founding, names, peers, name) | {
            "roles": roles, "consumers": keys
        }  # fmt: skip

    processes = [_serving(config, names, name, peers[name], common(name)) for name in serving]
    for name, its in zip(names["clinics"], found, strict=True):
        folder = run.folders.party(name)
        make_keys(folder, PROVIDER)
        write_measurements(config, folder, its.rows)
        after = len(functions) if name == config.revoke else None
        told = ProviderSettings(**common(name), uses=config.uses, revokes_after=after)
        processes.append(Process(name, "parties.commons.provider", told, "Providers" if config.data else "Clinics"))
    asking = ConsumerSettings(
        **common(consumer),
        **asking_settings(config, founding, names, peers),
        reports=config.reports or sum(reports),
        revoker=config.revoke,
    )
    processes.append(Process(consumer, "parties.commons.consumer", asking, "Consumer and auditor"))
    auditing = AuditorSettings(
        **common(AUDITORS_NAME),
        requests=len(functions) + (config.revoke is not None),
        copy_to=(run.folders.log(AUDITORS_NAME).parent / "log").resolve(),
    )
    processes.append(Process(AUDITORS_NAME, "parties.commons.auditor", auditing, "Consumer and auditor"))
    return Plan(
        tuple(processes),
        reporter=consumer,
        more_reporters=(AUDITORS_NAME,),
        deadline_s=config.run_deadline_s,
        steps=STEPS,
        ready_first=tuple(serving),
        tolerates=_tolerated(config, names, reports),
        grace_s=10.0,
        notes=(*notes_of(config), *(note for one in found for note in one.notes), *asking.privacy),
    )


def names_of(config: CommonsConfig, federation: Federation | None) -> dict[str, tuple[str, ...]]:
    """Return the parties' names by group, as the members of a federation have them, if there is one."""
    if federation is None:
        return {**config.names, "consumers": (CONSUMERS_NAME,)}
    return {group: tuple(one.name for one in federation.with_role(word)) for group, word in GROUPS.items()}


def roles_of(names: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Return the role of every party by its name."""
    return {name: WORDS[GROUPS[group]] for group, members in names.items() for name in members}


def shared_settings(
    config: CommonsConfig,
    founding: Founding,
    names: Mapping[str, tuple[str, ...]],
    peers: Mapping[str, Peer],
    name: str,
) -> dict[str, Any]:
    """Return what every party is told, but for its role among others and the consumers' keys."""
    return {
        "connect_deadline_s": config.connect_deadline_s,
        "message_deadline_s": config.message_deadline_s,
        "run_deadline_s": config.run_deadline_s,
        "log_deadline_s": config.log_deadline_s,
        "founding_record": encode(founding).hex(),
        "task": measured.task_name(config),
        "trustees": tuple(peers[one] for one in names["trustees"]),
        "fault": config.faults.get(name, ""),
    }


def asking_settings(
    config: CommonsConfig, founding: Founding, names: Mapping[str, tuple[str, ...]], peers: Mapping[str, Peer]
) -> dict[str, Any]:
    """Return what a consumer is told besides."""
    functions = measured.functions(config)
    return {
        "aggregators": tuple(peers[one] for one in names["aggregators"]),
        "functions": functions,
        "questions": config.asked,
        "reports_within_s": config.reports_within_s,
        "sums_patience_s": config.sums_patience_s,
        "privacy": privacy_of(config, founding),
    }


def write_measurements(config: CommonsConfig, folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a provider's measurements for the functions that are asked for into its private folder."""
    names = [without_noise(name) for name in measured.functions(config)]
    asked = [{name: row[name] for name in names} for row in rows]
    write_private(folder / MEASUREMENTS, json.dumps(asked).encode())


def founding_of(
    config: CommonsConfig, names: Mapping[str, tuple[str, ...]], keys: Mapping[str, PublicKeys]
) -> Founding:
    """Return the founding record that these public keys give. Raises `ProtocolError` where it does not hold.

    Args:
        keys: of all trustees and aggregators at least, by name.
    """
    functions = tuple(sorted(measured.functions(config)))
    trustees = tuple(keys[one].trustee(one) for one in names["trustees"])
    aggregators = tuple(keys[one].aggregator(one) for one in names["aggregators"])
    task = Task(measured.task_name(config), functions, config.smallest_batch, aggregators, config.faulty_aggregators)
    log_key = keys[names["trustees"][0]].log
    founding = Founding(measured.log_name(config), log_key, config.faulty_trustees, trustees, (task,))
    founding = decode(Founding, encode(founding))
    check_functions(founding)
    return founding


def _found(config: CommonsConfig, names: Mapping[str, tuple[str, ...]], run: Run) -> Founding:
    """Return the founding record, after writing the keys of all that it names."""
    trustees = {name: make_keys(run.folders.party(name), TRUSTEE) for name in names["trustees"]}
    aggregators = {name: make_keys(run.folders.party(name), AGGREGATOR) for name in names["aggregators"]}
    return founding_of(config, names, trustees | aggregators)


def _serving(
    config: CommonsConfig, names: Mapping[str, tuple[str, ...]], name: str, peer: Peer, common: Mapping[str, Any]
) -> Process:
    address = Address(host=peer.host, port=peer.port)
    if name in names["aggregators"]:
        told = AggregatorSettings(**common, listen=address)
        return Process(name, "parties.commons.aggregator", told, "Aggregators", peer.port, serves=True)
    settings = TrusteeSettings(
        **common, listen=address, key_patience_s=config.key_patience_s, words_patience_s=config.words_patience_s
    )
    return Process(name, "parties.commons.trustee", settings, "Trustees", peer.port, serves=True)


def _tolerated(
    config: CommonsConfig, names: Mapping[str, tuple[str, ...]], reports: list[int]
) -> tuple[Tolerance, ...]:
    """Return of whom so many may be lost. Nobody takes the sequencer's place, and nobody another clinic's."""
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


def notes_of(config: CommonsConfig) -> tuple[str, ...]:
    """Return what a person is told before it starts."""
    corrected = min(config.faulty_aggregators, config.aggregators - 2 * config.faulty_aggregators - 1)
    notes = [
        f"{config.faulty_trustees} of {config.trustees} trustees and {config.faulty_aggregators} of "
        f"{config.aggregators} aggregators may be faulty, and {corrected} false sums are corrected"
    ]
    notes += [f"{name} {_does(kind)}, as configured" for name, kind in config.faults.items()]
    return tuple(notes)


def privacy_of(config: CommonsConfig, founding: Founding) -> tuple[str, ...]:
    """Return what each noisy result costs, all of them by adding up, and as many as a record may enter."""
    if config.dp_noise_scale is None:
        return ()
    functions = measured.functions(config)
    costs = [epsilon_of(founding.tasks[0], name, config.dp_delta) for name in functions]
    allowed = max(epsilon_of(founding.tasks[0], name, config.dp_delta, config.uses) for name in functions)
    return (
        *(
            f"epsilon {cost:.3g} at delta {config.dp_delta:g} for the {measured.about(config, name)}"
            for name, cost in zip(functions, costs, strict=True)
        ),
        f"together at most epsilon {sum(costs):.3g} at delta {config.dp_delta * len(costs):g} for each record, if at "
        f"most {config.faulty_aggregators} of the aggregators are faulty",
        f"the policies that were agreed on allow {config.uses} results of a record, which cost at most epsilon "
        f"{allowed:.3g} at delta {config.dp_delta:g}",
        "this is for each record, which is one report, and not for each person: whoever has several records loses more",
        *(("no regression, because it has no noise",) if measured.left_out(config) else ()),
    )


def _does(kind: str) -> str:
    return {"lies": "will lie", "crashes": "will crash", "silent": "will keep silent"}[kind]
