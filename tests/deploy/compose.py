"""Reads `deploy/compose.yaml` as a container engine does, and starts its services without one.

A service is its image's entry point, its own command, its user and its mounts. There are two ways to run it:

- from the checkout, where a volume is a folder, and paths in a command that lie in a mount become paths in that folder;
- from the built image by buildah in a chroot, where each start is a new container, as the user of the service.

A key that is not known here is an error, so that nothing in the file is left aside.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "deploy" / "compose.yaml"
KNOWN = {
    "image", "build", "user", "read_only", "tmpfs", "cap_drop", "security_opt", "command", "restart",
    "stop_grace_period", "healthcheck", "volumes", "profiles",
}  # fmt: skip


@dataclass(frozen=True)
class Mount:
    """What a service finds at `target`, which is a named volume or a file beside the compose file."""

    source: str
    target: str
    read_only: bool

    @property
    def is_volume(self) -> bool:
        return not self.source.startswith((".", "/"))


@dataclass(frozen=True)
class Service:
    name: str
    command: tuple[str, ...]
    user: str
    mounts: tuple[Mount, ...]
    health: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    read_only: bool = False


def services(file: Path = FILE) -> dict[str, Service]:
    """The services of the file, checked as an engine would check them."""
    document = yaml.safe_load(file.read_text())
    volumes = set(document["volumes"])
    found = {}
    for name, given in document["services"].items():
        unknown = set(given) - KNOWN
        assert not unknown, f"{name}: {unknown}"
        mounts = tuple(_mount(text) for text in given["volumes"])
        undeclared = {mount.source for mount in mounts if mount.is_volume} - volumes
        assert not undeclared, f"{name}: {undeclared} under no `volumes`"
        health = given.get("healthcheck", {}).get("test", ["CMD"])
        assert health[0] == "CMD"
        found[name] = Service(
            name,
            tuple(map(str, given["command"])),
            str(given["user"]),
            mounts,
            tuple(health[1:]),
            tuple(given.get("profiles", ())),
            bool(given.get("read_only")),
        )
    return found


def _mount(text: str) -> Mount:
    source, target, *mode = text.split(":")
    assert mode in ([], ["ro"]), text
    return Mount(source, target, bool(mode))


def entry_point() -> list[str]:
    """The image's own, which stands in the Dockerfile."""
    (line,) = re.findall(r"^ENTRYPOINT (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    words: list[str] = json.loads(line)
    return words


@dataclass
class FromCheckout:
    """Services as processes of the checkout. `top` has a folder for each volume, and `shared` is the shared file.

    A container's own address is its own. Here all have the same, so each gets another port there, see `own_ports`.
    """

    top: Path
    shared: Path
    services: dict[str, Service] = field(default_factory=services)

    def folder(self, volume: str) -> Path:
        path = self.top / volume
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def argv(self, name: str, command: Sequence[str], *, entry: bool = True) -> list[str]:
        """What `docker compose run NAME COMMAND` starts, or an engine for a health check, which has no entry point."""
        words = own_ports([*entry_point(), *command] if entry else list(command))
        here = {".venv/bin/python": sys.executable, "run_protocol.py": str(ROOT / "run_protocol.py")}
        return [here.get(word) or self._placed(name, word) for word in words]

    def _placed(self, name: str, word: str) -> str:
        for mount in self.services[name].mounts:
            if word == mount.target or word.startswith(f"{mount.target}/"):
                if mount.is_volume:
                    return str(self.folder(mount.source)) + word.removeprefix(mount.target)
                return str(self.shared)
        assert not word.startswith("/"), f"{name}: {word} lies in no mount"
        return word

    def remove(self) -> None:
        """Nothing is left of a process."""


@dataclass
class FromImage:
    """Services in containers of the built image, each a new one."""

    top: Path
    shared: Path
    image: str
    services: dict[str, Service] = field(default_factory=services)
    containers: list[str] = field(default_factory=list)

    def folder(self, volume: str) -> Path:
        """The volume. It belongs to the image's user, as an engine's new volume to the owner of the mount point."""
        path = self.top / volume
        if not path.exists():
            path.mkdir(mode=0o700)
            os.chown(path, 1000, 1000)
        return path

    def argv(self, name: str, command: Sequence[str], *, entry: bool = True) -> list[str]:
        service = self.services[name]
        words = own_ports([*entry_point(), *command] if entry else list(command))
        container = subprocess.run(
            ("buildah", "from", "--pull-never", self.image), capture_output=True, text=True, check=True
        ).stdout.strip()
        self.containers.append(container)
        mounts = []
        for mount in service.mounts:
            source = self.folder(mount.source) if mount.is_volume else self.shared
            mounts += ["--volume", f"{source}:{mount.target}" + (":ro" if mount.read_only else "")]
        return [
            "buildah", "run", "--isolation", "chroot", "--user", service.user, "--cap-drop", "all", *mounts,
            container, "--", *words,
        ]  # fmt: skip

    def remove(self) -> None:
        for container in self.containers:
            subprocess.run(("buildah", "rm", container), capture_output=True, check=False)


def own_ports(words: list[str]) -> list[str]:
    """The words with a free port for each one of the address that every container has for itself."""
    return [f"127.0.0.1:{free_ports(1)}" if word.startswith("127.0.0.1:") else word for word in words]


Backend = FromCheckout | FromImage


def write_shared(path: Path, first_port: int) -> dict[str, Any]:
    """Write the shared file of the rehearsal with addresses of this machine, which has no names for containers."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "federation.yaml").read_text())
    for member in document["federation"]["members"]:
        if "host" in member:
            assert member["host"] == member["name"], "an engine's name for a service is the service's own"
            member |= {"host": "127.0.0.1", "bind": "127.0.0.1", "port": member["port"] - 7100 + first_port}
    path.write_text(yaml.safe_dump(document))
    path.chmod(0o644)
    return document
