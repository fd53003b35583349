"""`deploy/compose.yaml` and the unit for systemd are right: their own commands serve, answer and come back."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from orchestrator.federation.service import _GRACE_S
from orchestrator.federation.shared import read_shared
from parties.frame.plan import Run, RunFolders
from parties.protocols import PROTOCOLS
from tests.deploy.compose import ROOT, FromCheckout, services, write_shared
from tests.deploy.rehearsal import rehearse
from tests.federations import MembersHere
from tests.ports import free_ports

UNIT = ROOT / "deploy" / "capc-member@.service"
pytestmark = pytest.mark.skipif("capc" not in PROTOCOLS, reason="it is a federation of CaPC")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_files_own_commands_make_a_federation_whose_ledger_survives(tmp_path: Path) -> None:
    shared = tmp_path / "federation.yaml"
    write_shared(shared, free_ports(4))
    rehearse(FromCheckout(tmp_path, shared))


def test_every_member_has_a_service_with_a_volume_of_its_own_and_no_rights(tmp_path: Path) -> None:
    document = write_shared(tmp_path / "federation.yaml", 7100)
    found = services()
    members = {member["name"]: member for member in document["federation"]["members"]}
    assert set(found) == {*members, "coordinator"}
    for name, service in found.items():
        assert service.user not in ("root", "0")
        assert service.read_only
        assert [mount.source for mount in service.mounts if mount.target == "/state"] == [name]
        serves = members.get(name, {}).get("role") in ("guardian", "answering")
        assert bool(service.health) == serves
        assert (service.command[0] == "serve") == serves == (not service.profiles)


def test_no_key_gets_into_the_image() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {".git", "files/*", "logs/*", "**/*.pem", "**/*.csr", "**/*.crt"} <= set(ignored)
    written = re.findall(r"\b(?:install -d [^\n]*)(/state[^\n]*)", (ROOT / "Dockerfile").read_text())
    assert written == ["/state /letters"]  # the mount points belong to the user, and a new volume takes that over


def test_the_compose_file_has_no_privilege_for_any_service() -> None:
    for service in yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"].values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_no_service_is_killed_sooner_than_it_may_take_to_end(tmp_path: Path) -> None:
    """The slowest is a host of a served model, whose lanes may still compute."""
    (unit,) = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)
    serving = [name for name, one in services().items() if one.command[0] == "serve"]
    composed = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
    assert {composed[name]["stop_grace_period"] for name in serving} == {f"{unit}s"}
    run = Run(RunFolders(tmp_path / "files", tmp_path / "logs", "run"), "", 0)
    plans = []
    if "tensors" in PROTOCOLS:
        from tests.parties.tensors.test_federation_service import write  # a wing that may not be there

        here = MembersHere(tmp_path / "service")
        write(here, 7000, message_deadline_s=3600)
        plans += [(here.file, name, role) for name, role in (("host-a", "computing"), ("provider", "provider"))]
    write_shared(tmp_path / "federation.yaml", 7100)
    plans.append((tmp_path / "federation.yaml", "trustee", "guardian"))
    for file, name, role in plans:
        shared = read_shared(file, PROTOCOLS)
        plan = shared.protocol.member(shared.configuration.settings, shared.federation, name, role, run)
        assert plan.grace_s + _GRACE_S + 2 < int(unit), name  # the supervisor itself takes less than 2 s


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_the_unit_is_one_and_is_hardened(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/capc/.venv/bin/python", "/usr/bin/env"))
    verified = subprocess.run(("systemd-analyze", "verify", str(unit)), capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    looked = ("systemd-analyze", "security", "--offline=yes", "--threshold=20", str(unit))
    rated = subprocess.run(looked, capture_output=True, text=True, check=False)
    assert rated.returncode == 0, rated.stdout  # an exposure of at most 2.0 of 10


def test_the_unit_serves_as_another_user_than_root_in_its_own_state() -> None:
    lines = dict(line.split("=", 1) for line in UNIT.read_text().splitlines() if "=" in line and line[0] != "#")
    assert lines["User"] == "capc"
    assert lines["NoNewPrivileges"] == "yes"
    assert lines["ProtectSystem"] == "strict"
    assert lines["StateDirectory"].split()[-1] == "capc/%i"
    assert "serve --dir /var/lib/capc/%i" in lines["ExecStart"]
    assert lines["Restart"] == "on-failure"
