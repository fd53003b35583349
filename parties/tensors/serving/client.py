"""A client of a service. It alone sees its records and their answers.

    python -m parties.tensors.serving.client --settings PATH

    ask, a piece of the records and of the answer's mask  --->  each computing party
    <---  outcome, the answer under its mask

What does not fit is refused here, before anything is sent. Where the service is busy or has lost a party, the client
asks again, with fresh pieces and a fresh mask, until it has waited for as long as it may.
"""

from __future__ import annotations

import json
import re
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpc.channels.sockets import wait_for_any
from mpc.channels.tls import TlsChannel
from mpc.errors import DeadlineError, ParameterError, ProtocolError, RefusedError, TransportError
from mpc.tensors.delivery import Question
from parties.frame.charts import Figure
from parties.frame.connections import Connections
from parties.frame.errors import AbsentError, PartyError
from parties.frame.private_files import write_private
from parties.frame.process import Party, run_party
from parties.frame.progress import Progress
from parties.tensors.outputs import write_outputs
from parties.tensors.programs import Here
from parties.tensors.serving.meeting import dial
from parties.tensors.serving.messages import Ask, Outcome
from parties.tensors.serving.model import Model
from parties.tensors.serving.settings import ServingSettings

Floats = NDArray[np.float64]
_PAUSE_S = 0.05  # before the first time that it asks again
_LONGEST_PAUSE_S = 1.0
_COINS = (re.compile(""), re.compile("[0-9a-f]{64}"))  # where all follow the protocol, and where some may not
_SHOWN = 5  # answers of a result


class TurnedAwayError(PartyError):
    """The service refuses a request for good. The sentence is the service's."""


@dataclass
class Client:
    """One client's conversations with all computing parties.

    Attributes:
        settings, model: of this party.
        connections: of this party.
        progress: gets a sentence when it has to ask again.
        again: how often it asked again, by reason.
    """

    settings: ServingSettings
    model: Model
    connections: Connections
    progress: Progress
    again: dict[str, int] = field(default_factory=dict)
    _channels: list[TlsChannel] = field(default_factory=list)
    sent: int = 0
    received: int = 0

    def ask(self, records: Floats) -> Floats:
        """Return the answers to some records.

        Raises:
            ParameterError, RangeError: records that do not fit, before anything is sent.
            TurnedAwayError: the service refuses them. DeadlineError: it gave no answer in time, and AbsentError where
                some of its parties were awaited last.
            CheatingError: a computing party has changed the question, and the answer is not taken.
        """
        settings, model = self.settings, self.model
        if not 1 <= len(records) <= settings.largest_batch:
            raise ParameterError(f"expected 1 to {settings.largest_batch} records at once, found {len(records)}")
        expires, pause_s = time.monotonic() + settings.answer_s, _PAUSE_S
        while True:
            question = Question.of(
                records, (len(records), *model.input), model.bound, (len(records), *model.output), settings.format,
                len(settings.computing), pads=settings.pads,
            )  # fmt: skip
            awaits: tuple[str, ...] = ()
            try:
                self._connect(expires)
                outcome, bodies = self._ask_once(len(records), question, expires)
            except RefusedError:
                raise
            except TransportError as error:
                outcome, bodies = Outcome("again", str(error)), []
                awaits = error.awaits if isinstance(error, AbsentError) else (error.peer,) if error.peer else ()
            if outcome.kind == "answer":
                return question.answer(bodies, outcome.fraction_bits, bytes.fromhex(outcome.coins))
            if outcome.kind == "refused":
                raise TurnedAwayError(outcome.why)
            if outcome.kind == "again":
                self.hang_up()  # the other parties may still wait for what this one has lost
            self._note_again(outcome)
            if time.monotonic() + pause_s >= expires:
                sentence = f"no answer within {settings.answer_s:g} s, last because {outcome.why}"
                raise AbsentError(sentence, awaits=awaits) if awaits else DeadlineError(sentence)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _note_again(self, outcome: Outcome) -> None:
        self.again[outcome.kind] = self.again.get(outcome.kind, 0) + 1
        if self.again[outcome.kind] == 1 or outcome.kind == "again":
            self.progress.note(f"asks again: {outcome.why}")

    def _connect(self, expires: float) -> None:
        """Connect to all computing parties, unless it is connected."""
        if self._channels:
            return
        channels: list[TlsChannel] = []
        try:
            for peer in self.settings.dials:
                channels.append(dial(self.connections, peer, expires))
                channels[-1].deadline_s = self.settings.message_deadline_s
        except BaseException:
            self.connections.hang_up(channels)
            raise
        self._channels = channels

    def hang_up(self) -> None:
        """End all conversations, and count their bytes."""
        for channel in self._channels:
            self.sent += sum(step.sent for step in channel.traffic.values())
            self.received += sum(step.received for step in channel.traffic.values())
        self.connections.hang_up(self._channels)
        self._channels = []

    def _ask_once(self, records: int, question: Question, expires: float) -> tuple[Outcome, list[tuple[str, bytes]]]:
        """Ask all computing parties, facing :meth:`parties.tensors.serving.computing.Service._answer`."""
        ask = Ask(secrets.token_hex(16), records)
        for channel, message in zip(self._channels, question.messages, strict=True):
            channel.send_message("ask", ask)
            channel.send("ask/pieces", message)
        awaited = list(self._channels)
        bodies: dict[str, bytes] = {}
        stated: dict[str, Outcome] = {}  # with an answer, by who says so
        worst = Outcome("answer")
        while awaited:
            first = wait_for_any(awaited, expires - time.monotonic())
            if first is None:
                names = tuple(channel.peer for channel in awaited)  # of whom some may wait for others
                raise AbsentError(
                    f"no answer of {', '.join(names)} within {self.settings.answer_s:g} s", awaits=names, step="ask"
                )
            awaited.remove(first)
            outcome = first.recv_message("outcome", Outcome)
            if outcome.kind == "again":
                return outcome, []
            if outcome.kind == "answer":
                bodies[first.peer] = bytes(first.recv("answer", question.size))
                stated[first.peer] = outcome
                if not 0 <= outcome.fraction_bits < self.settings.ring_bits:
                    raise ProtocolError.mismatch(
                        "fraction bits of an answer below", self.settings.ring_bits, outcome.fraction_bits,
                        peer=first.peer, step="ask",
                    )  # fmt: skip
                if not _COINS[self.settings.pads > 0].fullmatch(outcome.coins):
                    raise ProtocolError(
                        "expected coins of 64 digits where a party may cheat, and none elsewhere, found others",
                        peer=first.peer, step="ask",
                    )  # fmt: skip
            if outcome.kind == "refused" or worst.kind == "answer":
                worst = outcome
        _check_alike("fraction bits", {name: each.fraction_bits for name, each in stated.items()})
        _check_alike("coins", {name: each.coins for name, each in stated.items()})
        return worst, list(bodies.items())


def _check_alike(what: str, stated: Mapping[str, object]) -> None:
    """Raise ProtocolError with the names of two computing parties that state different things."""
    one = next(iter(stated), "")
    if other := next((name for name, said in stated.items() if said != stated[one]), None):
        raise ProtocolError(
            f"expected the same {what} from all computing parties, found that {one} and {other} state different ones; "
            "the client cannot tell which one is wrong", step="ask",
        )  # fmt: skip


def party(party: Party[ServingSettings]) -> None:
    """Play one client."""
    settings, progress = party.settings, party.progress
    model = Model(settings.model, settings.model_digest)
    with progress.step("0", "load the records"):
        records = model.records(Here(settings.arguments, settings.files), settings.name)
    answers: list[Floats] = []
    seconds: list[float] = []
    began = time.perf_counter()
    with Connections(settings, party.folder, settings.role, settings.agreed(), progress.note) as connections:
        client = Client(settings, model, connections, progress)
        with progress.step("1", "ask"):
            for start in range(0, len(records), settings.ask):
                if start and settings.pause_ms:
                    time.sleep(settings.pause_ms / 1e3)
                asked = time.perf_counter()
                answers.append(client.ask(records[start : start + settings.ask]))
                seconds.append(time.perf_counter() - asked)
                done = min(start + settings.ask, len(records))
                progress.advance(done, len(records), "answers", [Figure("ms", 1e3 * float(np.median(seconds)))])
        client.hang_up()
    found = np.concatenate(answers)
    if settings.outputs is not None:
        write_outputs(settings.outputs, {"answers": found})
    report = _report(client, found, seconds, time.perf_counter() - began)
    write_private(party.folder / "result.json", json.dumps(report).encode())


def _report(client: Client, answers: Floats, latencies: list[float], seconds: float) -> dict[str, Any]:
    """Return what a result says of one client, with its first answers."""
    settings = client.settings
    twin = np.array(settings.twin)
    flat = answers.reshape(len(answers), -1)
    report: dict[str, Any] = {
        "party": settings.name, "role": settings.role, "model": settings.model.name, "records": len(answers),
        "at_once": settings.ask, "seconds": seconds, "first_ms": 1e3 * latencies[0],
        "fastest_ms": 1e3 * min(latencies),
        "median_ms": 1e3 * float(np.median(latencies)), "slowest_ms": 1e3 * max(latencies),
        "again": client.again, "sent": client.sent, "received": client.received,
        "answers": flat[:_SHOWN].tolist(),
        "outputs_file": None if settings.outputs is None else str(settings.outputs),
    }  # fmt: skip
    if twin.size:
        report["twin"] = twin[:_SHOWN].tolist()
        report["farthest"] = float(np.abs(flat - twin).max())
        report["same_largest"] = float((flat.argmax(axis=1) == twin.argmax(axis=1)).mean())
    return report


if __name__ == "__main__":
    sys.exit(run_party(ServingSettings, party))
