"""The provider of correlations of a service. It follows the model on shapes, and sees neither the model nor a record.

    python -m parties.tensors.serving.provider --settings PATH

The leader says for how many batches of which lane it shall prepare. A lane's correlations depend on its size alone, so
that they wait at the computing parties before anybody asks.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from functools import partial

from mpc.errors import DeadlineError, ProtocolError, TransportError
from parties.frame.connections import Connections
from parties.frame.lifetime import serving
from parties.frame.private_files import write_private
from parties.frame.process import Party, run_party
from parties.frame.workers import await_ends
from parties.tensors.serving.lane import Lane
from parties.tensors.serving.meeting import Meeter, Meeting
from parties.tensors.serving.messages import Deal
from parties.tensors.serving.model import Model
from parties.tensors.serving.places import stand_by
from parties.tensors.serving.settings import ServingSettings, lanes_end_s
from parties.tensors.serving.tally import Tally

_PAUSE_S = 0.5


class Provider:
    """The provider, from its start to its end."""

    def __init__(self, party: Party[ServingSettings], connections: Connections) -> None:
        self.settings = party.settings
        self.progress = party.progress
        self.connections = connections
        self.model = Model(self.settings.model, self.settings.model_digest)
        self.tally = Tally()
        self.trust = ""
        self._to_close: Meeting | None = None
        self._batches: list[queue.SimpleQueue[int]] = []
        self._threads: list[threading.Thread] = []

    def run(self) -> None:
        """Serve until a signal tells the party to end. Raises what ends it otherwise."""
        settings, meeter = self.settings, Meeter(self.settings, self.connections)
        expires = time.monotonic() + settings.connect_deadline_s
        while True:
            self.connections.close_left()  # of lanes that were late in earlier sessions
            try:
                with self.progress.step("1", "meet the other parties", awaits=settings.computing):
                    meeting = meeter.provide(expires)
            except DeadlineError as error:
                if not settings.deployed:
                    raise
                self.progress.begin_again(f"{error}; it waits on")
                expires = time.monotonic() + settings.connect_deadline_s
                continue
            except TransportError as error:
                if time.monotonic() >= expires and not settings.deployed:
                    raise
                self.progress.begin_again(f"{error}; all meet again")
                time.sleep(_PAUSE_S)
                continue
            self.tally.sessions += 1
            self._to_close = meeting
            try:
                self._serve(meeting)
            except TransportError as error:
                self.progress.begin_again(f"{error}; all meet again within {settings.return_s:g} s")
            self.stop()
            expires = time.monotonic() + settings.return_s

    def _serve(self, meeting: Meeting) -> None:
        """Prepare what the leader asks for, until a party is lost. Raises the error that ended the session."""
        settings = self.settings
        self._batches = [queue.SimpleQueue() for _ in settings.lanes]

        def work(number: int) -> None:
            try:
                self._deal(meeting, number, self._batches[number])
            except BaseException as error:  # noqa: BLE001  raised again by the main thread
                meeting.fail(error)

        self._threads = [
            threading.Thread(target=work, args=(number,), daemon=True) for number in range(len(settings.lanes))
        ]
        for thread in self._threads:
            thread.start()
        try:
            (credits,) = meeting.credits
            while True:
                deal = credits.recv_message("deal", Deal)
                if deal.beat:
                    continue
                if not 0 <= deal.lane < len(settings.lanes) or not 0 <= deal.batches <= settings.pool:
                    raise ProtocolError("expected a lane and batches as agreed, found others", peer=settings.leader)
                if deal.batches:
                    self._batches[deal.lane].put(deal.batches)
        except Exception as error:
            meeting.fail(error)
            raise meeting.failure or error from error

    def stop(self) -> None:
        """End the session's threads and connections. It may be called again where a signal has interrupted it."""
        meeting = self._to_close
        if meeting is None:
            return
        meeting.fail(TransportError("the session is over"))
        for each in self._batches:
            each.put(0)
        if await_ends(self._threads, lanes_end_s(self.settings.message_deadline_s)):
            meeting.close(self.connections)
        else:  # a thread still computes
            self.connections.leave_open_for(self._threads, partial(meeting.close, self.connections))
        sent, received = meeting.traffic()
        self._to_close = None  # from here on nobody else would keep open what a thread uses
        self.tally.sent += sent
        self.tally.received += received

    def _deal(self, meeting: Meeting, number: int, batches: queue.SimpleQueue[int]) -> None:
        settings = self.settings
        lane = Lane(settings, self.model, settings.lanes[number], meeting.lanes[number], None)
        self.trust = lane.backend.trust
        while count := batches.get():
            for _ in range(count):
                lane.prepare()
                self.tally.batch(settings.lanes[number], [])

    def report(self) -> dict[str, object]:
        """Return what a result says of this party."""
        settings = self.settings
        return {
            "party": settings.name, "role": settings.role, "backend": settings.backend, "trust": self.trust,
            "lanes": settings.lanes, **self.tally.figures(),
        }  # fmt: skip


def party(party: Party[ServingSettings]) -> None:
    """Play the provider, until it is told to end."""
    settings = party.settings
    with Connections(settings, party.folder, settings.role, settings.agreed(), party.progress.note) as connections:
        provider = Provider(party, connections)
        try:
            with serving():
                stand_by(party, connections)
                provider.run()
        finally:
            provider.stop()
    write_private(party.folder / "result.json", json.dumps(provider.report()).encode())


if __name__ == "__main__":
    sys.exit(run_party(ServingSettings, party))
