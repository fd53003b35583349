"""Being told to end is heeded, wherever its exception arrives."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import parties.frame.lifetime
from mpc.errors import CheatingError, TransportError
from parties.frame.errors import PartyError
from parties.frame.lifetime import Ended, lifetime, serving
from tests.parties.frame.test_process import settings_file, start, status
from tests.signalled import SignalAtItsEnd, SignalWhileWritten, wait_in_vain

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


@pytest.fixture(autouse=True)
def handlers_stay(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(parties.frame.lifetime, "_GRACE_S", math.inf)  # a test that fails shall not kill all of them
    before, hook = [signal.getsignal(number) for number in ENDING], sys.unraisablehook
    yield
    assert [signal.getsignal(number) for number in ENDING] == before
    assert sys.unraisablehook is hook


def test_an_error_that_a_library_made_of_it_is_being_told_to_end_again() -> None:
    with pytest.raises(Ended, match="told to end by SIGTERM"), lifetime(None, None, math.inf):
        SignalWhileWritten(number=signal.SIGTERM).model_dump_json()


def test_an_exception_that_was_dropped_comes_once_more() -> None:
    began = False
    with pytest.raises(Ended, match="told to end by SIGTERM"), lifetime(None, None, math.inf):
        SignalAtItsEnd(signal.SIGTERM)
        began = True
        wait_in_vain()
    assert began


def test_a_service_heeds_what_a_library_made_of_it_and_ends_well() -> None:
    whole = False
    with lifetime(None, None, math.inf):
        with serving():
            SignalWhileWritten(number=signal.SIGTERM).model_dump_json()
        whole = True
    assert whole


def test_a_dropped_exception_does_not_interrupt_a_service_after_its_work() -> None:
    whole = False
    with lifetime(None, None, math.inf):
        with serving():
            SignalAtItsEnd(signal.SIGTERM)
            raise TransportError("the peer closed the connection")
        time.sleep(0.2)  # the signal comes once more meanwhile
        whole = True
    assert whole


@pytest.mark.parametrize("error", [OSError("full"), PartyError("full"), CheatingError("a wrong share")])
def test_what_a_party_says_of_its_own_after_it_is_said(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)), lifetime(None, None, math.inf), serving():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            raise error


def test_an_error_in_the_last_words_of_a_service_is_itself() -> None:
    with pytest.raises(ArithmeticError), lifetime(None, None, math.inf):
        with serving():
            signal.raise_signal(signal.SIGTERM)
        raise ArithmeticError


@pytest.mark.parametrize("error", [ArithmeticError, TransportError, OSError])
def test_without_it_errors_are_themselves(error: type[Exception]) -> None:
    with pytest.raises(error), lifetime(None, None, math.inf), serving():
        raise error("x")


CONVERTED = """
    import signal
    from tests.signalled import SignalWhileWritten
    SignalWhileWritten(number=signal.SIGTERM).model_dump_json()
"""
WHILE_LOGGING = """
    import signal
    def told(frame, event, _):
        if event == "c_return" and frame.f_code.co_name == "__enter__" and "contextlib" in frame.f_code.co_filename:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGTERM)  # as the log has taken its lock, and has not begun to write
    from contextlib import nullcontext
    from parties.frame.lifetime import serving
    with {block}():
        sys.setprofile(told)
        party.progress.note("hello")
        time.sleep(300)
"""


def test_a_party_says_that_it_was_told_whatever_was_made_of_it(tmp_path: Path) -> None:
    settings = settings_file(tmp_path)
    assert start(CONVERTED, settings).wait(60) == 1
    assert status(settings)["error"] == "told to end by SIGTERM"


@pytest.mark.parametrize(("block", "left"), [("serving", 0), ("nullcontext", 1)])
def test_a_party_that_was_told_while_it_wrote_a_line_has_its_log_again(tmp_path: Path, block: str, left: int) -> None:
    settings = settings_file(tmp_path)
    party: subprocess.Popen[bytes] = start(WHILE_LOGGING.format(block=block), settings)
    _, shown = party.communicate(timeout=60)
    assert (party.returncode, status(settings)["ok"]) == (left, left == 0)
    assert status(settings)["error"] == (None if left == 0 else "told to end by SIGTERM")
    assert b"Traceback" not in shown
    said = (tmp_path / "logs" / "test" / "player.log").read_text()
    assert ("finished" if left == 0 else "failed: told to end by SIGTERM") in said
