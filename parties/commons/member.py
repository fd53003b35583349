"""One member of a federation: what it may do in decentralised aggregation, and the settings of its one process.

Trustees, aggregators and providers serve on and on, in one session that has the federation's name: its log. A consumer
asks when it likes. Each member's keys were made in its own folder, and stay there.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from parties.commons.config import CommonsConfig
from parties.commons.measured import measurements_of
from parties.commons.own_keys import WORDS, check_own, read_lines
from parties.commons.planning import (
    AUDITORS_NAME,
    GROUPS,
    STEPS,
    asking_settings,
    founding_of,
    names_of,
    notes_of,
    privacy_of,
    roles_of,
    shared_settings,
    write_measurements,
)
from parties.commons.reporting import withdrawn_by
from parties.commons.settings import (
    AGGREGATOR,
    CONSUMER,
    PROVIDER,
    TRUSTEE,
    AggregatorSettings,
    CommonsSettings,
    ConsumerSettings,
    ProviderSettings,
    TrusteeSettings,
)
from parties.frame.errors import ConfigError
from parties.frame.members import Federation
from parties.frame.plan import Plan, Process, Reach, Role, Run, RunFolders
from parties.frame.settings import Address, Peer

ROLES = {
    "trustee": Role("keeps the log and a share of the key with other trustees, and releases what is granted", True),
    "aggregator": Role("sums shares of reports, and learns no measurement and no result", True),
    "provider": Role("reports its records under a policy of its own, and may revoke it", True),
    "consumer": Role("asks for aggregates, and alone learns the results", False),
}
_MODULES = {
    TRUSTEE: "parties.commons.trustee",
    AGGREGATOR: "parties.commons.aggregator",
    PROVIDER: "parties.commons.provider",
    CONSUMER: "parties.commons.consumer",
}

_STILL_S = 5.0  # without further reports, before an asking that was not told how many there are


def check_federation(config: CommonsConfig, federation: Federation) -> None:
    """Raise `ConfigError` where these members cannot take part as configured."""
    for one in federation.members:
        if len(one.role) > 1:
            raise ConfigError(f"role: expected one role of {one.name}, found {', '.join(one.role)}.")
    names = names_of(config, federation)
    for group, expected in (("trustees", config.trustees), ("aggregators", config.aggregators)):
        if len(names[group]) != expected:
            raise ConfigError(
                f"{group}: expected {len(names[group])}, which is how many members have the role {GROUPS[group]}, "
                f"found {expected}."
            )
    if sorted(names["clinics"]) != sorted(config.names["clinics"]):
        raise ConfigError(
            f"members: expected providers {', '.join(config.names['clinics'])}, who have measurements, found "
            f"{', '.join(names['clinics']) or 'none'}."
        )
    if not names["consumers"]:
        raise ConfigError("role: expected a member with role consumer, found none.")
    if AUDITORS_NAME in federation.names:
        raise ConfigError(f"members: expected other names than {AUDITORS_NAME}, which a rehearsal needs, found it.")
    if unknown := [name for name in config.keys if name not in federation.names]:
        raise ConfigError(f"keys: expected members ({', '.join(federation.names)}), found {unknown[0]}.")
    if config.faults or config.revoke is not None:
        key = "faults" if config.faults else "revoke"
        raise ConfigError(f"{key}: expected none in a federation, where each member acts by itself, found some.")


def member(config: CommonsConfig, federation: Federation, name: str, role: str, run: Run) -> Plan:
    """Return the plan of one member's one process, after writing a provider's own measurements unless it has withdrawn.

    Raises:
        ConfigError: a key is missing or another than the member's own, or the provider's records do not fit.
    """
    settings = _settings(config, federation, name, run)
    notes = (f"the log is {settings.founding.origin}, which all members should compare", *notes_of(config))
    if WORDS[role] == PROVIDER and withdrawn_by(run.folders.durable(name)) is None:
        measured = measurements_of(config, name)
        write_measurements(config, run.folders.party(name), measured.rows)
        notes = (*notes, *measured.notes)
    if WORDS[role] in (PROVIDER, CONSUMER):  # whose records it costs, and who spends it
        notes = (*notes, *privacy_of(config, settings.founding))
    return Plan(
        (Process(name, _MODULES[WORDS[role]], settings, f"{name} ({role})"),),
        reporter=name,
        deadline_s=math.inf if ROLES[role].serves else config.run_deadline_s,
        steps=STEPS,
        notes=notes,
    )


def reach(config: CommonsConfig, federation: Federation, name: str, folders: RunFolders) -> Reach:
    """Return the services that a member connects to, and what it says of itself. Its own records are read."""
    settings = _settings(config, federation, name, Run(folders, session="", start_port=0))
    role = settings.roles[name]
    if role == PROVIDER and withdrawn_by(folders.durable(name)) is None:
        measurements_of(config, name)
    peers = [(one, TRUSTEE) for one in settings.trustees if one.name != name]
    if isinstance(settings, ConsumerSettings):
        peers += [(one, AGGREGATOR) for one in settings.aggregators]
    return Reach(settings.agreed(), tuple(peers))


def _settings(config: CommonsConfig, federation: Federation, name: str, run: Run) -> CommonsSettings:
    """Return the settings of one member's process. Raises `ConfigError`."""
    names = names_of(config, federation)
    roles = roles_of(names)
    keys = read_lines(config.keys, roles)
    home = run.folders.durable(name).resolve()
    check_own(name, roles[name], home, keys[name])
    peers = _peers(federation)
    founding = founding_of(config, names, keys)
    told: dict[str, Any] = {
        **run.common_settings(name),
        **shared_settings(config, founding, names, peers, name),
        "session": f"{federation.name}/log",
        "roles": roles,
        "consumers": {one: keys[one].identity.hex() for one in names["consumers"]},
        "home": home,
        "public_keys": {one: keys[one].line for one in federation.names},
        "meanings": _meanings(config),
    }
    if roles[name] == CONSUMER:
        return ConsumerSettings(
            **told,
            **asking_settings(config, founding, names, peers),
            reports=config.reports or config.smallest_batch,
            still_s=0.0 if config.reports else _STILL_S,
            revoker=None,
            authors=tuple(keys[one].identity.hex() for one in names["clinics"]),
            copy_to=_copy_to(run, name),
        )
    own = federation.member(name)
    listen = Address(host=own.bind or peers[name].host, port=peers[name].port)
    if roles[name] == PROVIDER:
        return ProviderSettings(**told, uses=config.uses, revokes_after=None, listen=listen)
    if roles[name] == AGGREGATOR:
        return AggregatorSettings(**told, listen=listen)
    return TrusteeSettings(
        **told, listen=listen, key_patience_s=config.key_patience_s, words_patience_s=config.words_patience_s
    )


def _meanings(config: CommonsConfig) -> dict[str, str]:
    """Return what providers must agree on for one sum to make sense, and for one asking, as text by name."""
    policies = {"uses of a report": str(config.uses)}
    if config.dp_noise_scale is not None:
        policies["delta of a noisy result"] = str(config.dp_delta)
    if config.data is None:
        each = "all" if config.records_each is None else config.records_each
        split = f"{each} of each of {config.clinics} clinics, by seed {config.seed}"
        return policies | {"measurements that come along": split}
    return policies | {f"question {one.called}": one.model_dump_json() for one in config.questions}


def _copy_to(run: Run, name: str) -> Path:
    return (run.folders.log(name).parent / "log").resolve()


def _peers(federation: Federation) -> dict[str, Peer]:
    """Return where members are reached that others connect to."""
    return {
        one.name: Peer(name=one.name, host=one.host, port=one.port)
        for one in federation.members
        if one.host is not None and one.port is not None
    }
