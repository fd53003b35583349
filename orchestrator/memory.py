"""Whether a machine has the memory that a plan says its parties take, asked before anything is started."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from parties.frame.errors import ConfigError
from parties.frame.plan import Plan

_PANE_BYTES = 6_000_000  # of the small process that stands for a party in a pane, as measured (PSS)
_GROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Memory:
    """What a machine, or the container that this process is in, has in all and has left, in bytes."""

    total: int
    left: int

    @classmethod
    def of_this_machine(cls) -> Memory | None:
        """Return what the system says (proc(5), cgroups(7)), or None where it does not say."""
        try:
            lines = Path("/proc/meminfo").read_text().splitlines()
            fields = {name: int(rest.split()[0]) * 1024 for name, rest in (line.split(":", 1) for line in lines)}
            found = cls(fields["MemTotal"], fields["MemAvailable"])
        except (OSError, ValueError, KeyError, IndexError):
            return None
        with contextlib.suppress(OSError, ValueError):  # no limit, or "max"
            limit = int((_GROUPS / "memory.max").read_text())
            used = int((_GROUPS / "memory.current").read_text())
            found = cls(min(found.total, limit), min(found.left, limit - used))
        return found


def needed(plan: Plan, *, panes: bool) -> int:
    """Return the bytes that a plan's processes take at most, as far as the protocol knows. 0 is not known."""
    known = sum(process.memory_bytes for process in plan.processes)
    return known and known + plan.memory_bytes + (len(plan.processes) * _PANE_BYTES if panes else 0)


def check(plan: Plan, machine: Memory | None, *, panes: bool) -> str | None:
    """Return a warning where less memory is left than the plan needs, or None.

    Raises `ConfigError` where the machine does not have as much in all.
    """
    bytes_needed = needed(plan, panes=panes)
    if machine is None or bytes_needed <= machine.left:
        return None
    what = f"{len(plan.processes)} processes take about {_in_gb(bytes_needed)}, by figures that were measured"
    if bytes_needed > machine.total:
        raise ConfigError(f"memory: {what}. Expected a machine that has as much, found {_in_gb(machine.total)}.")
    return f"memory: {what}, and {_in_gb(max(0, machine.left))} of {_in_gb(machine.total)} are left"


def _in_gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
