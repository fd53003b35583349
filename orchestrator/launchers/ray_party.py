"""One party on a node of a Ray cluster: an actor that keeps its files, runs its program, and ends with it.

    launcher                                   actor, on the party's node
    make_key  ------------------------------>  folders, and a private key that never leaves them
    <------------------------  its public key
    start: certificate, settings, files  --->  the party's program, as a process of its own
    follow  -------------------------------->  waits until there is news
    <------------  what its log and events have grown by, and how it ended
    ask_to_end  ---------------------------->  SIGTERM
    bring_back  ---------------------------->  ends what still runs
    <-------------------  result, status, accounts, models
    forget  -------------------------------->  removes its folders

The party exits when its actor is gone. A guard beside the actor then removes its keys and records. Its accounts stay on
the node in that case, and in the launcher's folder a note says where.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from orchestrator.environment import marker_of, party_environment
from orchestrator.launchers.travel import Luggage, Places
from orchestrator.teardown import Guard, Remains
from parties.frame.certificates import private_pem
from parties.frame.lifetime import process_started
from parties.frame.private_files import make_private_folder, write_private
from parties.frame.start import python_command

_POLL_S = 0.05
_GRACE_S = 3.0  # between asking the party to end and ending it


@dataclass(frozen=True)
class News:
    """What a party has said since it was asked last.

    `grown` has what was appended to files, by their names within the run, and `ended` how its process ended.
    """

    grown: Mapping[str, bytes]
    ended: int | None = None


class RayParty:
    """Keeps one party. Its methods are called from afar, at most one of each at a time."""

    def __init__(self, run: str, name: str) -> None:
        self._run, self._name = run, name
        base = make_private_folder(Path(tempfile.mkdtemp(prefix=f"{run}-{name}-")).resolve())
        turns = Path(tempfile.gettempdir()).resolve() / f"{run}-turns"
        self._places = Places(base / "files", base / "logs", turns)
        self._base = base
        self._folder = make_private_folder(self._places.files / run / name)
        ((variable, value),) = marker_of(run, name).items()
        secret = (str(self._places.files / run), str(self._places.files / "cache"))
        self._guard = Guard(Remains(marker=f"{variable}={value}", private=secret), apart=True)
        self._child: subprocess.Popen[bytes] | None = None

    def make_key(self) -> tuple[str, bytes]:
        """Make the party's private key. Return the folder of its files on this node, and its public key as PEM."""
        key = Ed25519PrivateKey.generate()
        write_private(self._folder / "key.pem", private_pem(key))
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return str(self._base), key.public_key().public_bytes(serialization.Encoding.PEM, form)

    def start(self, module: str, settings: dict[str, Any], luggage: Luggage, processes: int) -> None:
        """Unpack the party's files and start its program, beside `processes` in all on this node."""
        luggage.unpack(self._places.files)
        for folder in (self._places.logs / self._run, self._places.turns):
            make_private_folder(folder)
        settings = self._places.in_settings(settings)
        settings["supervisor"] = {"pid": os.getpid(), "started": process_started(os.getpid())}
        path = self._folder / "settings.json"
        write_private(path, self._places.as_json(settings))
        variables = party_environment(self._run, processes) | marker_of(self._run, self._name)
        with self._output.open("wb") as output:
            self._child = subprocess.Popen(
                python_command(module, "--settings", str(path)),
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
            )

    def follow(self, known: Mapping[str, int], within_s: float) -> News:
        """Return what is new beyond the lengths `known`, by file, as soon as there is any or `within_s` has passed."""
        expires = time.monotonic() + within_s
        while True:
            ended = None if self._child is None else self._child.poll()  # asked first, so that nothing is missed
            grown = {}
            for file in self._followed():
                with contextlib.suppress(OSError), file.open("rb") as opened:
                    name = str(file.relative_to(self._base))
                    opened.seek(known.get(name, 0))
                    if content := opened.read():
                        grown[name] = content
            if grown or ended is not None or time.monotonic() > expires:
                return News(grown, ended)
            time.sleep(_POLL_S)

    def _followed(self) -> list[Path]:
        log = self._places.logs / self._run / f"{self._name}.log"
        return [log, self._output, self._folder / "events.jsonl"]

    @property
    def _output(self) -> Path:
        return self._places.logs / self._run / f"{self._name}.out"

    def ask_to_end(self) -> None:
        """Send the party SIGTERM, if it still runs."""
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)

    def bring_back(self) -> Luggage:
        """End what still runs of the party, and return what it leaves: result, status, accounts and models."""
        child = self._child
        if child is not None:
            self.ask_to_end()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_GRACE_S)
            if child.poll() is None:
                child.kill()
                child.wait()
        files = self._places.files
        kept = [self._folder / name for name in ("status.json", "result.json", "events.jsonl")]
        folders = [path for top in ("durable", "cache") for path in (files / top).glob("*")]
        return Luggage.packed(files, [path for path in (*kept, *folders) if path.exists()])

    def forget(self) -> None:
        """Remove all files of the party from this node, after the launcher has what it needs."""
        self._guard.end_run()
        for folder in (self._base, self._places.turns):
            shutil.rmtree(folder, ignore_errors=True)
