"""Kill one member after the other at a random moment of a session, start it again, and look at labels and accounts."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from parties.capc.odometer import MOST_TIMES_AGAIN
from tests.parties.capc.federations import ANSWERING, GUARDIAN, FederationHere
from tests.parties.capc.slow_link.members import ASKING, MEMBERS, SERVING, labels_of

ACCOUNT = f"clinics/{ASKING}"
_NAMED_WITHIN_S = 150.0  # longer than anybody waits for a connection
_PROGRESS_WITHIN_S = 240.0
_IN_SESSION = 0.8  # the share of kills for which the victim is waited for to be in a session
_IN_VAIN = 2  # kills without an answer between them, after which one is waited for


@dataclass(frozen=True)
class Killed:
    """What became of one kill.

    Attributes:
        number, victim: which kill, and of whom.
        moment_s: how long the member was left alone before.
        connected: whether somebody had a connection to it in a session, so that the loss had to be named.
        named: the sentence of another member that names it.
        faults: what was wrong.
    """

    number: int
    victim: str
    moment_s: float
    connected: bool
    named: str
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finished:
    """What became of one asking, over all its sessions."""

    asking: int
    sessions: int
    seconds: float
    earlier: int
    sent: int
    received: int
    faults: tuple[str, ...] = ()


@dataclass
class Trial:
    """A federation, and the hand on its members.

    Attributes:
        labels: that each asking must give.
        file: the lines of what was done, of this and of earlier times.
    """

    here: FederationHere
    labels: list[str]
    file: Path
    seed: int
    longest_s: float
    lines: list[dict[str, Any]] = field(default_factory=list)
    _asked: subprocess.Popen[bytes] | None = None
    _began: float = 0.0
    _sessions: int = 0
    _in_vain: int = 0
    _at_last_kill: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        if self.file.exists():
            self.lines = [json.loads(line) for line in self.file.read_text().splitlines()]

    @property
    def kills(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if "victim" in line]

    @property
    def askings(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if "asking" in line]

    # -- the course -------------------------------------------------------------------------------------------------

    def run(self, kills: int) -> None:
        """Kill until there were so many, then finish what is asked without another kill."""
        self._recover()
        self.here.serve(*SERVING)
        if not self.askings:
            self._ask_undisturbed()
        while len(self.kills) < kills:
            self._write(self._kill(len(self.kills)))
        if self._asked is not None:
            self._finish()
        self._ask_undisturbed()

    def _recover(self) -> None:
        """Write down askings that were finished when this trial was interrupted, whose results are there."""
        last = self.file.stat().st_mtime if self.file.exists() else 0.0
        for path in sorted(self.here.folder(ASKING).glob("ask-*/result.json")):
            if path.stat().st_mtime > last:
                labels = labels_of(json.loads(path.read_bytes()))
                faults = () if labels == self.labels else (f"expected the labels {self.labels}, found {labels}",)
                self._write(Finished(len(self.askings), 0, 0.0, 0, 0, 0, faults))

    def end(self) -> None:
        """End what is asked, if this trial was interrupted in the middle of it, and all services."""
        started = [*self.here.services.values(), *([self._asked] if self._asked is not None else [])]
        for process in started:
            process.terminate()
        for process in started:
            process.wait(600)

    def _ask_undisturbed(self) -> None:
        self._ask()
        self._finish()

    def _ask(self) -> None:
        if self._sessions == 0:
            self._began = time.monotonic()
        self._sessions += 1
        with self._said("json").open("wb") as said, self._said("err").open("wb") as errors:
            command = self.here.asking_command(ASKING)
            self._asked = subprocess.Popen(command, stdout=said, stderr=errors, cwd="/")

    def _said(self, what: str) -> Path:
        """The file with what the session says. It is too long for a pipe that nobody reads."""
        return self.file.with_name(f"asked.{what}")

    def _finish(self) -> None:
        """Wait for the asking to end, look at labels and accounts, and write down what it has cost."""
        assert self._asked is not None
        self._asked.wait(900)
        errors = self._said("err").read_text()
        faults, document = [], {"result": {"queries": []}, "links": []}
        if self._asked.returncode:
            faults.append(f"expected it to end well, found status {self._asked.returncode}: {errors.strip()}")
        else:
            document = json.loads(self._said("json").read_bytes())
            if labels_of(document) != self.labels:
                faults.append(f"expected the labels {self.labels}, found {labels_of(document)}")
            faults += accounting(self.here, len(self.labels) * (len(self.askings) + 1))
        mine = [link for link in document["links"] if ASKING in link["link"]]
        self._write(
            Finished(
                len(self.askings),
                self._sessions,
                round(time.monotonic() - self._began, 1),
                sum(query["earlier_run"] for query in document["result"]["queries"]),
                sum(link["forth"] if link["link"][0] == ASKING else link["back"] for link in mine),
                sum(link["back"] if link["link"][0] == ASKING else link["forth"] for link in mine),
                tuple(faults),
            )
        )
        if faults and self._asked.returncode:
            raise AssertionError(faults[0])
        self._asked, self._sessions = None, 0

    def _write(self, done: Killed | Finished) -> None:
        line = asdict(done)
        self.lines.append(line)
        with self.file.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)

    # -- one kill ---------------------------------------------------------------------------------------------------

    def _kill(self, number: int) -> Killed:
        rng = random.Random(f"{self.seed} {number}")
        victim, moment_s = MEMBERS[number % len(MEMBERS)], rng.uniform(0, self.longest_s)
        self._until_asking()
        if self._in_vain >= _IN_VAIN:
            self._until_progress()
        if rng.random() < _IN_SESSION:
            self._until_connected(victim)
        moment = time.monotonic() + moment_s
        while time.monotonic() < moment:
            if self._ended():
                self._until_asking()
            time.sleep(0.02)
        self._until_asking()
        before, answers = (
            {name: log_sizes(self.here.folder(name)) for name in MEMBERS if name != victim},
            self._answers(),
        )
        connected = self._connected(victim)
        faults = self._end(victim)
        if victim == ASKING:
            self._ask()
        else:
            self.here.start_serving(victim)
        named = self._named(victim, before) if connected else ""
        if connected and not named and not self._over():
            faults.append(f"expected another member to name {victim}, found nobody")
        self._in_vain = self._in_vain + 1 if answers == self._at_last_kill else 1
        self._at_last_kill = answers
        return Killed(number, victim, round(moment_s, 2), connected, named, tuple(faults))

    def _ended(self) -> bool:
        """Finish the asking if it has come to its end."""
        if self._asked is not None and self._asked.poll() is not None:
            self._finish()
            return True
        return False

    def _until_asking(self) -> None:
        """Wait until a session goes on, in which the party that asks is connected to somebody."""
        expires = time.monotonic() + _PROGRESS_WITHIN_S
        while True:
            self._ended()
            if self._asked is None:
                self._ask()
            if any('"wait for its turn"' in text for text in _events(self.here, ASKING, "ask-*")):
                return
            assert time.monotonic() < expires, "the party that asks connects to nobody"
            time.sleep(0.02)

    def _until_connected(self, victim: str) -> None:
        expires = time.monotonic() + _PROGRESS_WITHIN_S
        while not self._connected(victim):
            assert time.monotonic() < expires, f"{victim} takes part in no session"
            if self._ended():
                self._until_asking()
            time.sleep(0.02)

    def _until_progress(self) -> None:
        """Wait until another batch is answered, so that none is interrupted more often than an owner lets pass."""
        expires, answers = time.monotonic() + _PROGRESS_WITHIN_S, self._answers()
        while self._answers() == answers:
            assert time.monotonic() < expires, "nothing more is answered"
            if self._ended():
                self._until_asking()
            time.sleep(0.05)
        self._in_vain = 0

    def _answers(self) -> tuple[int, int]:
        """How many askings are finished, and how many bytes of answers there are in this one."""
        kept = self.here.folder(ASKING).glob(f"durable/client-{ASKING}/given-*.jsonl")
        return len(self.askings), sum(_size(path) for path in kept)

    def _connected(self, victim: str) -> bool:
        """Whether the member that asks has a connection to the victim, or to anybody where it is the victim itself.

        Its own events say so. It connects to the guardian, then to all who answer, and to nobody after a loss.
        """
        connects = 0
        for line in "".join(_events(self.here, ASKING, "ask-*")).splitlines():
            event = json.loads(line)
            if event["event"] == "note" and " was lost, " in event["detail"]:
                connects = 0
            elif event["event"] == "finished":
                return False
            connects += (event["event"], event.get("title")) == ("step_finished", "connect")
        return connects >= (2 if victim in ANSWERING else 1)

    def _end(self, victim: str) -> list[str]:
        """Kill all processes of a member at once, and return what is left of them."""
        top = self._asked if victim == ASKING else self.here.services.pop(victim)
        assert top is not None
        of = "ask-" if victim == ASKING else "sessions"
        pids = [top.pid, *self.here.processes(victim, of)]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        top.wait(60)
        expires = time.monotonic() + 30
        while left := self.here.processes(victim, of):  # one may have been started meanwhile, which ends by itself
            if time.monotonic() > expires:
                return [f"expected no process of {victim}, found {left}"]
            time.sleep(0.02)
        return []

    def _named(self, victim: str, before: dict[str, dict[Path, int]]) -> str:
        """Wait until another member's log names the victim as lost, and return that sentence.

        Where a member that was killed before is named in its place, the session has ended for that reason.
        """
        expires = time.monotonic() + _NAMED_WITHIN_S
        pattern = re.compile(
            rf"{victim} was lost.*|no connection from [^\n]*{victim}.*|{victim}[^\n]*(?:closed|broke).*"
            r"|\S+ was lost, .*"
        )
        while time.monotonic() < expires:
            for name, sizes in before.items():
                if found := pattern.search(logged_since(self.here.folder(name), sizes)):
                    return f"{name}: {found[0].strip()[:200]}"
            if self._over():
                return ""
            time.sleep(0.1)
        return ""

    def _over(self) -> bool:
        """Whether the session had come to its end, so that nobody needed the victim any more."""
        over = self._asked is not None and self._asked.poll() is not None
        return over or any('"event": "finished"' in text for text in _events(self.here, ASKING, "ask-*"))


def logged_since(folder: Path, sizes: dict[Path, int]) -> str:
    """What has been added to a member's logs and journals since they had these sizes."""
    texts = (_read(path)[sizes.get(path, 0) :] for path in log_sizes(folder))
    return "\n".join(filter(None, texts))


def log_sizes(folder: Path) -> dict[Path, int]:
    """The logs and journals of a member, with their sizes."""
    return {path: _size(path) for kind in ("log", "jsonl") for path in folder.glob(f"logs/**/*.{kind}")}


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _read(path: Path) -> str:
    with suppress(OSError):
        return path.read_bytes().decode("latin-1")  # a place in bytes is one in letters
    return ""


def _events(here: FederationHere, name: str, where: str) -> Iterator[str]:
    for path in here.folder(name).glob(f"{where}/{name}/events.jsonl"):
        yield _read(path)


# -- accounts ---------------------------------------------------------------------------------------------------------


def accounting(here: FederationHere, asked: int) -> list[str]:
    """Return what is wrong with the accounts after so many queries were asked and answered, and none is unfinished.

    The lines are counted here by hand. The guardian charges a batch once. An owner charges it once for each time that
    it has let it pass at no cost as often as it may, and once.
    """
    found = []
    ledger = _lines(here.folder(GUARDIAN) / "durable" / GUARDIAN / "ledger.jsonl")
    charged = sum(line["costs"][0]["count"] for line in ledger if line["costs"] and line["account"] == ACCOUNT)
    opened = Counter(
        line["batch"] for line in _lines(here.folder(GUARDIAN) / f"durable/{GUARDIAN}/openings/opened.jsonl")
    )
    names = Counter(line["batch"] for line in ledger if line["costs"])
    if doubled := [name for name, times in names.items() if times > 1]:
        found.append(f"expected each batch to be charged once by the guardian, found {len(doubled)} charged again")
    unopened = [line["costs"][0]["count"] for line in ledger if line["costs"] and line["batch"] not in opened]
    if charged != asked or unopened:
        found.append(
            f"expected {asked} queries in the guardian's ledger, all opened, found {charged}, "
            f"of which {sum(unopened)} were not opened"
        )
    for owner in ANSWERING:
        times: dict[str, list[int]] = {}
        for line in _lines(here.folder(owner) / f"durable/owner-{owner}/odometer.jsonl"):
            times.setdefault(line["batch"], []).append(line["costs"][0]["count"] if line["costs"] else 0)
        if (charged := sum(counts[0] for counts in times.values())) != asked:
            found.append(f"expected {asked} queries in the odometer of {owner}, found {charged}")
        for counts in times.values():
            for place, count in enumerate(counts):
                if place and count and counts[max(1, place - MOST_TIMES_AGAIN) : place] != [0] * MOST_TIMES_AGAIN:
                    found.append(
                        f"expected {owner} to charge a batch anew after {MOST_TIMES_AGAIN} times, found {counts}"
                    )
    return found


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
