"""Who registers as what in a log, and which key of the trustees is registered."""

from __future__ import annotations

import dataclasses

import pytest

from mpc.commons.encoding import encode
from mpc.commons.entries import Register, Role
from mpc.commons.identities import Identity
from tests.mpc.commons.setting import Log, made_key, refused


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("provider", "expected the role trustee for the trustees' keys alone, found provider"),
        ("second name", "expected a new key and a new name"),
        ("second key", "expected a new key and a new name"),
        ("outsider as trustee", "expected the role trustee for the trustees' keys alone, found trustee"),
        ("details", "expected the trustees' key from trustees alone"),
        ("role", "expected a role from 1 to 4, found 6"),
        ("other trustee's name", "expected the name trustee-0, found trustee-1"),
        ("a trustee's name", "expected the name trustee-2 from the trustee that has it alone"),
    ],
)
def test_who_registers_as_what(name: str, words: str) -> None:
    log, fresh = Log(), Identity(b"\5" * 32)
    log.submit(log.provider, Register("clinic-1", Role.PROVIDER, b""))
    log.step()
    identity, body = {
        "provider": (log.keys[0].identity, Register("someone", Role.PROVIDER, b"")),
        "second name": (log.provider, Register("clinic-2", Role.PROVIDER, b"")),
        "second key": (fresh, Register("clinic-1", Role.PROVIDER, b"")),
        "outsider as trustee": (fresh, Register("trustee-9", Role.TRUSTEE, b"key")),
        "details": (fresh, Register("clinic-3", Role.PROVIDER, b"key")),
        "role": (fresh, Register("clinic-3", 6, b"")),
        "a trustee's name": (fresh, Register("trustee-2", Role.PROVIDER, b"")),
        "other trustee's name": (log.keys[0].identity, Register("trustee-1", Role.TRUSTEE, b"key")),
    }[name]
    log.submit(identity, body)
    assert words in refused(log)


def test_strangers_cannot_keep_trustees_from_registering_their_key() -> None:
    log = Log()
    for place in (1, 2):
        stranger = Identity(bytes([50 + place]) * 32)
        log.submit(stranger, Register(f"trustee-{place}", Role.PROVIDER, b""))
    log.register_all()
    log.step()
    assert log.copy.state.trustees_key == encode(log.key)


def test_the_trustees_key_is_what_a_quorum_has_registered() -> None:
    log = Log()
    one, other = (encode(made_key(4, 1, attempt)[0]) for attempt in (1, 2))
    for place, details in ((0, one), (1, other), (2, one)):
        log.submit(log.keys[place].identity, Register(f"trustee-{place}", Role.TRUSTEE, details))
    log.submit(log.owner, Register("owner", Role.OWNER, b""))
    log.submit(log.provider, Register("clinic-1", Role.PROVIDER, b""))
    policy = log.policy()
    log.step()
    assert log.copy.state.trustees_key == b""
    log.report(policy, 1)
    assert "expected the trustees' key before the first report" in refused(log)
    log.submit(log.keys[3].identity, Register("trustee-3", Role.TRUSTEE, one))
    log.step()
    assert log.copy.state.trustees_key == one


def test_nobody_registers_as_an_aggregator() -> None:
    """The founding record names them, so that nobody can come first and take a place."""
    log, stranger = Log(), Identity(b"\x31" * 32)
    for role in Role:
        log.submit(stranger, Register("aggregator-0", role, b"key" if role == Role.TRUSTEE else b""))
        assert "expected nobody to register as an aggregator, found aggregator-0" in refused(log)
    log.submit(log.aggregators[0], Register("someone", Role.PROVIDER, b""))
    assert "expected nobody to register as an aggregator, found someone" in refused(log)


def test_a_trustees_key_that_does_not_hold_is_not_registered() -> None:
    log = Log()
    key = log.key
    other, _ = made_key(4, 1, 1)
    for wrong, words in (
        (encode(key).replace(key.key, other.key), "the parts of a key that 2 trustees share"),
        (encode(key).replace(key.parts[3], other.parts[3]), "the parts of a key that 2 trustees share"),
        (encode(dataclasses.replace(key, parts=key.parts[:3], dealers=(0, 1, 2))), "expected a key of 4 trustees"),
        (encode(made_key(7, 2)[0]), "expected a key of 4 trustees"),
    ):
        log.submit(log.keys[0].identity, Register("trustee-0", Role.TRUSTEE, wrong))
        assert words in refused(log)
