"""Strangers who connect to the parties' ports at random moments of a run, which must not care."""

from __future__ import annotations

import random
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mpc.channels.credentials import Credentials
from tests.authority import issue
from tests.parties.capc.kills.cases import LAUNCHERS, SCENARIOS, Scenario
from tests.parties.capc.kills.trial import Reference, Trial

MANNERS = ("silent", "garbage", "TLS without certificate", "TLS with a foreign certificate", "half-closed", "reset")
_TOGETHER = 4  # strangers in one run
_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Visit:
    """One stranger.

    Attributes:
        party: the one at whose port it connects.
        moment: when, as a share of the run's time.
        stays_s: how long it keeps silent.
    """

    party: str
    manner: str
    moment: float
    stays_s: float

    def __str__(self) -> str:
        return f"{self.manner} at {self.party} after {self.moment:.0%}"


@dataclass
class Visits:
    """A run and the strangers of it. `heard` says what became of each of them."""

    number: int
    scenario: Scenario
    launcher: str
    visits: tuple[Visit, ...]
    heard: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.scenario.name}, {self.launcher}: {'; '.join(map(str, self.visits))}"

    def begin(self, trial: Trial, undisturbed: Reference, folder: Path) -> list[threading.Thread]:
        """Start a thread for each stranger. They end soon after the run, or after they had no chance."""
        foreign = issue(folder, *self.scenario.parties)
        threads = []
        for visit in self.visits:
            at = trial.port + ("", *self.scenario.roles.servers).index(visit.party if "server" in visit.party else "")
            moment = trial.began + visit.moment * undisturbed.seconds
            arguments = (trial, visit, ("127.0.0.1", at), moment, foreign)
            threads.append(threading.Thread(target=self._visit, args=arguments, daemon=True))
            threads[-1].start()
        return threads

    def _visit(
        self, trial: Trial, visit: Visit, at: tuple[str, int], moment: float, foreign: dict[str, Credentials]
    ) -> None:
        trial.until(lambda: time.monotonic() >= moment)
        connection = trial.until(lambda: _connected(at))
        if connection is None:
            self.heard.append(f"{visit}: nobody listened any more")
            return
        with connection, suppress(OSError):
            connection.settimeout(_PATIENCE_S)
            self.heard.append(f"{visit}: {_behave(visit, connection, foreign, lambda: trial.over)}")


def draw(seed: int, count: int) -> list[Visits]:
    """Return the runs in which the first `count` strangers of a seed come."""
    rng = random.Random(f"{seed} strangers")
    runs = []
    while count > 0:
        scenario = SCENARIOS[rng.choice(list(SCENARIOS))]
        listening = [party for party in scenario.parties if not party.startswith("client")]
        visits = tuple(
            Visit(rng.choice(listening), rng.choice(MANNERS), rng.uniform(0.2, 0.9), rng.uniform(0.5, 15.0))
            for _ in range(min(count, _TOGETHER))
        )
        runs.append(Visits(len(runs), scenario, rng.choice(LAUNCHERS), visits))
        count -= len(visits)
    return runs


def _connected(at: tuple[str, int]) -> socket.socket | None:
    with suppress(OSError):
        return socket.create_connection(at, timeout=10)
    return None


def _behave(visit: Visit, connection: socket.socket, foreign: dict[str, Credentials], over: Callable[[], bool]) -> str:
    """Behave as the visit says, and return what was heard."""
    if visit.manner == "silent":
        leaves = time.monotonic() + visit.stays_s
        while time.monotonic() < leaves and not over():
            time.sleep(0.05)
        return "said nothing"
    if visit.manner == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return "gone at once"
    if visit.manner == "garbage":
        connection.sendall(random.randbytes(4096))
        return _last_word(connection)
    if visit.manner == "half-closed":
        connection.shutdown(socket.SHUT_WR)
        return _last_word(connection)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if visit.manner == "TLS with a foreign certificate":
        mine = random.choice(list(foreign.values()))  # it may even bear the name of a party
        context.load_cert_chain(mine.certificate, mine.key)
    try:
        with context.wrap_socket(connection) as tls:
            return _last_word(tls)
    except OSError as error:
        return f"refused ({error})"


def _last_word(connection: socket.socket) -> str:
    try:
        return "closed" if not connection.recv(1) else "answered"
    except OSError as error:
        return f"refused ({error})"
