"""Work for many items at once, one thread each, whose first error is raised in the caller's thread."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

__all__ = ["Workers", "await_ends"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def await_ends(threads: Iterable[threading.Thread], within_s: float) -> bool:
    """Wait until these threads have ended, those of them that were started, and return whether they have in time."""
    started, expires = [thread for thread in threads if thread.ident is not None], time.monotonic() + within_s
    for thread in started:
        thread.join(max(0.0, expires - time.monotonic()))
    return not any(thread.is_alive() for thread in started)


class Workers(Generic[Item, Result]):
    """One thread for each item."""

    def __init__(self, items: Sequence[Item], work: Callable[[Item], Result]) -> None:
        self._work = work
        self._done: queue.Queue[tuple[int, Result | None, BaseException | None]] = queue.Queue()
        self._results: dict[int, Result] = {}
        self._failure: BaseException | None = None
        self.threads = [threading.Thread(target=self._run, args=pair, daemon=True) for pair in enumerate(items)]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def results(self) -> list[Result]:
        """Return all results in the items' order, once all are there. Raises the first error as soon as it occurs."""
        while self._failure is None and len(self._results) < len(self.threads):
            self._take(self._done.get())
        if self._failure is not None:
            raise self._failure
        return [self._results[index] for index in range(len(self.threads))]

    def failure(self) -> BaseException | None:
        """Return the first error so far."""
        while self._failure is None and not self._done.empty():
            self._take(self._done.get())
        return self._failure

    def _run(self, index: int, item: Item) -> None:
        try:
            self._done.put((index, self._work(item), None))
        except BaseException as error:  # noqa: BLE001  raised again by `results`, in the caller's thread
            self._done.put((index, None, error))

    def _take(self, done: tuple[int, Result | None, BaseException | None]) -> None:
        index, result, self._failure = done
        self._results[index] = result  # type: ignore[assignment]  # where there is no error it is the result
