"""What a trustee does by itself for a grant, and what it does not do twice."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from mpc.commons.attachments import AbsentAttachmentError, MemoryAttachments
from mpc.commons.merkle import leaf_hash
from mpc.errors import ProtocolError
from parties.commons.agreeing import TrusteeDesk
from parties.commons.trustee import Duties
from tests.mpc.commons.matrix.test_consumers import LIES, hand_on
from tests.mpc.commons.prepared import Faults, aggregate, reported

PLACE = 1


class Watched:
    """A trustee's duties, with how often it was asked for a verdict and whether others could use it meanwhile."""

    def __init__(self) -> None:
        self.run = reported()
        self.role = self.run.cast.trustees[PLACE]
        self.notes: list[str] = []
        self.sent: list[bytes] = []
        self.verdicts: list[bool] = []
        settings: Any = SimpleNamespace(name=self.role.name, founding=self.run.cast.founding, words_patience_s=60.0)
        self.answers = TrusteeDesk(self.run.cast.founding, self.role, {})
        line: Any = SimpleNamespace(ask=lambda what, body: self.sent.append(body))
        self.duties = Duties(settings, self.answers, {"trustee-0": line}, b"", self.notes.append)

    def go_on(self, times: int, verdict: Any) -> None:
        def watched(grant: bytes) -> bytes:
            free = threading.Thread(target=self._use)
            free.start()
            free.join(60.0)
            self.verdicts.append(not free.is_alive())
            made: bytes = verdict(grant)
            return made

        self.role.verdict = watched  # type: ignore[method-assign]
        try:
            for _ in range(times):
                self.duties.go_on()
        finally:
            del self.role.verdict

    def _use(self) -> None:
        with self.answers.changed:
            pass


@pytest.mark.parametrize("lie", ["another masked point", "fewer shares"])
def test_a_batch_that_does_not_open_is_judged_once_while_others_use_the_trustee(lie: str) -> None:
    one = Watched()
    with pytest.raises(ProtocolError, match=r"expected a verdict that t \+ 1 trustees have said, found none"):
        aggregate(one.run, {("consumer", 0, "hand on"): hand_on(one.run, LIES[lie][0])})
    one.go_on(3, one.role.verdict)
    hopeless = len(one.notes)
    assert one.verdicts == [True] * hopeless
    assert all(note.startswith("no verdict: expected") for note in one.notes)
    assert LIES[lie][1] in " ".join(one.notes)
    one.go_on(3, one.role.verdict)
    assert len(one.verdicts) == hopeless
    assert one.sent == []


def test_a_verdict_is_said_once_an_attachment_is_there() -> None:
    one = Watched()
    run = one.run
    grant = run.ask("task", "sum/100")
    run.hand_on(grant)
    run.toss(grant)
    run.hearing = Faults({("trustee", place, "verdict"): lambda said: None for place in range(4)})
    run.judge(grant)
    run.hearing = Faults()
    real, held = one.role.verdict, one.role.attachments
    one.role.attachments = MemoryAttachments()
    one.go_on(2, lambda asked: real(asked) if asked == grant else _absent())
    assert len(one.verdicts) >= 2
    assert any(note.startswith("no verdict yet: expected the attachment") for note in one.notes)
    assert one.sent == []
    one.role.attachments = held
    one.go_on(2, lambda asked: real(asked) if asked == grant else _absent())
    assert len(one.sent) == 1
    assert leaf_hash(one.sent[0])


def _absent() -> bytes:
    raise AbsentAttachmentError("expected another grant")
