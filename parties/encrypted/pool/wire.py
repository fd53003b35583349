"""What passes between the parties of a pooled training beside parts and circuits, both sides of each step.

owner                                        trainer
  agree/commitment            ---->
                              <----          agree/commitments   all, in the owners' order
  agree/opening               ---->
                              <----          agree/openings      all
  first/...                   ---->
                              <----          firsts/OWNER/...    all
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mpc.channels.frames import Channel
from mpc.encrypted.threshold import agreement
from mpc.encrypted.threshold.session import JointKey
from mpc.errors import CheatingError
from parties.encrypted.wire import receive_parts, send_parts


def owner_agree(
    trainer: Channel, job: bytes, number: int, signing: Ed25519PrivateKey, owners: Sequence[bytes]
) -> bytes:
    """Return the common random string, as an owner.

    Args:
        owners: the Ed25519 keys of all owners, in order.

    Raises:
        CheatingError: an owner opens another commitment. Or the trainer gives back other words than this owner's, or
            words that another owner has not signed.
    """
    own = agreement.owner_contribute(job, number)
    told = {}
    for word, said in (("commitment", own.commitment), ("opening", own.opening)):
        signed = agreement.owner_sign(job, number, word, said, signing)
        trainer.send(f"agree/{word}", signed)
        told[word] = _relayed(trainer, job, word, owners)
        if told[word][number] != said:
            raise CheatingError(
                f"expected this owner's own {word} among those of all, found another",
                peer=trainer.peer,
                step="agreement",
            )
    return agreement.common_string(job, told["commitment"], told["opening"])


def trainer_agree(channels: Sequence[Channel], job: bytes, owners: Sequence[bytes]) -> bytes:
    """Relay what the owners say to all of them, and return the common random string.

    Raises:
        CheatingError: an owner opens another commitment, or has not signed what it says.
    """
    found = []
    for word in ("commitment", "opening"):
        signed = [bytes(channel.recv(f"agree/{word}", agreement.SAID_BYTES)) for channel in channels]
        said = [
            agreement.opened(job, number, word, one, key, channel.peer)
            for number, (one, key, channel) in enumerate(zip(signed, owners, channels, strict=True))
        ]
        for channel in channels:
            channel.send(f"agree/{word}s", b"".join(signed))
        found.append(said)
    return agreement.common_string(job, *found)


def _relayed(trainer: Channel, job: bytes, word: str, owners: Sequence[bytes]) -> list[bytes]:
    """Receive what all owners have said in one round, each of which has signed its own."""
    size = agreement.SAID_BYTES
    whole = bytes(trainer.recv(f"agree/{word}s", size * len(owners)))
    return [
        agreement.opened(job, number, word, whole[number * size : (number + 1) * size], key, trainer.peer)
        for number, key in enumerate(owners)
    ]


def owner_show(
    trainer: Channel, key: JointKey, shares: Mapping[str, bytes], sizes: Mapping[str, int]
) -> list[dict[str, bytes]]:
    """Send an owner's first shares, and return those of all owners in order."""
    send_parts(trainer, "first", shares, sizes)
    return [receive_parts(trainer, f"firsts/{number}", sizes) for number in range(len(key.owners))]


def trainer_show(owners: Sequence[Channel], sizes: Mapping[str, int]) -> list[dict[str, bytes]]:
    """Relay all owners' first shares to all of them, and return them."""
    firsts = [receive_parts(owner, "first", sizes) for owner in owners]
    for owner in owners:
        for number, shares in enumerate(firsts):
            send_parts(owner, f"firsts/{number}", shares, sizes)
    return firsts
