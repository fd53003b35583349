"""Products of shared arrays, and of bits, in one round. Each of the parties shares what it alone can compute of them.

With components x_i and y_i, party i shares (:meth:`~mpc.tensors.backends.replicated_mac.guarded.Guarded.shared`)::

    v_i = x_i y_i + x_i y_(i+1) + x_(i+1) y_i            x y = v_0 + v_1 + v_2

and claims, with what it has drawn and sent::

    x_i y_(i+1) + y_i x_(i+1) = (drawn - x_i y_i) + sent

Its left verifier knows x_i, y_i and what was drawn, and its right one x_(i+1), y_(i+1) and what was sent. Components
that all know to be zero take part in nothing. A party without products of its own and another component shares nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mpc._core import and_layer
from mpc.ring import Words
from mpc.tensors.backends.interface import Shape
from mpc.tensors.backends.replicated.keys import PARTIES
from mpc.tensors.backends.replicated.masked import known
from mpc.tensors.backends.replicated.products import element_wise, of_matrices
from mpc.tensors.backends.replicated.trio import Pair
from mpc.tensors.backends.replicated_mac.gates import Claim, Gate, MatrixGate, Present, Zeros, crosses
from mpc.tensors.backends.replicated_mac.guarded import Guarded, Held, Part, Shares


def multiply(trio: Guarded, pairs: Sequence[tuple[Held, Held]], shapes: Sequence[Shape]) -> list[Held]:
    """Return element-wise products, which broadcast, in one round."""
    return _products(trio, "products", pairs, shapes, element_wise, _element_wise_gate)


def matrix_products(trio: Guarded, pairs: Sequence[tuple[Held, Held]], shapes: Sequence[Shape]) -> list[Held]:
    """Return matrix products, in one round."""
    return _products(trio, "products", pairs, shapes, of_matrices, _matrix_gate)


Function = Callable[[Present, Present, Shape], Words]
MakeGate = Callable[[Guarded, "tuple[Held, Held]", Shape, Sequence[int], Shares], "Gate | MatrixGate"]


def _products(
    trio: Guarded,
    what: str,
    pairs: Sequence[tuple[Held, Held]],
    shapes: Sequence[Shape],
    function: Function,
    make_gate: MakeGate,
) -> list[Held]:
    provers = [_provers(x.zeros, y.zeros) for x, y in pairs]
    parts = [
        Part(shape, some, function(_present(trio, x), _present(trio, y), shape) if trio.me in some else None)
        for (x, y), shape, some in zip(pairs, shapes, provers, strict=True)
    ]
    results = []
    for pair, some, part, shares in zip(pairs, provers, parts, trio.shared(what, parts), strict=True):
        first, second = of_shares(shares, part.shape)
        for number, component in enumerate((first, second)):
            if trio.own(number) not in some:  # what both holders of the component know, and nobody shares
                x, y = ((_present(trio, each)[number], None) for each in pair)
                np.add(component, function(x, y, part.shape), out=component)
        result = trio.replica(part.shape, (first, second))
        result.fresh = len(some) == PARTIES
        results.append(result)
        if some:
            trio.claim_numbers(make_gate(trio, pair, part.shape, some, shares))
    return results


def _provers(x: Zeros, y: Zeros) -> list[int]:
    """Return which parties have products of a component and the next one, whichever factor it is of."""
    return [party for party in range(PARTIES) if crosses(party, x, y) or crosses(party, y, x)]


def _present(trio: Guarded, value: Held) -> Present:
    """Return this party's components, without those that are zero for all to know."""
    first, second = trio.pair_of(value)
    return None if trio.me in value.zeros else first, None if trio.after in value.zeros else second


def of_shares(shares: Shares, shape: Shape) -> Pair:
    """Return this party's components of numbers that were shared, or of bits that one party shared."""
    components = []
    for one, other in ((shares.kept, shares.received), (shares.sent, shares.drawn)):
        total = np.zeros(shape, dtype=np.uint64)
        for words in (one, other):
            if words is not None:
                total += words
        components.append(total)
    return components[0], components[1]


def _element_wise_gate(
    trio: Guarded, pair: tuple[Held, Held], shape: Shape, provers: Sequence[int], shares: Shares
) -> Gate:
    x, y = (_present(trio, each) for each in pair)
    claims = []
    for prover in (party for party in (trio.me, trio.after, trio.before) if party in provers):
        terms = [crosses(prover, pair[0].zeros, pair[1].zeros), crosses(prover, pair[1].zeros, pair[0].zeros)]
        if prover == trio.me:
            claims.append(Claim(prover, _some(terms, x[0], y[0]), _some(terms, y[1], x[1]), None, shares.sent))
        elif prover == trio.after:
            drawn = shares.drawn
            if drawn is not None and x[1] is not None and y[1] is not None:
                drawn = drawn - x[1] * y[1]
            claims.append(Claim(prover, _some(terms, x[1], y[1]), None, drawn))
        else:
            claims.append(Claim(prover, None, _some(terms, y[0], x[0]), None, shares.received))
    return Gate(shape, claims)


def _some(terms: Sequence[bool], *arrays: Words | None) -> list[Words]:
    return [array for wanted, array in zip(terms, arrays, strict=True) if wanted and array is not None]


def _matrix_gate(
    trio: Guarded, pair: tuple[Held, Held], shape: Shape, provers: Sequence[int], shares: Shares
) -> MatrixGate:
    x, y = (_present(trio, each) for each in pair)
    shapes, zeros = (pair[0].shape, pair[1].shape), (pair[0].zeros, pair[1].zeros)
    return MatrixGate(shape, shapes, x, y, zeros, tuple(provers), shares.sent, shares.drawn, shares.received)


def times_third(trio: Guarded, what: str, who: int, factor: Pair, other: Words | None, *, planes: bool = False) -> Pair:
    """Return components of (c + d) e, where party `who` knows c and d, and the others one of them each, and both e.

    The party before knows c and shares c e, and the party after d, and shares d e, in one round.

    Args:
        trio, what: of this party, and for the label.
        who: the number of that party, of whose first component c is, and d of its second one.
        factor: this party's components of c + d, of which number `who` + 2 is zero.
        other: e, or None at party `who`. It is component `who` + 2.
        planes: whether these are bits, added by XOR.
    """
    before, after = (who - 1) % PARTIES, (who + 1) % PARTIES
    product: np.ufunc = np.bitwise_and if planes else np.multiply
    shape = factor[0].shape
    value = None
    if trio.me == before:  # e is its first component, and c its second one
        value = product(known(other), factor[1])
    elif trio.me == after:  # d is its first component, and e its second one
        value = product(factor[0], known(other))
    parts = [Part(shape, [prover], value if trio.me == prover else None, planes=planes) for prover in (before, after)]
    of_before, of_after = shares = trio.shared(what, parts)
    if trio.me == before:
        claims = (
            Claim(before, [known(other)], [factor[1]], None, of_before.sent),
            Claim(after, None, [known(other)], None, of_after.received),
        )
    elif trio.me == after:
        claims = (
            Claim(before, [known(other)], None, of_before.drawn),
            Claim(after, [factor[0]], [known(other)], None, of_after.sent),
        )
    else:
        claims = (
            Claim(before, None, [factor[0]], None, of_before.received),
            Claim(after, [factor[1]], None, of_after.drawn),
        )
    for claim in claims:
        (trio.claim_bits if planes else trio.claim_numbers)(Gate(shape, [claim]))
    (c, d), (other_c, other_d) = (of_shares(each, shape) for each in shares)
    return (c ^ other_c, d ^ other_d) if planes else (c + other_c, d + other_d)


def both_bits(trio: Guarded, what: str, pairs: Sequence[tuple[Pair, Pair]]) -> list[Pair]:
    """Return x & y of planes, whose components all parties hold, in one round."""
    everybody = range(PARTIES)
    parts = []
    for pair in pairs:
        x, y = map(_contiguous, pair)
        share = np.zeros(x[0].shape, dtype=np.uint64)
        and_layer(x[0], y[0], x[1], y[1], share, True, share)
        parts.append(Part(share.shape, everybody, share, planes=True))
    results = []
    for (x, y), shares in zip(pairs, trio.shared(what, parts), strict=True):
        kept, sent = known(shares.kept), known(shares.sent)
        drawn, received = known(shares.drawn), known(shares.received)
        trio.claim_bits(
            Gate(
                x[0].shape,
                [
                    Claim(trio.me, [x[0], y[0]], [y[1], x[1]], None, sent),
                    Claim(trio.after, [x[1], y[1]], None, drawn ^ (x[1] & y[1])),
                    Claim(trio.before, None, [y[0], x[0]], None, received),
                ],
            )
        )
        results.append((kept ^ received, sent ^ drawn))
    return results


def _contiguous(pair: Pair) -> Pair:
    return np.ascontiguousarray(pair[0]), np.ascontiguousarray(pair[1])


__all__ = ["both_bits", "matrix_products", "multiply", "of_shares", "times_third"]
