"""What may be logged for a grant behind it: from the batch that is handed on to the result that was delivered.

    consumer        HandOn      what opens the batch
    aggregators     Noise       where the function has noise
    trustees        Coin        of the grant, and of the noise behind its end
    aggregators     Complaint   about a box, before the aggregator's words
                    Words
    trustees        Verdict     stands once t + 1 trustees have said the same
    consumer        Delivered

Noise and words each are a step, which ends once all aggregators have said theirs, or once t + 1 trustees have waited
long enough (Close). So a step ends at one entry, and all who read the log take the same words and judge the same.
"""

from __future__ import annotations

import hashlib

from mpc.commons.access import (
    NoiseState,
    State,
    VerdictState,
    granted,
    request_of,
    task_of,
    trustee_place,
)
from mpc.commons.coin import CoinLabel, Toss
from mpc.commons.committee import check_for
from mpc.commons.encoding import encode
from mpc.commons.founding import Task
from mpc.commons.functions import layout_of, noise_of
from mpc.commons.steps import Close, Coin, Complaint, Delivered, HandOn, Noise, Step, Verdict, Words
from mpc.errors import ProtocolError


def admit_hand_on(state: State, index: int, leaf: bytes, author: bytes, body: HandOn) -> None:
    """Take what opens a granted batch, from the consumer that has asked for it."""
    if author != request_of(state, body.grant).author:
        raise ProtocolError("expected the consumer that has asked, found another")
    if body.grant in state.hand_ons:
        raise ProtocolError("expected a batch that is handed on once, found a second time")
    state.put(state.hand_ons, body.grant, body.digest)


def admit_coin(state: State, index: int, leaf: bytes, author: bytes, body: Coin) -> None:
    """Take the coin of a grant or of its noise, whoever of the trustees has put it together."""
    trustee_place(state, author)
    value = toss_of(state, body.about).value(body.shares)
    _once(state, state.coins, body.about, index)
    state.put(state.coin_values, body.about, value)


def admit_complaint(state: State, index: int, leaf: bytes, author: bytes, body: Complaint) -> None:
    """Take an aggregator's complaint. Whether it is true is judged by whoever has the box."""
    place = _speaking(state, body.grant, author)
    if body.report not in items_of(state, body.grant):
        raise ProtocolError(f"expected a report of the granted batch, found {body.report}")
    if (body.grant, body.report, place) in state.complaints:
        raise ProtocolError(f"expected a new complaint, found a second one about report {body.report}")
    state.put(state.complaints, (body.grant, body.report, place), body)


def admit_noise(state: State, index: int, leaf: bytes, author: bytes, body: Noise) -> None:
    """Take an aggregator's part of the noise. With those of all aggregators the step ends."""
    place, function = _speaking(state, body.grant, author), function_of(state, body.grant)
    circuit = layout_of(state.founding.origin, task_of_grant(state, body.grant)).parts[function].noise
    if circuit is None:
        raise ProtocolError("expected a function with noise, found one without")
    expected, found = circuit.robust.public_share_size, len(body.public_share)
    if found != expected:
        raise ProtocolError(f"expected {expected} bytes as the public part of the noise of {function}, found {found}")
    if (body.grant, place) in state.noises:
        raise ProtocolError(f"expected the noise of aggregator {place} once, found it a second time")
    _check_going_on(state, body.grant, Step.NOISE)
    state.put(state.noises, (body.grant, place), NoiseState(index, body.digest, body.public_share))
    if len(noises_so_far(state, body.grant)) == len(task_of_grant(state, body.grant).aggregators):
        _end(state, body.grant, Step.NOISE, index, leaf)


def admit_words(state: State, index: int, leaf: bytes, author: bytes, body: Words) -> None:
    """Take the digest of an aggregator's words. With those of all aggregators the step ends."""
    place = _speaking(state, body.grant, author)
    if missing := coins_to_toss(state, body.grant):
        raise ProtocolError(f"expected all coins of a batch before its words, found none about {missing[0].hex()[:16]}")
    state.put(state.words, (body.grant, place), body.digest)
    if len(words_so_far(state, body.grant)) == len(task_of_grant(state, body.grant).aggregators):
        _end(state, body.grant, Step.WORDS, index, leaf)


def admit_close(state: State, index: int, leaf: bytes, author: bytes, body: Close) -> None:
    """Count a trustee that waits no longer. The step ends once t + 1 do, of whom one at least is honest."""
    place, step = trustee_place(state, author), Step(body.step)
    if body.grant not in state.hand_ons:
        raise ProtocolError("expected a batch that was handed on, found one that was not")
    if step == Step.NOISE and not noise_of(function_of(state, body.grant)):
        raise ProtocolError("expected a function with noise, found one without")
    _check_going_on(state, body.grant, step)
    if (body.grant, step, place) in state.closes:
        raise ProtocolError(f"expected trustee {place} to close a step once, found a second time")
    state.put(state.closes, (body.grant, step, place), index)
    places = range(len(state.founding.trustees))
    if sum((body.grant, step, one) in state.closes for one in places) > state.founding.faulty:
        _end(state, body.grant, step, index, leaf)


def admit_verdict(state: State, index: int, leaf: bytes, author: bytes, body: Verdict) -> None:
    """Count what one trustee says. It stands once t + 1 of them say the same, of whom one at least is honest."""
    place = trustee_place(state, author)
    if unknown := sorted(set(body.rejected) - items_of(state, body.grant)):
        raise ProtocolError(f"expected reports of the granted batch, found {unknown[0]}")
    aggregators = len(task_of_grant(state, body.grant).aggregators)
    if body.liars and body.liars[-1] >= aggregators:
        raise ProtocolError(f"expected places of {aggregators} aggregators, found {body.liars[-1]}")
    if (body.grant, Step.WORDS) not in state.ended:
        raise ProtocolError("expected a verdict behind the aggregators' words, found one before their end")
    if (held := state.verdicts.get(body.grant)) is not None:
        raise ProtocolError(f"expected one verdict for each grant, found the one that stands since entry {held.index}")
    if (body.grant, place) in state.verdict_votes:
        raise ProtocolError(f"expected one verdict of trustee {place} for each grant, found a second one")
    said = hashlib.sha256(encode(body)).digest()
    state.put(state.verdict_votes, (body.grant, place), said)
    places = range(len(state.founding.trustees))
    if sum(state.verdict_votes.get((body.grant, one)) == said for one in places) > state.founding.faulty:
        state.put(state.verdicts, body.grant, VerdictState(index, body))


def admit_delivered(state: State, index: int, leaf: bytes, author: bytes, body: Delivered) -> None:
    """Take the consumer's word that it has its result."""
    if author != request_of(state, body.grant).author:
        raise ProtocolError("expected the consumer that has asked, found another")
    _once(state, state.deliveries, body.grant, index)


def task_of_grant(state: State, grant: bytes) -> Task:
    """Return the task of a grant. Raises `ProtocolError` where the grant is not in the log."""
    return task_of(state, request_of(state, grant).request.task)


def function_of(state: State, grant: bytes) -> str:
    """Return the function of a grant. Raises `ProtocolError` where the grant is not in the log."""
    return request_of(state, grant).request.function


def items_of(state: State, grant: bytes) -> set[int]:
    """Return the indices of a grant's reports, and of what the aggregators have dealt as noise."""
    return {*granted(state, grant).reports, *(one.index for one in noises_so_far(state, grant).values())}


def noises_so_far(state: State, grant: bytes) -> dict[int, NoiseState]:
    """Return the parts of the noise that were dealt for a grant, by the aggregator's place."""
    places = range(len(task_of_grant(state, grant).aggregators))
    return {place: state.noises[grant, place] for place in places if (grant, place) in state.noises}


def words_so_far(state: State, grant: bytes) -> dict[int, bytes]:
    """Return the digests of the words that were said for a grant, by the aggregator's place."""
    places = range(len(task_of_grant(state, grant).aggregators))
    return {place: state.words[grant, place] for place in places if (grant, place) in state.words}


def toss_of(state: State, about: bytes) -> Toss:
    """Return what a coin is about: a grant, or the noise of one.

    Raises:
        ProtocolError: neither is in the log before.
    """
    grant = state.noise_ends.get(about, about)
    task = task_of_grant(state, grant).name
    index = granted(state, grant).index if grant == about else state.ended[grant, Step.NOISE][0]
    label = CoinLabel(state.founding.origin, task, about, state.root_of(index + 1))
    return Toss(check_for(state.founding, state.trustees_key), label)


def coins_to_toss(state: State, grant: bytes) -> list[bytes]:
    """Return what the coins are about that a batch needs and the log does not have.

    The coin of a report is that of its first grant, and can be tossed whatever has become of that grant. The coin of
    the noise can be tossed once the noise has ended.

    Raises:
        ProtocolError: the grant is not in the log, or the aggregators may still deal noise.
    """
    about = list(dict.fromkeys(state.first_grants[report] for report in granted(state, grant).reports))
    if (end := noise_end(state, grant)) is not None:
        about.append(end)
    return [one for one in about if one not in state.coins]


def noise_end(state: State, grant: bytes) -> bytes | None:
    """Return the leaf hash of the entry with which the noise of a grant ended, or None where its function has none.

    Raises:
        ProtocolError: the aggregators may still deal noise.
    """
    if not noise_of(function_of(state, grant)):
        return None
    if (grant, Step.NOISE) not in state.ended:
        raise ProtocolError("expected the end of the aggregators' noise in the log, found none yet")
    return state.ended[grant, Step.NOISE][1]


def coins_of(state: State, grant: bytes) -> tuple[bytes, ...]:
    """Return for each report of a grant, in order, the coin with which aggregators verify it.

    It is the coin of the first grant that the report has entered, whatever other grants follow. So a report has one
    coin for ever, and an aggregator that starts again, or that serves another grant, sends the same verifier words.
    Words under two coins would give the measurement away. The report was in the log before its first grant, so nobody
    has made it by this coin.

    Raises:
        ProtocolError: the grant is not in the log, or a coin that it needs is not. That coin can be tossed now.
    """
    coins = []
    for report in granted(state, grant).reports:
        first = state.first_grants[report]
        if first not in state.coin_values:
            where = state.grants[first].index
            raise ProtocolError(f"expected the coin of the grant of entry {where} for report {report}, found none yet")
        coins.append(state.coin_values[first])
    return tuple(coins)


def _speaking(state: State, grant: bytes, author: bytes) -> int:
    """Return the place of an aggregator that may still say something about a batch that was handed on."""
    place = task_of_grant(state, grant).place_of(author)
    if place is None:
        raise ProtocolError(f"expected an aggregator of the task, found the key {author.hex()[:16]}")
    if grant not in state.hand_ons:
        raise ProtocolError("expected a batch that was handed on, found one that was not")
    if (grant, place) in state.words:
        raise ProtocolError(f"expected nothing of aggregator {place} behind its words, found more")
    _check_going_on(state, grant, Step.WORDS)
    return place


def _check_going_on(state: State, grant: bytes, step: Step) -> None:
    if (end := state.ended.get((grant, step))) is not None:
        raise ProtocolError(f"expected a step that goes on, found one that has ended with entry {end[0]}")


def _end(state: State, grant: bytes, step: Step, index: int, leaf: bytes) -> None:
    state.put(state.ended, (grant, step), (index, leaf))
    if step == Step.NOISE:
        state.put(state.noise_ends, leaf, grant)


def _once(state: State, table: dict[bytes, int], grant: bytes, index: int) -> None:
    if grant in table:
        raise ProtocolError(f"expected one such entry for each grant, found entry {table[grant]} before")
    state.put(table, grant, index)
