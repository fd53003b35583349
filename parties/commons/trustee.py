"""A trustee makes the key with the others, keeps the log with them, releases what was granted, and judges.

It learns policies, who asks for what, and ciphertexts. It learns no measurement, no share of one and no result.

Run: ``python -m parties.commons.trustee --settings PATH``. Started again it goes on with what is on its disk.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path

from mpc.commons.attachments import AbsentAttachmentError
from mpc.commons.committee import CommitteeKey, KeyShare
from mpc.commons.encoding import encode
from mpc.commons.entries import Register, Role, sign_entry
from mpc.commons.following import Follower
from mpc.commons.functions import noise_of
from mpc.commons.identities import TrusteeKeys
from mpc.commons.prio import TooManyLiesError
from mpc.commons.proceedings import coins_to_toss, function_of
from mpc.commons.roles.trustee import TrusteeRole
from mpc.commons.steps import Step
from mpc.errors import ProtocolError
from parties.commons.agreeing import TrusteeDesk
from parties.commons.asking import Line
from parties.commons.faults import Fault
from parties.commons.keeping import AttachmentFile
from parties.commons.key_making import BEGIN, KEPT, Exchange, KeyBoard, keep_key, make_key
from parties.commons.own_log import open_own_log
from parties.commons.reading import Submission
from parties.commons.settings import SEED, TRUSTEE, TrusteeSettings
from parties.commons.ways import Ways, home, ways
from parties.frame.errors import PartyError
from parties.frame.lifetime import serving
from parties.frame.private_files import write_private
from parties.frame.process import Party, run_party

BEGAN = "trustees-key-began"
_NAP_S = 0.05
_SAY_AGAIN_S = 5.0  # what is not in the log yet


def trustee(party: Party[TrusteeSettings]) -> None:
    """Play a trustee."""
    settings, progress, founding, place = party.settings, party.progress, party.settings.founding, home(party)
    with ways(party, TRUSTEE) as way:
        way.stand_by()
        keys = TrusteeKeys((place / SEED).read_bytes())
        log, kept = open_own_log(place, founding, [one.name for one in founding.trustees].index(settings.name))
        attachments = AttachmentFile(place / "attachments")
        role = TrusteeRole(founding, keys, log, attachments, share=kept[1] if kept else None)
        names = {bytes.fromhex(key): name for name, key in settings.consumers.items()}
        answers = TrusteeDesk(founding, role, names, Fault(settings.fault), settings.names)
        board = KeyBoard(founding, made=kept is not None) if role.sequencer else None
        questions = {**answers.questions, **(board.questions if board else {})}
        with way.desk(settings.listen, questions) as desk, serving():
            others = {line.peer.name: line for line in way.trustees}
            if kept is None:
                never_began(place, role)
                if settings.home is not None:
                    with progress.step("0", "wait for all other trustees", awaits=list(others)):
                        await_all(way, board, desk.check)
                with progress.step("0", "make the trustees' key", awaits=list(others)):
                    exchange = board.answer if board else _asking(others[founding.trustees[0].name], settings)
                    kept = new_key(place, role, exchange, settings.key_patience_s)
            registration = Register(settings.name, Role.TRUSTEE, encode(kept[0]))
            entry = sign_entry(keys.identity, founding.origin, registration)
            duties = Duties(settings, answers, others, entry, progress.note)
            while True:
                desk.check()
                if not duties.go_on():
                    with answers.changed:
                        answers.changed.wait(_NAP_S)


def await_all(way: Ways, board: KeyBoard | None, check: Callable[[], None]) -> None:
    """Wait until all trustees of a federation are there at the same time, without a deadline.

    Args:
        board: of the sequencer. All others wait until it has begun.
        check: is called again and again, and raises to end the wait.

    Raises:
        ProtocolError: a trustee was configured otherwise, or the key was made without this one.
        PartyError: others have a log that this one has lost.
    """
    if board is None:
        way.until_all_are_there(way.trustees[:1], check)
    else:
        way.until_all_are_there(way.trustees, check)
    found = Follower(way.settings.founding)
    way.reader(found).catch_up()
    if found.size:
        raise PartyError(
            f"expected the log and the key of {way.settings.name} on its disk, found none, and {found.size} certified "
            "entries of this log at others: what it has signed cannot be told anew"
        )
    if board is None:
        way.until_all_are_there(way.trustees[:1], check, lambda line: line.ask("ready"), BEGIN)
    else:
        board.await_all(check, way.progress.note)


def never_began(folder: Path, role: TrusteeRole) -> None:
    """Raise `PartyError` where a trustee's log has a key or an earlier start has begun to make it, and it has none."""
    if role.state.trustees_key:
        raise PartyError(f"expected the part of {role.name} in {folder / KEPT} of the key that its log has, found none")
    if (folder / BEGAN).exists():
        raise PartyError(
            f"expected the trustees' key of an earlier start of {role.name} in {folder}, found that it ended before it "
            "had the key: it cannot take part in that key any more"
        )


def new_key(folder: Path, role: TrusteeRole, exchange: Exchange, patience_s: float) -> tuple[CommitteeKey, KeyShare]:
    """Return the key that this trustee makes with the others, and its share of it, once both are on its disk.

    It speaks in the session in one start alone, and writes that down before. With the fresh secrets of another start it
    would tell a second story, and all others would name it for that.

    Raises:
        PartyError: an earlier start has begun and has no key, or the session failed or has left this trustee without a
            share.
    """
    never_began(folder, role)
    write_private(folder / BEGAN, b"")
    kept = make_key(role, exchange, patience_s)
    keep_key(folder, *kept)
    return kept


def _asking(line: Line, settings: TrusteeSettings) -> Callable[[bytes], bytes]:
    return lambda turn: line.ask("key", turn).result(settings.log_deadline_s)


class Duties:
    """What a trustee does by itself: it extends the log as the sequencer, and says its part for each grant.

    What it has said is said again as long as it is not in the log, because a sequencer that starts again has forgotten
    what was waiting.
    """

    def __init__(
        self,
        settings: TrusteeSettings,
        answers: TrusteeDesk,
        others: Mapping[str, Line],
        registration: bytes,
        note: Callable[[str], None],
    ) -> None:
        self._settings, self._answers, self._others, self._note = settings, answers, others, note
        self._registration = registration
        self._said: dict[object, tuple[bytes, float]] = {}
        self._handed: dict[object, Future[bytes]] = {}  # what the sequencer has not answered yet
        self._waiting: dict[tuple[bytes, Step], float] = {}  # since when aggregators could take a step
        self._hopeless: set[bytes] = set()  # the grants that have no verdict
        self._noted: set[str] = set()

    def go_on(self) -> bool:
        """Do what is due now, and return whether more was certified."""
        extended = False
        if self._answers.role.sequencer is not None:
            extended = self._answers.extend(self._others, self._settings.log_deadline_s, self._note_once)
        if self._settings.name not in self._answers.role.state.names:
            self.say("register", self._registration)
        for grant in self._open_grants():
            self._carry_out(grant)
        return extended

    def say(self, what: object, entry: bytes) -> None:
        """Hand an entry to the sequencer, the same again after a while."""
        entry, when = self._said.get(what, (entry, -math.inf))
        if time.monotonic() - when < _SAY_AGAIN_S:
            return
        self._said[what] = entry, time.monotonic()
        if self._answers.role.sequencer is not None:
            self._answers.submit(entry)
        else:
            first = self._settings.founding.trustees[0].name
            if what not in self._handed or self._handed[what].done():  # a sequencer that is gone is not asked twice
                self._handed[what] = self._others[first].ask("submit", encode(Submission(entry, ())))

    def _open_grants(self) -> list[bytes]:
        """Return the grants without a verdict, once all that this trustee has signed is certified."""
        with self._answers.changed:
            state = self._answers.role.state
            if not self._answers.is_settled():
                return []
            return [one for one in state.grants if one not in state.verdicts and one not in self._hopeless]

    def _carry_out(self, grant: bytes) -> None:
        answers, state = self._answers, self._answers.role.state
        with answers.changed:
            if noise_of(function_of(state, grant)) and (grant, Step.NOISE) not in state.ended:
                if grant in state.hand_ons:
                    self._close(grant, Step.NOISE)
                return
            missing = coins_to_toss(state, grant)
        for about in missing if answers.role.sequencer is not None else ():
            self._toss(about)
        with answers.changed:
            has_ended = (grant, Step.WORDS) in state.ended
            if not has_ended and grant in state.hand_ons and not missing:
                self._close(grant, Step.WORDS)
        if has_ended:
            self._judge(grant)

    def _close(self, grant: bytes, step: Step) -> None:
        """Close a step of the aggregators, once they have had their time."""
        since = self._waiting.setdefault((grant, step), time.monotonic())
        if time.monotonic() - since > self._settings.words_patience_s:
            self.say(("close", grant, step), self._answers.role.close(grant, step))

    def _toss(self, about: bytes) -> None:
        if ("coin", about) in self._said:
            self.say(("coin", about), b"")
            return
        try:
            entry, failed = self._answers.toss(about, self._others, self._settings.key_patience_s)
        except ProtocolError as error:
            self._note_once(f"no coin yet: {error}")
            return
        for name, why in failed.items():
            self._note_once(f"{name} gave no part of the coin: {why}")
        self.say(("coin", about), entry)

    def _judge(self, grant: bytes) -> None:
        """Say the verdict on a batch. It takes long, so others may use the role meanwhile.

        A batch that has no verdict now has none ever, unless an attachment is still to come.
        """
        if ("verdict", grant) in self._said:
            self.say(("verdict", grant), b"")
            return
        try:
            self.say(("verdict", grant), self._answers.role.verdict(grant))
        except AbsentAttachmentError as error:
            self._note_once(f"no verdict yet: {error}")
        except (TooManyLiesError, ProtocolError) as error:
            self._hopeless.add(grant)
            self._note_once(f"no verdict: {error}")

    def _note_once(self, sentence: str) -> None:
        if sentence not in self._noted:
            self._noted.add(sentence)
            self._note(sentence)


if __name__ == "__main__":
    sys.exit(run_party(TrusteeSettings, trustee))
