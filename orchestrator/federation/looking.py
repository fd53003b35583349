"""Commands by which a member looks at what its services do, what has been, and what its accounts hold.

Each function gets the protocols, the arguments and the words that called it, and returns the exit status. A failure is
raised as a sentence.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from orchestrator import report as reports
from orchestrator.federation.behalf import Protocols, add_role, member_flags, membership_of, serving_roles
from orchestrator.federation.identity import Identity
from orchestrator.federation.records import Running, ServiceFolder, SessionEnded, opened
from orchestrator.federation.session_events import SessionEvents
from orchestrator.federation.shared import Membership
from orchestrator.federation.signs import complaint
from orchestrator.interruption import signals_raise
from orchestrator.page import report_page
from orchestrator.streams import Steady, plain_console
from parties.frame.errors import ConfigError
from parties.frame.plan import RunFolders

_FOLLOW_S = 0.5
_WIDTH = 120


def status(protocols: Protocols, arguments: Sequence[str], name: str) -> int:
    """Show whether the member's services run, and what they do. The status is 1 where one does not run."""
    parser = member_flags(name, "Show whether services run, and what they do. The exit status is 1 where one does not.")
    parser.add_argument("--json", action="store_true", default=False, help="print it as one JSON document")
    given = parser.parse_args(arguments)
    membership = membership_of(protocols, given)
    days = Identity(membership.name, membership.folder).days_left()
    roles = {role: ServiceFolder(membership.folder.path, role) for role in serving_roles(membership)}
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


def health(protocols: Protocols, arguments: Sequence[str], name: str) -> int:
    """Tell whether the member's services are well. The status is 1 where one is not."""
    about = "Tell whether services are well, for whatever starts them again. The exit status is 1 where one is not."
    parser = member_flags(name, about)
    add_role(parser)
    given = parser.parse_args(arguments)
    membership = membership_of(protocols, given)
    roles = serving_roles(membership) if given.role is None else [membership.role(given.role, serves=True)]
    if not roles:
        raise ConfigError(f"health: expected a member with a role that serves, found {membership.name} without one.")
    identity, well = Identity(membership.name, membership.folder), True
    for role in roles:
        words = complaint(ServiceFolder(membership.folder.path, role), identity)
        well = well and not words
        print(f"{role}: {words or 'well'}")
    return 0 if well else 1


def log(protocols: Protocols, arguments: Sequence[str], name: str) -> int:
    """Show the last sessions that a service has taken part in, and their events."""
    parser = member_flags(name, "Show the last sessions that a service has taken part in, and where their logs are.")
    add_role(parser)
    parser.add_argument("--count", type=int, default=20, metavar="N", help="how many (default 20)")
    parser.add_argument(
        "--json", action="store_true", default=False, help="print all events of these sessions, one JSON object a line"
    )
    parser.add_argument("--follow", action="store_true", default=False, help="go on as more comes, until interrupted")
    given = parser.parse_args(arguments)
    if given.count < 0:
        raise ConfigError(f"count: expected at least 0, found {given.count}.")
    membership = membership_of(protocols, given)
    folder = ServiceFolder(membership.folder.path, membership.role(given.role, serves=True))
    events = SessionEvents(folder, given.count, with_events=given.json)
    if not given.follow:
        _show(folder, events, as_json=given.json)
        if not given.json:
            print(f"Log of the service: {folder.log}")
        return 0
    with signals_raise():
        while not (isinstance(sys.stdout, Steady) and sys.stdout.lost):
            _show(folder, events, as_json=given.json)
            time.sleep(_FOLLOW_S)
    return 0


def report(protocols: Protocols, arguments: Sequence[str], name: str) -> int:
    """Show what a member has taken part in, what its accounts hold, and the report of a session that it opened."""
    about = "Show what a member took part in and what its accounts hold, and write the report of a session it opened."
    parser = member_flags(name, about)
    parser.add_argument("--run", default=None, metavar="RUN", help="that session's run (default its last)")
    parser.add_argument("--json", action="store_true", default=False, help="print it as one JSON document")
    given = parser.parse_args(arguments)
    membership = membership_of(protocols, given)
    shared, path = membership.shared, membership.folder.path
    accounts = shared.protocol.accounts(shared.configuration.settings, path)
    sessions = {role: _counted(ServiceFolder(path, role).ended()) for role in serving_roles(membership)}
    page = _page(membership, given.run)
    if given.json:
        document: dict[str, Any] = {"name": membership.name, "sessions": sessions, "accounts": dict(accounts.lines)}
        print(json.dumps(document | {"report": None if page is None else str(page)}, indent=2))
        return 0
    print(f"{membership.name} of {shared.federation.name}, files in {path}")
    for role, counts in sessions.items():
        said = ", ".join(f"{count} {word}" for word, count in counts.items())
        print(f"{role}: sessions that ended: {said or 'none'}")
    console = plain_console(_WIDTH)
    reports.show_summary(console, accounts)
    if page is not None:
        reports.show_files(console, Report=page)
    return 0


# -- what they share ---------------------------------------------------------------------------------------------------


def _counted(ended: Sequence[SessionEnded]) -> dict[str, int]:
    """Return how many of the sessions in the journal ended in which way."""
    counts: dict[str, int] = {}
    for one in ended:
        counts[one.outcome] = counts.get(one.outcome, 0) + 1
    return counts


def _page(membership: Membership, run: str | None) -> Path | None:
    """Write the report of a session that the member opened, and return its path, or None where there is no session."""
    path = membership.folder.path
    names = [folder.name for folder in opened(path / "logs") if (folder / "run.json").exists()]
    if run is not None and run not in names:
        raise ConfigError(
            f"run: expected one of {', '.join(names[-5:]) or 'none, because no session is there'}, found {run!r}."
        )
    if not names:
        return None
    return report_page.write(RunFolders(path, path / "logs", run or names[-1]), membership.shared.protocol)


def _show(folder: ServiceFolder, events: SessionEvents, *, as_json: bool) -> None:
    for line in events.read_new():
        if isinstance(line, SessionEnded) and not as_json:
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(line.began))
            print(f"{when}  {line}  ({folder.logs / 'sessions' / line.log})", flush=True)
        elif isinstance(line, SessionEnded):
            print(json.dumps({"event": "session", "t": line.ended, **msgspec.to_builtins(line)}), flush=True)
        else:
            print(json.dumps(line), flush=True)


def _described(running: Running | None) -> str:
    if running is None:
        return "no service runs"
    now = "; ".join(running.now) or "waits for a session"
    trouble = f", {running.in_vain} processes in a row ended before a session" if running.in_vain else ""
    return (
        f"runs at {running.address} as process {running.pid}, {running.served} sessions since it started, "
        f"{running.failed} of them failed{trouble}; {now}"
    )
