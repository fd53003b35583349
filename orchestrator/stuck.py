"""Which party keeps the others waiting when a run stands still."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from orchestrator.events import PartyState


def stuck_party(waiting: Sequence[PartyState]) -> tuple[PartyState, list[str]]:
    """Return the one of the parties that keeps the others waiting, and the parties that wait for it in a circle.

    That party is in a step that needs no other party. Of several it is the one that has been there for longest. Where
    all wait, some wait for each other, and of those it is the one that has been silent for longest.
    """
    busy = {state.name: state for state in waiting if state.open_steps}
    if not busy:
        return min(waiting, key=lambda state: state.last_sign), []
    needs = {name: {peer for peer in state.needed if peer in busy} for name, state in busy.items()}
    alone = [state for name, state in busy.items() if not needs[name]]
    if alone:
        return min(alone, key=lambda state: min(step.t for step in state.open_steps.values())), []
    reached = {name: _reached(name, needs) for name in busy}
    circle = [state for name, state in busy.items() if name in reached[name]]
    stuck = min(circle, key=lambda state: state.last_sign)
    return stuck, sorted(name for name in reached[stuck.name] if stuck.name in needs[name])


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
