"""Entries and the founding record, in one way of writing only."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpc.commons.encoding import decode, encode
from mpc.commons.entries import (
    BODIES,
    NONE,
    Endorsement,
    Entry,
    Grant,
    Kind,
    Policy,
    Range,
    Refuse,
    Register,
    Request,
    Rules,
    sign_entry,
)
from mpc.commons.founding import Founding, Task, TrusteeRecord
from mpc.commons.identities import Identity, TrusteeKeys, is_signed
from mpc.commons.notes import Note, SignatureLine
from mpc.commons.replica import Certified
from mpc.commons.steps import Coin, CoinShare, Verdict
from mpc.errors import ParameterError, ProtocolError
from tests.mpc.commons.setting import AGGREGATORS, TASK, Log, trustee_keys


def with_aggregator(**changes: object) -> dict[str, tuple[Task, ...]]:
    """Return a founding's task in which the first aggregator is another one."""
    first = dataclasses.replace(AGGREGATORS[0], **changes)  # type: ignore[arg-type]
    return {"tasks": (dataclasses.replace(TASK, aggregators=(first, *AGGREGATORS[1:])),)}


RULES = Rules(("sum",), (b"\1" * 32, b"\2" * 32), 2, 3, 9)
SAMPLES = [
    Register("clinic-1", 1, b""),
    Policy(1, b"\3" * 32, b"\4" * 32, "heights", RULES),
    Request(
        "heights", "sum", b"\5" * 32, bytes(64), (Range(1, 3), Range(5, 6)), 7, (Endorsement(b"\6" * 32, bytes(64)),)
    ),
    Grant(b"\7" * 32, b"\1" * 32, 3),
    Refuse(b"\7" * 32, 4, 5, 6, 7),
    Coin(b"\7" * 32, (CoinShare(1, b"\1" * 32, bytes(64)),)),
    Verdict(b"\7" * 32, (3, 4), (1,), NONE),
]


@pytest.mark.parametrize("record", SAMPLES, ids=lambda record: type(record).__name__)
def test_what_is_written_is_read_and_nothing_else_is(record) -> None:
    data = encode(record)
    assert decode(type(record), data) == record
    for cut in range(len(data)):
        with pytest.raises(ProtocolError):
            decode(type(record), data[:cut])
    with pytest.raises(ProtocolError, match="found 1 more bytes"):
        decode(type(record), data + b"\0")


@given(st.sampled_from(SAMPLES), st.data())
def test_whatever_decodes_encodes_to_the_same_bytes(record, data: st.DataObject) -> None:
    raw = bytearray(encode(record))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decode(type(record), bytes(raw))
    except ProtocolError:
        return
    assert encode(found) == raw


def test_every_kind_has_a_body() -> None:
    assert set(BODIES) == set(Kind)


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (dataclasses.replace(RULES, functions=("sum", "histogram")), "different functions in order"),
        (dataclasses.replace(RULES, consumers=(b"\2" * 32, b"\1" * 32)), "different keys of consumers in order"),
        (dataclasses.replace(RULES, threshold=3), "from 1 to the 2 consumers, found 3"),
        (Range(3, 3), "expected first below end"),
        (Register("Clinic 1", 1, b""), "expected as name a name of"),
        (Register("clinic", 256, b""), r"expected role from 0 to 2\^8 - 1, found 256"),
        (Refuse(NONE, 9, 0, 0, 0), "expected a reason from 1 to 8, found 9"),
    ],
)
def test_records_out_of_range_are_not_written(record, sentence: str) -> None:
    with pytest.raises(ParameterError, match=sentence):
        encode(record)


def test_a_signature_covers_log_kind_author_and_body() -> None:
    identity = Identity(bytes(32))
    entry = decode(Entry, sign_entry(identity, "one", SAMPLES[0]))
    assert entry.is_signed("one")
    assert not entry.is_signed("two")
    for change in ({"kind": 2}, {"author": Identity(b"\1" * 32).key}, {"body": entry.body + b"\0"}):
        assert not dataclasses.replace(entry, **change).is_signed("one")
    assert entry.contents() == SAMPLES[0]


def test_the_origin_covers_all_that_is_founded() -> None:
    founding = Log().founding
    origins = {founding.origin}
    for change in (
        {"log_key": bytes(32)},
        {"faulty": 0},
        {"trustees": (*founding.trustees[1:], founding.trustees[0])},
        {"tasks": (dataclasses.replace(TASK, smallest_batch=3),)},
    ):
        origins.add(dataclasses.replace(founding, **change).origin)
    assert len(origins) == 5


@pytest.mark.parametrize(("n", "t", "quorum"), [(4, 1, 3), (5, 1, 4), (7, 2, 5), (1, 0, 1), (10, 3, 7)])
def test_two_quorums_share_an_honest_trustee_and_the_honest_are_one(n: int, t: int, quorum: int) -> None:
    founding = Log(n, t).founding
    assert founding.quorum == quorum
    assert 2 * quorum - n >= t + 1
    assert n - t >= quorum


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"faulty": 2}, "expected at least 7 trustees where 2 may be faulty, found 4"),
        ({"log_key": TrusteeKeys(b"\0" * 32).log.key, "trustees": ()}, "expected at least 4 trustees"),
        ({"tasks": (TASK, dataclasses.replace(TASK, functions=("g",)))}, "tasks of different names"),
        ({"tasks": (dataclasses.replace(TASK, functions=()),)}, "different functions of task heights"),
        ({"tasks": (dataclasses.replace(TASK, smallest_batch=0),)}, "smallest batch of at least 1"),
        ({"tasks": (dataclasses.replace(TASK, faulty=0),)}, "at least one faulty aggregator and at least 1 agg"),
        ({"tasks": (dataclasses.replace(TASK, faulty=2),)}, "at least 5 aggregators in task heights, found 2 and 4"),
        (with_aggregator(key=AGGREGATORS[1].key), "aggregators with one name, key and point in all tasks"),
        (with_aggregator(name="aggregator-1"), "aggregators with one name, key and point in all tasks"),
        (with_aggregator(point=AGGREGATORS[1].point), "a point of its own for each aggregator of task heights"),
        (with_aggregator(point=b"\1" + bytes(31)), "points of aggregators of task heights: expected an element"),
        (with_aggregator(name="trustee-1"), "aggregators beside the trustees, found trustee-1"),
        (with_aggregator(key=trustee_keys(4)[1].identity.key), "aggregators beside the trustees, found aggregator-0"),
        (
            {"tasks": (TASK, dataclasses.replace(with_aggregator(name="other")["tasks"][0], name="b"))},
            "aggregators with one name, key and point in all tasks",
        ),
    ],
)
def test_unsound_foundings_are_refused(change: dict, sentence: str) -> None:
    founding: Founding = dataclasses.replace(Log().founding, **change)
    with pytest.raises(ParameterError, match=sentence):
        encode(founding)


def test_one_key_twice_is_refused() -> None:
    founding = Log().founding
    twice = dataclasses.replace(founding.trustees[0], key=founding.trustees[0].cosigner)
    with pytest.raises(ParameterError, match="expected 9 different keys of the trustees and the log, found 8"):
        encode(dataclasses.replace(founding, trustees=(twice, *founding.trustees[1:])))


def test_secret_keys_are_not_printed() -> None:
    seed = bytes(range(32))
    for found in (Identity(seed), TrusteeKeys(seed)):
        assert seed.hex()[:16] not in repr(found)


@pytest.mark.parametrize(
    "key",
    [
        b"\1" + bytes(31),
        bytes(32),
        b"\xec" + b"\xff" * 30 + b"\x7f",
        b"\xee" + b"\xff" * 30 + b"\x7f",  # the identity once more, written as p + 1
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    ],
)
def test_keys_of_small_order_have_signed_nothing(key: bytes) -> None:
    """Under the first of them this signature would hold for every message."""
    for message in (b"one", b"two", b"three", b"four"):
        assert not is_signed(key, b"\1" + bytes(63), message)
        assert not is_signed(key, key + bytes(32), message)


def test_a_logs_name_leaves_room_for_its_origin() -> None:
    founding = Log().founding
    longest = dataclasses.replace(founding, name="a" * 95)
    assert len(longest.origin) == 128
    assert decode(Founding, encode(longest)) == longest
    with pytest.raises(ParameterError, match="a log's name of at most 95 letters, found 96"):
        encode(dataclasses.replace(founding, name="a" * 96))


def test_the_most_trustees_fit_under_a_checkpoint() -> None:
    """All 64 of them cosign, beside the log itself, and with the longest names that there are."""
    trustees = tuple(
        TrusteeRecord(f"{place:02}".ljust(128, "t"), *(hashlib.sha256(bytes([place, use])).digest() for use in (1, 2)))
        for place in range(64)
    )
    founding = dataclasses.replace(Log().founding, name="a" * 95, faulty=21, trustees=trustees)
    names = [founding.origin, *(one.name for one in founding.cosigners)]
    note = Note("a checkpoint\n", tuple(SignatureLine(name, bytes(4), bytes(72)) for name in names))
    assert Note.read(bytes(note)) == note
    assert decode(Certified, encode(Certified(bytes(note)))).note == bytes(note)
