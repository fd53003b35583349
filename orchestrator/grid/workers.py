"""Processes that try one configuration after the other, as many as there are processors.

A worker is `python -m MODULE`, as :mod:`parties.frame.trials` says. It gets a line of JSON for each trial and answers
with one. It ends with this process. One that says nothing before the deadline is ended, and another takes its place.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from parties.frame.lifetime import process_started
from parties.frame.start import python_command

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_POLL_S = 0.5


@dataclass(frozen=True)
class Task:
    """One trial.

    Attributes:
        number: tells it from others.
        group: tasks of one group share work, so that one worker should have them.
        settings: plain values.
        deadline_s: how long it may take.
    """

    number: int
    group: int
    settings: dict[str, Any]
    deadline_s: float


@dataclass(frozen=True)
class Answer:
    """What came of a task: figures by name, or the reason why there are none."""

    number: int
    figures: dict[str, Any]
    seconds: float
    failed: str


class Workers:
    """A pool of workers. Leaving the context ends all of them, whatever they are doing."""

    def __init__(self, module: str, tasks: Sequence[Task], processes: int | None = None) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._module = module
        self._left = list(tasks)
        self._expected = len(tasks)
        self._count = min(processes or cores, len(tasks))
        self._taken: set[int] = set()  # groups that a worker has begun
        self._lock = threading.Lock()
        self._answers: queue.Queue[Answer] = queue.Queue()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def __enter__(self) -> Workers:
        for _ in range(self._count):
            threading.Thread(target=self._work, name="worker", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
            running = list(self._running)
        for child in running:
            _end(child)

    def answers(self) -> Iterator[Answer | None]:
        """Yield every answer as it comes, and None now and then while there is none."""
        for _ in range(self._expected):
            while True:
                try:
                    answer = self._answers.get(timeout=_POLL_S)
                except queue.Empty:
                    yield None
                    continue
                yield answer
                break

    def _next(self, mine: set[int]) -> Task | None:
        """Take a task of a group that this worker has begun, or else of one that nobody has, or else any."""
        with self._lock:
            if self._closed or not self._left:
                return None
            ranked = sorted(self._left, key=lambda task: (task.group not in mine, task.group in self._taken))
            task = ranked[0]
            self._left.remove(task)
            self._taken.add(task.group)
            mine.add(task.group)
            return task

    def _work(self) -> None:
        child, mine = None, set[int]()
        with tempfile.TemporaryFile() as words:
            while (task := self._next(mine)) is not None:
                try:
                    child = child or self._start(words)
                except OSError as error:
                    self._answers.put(Answer(task.number, {}, 0.0, f"it could not be started ({error})"))
                    continue
                if child is None:
                    return
                began = time.monotonic()
                reply = _ask(child, task)
                seconds = time.monotonic() - began
                if reply is None:
                    reply = {"failed": _reason(child, words, seconds, task)}
                    self._forget(child)
                    child = None
                self._answers.put(Answer(task.number, reply.get("figures", {}), seconds, reply.get("failed", "")))
            if child is not None:
                self._forget(child)

    def _start(self, words: Any) -> subprocess.Popen[bytes] | None:
        """Start a worker, or return None where all is over."""
        pid = os.getpid()
        with self._lock:
            if self._closed:
                return None
            child = subprocess.Popen(
                python_command(self._module, str(pid), process_started(pid) or ""),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=words,
                env=os.environ | dict.fromkeys(_THREADS, "1"),
                start_new_session=True,  # Ctrl-C ends this process, which ends its workers
            )
            self._running.add(child)
            return child

    def _forget(self, child: subprocess.Popen[bytes]) -> None:
        _end(child)
        with self._lock:
            self._running.discard(child)


def _ask(child: subprocess.Popen[bytes], task: Task) -> dict[str, Any] | None:
    """Return a worker's answer, or None where it has ended, was ended at the deadline, or says something else."""
    assert child.stdin is not None  # noqa: S101  (as it was started)
    assert child.stdout is not None  # noqa: S101
    timer = threading.Timer(task.deadline_s, _end, [child])
    timer.start()
    try:
        child.stdin.write(json.dumps(task.settings).encode() + b"\n")
        child.stdin.flush()
        answer = json.loads(child.stdout.readline())
        return answer if isinstance(answer, dict) else None
    except (OSError, ValueError):
        return None
    finally:
        timer.cancel()


def _reason(child: subprocess.Popen[bytes], words: Any, seconds: float, task: Task) -> str:
    """Return why a worker gave no answer."""
    if seconds >= task.deadline_s:
        return f"expected figures within {task.deadline_s:g} s, found none"
    try:
        status = child.wait(_POLL_S)
    except subprocess.TimeoutExpired:
        return "expected figures or a reason why there are none, found another answer"
    words.seek(0)
    last = words.read().decode(errors="replace").strip().splitlines()[-1:]
    words.seek(0)
    words.truncate()
    ended = (
        f"its process was ended by {signal.Signals(-status).name}" if status < 0 else f"it ended with status {status}"
    )
    return "".join([ended, *(f" ({line})" for line in last)])


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a worker and what it has started."""
    if child.poll() is None:
        with contextlib.suppress(OSError):
            os.killpg(child.pid, signal.SIGKILL)
    child.wait()
