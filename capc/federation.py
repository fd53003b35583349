"""The commands of a federation's members, given the protocols that there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestrator.federation import commands, looking, provisioning
from orchestrator.federation.behalf import Protocols
from parties.protocols import PROTOCOLS

Main = Callable[[Sequence[str], str], int]


def _with_protocols(command: Callable[[Protocols, Sequence[str], str], int]) -> Main:
    def main(arguments: Sequence[str], name: str) -> int:
        return command(PROTOCOLS, arguments, name)

    return main


init = _with_protocols(provisioning.init)
request = renew = _with_protocols(provisioning.request)
approve = _with_protocols(provisioning.approve)
install = _with_protocols(provisioning.install)
listed = _with_protocols(provisioning.listed)
revoke = _with_protocols(provisioning.revoke)
update = _with_protocols(provisioning.update)
check = _with_protocols(commands.check)
serve = _with_protocols(commands.serve)
ask = _with_protocols(commands.ask)
status = _with_protocols(looking.status)
health = _with_protocols(looking.health)
log = _with_protocols(looking.log)
report = _with_protocols(looking.report)
stop = _with_protocols(commands.stop)
prune = _with_protocols(commands.prune)
