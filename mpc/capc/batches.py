"""The name of a batch, by which it is asked for again after an interruption, without a second charge.

    QP                                   AP                          PG
    draws a name; keeps it, durably
    asks for the batch  ---------------------------------------->    charged once for a name
    the name  ------------------------>  charged once for a name
    steps 1a to 2
    keeps its share of the counts
    ready  ----------------------------------------------------->    keeps its noisy share, notes "opened", durably
    step 3  <--------------------------------------------------->    step 3
    keeps the labels

A name is 16 random bytes. Before "opened" nothing has left PG that depends on a vote, so no label was possible, and the
charge that was made pays for another try. After "opened" the QP may have its labels. It then asks for step 3 alone to
be repeated. PG garbles anew for the very share that it kept, with the noise that is in it, and the QP evaluates with
the very share that it kept. The labels are the same, and no AP takes part.

On privacy. A repetition to a QP that follows the protocol gives the same labels, hence nothing new. A QP that deviates
can enter other shares into a repetition, and so learn more about the same noisy counts. It never learns more than all
of them. The charge pays for all of them, because the ledger counts an answer as Gaussian noise on every count, and the
argmax or the majority is computed from these alone. With a threshold that is not so. The check compares counts without
noise to one limit, so that two looks at one limit would give differences of counts exactly. A batch with a threshold is
therefore never repeated (:data:`State`, "closed").
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from mpc.channels.frames import Channel
from mpc.errors import ProtocolError
from mpc.randomness import SYSTEM, Randomness

NAME_BYTES = 16
NO_BATCH = b""
"""Stands in place of a name where there is no batch."""

State = Literal["open", "repeat", "closed"]
"""What may happen to a batch. It may be answered, or step 3 alone may be repeated, or its labels were possible before
and cannot be given again."""


class Openings(Protocol):
    """PG's durable notes of the batches whose labels were possible, with what a repetition needs."""

    def state(self, account: str, batch: bytes) -> State:
        """Return what may happen to a batch of this account."""
        ...

    def forget_others(self, account: str, batch: bytes) -> None:
        """Wipe what is kept for all other batches of this account. That their labels were possible is still known."""
        ...


def draw_name(randomness: Randomness = SYSTEM) -> bytes:
    """QP: draw the name of a batch."""
    return randomness.bytes(NAME_BYTES)


def check_name(channel: Channel, batch: bytes, *, may_be_none: bool = False) -> None:
    """Raise `ProtocolError` for a name of another length than :data:`NAME_BYTES`."""
    if len(batch) != NAME_BYTES and not (may_be_none and batch == NO_BATCH):
        raise ProtocolError.mismatch(
            "bytes in the name of a batch", NAME_BYTES, len(batch), peer=channel.peer, step=channel.step
        )


# The name, from the QP to every AP, when the session begins and before each batch.


class BatchName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The batch that is asked next. When a session begins, it is the one that was interrupted, if there is one."""

    batch: bytes


def querying_name_batch(channel: Channel, batch: bytes) -> None:
    """QP: tell an AP which batch comes next."""
    channel.send_message("batch/name", BatchName(batch))


def answering_receive_name(channel: Channel, *, may_be_none: bool = False) -> bytes:
    """AP: receive the name of the next batch. Raises `ProtocolError` for a name of another length."""
    batch = channel.recv_message("batch/name", BatchName).batch
    check_name(channel, batch, may_be_none=may_be_none)
    return batch


# Before step 3, from the QP to PG.


class Ready(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says that the QP has kept what a repetition of step 3 would need."""


def querying_say_ready(channel: Channel) -> None:
    """QP: tell PG that step 3 may begin."""
    channel.send_message("release/ready", Ready())


def guardian_await_ready(channel: Channel) -> None:
    """PG: wait until step 3 may begin."""
    channel.recv_message("release/ready", Ready)
