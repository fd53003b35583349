"""A service as real processes over TLS: right answers to their clients alone, whatever happens to a party."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from mpc.errors import DeadlineError, ParameterError, ProtocolError, RangeError, TransportError
from mpc.tensors.delivery import Question
from parties.tensors.serving.client import Client, TurnedAwayError
from parties.tensors.serving.messages import Ask, Outcome
from tests.parties.tensors.services import HOSTS, MODEL, ROOT, Running, near, running
from tests.ports import free_ports

RNG = np.random.default_rng(5)
CLIENTS = ("ann", "ben", "eve", "quentin")


def some(count: int) -> np.ndarray:
    return RNG.uniform(-8, 8, (count, 3))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One service for all tests that leave it whole."""
    with running(tmp_path_factory.mktemp("service"), CLIENTS, quota=40, small_batches=(2,), answer_s=40) as found:
        found.wait_for("host-a", "session 1 begins")
        yield found


def test_answers_come_to_the_clients_that_asked(service: Running) -> None:
    """Two clients ask at the same time, so that their records share batches."""

    def ask(name: str) -> list[tuple[np.ndarray, np.ndarray]]:
        with service.client(name) as client:
            found = []
            for count in (1, 3, 8, 2, 1):
                records = some(count)
                found.append((client.ask(records), records))
            return found

    with ThreadPoolExecutor(2) as pool:
        for pairs in pool.map(ask, ("ann", "ben")):
            assert all(near(answers, records) for answers, records in pairs)


def test_what_does_not_fit_is_refused_by_the_client_before_anything_is_sent(service: Running) -> None:
    with service.client("eve") as client:
        for records, error, words in [
            (some(9), ParameterError, "expected 1 to 8 records at once, found 9"),
            (some(2)[:, :2], ParameterError, r"expected an array of shape \(2, 3\), found one of shape \(2, 2\)"),
            (some(2) * np.inf, RangeError, "found NaN or infinity"),
            (np.full((1, 3), 8.1), RangeError, "found one beyond it"),
        ]:
            with pytest.raises(error, match=words):
                client.ask(records)
        assert client._channels == []


def test_a_request_of_another_size_ends_its_own_conversation_alone(service: Running) -> None:
    with service.client("eve") as client:
        client._connect(time.monotonic() + 30)
        channel = client._channels[0]
        channel.send_message("ask", Ask(secrets.token_hex(16), 2))
        channel.send("ask/pieces", bytes(8 * (3 + 2)))  # of one record
        with pytest.raises(TransportError):
            channel.recv_message("outcome", Outcome)
        service.wait_for("host-a", "expected 80 bytes in 'ask/pieces', found 40")
        other = client._channels[1]
        other.send_message("ask", Ask(secrets.token_hex(16), 9))
        with pytest.raises(TransportError):
            other.recv_message("outcome", Outcome)
        service.wait_for("host-b", "expected records of a request, at most 8, found 9")
    with service.client("ann") as client:
        records = some(1)
        assert near(client.ask(records), records)


def question(client: Client, records: np.ndarray) -> Question:
    return Question.of(records, records.shape, 8, (len(records), 2), client.settings.format, 2)


def test_a_request_that_comes_to_one_party_alone_or_a_second_time_is_refused(service: Running) -> None:
    """A second answer to the same pieces would show how the first was rounded."""
    with service.client("eve") as client:
        client._connect(time.monotonic() + 30)
        asked, name = question(client, some(1)), secrets.token_hex(16)
        outcomes = []
        for _ in range(2):
            for channel, message in zip(client._channels, asked.messages, strict=True):
                channel.send_message("ask", Ask(name, 1))
                channel.send("ask/pieces", message)
            for channel in client._channels:
                outcomes.append(channel.recv_message("outcome", Outcome))
                if outcomes[-1].kind == "answer":
                    channel.recv("answer", 16)
        assert [outcome.kind for outcome in outcomes] == ["answer", "answer", "refused", "refused"]
        assert outcomes[3].why == "expected a request that waits for an answer, found one that ended"
        client._channels[1].send_message("ask", Ask(secrets.token_hex(16), 1))
        client._channels[1].send("ask/pieces", asked.messages[1])
        client._channels[1].deadline_s = 2.0
        with pytest.raises(DeadlineError):  # it waits for the other party's piece
            client._channels[1].recv_message("outcome", Outcome)


def test_a_client_that_leaves_ends_its_own_request_alone(service: Running) -> None:
    """It has given its pieces to one party. The others are answered as if it were not there."""
    with service.client("eve") as client:
        client._connect(time.monotonic() + 30)
        channel = client._channels[0]
        channel.send_message("ask", Ask(secrets.token_hex(16), 1))
        channel.send("ask/pieces", question(client, some(1)).messages[0])
    with service.client("ben") as client:
        for _ in range(3):
            records = some(1)
            assert near(client.ask(records), records)
        assert client.again == {}


def test_a_client_asks_about_so_many_records_and_no_more(service: Running) -> None:
    with service.client("quentin") as client:
        for _ in range(5):
            client.ask(some(8))
        with pytest.raises(TurnedAwayError, match="expected at most 40 records of quentin in all, found 1 after 40"):
            client.ask(some(1))
    for host in HOSTS:
        accounts = service.folders.party(host) / "accounts.jsonl"
        assert sum(json.loads(line).get("quentin", 0) for line in accounts.read_text().splitlines()) == 40
        assert accounts.stat().st_mode & 0o777 == 0o600


def test_another_service_or_another_file_of_the_model_is_refused_by_name(service: Running) -> None:
    for told, words in (({"lanes": (16,)}, "lanes"), ({"session": "1" * 32}, "session")):
        with service.client("eve", **told) as client, pytest.raises(ProtocolError, match=words):
            client.ask(some(1))
    with service.client("ann") as client:
        records = some(1)
        assert near(client.ask(records), records)


def test_a_share_lies_with_its_party_alone_and_is_uniform(service: Running) -> None:
    weights = np.rint(np.array([[0.5, -1.25], [2.0, 0.75], [-3.0, 1.5]]) * 2**16).astype(np.int64).astype(np.uint64)
    pieces = []
    for host in HOSTS:
        path = service.folders.party(host) / "model.share"
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        line, _, body = path.read_bytes().partition(b"\n")
        assert json.loads(line)["party"] == host
        pieces.append(np.frombuffer(body, dtype="<u8")[:6].reshape(3, 2))
    assert (pieces[0] + pieces[1] == weights).all()
    assert not any((piece == weights).any() for piece in pieces)
    shared = service.folders.logs.parent
    found = [path for path in shared.rglob("*.share")]
    assert sorted(path.parent.name for path in found) == list(HOSTS)


def test_no_value_stands_in_a_log_or_a_result(service: Running) -> None:
    record = np.array([[1.23456, -6.54321, 0.11111]])
    with service.client("ann") as client:
        answer = client.ask(record)
    said = "".join(path.read_text() for path in service.folders.logs.rglob("*.log"))
    said += "".join(service.folders.events(name).read_text() for name in (*HOSTS, "dora", "olga"))
    assert "session 1 begins" in said
    for value in (*record[0], *answer[0]):  # cut and rounded, to more digits than times of day have
        assert not any(text in said for text in (f"{value:.6f}"[:-2], f"{value:.4f}")) or value == 0


def test_a_second_model_is_refused_and_the_first_serves_on(service: Running) -> None:
    path = service.folders.settings("olga")
    command = [sys.executable, "-m", "parties.tensors.serving.owner", "--settings", str(path)]
    assert subprocess.run(command, stderr=subprocess.DEVNULL, cwd=ROOT, timeout=600, check=False).returncode == 1
    assert "host-a does not take the model: this service has a model already" in service.status("olga")["error"]
    with service.client("ann") as client:
        records = some(1)
        assert near(client.ask(records), records)


def test_one_client_cannot_hold_all_connections(service: Running) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(service.client("eve")) for _ in range(17)]
        for client in clients:
            client._connect(time.monotonic() + 30)
        service.wait_for("host-a", "expected connections, at most 16, found 17")
        records = some(1)
        assert near(clients[0].ask(records), records)


@pytest.mark.parametrize("victim", ["host-a", "host-b", "dora"])
def test_a_party_that_is_killed_comes_back_and_serves_on(tmp_path: Path, victim: str) -> None:
    """Requests on their way are asked again. Every answer is right."""
    with running(tmp_path, ("ann", "ben"), return_s=60, answer_s=100) as service:
        service.wait_for("host-a", "session 1 begins")
        stop, found = threading.Event(), {"ann": 0, "ben": 0}
        wrong: list[object] = []

        def ask(name: str) -> None:
            with service.client(name) as client:
                while not stop.is_set():
                    records = some(2)
                    answers = client.ask(records)
                    found[name] += 1
                    if not near(answers, records):
                        wrong.append((answers, records))

        with ThreadPoolExecutor(2) as pool:
            asking = [pool.submit(ask, name) for name in found]
            while min(found.values()) < 5 and not any(each.done() for each in asking):
                time.sleep(0.05)
            os.kill(service.worker(victim), signal.SIGKILL)
            service.wait_for("host-a" if victim != "host-a" else "host-b", "session 2 begins")
            before = dict(found)
            expires = time.monotonic() + 200
            while any(found[name] < before[name] + 5 for name in found) and time.monotonic() < expires:
                assert not any(each.done() for each in asking), [each.exception() for each in asking if each.done()]
                time.sleep(0.05)
            stop.set()
            for each in asking:
                each.result(60)
        assert wrong == []
        assert all(found[name] >= before[name] + 5 for name in found)
        said = {name: status and service.log(name)[-2000:] for name, status in service.end().items()}
        assert said == {"host-a": 0, "host-b": 0, "dora": 0, "olga": 0}
        if victim != "dora":
            assert "took its share of the model from the disk" in service.log(victim)
        assert not list(tmp_path.rglob("*.share"))


SLOW = """
import os
import pathlib
import time

import numpy as np

import parties.frame.lifetime
from mpc import _core

TOP = pathlib.Path({top!r})
parties.frame.lifetime._GRACE_S = 0.3


def answer(s, parameters, x):
    if (TOP / "slow").exists():
        (TOP / f"computing-{{os.getpid()}}").touch()
        matrix, expires = np.ones((100, 100), np.uint64), time.monotonic() + {slow_s}
        while time.monotonic() < expires:
            _core.matmul_u64(matrix, matrix)
    return (x @ parameters["weights"] + parameters["offset"]).relu()
"""


@pytest.mark.parametrize(("slow_s", "deadline_s"), [(3.0, 60.0), (60.0, 5.0)])
def test_hosts_that_compute_when_they_are_told_to_end_take_the_time_that_they_need(
    tmp_path: Path, slow_s: float, deadline_s: float
) -> None:
    """A party that has not heeded a signal is killed after a while. One that only waits for its lane is not.

    It waits for the message deadline. Then it ends as well, and its lane goes on in the core until the process is gone.
    """
    model = MODEL + SLOW.format(top=str(tmp_path), slow_s=slow_s)
    changed = {"message_deadline_s": deadline_s}
    with running(tmp_path, ("ann",), model=model, changed=changed) as found, found.client("ann") as client:
        found.wait_for("host-a", "session 1 begins")
        found.wait_for("host-b", "session 1 begins")
        (tmp_path / "slow").touch()
        client._connect(time.monotonic() + 60)
        asked, name = question(client, some(2)), secrets.token_hex(16)
        for channel, message in zip(client._channels, asked.messages, strict=True):
            channel.send_message("ask", Ask(name, 2))
            channel.send("ask/pieces", message)
        hosts = [found.worker(name) for name in HOSTS]
        expires = time.monotonic() + 60
        while not all((tmp_path / f"computing-{number}").exists() for number in hosts):
            assert time.monotonic() < expires
            time.sleep(0.02)
        assert set(found.end().values()) == {0}
        assert [found.status(name)["ok"] for name in HOSTS] == [True, True]


def test_a_whole_service_of_three_hosts_ends_by_itself_and_leaves_nothing(tmp_path: Path) -> None:
    hosts = ("host-a", "host-b", "host-c")
    with running(tmp_path, ("ann", "ben"), run_clients=True, computing=hosts) as service:
        for name in ("ann", "ben", "olga"):
            assert service.processes[name].wait(600) == 0, service.log(name)
        assert set(service.end().values()) == {0}
        for name in hosts:
            assert service.result(name)["answers"] == {"ann": 20, "ben": 20}
            assert service.result(name)["sessions"] == 1
            assert service.status(name)["ok"]
        ann = service.result("ann")
        assert (ann["records"], ann["again"]) == (20, {})
        assert "up to 2 of the 3 computing parties may collude" in service.result("host-a")["trust"]
        marker = str(service.folders.files)
    left = [
        path for path in Path("/proc").glob("[0-9]*/cmdline")
        if marker in _read(path)
    ]  # fmt: skip
    assert left == []


@pytest.mark.parametrize(("backend", "count"), [("replicated", 3), ("two_party", 2)])
def test_a_service_without_a_provider(tmp_path: Path, backend: str, count: int) -> None:
    hosts = ("host-a", "host-b", "host-c")[:count]
    told = {"provider": None, "backend": backend}
    with running(tmp_path, ("ann",), computing=hosts, changed=told) as service:
        assert {process.name for process in service.plan.processes} == {*hosts, "olga", "ann"}
        with service.client("ann") as client:
            for records in (some(1), some(8), some(3)):
                assert near(client.ask(records), records)
        assert set(service.end().values()) == {0}
        assert service.result("host-a")["trust"].startswith(backend)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


def test_a_full_line_turns_requests_away_until_there_is_room(tmp_path: Path) -> None:
    """Requests of eight records, of which eight may wait, from six clients at once."""
    clients = tuple(f"client-{number}" for number in range(6))
    with running(tmp_path, clients, queue=8, max_wait_ms=300, answer_s=60) as service:
        service.wait_for("host-a", "session 1 begins")

        def ask(name: str) -> dict[str, int]:
            with service.client(name) as client:
                for _ in range(3):
                    records = some(8)
                    assert near(client.ask(records), records)
                return client.again

        with ThreadPoolExecutor(len(clients)) as pool:
            again = list(pool.map(ask, clients))
        assert sum(each.get("busy", 0) for each in again) > 0
        assert not any(each.get("again") for each in again)
        assert service.end()["host-a"] == 0
        assert service.result("host-a")["turned_away"]["busy"] > 0


@pytest.mark.parametrize("launcher", ["process", "tmux"])
def test_the_example_shows_answers_beside_the_model_in_the_clear(tmp_path: Path, launcher: str) -> None:
    if launcher == "tmux" and not shutil.which("tmux"):
        pytest.skip("no tmux here")
    command = [
        sys.executable, "run_protocol.py", "--config", "configs/private-serving.yaml", "--launcher", launcher,
        "--start_port", str(free_ports(2)), "--files_dir", str(tmp_path), "--logs_dir", str(tmp_path / "logs"),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "host-a and host-b answered 120 records of surgery, ambulance, school" in done.stdout
    (path,) = tmp_path.glob("*/result.json")
    reports = {report["party"]: report for report in json.loads(path.read_text())["result"]["reports"]}
    for client in ("surgery", "ambulance", "school"):
        assert reports[client]["records"] == 40
        assert reports[client]["farthest"] < 0.001
        assert reports[client]["same_largest"] == 1
        assert reports["host-a"]["answers"][client] == reports["host-b"]["answers"][client] == 40
    batches, prepared = reports["host-a"]["batches"], reports["provider"]["batches"]
    assert batches <= prepared <= batches + 2 * 8  # two sizes, with a pool of 8 each
    assert reports["host-b"]["pool_bytes"] > 0
    report = (path.parent / "report.html").read_text()
    assert "Who saw what" in report
    assert not list(tmp_path.rglob("*.share"))
