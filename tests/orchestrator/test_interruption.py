"""A signal that asks the orchestrator to end is heeded, wherever its exception arrives."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable

import pytest

from orchestrator.errors import Interrupted
from orchestrator.interruption import ENDING, ignore_signals, signals_raise
from tests.signalled import SignalAtItsEnd, SignalWhileWritten, wait_in_vain


def test_an_error_that_a_library_made_of_the_signal_is_the_signal_again() -> None:
    with pytest.raises(Interrupted, match="Ended by SIGINT"), signals_raise():
        SignalWhileWritten(number=signal.SIGINT).model_dump_json()


def test_the_signal_ends_a_part_as_itself() -> None:
    with pytest.raises(Interrupted), signals_raise() as interruption:
        with pytest.raises(Interrupted), interruption.stays():
            SignalWhileWritten(number=signal.SIGINT).model_dump_json()
        interruption.check()


def test_an_exception_that_was_dropped_comes_once_more() -> None:
    began = False
    with pytest.raises(Interrupted, match="Ended by SIGINT"), signals_raise():
        SignalAtItsEnd(signal.SIGINT)
        began = True
        wait_in_vain()
    assert began


def test_a_dropped_exception_does_not_interrupt_the_end() -> None:
    before = [signal.getsignal(number) for number in ENDING]
    whole = False
    with pytest.raises(Interrupted), signals_raise():
        try:
            SignalAtItsEnd(signal.SIGINT)
            raise ArithmeticError
        finally:
            ignore_signals()
            time.sleep(0.2)  # the signal comes once more meanwhile
            whole = True
    assert whole
    assert [signal.getsignal(number) for number in ENDING] == before


@pytest.mark.parametrize("raised", [ArithmeticError, OSError])
def test_other_errors_are_themselves(raised: type[Exception]) -> None:
    with pytest.raises(raised), signals_raise() as interruption:
        interruption.check()
        raise raised


def test_a_file_that_cannot_be_written_after_the_signal_is_said() -> None:
    with pytest.raises(OSError, match="full"), signals_raise():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            raise OSError("full")


def test_what_else_is_dropped_goes_where_it_went(monkeypatch: pytest.MonkeyPatch) -> None:
    dropped: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda one: dropped.append(one.exc_type))
    hook: Callable[..., object] = sys.unraisablehook
    with signals_raise():

        class Breaks:
            def __del__(self) -> None:
                raise ArithmeticError

        Breaks()
    assert dropped == [ArithmeticError]
    assert sys.unraisablehook is hook
