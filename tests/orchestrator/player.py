"""One player's process: `python -m tests.orchestrator.player --settings PATH`."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.orchestrator.game import PlayerSettings  # imports pydantic, which takes longer than a whole game


def read(path: Path) -> PlayerSettings:
    """What `PlayerSettings` were written to this file."""
    values = json.loads(path.read_text())
    return SimpleNamespace(**values | {name: Path(values[name]) for name in ("folder", "log")})


def tell(settings: PlayerSettings, event: str, **values: object) -> None:
    with (settings.folder / "events.jsonl").open("a") as file:
        file.write(json.dumps({"t": time.time(), "event": event, **values}) + "\n")
    with settings.log.open("a") as log:
        log.write(f"{settings.name} {event} {values}\n")


def leave(settings: PlayerSettings, **status: object) -> None:
    partial = settings.folder / ".status.json"
    partial.write_text(json.dumps({"ok": False, "error": None, "step": None, "peer": None, **status}))
    partial.replace(settings.folder / "status.json")


def until_it_waits(settings: PlayerSettings, other: str) -> None:
    """Return when another player has begun its step, however slow the machine is."""
    events = settings.folder.parent / other / "events.jsonl"
    while not (events.exists() and "step_started" in events.read_text()):
        time.sleep(0.02)


def misbehave(settings: PlayerSettings) -> None:
    match settings.manner:
        case "raise":
            raise ArithmeticError("the ball is square")
        case "silent_exit":
            sys.exit(0)
        case "lie":
            leave(settings, ok=True)
            sys.exit(3)
        case "complain":
            detail = "expected a ball, found a brick"
            tell(settings, "failed", step="throw", peer="player-0", detail=detail)
            leave(settings, error=detail, step="throw", peer="player-0")
            sys.exit(1)
        case "garble":
            (settings.folder / "events.jsonl").open("a").write("{no event\n")
        case "print_and_die":
            print("out of breath", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        case "late" | "alone":  # it gives up on the one that it waits for, or on any that might come
            detail = "no message within 3 s"
            other = f"player-{int(settings.name.split('-')[1]) + 1}"
            until_it_waits(settings, other)
            whom = {"peer": other} if settings.manner == "late" else {"awaits": [other, "player-0"]}
            tell(settings, "failed", step="throw", detail=detail, late=True, **whom)
            leave(settings, error=detail, step="throw", late=True, **whom)
            sys.exit(1)
        case "hang" | "stubborn":
            if settings.manner == "stubborn":
                for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                    signal.signal(number, signal.SIG_IGN)
                if os.fork() == 0:  # a child in a session of its own is a player's as well
                    os.setsid()
            tell(settings, "note", detail="daydreaming")
            while True:
                time.sleep(60)


def receive(listener: socket.socket) -> bytes:
    connection, _ = listener.accept()
    with connection:
        return connection.recv(100)


def throw(settings: PlayerSettings) -> None:
    while True:
        try:
            with socket.create_connection((settings.host, settings.next_port or 0)) as connection:
                connection.sendall(b"ball")
            return
        except ConnectionRefusedError:
            time.sleep(0.02)


def call(settings: PlayerSettings, port: int, words: bytes = b"") -> bytes:
    """Say something to a judge or the scorekeeper and return the answer, empty of one that is lost."""
    try:
        with socket.create_connection((settings.host, port), timeout=5) as connection:
            connection.sendall(words)
            return connection.recv(100)
    except OSError:
        return b""


def main() -> None:
    settings = read(Path(sys.argv[2]))
    with socket.create_server((settings.host, settings.port)) as listener:
        tell(settings, "listening")
        number = int(settings.name.split("-")[1])
        ball = b"ball"
        if settings.manner == "mute":  # it begins nothing and says nothing, and others wait for it
            time.sleep(600)
        if number > 0:
            tell(settings, "step_started", step="catch", title="wait for it", peer=f"player-{number - 1}")
            ball = receive(listener)
            if settings.keeper is not None:
                call(settings, settings.keeper, b"caught")
            tell(
                settings, "step_finished", step="catch", title="wait for it", peer=f"player-{number - 1}",
                seconds=0.25, sent=0, received=len(ball),
            )  # fmt: skip
        if settings.next_port is not None:
            tell(settings, "step_started", step="throw", title="let go", peer=f"player-{number + 1}")
            time.sleep(settings.throw_s)
            misbehave(settings)
            throw(settings)
            tell(
                settings, "step_finished", step="throw", title="let go", peer=f"player-{number + 1}",
                seconds=0.5, sent=len(ball), received=0,
            )  # fmt: skip
    if settings.judges:
        calls = [call(settings, port) for port in settings.judges]
        tell(settings, "note", detail=f"{calls.count(b'caught')} of {len(calls)} judges saw it")
    if number == 0:
        (settings.folder / "result.json").write_text(json.dumps({"ball": "thrown"}))
    leave(settings, ok=True)
    tell(settings, "finished")


if __name__ == "__main__":
    main()
