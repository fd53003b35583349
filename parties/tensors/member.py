"""One member of a federation: what it may do in a computation, and the settings of its one process.

Each member's machine makes its own settings from the file that all members share, from its own copy of the program and
from its own files. A run of all members on one machine takes the same file.
"""

from __future__ import annotations

from mpc.channels.hello import session_of
from parties.frame.errors import ConfigError
from parties.frame.members import Federation, Member
from parties.frame.plan import Plan, Process, Reach, Role, Run, RunFolders
from parties.frame.settings import Address, Peer
from parties.tensors.config import TensorsConfig
from parties.tensors.links import everybody, role_of
from parties.tensors.planning import Planned, peer_at
from parties.tensors.records import FILE
from parties.tensors.report import STEPS
from parties.tensors.serving import member as served
from parties.tensors.settings import Computation, TensorsSettings

COMPUTES, PROVIDES, OUTSIDE, ASKS = "computing", "provider", "outside", "asking"
"""The roles of a federation's members."""

ROLES = {
    COMPUTES: Role("holds a share of every value, and computes", serves=True),
    PROVIDES: Role("provides correlations, and must work together with nobody", serves=True),
    OUTSIDE: Role("gives inputs or takes outputs, and does not compute", serves=True),
    ASKS: Role("opens sessions, in which it computes or is outside", serves=False),
    **served.ROLES,
}


def check_federation(config: TensorsConfig, federation: Federation) -> None:
    """Raise `ConfigError` where these members cannot take part as configured."""
    if config.serving is not None:
        served.check_federation(config, config.serving, federation)
        return
    dealing = (config.dealing,) if config.dealing else ()
    for name, key, role in (
        *((name, "computing", COMPUTES) for name in config.computing),
        *((name, "provider", PROVIDES) for name in dealing),
        *((name, "outside", OUTSIDE) for name in config.outside),
    ):
        if name not in federation.names:
            raise ConfigError(f"{key}: expected members ({', '.join(federation.names)}), found {name}.")
        _check_role(federation.member(name), key, role)
    known = {*config.computing, *dealing, *config.outside}
    if left := [name for name in federation.names if name not in known]:
        raise ConfigError(
            f"members: expected each under computing, provider or outside of the program, found {left[0]} in none."
        )
    asking = federation.with_role(ASKS)
    if not asking:
        raise ConfigError(f"role: expected a member with role {ASKS}, found none.")
    never_there = [member.name for member in asking if len(member.role) == 1]
    if never_there and len(asking) > 1:
        raise ConfigError(
            f"role: expected {never_there[0]} to serve as {OUTSIDE}, too, because others open sessions as well, found "
            f"{ASKS} alone."
        )
    if config.reveal_noise and config.sessions is None:
        raise ConfigError(
            "sessions: expected how many there may be in all, because noise averages out over sessions, found none."
        )


def _check_role(member: Member, key: str, role: str) -> None:
    """Raise `ConfigError` where a member has other roles than its place in the program."""
    fits = {role, ASKS}.issuperset(member.role)
    if role == PROVIDES and member.role != (PROVIDES,):
        raise ConfigError(
            f"role: expected {member.name} to be {PROVIDES} alone, which must work together with nobody, found "
            f"{', '.join(member.role)}."
        )
    if not fits or (role == COMPUTES and role not in member.role):
        raise ConfigError(
            f"role: expected {role} for {member.name}, which stands under {key}, found {', '.join(member.role)}."
        )


def member(config: TensorsConfig, federation: Federation, name: str, role: str, run: Run) -> Plan:
    """Return the plan of one member's one process. Nothing is written, because it loads its own data in a session.

    Raises:
        ConfigError: a choice that cannot be run, or a file of the member's own that is not there.
    """
    _check_files(config, name)
    if config.serving is not None:
        return served.member(config, config.serving, federation, name, run)
    planned = Planned.of(config)
    _check_own_noise(config, planned)
    process = _process(config, federation, planned, name, role, run)
    return Plan(
        (process,),
        reporter=name,
        deadline_s=config.run_deadline_s,
        steps=STEPS,
        notes=planned.notes,
    )


def _check_own_noise(config: TensorsConfig, planned: Planned) -> None:
    """Raise `ConfigError` for noise that the program itself asks for, where sessions have no bound."""
    forecast = planned.foreseen.forecast if planned.foreseen is not None else None
    noisy = [reveal.name for reveal in (forecast.reveals if forecast is not None else ()) if reveal.noise != "0"]
    if noisy and config.sessions is None:
        raise ConfigError(
            f"sessions: expected how many there may be in all, because the noise on {noisy[0]} averages out over "
            "sessions, found none."
        )


def _process(
    config: TensorsConfig, federation: Federation, planned: Planned, name: str, role: str, run: Run
) -> Process:
    output = config.outputs.get(name)
    if output is not None and not output.absolute().parent.is_dir():
        raise ConfigError(f"outputs: expected a folder {output.absolute().parent}, found none.")
    computation, addresses = planned.computation, _addresses(federation)
    more: dict[str, object] = {
        "record": (run.folders.durable(name) / FILE).resolve(),
        "sessions": config.sessions,
    }
    if role == ASKS:
        more |= {
            "session": session_of(name, run.session),
            "dials": tuple(peer_at(addresses, peer) for peer in everybody(computation) if peer != name),
            "listen": None,
            "twin": planned.known.twin,
        }
    else:
        openers = [one.name for one in federation.with_role(ASKS) if one.name != name]
        own = federation.member(name)
        address = addresses[name]
        more |= {
            "openers": {one: role_of(computation, one) for one in openers},
            "listen": address if own.bind is None else Address(host=own.bind, port=address.port),
        }
    return planned.process(run, name, addresses, **more)


def _check_files(config: TensorsConfig, name: str) -> None:
    """Raise `ConfigError` where a file of the member's own is not there."""
    for label, path in config.files.get(name, {}).items():
        if not path.exists():
            raise ConfigError(f"files: expected {label} of {name} at {path}, found none.")


def _addresses(federation: Federation) -> dict[str, Address]:
    """Return where members are reached that others connect to."""
    return {
        one.name: Address(host=one.host, port=one.port)
        for one in federation.members
        if one.host is not None and one.port is not None
    }


def reach(config: TensorsConfig, federation: Federation, name: str, folders: RunFolders) -> Reach:
    """Return the services of all other members, and what this one would say of itself."""
    run = Run(folders, session="", start_port=0)
    _check_files(config, name)
    if config.serving is not None:
        return Reach(*served.reach(config, config.serving, federation, name, run))
    planned = Planned.of(config)
    process = _process(config, federation, planned, name, federation.member(name).role[0], run)
    if not isinstance(process.settings, TensorsSettings):
        raise TypeError(f"expected settings of private tensors, found {type(process.settings).__name__}")
    return Reach(process.settings.agreed(), tuple(_services(planned.computation, federation, name)))


def _services(computation: Computation, federation: Federation, name: str) -> list[tuple[Peer, str]]:
    addresses = _addresses(federation)
    serving = [
        one.name for one in federation.members if one.name != name and any(ROLES[role].serves for role in one.role)
    ]
    return [(peer_at(addresses, other), role_of(computation, other)) for other in serving]
