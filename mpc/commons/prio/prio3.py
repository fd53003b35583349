"""The steps of Prio3, for one report and for batches (draft-irtf-cfrg-vdaf-20, sections 5 and 7).

Aggregator 0 is the leader, and all others are helpers. A nonce is 16 uniform bytes that go with a report in the clear.
The verification key is 32 uniform bytes that all aggregators share and no client knows. `ctx` says which application
this is, and all must use the same::

    client           shard                        --> each aggregator: nonce, public share, its input share
    each aggregator  verify_init                  --> one aggregator: verifier share
    one aggregator   verifier_shares_to_message   --> each aggregator: verifier message
    each aggregator  verify_next, agg_update      --> collector: aggregate share
    collector        unshard

Names are the draft's. Its aggregation parameter is left out, because Prio3 has none. Public shares, input shares,
verifier shares, messages and aggregate shares are bytes as the draft encodes them. A batch has a row a report of them.

All but one of the aggregators together learn nothing of a measurement beyond its validity. The result is right only if
all aggregators follow the protocol. One that does not can falsify it, unnoticed within what the circuit can give.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Buffer

from mpc import _core
from mpc.commons.prio.errors import AggregateError, DecodeError, MeasurementError, error_of
from mpc.commons.prio.measurements import words_of
from mpc.commons.prio.shares import Messages, OutShare, OutShares, Reports, Rows, VerifyState, VerifyStates
from mpc.errors import ParameterError
from mpc.randomness import SYSTEM, Randomness

Measurement = TypeVar("Measurement")
AggResult = TypeVar("AggResult")

FIELD64 = 2**64 - 2**32 + 1
FIELD128 = 2**128 - 7 * 2**66 + 1
MOST_CONTEXT = 65535 - 8  # bytes of `ctx`, which the domain separation tag has behind eight others


class Prio3(Generic[Measurement, AggResult]):
    """One circuit with its parameters, and a number of aggregators. It holds no secret and never changes.

    Args:
        shares: the number of aggregators, 2 to 255.
        circuit: the core's name of the circuit, and its parameters.
        field_bits: 64 or 128, of the field's elements.
        proofs: the number of proofs, 1 to 255. One is enough in the larger field, and in small circuits.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    ID: ClassVar[int]
    NONCE_SIZE: ClassVar[int] = 16
    VERIFY_KEY_SIZE: ClassVar[int] = 32
    ROUNDS: ClassVar[int] = 1

    def __init__(
        self, shares: int, circuit: str, parameters: dict[str, int], field_bits: int = 64, proofs: int = 1
    ) -> None:
        for name, value in {"shares": shares, "proofs": proofs, **parameters}.items():
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**64:
                raise ParameterError(f"{name}: expected an integer from 0 to 2^64 - 1, found {value!r}")
        self.SHARES, self.PROOFS = shares, proofs
        self.modulus = FIELD64 if field_bits == 64 else FIELD128
        self.core_options = circuit, parameters, self.ID, field_bits
        self._core = _core.Prio3(*self.core_options, shares, proofs)
        self._sizes = self._core.sizes
        self.RAND_SIZE = self._sizes["randomness"]

    # What the circuits say.

    def _decode(self, elements: list[int], num_measurements: int) -> AggResult:
        raise NotImplementedError

    def _largest(self) -> list[int]:
        """Return the largest that each element of the output can be for one measurement."""
        raise NotImplementedError

    # At the client.

    def shard(
        self, ctx: bytes, measurement: Measurement, nonce: bytes, rand: bytes | None = None
    ) -> tuple[bytes, list[bytes]]:
        """Return the public share and an input share for each aggregator.

        Args:
            measurement: see the circuit's class.
            nonce: 16 fresh bytes of the operating system's randomness.
            rand: given by test vectors alone, `RAND_SIZE` bytes.

        Raises:
            MeasurementError: the circuit has no such measurement.
        """
        nonces = self._table("a nonce", [nonce], self.NONCE_SIZE, ParameterError)
        given = None if rand is None else self._table("rand", [rand], self.RAND_SIZE, ParameterError)
        reports = self.shard_batch(ctx, [measurement], nonces, given)
        return reports.public_shares.tobytes(), [table.tobytes() for table in reports.input_shares]

    def shard_batch(
        self,
        ctx: bytes,
        measurements: Sequence[Measurement] | NDArray[Any],
        nonces: Rows | None = None,
        rand: Rows | None = None,
        randomness: Randomness = SYSTEM,
    ) -> Reports:
        """Return the reports of many measurements.

        Nonces are drawn unless they are given, and `rand` is as in `shard`.
        """
        words = words_of(measurements, self._sizes["words"])
        if len(ctx) > MOST_CONTEXT:
            raise ParameterError(f"ctx: expected at most {MOST_CONTEXT} bytes, found {len(ctx)}")
        n, sizes = len(words), self._sizes
        if nonces is None:
            nonces = _drawn(randomness, n, self.NONCE_SIZE)
        if rand is None:
            rand = _drawn(randomness, n, self.RAND_SIZE)
        nonces = self._rows("nonces", nonces, n, self.NONCE_SIZE)
        rand = self._rows("rand", rand, n, self.RAND_SIZE)
        public, leader = _table(n, sizes["public_share"]), _table(n, sizes["leader_share"])
        helpers = np.empty((self.SHARES - 1, n, sizes["helper_share"]), np.uint8)
        try:
            self._core.shard(ctx, words, nonces, rand, public, leader, helpers)
        except ParameterError as error:
            raise MeasurementError(str(error)) from None
        return Reports(nonces, public, (leader, *helpers))

    # At the aggregators.

    def verify_init(
        self, verify_key: bytes, ctx: bytes, agg_id: int, nonce: bytes, public_share: bytes, input_share: bytes
    ) -> tuple[VerifyState, bytes]:
        """Return what this aggregator keeps, and its verifier share.

        Raises:
            DecodeError: a share has another length, or holds a number that is no field element.
            TestPointError: the test of the proof would show a secret.
        """
        states, shares = self.verify_init_batch(
            verify_key,
            ctx,
            agg_id,
            self._table("a nonce", [nonce], self.NONCE_SIZE),
            self._table("a public share", [public_share], self._sizes["public_share"]),
            self._table("an input share", [input_share], self._input_size(agg_id)),
        )
        _raise_failure(states.statuses)
        return VerifyState(states.rows.tobytes()), shares.tobytes()

    def verify_init_batch(
        self, verify_key: bytes, ctx: bytes, agg_id: int, nonces: Rows, public_shares: Rows, input_shares: Rows
    ) -> tuple[VerifyStates, Rows]:
        """Return what this aggregator keeps of each report, and a row for each verifier share.

        A report that fails has a status in the states, and zeros for its verifier share.
        """
        n, sizes = len(nonces), self._sizes
        states, shares, statuses = _table(n, sizes["state"]), _table(n, sizes["verifier_share"]), np.empty(n, np.uint8)
        if len(verify_key) != self.VERIFY_KEY_SIZE:
            raise ParameterError(f"a verification key: expected {self.VERIFY_KEY_SIZE} bytes, found {len(verify_key)}")
        self._core.verify_init(
            verify_key,
            ctx,
            agg_id,
            self._rows("nonces", nonces, n, self.NONCE_SIZE),
            self._rows("public shares", public_shares, n, sizes["public_share"]),
            self._rows("input shares", input_shares, n, self._input_size(agg_id)),
            states,
            shares,
            statuses,
        )
        return VerifyStates(states, statuses), shares

    def verifier_shares_to_message(self, ctx: bytes, verifier_shares: Sequence[bytes]) -> bytes:
        """Return the verifier message from all aggregators' verifier shares, in the order of their numbers.

        Raises:
            DecodeError: as in `verify_init`.
            InvalidProofError: the measurement is not valid, or a share is not what the client made.
        """
        size = self._sizes["verifier_share"]
        tables = [self._table("a verifier share", [share], size) for share in verifier_shares]
        messages = self.verifier_shares_to_message_batch(ctx, tables)
        _raise_failure(messages.statuses)
        return messages.rows.tobytes()

    def verifier_shares_to_message_batch(self, ctx: bytes, verifier_shares: Sequence[Rows]) -> Messages:
        """Return the verifier messages, from a table of each aggregator."""
        self._require_all("verifier shares", len(verifier_shares))
        n, size = len(verifier_shares[0]), self._sizes["verifier_share"]
        tables = np.stack([self._rows("verifier shares", table, n, size) for table in verifier_shares])
        messages, statuses = _table(n, self._sizes["verifier_message"]), np.empty(n, np.uint8)
        self._core.verifier_shares_to_messages(ctx, tables, messages, statuses)
        return Messages(messages, statuses)

    def verify_next(self, ctx: bytes, verify_state: VerifyState, verifier_message: bytes) -> OutShare:
        """Return this aggregator's share of the measurement, which is valid.

        Raises:
            DecodeError: the message has another length.
            JointRandomnessError: the client used other randomness for the proof than the aggregators derived.
        """
        state = self._table("a verify state", [verify_state.encoded], self._sizes["state"], ParameterError)
        message = self._table("a verifier message", [verifier_message], self._sizes["verifier_message"])
        passed = np.zeros(1, np.uint8)
        out = self.verify_next_batch(ctx, VerifyStates(state, passed), Messages(message, passed))
        _raise_failure(out.statuses)
        return OutShare(out.rows.tobytes())

    def verify_next_batch(self, ctx: bytes, states: VerifyStates, messages: Messages) -> OutShares:
        """Return this aggregator's shares. A report that failed before stays failed."""
        del ctx  # the draft has it, and nothing is derived in this step
        n = len(states)
        out, statuses = _table(n, self._sizes["aggregate"]), np.empty(n, np.uint8)
        rows = self._rows("verifier messages", messages.rows, n, self._sizes["verifier_message"])
        self._core.verify_next(states.rows, rows, out, statuses)
        for earlier in (messages.statuses, states.statuses):
            statuses = np.where(earlier != 0, earlier, statuses)
        out[statuses != 0] = 0
        return OutShares(out, statuses)

    def agg_init(self) -> bytes:
        """Return an empty aggregate share."""
        return bytes(self._sizes["aggregate"])

    def agg_update(self, agg_share: bytes, out_share: OutShare) -> bytes:
        """Return an aggregate share with one more measurement."""
        return self.merge([agg_share, out_share.encoded])

    def aggregate(self, out_shares: OutShares) -> bytes:
        """Return the aggregate share of all reports of a batch that have not failed.

        All aggregators must add up the same reports. They agree on them first, and drop the others by `OutShares.keep`.
        """
        return self._sum(self._rows("output shares", out_shares.rows, len(out_shares), self._sizes["aggregate"]),
                         out_shares.statuses)  # fmt: skip

    def merge(self, agg_shares: Sequence[bytes]) -> bytes:
        """Return the sum of aggregate shares of one aggregator, or of one of each. Raises `DecodeError`."""
        table = self._table("an aggregate share", agg_shares, self._sizes["aggregate"])
        return self._sum(table, np.zeros(len(table), np.uint8))

    # At the collector.

    def unshard(self, agg_shares: Sequence[bytes], num_measurements: int) -> AggResult:
        """Return the result, from all aggregators' aggregate shares of the same `num_measurements` reports.

        Raises:
            DecodeError: as in `verify_init`.
            AggregateError: the shares do not fit together, or so many measurements could pass the field's modulus.
        """
        self._require_all("aggregate shares", len(agg_shares))
        encoded, size = self.merge(agg_shares), self._sizes["element"]
        elements = [int.from_bytes(encoded[i : i + size], "little") for i in range(0, len(encoded), size)]
        return self.decode(elements, num_measurements)

    def decode(self, elements: list[int], num_measurements: int) -> AggResult:
        """Return the result, from the field elements that all shares add up to. Raises as `unshard`."""
        if num_measurements < 1:
            raise ParameterError(f"num_measurements: expected at least 1, found {num_measurements}")
        for place, (element, largest) in enumerate(zip(elements, self._largest(), strict=True)):
            if largest * num_measurements >= self.modulus:
                raise AggregateError(
                    f"expected at most {(self.modulus - 1) // largest} measurements, so that no sum passes the "
                    f"modulus, found {num_measurements}"
                )
            if element > largest * num_measurements:
                raise AggregateError(
                    f"expected aggregate shares of the same {num_measurements} reports, found a sum at place {place} "
                    "that is larger than they can give"
                )
        return self._decode(elements, num_measurements)

    @property
    def largest(self) -> list[int]:
        """The largest that each element of the output can be for one measurement."""
        return self._largest()

    def decode_noisy(self, elements: list[int], num_measurements: int, added: int) -> list[int]:
        """Return the elements of the result where noise from `-added` to `added` is in each, shifted by `added`.

        Raises:
            AggregateError: an element is larger than all can give, or so large a sum could pass the field's modulus.
        """
        found = []
        for place, (element, largest) in enumerate(zip(elements, self._largest(), strict=True)):
            most = largest * num_measurements + 2 * added
            if most >= self.modulus:
                raise AggregateError(f"expected sums with noise below the field's modulus, found up to {most}")
            if element > most:
                raise AggregateError(
                    f"expected aggregate shares of the same {num_measurements} reports, found a sum at place {place} "
                    "that is larger than they and the noise can give"
                )
            found.append(element - added)
        return found

    # Lengths.

    def _input_size(self, agg_id: int) -> int:
        if not 0 <= agg_id < self.SHARES:
            raise ParameterError(f"agg_id: expected 0 to {self.SHARES - 1}, found {agg_id}")
        return self._sizes["helper_share" if agg_id else "leader_share"]

    def _require_all(self, what: str, found: int) -> None:
        if found != self.SHARES:
            raise ParameterError(f"{what}: expected those of {self.SHARES} aggregators, found {found}")

    @staticmethod
    def _table(
        what: str, rows: Sequence[Buffer], size: int, kind: type[DecodeError] | type[ParameterError] = DecodeError
    ) -> Rows:
        """Return a table of these rows. Raises `kind` for another length."""
        encoded = [bytes(row) for row in rows]
        for row in encoded:
            if len(row) != size:
                raise kind(f"{what}: expected {size} bytes, found {len(row)}")
        return np.frombuffer(b"".join(encoded), np.uint8).reshape(len(encoded), size)

    @staticmethod
    def _rows(what: str, rows: ArrayLike, count: int, size: int) -> Rows:
        """Return a table that is as it must be. Raises `DecodeError` for another shape or type."""
        table = np.asarray(rows)
        if table.dtype != np.uint8 or table.shape != (count, size):
            raise DecodeError(
                f"{what}: expected a uint8 array of shape {(count, size)}, found {table.dtype} of {table.shape}"
            )
        return np.ascontiguousarray(table)

    def _sum(self, rows: Rows, statuses: Rows) -> bytes:
        total = np.empty(self._sizes["aggregate"], np.uint8)
        if not self._core.add(rows, statuses, total):
            raise error_of(1)
        return total.tobytes()


def _table(rows: int, size: int) -> Rows:
    return np.empty((rows, size), np.uint8)


def _drawn(randomness: Randomness, rows: int, size: int) -> Rows:
    return np.frombuffer(randomness.bytes(rows * size), np.uint8).reshape(rows, size)


def _raise_failure(statuses: Rows) -> None:
    if statuses[0]:
        raise error_of(int(statuses[0]))
