"""On whose behalf a command is given, by its flags, also one of a protocol's offline commands.

A member's folder holds what the folder of all runs holds. So a command that looks at runs looks at a member's accounts
where `--dir` or `--name` say whose.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.command_line import leading_command
from orchestrator.federation.shared import Membership, find_membership
from orchestrator.flags import FlagParser
from parties.frame.plan import RunnableProtocol

Protocols = Mapping[str, RunnableProtocol]


def on_behalf(protocols: Protocols, arguments: Sequence[str]) -> list[str]:
    """Return the arguments with the file and the folder of the member whom a command is about, where one is named.

    Raises `ConfigError` where the flags do not say which member.
    """
    words = {word for protocol in protocols.values() for word in protocol.commands}
    found = leading_command(arguments, words)
    if found is None:
        return list(arguments)
    word, flags = found
    if not {flag.partition("=")[0] for flag in flags} & {"--dir", "--name"}:
        return list(arguments)
    given, others = member_flags(word, "").parse_known_args(flags)
    membership = find_membership(protocols, config=given.config, name=given.name, folder=given.dir)
    places = ["--config", str(membership.shared.file), "--files_dir", str(membership.folder.path)]
    command = membership.shared.protocol.commands.get(word)
    if command is not None and command.of_member:
        places += ["--member", membership.name, "--member_role", membership.member.role[0]]
    return [*word.split(), *places, *others]


def member_flags(name: str, about: str) -> FlagParser:
    """Return a parser with the flags that say on whose behalf a command is given."""
    parser = FlagParser(name, about)
    parser.add_argument("--config", type=Path, default=None, metavar="FILE", help="the file that all members share")
    parser.add_argument("--name", default=None, metavar="MEMBER", help="the member's name in that file")
    parser.add_argument(
        "--dir", type=Path, default=None, metavar="DIR", help="the member's folder (default: in $XDG_STATE_HOME)"
    )
    return parser


def membership_of(protocols: Protocols, given: argparse.Namespace) -> Membership:
    """Return the membership that these flags mean. Raises `ConfigError`."""
    return find_membership(protocols, config=given.config, name=given.name, folder=given.dir)


def add_role(parser: FlagParser) -> None:
    """Add the flag that chooses among a member's roles."""
    parser.add_argument("--role", default=None, metavar="ROLE", help="which of the member's roles, if it has several")


def serving_roles(membership: Membership) -> list[str]:
    """Return the member's roles that serve, in its own order."""
    roles = membership.shared.protocol.roles
    return [role for role in membership.member.role if roles[role].serves]
