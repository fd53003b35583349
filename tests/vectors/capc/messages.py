"""Single messages of the steps that stand around a run, which are hello, turn, pool and budget, and their receivers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from mpc.capc import batches, budget, odometer, turns
from mpc.channels.frames import Channel
from mpc.channels.hello import Hello, exchange_hello
from mpc.channels.memory import memory_pair
from mpc.inference.pool import AnsweringPool, Order
from tests.vectors.capc.scenario import Vector

State = dict[str, Any]

STRUCTS: dict[str, type[msgspec.Struct]] = {
    "hello": Hello,
    "turn": turns.YourTurn,
    "pool/order": Order,
    "batch/name": batches.BatchName,
    "release/ready": batches.Ready,
    "budget/request": budget.BatchRequest,
    "budget/spent": budget.Spent,
    "owner/account": odometer.OwnersAccount,
}

# Each takes the receiver's end and what the receiver knows by then.
RECEIVERS: dict[str, Callable[[Channel, State], object]] = {
    "hello": lambda channel, state: exchange_hello(
        channel, Hello(**state["own"]), state["expected_role"], speaks_first=False
    ),
    "turn": lambda channel, state: turns.querying_await_turn(channel),
    "pool/order": lambda channel, state: AnsweringPool(
        channel, lambda queries: queries, state["pool"], state["max_queries"]
    ).next(),
    "batch/name": lambda channel, state: batches.answering_receive_name(channel, may_be_none=state["first"]),
    "release/ready": lambda channel, state: batches.guardian_await_ready(channel),
    "budget/request": lambda channel, state: budget.guardian_receive_request(channel, state["max_queries"]),
    "budget/spent": lambda channel, state: budget.querying_receive_spent(channel, state["requested"]),
    "owner/account": lambda channel, state: odometer.querying_receive_account(channel, state["most"]),
}


def body_of(message: str, fields: State) -> bytes:
    """The canonical body of a message with these fields."""
    return msgspec.msgpack.encode(msgspec.convert(fields, STRUCTS[message]))


def receive(vector: Vector) -> object:
    """Hand the message to its receiver, in the step that the vector names."""
    sender, receiver = memory_pair(vector["from"], vector["to"], deadline_s=1.0)
    sender.send(vector.get("named", vector["message"]), bytes.fromhex(vector["body"]))
    with receiver.in_step(vector["step"]):
        return RECEIVERS[vector["message"]](receiver, vector["state"])
