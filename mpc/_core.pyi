"""The C++ core: circuits, garbled sessions, a group, encrypted linear maps, arrays of shares. No sockets, no clock.

The environment variable ``MPC_CPU_LEVEL`` (portable, aesni, vaes256, vaes512) picks the instruction set; without it the
core takes the best that the processor has. Every level gives the same bytes.

``u64[n, words]`` is a C-contiguous uint64 array of that shape, one row an instance; every value must fit its word.
Messages may be any bytes-like object. All calls release the interpreter lock; calls on one object from several threads
queue up. Raises ``mpc.errors.ProtocolError`` for a message of the wrong length or content,
``mpc.errors.ParameterError`` for the caller's own arguments and ``mpc.errors.OrderError`` for a call out of turn, which
is the caller's own too. Printing an object shows type and shape, never a secret.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

class Circuit:
    """An immutable Boolean circuit between a garbler and an evaluator.

    Inputs and outputs are words of 1 to 64 bits. Shares are additive: ``z = garbler's + evaluator's mod 2^bits``,
    signed in two's complement.
    """

    @staticmethod
    def relu(ring_bits: int, shift: int) -> Circuit:
        """A share each; out ``max(0, z >> shift)``, of ``ring_bits - shift - 1`` bits (at least one).

        ``z >> shift`` is the exact arithmetic shift (floor); ``0 <= shift < ring_bits``.
        """

    @staticmethod
    def rescale(ring_bits: int, shift: int) -> Circuit:
        """As :meth:`relu` without ``max(0, .)``, signed, of ``ring_bits - shift`` bits."""

    @staticmethod
    def leaky_relu(ring_bits: int, shift: int, slope: int, slope_bits: int) -> Circuit:
        """As :meth:`rescale`, but negative ``v = z >> shift`` become ``(v * slope) >> slope_bits``, exactly (floor)."""

    @staticmethod
    def max_pool(window: int, ring_bits: int, shift: int, rectify: bool) -> Circuit:
        """As :meth:`relu` (or, without ``rectify``, :meth:`rescale`) of the largest of ``window`` values."""

    @staticmethod
    def argmax(classes: int, ring_bits: int) -> Circuit:
        """``classes`` shares each; out as many one-bit words: one-hot of the signed argmax, lowest index on ties."""

    @staticmethod
    def threshold(labels: int, ring_bits: int) -> Circuit:
        """``labels`` shares each, of ``z_j - t_j``; out one bit a label, ``z_j > t_j``."""

    @staticmethod
    def sum_histogram(classes: int, width: int) -> Circuit:
        """``classes`` words each; out one word, the index of the signed argmax of the sums mod 2^width, ties lowest."""

    @staticmethod
    def noisy_release(
        count: int, modulus_low: int, modulus_high: int, shift: int, range_bits: int, noise_bits: int
    ) -> Circuit:
        """Open ``count`` numbers, shared modulo Q = modulus_low + 2^64 modulus_high of at most 127 bits, with noise.

        For each number both sides give their share below Q, in words of at most 64 bits, and signed noise of
        ``noise_bits``. y = (sum of shares mod Q) >> shift stands for the number y - 2^(range_bits - 1). If every y is
        below 2^range_bits, out come the numbers plus both noises, of max(range_bits, noise_bits + 1) + 1 bits, and a
        last word 1. Otherwise all words are 0.
        """

    @staticmethod
    def add(width: int) -> Circuit:
        """One word each; out their sum mod 2^width."""

    @staticmethod
    def sub(width: int) -> Circuit:
        """One word each; out garbler's minus evaluator's mod 2^width."""

    @staticmethod
    def less_than(width: int) -> Circuit:
        """One word each; out the bit ``garbler's < evaluator's``, signed."""

    @staticmethod
    def select(width: int) -> Circuit:
        """Garbler ``[a]``, evaluator ``[b, pick (1 bit)]``; out ``a`` where ``pick`` is one, else ``b``."""

    @property
    def name(self) -> str: ...
    @property
    def garbler_widths(self) -> list[int]: ...
    @property
    def evaluator_widths(self) -> list[int]: ...
    @property
    def output_widths(self) -> list[int]: ...
    @property
    def evaluator_bits(self) -> int:
        """OTs that one instance takes."""

    @property
    def and_gates(self) -> int: ...
    def table_bytes(self, n: int, tables: str = "half-gates") -> int:
        """Bytes of the tables of ``n`` instances: 32 an AND gate, with ``"three-halves"`` 24 5/8 in full tiles."""

    def projection_bytes(self, n: int, width: int) -> int:
        """Bytes of the message of ``GarbledPiece.project``: ``width - k`` bits for bit k of every output word."""

    def run(self, garbler: NDArray[np.uint64], evaluator: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """In the clear: ``u64[n, garbler words]``, ``u64[n, evaluator words]`` to ``u64[n, output words]``."""

def table_memory(bytes: int) -> NDArray[np.uint8]:
    """Memory to receive tables into: on huge pages, kept for the next batch when it is let go, not zeroed."""

class GarblerSession:
    """The garbler's half of a lasting session; holds the free-XOR offset.

    ``randomness``: a seed of 32 bytes for known-answer tests, which makes everything predictable; None otherwise.
    ``tables``: ``"half-gates"`` or ``"three-halves"``, the same on both sides.
    """

    def __init__(self, randomness: Buffer | None = None, tables: str = "half-gates") -> None: ...
    def receive_base(self, message: Buffer) -> bytes:
        """The evaluator's first message (32 B) to the reply: session salt and 128 points (4112 B)."""

    def finish_base(self, message: Buffer) -> None:
        """The evaluator's second message (3072 B); then the session is ready."""

    @property
    def ots_left(self) -> int:
        """OTs made and not yet used; always the same on both sides."""

    def extend(self, message: Buffer) -> None:
        """The evaluator's extension message (496 B a 128 OTs)."""

    def garble(
        self,
        circuit: Circuit,
        n: int,
        corrections: Buffer,
        projected: bool = False,
        values: NDArray[np.uint64] | None = None,
    ) -> GarbledPiece:
        """``n`` instances, taking ``n * evaluator_bits`` OTs. ``corrections``: the evaluator's choices, its
        ``EvaluatedPiece.corrections``. ``projected``: on both sides, so that :meth:`GarbledPiece.project` is possible
        where output words are wider than a bit. ``values``: the garbler's ``u64[n, garbler words]``, if they are known
        now. Their labels then travel as a seed."""

    def send_words(
        self, n: int, words: int, bits: int, corrections: Buffer, differences: NDArray[np.uint64]
    ) -> tuple[bytes, NDArray[np.uint64]]:
        """The message for ``n`` OTs of ``words`` correlated words mod 2^``bits``, and this side's shares, flat.

        ``differences``: ``u64[n * words]``, OT by OT. Both shares of a word add up to its difference where the
        evaluator has chosen one, else to zero. Takes ``n`` OTs. ``corrections``: ``ChosenWords.corrections``.
        """

    def send_products(
        self, bits: int, corrections: Buffer, factors: NDArray[np.uint64]
    ) -> tuple[bytes, NDArray[np.uint64]]:
        """The message for ``u64[n]`` products with the evaluator's factors mod 2^``bits``, and this side's shares.

        Takes ``n * bits`` OTs. ``corrections``: ``ChosenProducts.corrections``.
        """

class GarbledPiece:
    """The garbler's half of one circuit over ``n`` instances."""

    def write_tables(self, target: Buffer) -> int:
        """Fills ``target`` with the next bytes of the tables, while there are any, and returns how many. Memory is
        bounded by one tile."""

    @property
    def tables_left(self) -> int:
        """Bytes that :meth:`write_tables` has still to give."""

    def input_labels(self, values: NDArray[np.uint64] | None = None) -> bytes:
        """Labels of the garbler's ``u64[n, garbler words]``, once. If it was garbled with ``values``: the seed of them
        (16 B), and none are given here."""

    def decoding(self) -> bytes:
        """Bits that open the outputs to the evaluator; after the last table."""

    def decode(self, colours: Buffer) -> NDArray[np.uint64]:
        """The outputs ``u64[n, output words]``, to the garbler; after the last table."""

    def project(self, width: int, signed_words: bool = False) -> tuple[bytes, NDArray[np.uint64]]:
        """Outputs to additive shares: the evaluator's message (``Circuit.projection_bytes``), and the garbler's shares
        ``m`` ``u64[n, output words]``, fresh and uniform in Z_2^width; the evaluator obtains ``output - m``. Once,
        after the last table. ``signed_words``: output words are in two's complement."""

class EvaluatorSession:
    """The evaluator's half of a lasting session. ``randomness`` as for :class:`GarblerSession`."""

    def __init__(self, randomness: Buffer | None = None, tables: str = "half-gates") -> None: ...
    def start_base(self) -> bytes:
        """The first base-OT message (32 B)."""

    def receive_base(self, message: Buffer) -> bytes:
        """The garbler's reply to this side's second message (3072 B); then the session is ready."""

    @property
    def ots_left(self) -> int:
        """OTs made and not yet used; always the same on both sides."""

    def extend(self, count: int) -> bytes:
        """At least ``count`` more OTs, in multiples of 128; the message for ``GarblerSession.extend``."""

    def evaluate(
        self,
        circuit: Circuit,
        n: int,
        values: NDArray[np.uint64],
        projected: bool = False,
        seeded: bool = False,
    ) -> EvaluatedPiece:
        """``n`` instances, taking ``n * evaluator_bits`` OTs. ``values``: ``u64[n, evaluator words]``. ``seeded``: the
        garbler has its ``values`` when it garbles."""

    def choose_words(self, n: int, words: int, bits: int, choices: Buffer) -> ChosenWords:
        """Choose in ``n`` OTs by packed bits, the least significant of a byte first. Takes ``n`` OTs."""

    def choose_products(self, bits: int, factors: NDArray[np.uint64]) -> ChosenProducts:
        """Choose by the lowest ``bits`` bits of each of the ``u64[n]`` factors. Takes ``n * bits`` OTs."""

class ChosenWords:
    """The evaluator's half of correlated words, as ``EvaluatorSession.choose_words`` gave it."""

    @property
    def corrections(self) -> bytes:
        """What the garbler needs before it sends; one bit an OT."""

    @property
    def message_bytes(self) -> int:
        """Length of the garbler's message."""

    def receive(self, message: Buffer) -> NDArray[np.uint64]:
        """This side's shares, flat, once."""

class ChosenProducts:
    """The evaluator's half of products, as ``EvaluatorSession.choose_products`` gave it; see :class:`ChosenWords`."""

    @property
    def corrections(self) -> bytes: ...
    @property
    def message_bytes(self) -> int: ...
    def receive(self, message: Buffer) -> NDArray[np.uint64]: ...

class EvaluatedPiece:
    """The evaluator's half of one circuit over ``n`` instances."""

    @property
    def corrections(self) -> bytes:
        """What the garbler needs before it garbles; one bit an input bit, padded by the OTs."""

    def feed_tables(self, chunk: Buffer) -> None:
        """The next bytes of the tables, cut anywhere; after the labels."""

    def set_labels(self, message: Buffer) -> None:
        """The message of ``GarbledPiece.input_labels``, once, before the tables."""

    @property
    def label_bytes(self) -> int:
        """Length of that message."""

    def colours(self) -> bytes:
        """Bits that open the outputs to the garbler."""

    def decode(self, decoding: Buffer) -> NDArray[np.uint64]:
        """The outputs ``u64[n, output words]``, to the evaluator."""

    def open_projection(self, message: Buffer, width: int, signed_words: bool = False) -> NDArray[np.uint64]:
        """This side's shares ``output - m mod 2^width``, ``u64[n, output words]``; once."""

class CurvePoints:
    """Elements of edwards25519's prime-order subgroup, in order. They may be secret, and are wiped when they go.

    Scalars are 32 bytes each, lowest byte first, below the group order L. A length of one goes with any other, as in
    numpy. Multiples are constant time, apart from :meth:`combine` and :meth:`sum_of_multiples`. Raises
    ``ParameterError`` for scalars and lengths of the caller's own.
    """

    @staticmethod
    def decode(data: Buffer) -> CurvePoints:
        """Elements in their encoding of RFC 8032, 5.1.2, of 32 bytes each.

        Raises ``ProtocolError`` for the first that is not canonical, not on the curve, not in the subgroup, or the
        identity.
        """

    @staticmethod
    def from_seeds(seeds: Buffer) -> CurvePoints:
        """An element for every 96 bytes, which RFC 9380's ``hash_to_curve`` gives after its expansion."""

    @staticmethod
    def generator() -> CurvePoints:
        """RFC 8032's generator G."""

    @staticmethod
    def join(parts: list[CurvePoints]) -> CurvePoints:
        """All elements of all parts, in order."""

    def __len__(self) -> int: ...
    def __getitem__(self, places: slice) -> CurvePoints: ...
    def __add__(self, other: CurvePoints) -> CurvePoints: ...
    def __sub__(self, other: CurvePoints) -> CurvePoints: ...
    def multiply(self, scalars: Buffer) -> CurvePoints:
        """Each element times its scalar."""

    @staticmethod
    def combine(scalars: list[Buffer], points: list[CurvePoints]) -> CurvePoints:
        """Row by row, the sum over all columns of scalar times element. For PUBLIC values: not constant time."""

    def sum_of_multiples(self, scalars: Buffer) -> CurvePoints:
        """One element, the sum of all scalars times elements. For PUBLIC values: not constant time."""

    def encode(self) -> bytes:
        """32 bytes each, canonical."""

class CurveBase:
    """A table of one element (60 KiB), for many multiples of it."""

    def __init__(self, point: CurvePoints) -> None: ...
    def multiply(self, scalars: Buffer) -> CurvePoints:
        """A multiple for each scalar. Constant time."""

def curve_reduce(wide: Buffer) -> bytes:
    """Integers of 64 bytes each, lowest byte first, modulo the group order. Constant time."""

def curve_multiply_add(a: Buffer, b: Buffer, c: Buffer) -> bytes:
    """Scalars ``a b + c`` modulo the group order. Constant time."""

class RlweParameters:
    """Public parameters of encrypted linear maps; both parties derive the same ones from what is public.

    BFV over Z_2^l[X]/(X^N + 1) with N = ``degree`` (4096 or 8192) and l = ``plain_bits`` (2 to 54), 128-bit secure by
    the HomomorphicEncryption.org standard (log2 q at most 109 or 218). ``layers``: for each linear layer
    ``(norm_squared, results)``, a public bound on the sum of squared weights behind any one polynomial of a reply, and
    how many results one evaluator gives in all. Noise is flooded: all those results together depend on more of the
    weights than their values by a statistical distance of at most 2^-``statistical_bits``. The modulus is the smallest
    with which every result is exact (each fails with probability below 2^-56). Derivation:
    ``mpc/core/bfv/parameters.hpp``.

    Raises ParameterError if no modulus within the security bound is wide enough.
    """

    def __init__(
        self, degree: int, plain_bits: int, layers: list[tuple[int, int]], statistical_bits: int = 40
    ) -> None: ...
    @staticmethod
    def for_products(plain_prime: int, terms: int, results: int, statistical_bits: int = 40) -> RlweParameters:
        """Parameters for products of secret words, of degree 8192. ``plain_prime`` is their modulus, with 0 for 2^64.

        ``terms``: how many words an evaluator multiplies with behind any one polynomial of a reply. ``results``: how
        many it gives in all. ``layer`` of :meth:`RlweEvaluator.load` is 0.
        """

    @property
    def degree(self) -> int: ...
    @property
    def plain_bits(self) -> int: ...
    @property
    def layers(self) -> list[tuple[int, int]]: ...
    @property
    def modulus_bits(self) -> int:
        """Bits of q, the product of :attr:`primes`."""

    @property
    def primes(self) -> list[int]: ...
    @property
    def reply_bits(self) -> int:
        """k: replies are switched down to 2^k."""

    @property
    def flood_bits(self) -> float:
        """log2 W: replies are flooded with integers uniform in [-W, W)."""

    def upload_bytes(self, polynomials: int) -> int:
        """Length of an upload; of the public key with ``polynomials=1``."""

    def reply_bytes(self, positions: NDArray[np.int64], polynomials: int) -> int:
        """Length of a reply with these results."""

class RlweSecretKey:
    """The querying party's key. ``randomness``: a seed of 32 bytes for known-answer tests; None otherwise."""

    def __init__(self, parameters: RlweParameters, randomness: Buffer | None = None) -> None: ...
    def public_key(self) -> bytes:
        """For the :class:`RlweEvaluator`: an encryption of zero."""

    def encrypt(self, messages: NDArray[np.uint64]) -> bytes:
        """``u64[polynomials, N]`` in Z_2^l to an upload: a public seed and one packed polynomial each."""

    def decrypt(self, reply: Buffer, positions: NDArray[np.int64], polynomials: int) -> NDArray[np.uint64]:
        """The results of a reply of so many polynomials, ``u64[results]``, in the order of ``positions``.

        Position ``p`` is coefficient ``p % N`` of polynomial ``p // N``; ascending, at least one in every polynomial.
        """

class RlweWeights:
    """Weights of one layer, transformed; for the evaluators of the parameters that they were loaded under."""

class RlweSlots:
    """Vectors of words as polynomials mod ``primes`` primes of so many bits, whose products are those of the words.

    Degree N is that of the polynomials. See ``mpc/core/bfv/slots.hpp``.
    """

    def __init__(self, degree: int, primes: int, bits: int) -> None: ...
    @property
    def primes(self) -> list[int]: ...
    def encode(self, words: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Up to N words, signed, to ``u64[primes, N]`` coefficients below each prime: messages."""

    def encode_factors(self, words: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """The same around zero, in two's complement: weights."""

    def decode(self, coefficients: NDArray[np.uint64], count: int) -> NDArray[np.uint64]:
        """The inverse, ``u64[count]``: the integer in [0, product of primes) that a slot stands for, mod 2^64."""

    def masks(self, uniform: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Two uniform words a coefficient, flat, to uniform coefficients below each prime."""

class RlweEvaluator:
    """The answering party's side under one public key; its calls may run in several threads at once."""

    def __init__(self, parameters: RlweParameters, public_key: Buffer, randomness: Buffer | None = None) -> None: ...
    def load(self, weights: NDArray[np.int64], layer: int) -> RlweWeights:
        """Signed weights ``i64[outputs, inputs, N]`` below 2^30, within the norm bound of ``layer``."""

    def apply(
        self,
        weights: RlweWeights,
        upload: Buffer,
        masks: NDArray[np.uint64],
        positions: NDArray[np.int64],
        batch: int = 1,
    ) -> bytes:
        """The reply to an upload of ``batch * inputs`` polynomials m: ``batch * outputs`` polynomials, batch-major,
        ``sum_j w[o, j] * m[b, j]`` at ``positions``, plus ``masks`` ``u64[results]``.

        Raises ProtocolError for a malformed upload and when a layer's results exceed what the parameters allow in all.
        """

def matmul_u64(
    a: NDArray[np.uint64], b: NDArray[np.uint64], out: NDArray[np.uint64] | None = None, adds: bool = False
) -> NDArray[np.uint64]:
    """Return ``a @ b`` mod 2^64, exact, of shapes ``(..., m, k)`` and ``(..., k, n)`` that broadcast as numpy's.

    Any layout of ``a`` and ``b`` is as fast as another, such as a transposed one. ``out`` is C-contiguous memory for
    the result, apart from that of the factors. If it ``adds``, the product is added to what ``out`` holds. Raises
    ParameterError for other types and for shapes that do not fit.
    """

def matmul_u32(
    a: NDArray[np.uint32], b: NDArray[np.uint32], out: NDArray[np.uint32] | None = None, adds: bool = False
) -> NDArray[np.uint32]:
    """Return ``a @ b`` mod 2^32, as :func:`matmul_u64`."""

def matmul_wide(
    a: NDArray[np.uint64], b: NDArray[np.uint64], out: NDArray[np.uint64] | None = None
) -> NDArray[np.uint64]:
    """Return ``a @ b`` mod 2^128 as its lower words and its upper ones, ``u64[2, ..., m, n]``.

    With ``out`` the product is added to the numbers there, and ``out`` is returned. Shapes and layouts are those of
    :func:`matmul_u64`. Raises ParameterError as that does.
    """

def wide_products(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the exact products ``a * b`` as their lower words and their upper ones, ``u64[2, ...]``.

    Both are C-contiguous and have one shape.
    """

def carryless_sum(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return ``u64[2]``, the sum of the products of ``a`` and ``b`` as polynomials over F_2, the lower word first.

    Bit i of a word is the coefficient of x^i. Both are C-contiguous and have one shape.
    """

def wide_add(
    low: NDArray[np.uint64], high: NDArray[np.uint64], other_low: NDArray[np.uint64], other_high: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Return ``u64[2, ...]``, the sums mod 2^128 of numbers of two words each, the lower words first.

    All are C-contiguous and have one shape.
    """

def wide_subtract(
    low: NDArray[np.uint64], high: NDArray[np.uint64], other_low: NDArray[np.uint64], other_high: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Return the differences, as :func:`wide_add` returns sums."""

def wide_times(low: NDArray[np.uint64], high: NDArray[np.uint64], factors: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return ``u64[2, ...]``, the products mod 2^128 of numbers of two words each and words.

    The factors have the last dimensions of the numbers, or none, and serve again for all others. All are C-contiguous.
    """

def wide_sum_of_products(
    low: NDArray[np.uint64],
    high: NDArray[np.uint64],
    factors: NDArray[np.uint64],
    other_low: NDArray[np.uint64],
    other_high: NDArray[np.uint64],
    other_factors: NDArray[np.uint64],
    more_low: NDArray[np.uint64],
    more_high: NDArray[np.uint64],
) -> NDArray[np.uint64]:
    """Return ``u64[2, ...]``, numbers times words, and others times words, and more numbers, added up mod 2^128.

    Both kinds of factors have one shape, as those of :func:`wide_times`. All numbers have one shape. All are
    C-contiguous.
    """

def wide_macs(
    low: NDArray[np.uint64],
    high: NDArray[np.uint64],
    key_low: int,
    key_high: int,
    less_low: NDArray[np.uint64],
    less_high: NDArray[np.uint64],
) -> NDArray[np.uint64]:
    """Return ``u64[2, ...]``, numbers times a key of two words, less other numbers, mod 2^128.

    All are C-contiguous and have one shape.
    """

def wide_public(words: NDArray[np.uint64], key: int, first: bool) -> NDArray[np.uint64]:
    """Return ``u64[2, 2, ...]``, a party's share of public words and of their MACs, the lower words before the upper.

    The share of the words is they themselves for the ``first`` party, and else zero. That of the MACs is the exact
    product with this party's part of the key. The words are C-contiguous.
    """

def wide_sum(factors: NDArray[np.uint64], low: NDArray[np.uint64], high: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return ``u64[2]``, the sum mod 2^128 of the factors times numbers of two words each, the lower word first.

    All are C-contiguous and have one shape.
    """

def chosen_words(table: NDArray[np.uint64], number: NDArray[np.uint64], one: int) -> NDArray[np.uint64]:
    """Return ``u64[2, n]``, shares of the bits [number < secret] and [number = secret].

    Row v - 1 of ``table``, ``u64[rows, n]``, has shares of the bits that say whether the secret numbers are v. ``one``
    is the share of a one. Raises ParameterError for a number above ``rows``.
    """

def number_planes(number: NDArray[np.uint64], rows: int) -> NDArray[np.uint64]:
    """Return ``u64[rows, n]`` whose row v - 1 is all ones where the ``n`` numbers are v, and zero elsewhere."""

def bit_planes(words: NDArray[np.uint64], bits: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return words of the shape of ``words``, all ones where the lowest bits of a word and of ``bits`` differ, or zero.

    Raises ProtocolError for another number of bits.
    """

def pack_bit_words(planes: NDArray[np.uint64], words: NDArray[np.uint64], key: int, bytes: int) -> bytes:
    """Return the lowest ``bytes`` bytes, 1 to 8, of each (plane & key) ^ word, the least significant first.

    Raises ProtocolError for another number of words than of planes, ParameterError for another number of bytes.
    """

def open_words(plane: NDArray[np.uint64], words: NDArray[np.uint64], one: int) -> NDArray[np.uint64]:
    """Return ``u64[2, n]`` of a plane of n bits and as many words: its bits, and each word ^ (bit & one).

    A bit is a word that is all ones or zero. Raises ProtocolError for a plane of another length.
    """

def chosen_planes(
    table: NDArray[np.uint64],
    planes: NDArray[np.uint64],
    bits: int,
    one: int,
    blocks: Sequence[tuple[int, int, int]],
) -> NDArray[np.uint64]:
    """Return ``u64[2, groups, words]``, shares of [number < secret] and [number = secret] of every four bits.

    The public numbers stand in ``planes``, ``u64[bits or more, words]``. ``table``, ``u64[rows, secrets]``, is as
    :func:`tables_of_planes` makes it. A block of numbers is where its secrets begin in rows of the table, where it
    begins in those of the planes, and how many words it has. Blocks stand side by side. ``one`` is the share of a one.
    Raises ParameterError for rows or blocks that are not there.
    """

def tables_of_planes(planes: NDArray[np.uint64], bits: int) -> NDArray[np.uint64]:
    """Return ``u64[rows, words]``, whether each four bits are 1, and so on up to the largest number that they can be.

    The lowest group comes first, and the last one may have fewer bits. Rows of ``planes`` from ``bits`` on follow.
    """

def bit_products(
    opened: NDArray[np.uint64],
    masks: NDArray[np.uint64],
    dealt: NDArray[np.uint64],
    one: int,
    terms: Sequence[tuple[int, Sequence[int], Sequence[int]]],
    outs: int,
) -> NDArray[np.uint64]:
    """Return ``u64[outs, ...]``, shares of sums of products of shared bits that were opened under masks.

    A bit is ``opened[j] ^ masks[j]``. A term has the row that it is added to, the places j of its factors, and for each
    set of them the place of the share of the product of their masks. Set s has factor i where bit i of s is one. Places
    count a one's share ``one``, then ``masks``, then ``dealt``. Raises ParameterError for places that are not there.
    """

def field_products(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the products of two C-contiguous arrays of one shape in the field F_2[x] / (x^64 + x^4 + x^3 + x + 1).

    Bit i of a word is the coefficient of x^i.
    """

def field_chosen(bits: NDArray[np.uint64], elements: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return ``u64[16]``, for each j the XOR of all elements whose column has bit j.

    Bit j of column c of word w is bit ``16 c + j`` of ``bits[w]``, and its element is ``elements[4 w + c]``.
    """

def field_gram(u: NDArray[np.uint64], v: NDArray[np.uint64], elements: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return ``u64[16, 16]``, for i and j the XOR of all elements whose column has bit i in ``u`` and bit j in ``v``.

    Columns are those of :func:`field_chosen`.
    """

def field_combined(bits: NDArray[np.uint64], table: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return ``u64[4 n]``, for each column of :func:`field_chosen` the XOR of all ``table[j]`` whose bit j it has."""

def and_layer(
    d: NDArray[np.uint64],
    e: NDArray[np.uint64],
    a: NDArray[np.uint64],
    b: NDArray[np.uint64],
    c: NDArray[np.uint64],
    adds_product: bool,
    out: NDArray[np.uint64] | None = None,
) -> NDArray[np.uint64]:
    """Return a party's share ``c ^ d & b ^ a & e`` of ``x & y``, 64 bits a word (Beaver, CRYPTO 1991).

    ``d = x ^ a`` and ``e = y ^ b`` are opened, ``a``, ``b`` and ``c`` the party's shares of a triple. All have one
    shape and are C-contiguous, and so is ``out``, which may be one of them. One party ``adds_product``, ``d & e``.
    """

def multiply_layer(
    d: NDArray[np.uint64],
    e: NDArray[np.uint64],
    a: NDArray[np.uint64],
    b: NDArray[np.uint64],
    c: NDArray[np.uint64] | None,
    adds_product: bool,
    out: NDArray[np.uint64] | None = None,
) -> NDArray[np.uint64]:
    """Return a party's share ``c + d * b + a * e`` mod 2^64 of ``x * y``, as :func:`and_layer` with ``d = x - a``.

    No c stands for zeros.
    """

def cut_masks(a: NDArray[np.uint64], ring_bits: int, bits: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return ``u`` and ``top`` of ``r = -a`` mod 2^ring_bits, of which ``bits`` bits go.

    ``top`` is r's highest bit, and ``u`` is ``2^(ring_bits - 1 - bits) * top`` less the rest of r, shifted.
    """

def cut_shares(
    opened: NDArray[np.uint64],
    offset: int,
    u: NDArray[np.uint64],
    top: NDArray[np.uint64],
    ring_bits: int,
    bits: int,
    adds_public: bool,
) -> NDArray[np.uint64]:
    """Return a party's share of a value divided by 2^bits, from what was opened and its shares of :func:`cut_masks`.

    With ``c = opened + offset`` and its highest bit ``c_top``, it is ``u - 2^(ring_bits - bits) * c_top * top``. The
    party that ``adds_public`` adds ``(c >> bits) - 2^(ring_bits - 2 - bits)``.
    """

def planes_of_words(words: NDArray[np.uint64], bits: int) -> NDArray[np.uint64]:
    """Return ``u64[bits, ceil(n / 64)]`` of n words in C order: bit j of word i of plane b is bit b of word 64 i + j.

    Higher bits of the words are ignored. Bits of a plane beyond n are zero. ``1 <= bits <= 64``.
    """

def words_of_planes(planes: NDArray[np.uint64], count: int) -> NDArray[np.uint64]:
    """Return ``u64[count]``, the inverse of :func:`planes_of_words`. Bits of a plane beyond ``count`` are ignored."""

def pack_words(words: NDArray[np.uint64], bits: int) -> bytes:
    """Return the lowest ``bits`` bits of each word, without gaps, the least significant first, padded with zeros."""

def unpack_words(packed: Buffer, count: int, bits: int) -> NDArray[np.uint64]:
    """Return ``u64[count]``, the inverse of :func:`pack_words`.

    Raises ProtocolError for another length, and for padding bits that are not zero.
    """

def patches_of_images(
    images: NDArray[np.uint64], window_height: int, window_width: int, stride: int = 1, padding: int = 0
) -> NDArray[np.uint64]:
    """Return ``u64[patches, channels * window_height * window_width]`` of ``u64[n, channels, height, width]``: im2col.

    Patches come in the order of image, row and column, each as (channel, row, column), in images with ``padding`` zeros
    around. The images are C-contiguous. Raises ParameterError if no window fits.
    """

def images_of_patches(
    patches: NDArray[np.uint64],
    shape: tuple[int, int, int, int],
    window_height: int,
    window_width: int,
    stride: int = 1,
    padding: int = 0,
) -> NDArray[np.uint64]:
    """Return images of this shape whose words are the sums of those of all patches that cover them: col2im.

    It is the transposed map of :func:`patches_of_images`, for gradients, mod 2^64.
    """

class KeyStream:
    """Uniform words from a seed of 32 bytes that a few parties share: AES-128 in counter mode.

    The same sequence of sizes gives the same words to all of them. No word is given twice. At most 2^45 words come from
    one seed, after which ProtocolError is raised. A fork of the process that made it gets OrderError.
    """

    def __init__(self, seed: Buffer) -> None: ...
    def words(self, shape: int | tuple[int, ...]) -> NDArray[np.uint64]:
        """Return the next words, uniform in Z_2^64."""

    def fill(self, out: NDArray[np.uint64]) -> None:
        """Write the next words over ``out``, which is C-contiguous, as it is below."""

    def add_to(self, out: NDArray[np.uint64]) -> None:
        """Add the next words to those of ``out``, mod 2^64."""

    def subtract_from(self, out: NDArray[np.uint64]) -> None:
        """Subtract the next words from those of ``out``, mod 2^64."""

    def subtracted(self, words: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return ``words`` less the next words, mod 2^64, in new memory."""

    def exclusive_or_into(self, out: NDArray[np.uint64]) -> None:
        """Add the next words to those of ``out`` bit by bit."""

    def skip(self, count: int) -> None:
        """Pass by the words that a request of ``count`` would have given."""

    @property
    def position(self) -> int:
        """Blocks of two words that were given or passed by."""

class CkksScale:
    """The factor by which a plaintext or ciphertext holds its values: an exact product of powers of 2 and primes of q.

    Scales multiply and divide without rounding, and two are equal exactly if their exponents are. To let two terms meet
    at one scale, encode a factor of the first at ``wanted / ciphertext.scale``. Immutable and hashable.
    """

    @staticmethod
    def power_of_two(parameters: CkksParameters, bits: int) -> CkksScale:
        """Return 2^bits, for any sign of ``bits``."""

    def __mul__(self, other: CkksScale) -> CkksScale: ...
    def __truediv__(self, other: CkksScale) -> CkksScale: ...
    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...
    def __float__(self) -> float:
        """Return the value, correct to a relative 2^-50. Raises ParameterError above 2^1000 or below 2^-1000."""

    @property
    def bits(self) -> float:
        """log2 of the value."""

class CkksParameters:
    """Public parameters of RNS-CKKS (Cheon, Han, Kim, Kim, Song, SAC 2018) with hybrid key switching.

    Ring Z[X]/(X^N + 1), N = ``degree``, with N/2 slots of real numbers. A ciphertext at level l is modulo
    q_0 ... q_l, and level ``depth`` is the highest. ``prime_bits`` are those of q_0 ... q_depth, each at most 47.
    ``special_bits`` are those of the primes that key switching uses besides, and as many q_i make up one of its digits.
    The secret is uniform ternary, noise has a standard deviation of 3.24.

    Raises ParameterError if log2 of the product of all primes is above the cap for 128 bits of security, with the bits
    that are too many. Degrees below 4096 have no cap, so they and sets above it need ``insecure``, which is for tests.
    """

    def __init__(
        self,
        degree: int,
        prime_bits: list[int],
        special_bits: list[int],
        scale_bits: int,
        insecure: bool = False,
    ) -> None: ...
    @staticmethod
    def small() -> CkksParameters:
        """Return N = 16384, primes of 47 and 9 times 36 bits, special 47: 418 bits, depth 9, scale 2^36."""

    @staticmethod
    def large() -> CkksParameters:
        """Return N = 32768, primes of 47 and 17 times 40 bits, special 3 times 46: 865 bits, depth 17, scale 2^40."""

    @staticmethod
    def small_shallow() -> CkksParameters:
        """Return N = 16384, primes of 47 and 8 times 36 bits, special 2 times 47: 429 bits, depth 8, scale 2^36."""

    @staticmethod
    def large_shallow() -> CkksParameters:
        """Return N = 32768, primes of 47 and 16 times 40 bits, special 46, 3 of 44: 865 bits, depth 16, scale 2^40."""

    @property
    def degree(self) -> int: ...
    @property
    def slots(self) -> int:
        """N/2."""

    @property
    def depth(self) -> int: ...
    @property
    def primes(self) -> list[int]:
        """q_0 ... q_depth."""

    @property
    def special_primes(self) -> list[int]: ...
    @property
    def modulus_bits(self) -> float:
        """log2 of the product of all primes, special ones too."""

    @property
    def scale(self) -> CkksScale:
        """2^scale_bits."""

    def prime_scale(self, level: int) -> CkksScale:
        """Return q_level as a scale, by which :meth:`CkksEvaluator.rescale` divides at this level."""

    @property
    def digest(self) -> bytes:
        """32 bytes that every message carries the first 16 of. Different parameters have different ones."""

    def largest_value(self, level: int, scale: CkksScale) -> float:
        """Return the bound on |value| that a message at this level and scale may hold: q_0 ... q_l / (4 scale)."""

    def fresh_noise(self, symmetric: bool) -> float:
        """Return the bound on the noise of an encryption, in a slot, before division by the scale.

        Holds for all slots of a ciphertext together except with probability 2^-40, as for the two below. It does not
        contain the rounding of encoding, which is :attr:`encoding_noise`.
        """

    @property
    def encoding_noise(self) -> float:
        """The bound on a slot's error by rounding coefficients. A relative 2^-42 of the largest value comes with it."""

    @property
    def rescale_noise(self) -> float:
        """The bound on what a rescale adds, in units of the scale after it."""

    def switch_noise(self, level: int) -> float:
        """Return the bound on what one key switch adds (a product or rotation), before division by the scale."""

    def ciphertext_bytes(self, level: int) -> int:
        """Return the length of :meth:`CkksCiphertext.to_bytes`."""

    def seeded_bytes(self, level: int) -> int:
        """Return the length of an encryption by :meth:`CkksSecretKey.encrypt`, about half of the other."""

    def public_key_bytes(self) -> int: ...
    def switching_key_bytes(self, level: int) -> int:
        """Return the length of a relinearisation or rotation key that is cut to this level."""

class CkksPlaintext:
    """Values encoded at a level and a scale, for products. It serves at lower levels, too."""

    @property
    def level(self) -> int: ...
    @property
    def scale(self) -> CkksScale: ...

class CkksCiphertext:
    """An encryption of N/2 real numbers. Immutable. Printing shows level and scale."""

    @staticmethod
    def from_bytes(parameters: CkksParameters, message: Buffer) -> CkksCiphertext:
        """Read what :meth:`to_bytes` or :meth:`CkksSecretKey.encrypt` wrote, strictly.

        Raises ProtocolError for another length, kind, level or digest of parameters, a header that its checksum does
        not fit, and a residue that is not below its prime.
        """

    def to_bytes(self) -> bytes: ...
    @property
    def level(self) -> int: ...
    @property
    def scale(self) -> CkksScale: ...
    @property
    def key_id(self) -> bytes:
        """16 bytes that name the secret key."""

class CkksSecretKey:
    """The key holder's side: makes keys, encrypts and decrypts.

    ``seed``: 32 bytes, from which the secret follows and that are to be kept. All other randomness is fresh from the
    operating system, so that a key is made or a value encrypted anew at each call. A forked process may use it.
    """

    def __init__(self, parameters: CkksParameters, seed: Buffer) -> None: ...
    @property
    def key_id(self) -> bytes:
        """16 bytes that depend on the seed and the parameters, one-way. Every key and ciphertext carries it."""

    def public_key(self) -> bytes: ...
    def relinearisation_key(self, level: int) -> bytes:
        """Return the key for products at levels up to this one."""

    def rotation_key(self, steps: int, level: int) -> bytes:
        """Return the key for rotations by ``steps``, in (-N/2, N/2) and not 0, at levels up to this one."""

    def encrypt(self, values: NDArray[np.float64], level: int, scale: CkksScale | None = None) -> bytes:
        """Encrypt ``f64[n]``, n <= N/2, filled with zeros, at half the size of a public encryption.

        ``scale`` is that of the parameters without it. Raises ParameterError for values that are not finite or exceed
        :meth:`CkksParameters.largest_value`.
        """

    def decrypt(self, ciphertext: CkksCiphertext) -> NDArray[np.float64]:
        """Return ``f64[N/2]``, values and noise divided by the scale. Raises ParameterError for another key's.

        What is returned depends on the secret through its noise. See Li and Micciancio (EUROCRYPT 2021) before you give
        it to anybody who knows the ciphertext.
        """

    def decrypt_residues(self, ciphertext: CkksCiphertext) -> NDArray[np.uint64]:
        """Return ``u64[level + 1, N]``, the coefficients of the decrypted polynomial modulo q_0 ... q_level.

        They are the message times the scale and the noise, exactly. Raises ParameterError for another key's.
        """

class CkksPublicKey:
    """Encrypts without the secret. Raises ProtocolError for a malformed message."""

    def __init__(self, parameters: CkksParameters, message: Buffer) -> None: ...
    @property
    def key_id(self) -> bytes: ...
    def encrypt(self, values: NDArray[np.float64], level: int, scale: CkksScale | None = None) -> CkksCiphertext:
        """As :meth:`CkksSecretKey.encrypt`, with :meth:`CkksParameters.fresh_noise` of ``symmetric=False``."""

    def encrypt_integers(
        self, coefficients: NDArray[np.int64], level: int, scale: CkksScale | None = None, shift: int = 0
    ) -> CkksCiphertext:
        """Encrypt a polynomial by its coefficients ``i64[N]`` times 2^shift, such as the noise of a flood.

        Values in slots reach only half of all polynomials, and have 53 bits. Raises ParameterError for another number
        of coefficients, and for a shift above 127.
        """

    def encrypt_residues(
        self, residues: NDArray[np.uint64], level: int, scale: CkksScale | None = None
    ) -> CkksCiphertext:
        """Encrypt a polynomial by its coefficients ``u64[level + 1, N]`` modulo q_0 ... q_level, such as a mask.

        Raises ParameterError for another shape, and for a number that is not below its prime.
        """

class CkksEvaluator:
    """Computes on ciphertexts of one key. It holds keys for products and rotations, and no secret.

    Calls release the interpreter lock and may run in several threads at once. Operands of ``add`` and ``subtract`` need
    equal levels and equal scales. ParameterError says both where they differ, as for a level that is too low, a key
    that is missing or cut below the level, a scale that leaves no room below the modulus, and ciphertexts of another
    key. Malformed keys raise ProtocolError.
    """

    def __init__(self, parameters: CkksParameters, relinearisation: Buffer | None, rotations: list[Buffer]) -> None: ...
    @property
    def rotations(self) -> dict[int, int]:
        """The steps that there are keys for, each with its highest level."""

    def encode(self, values: NDArray[np.float64] | float, level: int, scale: CkksScale) -> CkksPlaintext:
        """Encode ``f64[n]``, filled with zeros, or one number for all slots, which is quick.

        One number other than 0 is refused if rounding at this scale changes it by more than a relative 2^-10.
        """

    def add(self, a: CkksCiphertext, b: CkksCiphertext) -> CkksCiphertext: ...
    def subtract(self, a: CkksCiphertext, b: CkksCiphertext) -> CkksCiphertext: ...
    def negate(self, a: CkksCiphertext) -> CkksCiphertext: ...
    def add_plain(self, a: CkksCiphertext, b: CkksPlaintext) -> CkksCiphertext:
        """Return ``a + b``. ``b`` has the scale of ``a`` and at least its level."""

    def multiply_plain(self, a: CkksCiphertext, b: CkksPlaintext, rescale: bool = False) -> CkksCiphertext:
        """Return ``a * b`` at the product of the scales. ``b`` has at least the level of ``a``."""

    def multiply(self, a: CkksCiphertext, b: CkksCiphertext, rescale: bool = False) -> CkksCiphertext:
        """Return ``a * b``, relinearised, at the product of the scales. Levels are equal, scales need not be.

        With ``rescale`` one division by P q_l does both, at less cost than two.
        """

    def dot(self, a: list[CkksCiphertext], b: list[CkksCiphertext], rescale: bool = False) -> CkksCiphertext:
        """Return ``sum_j a_j * b_j``, relinearised once. All products have one level and one scale."""

    def rescale(self, a: CkksCiphertext) -> CkksCiphertext:
        """Return ``a`` one level lower, at its scale divided by ``prime_scale(a.level)``."""

    def drop(self, a: CkksCiphertext, level: int) -> CkksCiphertext:
        """Return the same value and scale at a lower level, exactly."""

    def rotate(self, a: CkksCiphertext, steps: int) -> CkksCiphertext:
        """Return ``b`` with ``b[i] = a[i + steps mod N/2]``."""

    def rotate_each(self, a: CkksCiphertext, steps: list[int]) -> list[CkksCiphertext]:
        """Return several rotations of one ciphertext. Its digits are taken once. Steps may be 0."""

    def rotate_sum(self, terms: list[CkksCiphertext], steps: list[int]) -> CkksCiphertext:
        """Return ``sum_j rotate(terms[j], steps[j])``, with one division by P in all.

        A term that is the same object as another has its digits taken once. Steps may be 0.
        """

    def inner_sum(self, a: CkksCiphertext, count: int, stride: int) -> CkksCiphertext:
        """Return ``b[i] = sum_k a[i + k stride]``, k < ``count``, a power of two, by rotations ``stride * 2^j``."""

class CkksSecretShare:
    """One of several owners' ternary share of a secret key, and its shares of all keys and answers.

    ``seed``: 32 bytes. The secret follows from it and from ``key_id``, the joint key's 16 bytes. So does the randomness
    of each share, with all that the share depends on. The same question gets the same share. ``common``: 16 bytes that
    all owners draw the uniform half of one key from (Mouchet et al., PoPETs 2021). mpc/core/ckks/threshold.hpp has the
    formulas.
    """

    def __init__(self, parameters: CkksParameters, seed: Buffer, key_id: Buffer) -> None: ...
    @property
    def key_id(self) -> bytes: ...
    def public_key(self, common: Buffer) -> bytes: ...
    def rotation_key(self, common: Buffer, steps: int, level: int) -> bytes: ...
    def first_relinearisation(self, common: Buffer, level: int) -> bytes: ...
    def second_relinearisation(self, common: Buffer, sum: Buffer) -> bytes:
        """Return the share of the second round, for the sum of the first shares that the same ``common`` made."""

    def decryption(self, ciphertext: CkksCiphertext, mask_bits: int) -> bytes:
        """Return ``c_1 s_i + m_i`` with a mask of N coefficients, uniform in [-2^(mask_bits-1), 2^(mask_bits-1)).

        Raises ParameterError for a ciphertext of another key, and for a mask above 120 bits or the level's modulus.
        """

    def refresh_opening(self, ciphertext: CkksCiphertext, mask_bits: int) -> bytes:
        """Return what :meth:`decryption` does with another mask, which is that of a refresh."""

    def refresh(self, ciphertext: CkksCiphertext, mask_bits: int, common: Buffer, level: int) -> bytes:
        """Return ``-a s_i - m_i + e_i`` at a level, for the mask of :meth:`refresh_opening`."""

    def mask(self, ciphertext: CkksCiphertext, mask_bits: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Return the mask of :meth:`decryption`: of N coefficients the lower 64 bits and the upper ones."""

def ckks_add_key_shares(parameters: CkksParameters, shares: list[bytes]) -> bytes:
    """Return the public key or rotation key of all owners' shares, or the sum of their first relinearisation shares.

    Raises ProtocolError for malformed shares, and for such that are not of one key, step, level and common seed. So do
    the functions below.
    """

def ckks_add_second_shares(parameters: CkksParameters, sum: Buffer, shares: list[bytes]) -> bytes:
    """Return the relinearisation key of the sum of first shares and of all owners' second shares, which answer it."""

def ckks_open_values(ciphertext: CkksCiphertext, shares: list[bytes]) -> NDArray[np.float64]:
    """Return ``f64[N/2]``, a ciphertext's values with their noise and all owners' masks, divided by the scale."""

def ckks_open_residues(ciphertext: CkksCiphertext, shares: list[bytes]) -> NDArray[np.uint64]:
    """Return the same as N coefficients modulo q_0, then modulo q_1 and so on, ``u64[(level + 1) * N]``."""

def ckks_open_integers(
    ciphertext: CkksCiphertext, shares: list[bytes], opened_bits: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the same as N integers around zero, the lower 64 bits and the upper ones.

    Raises ParameterError for a level whose modulus has more than 127 bits, and ProtocolError where an integer is not in
    [-2^opened_bits, 2^opened_bits), as it is with shares of another secret.
    """

def ckks_refreshed(ciphertext: CkksCiphertext, shares: list[bytes], fresh: list[bytes], opened_bits: int) -> bytes:
    """Return the ciphertext at a higher level, of all owners' shares of its decryption and of their fresh ones.

    Raises ProtocolError as :func:`ckks_open_integers` does.
    """

class RobustPrio:
    """Prio with Shamir's shares, for one report (mpc/core/prio/robust.hpp). It holds no secret and never changes.

    Lengths are those that `sizes` says. ``check`` and ``verifier`` return 0, or why they fail.
    """

    def __init__(
        self,
        circuit: str,
        parameters: dict[str, int],
        algorithm: int,
        field_bits: int,
        aggregators: int,
        threshold: int,
    ) -> None: ...
    @property
    def sizes(self) -> dict[str, int]:
        """Return lengths in bytes, and ``words``, the number of them in a measurement."""

    def deal(
        self,
        context: Buffer,
        measurement: NDArray[np.uint64],
        nonce: Buffer,
        randomness: Buffer,
        public_share: NDArray[np.uint8],
        shares: NDArray[np.uint8],
    ) -> None: ...
    def check(self, context: Buffer, number: int, nonce: Buffer, public_share: Buffer, share: Buffer) -> int: ...
    def verifier(
        self,
        context: Buffer,
        nonce: Buffer,
        public_share: Buffer,
        share: Buffer,
        coin: Buffer,
        words: NDArray[np.uint8],
    ) -> int: ...
    def decide(self, words: Buffer) -> bool: ...
    def output(self, share: Buffer, out: NDArray[np.uint8]) -> None: ...

class Prio3:
    """Prio3 with one circuit, for batches of reports (mpc/core/prio/). It holds no secret and never changes.

    Tables are uint8 arrays with a row a report, C-contiguous, of the lengths that `sizes` says. Outputs are written
    over the arrays that are given for them. ``statuses`` has a byte a report, 0 if it has not failed. Raises
    ProtocolError for a table of another length.
    """

    def __init__(
        self, circuit: str, parameters: dict[str, int], algorithm: int, field_bits: int, shares: int, proofs: int
    ) -> None: ...
    @property
    def sizes(self) -> dict[str, int]:
        """Return lengths in bytes of all that is sent or kept, and ``words``, the number of them in a measurement."""

    def shard(
        self,
        context: Buffer,
        measurements: NDArray[np.uint64],
        nonces: NDArray[np.uint8],
        randomness: NDArray[np.uint8],
        public_shares: NDArray[np.uint8],
        leader_shares: NDArray[np.uint8],
        helper_shares: NDArray[np.uint8],
    ) -> None: ...
    def verify_init(
        self,
        verify_key: Buffer,
        context: Buffer,
        aggregator: int,
        nonces: NDArray[np.uint8],
        public_shares: NDArray[np.uint8],
        input_shares: NDArray[np.uint8],
        states: NDArray[np.uint8],
        verifier_shares: NDArray[np.uint8],
        statuses: NDArray[np.uint8],
    ) -> None: ...
    def verifier_shares_to_messages(
        self,
        context: Buffer,
        verifier_shares: NDArray[np.uint8],
        messages: NDArray[np.uint8],
        statuses: NDArray[np.uint8],
    ) -> None: ...
    def verify_next(
        self,
        states: NDArray[np.uint8],
        messages: NDArray[np.uint8],
        output_shares: NDArray[np.uint8],
        statuses: NDArray[np.uint8],
    ) -> None: ...
    def add(self, rows: NDArray[np.uint8], statuses: NDArray[np.uint8], aggregate: NDArray[np.uint8]) -> bool:
        """Write the sum of those rows that have not failed, unless one of these holds no field element."""
