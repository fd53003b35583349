"""An aggregator: it opens its boxes of a granted batch, checks its shares, and sums those that all found valid.

    aggregator                                        to
    noise, complaints, words
                          entries, attachments ──►    the trustees, who log them
                                                      the verdict stands
    sum                               SumShare ──►        the consumer alone

It learns which reports are valid, and its own Shamir shares of them, which are uniform.
"""

from __future__ import annotations

import hashlib

from mpc.commons.access import granted
from mpc.commons.attachments import Attachments, read_attachment
from mpc.commons.batches import Batch, coin_of_each, opened_batch
from mpc.commons.encoding import Record, encode
from mpc.commons.entries import sign_entry
from mpc.commons.following import Follower
from mpc.commons.founding import Founding
from mpc.commons.group import SecretScalar
from mpc.commons.identities import Identity
from mpc.commons.judging import SaidWords
from mpc.commons.noise import deal_noise
from mpc.commons.prio import HeldShare, TestPointError
from mpc.commons.proceedings import noise_end, noises_so_far, task_of_grant
from mpc.commons.reports import open_box, open_to_all
from mpc.commons.steps import Complaint, Words
from mpc.commons.summing import SumShare, valid_items
from mpc.errors import ParameterError, ProtocolError
from mpc.randomness import SYSTEM, Randomness


class Aggregator:
    """One aggregator. It prints its name alone.

    Args:
        point: the secret of the key for boxes that the founding record has.

    Attributes:
        log: what this aggregator has seen of the log.
    """

    def __init__(
        self,
        founding: Founding,
        identity: Identity,
        point: SecretScalar,
        attachments: Attachments,
        randomness: Randomness = SYSTEM,
    ) -> None:
        record = founding.aggregators.get(identity.key)
        if record is None or record.point != point.times_generator().encode():
            raise ParameterError("expected the keys of one of the log's aggregators, found others")
        self.name, self.identity = record.name, identity
        self.log = Follower(founding)
        self.attachments = attachments
        self._founding, self._secret, self._randomness = founding, point, randomness
        self._batches: dict[bytes, tuple[Batch, dict[int, HeldShare]]] = {}

    def wants(self, grant: bytes) -> list[bytes]:
        """Return the digests of the attachments that this aggregator lacks for a grant. Any trustee has them."""
        state = self.log.state
        digests = [state.reports[one].digest for one in granted(state, grant).reports]
        if grant in state.hand_ons:
            digests.append(state.hand_ons[grant])
        digests += [one.digest for one in noises_so_far(state, grant).values()]
        return [digest for digest in digests if self.attachments.get(digest) is None]

    def noise(self, grant: bytes) -> tuple[bytes, bytes]:
        """Return the entry of this aggregator's part of the noise of a grant, and its boxes.

        Raises:
            ProtocolError: the grant's function has no noise.
        """
        entry, boxes = deal_noise(self.log.state, grant, self._place(grant), self._randomness)
        return self._sign(entry), boxes

    def complaints(self, grant: bytes) -> list[bytes]:
        """Return the entries that open this aggregator's bad boxes of a batch to all, mostly none.

        They must be in the log before this aggregator's words, and behind the end of the noise.

        Raises:
            CheatingError: the consumer has handed on something else than what opens the batch.
            ProtocolError: an attachment is missing, or the batch was not handed on, or the aggregators may still deal
                noise.
        """
        batch, held = self._opened(grant)
        place, said = self._place(grant), list[bytes]()
        for one in batch.items:
            if one.index not in held:
                point, proof = open_to_all(
                    self._secret, one.label, one.digests, place, one.boxes[place], self._randomness
                )
                said.append(self._sign(Complaint(grant, one.index, point, proof)))
        return said

    def words(self, grant: bytes) -> tuple[bytes, bytes]:
        """Return the entry of this aggregator's verifier words of a batch, and the words themselves.

        Raises:
            ProtocolError: a coin is not in the log yet, or as in :meth:`complaints`.
        """
        batch, held = self._opened(grant)
        words = list[bytes]()
        for one, coin in zip(batch.items, coin_of_each(self.log.state, batch), strict=True):
            try:
                words.append(one.robust.verifier(held[one.index], coin) if one.index in held else b"")
            except TestPointError:
                words.append(b"")
        said = encode(SaidWords(tuple(words)))
        return self._sign(Words(grant, hashlib.sha256(said).digest())), said

    def sum(self, grant: bytes) -> bytes:
        """Return this aggregator's sum over the valid reports of a batch and the noise, for the consumer alone.

        Raises:
            ProtocolError: as in :func:`mpc.commons.summing.valid_items`, or this aggregator has no share of something
                in the sum.
        """
        valid = valid_items(self.log.state, grant)
        batch, held = self._opened(grant)
        summed = {*valid.reports, *valid.noises}
        if missing := sorted(summed - held.keys()):
            raise ProtocolError(f"expected a share of all that is summed, found none of entry {missing[0]}")
        of_item = {one.index: one.robust for one in batch.items}
        sums = [of_item[index].aggregate([held[index]]) for index in sorted(summed)]
        return encode(SumShare(grant, valid.digest, of_item[valid.reports[0]].circuit.merge(sums)))

    def _opened(self, grant: bytes) -> tuple[Batch, dict[int, HeldShare]]:
        """Return a batch, and this aggregator's good shares of it by the item's index."""
        if grant not in self._batches:
            noise_end(self.log.state, grant)  # no more items from here on
            batch = opened_batch(self.log.state, grant, lambda digest: read_attachment(self.attachments, digest))
            place, held = self._place(grant), dict[int, HeldShare]()
            for one in batch.items:
                try:
                    message = open_box(self._secret, one.label, one.digests, place, one.boxes[place])
                except ProtocolError:
                    continue
                share = one.checked(place, message)
                if isinstance(share, HeldShare):
                    held[one.index] = share
            self._batches[grant] = batch, held
        return self._batches[grant]

    def _place(self, grant: bytes) -> int:
        place = task_of_grant(self.log.state, grant).place_of(self.identity.key)
        if place is None:
            raise ProtocolError(f"expected a grant of a task of {self.name}, found another's")
        return place

    def _sign(self, contents: Record) -> bytes:
        return sign_entry(self.identity, self._founding.origin, contents)

    def __repr__(self) -> str:
        return f"Aggregator({self.name})"
