"""One session of the service at one computing party, from the meeting of all parties to the loss of one.

    thread of a client's connection   puts a request on the desk, tells the leader that it has come, waits for its end
    main thread, leader               takes the next batch from the line, and tells followers and provider
    main thread, follower             takes the leader's orders
    thread of a lane                  computes batches in the order in which they were given to the lane
    thread for notices                tells the leader what has come, or listens to what a follower tells

A batch is charged to its clients' accounts before it is computed.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable

from mpc.channels.tls import TlsChannel
from mpc.errors import CheatingError, ProtocolError, TransportError
from parties.frame.workers import await_ends
from parties.tensors.serving.desk import Desk, Ending, Request
from parties.tensors.serving.lane import Lane
from parties.tensors.serving.line import Line
from parties.tensors.serving.meeting import Meeting
from parties.tensors.serving.messages import BEAT_S, Deal, Notice, Order, Outcome
from parties.tensors.serving.model import Model
from parties.tensors.serving.quota import Quota
from parties.tensors.serving.settings import ServingSettings, lanes_end_s
from parties.tensors.serving.share import ModelShare
from parties.tensors.serving.tally import Tally
from parties.tensors.serving.tickets import USED, Tickets

CHEATED = "a party of the service has cheated, so that the service has ended"


class Sitting:
    """One session at one computing party.

    Attributes:
        meeting: its connections.
        threads: that use them.
        trust: who must be trusted for what, once a lane has been opened.
    """

    def __init__(
        self, settings: ServingSettings, model: Model, share: ModelShare, meeting: Meeting, tally: Tally, quota: Quota
    ) -> None:
        self.meeting = meeting
        self.trust = ""
        self._settings = settings
        self._model = model
        self._share = share
        self._tickets = None
        if settings.pads and settings.share is not None:
            self._tickets = Tickets(settings.share.with_name(USED), share.name, share.tickets)
        self._tally = tally
        self._quota = quota
        self._leads = settings.name == settings.leader
        self._desk = Desk()
        self._accounts = threading.Lock()  # from what a client has asked to what it asks now
        self._line = Line(
            settings.computing, settings.lanes, settings.queue, settings.max_wait_ms / 1e3, settings.answer_s
        )
        self._notices: queue.SimpleQueue[Notice] = queue.SimpleQueue()
        self._batches: list[queue.SimpleQueue[list[Request] | None]] = [queue.SimpleQueue() for _ in settings.lanes]
        self._left_in_pool = Counter[int]()
        self._counted = False
        self.threads = [
            threading.Thread(target=self._guarded, args=(self._work, lane), name=f"lane {lane}", daemon=True)
            for lane in range(len(settings.lanes))
        ]
        talk: Callable[[TlsChannel], None] = self._hear_notices if self._leads else self._tell_notices
        self.threads += [
            threading.Thread(target=self._guarded, args=(talk, channel), name="notices", daemon=True)
            for channel in meeting.notices
        ]

    # -- threads of clients' connections ------------------------------------------------------------------------------

    def take_in(self, request: Request) -> None:
        """Put a request on the desk, and tell the leader.

        One beyond the client's quota ends at all parties. Here it never waits, so that no order can take it.
        """
        with self._accounts:
            waiting = self._desk.records_of(request.client)
            refusal = self._quota.refusal(request.client, request.records, waiting)
            if not refusal:
                self._desk.put(request)
        if refusal:
            self.give_up(request, refusal)
            request.ending.set_result(Ending(Outcome("refused", refusal)))
        elif self._leads:
            self._line.arrived(self._settings.name, request.name, request.records)
        else:
            self._notices.put(Notice(request.name, request.records))

    def give_up(self, request: Request, why: str) -> None:
        """Ask for the end of a request that is in no batch yet."""
        if self._leads:
            self._line.give_up(request.name, why)
        else:
            self._notices.put(Notice(request.name, request.records, why))

    # -- the main thread ----------------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Serve until a party is lost. Raises the error that ended the session."""
        for thread in self.threads:
            thread.start()
        try:
            self._lead() if self._leads else self._follow()
        except Exception as error:
            self.meeting.fail(error)
            raise self.meeting.failure or error from error

    def _lead(self) -> None:
        meeting, told = self.meeting, 0.0
        others = (*meeting.orders, *meeting.credits)
        for lane in range(len(self._settings.lanes)):
            self._fill_pool(lane)
        while meeting.failure is None:
            order = self._line.next(BEAT_S / 2)
            if order is not None:
                for channel in meeting.orders:
                    channel.send_message("order", order)
                self._obey(order)
            if time.monotonic() - told > BEAT_S:
                told = time.monotonic()
                if gone := next((channel for channel in others if channel.left), None):
                    raise TransportError("the peer closed the connection", peer=gone.peer, step="serve")
                for channel in meeting.orders:
                    channel.send_message("order", Order(beat=True))
                for channel in meeting.credits:
                    channel.send_message("deal", Deal(beat=True))
        raise meeting.failure

    def _follow(self) -> None:
        (orders,) = self.meeting.orders
        while True:
            order = orders.recv_message("order", Order)
            if not order.beat:
                self._obey(order)

    def _obey(self, order: Order) -> None:
        """Do what the leader says, which may be this party."""
        settings = self._settings
        if order.lane < 0:
            for name in order.requests:
                self._desk.end(name, Ending(Outcome(order.kind, order.why)))
            return
        if order.lane >= len(settings.lanes):
            raise ProtocolError.mismatch("a lane below", len(settings.lanes), order.lane, peer=settings.leader)
        with self._accounts:
            batch = self._desk.take(order.requests, settings.lanes[order.lane], settings.leader)
            records = Counter[str]()
            for request in batch:
                records[request.client] += request.records
            self._quota.charge(records)
        self._batches[order.lane].put(batch)
        if self._leads:
            self._left_in_pool[order.lane] -= 1
            if self._left_in_pool[order.lane] <= settings.low_water:
                self._fill_pool(order.lane)

    def _fill_pool(self, lane: int) -> None:
        """Ask the provider to prepare what is missing."""
        missing = self._settings.pool - self._left_in_pool[lane]
        self._left_in_pool[lane] += missing
        for channel in self.meeting.credits:
            channel.send_message("deal", Deal(lane, missing))

    # -- the session's own threads ------------------------------------------------------------------------------------

    def _guarded(self, work: Callable[..., None], *arguments: object) -> None:
        try:
            work(*arguments)
        except BaseException as error:  # noqa: BLE001  raised again by the main thread
            self.meeting.fail(error)
            self._line.wake()

    def _work(self, number: int) -> None:
        settings, network = self._settings, self.meeting.lanes[number]
        lane = Lane(settings, self._model, settings.lanes[number], network, self._share, self._tickets, number)
        self.trust = lane.backend.trust
        try:
            while (batch := self._batches[number].get()) is not None:
                answers = lane.answers([request.piece for request in batch], [request.name for request in batch])
                self._tally.batch(settings.lanes[number], [(one.client, one.records) for one in batch])
                if self._leads:
                    self._line.lane_is_free(number)
                found = Outcome("answer", fraction_bits=answers.fraction_bits, coins=answers.coins.hex())
                for request, body in zip(batch, answers.bodies, strict=True):
                    self._desk.end(request.name, Ending(found, body))
        finally:
            cost = lane.backend.cost
            with self._tally.lock:
                self._tally.rounds += cost.rounds
                self._tally.correlations.update(cost.correlations)

    def _hear_notices(self, channel: TlsChannel) -> None:
        while True:
            notice = channel.recv_message("notice", Notice)
            if notice.beat:
                continue
            if notice.refused:
                self._line.give_up(notice.request, notice.refused)
            else:
                self._line.arrived(channel.peer, notice.request, notice.records)

    def _tell_notices(self, channel: TlsChannel) -> None:
        while self.meeting.failure is None:
            try:
                notice = self._notices.get(timeout=BEAT_S)
            except queue.Empty:
                notice = Notice(beat=True)
            channel.send_message("notice", notice)

    # -- the end ------------------------------------------------------------------------------------------------------

    def end(self) -> bool:
        """End the session's threads and its requests, and return whether its connections may be closed now.

        They may not where a thread still computes after :func:`lanes_end_s`, and would use them. It may be called
        again where a signal has interrupted it.
        """
        failure = self.meeting.failure
        self.meeting.fail(failure or TransportError("the session is over"))
        for batches in self._batches:
            batches.put(None)
        ended = await_ends(self.threads, lanes_end_s(self._settings.message_deadline_s))
        if isinstance(failure, CheatingError):
            self._desk.close(Ending(Outcome("refused", CHEATED)))
        why = f"a session ended ({failure.args[0] if isinstance(failure, TransportError) else 'a party failed'})"
        self._desk.close(Ending(Outcome("again", why)))
        sent, received = self.meeting.traffic()
        with self._tally.lock:
            if self._counted:
                return ended
            self._counted = True
            self._tally.sent += sent
            self._tally.received += received
            waiting = sum(channel.most_waiting for channel in self.meeting.ahead)
            self._tally.pool_bytes = max(self._tally.pool_bytes, waiting)
        return ended
