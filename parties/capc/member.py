"""One member of a federation: what it may do in CaPC, and the settings of its one process.

Each member's machine makes its own settings from the file that all members share and from its own data. So no machine
is told more than its role may know.
"""

from __future__ import annotations

from dataclasses import replace

from mpc.channels.hello import session_of
from parties.capc.casting import (
    ANSWERS,
    ASKS,
    GUARDS,
    data_folder,
    of_federation,
    public_parameters,
    split_data,
)
from parties.capc.config import CapcConfig
from parties.capc.processes import Processes
from parties.capc.report import STEPS
from parties.frame.errors import ConfigError
from parties.frame.members import Federation
from parties.frame.plan import Plan, Role, Run
from parties.learning.datasets import load_dataset
from parties.learning.models import architecture

ROLES = {
    GUARDS: Role("adds the noise, keeps the privacy ledger, and learns no query, vote or label", serves=True),
    ANSWERS: Role("owns records and a model, and votes on queries that it cannot see", serves=True),
    ASKS: Role("asks, and alone learns the labels", serves=False),
}


def check_federation(config: CapcConfig, federation: Federation) -> None:
    """Raise `ConfigError` where these members cannot take part in CaPC as configured."""
    guardians = [member.name for member in federation.with_role(GUARDS)]
    if len(guardians) != 1:
        raise ConfigError(f"role: expected one member with role {GUARDS}, found {', '.join(guardians) or 'none'}.")
    if len(federation.member(guardians[0]).role) > 1:
        raise ConfigError(
            f"role: expected {guardians[0]} to be {GUARDS} alone, which must work together with nobody, found "
            f"{', '.join(federation.member(guardians[0]).role)}."
        )
    asking, answering = federation.with_role(ASKS), federation.with_role(ANSWERS)
    if not asking:
        raise ConfigError(f"role: expected a member with role {ASKS}, found none.")
    for member in asking:
        others = sum(other.name != member.name for other in answering)
        if others != config.n_parties:
            raise ConfigError(
                f"n_parties: expected {others}, which is how many others answer {member.name}, found "
                f"{config.n_parties}."
            )
    if "qp_id" in config.model_fields_set:
        raise ConfigError(f"qp_id: expected none where members have roles, found {','.join(map(str, config.qp_id))}.")


def member(config: CapcConfig, federation: Federation, name: str, role: str, run: Run) -> Plan:
    """Return the plan of one member's one process, and write its own data into its private folder.

    Raises:
        ConfigError: a choice that cannot be run.
    """
    dataset = load_dataset(config.dataset, data_folder(config))
    parameters = public_parameters(config, dataset)
    for model in config.models:
        architecture(model, dataset.image_shape, dataset.classes)  # refuses a name that it does not know
    roles = of_federation(federation)
    data = split_data(config, dataset, roles.owners)
    processes = Processes(config, run, dataset, parameters, data, roles, deployed=federation)
    folder = run.folders.party(name)
    if role == GUARDS:
        process = processes.guardian()
    elif role == ANSWERS:
        process = processes.server(name)
        data.owned[roles.servers[name]].write(folder / "records.npz")
    else:
        process = processes.client(name)
        session = {"session": session_of(name, run.session)}
        process = replace(process, settings=process.settings.model_copy(update=session))
        data.owned[roles.clients[name]].write(folder / "records.npz")
        for part, records in data.asked.items():
            records.write(folder / f"{part}.npz")
    return Plan((process,), reporter=process.name, deadline_s=config.run_deadline_s, steps=STEPS)
