"""What a member of a federation does by commands: serve, ask, and look at what goes on.

Each function gets the protocols, the arguments and the words that called it, and returns the exit status. A failure is
raised as a sentence.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import msgspec
from loguru import logger

from orchestrator import report
from orchestrator.federation.ask import ask as open_session
from orchestrator.federation.check import STATUS
from orchestrator.federation.check import check as look
from orchestrator.federation.identity import Identity
from orchestrator.federation.offline import member_flags
from orchestrator.federation.records import Running, ServiceFolder
from orchestrator.federation.service import Service
from orchestrator.federation.shared import Membership, find_membership
from orchestrator.flags import FlagParser
from orchestrator.streams import plain_console
from parties.frame.errors import ConfigError
from parties.frame.plan import Run, RunFolders, RunnableProtocol
from parties.frame.settings import Address

Protocols = Mapping[str, RunnableProtocol]

_LOG_BYTES, _LOGS = 2_000_000, 5  # of a supervisor's log before it is put aside, and how many of those are kept
_STOP_S = 40.0
_WIDTH = 120


def serve(protocols: Protocols, arguments: Sequence[str], name: str) -> int:
    """Take part in one session after the other, until a signal ends it."""
    parser = member_flags(name, "Take part in one session after the other that others open, until it is told to end.")
    _add_role(parser)
    given = parser.parse_args(arguments)
    membership = membership_of(protocols, given)
    role = membership.role(given.role, serves=True)
    membership.folder.check_installed()
    os.umask(0o077)
    folder = ServiceFolder(membership.folder.path, role)
    with _logging(folder.log):
        _service(membership, role, folder).run()
    return 0


def ask(protocols: Protocols, arguments: Sequence[str], name: str) -> int:
    """Open a session, and show what came out."""
    about = "Open a session with all others, and show what came out. All flags of a run are flags of this command, too."
    parser = member_flags(name, about)
    _add_role(parser)
    parser.add_argument(
        "--fresh", action="store_true", default=False, help="give up what an earlier session has left unfinished"
    )
    given, flags = parser.parse_known_args(arguments)
    membership = find_membership(protocols, config=given.config, name=given.name, folder=given.dir, flags=flags)
    role = membership.role(given.role, serves=False)
    configuration = membership.shared.configuration
    console = plain_console(_WIDTH)
    console.quiet = configuration.output != "text"
    outcome = open_session(membership, role, configuration.run, console, fresh=given.fresh)
    if configuration.output == "json":
        print(outcome.result_file.read_text(encoding="utf-8"), end="")
    report.show(console, outcome.accounts, outcome.summary, outcome.result_file, outcome.report_file, outcome.lost)
    return 0


def status(protocols: Protocols, arguments: Sequence[str], name: str) -> int:
    """Show whether the member's services run, and what they do. The status is 1 where one does not run."""
    parser = member_flags(name, "Show whether services run, and what they do. The exit status is 1 where one does not.")
    parser.add_argument("--json", action="store_true", default=False, help="print it as one JSON document")
    given = parser.parse_args(arguments)
    membership = membership_of(protocols, given)
    days = Identity(membership.name, membership.folder).days_left()
    roles = {role: ServiceFolder(membership.folder.path, role) for role in _serving_roles(membership)}
    running = {role: folder.running() for role, folder in roles.items()}
    if given.json:
        shown = {role: None if one is None else msgspec.to_builtins(one) for role, one in running.items()}
        print(json.dumps({"name": membership.name, "certificate_days": days, "services": shown}, indent=2))
    else:
        print(f"{membership.name}: certificate valid for {days:.0f} days, files in {membership.folder.path}")
        for role, one in running.items():
            print(f"{role}: {_described(one)}")
            for ended in roles[role].ended()[-3:]:
                print(f"  {ended}")
    return 0 if all(running.values()) else 1


def log(protocols: Protocols, arguments: Sequence[str], name: str) -> int:
    """Show the last sessions that a service has taken part in, and where their logs are."""
    parser = member_flags(name, "Show the last sessions that a service has taken part in, and where their logs are.")
    _add_role(parser)
    parser.add_argument("--count", type=int, default=20, metavar="N", help="how many (default 20)")
    given = parser.parse_args(arguments)
    membership = membership_of(protocols, given)
    folder = ServiceFolder(membership.folder.path, membership.role(given.role, serves=True))
    for ended in folder.ended()[-given.count :]:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ended.began))
        print(f"{when}  {ended}  ({folder.logs / 'sessions' / ended.log})")
    print(f"Log of the service: {folder.log}")
    return 0


def stop(protocols: Protocols, arguments: Sequence[str], name: str) -> int:
    """End a service in order, and wait until it has ended."""
    parser = member_flags(name, "End a service in order, and wait until it has ended.")
    _add_role(parser)
    given = parser.parse_args(arguments)
    membership = membership_of(protocols, given)
    role = membership.role(given.role, serves=True)
    folder = ServiceFolder(membership.folder.path, role)
    running = folder.running()
    if running is None:
        print(f"{role}: no service runs")
        return 0
    os.kill(running.pid, signal.SIGTERM)
    if not folder.wait_until_ended(_STOP_S):
        raise ConfigError(f"stop: expected process {running.pid} to end within {_STOP_S:g} s, found that it goes on.")
    print(f"{role}: ended")
    return 0


def check(protocols: Protocols, arguments: Sequence[str], name: str) -> int:
    """Look for what would keep the member from taking part. The status is 0, 1 with a warning, or 2 where it cannot."""
    about = "Look for what would keep a member from taking part, and say how to mend it."
    parser = member_flags(name, f"{about} The exit status is 0, 1 with warnings, or 2 where it cannot take part.")
    parser.add_argument("--json", action="store_true", default=False, help="print it as one JSON document")
    given = parser.parse_args(arguments)
    found = []
    for finding in look(membership_of(protocols, given)):
        found.append(finding)
        if not given.json:
            print(finding, flush=True)
    if given.json:
        print(json.dumps([asdict(finding) for finding in found], indent=2))
    return max(STATUS[finding.state] for finding in found)


def prune(protocols: Protocols, arguments: Sequence[str], name: str) -> int:
    """Remove what old sessions left."""
    parser = member_flags(name, "Remove the logs of old sessions. Accounts, keys and answers are not touched.")
    parser.add_argument("--keep", type=int, default=20, metavar="N", help="sessions whose logs stay (default 20)")
    given = parser.parse_args(arguments)
    if given.keep < 0:
        raise ConfigError(f"keep: expected at least 0, found {given.keep}.")
    membership = membership_of(protocols, given)
    for role in _serving_roles(membership):
        removed = ServiceFolder(membership.folder.path, role).prune(given.keep)
        print(f"{role}: removed the logs of {removed} sessions")
    return 0


# -- what the commands share -------------------------------------------------------------------------------------------


def membership_of(protocols: Protocols, given: argparse.Namespace) -> Membership:
    return find_membership(protocols, config=given.config, name=given.name, folder=given.dir)


def _add_role(parser: FlagParser) -> None:
    parser.add_argument("--role", default=None, metavar="ROLE", help="which of the member's roles, if it has several")


def _serving_roles(membership: Membership) -> list[str]:
    roles = membership.shared.protocol.roles
    return [role for role in membership.member.role if roles[role].serves]


def _described(running: Running | None) -> str:
    if running is None:
        return "no service runs"
    now = "; ".join(running.now) or "waits for a session"
    trouble = f", {running.in_vain} processes in a row ended before a session" if running.in_vain else ""
    return (
        f"runs at {running.address} as process {running.pid}, {running.served} sessions since it started, "
        f"{running.failed} of them failed{trouble}; {now}"
    )


def _service(membership: Membership, role: str, folder: ServiceFolder) -> Service:
    """Return the service, after the member's own data were made ready."""
    shared, member = membership.shared, membership.member
    folders = RunFolders(membership.folder.path, folder.logs, f"roles/{role}")
    data = folders.party(membership.name)
    for path in data.iterdir():
        path.unlink()
    run = Run(folders, session="", start_port=0, supervisor_pid=os.getpid())
    plan = shared.protocol.member(shared.configuration.settings, shared.federation, membership.name, role, run)
    if member.port is None:
        raise ConfigError(f"port: expected one of {member.name}, which serves, found none.")
    where = member.bind or member.host or ""
    return Service(folder, plan, data, Address(host=where, port=member.port), membership.folder.path)


@contextmanager
def _logging(path: Path) -> Iterator[None]:
    """Write the supervisor's log to a file, which is put aside when it is long, and to standard error."""
    logger.remove()
    line = "{time:YYYY-MM-DD HH:mm:ss} | {message}"
    text = str(path).replace("{", "{{").replace("}", "}}")  # loguru takes braces in a path for a template
    sinks = [
        logger.add(text, format=line, rotation=_LOG_BYTES, retention=_LOGS, diagnose=False, backtrace=False),
        logger.add(sys.stderr, format=line, diagnose=False, backtrace=False),
    ]
    try:
        yield
    finally:
        for sink in sinks:
            logger.remove(sink)
