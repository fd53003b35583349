"""Who votes in a session. It is fixed when the session opens, before anything is asked or charged.

    QP                              AP i                                PG
    its turn  <-------------------------------------------------------
    connects  --------------------> (those that it reaches)
                                    connects  ----------------------->  waits for all of them. Once enough are there,
                                                                        it waits for others only so long after the last
    the voters, by name  <--------------------------------------------
                                    how many vote  <------------------

PG chooses, among those who have shown their certificates to it in this session. Everything that depends on the number
of voters follows from the parameters of :func:`with_voters`: the width of shares, packing, half of the votes, parts of
the noise. An AP takes the number from PG, with whom the QP does not collude. A QP that told the APs a larger number
would get parts of the noise that do not add up. An AP learns the number alone, and not who the others are.

A batch has one name and one release, whoever votes (:mod:`mpc.capc.batches`). So a batch may be asked again with other
voters as long as PG has not noted "opened". After that PG repeats step 3 for the voters of that time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from mpc.capc.parameters import PublicParameters
from mpc.channels.frames import Channel
from mpc.dp.accountant import Cost
from mpc.errors import ParameterError, ProtocolError, QuorumError

_FEWEST_PARTS = 2  # of which the accountant has a bound in closed form


def with_voters(parameters: PublicParameters, voters: int) -> PublicParameters:
    """Return the parameters of a session in which only so many of the answering parties vote.

    As many of them may show their parts of the noise as before, so the others' parts are larger.

    Raises:
        ParameterError: more voters than parties, or too few for parts of the noise.
    """
    if not 1 <= voters <= parameters.parties:
        raise ParameterError(f"expected 1 to {parameters.parties} voters, found {voters}")
    if voters == parameters.parties:
        return parameters
    parts = 0
    if parameters.noise_parts:
        colluding = parameters.parties - parameters.noise_parts
        parts = voters - colluding
        if parts < _FEWEST_PARTS:
            raise ParameterError(
                f"expected at least {colluding + _FEWEST_PARTS} voters, of whom {colluding} may show their part of the "
                f"noise, found {voters}"
            )
    return msgspec.structs.replace(parameters, parties=voters, noise_parts=parts)


def price(parameters: PublicParameters, least: int) -> tuple[Cost, ...]:
    """Return what one query is charged, whichever number of parties from `least` up votes.

    It is the highest of their costs, so that a batch that was charged is paid for, whoever votes on it in the end. They
    differ only where the parties draw parts of the noise, and then by little unless a part's scale is close to 1/2.
    """
    if not parameters.noise_parts:
        return parameters.costs
    numbers = range(least, parameters.parties + 1)
    return max((with_voters(parameters, voters).costs for voters in numbers), key=lambda costs: costs[0].rho)


def missing_words(
    least: int, members: Sequence[str], there: Collection[str], reasons: Mapping[str, str] | None = None
) -> str:
    """Say that fewer parties came than must vote, who is missing and why, and how many that are."""
    missing = [name for name in members if name not in there]
    words = [f"{name} ({reasons[name]})" if reasons and name in reasons else name for name in missing]
    return (
        f"expected at least {least} of {len(members)} answering parties, found {len(members) - len(missing)}; missing: "
        f"{', '.join(words)}"
    )


# The voters, PG to QP.


class Voters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The names of the parties that vote in this session. With too few the session ends."""

    voters: tuple[str, ...]


def guardian_name_voters(channel: Channel, voters: Sequence[str]) -> None:
    """PG: tell the QP who votes."""
    channel.send_message("session/voters", Voters(tuple(voters)))


def querying_receive_voters(channel: Channel, members: Sequence[str], least: int) -> tuple[str, ...]:
    """QP: return the names of those who vote, in the order of all `members` that may answer it.

    Raises:
        QuorumError: fewer than `least`.
        ProtocolError: a name twice, or one that is not among the members.
    """
    named = channel.recv_message("session/voters", Voters).voters
    if len(set(named)) != len(named) or not set(named) <= set(members):
        raise ProtocolError.mismatch(
            "voters, each once, among", ", ".join(members), ", ".join(named), peer=channel.peer, step=channel.step
        )
    if len(named) < least:
        raise QuorumError(missing_words(least, members, named), there=named, step=channel.step)
    return tuple(name for name in members if name in named)


# How many vote, PG to every one of them.


class NumberOfVoters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many parties vote in this session, the one that is told among them."""

    voters: int


def guardian_number_voters(channel: Channel, voters: int) -> None:
    """PG: tell an AP how many vote."""
    channel.send_message("session/number", NumberOfVoters(voters))


def answering_receive_number(channel: Channel, least: int, most: int) -> int:
    """AP: return how many vote. Raises `ProtocolError` for a number that is not within `least` to `most`."""
    voters = channel.recv_message("session/number", NumberOfVoters).voters
    if not least <= voters <= most:
        raise ProtocolError.mismatch("voters", f"{least} to {most}", voters, peer=channel.peer, step=channel.step)
    return voters
