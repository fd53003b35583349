"""Which party keeps the others waiting when a run stands still."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.events import PartyState
from orchestrator.losses import in_words


@dataclass(frozen=True)
class Stuck:
    """The party that keeps the others waiting.

    Attributes:
        is_stopped: its process was stopped from outside (SIGSTOP, a debugger).
        circle: the parties that wait for it and for which it waits.
        waiters: the parties that wait for it in vain, where there is no circle.
    """

    party: PartyState
    is_stopped: bool = False
    circle: tuple[str, ...] = ()
    waiters: tuple[str, ...] = ()

    def words(self, reason: str) -> str:
        """Return the reason why the run was given up, with who waited for whom."""
        if self.is_stopped:
            reason = f"its process is stopped, and {reason}"
        if self.circle:
            return f"{reason}, while it and {in_words(self.circle)} waited for each other"
        return f"{reason}, while {in_words(self.waiters)} waited for it" if self.waiters else reason


def stuck_party(waiting: Sequence[PartyState], stopped: Collection[str] = ()) -> Stuck:
    """Return the one of the parties that keeps the others waiting.

    A party whose process is `stopped` is to blame before all others. Otherwise it is a party that needs no other one,
    because it works alone or has begun nothing although others need it. Those that are needed come first, and of
    several the one that has been so for longest. Where all wait, some wait for each other, and of those it is the one
    that has been silent for longest.
    """
    names = {state.name for state in waiting}
    needs = {state.name: state.needed & names - {state.name} for state in waiting}
    needed = {peer for peers in needs.values() for peer in peers}
    halted = [state for state in waiting if state.name in stopped]
    if halted:
        party = min(halted, key=lambda state: (state.name not in needed, state.last_sign))
        return Stuck(party, is_stopped=True, waiters=_waiters(party.name, needs))
    alone = [state for state in waiting if not needs[state.name] and (state.open_steps or state.name in needed)]
    if alone:
        party = min(alone, key=lambda state: (state.name not in needed, _since(state)))
        return Stuck(party, waiters=_waiters(party.name, needs))
    if not needed:
        return Stuck(min(waiting, key=lambda state: state.last_sign))
    reached = {name: _reached(name, needs) for name in names}
    circle = [state for state in waiting if state.name in reached[state.name]]
    party = min(circle, key=lambda state: state.last_sign)
    return Stuck(party, circle=tuple(sorted(name for name in reached[party.name] if party.name in needs[name])))


def waited_for(
    party: str, peers: Collection[str], waiting: Sequence[PartyState], stopped: Collection[str]
) -> Stuck | None:
    """Return whom `party` waited for when it gave up waiting for any of the `peers`.

    It is one of the peers, or one for which a peer waits in its turn. It is None when all of the peers have ended.
    """
    others = [state for state in waiting if state.name != party]
    needs = {state.name: state.needed - {party} for state in others}
    awaited = [state for state in others if state.name in peers]
    if not awaited:
        return None
    along = {state.name for state in awaited}.union(*(_reached(state.name, needs) for state in awaited))
    found = stuck_party([state for state in others if state.name in along], stopped)
    if found.circle:
        found = Stuck(min(awaited, key=lambda state: state.last_sign))
    return replace(found, circle=(), waiters=(party,))


def _waiters(name: str, needs: Mapping[str, set[str]]) -> tuple[str, ...]:
    return tuple(sorted(other for other, peers in needs.items() if name in peers))


def _since(state: PartyState) -> float:
    """Return since when a party has been where it is."""
    return min((step.t for step in state.open_steps.values()), default=state.last_sign)


def without_idle_services(waiting: Sequence[PartyState], services: Collection[str]) -> Sequence[PartyState]:
    """Leave out the services that no other party needs, because an idle service keeps none waiting.

    Where only services are left, all of them are returned.
    """
    needs = {state.name: state.needed for state in waiting}
    busy = {name for name in needs if name not in services}
    for name in list(busy):
        busy |= _reached(name, needs)
    return [state for state in waiting if state.name in busy] or waiting


def _reached(start: str, needs: Mapping[str, set[str]]) -> set[str]:
    """Return every party for which `start` waits, or for which those wait."""
    found: set[str] = set()
    fresh = set(needs[start])
    while fresh:
        found |= fresh
        fresh = {peer for name in fresh for peer in needs.get(name, ())} - found
    return found
