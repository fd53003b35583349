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
from mpc.tensors.backends.replicated.masked import THIRD
from mpc.tensors.backends.replicated.trio import Form, Trio


def from_third(
    trio: Trio, what: str, shapes: Sequence[Shape], forms: Sequence[Form], make: Callable[[], Sequence[Words]]
) -> list[tuple[Words, ...]]:
    """Return for each flat array that the third party makes what this party holds of it, modulo 2^bits.

    That is component 0 at party 0, component 2 at party 1, and components 2 and 0 at the third party.
    """
    if trio.place == 1:
        trio.third(what, shapes, (forms, []), [])
        return [(trio.draw(2, "third", (form.count,), form.bits),) for form in forms]
    if trio.place != THIRD:
        return [(words,) for words in trio.third(what, shapes, (forms, []), [])]
    found = []
    for words, form in zip(make(), forms, strict=True):
        drawn = trio.draw(2, "third", (form.count,), form.bits)
        found.append((drawn, (words - drawn) & np.uint64((1 << form.bits) - 1)))
    trio.third(what, shapes, (forms, []), [rest for _, rest in found])
    return list(found)


def planes_from_third(
    trio: Trio, what: str, shapes: Sequence[Shape], shape: Shape, make: Callable[[], Words]
) -> tuple[Words, ...]:
    """Return what this party holds of planes that the third party makes, as :func:`from_third`, by XOR."""
    form = Form(int(np.prod(shape)))
    if trio.place == 1:
        trio.third(what, shapes, ([form], []), [])
        return (trio.stream(2, "third").words(shape),)
    if trio.place != THIRD:
        (words,) = trio.third(what, shapes, ([form], []), [])
        return (words.reshape(shape),)
    drawn = trio.stream(2, "third").words(shape)
    rest = make() ^ drawn
    trio.third(what, shapes, ([form], []), [rest])
    return drawn, rest
