"""Randomness of a role: one source a purpose, the operating system's unless a test gives a seed."""

from __future__ import annotations

import hashlib

from mpc.randomness import SYSTEM, RoleRandomness, SeededRandomness, core_seed


def test_a_role_draws_from_the_system_unless_it_has_a_seed() -> None:
    role = RoleRandomness()
    assert role.source("noise") is SYSTEM
    assert core_seed(role.source("garbling/client")) is None  # the core asks the system itself
    assert repr(role) == "RoleRandomness(<system>)"


def test_a_seeded_role_has_a_source_of_its_own_for_each_purpose() -> None:
    role = RoleRandomness(b"seed")
    noise = role.source("noise")
    first, second = noise.bytes(16), noise.bytes(16)
    assert first == hashlib.shake_256(b"seed/noise" + bytes(8)).digest(16)
    assert second == hashlib.shake_256(b"seed/noise" + b"\x01" + bytes(7)).digest(16)
    assert role.source("threshold").bytes(16) not in (first, second)
    assert RoleRandomness(b"other").source("noise").bytes(16) != first
    assert role.source("noise").bytes(16) == first  # it starts anew
    assert core_seed(SeededRandomness(b"s")) == SeededRandomness(b"s").bytes(32)
    assert repr(role) == "RoleRandomness(<seed hidden>)"
