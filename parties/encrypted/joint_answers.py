"""What an owner of a joint key has answered, on the disk.

Each step of a joint key is answered once (:mod:`mpc.encrypted.threshold.owner`). The record of a step is written
before its share leaves, and says which question was answered. So a process that begins anew after a crash gives the
same share again, and no second one, as the share of another question would tell of the owner's secret.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import msgspec

from parties.encrypted.container import FileError
from parties.encrypted.keys import write_once
from parties.frame.private_files import make_private_folder

ANSWERED = ".answered"


class JointAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step, and the digest of the question that was answered, in hex."""

    step: str
    question: str


class JointAnswers:
    """The record of one joint key in an owner's private folder: one file a step.

    Args:
        key_id: the joint key's, which names the record.
    """

    def __init__(self, folder: Path, key_id: bytes) -> None:
        self._folder = folder / f"{key_id.hex()}{ANSWERED}"
        make_private_folder(self._folder)

    def __repr__(self) -> str:
        return f"JointAnswers({self._folder.name})"

    def note(self, step: str, question: bytes) -> None:
        """Write down the question of a step, durably.

        Raises:
            FileError: another question of this step was answered, or the record cannot be read.
        """
        answer = JointAnswer(step, question.hex())
        path = self._folder / f"{sha256(step.encode()).hexdigest()}.json"
        if write_once(path, msgspec.json.encode(answer)):
            return
        try:
            found = msgspec.json.decode(path.read_bytes(), type=JointAnswer)
        except msgspec.MsgspecError:
            raise FileError(f"{path}: expected the record of an answer, found another file") from None
        if found != answer:
            raise FileError(
                f"{path}: expected the first question of the step {step!r}, found that another one was answered: a "
                "second share would tell of this owner's secret, so begin anew with new keys"
            )
