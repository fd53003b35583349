"""A trustee: it makes the key with the others, keeps the log, decides, and releases what was granted.

trustee                                           to
start_key, take_key_message    messages ──►       the other trustees, in one order
register                          entry ──►       the sequencer
submit, propose, vote, certify                    see :mod:`mpc.commons.consensus`
update                           Update ──►       whoever follows the log
attachment                        bytes ──►       trustees, aggregators, consumers
release                    ReleaseShare ──►       the consumer alone
coin_share               CoinShare ──►            a trustee, which logs the coin (`coin`)
close, verdict                  entries ──►       the sequencer
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping

from mpc.commons.access import State, granted
from mpc.commons.attachments import Attachments, check_attachment, digest_of, read_attachment
from mpc.commons.batches import opened_batch, sealed_batch
from mpc.commons.committee import CommitteeKey, KeySetup, KeyShare, check_for
from mpc.commons.consensus import Sequencer, Store, Trustee
from mpc.commons.encoding import Record, decode, encode
from mpc.commons.entries import Entry, Kind, Register, Role, sign_entry
from mpc.commons.following import update_from
from mpc.commons.founding import Founding
from mpc.commons.functions import check_functions
from mpc.commons.identities import TrusteeKeys
from mpc.commons.judging import SaidWords, judge
from mpc.commons.key_session import KeySession
from mpc.commons.proceedings import toss_of, words_so_far
from mpc.commons.release import release
from mpc.commons.replica import Accepted
from mpc.commons.steps import Close, Coin, CoinShare, Step
from mpc.errors import OrderError, ProtocolError
from mpc.randomness import SYSTEM, Randomness

_WITH_ATTACHMENT = (Kind.REPORT, Kind.HAND_ON, Kind.NOISE, Kind.WORDS)


class MissingError(ProtocolError):
    """A trustee lacks attachments of entries that were proposed. `digests` says which."""

    def __init__(self, digests: tuple[bytes, ...]) -> None:
        super().__init__(f"expected the attachments of all proposed entries, found {len(digests)} missing")
        self.digests = digests


class TrusteeRole:
    """One trustee. It prints its name alone.

    Args:
        store: where it writes what it signs. attachments: where it keeps what belongs to entries.
        share: its part of the trustees' key, where it has made the key before.

    Attributes:
        place: among the trustees, from 0 on. Trustee 0 is the sequencer.
        trustee: its copy of the log, and its votes.
        sequencer: its other task, or None.
    """

    def __init__(
        self,
        founding: Founding,
        keys: TrusteeKeys,
        store: Store,
        attachments: Attachments,
        share: KeyShare | None = None,
        clock: Callable[[], float] = time.time,
        randomness: Randomness = SYSTEM,
    ) -> None:
        check_functions(founding)
        self.trustee = Trustee(founding, keys, store, clock)
        self.place = self.trustee.place
        self.name = founding.trustees[self.place].name
        self.sequencer = Sequencer(self.trustee, founding, keys) if self.place == 0 else None
        self.attachments = attachments
        self._founding, self._keys, self._share, self._randomness = founding, keys, share, randomness
        self._session: KeySession | None = None
        self._asked: set[bytes] = set()

    @property
    def state(self) -> State:
        """What the entries of this trustee's copy say."""
        return self.trustee.copy.state

    # -- the key -----------------------------------------------------------------------------------------------------

    def start_key(self, attempt: int = 0) -> list[bytes]:
        """Return the first messages of a session that makes the key. All trustees must see all messages in one order.

        Args:
            attempt: another number for each session.
        """
        setup = KeySetup.of(self._founding, attempt)
        self._session = KeySession(setup, self.place, self._keys.identity, self._randomness)
        return self._session.start()

    @property
    def key_session(self) -> KeySession:
        """The session that makes the key. Raises `OrderError` before it is started."""
        if self._session is None:
            raise OrderError("expected a key session that was started, found none")
        return self._session

    def register(self) -> bytes:
        """Return the entry of this trustee's copy of the key. Raises `OrderError` before the key is there."""
        key: CommitteeKey = self.key_session.key
        return self._sign(Register(self.name, Role.TRUSTEE, encode(key)))

    @property
    def share(self) -> KeyShare:
        """This trustee's part of the key. Raises `OrderError` where there is none."""
        return self._share or self.key_session.share

    # -- the log -----------------------------------------------------------------------------------------------------

    def submit(self, entry: bytes, attachment: bytes | None = None) -> None:
        """Take an entry that shall be logged, with what belongs to it. At the sequencer.

        Both wait in memory, within a limit. An attachment is kept once its entry is proposed, which a stranger's never
        is.

        Raises:
            ProtocolError: as :meth:`mpc.commons.consensus.Sequencer.submit`, or the attachment is not the entry's.
        """
        sequencer, contents = self._sequencing(), decode(Entry, entry).contents()
        if (digest := digest_of(contents)) is not None:
            data = attachment if attachment is not None else read_attachment(self.attachments, digest)
            check_attachment(self._founding, contents, data)
            attachment = data
        else:
            attachment = None
        sequencer.submit(entry, attachment)

    def propose(self) -> bytes | None:
        """Return the next proposal to all trustees, or None. At the sequencer."""
        return self._sequencing().propose(self.attachments.put)

    def collect(self, votes: Iterable[bytes]) -> bytes | None:
        """Return the certificate that votes make, or None. At the sequencer."""
        return self._sequencing().collect(votes)

    def proposal_from(self, first: int) -> bytes:
        """Return the last proposal from an index on, for a trustee that is behind. At the sequencer."""
        return self._sequencing().proposal_from(first)

    def vote(self, proposal: bytes) -> bytes:
        """Return this trustee's vote for a proposal.

        Raises:
            MissingError: it lacks attachments, which it takes by :meth:`keep` before it votes.
            BehindError, ProtocolError: as :meth:`mpc.commons.consensus.Trustee.vote`.
        """
        missing = list[bytes]()
        for data in decode(Accepted, proposal).entries:
            if data[:1] and data[0] in _WITH_ATTACHMENT:
                contents = decode(Entry, data).contents()
                digest = digest_of(contents)
                held = self.attachments.get(digest) if digest is not None else None
                if digest is not None and held is None:
                    missing.append(digest)
                elif held is not None:
                    check_attachment(self._founding, contents, held)
        if missing:
            self._asked.update(missing)
            raise MissingError(tuple(missing))
        return self.trustee.vote(proposal)

    def certify(self, certificate: bytes) -> None:
        """Take a certificate, see :meth:`mpc.commons.consensus.Trustee.certify`."""
        self.trustee.certify(certificate)

    def hand_in(self, revocation: bytes) -> None:
        """Take a revocation from its author, see :meth:`mpc.commons.consensus.Trustee.hand_in`."""
        self.trustee.hand_in(revocation)

    def update(self, size: int) -> bytes | None:
        """Return what a follower of so many entries lacks, or None."""
        return update_from(self.trustee.copy, size)

    def attachment(self, digest: bytes) -> bytes | None:
        """Return an attachment that somebody asks for, or None."""
        return self.attachments.get(digest)

    def keep(self, data: bytes) -> None:
        """Keep an attachment that this trustee has asked for. Raises `ProtocolError` for another."""
        digest = hashlib.sha256(data).digest()
        if digest not in self._asked:
            raise ProtocolError("expected an attachment that was asked for, found another")
        self.attachments.put(data)
        self._asked.discard(digest)

    # -- a grant -----------------------------------------------------------------------------------------------------

    def release(self, grant: bytes) -> bytes:
        """Return this trustee's share of a release, for the consumer alone.

        Raises:
            ProtocolError: the grant is not certified, or was revoked here before, or fewer reports are valid than the
                task's smallest batch.
        """
        self.trustee.check_release(grant)
        found = sealed_batch(self.state, grant, self._read)
        committee = check_for(self._founding, self.state.trustees_key)
        return encode(release(self.share, committee, found.reports, found.consumer, grant, self._randomness))

    def coin_share(self, about: bytes) -> bytes:
        """Return this trustee's part of a coin.

        Args:
            about: one of :func:`mpc.commons.proceedings.coins_to_toss`.

        Raises:
            ProtocolError: what the coin is about is not certified here.
        """
        toss = toss_of(self.state, about)
        grant = self.state.noise_ends.get(about)
        index = granted(self.state, about).index if grant is None else self.state.ended[grant, Step.NOISE][0]
        if index >= self.trustee.copy.certified_size:
            raise ProtocolError("expected a coin about a certified entry, found one that is not certified yet")
        return encode(toss.share(self.share, self._randomness))

    def coin(self, about: bytes, shares: Mapping[int, bytes]) -> tuple[bytes, tuple[int, ...]]:
        """Return the entry of a coin, and the places of trustees whose part was wrong.

        Args:
            shares: by the place of the trustee that has sent it.

        Raises:
            ProtocolError: fewer than t + 1 are right.
        """
        read, liars = dict[int, CoinShare](), list[int]()
        for place, data in shares.items():
            try:
                read[place] = decode(CoinShare, data)
            except ProtocolError:
                liars.append(place)
        right, lied = toss_of(self.state, about).choose(read)
        return self._sign(Coin(about, right)), tuple(sorted((*liars, *lied)))

    def close(self, grant: bytes, step: Step) -> bytes:
        """Return the entry by which this trustee waits no longer for aggregators in a step."""
        return self._sign(Close(grant, step))

    def verdict(self, grant: bytes) -> bytes:
        """Return the entry of this trustee's verdict on a batch.

        It reads only what the log fixes before the end of the words, and changes nothing. So it may run beside what
        adds entries to the log, once that end is signed.

        Raises:
            AbsentAttachmentError: an attachment is not here yet.
            CheatingError: the consumer has handed on something else than what opens the batch. There is no verdict.
            ProtocolError: the aggregators' words have not ended yet, or fewer ciphertexts are valid than the task's
                smallest batch. There is no verdict then either.
            TooManyLiesError: more aggregators lied or were silent than can be corrected.
        """
        if (grant, Step.WORDS) not in self.state.ended:
            raise ProtocolError("expected the end of the aggregators' words in the log, found none yet")
        batch = opened_batch(self.state, grant, self._read)
        said = {
            place: decode(SaidWords, self._read(digest)) for place, digest in words_so_far(self.state, grant).items()
        }
        return self._sign(judge(self.state, batch, said))

    def _read(self, digest: bytes) -> bytes:
        return read_attachment(self.attachments, digest)

    def _sequencing(self) -> Sequencer:
        if self.sequencer is None:
            raise OrderError(f"expected the sequencer, found {self.name}")
        return self.sequencer

    def _sign(self, contents: Record) -> bytes:
        return sign_entry(self._keys.identity, self._founding.origin, contents)

    def __repr__(self) -> str:
        return f"TrusteeRole({self.name})"
