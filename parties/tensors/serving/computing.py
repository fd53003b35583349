"""A computing party of a service. It holds a share of the model and of every record, and no value.

    python -m parties.tensors.serving.computing --settings PATH

It keeps its share of the model on the disk. It listens to the model's owner, to clients and to the other parties, each
in a thread. Its main thread meets the other parties for a session and serves in it until one of them is lost, and then
again. A request that was on its way when a session broke ends, and its client asks again with a fresh mask.

What it learns: who asks when about how many records, and the sizes of the model. Trust is the back-end's.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from concurrent.futures import TimeoutError as LaterError
from functools import partial
from math import prod

from mpc.channels.doors import Listener
from mpc.channels.tls import TlsChannel
from mpc.errors import DeadlineError, MpcError, ProtocolError, TransportError
from mpc.tensors.delivery import Piece, read_piece
from mpc.tensors.network import wire_size
from parties.frame.connections import Connections
from parties.frame.errors import AbsentError, PartyError
from parties.frame.lifetime import serving
from parties.frame.private_files import write_private
from parties.frame.process import Party, run_party
from parties.frame.workers import await_ends
from parties.tensors.serving.desk import Ending, Request
from parties.tensors.serving.meeting import Mailbox, Meeter
from parties.tensors.serving.messages import Ask, Commit, Held, Kept, Offer, Outcome, Purpose
from parties.tensors.serving.model import Model
from parties.tensors.serving.places import stand_by
from parties.tensors.serving.quota import Quota
from parties.tensors.serving.settings import CLIENT, COMPUTING, OWNER, PROVIDER, ServingSettings
from parties.tensors.serving.share import ModelShare, keep_share, reload_share
from parties.tensors.serving.sitting import Sitting
from parties.tensors.serving.tally import Tally

_LOOK_S = 0.5  # between two looks whether to go on
_GREETING_S = 10.0  # for the first message of a connection
_NAME_LENGTH = 32
_LEFT = "its client has left"
_ENDS = "this party of the service ends"
_HAS_ONE = "this service has a model already"
_MOST_CONNECTIONS = 16  # of one client at once
_MOST_NOTED = 50  # sentences on conversations that ended


class Service:
    """One computing party, from its start to its end."""

    def __init__(self, party: Party[ServingSettings], connections: Connections) -> None:
        self.settings = party.settings
        self.progress = party.progress
        self.connections = connections
        self.model = Model(self.settings.model, self.settings.model_digest)
        self.tally = Tally()
        self.quota = Quota(self.settings.accounts, self.settings.quota)
        self.trust = ""
        self._mailbox = Mailbox(connections)
        self._ending = threading.Event()  # nobody is let in any more
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._talking: list[TlsChannel] = []  # with the owner and with clients
        self._noted = 0
        self._changed = threading.Condition()  # for what follows
        self._share = self._reload()
        self._sitting: Sitting | None = None
        self._to_close: Sitting | None = None

    def _reload(self) -> ModelShare | None:
        settings = self.settings
        if settings.share is None:
            raise PartyError("expected a place for the share of the model, found none")
        agreed, tickets = settings.agreed(), settings.ticket_bytes
        share = reload_share(settings.share, self.model, settings.name, agreed, settings.ring_bits, tickets)
        if share is not None:
            self.progress.note("took its share of the model from the disk")
        return share

    # -- the main thread ----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until a signal tells the party to end. Raises what ends it otherwise."""
        settings = self.settings
        if settings.listen is None:
            raise PartyError("expected an address to listen at, found none")
        listener = self.connections.listen(settings.listen)
        self.progress.listening(listener.port)
        self._start(self._accept, listener)
        expires = time.monotonic() + settings.connect_deadline_s
        meeter = Meeter(settings, self.connections, self._mailbox)
        while True:
            self.connections.close_left()  # of lanes that were late in earlier sessions
            try:
                share = self._await_share(expires)
                with self.progress.step("1", "meet the other parties", awaits=self._others()):
                    lead = settings.name == settings.leader
                    meeting = (meeter.lead if lead else meeter.follow)(share.name, expires)
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
                time.sleep(_LOOK_S)
                continue
            sitting = Sitting(settings, self.model, share, meeting, self.tally, self.quota)
            try:
                self._open(sitting)
                self.progress.note(f"session {self.tally.sessions} begins")
                sitting.serve()
            except TransportError as error:
                self.progress.begin_again(f"{error}; all meet again within {settings.return_s:g} s")
            self._close(sitting)  # `stop` does so after all else, in its own time
            expires = time.monotonic() + settings.return_s

    def _others(self) -> list[str]:
        settings = self.settings
        return [name for name in (*settings.computing, settings.provider) if name and name != settings.name]

    def _await_share(self, expires: float) -> ModelShare:
        with self._changed:
            if self._share is None:
                with self.progress.step("0", "wait for the model", awaits=[self.settings.owner]):
                    while self._share is None:
                        if time.monotonic() >= expires:
                            owner = self.settings.owner  # which waits for all other hosts before it gives its model
                            raise AbsentError(f"no model of {owner} came in time", awaits=(owner,), step="0")
                        self._changed.wait(_LOOK_S)
            return self._share

    def _open(self, sitting: Sitting) -> None:
        with self._changed:
            self._sitting = self._to_close = sitting
            self.tally.sessions += 1
            self._changed.notify_all()

    def _close(self, sitting: Sitting) -> None:
        with self._changed:
            self._sitting = None
        ended = sitting.end()
        self.trust = sitting.trust or self.trust
        if ended:
            sitting.meeting.close(self.connections)
        else:
            self.connections.leave_open_for(sitting.threads, partial(sitting.meeting.close, self.connections))
        self._mailbox.clear()
        self._to_close = None

    def stop(self) -> None:
        """End the session that is open, and all threads and conversations. It belongs behind :func:`serving`.

        A lane may still compute, and a party that was told to end would have no time for that within.
        """
        self._ending.set()
        if self._to_close is not None:
            self._close(self._to_close)
        self._over.set()
        for channel in list(self._talking):
            channel.interrupt()
        if not await_ends(self._threads, _LOOK_S + 2.0):
            self.connections.leave_open_for(self._threads)

    # -- a thread for each that comes ---------------------------------------------------------------------------------

    def _start(self, work: object, *arguments: object) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]  # a method
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: Listener) -> None:
        """Let in whoever belongs to the service. One that does not fit is told, and the service goes on.

        At its end clients still come in, and are told to ask again.
        """
        settings = self.settings
        roles = dict.fromkeys(settings.clients, str(CLIENT)) | {settings.owner: str(OWNER)}
        roles |= dict.fromkeys([name for name in settings.computing if name != settings.name], str(COMPUTING))
        if settings.provider:
            roles[settings.provider] = PROVIDER
        while not self._over.is_set():
            try:
                channel = self.connections.accept(listener, roles, _LOOK_S)
            except DeadlineError:
                continue
            except MpcError as error:
                self._note(f"turned away: {error}")
                continue
            if self._ending.is_set() and channel.peer not in settings.clients:
                self.connections.hang_up([channel])
                self._note(f"turned away {channel.peer}: {_ENDS}")
                continue
            self._start(self._receive, channel, roles[channel.peer])

    def _receive(self, channel: TlsChannel, role: str) -> None:
        """Take what one connection brings. Its failures end that conversation alone."""
        channel.deadline_s = _GREETING_S
        kept = False
        try:
            self._talking.append(channel)
            if role == OWNER:
                self._take_model(channel)
            elif role == CLIENT:
                self._answer(channel)
            else:
                purpose = channel.recv_message("purpose", Purpose)
                channel.deadline_s = self.settings.message_deadline_s
                self._mailbox.put(channel, purpose)
                kept = True
        except TransportError:
            pass  # it has left
        except (MpcError, PartyError) as error:
            self._note(f"a conversation with {channel.peer} ended: {error}")
        finally:
            self._talking.remove(channel)
            if not kept:
                self.connections.hang_up([channel])

    def _note(self, sentence: str) -> None:
        """Write down what went wrong in a conversation. Nobody can fill the disk so."""
        self._noted += 1
        if self._noted <= _MOST_NOTED:
            self.progress.note(sentence)

    def _take_model(self, channel: TlsChannel) -> None:
        """Keep this party's share of the model, facing :mod:`parties.tensors.serving.owner`."""
        settings, model = self.settings, self.model
        channel.deadline_s = settings.message_deadline_s
        offer = channel.recv_message("model/offer", Offer)
        if offer.parameters != tuple(model.parameters) or len(offer.model) != _NAME_LENGTH:
            raise ProtocolError.mismatch(
                "parameters", ", ".join(model.parameters), ", ".join(offer.parameters), peer=channel.peer
            )
        pieces = {}
        for number, (name, (shape, _)) in enumerate(model.parameters.items()):
            body = channel.recv(f"model/{number}", wire_size(prod(shape), settings.ring_bits))
            with channel.naming_peer():
                pieces[name] = read_piece(body, shape, settings.ring_bits)
        tickets = bytes(channel.recv("model/tickets", settings.ticket_bytes)) if settings.ticket_bytes else b""
        with self._changed:
            refused = _HAS_ONE if self._share is not None else ""
        channel.send_message("model/held", Held(refused))
        if refused:
            return
        channel.recv_message("model/commit", Commit)  # an owner that is lost before leaves room for another offer
        with self._changed:
            if self._share is not None:
                channel.send_message("model/kept", Kept(_HAS_ONE))
                return
            share = ModelShare(offer.model, pieces, tickets)
            if settings.share is not None:
                keep_share(settings.share, share, settings.name, settings.agreed(), settings.ring_bits)
            self._share = share
            self._changed.notify_all()
        channel.send_message("model/kept", Kept())
        self.progress.note(f"keeps a share of the model of {channel.peer} ({len(pieces)} parameters)")

    def _answer(self, channel: TlsChannel) -> None:
        """Take a client's requests one after the other, facing :mod:`parties.tensors.serving.client`."""
        settings, model = self.settings, self.model
        open_now = sum(other.peer == channel.peer for other in list(self._talking))
        if open_now > _MOST_CONNECTIONS:
            raise ProtocolError.mismatch("connections, at most", _MOST_CONNECTIONS, open_now, peer=channel.peer)
        while not self._over.is_set():
            channel.deadline_s = settings.run_deadline_s  # it may ask when it likes
            ask = channel.recv_message("ask", Ask)
            channel.deadline_s = settings.message_deadline_s
            if not 1 <= ask.records <= settings.largest_batch or len(ask.name) != _NAME_LENGTH:
                raise ProtocolError.mismatch(
                    "records of a request, at most", settings.largest_batch, ask.records, peer=channel.peer, step="ask"
                )
            shape, answer = (ask.records, *model.input), (ask.records, *model.output)
            body = channel.recv("ask/pieces", Piece.size(shape, answer, settings.ring_bits, settings.pads))
            with channel.naming_peer():
                piece = Piece.read(body, shape, answer, settings.ring_bits, settings.pads)
            ending = self._await_ending(channel, Request(f"{channel.peer}/{ask.name}", channel.peer, piece))
            if ending.outcome.kind != "answer":
                self.tally.ended(ending.outcome.kind)
            channel.send_message("outcome", ending.outcome)
            if ending.outcome.kind == "answer":
                channel.send("answer", ending.body)

    def _await_ending(self, channel: TlsChannel, request: Request) -> Ending:
        """Put a request before the session that is open or opens, and return how it ended."""
        expires = time.monotonic() + self.settings.answer_s
        sitting = self._await_sitting(expires)
        if sitting is None:
            why = _ENDS if self._ending.is_set() else "the parties of the service are not all there"
            return Ending(Outcome("again", why))
        sitting.take_in(request)
        given_up = False
        while time.monotonic() < expires + self.settings.message_deadline_s and not self._over.is_set():
            try:
                return request.ending.result(_LOOK_S)
            except LaterError:
                late = time.monotonic() > expires
                if not given_up and (late or channel.left):
                    given_up = True
                    sitting.give_up(request, f"no answer within {self.settings.answer_s:g} s" if late else _LEFT)
        return Ending(Outcome("again", _ENDS))

    def _await_sitting(self, expires: float) -> Sitting | None:
        with self._changed:
            while self._sitting is None and time.monotonic() < expires and not self._ending.is_set():
                self._changed.wait(_LOOK_S)
            return None if self._ending.is_set() else self._sitting

    def report(self) -> dict[str, object]:
        """Return what a result says of this party."""
        settings = self.settings
        return {
            "party": settings.name, "role": settings.role, "backend": settings.backend, "trust": self.trust,
            "lanes": settings.lanes, **self.tally.figures(),
        }  # fmt: skip


def party(party: Party[ServingSettings]) -> None:
    """Play one computing party, until it is told to end."""
    settings = party.settings
    with Connections(settings, party.folder, settings.role, settings.agreed(), party.progress.note) as connections:
        service = None
        try:
            with serving():
                stand_by(party, connections)
                service = Service(party, connections)
                service.run()
        finally:
            if service is not None:
                service.stop()
    if service is None:
        return
    if settings.share is not None and not settings.keep_share:
        settings.share.unlink(missing_ok=True)
    write_private(party.folder / "result.json", json.dumps(service.report()).encode())


if __name__ == "__main__":
    sys.exit(run_party(ServingSettings, party))
