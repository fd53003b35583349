"""Moments in which a signal arrives where its exception is changed or dropped on the way."""

from __future__ import annotations

import signal
import time

from pydantic import BaseModel, field_serializer

PATIENCE_S = 300.0  # a test has 900 s


class SignalWhileWritten(BaseModel):
    """A model during whose serialisation a signal arrives. The library makes an error of its own from the exception."""

    number: int

    @field_serializer("number")
    def _as_text(self, number: int) -> str:
        signal.raise_signal(number)
        return str(number)


class SignalAtItsEnd:
    """An object during whose end a signal arrives. Python drops the exception."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)


def wait_in_vain() -> None:
    expires = time.monotonic() + PATIENCE_S
    while time.monotonic() < expires:
        time.sleep(0.01)
