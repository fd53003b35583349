"""The peers, each in an environment of its own with a process for each rank, see ``benchmarks/peers/README.md``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tensors.groups import Command
from tests.ports import free_ports

SCRIPTS = Path(__file__).resolve().parent.parent / "peers"


@dataclass(frozen=True)
class Peer:
    """A peer's program and protocol.

    Attributes:
        name: as in tables.
        environment: whose Python runs it, as in ``--peer ENVIRONMENT=PYTHON``.
        ranks: how many processes there are.
        trust: whom one must trust with what, beyond that all follow the protocol.
    """

    name: str
    environment: str
    protocol: str
    ranks: int
    trust: str

    def commands(
        self,
        python: str,
        folder: Path,
        orders: Path,
        hosts: Mapping[str, str] | None = None,
        within: Mapping[str, tuple[str, ...]] | None = None,
    ) -> list[Command]:
        """Return how to start every rank. A script finds the files beside it and nothing else of this project."""
        names = [f"rank{rank}" for rank in range(self.ranks)]
        first = free_ports(self.ranks)
        shared = ["--protocol", self.protocol, "--orders", str(orders), "--folder", str(folder)]
        shared += ["--hosts", *(hosts[name] if hosts else "127.0.0.1" for name in names)]
        shared += ["--ports", *map(str, range(first, first + self.ranks))]
        script = str(SCRIPTS / f"{self.environment}_tensors.py")
        return [
            Command(
                name,
                (python, script, "--rank", str(rank), *shared),
                folder / f"{name}.log",
                (within or {}).get(name, ()),
            )
            for rank, name in enumerate(names)
        ]


PEERS = (
    Peer("CrypTen, trusted first party", "crypten", "first-party", 2, "its first party makes all triples"),
    Peer("CrypTen, trusted third party", "crypten", "third-party", 3, "a third party makes all triples"),
    Peer("SPU SEMI2K", "spu", "semi2k", 2, "its first party makes all triples"),
    Peer("SPU ABY3", "spu", "aby3", 3, "no two of three work together"),
    Peer("SPU Cheetah", "spu", "cheetah", 2, "nobody"),
    Peer("MPyC", "mpyc", "shamir", 3, "no two of three work together"),
)
