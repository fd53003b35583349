"""What an operator sees of a service that runs: figures, health, logs and reports, and a certificate that ends."""

from __future__ import annotations

import datetime
import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mpc.dp.accountant import Cost, epsilon
from orchestrator.federation.authority import Authority, fingerprint
from orchestrator.federation.identity import Identity
from orchestrator.federation.shared import read_shared
from orchestrator.federation.signs import SILENT_S, complaint
from orchestrator.federation.state import MemberFolder
from parties.protocols import PROTOCOLS
from tests.parties.capc.federations import ANSWERING, COMMAND, GUARDIAN, FederationHere, federation
from tests.ports import free_ports

BUDGET = 400.0
Found = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    first = free_ports(2)
    return {GUARDIAN: first, "clinic-c": first + 1}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, ports: dict[str, int]) -> Iterator[FederationHere]:
    top = tmp_path_factory.mktemp("operations")
    with federation(top, dp_noise_scale=2, epsilon_budget=BUDGET, owner_epsilon_budget=BUDGET) as here:
        here.flags = {name: ("--metrics", f"127.0.0.1:{port}") for name, port in ports.items()}
        here.serve(GUARDIAN, *ANSWERING)
        yield here


def scraped(port: int) -> Found:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(found: Found, name: str, **labels: str) -> float:
    return found[name, tuple(sorted(labels.items()))]


def charged(path: Path) -> list[Cost]:
    """The costs in a ledger, read from its lines alone."""
    costs = [cost for line in path.read_text().splitlines() for cost in json.loads(line)["costs"]]
    return [Cost(one["what"], one["sigma"], one["moved"], one["count"]) for one in costs]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run((*COMMAND, *arguments), capture_output=True, text=True, timeout=600, check=False)


def events_of(here: FederationHere, name: str) -> list[dict[str, Any]]:
    """The events of a member's sessions that have ended, in the order in which they ended."""
    logs = dict.fromkeys(one.log for one in here.service(name).ended())
    files = [path for log in logs for path in (here.folder(name) / "logs" / "sessions" / log).glob("*.events.jsonl")]
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def test_the_figures_are_the_ledgers_own_while_a_session_goes_on_and_after_it(
    here: FederationHere, ports: dict[str, int]
) -> None:
    before = scraped(ports[GUARDIAN])
    assert of(before, "capc_up", role="guardian") == 1
    assert of(before, "capc_sessions_total", outcome="finished") == 0
    assert 179 < of(before, "capc_certificate_days") <= 180
    assert not [name for name, _ in before if "epsilon" in name]  # no account was charged yet

    charged_for_one = here.stop(GUARDIAN, "clinic-a", at='"step": "3"', before='"step_finished", "step": "3"', times=2)
    missed = charged_for_one.missed
    during = scraped(ports[GUARDIAN])
    mine = {"account": "clinics/clinic-a", "kind": "asking"}
    assert 1 <= of(during, "capc_queries_total", **mine) - 2 * missed <= 2
    assert of(during, "capc_sessions_total", outcome="finished") == missed
    charged_for_one.go_on()
    here.answer(charged_for_one.asked)
    sessions = 1 + missed
    here.until(lambda: len(here.service(GUARDIAN).ended()) == sessions, "the session is written down")
    here.until(
        lambda: of(scraped(ports[GUARDIAN]), "capc_sessions_total", outcome="finished") == sessions, "it is counted"
    )

    after, costs = scraped(ports[GUARDIAN]), charged(here.folder(GUARDIAN) / "durable" / GUARDIAN / "ledger.jsonl")
    spent = epsilon(costs, 1e-5)
    assert of(after, "capc_queries_total", **mine) == sum(cost.count for cost in costs) == 2 * sessions
    assert of(after, "capc_batches_total", **mine) == 2 * sessions
    assert of(after, "capc_epsilon_spent", **mine) == pytest.approx(spent)
    assert of(after, "capc_epsilon_left", **mine) == pytest.approx(BUDGET - spent)
    events = events_of(here, GUARDIAN)
    for direction in ("sent", "received"):
        told = sum(event.get(direction, 0) for event in events)
        assert sum(value for (name, labels), value in after.items()
                   if name == "capc_bytes_total" and ("direction", direction) in labels) == told > 0  # fmt: skip
    steps = [event["seconds"] for event in events if event["event"] == "step_finished" and event["step"] == "3"]
    assert of(after, "capc_step_seconds_count", step="3") == len(steps) == 2 * sessions
    assert of(after, "capc_step_seconds_sum", step="3") == pytest.approx(sum(steps))


def test_an_owners_figures_are_its_odometers(here: FederationHere, ports: dict[str, int]) -> None:
    found = scraped(ports["clinic-c"])
    (path,) = here.folder("clinic-c").glob("durable/owner-*/odometer.jsonl")
    own = {"account": "clinics/clinic-c", "kind": "owning"}
    assert of(found, "capc_epsilon_spent", **own) == pytest.approx(epsilon(charged(path), 1e-5))
    assert of(found, "capc_queries_total", **own) == 2 * len(here.service(GUARDIAN).ended())
    accounts = {dict(labels)["account"] for name, labels in found if name == "capc_queries_total"}
    assert accounts == {own["account"]}  # it knows of nobody else's


def test_no_figure_has_more_than_counts_names_and_seconds(here: FederationHere, ports: dict[str, int]) -> None:
    allowed = {"account", "kind", "role", "outcome", "direction", "peer", "step", "le"}
    for port in ports.values():
        assert {label for _, labels in scraped(port) for label, _ in labels} <= allowed


def test_health_follows_the_service(here: FederationHere) -> None:
    folder = here.folder("clinic-b")
    well = run("health", "--dir", str(folder))
    assert (well.returncode, well.stdout) == (0, "answering: well\n"), well.stderr
    here.end("clinic-b", signal.SIGTERM)
    gone = run("health", "--dir", str(folder))
    assert (gone.returncode, gone.stdout) == (1, "answering: no service runs\n")
    here.serve("clinic-b")


def test_a_service_that_stands_still_is_not_well(here: FederationHere) -> None:
    service, identity = here.service("clinic-b"), Identity("clinic-b", MemberFolder(here.folder("clinic-b")))
    assert complaint(service, identity) == ""
    os.kill(here.services["clinic-b"].pid, signal.SIGSTOP)
    try:
        then = time.time() - SILENT_S - 5
        os.utime(here.folder("clinic-b") / "services" / "answering.json", (then, then))
        assert "has given no sign of life for 6" in complaint(service, identity)
    finally:
        os.kill(here.services["clinic-b"].pid, signal.SIGCONT)
    here.until(lambda: complaint(service, identity) == "", "it gives signs again")


def test_the_events_of_a_session_are_lines_of_json(here: FederationHere) -> None:
    if not here.service(GUARDIAN).ended():  # it may be the first to use these services
        here.ask("clinic-a")
        here.until(lambda: len(here.service(GUARDIAN).ended()) == 1, "the session is written down")
    done = run("log", "--dir", str(here.folder(GUARDIAN)), "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    ends = [line for line in lines if line["event"] == "session"]
    assert {(end["peer"], end["outcome"]) for end in ends} == {("clinic-a", "finished")}
    own = [line for end in ends for line in lines if line["log"] == end["log"] and line["event"] != "session"]
    assert [(event["event"], event["t"]) for event in own] == [
        (event["event"], event["t"]) for event in events_of(here, GUARDIAN)
    ]
    none = run("log", "--dir", str(here.folder(GUARDIAN)), "--json", "--count", "0").stdout
    assert not [end for end in ends if end["log"] in none]


def test_a_log_is_followed_until_it_is_interrupted(here: FederationHere) -> None:
    command = (*COMMAND, "log", "--dir", str(here.folder(GUARDIAN)), "--follow", "--json", "--count", "0")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as following:
        try:
            here.ask("clinic-a")
            assert following.stdout is not None
            seen = []
            while not seen or seen[-1]["event"] != "session":
                seen.append(json.loads(following.stdout.readline()))
            assert {"admitted", "step_started", "step_finished", "finished"} <= {line["event"] for line in seen}
        finally:
            following.send_signal(signal.SIGINT)
        assert following.wait(60) == 130


def test_a_report_has_the_sessions_the_accounts_and_the_page_of_the_last_session(here: FederationHere) -> None:
    own = run("report", "--dir", str(here.folder("clinic-a")))
    assert own.returncode == 0, own.stderr
    page = Path(own.stdout.split("Report: ")[1].strip())
    assert page.exists()
    trustees = json.loads(run("report", "--dir", str(here.folder(GUARDIAN)), "--json").stdout)
    assert trustees["sessions"] == {"guardian": {"finished": len(here.service(GUARDIAN).ended())}}
    assert "at delta 1e-05 spent" in trustees["accounts"]["clinics/clinic-a"]
    assert trustees["report"] is None
    budget = run("budget", "--dir", str(here.folder("clinic-c")))
    assert "records of clinics/clinic-c: epsilon" in budget.stdout


def test_an_address_that_cannot_be_used_is_refused(here: FederationHere, ports: dict[str, int]) -> None:
    folder = str(here.folder("clinic-b"))
    assert "found '127.0.0.1'" in run("serve", "--dir", folder, "--metrics", "127.0.0.1").stderr
    here.end("clinic-b", signal.SIGTERM)
    taken = run("serve", "--dir", folder, "--metrics", f"127.0.0.1:{ports[GUARDIAN]}")
    here.serve("clinic-b")
    assert taken.returncode == 2
    assert f"metrics: expected to listen at 127.0.0.1:{ports[GUARDIAN]}, found" in taken.stderr


# -- a certificate that ends ------------------------------------------------------------------------------------------


def renew(here: FederationHere, name: str, days: float) -> datetime.datetime:
    """Give a member a certificate for so many days, and return its end."""
    authority = Authority(here.top / "authority", read_shared(here.file, PROTOCOLS).federation)
    identity = Identity(name, MemberFolder(here.folder(name)))
    request, _ = identity.request()
    identity.install(authority.approve(request.read_bytes(), days), fingerprint(authority.certificate))
    return identity.ends()


def test_a_request_is_not_signed_under_another_fingerprint(here: FederationHere) -> None:
    request, key = Identity("clinic-c", MemberFolder(here.folder("clinic-c"))).request()
    out = here.top / "clinic-c.crt"
    words = (
        "approve",
        str(request),
        "--config",
        str(here.file),
        "--dir",
        str(here.top / "authority"),
        "--out",
        str(out),
    )
    refused = run(*words, "--fingerprint", "00" * 32)
    assert refused.returncode == 1, refused.stdout
    assert f"found {key}" in refused.stderr
    assert not out.exists()
    assert run(*words, "--fingerprint", key).returncode == 0
    assert out.exists()


def test_a_service_has_one_process_at_the_door_and_one_that_stands_by(here: FederationHere) -> None:
    here.until(lambda: len(here.processes("clinic-b")) == 2, "two processes are there")


def until(when: datetime.datetime) -> None:
    time.sleep(max(0.0, when.timestamp() - time.time()) + 1)


def test_an_answering_partys_certificate_that_ends_is_told_on_both_sides(here: FederationHere) -> None:
    here.end("clinic-c", signal.SIGTERM)
    ends = renew(here, "clinic-c", days=60 / 86400)
    here.serve("clinic-c")
    until(ends)
    refusal = here.refusal("clinic-a")
    assert "clinic-c" in refusal
    assert "certificate has expired" in refusal
    mend = "every handshake is refused; a new one is made by `cert renew`"
    here.until(lambda: here.said("clinic-c", mend), "it says so")
    status = run("health", "--dir", str(here.folder("clinic-c")))
    assert status.returncode == 1
    assert "certificate: it ended on" in status.stdout
    looked = run("check", "--dir", str(here.folder("clinic-c")))
    assert looked.returncode == 2
    ended = f"cannot   certificate: it ended on {ends:%Y-%m-%d %H:%M} UTC, and every handshake is refused. `cert renew`"
    assert ended in looked.stdout
    renew(here, "clinic-c", days=30)
    here.until(lambda: run("health", "--dir", str(here.folder("clinic-c"))).returncode == 0, "it is well again")
    here.ask("clinic-a")  # the processes that stand by take the new one from the next handshake on


def test_whoever_has_a_certificate_that_ended_is_told_how_to_mend_it_at_once(here: FederationHere) -> None:
    until(renew(here, "clinic-a", days=2 / 86400))
    for words in (("ask",), ("serve", "--role", "answering")):
        refused = run(words[0], "--dir", str(here.folder("clinic-a")), *words[1:])
        assert refused.returncode == 1
        assert "found that clinic-a's ended on" in refused.stderr
        assert "`cert renew`, `approve` and `install`" in refused.stderr
    renew(here, "clinic-a", days=30)
