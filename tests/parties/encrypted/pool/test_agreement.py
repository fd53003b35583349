"""The common random string of a pooled training, which passes through a trainer that may make it up."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mpc.channels.frames import Channel
from mpc.channels.memory import memory_pair, run_both_sides
from mpc.encrypted.threshold import agreement
from mpc.errors import CheatingError
from parties.encrypted.pool.wire import owner_agree, trainer_agree

JOB = bytes(range(32))
SIGNING = [Ed25519PrivateKey.from_private_bytes(bytes([place]) * 32) for place in range(3)]
OWNERS = tuple(one.public_key().public_bytes_raw() for one in SIGNING)
SAID = agreement.SAID_BYTES

Relay = Callable[[list[Channel]], object]


def run(relay: Relay) -> list[object]:
    """What each owner ends with, its string or its error, with this relay between them."""
    ends: list[object] = [None] * 3
    pairs = [memory_pair("trainer", f"owner {place}", 10) for place in range(3)]

    def owner(place: int) -> None:
        try:
            ends[place] = owner_agree(pairs[place][1], JOB, place, SIGNING[place], OWNERS)
        except CheatingError as error:
            ends[place] = error

    threads = [threading.Thread(target=owner, args=(place,), daemon=True) for place in range(3)]
    for one in threads:
        one.start()
    relay([near for near, _ in pairs])
    for one in threads:
        one.join(10)
    return ends


def named(end: object) -> str:
    assert isinstance(end, CheatingError), end
    return end.peer


def test_an_honest_trainer_and_all_owners_have_one_string() -> None:
    found: list[bytes] = []
    ends = run(lambda channels: found.append(trainer_agree(channels, JOB, OWNERS)))
    assert {*ends} == {*found}
    assert len(found[0]) == 32


def test_a_trainer_that_makes_up_what_owners_say_is_named() -> None:
    """With openings of its own it would choose the string, also in place of the asked owner's own."""
    openings = [bytes([place + 1]) * 32 for place in range(3)]
    forged = [Ed25519PrivateKey.generate() for _ in range(3)]

    def relay(channels: list[Channel]) -> None:
        commitments = [agreement._commitment(JOB, place, one) for place, one in enumerate(openings)]
        for channel in channels:
            channel.recv("agree/commitment", SAID)
        signed = [agreement.owner_sign(JOB, k, "commitment", c, forged[k]) for k, c in enumerate(commitments)]
        for channel in channels:
            channel.send("agree/commitments", b"".join(signed))

    ends = run(relay)
    assert [named(end) for end in ends] == ["trainer"] * 3
    assert "expected the commitment of owner 1, signed by it for this job, found another" in str(ends[1])


@pytest.mark.parametrize("word", ["commitment", "opening"])
def test_a_trainer_that_changes_a_word_is_named_and_no_owner_is(word: str) -> None:
    def relay(channels: list[Channel]) -> None:
        for now in ("commitment", "opening"):
            said = [bytes(channel.recv(f"agree/{now}", SAID)) for channel in channels]
            if now == word:
                said[1] = bytes(32) + said[1][32:]
            for channel in channels:
                channel.send(f"agree/{now}s", b"".join(said))
            if now == word:
                return

    assert [named(end) for end in run(relay)] == ["trainer"] * 3


def test_a_word_of_another_contribution_of_this_owner_is_not_taken_for_its_own() -> None:
    """The owner has signed it, as one that began anew has, and would otherwise answer for it."""
    near, far = memory_pair("trainer", "owner", 10)
    other = agreement.owner_contribute(JOB, 0)

    def relay() -> None:
        near.recv("agree/commitment", SAID)
        signed = [
            agreement.owner_sign(JOB, place, "commitment", other.commitment, key) for place, key in enumerate(SIGNING)
        ]
        near.send("agree/commitments", b"".join(signed))

    with pytest.raises(CheatingError, match="trainer: expected this owner's own commitment among those of all"):
        run_both_sides(relay, lambda: owner_agree(far, JOB, 0, SIGNING[0], OWNERS))


def test_the_trainer_names_an_owner_that_has_not_signed_what_it_says() -> None:
    near, far = memory_pair("trainer", "bea", 10)
    contribution = agreement.owner_contribute(JOB, 1)
    far.send("agree/commitment", agreement.owner_sign(JOB, 1, "commitment", contribution.commitment, SIGNING[0]))
    with pytest.raises(CheatingError, match="bea: expected the commitment of owner 1, signed by it"):
        trainer_agree([near], JOB, OWNERS[1:2])
