"""A release by two shares, both sides in one file. Neither side sees what was decrypted.

    trainer                                                   holder of the key, one party or several
      draws a mask, uniform modulo Q
      release/masked/T: result + mask, encrypted anew ------>   decrypts: result + mask, which is uniform
      reads a share from the mask                               reads a share from the masked result
      draws noise of its own                                    draws noise of its own
      garbles                          <---- garbled/... ---->  evaluates
          the shares' difference, rounded to the grid, refused out of its range, plus both noises
      learns the same if it is agreed  <--------------------    learns the noisy weights

A decrypted result of CKKS is the exact one plus an error that depends on the key (Li and Micciancio, EUROCRYPT 2021).
Here it is opened with noise alone, to nobody without. What each side sees before is uniform modulo Q, which is exact
and not statistical. It needs no room above the result, where a mask that is 40 bits wider would take two levels more.

*The noise.* Each side gives a discrete Gaussian of the full deviation sigma. So neither chooses the noise or knows all
of it, and the noise of one alone protects against the other, who knows its own. The sum has the variance 2 sigma^2.

*What is left of the error.* With sigma and an error of at most e in each of k weights the opened numbers differ from
those of a result without error by a divergence of at most ``sum (e + grid)^2 / (2 sigma^2)`` nats
(:meth:`SharedRelease.leak`), which is 1.6e-3 for e = 1e-4, sigma = 0.01 and k = 31. That is small and not 2^-40. A
sigma for which it is above a limit is refused. It holds for one release, so that a key pair releases once.

*Who deviates.* Both sides are trusted to follow the protocol. A trainer that changes its mask or its share moves the
opened weights by what it chooses, and learns nothing from that. One that gives another ciphertext chooses what is
opened, under the same noise. A holder that changes its share moves what it alone learns. Each of them can learn from
whether the circuit refuses one answer, of yes or no, that has no noise. A party that gives less noise takes from the
other's protection against outsiders only. A trainer that garbles another circuit chooses what the holder learns. Where
it learns the result itself, it can have the exact numbers and the error opened.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mpc._core import Circuit, CkksCiphertext, CkksEvaluator, CkksParameters, CkksPublicKey, CkksSecretKey
from mpc.channels.frames import Channel
from mpc.dp.discrete_gaussian import discrete_gaussian, noise_bound
from mpc.encrypted.ciphertexts import core_scale
from mpc.encrypted.packing import Floats
from mpc.encrypted.parameters import parameters_of
from mpc.encrypted.reading import Layout, Reading, Residues
from mpc.errors import ParameterError, ProtocolError, RangeError
from mpc.garbled.session import Evaluator, Garbler
from mpc.randomness import SYSTEM, Randomness, uniform_words
from mpc.ring import Ring, Words
from mpc.use_once import UseOnce

MOST_WEIGHTS = 4096
MOST_MODULUS_BITS = 127
LARGEST_LEAK = 0.01
"""In nats, the largest divergence that a release may have. A sigma that leaves more is refused."""

Shares = UseOnce[list[list[int]]]
"""One side's shares modulo Q of what is opened, ``d'`` for each target. They serve one release."""


@dataclass(frozen=True)
class SharedRelease:
    """What both sides know alike of one release. All of it is public.

    Attributes:
        parameters: the name of the set.
        scale: of the encrypted weights.
        targets: how many models are released together, each of d' weights.
        sigma: the deviation of the noise that *each* side adds to each weight. The sum of both has sqrt(2) of that.
        limit_bits: weights are between ``-2^limit_bits`` and ``2^limit_bits``, or nothing is opened.
        grid_bits: weights are opened as multiples of ``2^-grid_bits``.
        level: of the ciphertext that is decrypted.
        to_trainer: the trainer learns the noisy weights, too.

    Raises:
        ParameterError: a number that is out of range.
        RangeError: the level has no room for such weights, see :class:`mpc.encrypted.reading.Reading`.
    """

    parameters: str
    packing: Layout
    scale: Fraction
    targets: int = 1
    sigma: Fraction = Fraction(1, 100)
    limit_bits: int = 3
    grid_bits: int = 20
    level: int = 0
    to_trainer: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.targets * self.packing.features <= MOST_WEIGHTS:
            raise ParameterError(
                f"expected 1 to {MOST_WEIGHTS} weights in one release, found {self.targets} targets of "
                f"{self.packing.features}"
            )
        if not 0 <= self.level <= self.core.depth:
            raise ParameterError(f"expected a level of 0 to {self.core.depth}, found {self.level}")
        step, most = Fraction(1, 1 << self.grid_bits), Fraction(2) ** self.limit_bits
        if not step <= self.sigma <= most:
            raise ParameterError(
                f"expected noise of a deviation between the grid's step, {float(step):.2g}, and the limit of weights, "
                f"{float(most):g}, found {float(self.sigma):.3g}"
            )
        if (bits := self.reading.modulus.bit_length()) > MOST_MODULUS_BITS:
            raise ParameterError(
                f"expected a modulus of at most {MOST_MODULUS_BITS} bits for the circuit, found {bits}: take a lower "
                "level"
            )

    @property
    def core(self) -> CkksParameters:
        """The parameters of the encryption."""
        return parameters_of(self.parameters)

    @property
    def reading(self) -> Reading:
        """How weights are read from a share of a polynomial."""
        primes = tuple(self.core.primes[: self.level + 1])
        return _reading(self.packing, primes, self.scale, self.grid_bits, self.limit_bits)

    @property
    def steps(self) -> Fraction:
        """The deviation of one side's noise in steps of the grid."""
        return self.sigma * (1 << self.grid_bits)

    @property
    def noise_bits(self) -> int:
        """The bits of one side's noise, in two's complement."""
        return noise_bound(self.steps).bit_length() + 1

    @property
    def circuit(self) -> Circuit:
        """The circuit that opens all weights of all targets, or none."""
        reading, word = self.reading, (1 << 64) - 1
        count = self.targets * self.packing.features
        low, high = reading.modulus & word, reading.modulus >> 64
        return Circuit.noisy_release(count, low, high, reading.shift, reading.range_bits, self.noise_bits)

    @property
    def masked_bytes(self) -> int:
        """The length of one target's masked result."""
        return self.core.ciphertext_bytes(self.level)

    def leak(self, bounds: Sequence[Floats]) -> float:
        """Return a bound on what the opened weights say of the encryption's error, in nats.

        It is the Kullback-Leibler divergence between two discrete Gaussians of deviation sigma, one of them shifted by
        as many steps of the grid as the error can be. Their tails beyond 12 sigma, below 2^-102, are left out.

        Args:
            bounds: for each target ``(d',)``, what each number that is read is off by at most.
        """
        step = math.ldexp(1.0, -self.grid_bits)
        return sum(float((((bound + step) / float(self.sigma)) ** 2).sum()) / 2 for bound in bounds)

    def largest_difference(self, bounds: Floats) -> Floats:
        """Return what opened weights ``(d',)`` differ from the exact ones by at most: error, rounding and both noises.

        Args:
            bounds: ``(d',)``, what each number that is read is off by at most.
        """
        return self.reading.errors(bounds + math.ldexp(1 + 2 * noise_bound(self.steps), -self.grid_bits))

    def check_leak(self, bounds: Sequence[Floats], most: float = LARGEST_LEAK) -> float:
        """Return :meth:`leak`. Raises `RangeError` where it is above ``most``, with a sigma that would do."""
        if not (leak := self.leak(bounds)) <= most:
            raise RangeError(
                f"expected noise beside which the encryption's error tells at most {most:g} nats of the key, found "
                f"{leak:.2g} at a deviation of {float(self.sigma):g}: raise it to "
                f"{float(self.sigma) * math.sqrt(leak / most):.2g} or more"
            )
        return leak


@functools.lru_cache(maxsize=2)
def _reading(packing: Layout, primes: tuple[int, ...], scale: Fraction, grid_bits: int, limit_bits: int) -> Reading:
    return Reading(packing, primes, scale, grid_bits, limit_bits)


# -- masked results ----------------------------------------------------------------------------------------------------


def trainer_mask(
    release: SharedRelease, public_key: bytes, weights: Sequence[bytes], randomness: Randomness = SYSTEM
) -> tuple[list[bytes], Shares]:
    """Mask each target's encrypted weights, and return them with the trainer's shares.

    The mask is uniform modulo Q in every coefficient, and goes in as a fresh encryption. So what is decrypted is
    uniform, and the masked ciphertext is a fresh one.

    Raises:
        ProtocolError: the public key is malformed, or these are no encrypted weights of this release.
    """
    if len(weights) != release.targets:
        raise ParameterError(f"expected weights of {release.targets} targets, found {len(weights)}")
    public = CkksPublicKey(release.core, public_key)
    evaluator, scale = CkksEvaluator(release.core, None, []), core_scale(release.core, release.scale)
    reading, masked, sums = release.reading, [], []
    for message in weights:
        ciphertext = _checked(release, message)
        mask = np.stack([_uniform(prime, release.core.degree, randomness) for prime in reading.primes])
        fresh = public.encrypt_residues(mask, release.level, scale)
        masked.append(evaluator.add(ciphertext, fresh).to_bytes())
        sums.append(reading.read(mask))
    return masked, mask_shares(release, sums)


def mask_shares(release: SharedRelease, sums: Sequence[Sequence[int]]) -> Shares:
    """Return the shares of who knows what all masks on each target's result read as together, ``d'`` numbers."""
    reading = release.reading
    offset = (1 << (reading.shift + reading.range_bits - 1)) + (1 << (reading.shift - 1))  # to the range's middle; 1/2
    shares = [[(offset - number) % reading.modulus for number in target] for target in sums]
    return UseOnce(shares, "shares of the masks")


def holder_decrypt(release: SharedRelease, secret: CkksSecretKey, masked: bytes) -> Residues:
    """Return the polynomial of one target's masked result, as the only holder of the key.

    Several holders get the same array from a collective decryption.

    Raises:
        ProtocolError: the message is no encryption of weights under this key, at the scale of this release.
    """
    ciphertext = _checked(release, masked)
    if ciphertext.key_id != secret.key_id:
        raise ProtocolError("expected weights under this private key, found another key's")
    return secret.decrypt_residues(ciphertext)


def holder_shares(release: SharedRelease, decrypted: Sequence[Residues]) -> Shares:
    """Return the holder's shares, from each target's masked polynomial ``(level + 1, N)`` modulo its primes."""
    if len(decrypted) != release.targets:
        raise ParameterError(f"expected masked weights of {release.targets} targets, found {len(decrypted)}")
    return UseOnce([release.reading.read(one) for one in decrypted], "shares of the masked weights")


def trainer_send_masked(channel: Channel, masked: Sequence[bytes]) -> None:
    """Send each target's masked result to a holder of the key."""
    for target, message in enumerate(masked):
        channel.send(f"release/masked/{target}", message)


def holder_receive_masked(channel: Channel, release: SharedRelease) -> list[bytes]:
    """Receive each target's masked result, at its exact length."""
    return [bytes(channel.recv(f"release/masked/{target}", release.masked_bytes)) for target in range(release.targets)]


def _checked(release: SharedRelease, message: bytes) -> CkksCiphertext:
    ciphertext = CkksCiphertext.from_bytes(release.core, message)
    if ciphertext.level != release.level or ciphertext.scale != core_scale(release.core, release.scale):
        raise ProtocolError(
            f"expected weights at level {release.level} and the job's scale, found level {ciphertext.level} and a "
            f"scale of 2^{ciphertext.scale.bits:.4g}"
        )
    return ciphertext


def _uniform(prime: int, count: int, randomness: Randomness) -> Words:
    """Draw uniform residues modulo a prime, by rejection."""
    found = np.empty(0, np.uint64)
    while len(found) < count:
        drawn = uniform_words(count, prime.bit_length(), randomness)
        found = np.concatenate([found, drawn[drawn < prime]])
    return np.ascontiguousarray(found[:count])


# -- the circuit -------------------------------------------------------------------------------------------------------


def trainer_open(
    release: SharedRelease, garbler: Garbler, shares: Shares, randomness: Randomness = SYSTEM
) -> list[Floats] | None:
    """Give the trainer's shares and noise, and return the noisy weights if they are opened to it.

    Raises:
        OrderError: the shares have been used.
        RangeError: some weight is out of range, and nothing was opened. The trainer sees that only where it learns.
    """
    batch = garbler.garble(release.circuit, _inputs(release, shares, randomness))
    batch.reveal_to_evaluator()
    return _weights(release, batch.receive_outputs()) if release.to_trainer else None


def holder_open(
    release: SharedRelease, evaluator: Evaluator, shares: Shares, randomness: Randomness = SYSTEM
) -> list[Floats]:
    """Give the holder's shares and noise, and return the noisy weights ``(d',)`` of each target.

    Raises:
        OrderError: the shares have been used.
        RangeError: some weight is out of range, and nothing was opened.
    """
    batch = evaluator.evaluate(release.circuit, _inputs(release, shares, randomness))
    words = batch.learn_outputs()
    if release.to_trainer:
        batch.return_outputs()
    return _weights(release, words)


def _inputs(release: SharedRelease, shares: Shares, randomness: Randomness) -> Words:
    """Return one side's words ``(1, words)``, for each weight its share and its noise. The shares are used up."""
    taken = [number for target in shares.take() for number in target]
    noise = discrete_gaussian(release.steps, (len(taken),), randomness)
    word, wide = (1 << 64) - 1, release.reading.modulus.bit_length() > 64
    rows = []
    for number, own in zip(taken, Ring(release.noise_bits).reduce(noise).tolist(), strict=True):
        rows += [number & word, number >> 64, own] if wide else [number, own]
    return np.array([rows], np.uint64)


def _weights(release: SharedRelease, words: Words) -> list[Floats]:
    """Return the weights of each target for the words that the circuit opened."""
    *numbers, opened = words[0]
    if opened != 1:
        raise RangeError(
            f"expected weights between -2^{release.limit_bits} and 2^{release.limit_bits}, found one beyond: nothing "
            "was opened"
        )
    signed: NDArray[np.int64] = Ring(release.circuit.output_widths[0]).signed(np.array(numbers, np.uint64))
    return [release.reading.weights(one) for one in signed.reshape(release.targets, -1)]
