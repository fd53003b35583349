"""One session that a member opens, which is a run of its one process here, while all others run on their machines."""

from __future__ import annotations

import os
import secrets
from dataclasses import replace
from functools import partial

from rich.console import Console

from orchestrator.config import Configuration, RunOptions
from orchestrator.federation.records import OPENED
from orchestrator.federation.shared import Membership
from orchestrator.run import Outcome, execute
from parties.frame.errors import ConfigError
from parties.frame.plan import Plan, Run, RunFolders
from parties.frame.private_files import make_private_folder
from parties.frame.settings import PartySettings
from parties.frame.turnstile import Lock


def ask(membership: Membership, role: str, options: RunOptions, console: Console, *, fresh: bool = False) -> Outcome:
    """Open a session and follow it to its end. Raises as `orchestrator.run.execute` does.

    The member's accounts, and what an unfinished session has asked and got, outlive the session in its folder. So only
    one session of this role goes on at a time. `fresh` gives up what an earlier one has left unfinished.
    """
    folder = membership.folder
    folder.check_installed()
    lock = Lock(make_private_folder(folder.path / "services") / f"{role}.lock")
    if not lock.try_to_take():
        raise ConfigError(f"ask: expected one session of {membership.name} at a time, found one that goes on.")
    try:
        shared = membership.shared.configuration
        places = {"files_dir": folder.path, "logs_dir": folder.path / "logs", "launcher": "process", "session": OPENED}
        configuration = replace(shared, run=options.model_copy(update=places))
        outcome = execute(configuration, console, partial(_plan, membership, role, fresh))
        if outcome.plan.delivered is not None:
            outcome.plan.delivered()
        return outcome
    finally:
        lock.give_back()


def _plan(membership: Membership, role: str, fresh: bool, configuration: Configuration, folders: RunFolders) -> Plan:
    """Return the plan of this member's process, which uses the keys in the member's folder."""
    shared = membership.shared
    run = Run(folders, session=secrets.token_hex(16), start_port=0, supervisor_pid=os.getpid(), fresh=fresh)
    plan = shared.protocol.member(configuration.settings, shared.federation, membership.name, role, run)
    process = plan.processes[0]
    if not isinstance(process.settings, PartySettings):
        raise TypeError(f"expected settings of a party, found {type(process.settings).__name__}")
    settings = process.settings.model_copy(update={"credentials": membership.folder.path})
    return replace(plan, processes=(replace(process, settings=settings),))
