"""Runs of the real party programs over TLS: what comes out, what each party learns, and how each failure ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from orchestrator import certificates
from parties.frame.plan import Run, RunFolders, write_settings
from parties.tensors.config import TensorsConfig
from parties.tensors.foreseeing import foresee
from parties.tensors.protocol import PROTOCOL
from parties.tensors.settings import TensorsSettings
from tests.ports import free_ports
from tests.slow_networks import Networks, round_trip_ms, slow_networks, unavailable

ROOT = Path(__file__).resolve().parents[3]
SUM = """
def program(s, here):
    import numpy as np
    x = s.input("alice", lambda: np.loadtxt(here.file("x")), shape=(3,), bound=100)
    y = s.input("olga", lambda: np.loadtxt(here.file("x")), shape=(3,), bound=100)
    return {"product": s.reveal((x * y).sum(), to=("bob", "olga")), "largest": s.reveal(x.max(), to="alice")}
"""


def sums(folder: Path, **more: Any) -> dict[str, Any]:
    """Three computing parties, an outside one, and files of two owners."""
    (folder / "sums.py").write_text(SUM)
    (folder / "a.txt").write_text("1.5 -2 30\n")
    (folder / "o.txt").write_text("4 5.25 -6\n")
    return {
        "program": str(folder / "sums.py"), "computing": ("alice", "bob", "carol"), "provider": "dora",
        "outside": ("olga",), "reveal": {"product": ("bob", "olga"), "largest": ("alice",)},
        "files": {"alice": {"x": folder / "a.txt"}, "olga": {"x": folder / "o.txt"}},
        "outputs": {"olga": folder / "olga.npz", "carol": folder / "carol.npz"},
    } | more  # fmt: skip


@contextmanager
def running(
    top: Path, changed: dict[str, dict[str, Any]] | None = None, networks: Networks | None = None, **choices: Any
) -> Iterator[Any]:
    """All parties as processes. `changed` has settings that single parties were told otherwise."""
    folders = RunFolders(top / "files", top / "logs", "run")
    config = TensorsConfig(**{"connect_deadline_s": 60, "message_deadline_s": 60, "run_deadline_s": 200} | choices)
    run = Run(folders, "0" * 32, free_ports(len(config.computing)), supervisor_pid=os.getpid())
    plan = PROTOCOL.plan(config, run)
    certificates.issue("run", [(process.name, folders.party(process.name)) for process in plan.processes])
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for process in plan.processes:
            assert isinstance(process.settings, TensorsSettings)
            told = process.settings.model_copy(update=(changed or {}).get(process.name, {}))
            if networks is not None:
                listen = told.listen and told.listen.model_copy(update={"host": networks.hosts[process.name]})
                dials = tuple(peer.model_copy(update={"host": networks.hosts[peer.name]}) for peer in told.dials)
                told = told.model_copy(update={"listen": listen, "dials": dials})
            path = write_settings(type(process)(process.name, process.module, told, process.pane), folders)
            within = networks.within[process.name] if networks else ()
            command = [*within, sys.executable, "-m", process.module, "--settings", str(path)]
            processes[process.name] = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT)
        yield folders, processes
    finally:
        for process in processes.values():
            process.kill()
            process.wait(60)


def ended(folders: RunFolders, processes: dict[str, subprocess.Popen[bytes]]) -> dict[str, dict[str, Any]]:
    """Every party's status, when all have ended."""
    for process in processes.values():
        process.wait(600)
    return {name: json.loads(folders.status(name).read_text()) for name in processes}


def reports(folders: RunFolders, processes: dict[str, subprocess.Popen[bytes]]) -> dict[str, dict[str, Any]]:
    for name, status in ended(folders, processes).items():
        assert status["ok"], f"{name}: {status}\n{folders.log(name).read_text()}"
    return {name: json.loads(folders.result(name).read_text()) for name in processes}


THREE = {"backend": "replicated", "provider": None}
"""What turns a run of `sums` into one without a provider."""


AGAINST_CHEATS = {"backend": "dealer_mac"}


@pytest.mark.parametrize("choices", [{}, THREE, AGAINST_CHEATS], ids=["dealer", "replicated", "dealer_mac"])
def test_everybody_learns_what_the_policy_says_and_nothing_else(tmp_path: Path, choices: dict[str, Any]) -> None:
    with running(tmp_path, **sums(tmp_path, **choices)) as (folders, processes):
        found = reports(folders, processes)
        foreseen = {name: json.loads(folders.settings(name).read_text())["reveals"] for name in processes}
    assert {str(each) for each in foreseen.values()} == {str([[each, 1] for each in found["alice"]["revealed"]])}
    outputs = {name: report["outputs"] for name, report in found.items()}
    expected = 1.5 * 4 - 2 * 5.25 - 30 * 6
    assert outputs["bob"]["product"] == pytest.approx(expected, abs=3 * 2**-16 * 1.01)
    assert outputs["olga"] == outputs["bob"]
    assert outputs["alice"] == {"largest": 30}
    assert outputs["carol"] == {}
    assert np.load(tmp_path / "olga.npz")["product"] == outputs["olga"]["product"]
    assert (tmp_path / "olga.npz").stat().st_mode & 0o777 == 0o600
    assert [reveal["name"] for reveal in found["carol"]["revealed"]] == ["product", "largest"]
    assert found["alice"]["revealed"] == found["olga"]["revealed"] == found["carol"]["revealed"]
    if choices == THREE:
        assert set(found) == {"alice", "bob", "carol", "olga"}
        assert "no two of alice, bob and carol collude" in found["bob"]["trust"]
    else:
        assert outputs["dora"] == {}
        assert found["dora"]["revealed"] == found["alice"]["revealed"]
        colludes = "follows the protocol and colludes" if choices else "colludes"
        assert f"dora, who deals the correlations, {colludes} with nobody" in found["bob"]["trust"]


IN_BETWEEN = SUM.replace("    return", '    s.reveal(y.sum(), to="olga", name="sum")\n    return')
"""What opens something before the end as well."""


@pytest.mark.parametrize("program", [SUM, IN_BETWEEN], ids=["at the end", "in between"])
@pytest.mark.parametrize("choices", [{}, THREE], ids=["dealer", "replicated"])
def test_a_run_costs_each_party_what_the_plan_says(tmp_path: Path, choices: dict[str, Any], program: str) -> None:
    choices = sums(tmp_path, **choices)
    choices["reveal"] |= {"sum": ("olga",)}
    (tmp_path / "sums.py").write_text(program)
    with running(tmp_path, **choices) as (folders, processes):
        found = reports(folders, processes)
        settings = TensorsSettings.model_validate_json(folders.settings("bob").read_text())
    foreseen = foresee(settings, 60.0)
    assert foreseen is not None
    assert foreseen.forecast is not None
    for name, cost in foreseen.forecast.costs.items():
        report = found[name]
        assert asdict(cost) == {key: report[key] for key in ("rounds", "sent", "received", "correlations")}, name


def test_nothing_is_opened_where_parties_computed_with_other_public_numbers(tmp_path: Path) -> None:
    """Not in between either. Shares of different sums mean nothing, and may tell something."""
    choices = sums(tmp_path)
    choices["reveal"] |= {"sum": ("olga", "bob")}
    seen = tmp_path / "seen"
    text = SUM.replace(
        "    return",
        '    opened = s.reveal((y * (2.5 if s.me == "alice" else 2.25)).sum(), to=("olga", "bob"), name="sum")\n'
        f"    if opened.readable:\n        open({str(seen)!r}, 'w').write('x')\n    return",
    )
    (tmp_path / "sums.py").write_text(text)
    with running(tmp_path, **choices) as (folders, processes):
        statuses = ended(folders, processes)
    assert not seen.exists()
    assert not any(statuses[name]["ok"] for name in ("alice", "bob", "carol", "olga"))  # and dora sees nothing anyway
    for name in ("bob", "carol"):
        assert "expected the same operations on the same public numbers as here" in statuses[name]["error"], statuses
        assert statuses[name]["peer"] is None


def test_no_value_stands_in_a_log_or_an_event(tmp_path: Path) -> None:
    with running(tmp_path, **sums(tmp_path)) as (folders, processes):
        found = reports(folders, processes)
        said = "".join(path.read_text() for path in tmp_path.rglob("*.log"))
        said += "".join(folders.events(name).read_text() for name in processes)
    value = found["bob"]["outputs"]["product"]
    assert "alice" in said
    assert str(value) not in said
    assert f"{value:.3g}" not in said


def test_a_party_with_another_program_policy_or_argument_is_refused_by_name(tmp_path: Path) -> None:
    others: list[tuple[dict[str, Any], str]] = [
        ({"policy": {"product": ("bob", "olga"), "largest": ("alice", "carol")}}, "policy"),
        ({"arguments": {"steps": 3}}, "arguments"),
        ({"reveals": None}, "reveals"),
        ({"fraction_bits": 12}, "fraction bits"),
    ]
    for number, (told, what) in enumerate(others):
        top = tmp_path / str(number)
        top.mkdir()
        with running(top, {"carol": told}, connect_deadline_s=10, **sums(top)) as (folders, processes):
            statuses = ended(folders, processes)
        assert not any(status["ok"] for status in statuses.values())
        assert any(what in str(status["error"]) for status in statuses.values()), statuses


def test_a_changed_program_is_not_run(tmp_path: Path) -> None:
    choices = sums(tmp_path)
    other = tmp_path / "other.py"
    other.write_text(SUM + "# changed\n")
    with running(tmp_path, {"carol": {"program": other}}, connect_deadline_s=10, **choices) as (folders, processes):
        statuses = ended(folders, processes)
    assert "that was agreed on, found another" in statuses["carol"]["error"]
    assert not statuses["alice"]["ok"]


def test_a_reveal_beyond_what_was_agreed_is_refused_at_every_party_with_the_line(tmp_path: Path) -> None:
    """What the launcher found before is not needed for that. Each party holds the program to what it was told."""
    policy: dict[str, Any] = {"policy": {"product": ("bob", "olga")}}
    for number, (told, words) in enumerate(
        [(policy, "the policy allows product, and no output of this name"), ({"reveals": ()}, "which is 0 times of")]
    ):
        top = tmp_path / str(number)
        top.mkdir()
        choices = sums(top)
        everybody = dict.fromkeys((*choices["computing"], choices["provider"], *choices["outside"]), told)
        with running(top, everybody, **choices) as (folders, processes):
            statuses = ended(folders, processes)
        for name, status in statuses.items():
            assert words in status["error"], (name, status)


@pytest.mark.parametrize("more", [{}, THREE], ids=["dealer", "replicated"])
def test_a_party_that_is_killed_ends_the_others_who_name_it(tmp_path: Path, more: dict[str, Any]) -> None:
    endless = SUM.replace("    return", "    while True:\n        x = x * 0.5 + y * 0.5\n    return")
    choices = sums(tmp_path, plan_deadline_s=3.0, **more)
    (tmp_path / "sums.py").write_text(endless)
    with running(tmp_path, **choices) as (folders, processes):
        while '"step": "2"' not in (folders.events("bob").read_text() if folders.events("bob").exists() else ""):
            assert processes["bob"].poll() is None
            time.sleep(0.05)
        time.sleep(1)
        os.kill(processes["carol"].pid, signal.SIGKILL)
        processes["carol"].wait(60)
        for name in ("alice", "bob", *(() if more else ("dora",))):
            processes[name].wait(60)
            status = json.loads(folders.status(name).read_text())
            assert not status["ok"]
            assert status["peer"] == "carol", (name, status)


@pytest.mark.parametrize(
    ("program", "least", "choices"),
    [
        ("logistic", 0.93, ""),
        ("digits", 0.93, ""),
        ("logistic", 0.93, "replicated"),
        pytest.param("logistic", 0.93, "two_party", marks=pytest.mark.slow),
    ],
)
def test_a_built_in_program_comes_near_its_twin(tmp_path: Path, program: str, least: float, choices: str) -> None:
    config = "private-training" if program == "logistic" else "private-digits"
    command = [
        sys.executable, "run_protocol.py", "--config", f"configs/{config}.yaml", "--launcher", "process",
        "--start_port", str(free_ports(3)), "--files_dir", str(tmp_path), "--logs_dir", str(tmp_path / "logs"),
    ]  # fmt: skip
    if choices:
        given = yaml.safe_load((ROOT / f"configs/{config}.yaml").read_text())
        del given["tensors"]["provider"]
        three = ["university"] if choices == "replicated" else []
        given["tensors"] |= {"backend": choices, "computing": ["hospital", "laboratory", *three]}
        command[command.index("--config") + 1] = str(tmp_path / "own.yaml")
        (tmp_path / "own.yaml").write_text(yaml.safe_dump(given))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("*/result.json")
    first, second, *_ = json.loads(path.read_text())["result"]["reports"]
    assert first["outputs"]["accuracy"] == second["outputs"]["accuracy"] > least
    assert first["outputs"]["accuracy"] == pytest.approx(first["twin"]["accuracy"], abs=0.01)
    assert [reveal["name"] for reveal in first["revealed"]][-1] == "accuracy" or len(first["revealed"]) == 3
    assert (path.parent / "report.html").exists()


@pytest.mark.skipif(bool(unavailable()), reason=unavailable())
def test_training_among_three_machines_at_ten_milliseconds_is_the_same(tmp_path: Path) -> None:
    """Each party has a network namespace of its own, and a round takes at least a round trip."""
    names, steps = ("hospital", "laboratory", "provider"), 3
    choices: dict[str, Any] = {
        "program": "logistic", "computing": names[:2], "provider": names[2], "arguments": {"steps": steps},
    }  # fmt: skip
    found = {}
    with slow_networks(names, 1000.0, 5.0) as apart:
        assert round_trip_ms(apart, *names[:2]) >= 10
        for where, networks in (("here", None), ("apart", apart)):
            top = tmp_path / where
            top.mkdir()
            with running(top, networks=networks, **choices) as (folders, processes):
                found[where] = reports(folders, processes)
    for where in found:
        assert found[where]["laboratory"]["outputs"] == {"accuracy": pytest.approx(0.947, abs=0.02)}
    for name in names:
        here, there = found["here"][name], found["apart"][name]
        assert (here["rounds"], here["sent"], here["received"]) == (there["rounds"], there["sent"], there["received"])
    assert found["apart"]["hospital"]["seconds"] > 0.005 * found["apart"]["hospital"]["rounds"]
