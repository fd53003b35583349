"""The benchmark of private tensors: it refuses wrong flags, finds what went wrong, and its works come out right."""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.peers import works
from benchmarks.tensors import report
from benchmarks.tensors.__main__ import parse
from benchmarks.tensors.groups import Command, GroupError, started
from benchmarks.tensors.networks import NETWORKS
from benchmarks.tensors.parties import Cast, backends, cast
from benchmarks.tensors.peers import PEERS
from benchmarks.tensors.relay import Line, schedule
from benchmarks.tensors.rows import ROWS, Side, Sides, compare, logistic, network, our_side, too_long

ROOT = Path(__file__).resolve().parents[3]
CAST = Cast("dealer", 2, True)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--peer", "spu=/nowhere/python"], "expected crypten, mpyc, spu and its Python, found spu=/nowhere/python"),
        (["--peer", f"other={sys.executable}"], f"found other={sys.executable}"),
        (["--peer", "spu"], "found spu"),
        (["--rounds", "0"], "expected at least 1, found 0"),
        (["--quick", "--docs"], "expected figures of several rounds, found --quick"),
        (["--backend", "trust-me"], "invalid choice: 'trust-me'"),
    ],
)
def test_wrong_flags_are_refused_with_a_sentence(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(words)
    assert sentence in capsys.readouterr().err


def test_every_backend_has_a_cast_and_takes_no_other_number_of_parties() -> None:
    for name in backends():
        found = cast(name)
        assert found is not None
        assert found.backend == name
    assert cast("dealer") == CAST
    assert cast("dealer", 10) == Cast("dealer", 10, True)
    assert cast("dealer", 1) is None


# -- groups ----------------------------------------------------------------------------------------------------------

SCRIPT = """
import os, socket, sys, time
from orders import Orders, RefusedError
def prepare(order):
    if order["work"] == "refused":
        raise RefusedError("expected another work, found this one")
    def run():
        if order["work"] == "late":
            time.sleep(60)
        if order["work"] == "dies":
            os._exit(3)
        if order["work"] == "range":
            raise RefusedError("needs 65 bits, ring has 64")
        if order["work"] == "talks":
            with socket.create_server(("127.0.0.1", 0)) as server:
                with socket.create_connection(server.getsockname()) as near:
                    near.sendall(bytes(5000))
                    server.accept()[0].recv(5000)
        time.sleep(0.03)
        return 7
    return run, lambda result: {"error": result}
Orders(sys.argv[1], sys.argv[2]).take_all(prepare, lambda: {"rounds": 2, "sent": 1000})
"""


def made_up(folder: Path, orders: Path) -> list[Command]:
    """Two processes of a peer that does whatever it is told."""
    script = folder / "script.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(ROOT / 'benchmarks' / 'peers')!r})\n{SCRIPT}")
    words = (sys.executable, str(script), str(orders))
    return [Command(name, (*words, name), folder / f"{name}.log") for name in ("one", "two")]


MADE_UP = Side("made-up", False, made_up)


def test_a_works_time_bytes_and_memory_are_those_of_all_processes() -> None:
    with Sides() as sides:
        found = compare(sides, [MADE_UP], {"work": "talks"}, 2)["made-up"]
    assert len(found["ms"]) == 2
    assert all(30 <= ms < 10_000 for ms in found["ms"])
    assert found["mb"] >= 2 * 5000 / 1e6
    assert set(found["memory_mb"]) == {"one", "two"}
    assert all(1 < mb < 1000 for mb in found["memory_mb"].values())
    assert all(cpu > 0 for cpu in found["cpu_ms"])
    assert found["error"] == 7
    assert (found["rounds"], found["sent_mb"]) == (0, 0)  # what a work adds to these counts


@pytest.mark.parametrize(
    ("work", "sentence"),
    [
        ("refused", "expected another work, found this one"),
        ("range", "needs 65 bits, ring has 64"),
        ("dies", "a process ended"),
        ("late", "took more than 1 s"),
    ],
)
def test_what_went_wrong_stands_in_the_result_and_the_next_work_is_done(work: str, sentence: str) -> None:
    with Sides(limit_s=1.0) as sides:
        assert compare(sides, [MADE_UP], {"work": work}, 1)["made-up"] == {"ours": False, "missing": sentence}
        assert "ms" in compare(sides, [MADE_UP], {"work": "talks"}, 1)["made-up"]


def test_a_peer_that_sends_nothing_has_done_it_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.tensors.groups.loopback_bytes", lambda: 17)  # others may use this machine's device
    with Sides() as sides:
        found = compare(sides, [MADE_UP], {"work": "silent"}, 1)["made-up"]
        assert found["missing"] == "nothing crossed the network: it was done in the clear"
        assert "ms" in compare(sides, [MADE_UP], {"work": "silent"}, 1, on_loopback=False)["made-up"]


def test_what_would_take_too_long_by_one_of_its_steps_is_not_tried() -> None:
    rows = {row.name: row for row in ROWS}
    (epoch, mlp) = (rows["mlp-epoch"], rows["mlp"])
    assert too_long(epoch, {}, MADE_UP) == ""
    assert too_long(epoch, {"mlp": {"made-up": figures([900.0])}}, MADE_UP) == ""
    assert too_long(epoch, {"mlp": {"made-up": figures([1000.0])}}, MADE_UP) == "would take 62 s, by one of its steps"
    assert too_long(mlp, {"mlp": {"made-up": figures([90_000.0])}}, MADE_UP) == ""


def test_a_slow_work_of_ours_is_done_once_and_that_of_a_peer_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.tensors.rows.SLOW_MS", 1.0)
    ours = Side("ours", True, made_up)
    with Sides() as sides:
        done: list[str] = []
        once = sides.once
        monkeypatch.setattr(
            sides, "once", lambda side, *rest, **more: (done.append(side.name), once(side, *rest, **more))[1]
        )
        found = compare(sides, [ours, MADE_UP], {"work": "talks"}, 3)
    assert done == ["ours", "made-up", "made-up"]
    assert [len(each["ms"]) for each in found.values()] == [1, 1]


def test_a_group_that_does_not_start_says_its_last_words_and_leaves_nothing(tmp_path: Path) -> None:
    words = (sys.executable, "-c", "import sys; sys.exit('no such package')")
    commands = [*made_up(tmp_path, tmp_path / "orders")[:1], Command("bad", words, tmp_path / "bad.log")]
    with pytest.raises(GroupError, match="bad: no such package"), started("x", commands, tmp_path / "orders", 5):
        pass
    assert not (tmp_path / "orders").exists()


def test_a_process_ends_when_the_benchmark_is_gone(tmp_path: Path) -> None:
    (command, _) = made_up(tmp_path, tmp_path / "orders")
    with started("x", [command], tmp_path / "orders", 5) as group:
        pid = group.members[0].pid
    assert not Path(f"/proc/{pid}").exists()


# -- the project's works ---------------------------------------------------------------------------------------------


def test_the_works_of_the_dealer_come_out_right_over_tls() -> None:
    bounds = {
        "multiply": ({"work": "multiply", "size": 1000}, 16 * 2**-16),
        "matmul": ({"work": "matmul", "size": 20}, 40 * 2**-16),
        "relu": ({"work": "relu", "size": 1000}, 2**-16),
        "argmax": ({"work": "argmax", "size": 20}, 0),
        "cn-relu": ({"work": "cn-relu", "batch": 2}, 0.002),
        "logistic": (logistic(2), 0.001),
        "mlp": (network((784, 16, 10), 2, batch=8), 0.001),
    }
    with Sides() as sides:
        side = our_side(CAST)
        assert compare(sides, [side], {"work": "sum"}, 1)["dealer"]["missing"].startswith("expected a work among")
        for name, (order, bound) in bounds.items():
            found = compare(sides, [side], order, 1)["dealer"]
            assert found.get("error", 9) <= bound, (name, found)
            assert found["rounds"] > 0
            assert 0 < found["sent_mb"] <= found["mb"] * 1.01
            assert set(found["memory_mb"]) == {"alice", "bob", "dealer"}
        real = sides.once(side, logistic(10) | {"real": True}, check=True)
    assert real.said["accuracy"] == pytest.approx(0.965, abs=0.01)
    assert abs(real.said["accuracy"] - real.said["twin_accuracy"]) <= 0.005


def test_a_classifier_in_floats_is_torchs() -> None:
    x, kernel, hidden, last = (torch.tensor(array) for array in works.classifier(3))
    values = torch.relu(torch.nn.functional.conv2d(x, kernel, stride=2))
    logits = torch.relu(values.flatten(1) @ hidden) @ last
    np.testing.assert_allclose(works.classify(*works.classifier(3)), logits.numpy(), atol=1e-12)
    assert values.shape == (3, 5, 13, 13)


def test_training_in_floats_is_what_torch_does() -> None:
    sizes = (784, 12, 9, 10)
    x, y = works.images(24)
    found = works.train_network(sizes, x, y, 8, 4, 0.3)
    weights = [torch.tensor(weight, requires_grad=True) for weight in works.first_weights(sizes)]
    optimiser = torch.optim.SGD(weights, lr=0.3)
    for step in (0, 1, 2, 0):
        rows = slice(8 * step, 8 * step + 8)
        values = torch.tensor(x[rows])
        for weight in weights[:-1]:
            values = torch.relu(values @ weight)
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(values @ weights[-1], torch.tensor(y[rows])).backward()
        optimiser.step()
    for mine, his in zip(found, weights, strict=True):
        np.testing.assert_allclose(mine, his.detach().numpy(), atol=1e-12)


# -- what is shown ---------------------------------------------------------------------------------------------------


def figures(ms: list[float], mb: float = 1.0) -> dict[str, object]:
    return {"ours": True, "ms": ms, "cpu_ms": ms, "mb": mb, "rounds": 2, "memory_mb": {"a": 3.0}, "error": 0.5}


def test_a_made_up_result_becomes_rows_with_ratios_and_goals(tmp_path: Path) -> None:
    casts = [CAST, Cast("two_party", 2, False), Cast("dealer_mac", 2, True)]
    rows = {
        "multiply": {
            "dealer": figures([40.0, 44.0, 50.0]),
            "two_party": figures([2100.0]),
            "dealer_mac": figures([353.0]),  # no goal is for products with MACs
            "SPU SEMI2K": figures([80.0, 44.0, 150.0]),
            "SPU Cheetah": figures([8800.0]),
            "CrypTen, trusted first party": {"ours": False, "missing": "took more than 60 s"},
        },
        "mlp": {"dealer": figures([20.0, 30.0, 25.0], mb=8.5), "dealer_mac": figures([161.0, 150.0, 225.0])},
        "mlp-epoch": {"dealer": figures([20.0]), "dealer_mac": figures([160.0])},
        "cn-relu": {"dealer": figures([10.0]), "CrypTen, trusted third party": figures([29.0])},
        "relu": {"dealer": {"ours": True, "missing": "a process ended"}},
    }
    lines = {(line[0], line[1]): line[2:] for line in report.goal_rows(rows, casts)}
    place = {peer.name: 2 + index for index, peer in enumerate(PEERS)}
    dealer = lines["multiply 10^6", "dealer"]
    assert dealer[:2] == ["44.0 [40.0-50.0]", "45.0: met"]
    assert dealer[place["SPU SEMI2K"]] == "2.0 [1.0-3.0]"
    assert dealer[place["SPU Cheetah"]] == "200 [176-220]"
    assert dealer[place["CrypTen, trusted first party"]] == ""
    assert lines["multiply 10^6", "two_party"][1] == "2,000: not met"
    assert lines["multiply 10^6", "dealer_mac"][1] == ""
    assert lines["MLP 784-128-10, batch 128, a step", "dealer_mac"][1] == "8 x dealer: not met, 8.1 x"
    assert lines["MLP, 62 batches", "dealer_mac"][1] == "8 x dealer: met, 8.0 x"
    assert lines["MLP 784-128-10, batch 128, a step", "dealer"][1] == "25.0: met, 8 MB: not met"
    assert lines["CN-ReLU, 64 images", "dealer"][1] == "3 x as fast as CrypTen, trusted third party: not met"
    assert lines["ReLU 10^5", "dealer"][0] == "a process ended"
    results = {
        "rows": rows,
        "accuracy": {"MLP": {"dealer": {"ms": [5.0], "accuracy": 0.9, "twin_accuracy": 0.8, "error": 0.1}}},
        "parties": {"dealer, 3 parties, relu": figures([7.0]) | {"count": 3}},
        "batches": {"16": {"dealer": figures([8.0])}},
        "networks": {
            NETWORKS[1].title: {"mlp": {"dealer": figures([9.0])}},
            f"{NETWORKS[1].title}, round trip in ms": 1.1,
        },
    }
    text = report.tables(results, casts)
    for cell in ("| 0.900  | 0.800", "| dealer, 3 parties, relu | 7.0", "| 0.50        |", "| 1 Gbit/s, 1 ms |"):
        assert cell in text, text
    report.plot(results, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 10_000
    report.plot({}, tmp_path / "empty.png")
    assert report.tables({}, casts) == ""


# -- the link --------------------------------------------------------------------------------------------------------


def test_a_packet_takes_both_lines_and_the_delay() -> None:
    one, two, three = Line(1), Line(2), Line(3)
    packet = bytes(10 + 1000)
    schedule(one, three, packet, 5.0, 1e6, 0.02)
    schedule(one, three, packet, 5.0, 1e6, 0.02)
    schedule(two, three, packet, 5.0, 1e6, 0.02)
    schedule(one, two, packet, 5.0, 1e6, 0.02)
    assert [due for due, _ in three.waiting] == pytest.approx([5.021, 5.022, 5.023])  # the third waits for the line
    assert two.waiting[0][0] == pytest.approx(5.023)  # and this one for its sender's


def test_the_socket_of_a_benchmark_is_not_on_a_network(tmp_path: Path) -> None:
    with started("x", made_up(tmp_path, tmp_path / "orders")[:1], tmp_path / "orders", 5) as group:
        assert group.members[0]._connection.family == socket.AF_UNIX
        began = time.monotonic()
        group.once({"work": "silent"})
        assert time.monotonic() - began < 30
