"""What t trustees see of a key that is made, and what is published."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mpc._core import CurveBase
from mpc.commons import group, sharing
from mpc.commons.encoding import encode
from mpc.commons.group import GENERATOR, ORDER, CurvePoints, SecretScalar, same, scalars
from mpc.commons.key_messages import Deal
from mpc.commons.key_session import KeySession
from mpc.commons.sharing import Polynomial, interpolate
from mpc.randomness import SeededRandomness
from tests.mpc.commons.keys import Meeting, made_key, opened, trustees


def test_nothing_that_is_published_in_an_honest_session_is_a_share() -> None:
    meeting = Meeting(4, 1).run()
    public = b"".join(meeting.published)
    for session in meeting.sessions:
        for share, blinding in session._shares.values():
            assert share.reveal() not in public
            assert blinding.reveal() not in public
        assert session.share.secret.reveal() not in public


class Chosen(KeySession):
    """A dealer whose polynomials are given."""

    polynomials: tuple[Polynomial, Polynomial]

    def start(self) -> Any:
        self._polynomial, self._blinding = self.polynomials
        return super().start()


def test_what_one_trustee_sees_before_the_key_fits_every_secret_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trustee 1 of 4 spies on dealer 0, whose secret is 11 or 12. Its view is byte for byte the same.

    The test knows log H, which nobody does. For every secret there is exactly one pair of polynomials that gives the
    view, so the view is independent of the secret. The key itself shows only in the phase REVEAL.
    """
    logarithm = 987654321
    table = CurveBase(GENERATOR.multiply(scalars((logarithm,))))
    monkeypatch.setattr(sharing, "second_base", lambda: table)

    def polynomial(*values: int) -> Polynomial:
        return Polynomial([SecretScalar.of(value) for value in values])

    slope = (11 + 2 * 22 - 12) * pow(2, -1, ORDER) % ORDER
    back = pow(logarithm, -1, ORDER)
    worlds = (
        (polynomial(11, 22), polynomial(33, 44)),
        (polynomial(12, slope), polynomial(33 + (11 - 12) * back, 44 + (22 - slope) * back)),
    )
    views, keys = [], []
    for world in worlds:
        meeting = Meeting(4, 1)
        setup, identities = trustees(4, 1)
        dealer = Chosen(setup, 0, identities[0], SeededRandomness(b"dealer"))
        dealer.polynomials = world
        meeting.sessions[0] = dealer
        meeting.run()
        early = [m.contents() for m in map(opened, meeting.published) if m.sender == 0 and m.kind <= 3]
        handed = meeting.sessions[1]._shares[0]
        # All that depends on the secret, but for what is sealed to others.
        bare = [replace(one, handovers=()) if isinstance(one, Deal) else one for one in early]
        views.append(([encode(one) for one in bare], [one.reveal() for one in handed]))
        keys.append(meeting.sessions[0].key.key)
    assert views[0] == views[1]
    assert keys[0] != keys[1]


def test_t_shares_fit_every_key() -> None:
    """For any key there is a polynomial of degree t through t given shares, so t shares say nothing of it."""
    key, shares = made_key(7, 2)
    spies = shares[3:5]
    for other in (GENERATOR, key.point):
        known = [other, *(one.secret.times_generator() for one in spies)]
        indices = [0, *(one.trustee + 1 for one in spies)]
        every = CurvePoints.join([interpolate(indices, known, at=index) for index in range(8)])
        assert sharing.are_on_a_polynomial(2, every[:1], every[1:])
        assert same(every[4:6], CurvePoints.join(known[1:]))
    assert group.same(key.part(3), spies[0].secret.times_generator())
