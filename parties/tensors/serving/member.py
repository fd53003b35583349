"""One member of a federation in a service: what it may do, and the settings of its one process.

Computing parties and the provider serve on and on, in one session that has the federation's name. The owner of the
model gives it once, and a client asks when it likes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from parties.frame.errors import ConfigError
from parties.frame.members import Federation
from parties.frame.plan import Plan, Process, Role, Run
from parties.frame.settings import Address, Peer
from parties.tensors.serving.config import ServingConfig
from parties.tensors.serving.planning import MODULES, NOTES, SHARE, KnownModel, roles_of
from parties.tensors.serving.quota import ACCOUNTS
from parties.tensors.serving.report import STEPS
from parties.tensors.serving.settings import (
    CLIENT,
    COMPUTING,
    OWNER,
    PROVIDER,
    ServingRole,
    ServingSettings,
    lanes_end_s,
)

if TYPE_CHECKING:
    from parties.tensors.config import TensorsConfig

ROLES = {
    "owner": Role("has the model of a service, and gives it to the computing parties in shares", serves=False),
    "client": Role("asks a service, and alone learns the answers", serves=False),
}
WORDS: dict[ServingRole, str] = {COMPUTING: "computing", PROVIDER: "provider", OWNER: "owner", CLIENT: "client"}
"""The roles of members by those of the parties."""

SERVICES: dict[ServingRole, str] = {
    COMPUTING: "parties.tensors.serving.computing",
    PROVIDER: "parties.tensors.serving.provider",
}


def check_federation(config: TensorsConfig, serving: ServingConfig, federation: Federation) -> None:
    """Raise `ConfigError` where these members cannot take part as configured."""
    roles = roles_of(config, serving)
    for name, role in roles.items():
        if name not in federation.names:
            raise ConfigError(f"{role}: expected members ({', '.join(federation.names)}), found {name}.")
        found = federation.member(name).role
        if found != (WORDS[role],):
            raise ConfigError(f"role: expected {WORDS[role]} alone for {name}, found {', '.join(found)}.")
    if left := [name for name in federation.names if name not in roles]:
        raise ConfigError(f"members: expected each in a part of the service, found {left[0]} in none.")


def member(config: TensorsConfig, serving: ServingConfig, federation: Federation, name: str, run: Run) -> Plan:
    """Return the plan of one member's one process. Raises `ConfigError`."""
    settings = _settings(config, serving, federation, name, run)
    module = (SERVICES | MODULES)[settings.role]
    endless = settings.role in SERVICES
    return Plan(
        (Process(name, module, settings, f"{name} ({settings.role})"),),
        reporter=name,
        deadline_s=math.inf if endless else config.run_deadline_s,
        steps=STEPS,
        grace_s=lanes_end_s(config.message_deadline_s) + 10.0,
        notes=NOTES,
    )


def _settings(
    config: TensorsConfig, serving: ServingConfig, federation: Federation, name: str, run: Run
) -> ServingSettings:
    known, addresses = KnownModel(config, serving), _addresses(federation)
    more: dict[str, Any] = {"session": f"{federation.name}/service"}
    if name in config.computing:
        durable, own = run.folders.durable(name).resolve(), federation.member(name)
        address = addresses[name]
        more |= {
            "share": durable / SHARE,
            "keep_share": True,
            "accounts": durable / ACCOUNTS,
            "listen": address if own.bind is None else Address(host=own.bind, port=address.port),
        }
    return known.settings(run, name, addresses, **more)


def _addresses(federation: Federation) -> dict[str, Address]:
    return {
        one.name: Address(host=one.host, port=one.port)
        for one in federation.members
        if one.host is not None and one.port is not None
    }


def reach(
    config: TensorsConfig, serving: ServingConfig, federation: Federation, name: str, run: Run
) -> tuple[dict[str, str], tuple[tuple[Peer, str], ...]]:
    """Return what a member says of itself, and the computing parties that it reaches. The provider is connected to."""
    addresses = _addresses(federation)
    peers = tuple(
        (Peer(name=other, host=addresses[other].host, port=addresses[other].port), str(COMPUTING))
        for other in config.computing
        if other != name
    )
    return _settings(config, serving, federation, name, run).agreed(), peers
