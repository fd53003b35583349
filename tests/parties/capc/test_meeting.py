"""Parties of a real run that do not fit each other: both sides say what differs, or why a certificate is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from orchestrator import certificates
from parties.frame.plan import Plan, RunFolders
from tests.parties.capc.runs import running

CHOICES = {"models": "mlp", "n_parties": 2, "dp_noise_scale": 8, "epsilon_budget": 10}


def test_other_settings_of_one_party_are_named_on_both_sides(tmp_path: Path) -> None:
    def prepare(plan: Plan, _: RunFolders) -> Plan:
        change = {"epsilon_budget": 8.0, "pool": 5}
        return replace(
            plan,
            processes=tuple(
                replace(process, settings=process.settings.model_copy(update=change))
                if process.name == "server-0"
                else process
                for process in plan.processes
            ),
        )

    with running(tmp_path, prepare=prepare, **CHOICES) as run:
        for name in ("server-0", "privacy-guardian"):
            run.processes[name].wait(600)
        for process in run.processes.values():  # the others would wait for the guardian
            process.terminate()
        statuses = run.wait()
    pool = str(
        next(process.settings.model_dump()["pool"] for process in run.plan.processes if "server-1" in process.name)
    )
    server, guardian = statuses["server-0"], statuses["privacy-guardian"]
    differ = "the public parameters differ in epsilon_budget: here"
    assert server["error"] == (
        f"step hello privacy-guardian: {differ} 8, at privacy-guardian 10; pool: here 5, at privacy-guardian {pool}"
    )
    assert guardian["error"] == f"step hello server-0: {differ} 10, at server-0 8; pool: here {pool}, at server-0 5"
    assert (server["peer"], guardian["peer"]) == ("privacy-guardian", "server-0")


def test_a_certificate_of_another_run_is_explained_on_both_sides(tmp_path: Path) -> None:
    def prepare(plan: Plan, folders: RunFolders) -> Plan:
        certificates.issue("another run", [("server-0", folders.party("server-0"))])
        (folders.party("server-0") / "ca.pem").write_bytes((folders.party("server-1") / "ca.pem").read_bytes())
        return plan

    with running(tmp_path, prepare=prepare, **CHOICES) as run:
        run.wait_for_event("privacy-guardian", "dropped a connection from 127.0.0.1: the peer's certificate is refused")
        run.processes["server-0"].wait(60)
        log = run.folders.log("privacy-guardian").read_text()
        for process in run.processes.values():
            process.terminate()
        server = run.wait()["server-0"]
    assert "(unable to get local issuer certificate)" in log
    assert server["error"] == (
        "step hello privacy-guardian: the peer refused this party: this party's certificate is not from the "
        "authority of the peer's run ('unknown ca')"
    )
