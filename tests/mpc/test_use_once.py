"""A value that may be used once: the second time is refused, and nothing of it stays behind."""

from __future__ import annotations

import gc
import threading
import weakref
from contextlib import suppress

import pytest

from mpc.errors import OrderError
from mpc.use_once import UseOnce


class Mask:
    pass


def test_the_second_time_is_refused_by_name() -> None:
    mask = Mask()
    once = UseOnce(mask, "a mask")
    assert (once.used, repr(once)) == (False, "UseOnce(a mask, fresh)")
    assert once.take() is mask
    assert (once.used, repr(once)) == (True, "UseOnce(a mask, used)")
    for _ in range(2):
        with pytest.raises(OrderError, match="expected a mask that is fresh, found one that was used before"):
            once.take()


def test_none_is_a_value_too() -> None:
    once = UseOnce(None, "nothing")
    assert once.take() is None
    with pytest.raises(OrderError):
        once.take()


def test_what_was_taken_is_forgotten() -> None:
    once = UseOnce(Mask(), "a mask")
    seen = weakref.ref(once.take())
    gc.collect()
    assert seen() is None


def test_of_many_threads_one_has_it() -> None:
    for _ in range(50):
        once, start, taken = UseOnce(1, "a mask"), threading.Barrier(8), []

        def take(once: UseOnce[int] = once, start: threading.Barrier = start, taken: list[int] = taken) -> None:
            start.wait()
            with suppress(OrderError):
                taken.append(once.take())

        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert taken == [1]
