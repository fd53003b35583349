"""Groups of processes that take orders: the parties of the project, or those of a peer.

The benchmark gives all processes of a group the same order at once. A work takes from the first beginning to the last
end, by the machine's one clock. Nothing of it is done ahead, because whoever provides correlations takes the same
orders. A group stays while another one works, so that both can take turns without being started again.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

START_S = 120.0  # for a group to start, which imports and compiles
PREPARE_S = 120.0  # to share inputs
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class GroupError(Exception):
    """A group cannot do a work. The sentence says why. A group that is `broken` does no other either."""

    def __init__(self, sentence: str, broken: bool = False) -> None:
        super().__init__(sentence)
        self.broken = broken


@dataclass(frozen=True)
class Command:
    """How one process of a group is started.

    Attributes:
        name: that it says when it connects.
        words: of the command.
        log: the file for its output.
        within: words before the command, such as those that enter a network namespace.
    """

    name: str
    words: tuple[str, ...]
    log: Path
    within: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """One work, once.

    Attributes:
        ms: from the first beginning to the last end.
        mb: what was put on this process's loopback device meanwhile, in 10^6 bytes with headers.
        cpu_ms: of all processes together.
        memory_mb: the largest resident size of each process meanwhile, by name, in 10^6 bytes.
        rounds: of the process that counted most, where they are counted.
        sent_mb: what all processes sent by their own count, in 10^6 bytes, where they count.
        said: what a check said.
    """

    ms: float
    mb: float
    cpu_ms: float
    memory_mb: dict[str, float]
    rounds: int | None = None
    sent_mb: float | None = None
    said: dict[str, float] = field(default_factory=dict)


class Member:
    """One process of a group."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("r")
        hello = self.hear(START_S)
        self.name, self.pid, self.works = str(hello["name"]), int(hello["pid"]), bool(hello["works"])

    def tell(self, **order: Any) -> None:
        self._connection.sendall(json.dumps(order).encode() + b"\n")

    def hear(self, within_s: float) -> dict[str, Any]:
        """Return what it says next. Raises GroupError."""
        self._connection.settimeout(within_s)
        try:
            line = self._lines.readline()
        except TimeoutError:
            raise GroupError(f"took more than {within_s:.0f} s", broken=True) from None
        except OSError:
            line = ""
        if not line:
            raise GroupError("a process ended", broken=True)
        said = dict(json.loads(line))
        if "refused" in said:
            raise GroupError(str(said["refused"]))
        return said

    def close(self) -> None:
        self._lines.close()
        self._connection.close()

    # The operating system knows these of a process without asking it.

    def cpu_s(self) -> float:
        return time.clock_gettime(
            (~self.pid << 3) | 2
        )  # CPUCLOCK_SCHED of a process, as clock_getcpuclockid(3) makes it

    def forget_peak_memory(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def peak_memory_mb(self) -> float:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024 / 1e6


class Group:
    """Processes that have connected, in the order of their commands.

    Attributes:
        name: of the project's back-end or of the peer.
        members: those that take orders.
        helpers: those that do not.
        broken: whether one of them ended or was late, after which the group does no more.
    """

    def __init__(
        self, name: str, members: Sequence[Member], processes: Sequence[subprocess.Popen[bytes]], limit_s: float
    ):
        self.name = name
        self.members = [member for member in members if member.works]
        self.helpers = [member for member in members if not member.works]
        self.broken = False
        self._processes = processes
        self._limit_s = limit_s

    def once(self, order: Mapping[str, Any], check: bool = False) -> Measured:
        """Do one work. Raises GroupError where the group refuses it, breaks or takes too long."""
        try:
            return self._once(order, check)
        except OSError:  # of its connection, or of its entry among the system's processes
            self.broken = True
            raise GroupError("a process ended", broken=True) from None
        except GroupError as error:
            self.broken = self.broken or error.broken
            raise

    def _once(self, order: Mapping[str, Any], check: bool) -> Measured:
        everybody = [*self.members, *self.helpers]
        for member in self.members:
            member.tell(do="prepare", **order)
        self._hear_all(PREPARE_S)
        for member in everybody:
            member.forget_peak_memory()
        cpu, carried = [member.cpu_s() for member in everybody], loopback_bytes()
        for member in self.members:
            member.tell(do="go")
        said = self._hear_all(self._limit_s)
        carried = loopback_bytes() - carried
        spent = sum(member.cpu_s() for member in everybody) - sum(cpu)
        memory = {member.name: member.peak_memory_mb() for member in everybody}
        checked: dict[str, float] = {}
        if check:
            for member in self.members:
                member.tell(do="check")
            for answer in self._hear_all(PREPARE_S):
                checked |= answer
        counted = [answer for answer in said if "sent" in answer]
        return Measured(
            ms=(max(answer["ended"] for answer in said) - min(answer["began"] for answer in said)) * 1e3,
            mb=carried / 1e6,
            cpu_ms=spent * 1e3,
            memory_mb=memory,
            rounds=max(answer["rounds"] for answer in counted) if counted else None,
            sent_mb=sum(answer["sent"] for answer in counted) / 1e6 if counted else None,
            said=checked,
        )

    def _hear_all(self, within_s: float) -> list[dict[str, Any]]:
        """Hear every member, even where one refuses, so that the next answers are those of the next order."""
        expires = time.monotonic() + within_s
        said, refused = [], None
        for member in self.members:
            try:
                said.append(member.hear(max(0.001, expires - time.monotonic())))
            except GroupError as error:
                if error.broken:
                    raise
                refused = error
        if refused is not None:
            raise refused
        return said

    def close(self) -> None:
        """End all processes, those of a broken group at once."""
        if self.broken:
            for process in self._processes:
                process.kill()
        for member in (*self.members, *self.helpers):
            try:
                member.tell(do="end")
            except OSError:
                continue
            finally:
                member.close()
        expires = time.monotonic() + 5
        for process in self._processes:
            try:
                process.wait(max(0.1, expires - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
        for process in self._processes:
            process.wait(30)


@contextmanager
def started(name: str, commands: Sequence[Command], path: Path, limit_s: float) -> Iterator[Group]:
    """Start a group, whose processes connect to a socket at `path`. At the end all of them are gone.

    Raises:
        GroupError: with the last words of a process that ended before it connected.
    """
    environment = os.environ | dict.fromkeys(THREADS, "1")
    processes: list[subprocess.Popen[bytes]] = []
    members: list[Member] = []
    group = None
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen(len(commands))
        try:
            for command in commands:
                with command.log.open("wb") as log:
                    words = (*command.within, *command.words)
                    processes.append(subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT, env=environment))
            expires = time.monotonic() + START_S
            while len(members) < len(commands):
                door.settimeout(0.5)
                try:
                    members.append(Member(door.accept()[0]))
                except TimeoutError:
                    for process, command in zip(processes, commands, strict=True):
                        if process.poll() is not None:
                            raise GroupError(f"{command.name}: {last_words(command.log)}", broken=True) from None
                    if time.monotonic() > expires:
                        raise GroupError(f"did not start within {START_S:.0f} s", broken=True) from None
            places = {command.name: place for place, command in enumerate(commands)}
            members.sort(key=lambda member: places[member.name])
            group = Group(name, members, processes, limit_s)
            yield group
        finally:
            path.unlink(missing_ok=True)
            if group is not None:
                group.close()
            else:
                for process in processes:
                    process.kill()
                    process.wait(30)


def last_words(log: Path) -> str:
    """Return the last line that a process wrote, or that it wrote none."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it ended without a word"


def loopback_bytes() -> int:
    """Return what was sent over the loopback device so far, by anybody, with headers."""
    lines = Path("/proc/net/dev").read_text().splitlines()
    return int(next(line for line in lines if line.strip().startswith("lo:")).split(":")[1].split()[8])
