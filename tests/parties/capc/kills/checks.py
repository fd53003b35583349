"""What is wrong with how a run ended: its status, whom it blames, what it left behind, and its accounts."""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.launchers.tmux import _socket_folder
from parties.capc.budget_view import LEDGER, ODOMETER
from parties.capc.casting import GUARDIAN_NAME
from tests.parties.capc.kills.cases import LAUNCHER, Case
from tests.parties.capc.kills.trial import PORTS, Reference, Trial, labels

_GUARD_S = 15.0
_AT_ONCE_S = 0.3  # between a signal and what a process does at the same moment
_NUMBERS = {"KILL": 9, "TERM": 15, "INT": 2, "HUP": 1}


def faults(case: Case | None, trial: Trial, status: int | None, undisturbed: Reference) -> list[str]:
    """Return what is wrong, a sentence each. Without a case the run must have gone well."""
    if status is None:
        return [f"it hangs: {', '.join(one.command for one in trial.processes())}"]
    found = list(left_behind(trial)) + status_faults(case, trial, status, undisturbed)
    return found + list(_accounts(trial, undisturbed, went_well=status == 0))


def status_faults(case: Case | None, trial: Trial, status: int, undisturbed: Reference) -> list[str]:
    """Return what is wrong with status, labels and blame."""
    found = []
    if status == 0:
        try:
            if (got := labels(trial)) != undisturbed.labels:
                found.append(f"expected the labels {undisturbed.labels}, found {got}")
        except OSError as error:
            found.append(f"expected a result, found none: {error}")
    if case is None or not trial.signalled or case.signal == "STOP+CONT":
        if status != 0:
            found.append(f"expected it to go well, found status {status}: {trial.sentence.strip()}")
    elif case.victim == LAUNCHER:
        found += _launchers_end(case, trial, status)
    else:
        found += _blame(case, trial, status)
    return found


def is_of_time(fault: str) -> bool:
    """Tell whether other programs of the machine may be the reason, so that the case has to be tried again alone."""
    reasons = r"it hangs|within [\d.]+ s|said anything for|deadline of|lasted longer|Address already in use"
    return bool(re.search(reasons, fault))


# -- status and blame --------------------------------------------------------------------------------------------------


def _launchers_end(case: Case, trial: Trial, status: int) -> Iterator[str]:
    number = _NUMBERS[case.signal]
    if status == 128 + number:
        if trial.sentence != f"Ended by SIG{case.signal}.\n":
            yield f"expected one sentence, found {trial.sentence!r}"
    elif status == -number:  # killed, or not ready yet for the signal
        if trial.sentence:
            yield f"expected nothing to be said, found {trial.sentence!r}"
    elif status != 0 or not all(_finished_before(trial, party) for party in trial.scenario.parties):
        yield f"expected status {128 + number}, found {status}: {trial.sentence.strip()}"


def _finished_before(trial: Trial, party: str) -> bool:
    """Tell whether a party had done its work when the signal came."""
    return any(one["event"] == "finished" and one["t"] < trial.signalled_at + _AT_ONCE_S for one in trial.events(party))


def _blame(case: Case, trial: Trial, status: int) -> Iterator[str]:
    """The victim is named, with what happened to it. It may have done its work before it was hit."""
    if status == 0:
        if not case.is_child and not _finished_before(trial, case.victim):
            yield "expected a failure, found that it went well"
        return
    sentence = trial.sentence
    if status != 1 or sentence.count("\n") != 1:
        yield f"expected status 1 and one sentence, found {status} and {sentence!r}"
    if not re.match(rf"{re.escape(case.victim)} failed[: ]", sentence):
        yield f"expected {case.victim} to be blamed, found: {sentence.strip()}"
    if "Traceback" in sentence or re.search(r"\bunexpected \w+(Error|Exit|Interrupt)\b|failed: no message\b", sentence):
        yield f"expected a reason in plain words, found: {sentence.strip()}"
    expected = _reason(case)
    if not re.search(expected, sentence):
        yield f"expected /{expected}/, found: {sentence.strip()}"


def _reason(case: Case) -> str:
    name = f"SIG{case.signal}"
    if case.signal == "STOP":
        return "its process is stopped"
    if case.is_child:
        return f"training the model failed: (its process was ended|told to end) by {name}"
    return f"it was ended by {name}" if case.signal == "KILL" else f"told to end by {name}|it was ended by {name}"


# -- what is left ------------------------------------------------------------------------------------------------------


def left_behind(trial: Trial, within_s: float = _GUARD_S) -> Iterator[str]:
    """Yield all that is there still. Processes have some time to end, for the guard of a killed launcher."""
    expires = time.monotonic() + within_s
    while (left := trial.processes()) and time.monotonic() < expires:
        time.sleep(0.05)
    for one in left:
        yield f"a process is left: {one.pid} {one.command}"
    if trial.run and (_socket_folder() / trial.run).exists():
        yield "the socket of its tmux server is left"
    for port in range(trial.port, trial.port + PORTS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                yield f"port {port} is not free: {error.strerror}"
    yield from _files_left(trial.folder / "files", trial.run)
    for path in (trial.folder / "logs").rglob("*"):
        if path.name.startswith("."):
            yield f"half a file is left: {path}"


def _files_left(files: Path, run: str) -> Iterator[str]:
    for path in sorted(files.rglob("*")):
        kept = path.relative_to(files).parts
        if run and kept[0] == run and kept[1:] not in ((), ("report.html",), ("result.json",)):
            yield f"a private file is left: {path}"
        elif path.is_file():
            if path.name.startswith("."):
                yield f"half a file is left: {path}"
            if b"PRIVATE KEY" in path.read_bytes():
                yield f"a key is left: {path}"
            if not _lock_is_free(path):
                yield f"somebody holds the lock of {path}"


def _lock_is_free(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


# -- accounts ----------------------------------------------------------------------------------------------------------


def _accounts(trial: Trial, undisturbed: Reference, *, went_well: bool) -> Iterator[str]:
    """Each charge that somebody was told of is there once. One more batch may be there that nobody was told of."""
    scenario, files = trial.scenario, trial.folder / "files" / "durable"
    config, roles = scenario.config, scenario.roles
    in_all = config.n_queries * len(roles.clients)
    told = _charges_told(trial)
    before, after = (_lines(top / GUARDIAN_NAME / LEDGER) for top in (undisturbed.files / "durable", files))
    asked = config.batch_size * sum(_count(trial, client, "step_started", "privacy ledger") for client in roles.clients)
    yield from account("the ledger", before, after, told, asked if trial.events(GUARDIAN_NAME) else in_all)
    if went_well and _charged(after) - _charged(before) != in_all:
        yield f"expected {in_all} queries in the ledger, found {_charged(after) - _charged(before)}"
    for server, owner in roles.servers.items():
        before, after = (_lines(top / f"owner-{owner}" / ODOMETER) for top in (undisturbed.files / "durable", files))
        sent = config.batch_size * _count(trial, server, "step_started", "masks")
        began = config.batch_size * _count(trial, server, "step_started", "the owner's odometer")
        yield from account(
            f"the odometer of owner {owner}", before, after, sent, began if trial.events(server) else in_all
        )


def account(name: str, before: list[Any], after: list[Any], least: int, most: int) -> Iterator[str]:
    """Yield what is wrong with a journal, which had these entries before and has those after the run."""
    if after[: len(before)] != before:
        yield f"{name} has lost earlier charges"
    charged = _charged(after) - _charged(before)
    if not least <= charged <= most:
        yield f"expected {least} to {most} queries to be charged in {name}, found {charged}"


def _charges_told(trial: Trial) -> int:
    """Return for how many queries the guardian told a querying party that they are charged."""
    log = trial.folder / "logs" / trial.run / "run.log"
    counts = re.findall(r"is charged for (\d+) quer", log.read_text()) if trial.run and log.exists() else []
    return sum(map(int, counts))


def _count(trial: Trial, party: str, event: str, title: str) -> int:
    return sum(one["event"] == event and one.get("title", "").startswith(title) for one in trial.events(party))


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def _charged(entries: Sequence[Any]) -> int:
    """Return the number of queries in a journal. Each charge holds one cost, of so many queries."""
    return sum(cost["count"] for entry in entries for cost in entry["costs"][:1])
