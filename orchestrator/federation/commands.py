"""What a member of a federation does by commands: serve, ask, check and tidy. `looking` has those that only look.

Each function gets the protocols, the arguments and the words that called it, and returns the exit status. A failure is
raised as a sentence.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from loguru import logger

from orchestrator import report
from orchestrator.federation.ask import ask as open_session
from orchestrator.federation.behalf import Protocols, add_role, member_flags, membership_of, serving_roles
from orchestrator.federation.check import STATUS
from orchestrator.federation.check import check as look
from orchestrator.federation.identity import Identity
from orchestrator.federation.records import ServiceFolder, prune_opened
from orchestrator.federation.service import Service
from orchestrator.federation.shared import Membership, find_membership
from orchestrator.federation.signs import Listening, Signs
from orchestrator.streams import plain_console
from parties.frame.errors import ConfigError
from parties.frame.plan import Run, RunFolders
from parties.frame.settings import Address

_LOG_BYTES, _LOGS = 2_000_000, 5  # of a supervisor's log before it is put aside, and how many of those are kept
_STOP_S = 28.0  # beyond what its processes have to end
_WIDTH = 120


def serve(protocols: Protocols, arguments: Sequence[str], name: str) -> int:
    """Take part in one session after the other, until a signal ends it."""
    parser = member_flags(name, "Take part in one session after the other that others open, until it is told to end.")
    add_role(parser)
    parser.add_argument(
        "--metrics", default=None, metavar="HOST:PORT", help="show figures there for Prometheus, such as 127.0.0.1:9464"
    )
    given = parser.parse_args(arguments)
    membership = membership_of(protocols, given)
    role = membership.role(given.role, serves=True)
    _check_certificate(membership)
    os.umask(0o077)
    folder = ServiceFolder(membership.folder.path, role)
    _check_metrics(given.metrics)
    with folder.alone(), _logging(folder.log), _metrics(membership, role, given.metrics) as metrics:
        _service(membership, role, folder, metrics).run()
    return 0


def ask(protocols: Protocols, arguments: Sequence[str], name: str) -> int:
    """Open a session, and show what came out."""
    about = "Open a session with all others, and show what came out. All flags of a run are flags of this command, too."
    parser = member_flags(name, about)
    add_role(parser)
    parser.add_argument(
        "--fresh", action="store_true", default=False, help="give up what an earlier session has left unfinished"
    )
    given, flags = parser.parse_known_args(arguments)
    membership = find_membership(protocols, config=given.config, name=given.name, folder=given.dir, flags=flags)
    role = membership.role(given.role, serves=False)
    _check_certificate(membership)
    configuration = membership.shared.configuration
    console = plain_console(_WIDTH)
    console.quiet = configuration.output != "text"
    outcome = open_session(membership, role, configuration.run, console, fresh=given.fresh)
    if configuration.output == "json":
        print(outcome.result_file.read_text(encoding="utf-8"), end="")
    report.show(console, outcome.accounts, outcome.summary, outcome.result_file, outcome.report_file, outcome.lost)
    return 0


def stop(protocols: Protocols, arguments: Sequence[str], name: str) -> int:
    """End a service in order, and wait until it has ended."""
    parser = member_flags(name, "End a service in order, and wait until it has ended.")
    add_role(parser)
    given = parser.parse_args(arguments)
    membership = membership_of(protocols, given)
    role = membership.role(given.role, serves=True)
    folder = ServiceFolder(membership.folder.path, role)
    running = folder.running()
    if running is None:
        print(f"{role}: no service runs")
        return 0
    os.kill(running.pid, signal.SIGTERM)
    within_s = running.ends_within_s + _STOP_S
    print(f"{role}: told to end, within {within_s:g} s at most", flush=True)
    if not folder.wait_until_ended(within_s):
        raise ConfigError(f"stop: expected process {running.pid} to end within {within_s:g} s, found that it goes on.")
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
    for role in serving_roles(membership):
        removed = ServiceFolder(membership.folder.path, role).prune(given.keep)
        print(f"{role}: removed the logs of {removed} sessions")
    if opened := prune_opened(membership.folder.path / "logs", given.keep):
        print(f"opened by this member: removed the logs of {opened} sessions")
    return 0


# -- what the commands share -------------------------------------------------------------------------------------------


def _check_certificate(membership: Membership) -> None:
    """Raise an error, which says how to mend it, where the member has no certificate or its certificate has ended."""
    membership.folder.check_installed()
    Identity(membership.name, membership.folder).check_valid()


def _check_metrics(where: str | None) -> None:
    """Raise `ConfigError` where figures cannot be shown at an address."""
    if where is None:
        return
    if find_spec("prometheus_client") is None:
        raise ConfigError("metrics: expected the package prometheus-client, found none: pip install prometheus-client.")
    from orchestrator.federation.metrics import address_of  # noqa: PLC0415 - which needs that package

    address_of(where)


@contextmanager
def _metrics(membership: Membership, role: str, where: str | None) -> Iterator[Listening | None]:
    """Show figures at an address, if there is one. Raises `ConfigError`."""
    if where is None:
        yield None
        return
    from orchestrator.federation.metrics import Metrics, address_of, is_of_this_machine  # noqa: PLC0415 - see above

    shared, address = membership.shared, address_of(where)
    measures = partial(shared.protocol.measures, shared.configuration.settings, membership.folder.path)
    metrics = Metrics(shared.protocol.name, role, measures, Identity(membership.name, membership.folder).days_left)
    server = metrics.serve(address)
    logger.info(f"metrics at http://{address.host}:{address.port}/metrics")
    if not is_of_this_machine(address.host):
        logger.info(f"metrics: whoever reaches {address.host} reads them, without encryption and without a password")
    try:
        yield metrics
    finally:
        server.shutdown()
        server.server_close()


def _service(membership: Membership, role: str, folder: ServiceFolder, listening: Listening | None) -> Service:
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
    for note in plan.notes:
        logger.info(note)
    where = member.bind or member.host or ""
    signs = Signs(folder, Identity(membership.name, membership.folder), logger.info, listening)
    return Service(folder, plan, data, Address(host=where, port=member.port), membership.folder.path, signs)


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
