"""A session of a service at one party: which orders it takes, how it ends, and what is left open for a late lane."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mpc.errors import CheatingError, DeadlineError, ProtocolError, TransportError
from mpc.tensors.delivery import Piece
from parties.frame.connections import Connections
from parties.frame.lifetime import ToldToEnd
from parties.frame.progress import Progress
from parties.tensors.serving import keeper
from parties.tensors.serving.computing import Service
from parties.tensors.serving.desk import Request
from parties.tensors.serving.meeting import Meeting
from parties.tensors.serving.messages import Order, Outcome
from parties.tensors.serving.provider import Provider
from parties.tensors.serving.quota import Quota
from parties.tensors.serving.sitting import Sitting
from parties.tensors.serving.tally import Tally

HOSTS = ("a", "b")


def a_follower(meeting: Meeting | None = None, quota: Quota | None = None, message_deadline_s: float = 60.0) -> Sitting:
    """A session at the party that does not lead. None of its threads runs yet."""
    settings: Any = SimpleNamespace(
        name="follower", leader="leader", computing=("leader", "follower"), lanes=(4,), queue=8, max_wait_ms=1,
        answer_s=5, pads=0, message_deadline_s=message_deadline_s,
    )  # fmt: skip
    model: Any = None
    return Sitting(settings, model, model, meeting or Meeting(), Tally(), quota or Quota(None, None))


def test_a_leader_cannot_order_what_another_party_refused_by_the_quota(tmp_path: Path) -> None:
    path = tmp_path / "accounts.jsonl"
    sitting = a_follower(quota=Quota(path, 2))
    piece = Piece(*(np.zeros((2, columns), np.uint64) for columns in (1, 1, 0)))
    first, second = (Request(f"client/{number:032d}", "client", piece) for number in (1, 2))
    sitting.take_in(first)
    sitting._obey(Order(lane=0, requests=(first.name,)))
    sitting.take_in(second)
    assert second.ending.result(0).outcome.kind == "refused"
    with pytest.raises(ProtocolError, match="expected a batch of requests that wait here"):
        sitting._obey(Order(lane=0, requests=(second.name,)))
    assert sitting._batches[0].qsize() == 1
    assert Quota(path, 2).refusal("client", 1, 0)


@pytest.mark.parametrize(("failure", "kind", "words"), [
    (CheatingError("expected what was opened to be what was shared, found another value"), "refused", "has cheated"),
    (TransportError("gone"), "again", "a session ended"),
])  # fmt: skip
def test_a_cheat_ends_all_requests_for_good_and_a_lost_party_does_not(
    failure: Exception, kind: str, words: str
) -> None:
    meeting = Meeting()
    sitting = a_follower(meeting)
    request = Request(f"client/{1:032d}", "client", Piece(*(np.zeros((2, 1), np.uint64) for _ in range(3))))
    sitting.take_in(request)
    meeting.fail(failure)
    assert sitting.end()
    ending = request.ending.result(0).outcome
    assert ending.kind == kind
    assert words in ending.why


@pytest.mark.parametrize("deadline_s", [0.2, 60.0])
def test_a_session_keeps_its_connections_for_a_lane_that_still_computes(deadline_s: float) -> None:
    sitting = a_follower(message_deadline_s=deadline_s)
    computed = threading.Event()
    sitting.threads = [threading.Thread(target=computed.wait, args=(1.0,) if deadline_s > 1 else (300,), daemon=True)]
    sitting.threads[0].start()
    assert sitting.end() == (deadline_s > 1)
    assert sitting.threads[0].is_alive() == (deadline_s < 1)
    computed.set()


def test_the_end_of_a_session_waits_for_lanes_no_longer_than_a_service_may(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("parties.tensors.serving.sitting.await_ends", lambda threads, within_s: waited.append(within_s))
    for deadline_s in (20.0, 3600.0):
        a_follower(message_deadline_s=deadline_s).end()
    assert waited == [20.0, 30.0]


@pytest.mark.parametrize("interrupted", ["traffic", "leave_open_for"])
def test_a_provider_that_is_told_to_end_as_it_ends_a_session_keeps_the_connections_of_a_late_lane(
    interrupted: str,
) -> None:
    kept: list[threading.Thread] = []
    told = [ToldToEnd("told to end by SIGTERM")]

    def hear(at: str) -> None:
        if at == interrupted and told:
            raise told.pop()

    class AMeeting(Meeting):
        def traffic(self) -> tuple[int, int]:
            hear("traffic")
            return 1, 2

    class SomeConnections:
        def leave_open_for(self, threads: list[threading.Thread], *_: object) -> None:
            hear("leave_open_for")
            kept.extend(threads)

    provider = Provider.__new__(Provider)
    provider.settings = SimpleNamespace(message_deadline_s=0.05)  # type: ignore[assignment]
    provider.connections = SomeConnections()  # type: ignore[assignment]
    provider.tally, provider._to_close, provider._batches = Tally(), AMeeting(), []
    computed = threading.Event()
    late = threading.Thread(target=computed.wait, args=(300,), daemon=True)
    late.start()
    provider._threads = [late]
    with pytest.raises(ToldToEnd):
        provider.stop()
    provider.stop()
    provider.stop()
    computed.set()
    assert late in kept
    assert (provider.tally.sent, provider.tally.received) == (1, 2)


def test_connections_of_a_late_lane_are_closed_before_a_later_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed, late, closed, tries = threading.Event(), [], [], []

    class AMeeting(Meeting):
        def close(self, connections: Connections) -> None:
            closed.append(len(tries))

    class AMeeter:
        def __init__(self, *_: object) -> None: ...

        def provide(self, _: float) -> Meeting:
            tries.append(list(closed))
            if len(tries) == 1:
                return AMeeting()
            if len(tries) == 2:
                computed.set()
                late[0].join(60)
                raise TransportError("gone")
            raise ToldToEnd

    def serve(_: Meeting) -> None:
        late.append(threading.Thread(target=computed.wait, args=(300,), daemon=True))
        late[0].start()
        provider._threads = list(late)
        raise TransportError("gone")

    monkeypatch.setattr("parties.tensors.serving.provider.Meeter", AMeeter)
    provider = Provider.__new__(Provider)
    settings: Any = SimpleNamespace(
        message_deadline_s=0.05, connect_deadline_s=60, return_s=60, computing=HOSTS, deployed=False
    )
    provider.settings, provider.tally, provider._batches = settings, Tally(), []
    provider.connections = Connections.__new__(Connections)
    provider.connections._open, provider.connections._workers, provider.connections._left_open = [], [], []
    monkeypatch.setattr(provider, "_serve", serve)
    with Progress("dora", tmp_path / "dora.log", tmp_path, echo=False) as provider.progress, pytest.raises(ToldToEnd):
        provider.run()
    assert tries == [[], [], [2]]
    assert closed == [2]


def test_a_host_that_ends_lets_nobody_in_while_it_waits_for_a_lane() -> None:
    """Clients are told to ask again, and all others find a closed connection at once."""
    looked, hung_up, notes, let_in = threading.Event(), list[str](), list[str](), list[str]()
    told: list[Outcome] = []
    coming = [SimpleNamespace(peer=name) for name in ("leader", "dora", "olga", "ann")]

    class SomeConnections:
        def accept(self, *_: object) -> object:
            service._ending.wait(2)
            if not coming:
                looked.set()
                raise DeadlineError("nobody came")
            return coming.pop(0)

        def hang_up(self, channels: list[Any]) -> None:
            hung_up.extend(channel.peer for channel in channels)

    class ASitting:
        threads, trust, meeting = (), "", Meeting()

        def end(self) -> bool:
            asked: Any = None
            told.append(service._await_ending(asked, asked).outcome)
            return looked.wait(60)

    service = Service.__new__(Service)
    service.settings = SimpleNamespace(  # type: ignore[assignment]
        name="follower",
        clients={"ann": {}},
        owner="olga",
        computing=("leader", "follower"),
        provider="dora",
        answer_s=0.1,
        message_deadline_s=0.1,
    )
    service.connections = SomeConnections()  # type: ignore[assignment]
    service.progress = SimpleNamespace(note=notes.append)  # type: ignore[assignment]
    service._ending, service._over, service._changed = threading.Event(), threading.Event(), threading.Condition()
    service._threads, service._talking, service._noted, service.trust = [], [], 0, ""
    service._mailbox = SimpleNamespace(clear=lambda: None)  # type: ignore[assignment]
    service._sitting = service._to_close = ASitting()  # type: ignore[assignment]
    service._receive = lambda channel, _: let_in.append(channel.peer)  # type: ignore[method-assign]
    service._start(service._accept, None)
    service.stop()
    assert looked.is_set()
    assert hung_up == ["leader", "dora", "olga"]
    assert notes == [f"turned away {name}: this party of the service ends" for name in hung_up]
    assert let_in == ["ann"]
    assert told == [Outcome("again", "this party of the service ends")]


KEPT = """
import json, os, pathlib, signal, sys
folder = pathlib.Path({folder!r})
with (folder / "starts").open("a") as starts:
    starts.write("x")
if (folder / "starts").stat().st_size == {failing}:
    (folder / "status.json").write_text(json.dumps({{"ok": False, "error": "a cheat"}}))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("failing", "starts", "status"), [(1, 1, 1), (2, 2, 1), (0, 3, -signal.SIGKILL), (3, 3, 1)])
def test_a_party_that_says_that_it_failed_is_not_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int, starts: int, status: int
) -> None:
    """Even where it is killed after that. What an earlier process has said does not count for the next."""
    program = KEPT.format(folder=str(tmp_path), failing=failing)
    monkeypatch.setattr(keeper, "python_command", lambda *_: (sys.executable, "-c", program))
    (tmp_path / "status.json").write_text('{"ok": false, "error": "of an earlier run"}')
    settings = SimpleNamespace(role="computing", name="a", restarts=2, message_deadline_s=1.0)
    assert keeper.keep(settings, tmp_path / "settings.json") == status  # type: ignore[arg-type]
    assert (tmp_path / "starts").stat().st_size == starts
