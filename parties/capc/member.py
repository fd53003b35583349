"""One member of a federation: what it may do in CaPC, and the settings of its one process.

Each member's machine makes its own settings from the file that all members share and from its own data. So no machine
is told more than its role may know. A run of all members on one machine takes the same file.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from mpc.channels.hello import session_of
from parties.capc.answers import GivenAnswers
from parties.capc.casting import (
    ANSWERS,
    ASKS,
    GUARDS,
    ids_of,
    load_data,
    of_federation,
    public_parameters,
    refuse_missing_records,
    refuse_unknown_models,
    split_data,
    unneeded_records,
    with_own_queries,
)
from parties.capc.config import CapcConfig
from parties.capc.labels_out import IDS
from parties.capc.pending import PendingBatch
from parties.capc.processes import Processes
from parties.capc.releases import with_release
from parties.capc.report import STEPS
from parties.capc.settings import ANSWERING, GUARDIAN, CapcSettings, QueryingSettings
from parties.frame.errors import ConfigError
from parties.frame.members import Federation
from parties.frame.plan import Plan, Process, Reach, Role, Run, RunFolders
from parties.frame.private_files import write_private
from parties.frame.settings import Peer
from parties.learning.own.choices import DataChoices
from parties.learning.own.loader import loader_digest
from parties.learning.own.records import no_records, own_dataset
from parties.learning.parts import AskedData, Dataset, Holding, OwnersDataset, SplitData
from parties.learning.records import DataError, Records

ROLES = {
    GUARDS: Role("adds the noise, keeps the privacy ledger, and learns no query, vote or label", serves=True),
    ANSWERS: Role("owns records and a model, and votes on queries that it cannot see", serves=True),
    ASKS: Role("asks, and alone learns the labels", serves=False),
}

QUERIES_IN_ALL = 1 << 16
"""For how many queries weights stay hidden, where the file does not say, in a federation or with a quorum.

In both a querying party may open one session after the other, so that one session's queries are no bound."""


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
    if config.data is not None:
        _check_data(config, config.data, federation)


def _check_data(config: CapcConfig, data: DataChoices, federation: Federation) -> None:
    """Raise `ConfigError` unless each owner of records has an entry of its name."""
    owners = {member.name for member in federation.members if GUARDS not in member.role}
    if not data.parties:
        raise ConfigError("data: expected `parties`, one by name for each member with records, found a file for all.")
    if (named := {files.name or "without a name" for files in data.parties}) != owners:
        first = sorted(named ^ owners)[0]
        where = "under data only" if first in named else "among the members only"
        raise ConfigError(f"data: expected the same names under parties and among the members, found {first} {where}.")
    if "n_queries" not in config.model_fields_set:
        raise ConfigError("n_queries: expected to be given in a federation, because all members agree on it.")


def for_members(config: CapcConfig, federation: Federation) -> CapcConfig:
    """Return the configuration with numbers of data owners for members' names, for a run of all on this machine."""
    numbers = {name: number for number, name in enumerate(_owners(federation))}
    asking = tuple(numbers[member.name] for member in federation.with_role(ASKS))
    data = config.data
    if data is not None:
        parties = sorted(data.parties, key=lambda files: numbers[files.name or ""])
        data = data.model_copy(update={"parties": tuple(parties)})
    queries_in_all = config.queries_in_all or QUERIES_IN_ALL
    return config.model_copy(update={"qp_id": asking, "data": data, "queries_in_all": queries_in_all})


def counting_over_all(config: CapcConfig) -> CapcConfig:
    """Return the configuration with a bound on queries over all sessions, where a session may be opened again."""
    if config.queries_in_all is not None or config.least == config.n_parties:
        return config
    return config.model_copy(update={"queries_in_all": QUERIES_IN_ALL})


def member(config: CapcConfig, federation: Federation, name: str, role: str, run: Run) -> Plan:
    """Return the plan of one member's one process, and write its own data into its private folder.

    Raises:
        ConfigError: a choice that cannot be run.
    """
    config = for_members(config, federation)
    if role == ASKS:
        config = with_own_queries(config, [_owners(federation).index(name)])
    refuse_missing_records(config, of_federation(federation))
    dataset, data = _own_data(config, federation, name)
    config, processes = _processes(config, federation, run, dataset, data)
    if role == GUARDS:
        process = processes.guardian()
    elif role == ANSWERS:
        process = processes.server(name)
    else:
        process = processes.client(name)
        session = {"session": session_of(name, run.session)}
        process = replace(process, settings=process.settings.model_copy(update=session))
    if role != GUARDS:
        owner = _owners(federation).index(name)
        data.owned[owner].write(run.folders.party(name) / "records.npz")
    notes, given = dataset.notes, None
    if role == ASKS:
        processes.refuse_outputs()
        write_asked(data.asked[owner], config, owner, run.folders.party(name))
        notes += _not_asked(config, dataset, len(data.asked[owner].records))
        notes += unneeded_records(config, of_federation(federation), [name])
        given = processes.given_answers(name)
        if run.fresh and given is None:
            raise ConfigError(
                f"fresh: expected strategy given, found {config.strategy}, whose campaign keeps its answers. Another "
                "`seed` begins another campaign."
            )
        if given is not None:
            said = _give_up(process, given) if run.fresh else given.said()
            notes = (*notes, said) if said else notes
    return Plan(
        (process,),
        reporter=process.name,
        deadline_s=config.run_deadline_s,
        steps=STEPS,
        notes=notes,
        delivered=None if given is None else given.delivered,
    )


def _processes(
    config: CapcConfig, federation: Federation, run: Run, dataset: Dataset, data: SplitData
) -> tuple[CapcConfig, Processes]:
    """Return the processes of members, and the configuration with all that follows from the dataset."""
    config = with_release(config, dataset)
    parameters = public_parameters(config, dataset)
    refuse_unknown_models(config, dataset, len(_owners(federation)))
    roles = of_federation(federation)
    return config, Processes(config, run, dataset, parameters, data, roles, deployed=federation)


def _give_up(process: Process, given: GivenAnswers) -> str:
    """Put what an unfinished asking has bought aside, and say so. A batch whose answers are among it is done."""
    settings = process.settings
    if not isinstance(settings, QueryingSettings):
        raise TypeError(f"expected settings of a querying party, found {type(settings).__name__}")
    PendingBatch(settings.pending, durable=settings.rejoin_s > 0).settle(given.batches())
    return given.give_up()


def reach(config: CapcConfig, federation: Federation, name: str, folders: RunFolders) -> Reach:
    """Return the services of all other members, and what this one would say of itself.

    Its own data are read, where it has any. The questions of one that only asks may come with a command alone.
    """
    run = Run(folders, session="", start_port=0)
    settings = _process_that_reaches(config, federation, name, run).settings
    if not isinstance(settings, CapcSettings):
        raise TypeError(f"expected settings of CaPC, found {type(settings).__name__}")
    words = {GUARDS: GUARDIAN, ANSWERS: ANSWERING}
    peers = [
        (Peer(name=other.name, host=other.host, port=other.port), words[role])
        for other in federation.members
        for role in other.role
        if role in words and other.name != name and other.host is not None and other.port is not None
    ]
    return Reach(settings.agreed(), tuple(peers))


def _process_that_reaches(config: CapcConfig, federation: Federation, name: str, run: Run) -> Process:
    """Return the process of a member's first role."""
    data, roles = config.data, federation.member(name).role
    files = () if data is None or config.queries is not None else data.parties
    if data is None or ASKS not in roles or not any(one.name == name and not one.sources for one in files):
        return member(config, federation, name, roles[0], run).processes[0]
    config = for_members(config, federation)
    refuse_missing_records(config, of_federation(federation))
    _, processes = _processes(config, federation, run, *_described_alone(data, _owners(federation)))
    return processes.client(name)


def write_asked(asked: AskedData, config: CapcConfig, owner: int, folder: Path) -> None:
    """Write what an owner that asks asks about into its private folder."""
    asked.records.write(folder / ("queries.npz" if config.strategy == "given" else "unlabelled.npz"))
    if asked.held_out is not None:
        asked.held_out.write(folder / "held_out.npz")
    if (ids := ids_of(config, owner)) is not None:
        write_private(folder / IDS, json.dumps(ids).encode())


def _not_asked(config: CapcConfig, dataset: Dataset, asked: int) -> tuple[str, ...]:
    """Return a note where a member's own file holds more given records than this session may ask about."""
    if config.strategy != "given" or not isinstance(dataset, OwnersDataset):
        return ()
    (holding,) = dataset.holdings
    given = holding.held_out if holding.unlabelled is None else holding.unlabelled
    first, there = config.first_query, 0 if given is None else len(given)
    if asked == there:
        return ()
    last = first + asked
    because = f"by first_query {first} and n_queries {config.n_queries}"
    return (f"records {first + 1} to {last} of {there} are asked about, {because}",)


def _owners(federation: Federation) -> list[str]:
    """Return the names of the members that own records, in the order of their numbers."""
    return [member.name for member in federation.members if GUARDS not in member.role]


def _own_data(config: CapcConfig, federation: Federation, name: str) -> tuple[Dataset, SplitData]:
    """Return the dataset as far as this member may read it, and its own part of it. Those of others are empty.

    A dataset that has a name is public. Of own records a member reads its own alone, and the guardian none.
    """
    owners, choices = _owners(federation), config.data
    if choices is None:
        dataset = load_data(config)
        data = split_data(config, dataset, len(owners))
        return dataset, replace(data, names=owners)
    if name not in owners:
        return _described_alone(choices, owners)
    empty = _no_records(choices)
    own = owners.index(name)
    dataset = own_dataset(choices.model_copy(update={"parties": (choices.parties[own],)}))
    asks = ASKS in federation.member(name).role
    part = split_data(config.model_copy(update={"qp_id": (0,) if asks else ()}), dataset, 1)
    owned = [part.owned[0] if number == own else empty for number in range(len(owners))]
    return dataset, SplitData(owned, {own: part.asked[0]} if asks else {}, owners)


def _described_alone(choices: DataChoices, owners: list[str]) -> tuple[Dataset, SplitData]:
    """Return what is public of the members' own data, with no records."""
    empty = _no_records(choices)
    described = OwnersDataset(
        name="of the members' own", classes=choices.outputs, label_names=choices.labels,
        class_values=choices.classes, agreed=choices.agreed(), holdings=(Holding("", empty, None, None),),
    )  # fmt: skip
    return described, SplitData([empty] * len(owners), {}, owners)


def _without_digest(choices: DataChoices) -> str:
    """Say which digest of the loader is missing in the shared file, and this member's own where it has the loader."""
    own = ""
    with suppress(DataError):
        own = f" This member's is {loader_digest(choices)}."
    return (
        "loader_digest: expected SHA-256 of the loader's file under data, because not every member has the loader and "
        f"all must prepare records alike, found none.{own}"
    )


def _no_records(choices: DataChoices) -> Records:
    """Return no records in the public shape, which a member without records agrees on with all others."""
    shape = choices.image_shape
    if shape is None:
        raise ConfigError(
            "shape: expected the shape of a record that the loader gives, such as [30] or [1, 28, 28], because not "
            "every member has records to know it by, found none under data."
        )
    if choices.loader and choices.loader_digest is None:
        raise ConfigError(_without_digest(choices))
    return no_records(choices, shape)
