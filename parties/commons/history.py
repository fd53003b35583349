"""What has happened in a log, in one sentence an entry, for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from mpc.commons.access import State, sentence
from mpc.commons.encoding import decode
from mpc.commons.entries import Entry, Grant, Kind, Policy, Refuse, Register, Report, Request, Revoke, Role
from mpc.commons.proceedings import task_of_grant
from mpc.commons.replica import Copy
from mpc.commons.steps import Close, Coin, Complaint, Step, Verdict


@dataclass(frozen=True)
class Event:
    """One entry for people.

    Attributes:
        index: of the entry.
        kind: its kind as a word.
        author: the author's name.
        text: what the entry says.
        certified: whether a certificate covers it.
    """

    index: int
    kind: str
    author: str
    text: str
    certified: bool


def history(copy: Copy, *, reports: bool = False, names: Mapping[bytes, str] = MappingProxyType({})) -> list[Event]:
    """Return the events of a log in order. Reports are left out, unless they are asked for.

    Args:
        names: of a federation's members by their keys, from the file that all share. Others have none then. Without
            it, names are those that were registered, and whoever registers first has a name.
    """
    events = []
    for index, data in enumerate(copy.entries):
        kind = Kind(data[0])  # every entry begins with it, and there are far more reports than others
        if kind == Kind.REPORT and not reports:
            continue
        entry = decode(Entry, data)
        contents = entry.contents()
        if isinstance(contents, Policy):
            text = _policy(contents, [_name(copy, key, names) for key in contents.rules.consumers])
        else:
            text = _TEXTS[kind](copy.state, contents)
        events.append(
            Event(index, kind.name.lower(), _name(copy, entry.author, names), text, index < copy.certified_size)
        )
    return events


def _name(copy: Copy, key: bytes, names: Mapping[bytes, str]) -> str:
    """Return the name of who has a key. Trustees and aggregators have one by the founding record."""
    place = copy.founding.trustee_of(key)
    if place is not None:
        return copy.founding.trustees[place].name
    if (aggregator := copy.founding.aggregators.get(key)) is not None:
        return aggregator.name
    if names:
        return names.get(key, key.hex()[:16])
    member = copy.state.members.get(key)
    return member.name if member else key.hex()[:16]


def _register(state: State, body: Register) -> str:
    return f"registers as {Role(body.role).name.lower()}"


def _policy(body: Policy, consumers: Sequence[str]) -> str:
    return (
        f"version {body.version} of a policy for {body.task}: {', '.join(body.rules.functions) or 'nothing'} for "
        f"{body.rules.threshold} of {', '.join(consumers) or 'nobody'}, {body.rules.uses} uses a report, up to entry "
        f"{body.rules.not_after}"
    )


def _report(state: State, body: Report) -> str:
    return f"a report for {body.task} under the policy of entry {state.policies[body.policy].index}"


def _request(state: State, body: Request) -> str:
    ranges = ", ".join(f"{one.first} to {one.end - 1}" for one in body.ranges)
    return f"asks for {body.function} of {body.task} over the reports in entries {ranges}"


def _grant(state: State, body: Grant) -> str:
    return f"grants the request of entry {state.requests[body.request].index}, over {body.count} reports"


def _refuse(state: State, body: Refuse) -> str:
    return f"refuses the request of entry {state.requests[body.request].index}: {sentence(body)}"


def _revoke(state: State, body: Revoke) -> str:
    if body.target in state.policies:
        return f"revokes the policy whose last version is entry {state.policies[body.target].index}"
    return f"revokes the report of entry {state.report_leaves[body.target]}"


def _of_grant(words: str) -> Callable[[State, Any], str]:
    return lambda state, body: f"{words} the grant of entry {state.grants[body.grant].index}"


def _coin(state: State, body: Coin) -> str:
    grant = state.noise_ends.get(body.about, body.about)
    of_noise = "" if grant == body.about else "the noise of "
    return f"tosses the coin of {of_noise}the grant of entry {state.grants[grant].index}"


def _complaint(state: State, body: Complaint) -> str:
    return f"opens its box of report {body.report}"


def _verdict(state: State, body: Verdict) -> str:
    rejected = ", ".join(map(str, body.rejected)) or "none"
    aggregators = task_of_grant(state, body.grant).aggregators
    liars = ", ".join(aggregators[place].name for place in body.liars) or "none"
    held = state.verdicts.get(body.grant)
    stands = "" if held and held.verdict == body else " (not said by t + 1 trustees, so it does not stand)"
    return f"{_of_grant('judges')(state, body)}: rejected reports {rejected}, aggregators that lied {liars}{stands}"


def _close(state: State, body: Close) -> str:
    waited = f"waits no longer for the aggregators' {Step(body.step).name.lower()}"
    return f"{waited} for the grant of entry {state.grants[body.grant].index}"


_TEXTS: dict[Kind, Callable[[State, Any], str]] = {
    Kind.REGISTER: _register, Kind.REPORT: _report, Kind.REQUEST: _request, Kind.GRANT: _grant,
    Kind.REFUSE: _refuse, Kind.REVOKE: _revoke, Kind.COIN: _coin,
    Kind.COMPLAINT: _complaint, Kind.VERDICT: _verdict, Kind.DELIVERED: _of_grant("has the result of"),
    Kind.HAND_ON: _of_grant("hands on the batch of"), Kind.WORDS: _of_grant("says its words for"), Kind.CLOSE: _close,
    Kind.NOISE: _of_grant("deals its noise for"),
}  # fmt: skip
