"""What the third party knows alone, shared among the three.

The third party draws component 2 from its key with party 1 and sends component 0 to party 0. Component 1 is zero::

    party 2    v_2 = key 2      v_0 = v - v_2  ───►  party 0             party 1    v_2 = key 2

To party 0 v_0 is uniform, because it does not have key 2. Party 1 receives nothing at all. The third party knows v
itself. So that component 1 is known to be zero shows nothing to anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mpc.ring import Words
from mpc.tensors.backends.interface import Shape
from mpc.tensors.backends.replicated.trio import THIRD, Form, Trio


def from_third(trio: Trio, what: str, shapes: Sequence[Shape], form: Form, make: Callable[[], Words]) -> list[Words]:
    """Return what this party holds of a flat array that the third party makes.

    That is component 0 at party 0, component 2 at party 1, and components 2 and 0 at the third party.
    """
    found = [] if trio.place == 0 else [component_2(trio, form)]
    if trio.place == THIRD:
        found.append(component_0(make(), found[0], form))
    return [*found, *trio.third(what, shapes, ([form], []), found[1:])]


def component_2(trio: Trio, form: Form) -> Words:
    """Return the component that parties 1 and 2 draw."""
    if form.planes:
        return trio.stream(2, "third").words(form.count)
    return trio.draw(2, "third", (form.count,), form.bits)


def component_0(words: Words, drawn: Words, form: Form) -> Words:
    """Return the component that is left of an array of the third party's, for party 0."""
    return words.reshape(-1) ^ drawn if form.planes else (words - drawn) & np.uint64((1 << form.bits) - 1)
