"""Members in network namespaces of their own, which share nothing but a network between them."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parties.capc.federations import ANSWERING, GUARDIAN, federation

MEMBERS = (GUARDIAN, *ANSWERING)


def ip(*words: str) -> None:
    subprocess.run(("ip", *words), check=True, capture_output=True, timeout=30)


@pytest.fixture
def networks() -> Iterator[dict[str, tuple[str, ...]]]:
    """A namespace for each member, joined by a bridge in one more, and the words that run a command in each."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces take root and the program ip")
    mark = secrets.token_hex(3)
    hub, spaces = f"{mark}-hub", {name: f"{mark}-{name}" for name in MEMBERS}
    made: list[str] = []
    try:
        for space in (hub, *spaces.values()):
            ip("netns", "add", space)
            made.append(space)
        ip("-n", hub, "link", "add", "bridge0", "type", "bridge")
        ip("-n", hub, "link", "set", "bridge0", "up")
        for number, space in enumerate(spaces.values(), 1):
            ip("link", "add", "eth0", "netns", space, "type", "veth", "peer", "name", f"to-{number}", "netns", hub)
            ip("-n", hub, "link", "set", f"to-{number}", "master", "bridge0", "up")
            ip("-n", space, "addr", "add", f"10.77.0.{number}/24", "dev", "eth0")
            ip("-n", space, "link", "set", "eth0", "up")
            ip("-n", space, "link", "set", "lo", "up")
        yield {name: ("ip", "netns", "exec", space) for name, space in spaces.items()}
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this system has no network namespaces ({error.stderr.decode().strip()})")
    finally:
        for space in made:
            ip("netns", "del", space)


@pytest.mark.slow
def test_members_in_networks_of_their_own_get_the_labels_and_charge_once(
    tmp_path: Path, networks: dict[str, tuple[str, ...]]
) -> None:
    hosts = [f"10.77.0.{number}" for number in range(1, 5)]
    with federation(tmp_path, hosts, networks, rejoin_s=100, n_queries=6, batch_size=2) as here:
        here.serve(*MEMBERS)
        assert here.ask("clinic-a") == here.expected("clinic-a")
        queries = 6
        for killed in (GUARDIAN, "clinic-b"):
            stopped = here.stop_halfway(killed)
            stopped.kill()
            assert here.answer(stopped.asked) == here.expected("clinic-a")
            queries += 6 * (1 + stopped.missed)
        assert here.charged(GUARDIAN) == {"clinics/clinic-a": queries}
        assert here.charged("clinic-c") == {"clinics/clinic-c": queries}
