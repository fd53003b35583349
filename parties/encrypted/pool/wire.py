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

from mpc.channels.frames import Channel
from mpc.encrypted.threshold import agreement
from mpc.encrypted.threshold.session import DIGEST_BYTES, JointKey
from parties.encrypted.wire import receive_parts, send_parts


def owner_agree(trainer: Channel, job: bytes, number: int, count: int) -> bytes:
    """Return the common random string, as an owner. Raises `CheatingError` where an owner opens another commitment."""
    own = agreement.owner_contribute(job, number)
    trainer.send("agree/commitment", own.commitment)
    commitments = _split(trainer, "agree/commitments", count)
    trainer.send("agree/opening", own.opening)
    return agreement.common_string(job, commitments, _split(trainer, "agree/openings", count))


def trainer_agree(owners: Sequence[Channel], job: bytes) -> bytes:
    """Relay what the owners say to all of them, and return the common random string."""
    found = []
    for word in ("commitment", "opening"):
        said = [bytes(owner.recv(f"agree/{word}", DIGEST_BYTES)) for owner in owners]
        for owner in owners:
            owner.send(f"agree/{word}s", b"".join(said))
        found.append(said)
    return agreement.common_string(job, *found)


def _split(trainer: Channel, label: str, count: int) -> list[bytes]:
    whole = bytes(trainer.recv(label, DIGEST_BYTES * count))
    return [whole[place : place + DIGEST_BYTES] for place in range(0, len(whole), DIGEST_BYTES)]


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
