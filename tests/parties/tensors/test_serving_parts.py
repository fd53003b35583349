"""The parts of a service: the order of requests, quotas, shares on the disk, and what a model's file must say."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpc.errors import ProtocolError, RangeError
from mpc.tensors.delivery import Piece
from mpc.tensors.ranges import Format
from parties.frame.errors import ConfigError
from parties.frame.plan import Run, RunFolders
from parties.tensors.config import TensorsConfig
from parties.tensors.programs import Here, ProgramError
from parties.tensors.protocol import PROTOCOL
from parties.tensors.serving.desk import Desk, Ending, Request
from parties.tensors.serving.line import Line
from parties.tensors.serving.messages import Order, Outcome
from parties.tensors.serving.model import BUILT_IN, Model, model_path
from parties.tensors.serving.quota import Quota
from parties.tensors.serving.share import ModelShare, ShareError, keep_share, reload_share
from tests.parties.tensors.services import MODEL

HOSTS = ("a", "b")


def line(lanes: tuple[int, ...] = (4,), most: int = 100, max_wait_s: float = 0.0, patience_s: float = 30.0) -> Line:
    return Line(HOSTS, lanes, most, max_wait_s, patience_s)


def come(at: Line, *requests: tuple[str, int]) -> None:
    for name, records in requests:
        for host in HOSTS:
            at.arrived(host, name, records)


def batch(order: Order | None) -> tuple[int, tuple[str, ...]]:
    assert order is not None
    return order.lane, order.requests


# -- the line --------------------------------------------------------------------------------------------------------


def test_a_batch_takes_those_in_front_as_far_as_they_fit() -> None:
    at = line()
    come(at, ("x/1", 1), ("y/1", 2), ("x/2", 2), ("y/2", 1))
    assert batch(at.next(0)) == (0, ("x/1", "y/1"))
    assert at.next(0.01) is None  # its lane computes
    at.lane_is_free(0)
    assert batch(at.next(0)) == (0, ("x/2", "y/2"))


def test_a_request_stands_in_line_once_it_is_at_all_parties() -> None:
    at = line()
    at.arrived("a", "x/1", 1)
    assert at.next(0.01) is None
    at.arrived("b", "x/1", 1)
    assert batch(at.next(0)) == (0, ("x/1",))


def test_the_first_in_line_waits_so_long_for_others() -> None:
    at = line(max_wait_s=0.3)
    began = time.monotonic()
    come(at, ("x/1", 1))
    assert batch(at.next(100)) == (0, ("x/1",))
    assert 0.29 < time.monotonic() - began < 60


def test_a_full_batch_leaves_at_once() -> None:
    at = line(max_wait_s=60)
    come(at, ("x/2", 1))
    threading.Timer(0.05, come, (at, ("y/1", 3))).start()
    began = time.monotonic()
    assert batch(at.next(50)) == (0, ("x/2", "y/1"))
    assert time.monotonic() - began < 30


def test_the_smallest_lane_that_fits_is_taken() -> None:
    at = line((2, 8, 8))
    come(at, ("x/1", 2))
    assert batch(at.next(0)) == (0, ("x/1",))
    come(at, ("x/2", 1))
    assert batch(at.next(0))[0] == 1
    come(at, ("x/3", 8))
    assert batch(at.next(0)) == (2, ("x/3",))
    come(at, ("x/4", 3))
    at.lane_is_free(0)
    assert at.next(0.01) is None  # it does not fit the lane that is free
    at.lane_is_free(2)
    assert batch(at.next(0)) == (2, ("x/4",))


def test_a_full_line_is_busy_and_says_how_many_wait() -> None:
    at = line(most=5, max_wait_s=9)
    come(at, ("x/1", 3), ("y/1", 3))
    order = at.next(0)
    assert order is not None
    assert (order.requests, order.kind) == (("y/1",), "busy")
    assert order.why == "3 records are waiting, and at most 5 may"


def test_a_request_that_does_not_come_to_all_parties_ends() -> None:
    at = line(patience_s=0.05)
    at.arrived("a", "x/1", 1)
    time.sleep(0.06)
    order = at.next(0)
    assert order is not None
    assert (order.kind, order.why) == ("refused", "expected the request at all computing parties, found none at b")
    at.arrived("b", "x/1", 1)  # too late
    assert at.next(0) == Order(
        requests=("x/1",), why="expected a request that waits for an answer, found one that ended"
    )


def test_parties_that_have_other_numbers_of_records_get_no_batch() -> None:
    at = line()
    at.arrived("a", "x/1", 1)
    at.arrived("b", "x/1", 2)
    order = at.next(0)
    assert order is not None
    assert (order.lane, order.kind) == (-1, "refused")
    assert at.next(0.01) is None


def test_a_request_that_is_given_up_before_its_batch_ends_at_all() -> None:
    at = line(max_wait_s=9)
    come(at, ("x/1", 1), ("y/1", 1))
    at.give_up("x/1", "its client has left")
    assert at.next(0) == Order(requests=("x/1",), why="its client has left")
    come(at, ("y/2", 3))
    assert batch(at.next(0)) == (0, ("y/1", "y/2"))
    at.give_up("y/1", "too late")
    assert at.next(0.01) is None


def test_a_party_that_a_request_comes_to_late_hears_of_its_end_again() -> None:
    """The leader has turned it away before it came there. That party refuses it as well, and waits for its end."""
    at = line()
    for host in HOSTS:
        at.give_up("x/1", f"too many, says {host}")
        assert at.next(0) == Order(requests=("x/1",), why=f"too many, says {host}")


# -- the desk --------------------------------------------------------------------------------------------------------


def request(name: str, records: int = 1) -> Request:
    return Request(
        name,
        name.split("/", maxsplit=1)[0],
        Piece(*(np.zeros((records, columns), np.uint64) for columns in (3, 2, 0))),
    )


def test_a_request_is_taken_for_a_batch_once() -> None:
    desk = Desk()
    for each in ("x/1", "y/1", "y/2"):
        desk.put(request(each))
    assert [one.name for one in desk.take(("y/1", "x/1"), 4, "a")] == ["y/1", "x/1"]
    for wrong in (("x/1",), ("y/2", "y/2"), ("z/1",)):
        with pytest.raises(ProtocolError, match="a: expected a batch of requests that wait here"):
            desk.take(wrong, 4, "a")
    with pytest.raises(ProtocolError, match="x: expected a fresh name"):
        desk.put(request("x/1"))
    desk.put(request("z/1", 5))
    with pytest.raises(ProtocolError, match="expected records of a batch, at most 4, found 5"):
        desk.take(("z/1",), 4, "a")
    with pytest.raises(ProtocolError, match="expected records of a batch"):
        desk.take((), 4, "a")


def test_every_request_ends_and_none_comes_after_the_end() -> None:
    desk = Desk()
    waits, taken, late = (request(name) for name in ("x/1", "x/2", "x/3"))
    desk.put(waits)
    desk.put(taken)
    desk.take(("x/2",), 4, "a")
    desk.end("unknown", Ending(Outcome("refused")))
    desk.close(Ending(Outcome("again", "a party was lost")))
    desk.put(late)
    assert [one.ending.result(0).outcome.kind for one in (waits, taken, late)] == ["again"] * 3


# -- quotas ----------------------------------------------------------------------------------------------------------


def test_a_quota_counts_over_restarts_and_what_is_on_its_way(tmp_path: Path) -> None:
    path = tmp_path / "accounts.jsonl"
    quota = Quota(path, 10)
    quota.charge({"x": 4, "y": 9})
    again = Quota(path, 10)
    assert again.refusal("x", 6, 0) == ""
    assert again.refusal("x", 7, 0) == "expected at most 10 records of x in all, found 7 after 4"
    assert again.refusal("x", 4, 3) == "expected at most 10 records of x in all, found 4 after 4 and 3 on their way"
    assert again.refusal("z", 10, 0) == ""
    quota.charge({"x": 6})
    assert again.refusal("x", 1, 0)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Quota(path, None).refusal("x", 1000, 0) == ""


# -- the share on the disk -------------------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path: Path) -> Model:
    (tmp_path / "tiny.py").write_text(MODEL)
    return Model(tmp_path / "tiny.py")


AGREED = {"model": "1", "lanes": "8"}


def kept(path: Path, model: Model) -> ModelShare:
    random = np.random.default_rng(1)
    pieces = {name: random.integers(0, 2**64, shape, np.uint64) for name, (shape, _) in model.parameters.items()}
    share = ModelShare("f" * 32, pieces)
    keep_share(path, share, "a", AGREED, 64)
    return share


def test_a_share_comes_back_from_the_disk(tmp_path: Path, model: Model) -> None:
    path = tmp_path / "model.share"
    assert reload_share(path, model, "a", AGREED, 64) is None
    share = kept(path, model)
    again = reload_share(path, model, "a", AGREED, 64)
    assert again is not None
    assert again.name == share.name
    assert all((again.pieces[name] == share.pieces[name]).all() for name in share.pieces)
    assert path.stat().st_mode & 0o777 == 0o600
    assert "pieces" not in repr(again)


@pytest.mark.parametrize(
    ("party", "agreed", "change", "words"),
    [
        ("b", AGREED, lambda content: content, "expected a share of this party"),
        ("a", AGREED | {"lanes": "4"}, lambda content: content, "expected a share of this service"),
        ("a", AGREED, lambda content: content[:-1] + bytes([content[-1] ^ 1]), "as it was written"),
        ("a", AGREED, lambda content: content[:-8], "as it was written"),
        ("a", AGREED, lambda content: b"nothing", "found something else"),
    ],
)
def test_another_share_is_refused(
    tmp_path: Path, model: Model, party: str, agreed: Mapping[str, str], change: Any, words: str
) -> None:
    path = tmp_path / "model.share"
    kept(path, model)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ShareError, match=words):
        reload_share(path, model, party, agreed, 64)


def test_tickets_come_back_from_the_disk_with_the_share(tmp_path: Path, model: Model) -> None:
    path = tmp_path / "model.share"
    share = ModelShare("f" * 32, kept(path, model).pieces, bytes(range(200)))
    keep_share(path, share, "a", AGREED, 64)
    again = reload_share(path, model, "a", AGREED, 64, 200)
    assert again is not None
    assert again.tickets == share.tickets
    with pytest.raises(ShareError, match="expected 64 bytes of pieces in"):
        reload_share(path, model, "a", AGREED, 64, 0)


# -- a model's file --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("OUTPUT = (2,)", "", "expected the name OUTPUT, found none"),
        ("INPUT, BOUND = (3,), 8", "INPUT, BOUND = 3, 8", "expected a shape as INPUT, found 3"),
        ("BOUND = (3,), 8", "BOUND = (3,), 'x'", "BOUND: expected a bound"),
        ("((2,), (0, 1))}", "(2,)}", "expected a shape and a bound for 'offset'"),
        ("def records(", "def record(", r"expected a function records\(here, client\), found none"),
    ],
)
def test_what_a_models_file_must_say(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = tmp_path / "own.py"
    path.write_text(MODEL.replace(old, new))
    with pytest.raises(ProgramError, match=words):
        Model(path)


@pytest.mark.parametrize(
    ("old", "new", "error", "words"),
    [
        (".relu()", ".relu()[:, 0]", ProgramError, r"expected answers of shape \(4, 2\), found \(4,\)"),
        (".relu()", ".relu() * x.sum()", ProgramError, "found that other records change the answer to record"),
        (".relu()", ".relu().softmax(0)", ProgramError, "expected each answer to depend on its own record alone"),
        (
            "return (x @",
            "return (__import__('mpc.tensors').tensors.concatenate([x[1:], x[-1:]]) @",
            ProgramError,
            "other records change the answer",
        ),
        (
            ".relu()",
            ".relu() + __import__('mpc.tensors').tensors.concatenate([x[:1], x[1:] + x[1:].sum(0)])[:, :2]",
            ProgramError,
            "other records",
        ),
        (".relu()", ".relu() * (x.max(0).max() > 6)", ProgramError, "other records change the answer"),
        (".relu()", ".relu().value", ProgramError, "line 18: AttributeError"),
        (
            "return (x @",
            "s.reveal(x.sum(), to=s.parties, name='sum')\n    return (x @",
            ProgramError,
            "reveal 'sum': the policy allows answers, and no output of this name",
        ),
        ("return (x @", "return 1 if x[0, 0] > 0 else (x @", ProgramError, "line 18: TypeError"),
        ("INPUT, BOUND = (3,), 8", "INPUT, BOUND = (3,), 2**40", ProgramError, "needs .* bits"),
    ],
)
def test_a_mistake_of_a_model_is_found_before_anything_starts(
    tmp_path: Path, old: str, new: str, error: type[Exception], words: str
) -> None:
    path = tmp_path / "own.py"
    path.write_text(MODEL.replace(old, new))
    with pytest.raises(error, match=words):
        Model(path).try_out(4, Format(64, 16))


def test_a_model_whose_bounds_do_not_reach_zero_is_tried_out_within_them(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(MODEL.replace("BOUND = (3,), 8", "BOUND = (3,), (1, 8)").replace("x @", "(1 / x) @"))
    Model(path).try_out(4, Format(64, 16))


def test_the_built_in_model_recognises_digits() -> None:
    model = Model(model_path("digits"))
    here = Here({"epochs": 30, "records": 397})
    found = model.in_the_clear(model.load(here), model.records(here, "client"))
    assert found is not None
    assert found.shape == (397, 10)
    assert model.path.parent == BUILT_IN
    with pytest.raises(ProgramError, match="expected a built-in model"):
        model_path("nothing")


# -- the configuration -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"low_water": 8}, "low_water: expected less than the pool of 8, found 8"),
        ({"small_batches": [64]}, "small_batches: expected less than max_batch 64, found 64"),
        ({"queue": 10}, "queue: expected at least max_batch 64, found 10"),
        ({"clients": {"x": {"ask": 65}}}, "clients: x asks about 65 at once, expected at most 64"),
        ({"clients": {}}, "clients"),
        ({"owner": "hospital"}, "expected each party in one role, found hospital in two"),
    ],
)
def test_choices_that_contradict_each_other_are_refused(choices: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TensorsConfig.model_validate({"program": "digits", "serving": choices})


def test_a_service_reveals_nothing_but_answers(tmp_path: Path) -> None:
    config = TensorsConfig.model_validate({"program": "digits", "serving": {}, "reveal": {"x": ("hospital",)}})
    with pytest.raises(ConfigError, match="expected no reveal"):
        PROTOCOL.plan(config, Run(RunFolders(tmp_path / "f", tmp_path / "l", "run"), "0" * 32, 20000))


def test_what_each_party_is_told(tmp_path: Path) -> None:
    """Nobody but a client knows its records' twin, and nobody but a computing party has a place for a share."""
    config = TensorsConfig.model_validate({"program": "digits", "serving": {"clients": {"x": {}, "y": {}}}})
    plan = PROTOCOL.plan(config, Run(RunFolders(tmp_path / "f", tmp_path / "l", "run"), "0" * 32, 20000))
    told = {process.name: json.loads(process.settings.model_dump_json()) for process in plan.processes}
    assert {name for name, one in told.items() if one["twin"]} == {"x", "y"}
    assert told["x"]["twin"] != told["y"]["twin"]
    assert {name for name, one in told.items() if one["share"]} == {"hospital", "laboratory"}
    assert plan.services == ("hospital", "laboratory", "provider")
    places = [one["share"] for one in told.values() if one["share"]]
    assert all(Path(place).parent.name == name for place, name in zip(places, ("hospital", "laboratory"), strict=True))


def test_too_large_parameters_are_refused_at_their_owner() -> None:
    from mpc.tensors.delivery import pieces_of

    with pytest.raises(RangeError, match="offset: expected values within the stated bound"):
        pieces_of("offset", np.array([0.5, 1.5]), (2,), (0, 1), Format(64, 16), 2)
