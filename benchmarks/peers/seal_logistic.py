"""SEAL doing the programs of ``benchmarks.securetrain``, with the operations of the project one by one.

    python -m benchmarks.peers.seal_logistic --work FILE

The program is the project's own (``mpc.encrypted.programs``), which computes with whatever has the operations. Here
they are SEAL's, at the same degree, the same primes of a ciphertext and the same scales. SEAL has one special prime,
and keys of the highest level alone. One process is both sides. So its memory holds what both do, and no turn reads
keys.

The file holds ``kind``, ``records`` and what follows from the kind. "logistic": ``rate``, ``iterations`` and the twin's
weights. "private": the matrix of all steps ``(d', d')`` and the weights that it is applied to, ``(d',)``.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import seal

from benchmarks.peers.turns import clocked, take_turns
from mpc._core import CkksParameters
from mpc.encrypted.packing import Floats
from mpc.encrypted.parameters import parameters_of
from mpc.encrypted.private_model import LEVEL, PARAMETERS, SCALE_BITS
from mpc.encrypted.programs.logistic import Logistic, train
from mpc.encrypted.programs.squared import baby_steps, diagonals, rotations
from mpc.encrypted.ranges import packed
from mpc.encrypted.training import Job


@dataclass(frozen=True)
class Encrypted:
    """A ciphertext of SEAL with its level and exact scale."""

    ciphertext: Any
    level: int
    scale: Fraction


class Keys:
    """One side's keys and the other's operations, see ``mpc.encrypted.arithmetic``."""

    def __init__(self, parameters: CkksParameters, levels: int, steps: Sequence[int], products: bool) -> None:
        settings = seal.EncryptionParameters(seal.scheme_type.ckks)
        settings.set_poly_modulus_degree(parameters.degree)
        self.primes = parameters.primes[: levels + 1]
        settings.set_coeff_modulus([seal.Modulus(p) for p in (*self.primes, parameters.special_primes[0])])
        self.context = seal.SEALContext(settings, True, seal.sec_level_type.none)
        self.generator = seal.KeyGenerator(self.context)
        self.encoder, self.evaluator = seal.CKKSEncoder(self.context), seal.Evaluator(self.context)
        self.encryptor = seal.Encryptor(self.context, self.generator.secret_key())
        self.decryptor = seal.Decryptor(self.context, self.generator.secret_key())
        self.steps, self.levels = list(steps), levels
        self.products = self.generator.create_relin_keys() if products else None
        self.rotations = seal.GaloisKeys()
        self.generator.create_galois_keys(self.steps, self.rotations)

    def key_bytes(self) -> int:
        """Return how many bytes all keys have. Every one for a rotation is as long as every other."""
        one = seal.GaloisKeys()
        self.generator.create_galois_keys(self.steps[:1], one)
        size = len(self.generator.create_public_key().to_string()) + len(self.steps) * len(one.to_string())
        return size + (0 if self.products is None else len(self.products.to_string()))

    def encrypt(self, slots: Floats, level: int, scale: Fraction) -> Encrypted:
        plain = self.encoder.encode(slots, float(scale))
        return self._at(self.encryptor.encrypt_symmetric(plain), self.levels, level, scale)

    def decrypt(self, value: Encrypted) -> Floats:
        return np.asarray(self.encoder.decode(self.decryptor.decrypt(value.ciphertext)))

    def _at(self, ciphertext: Any, level: int, lower: int, scale: Fraction) -> Encrypted:
        for _ in range(level - lower):
            ciphertext = self.evaluator.mod_switch_to_next(ciphertext)
        ciphertext.scale(float(scale))
        return Encrypted(ciphertext, lower, scale)

    def prime(self, level: int) -> int:
        return self.primes[level]

    def lower(self, value: Encrypted, level: int) -> Encrypted:
        return value if value.level == level else self._at(value.ciphertext, value.level, level, value.scale)

    def _meet(self, first: Encrypted, second: Encrypted) -> tuple[Encrypted, Encrypted]:
        level = min(first.level, second.level)
        return self.lower(first, level), self.lower(second, level)

    def add(self, first: Encrypted, second: Encrypted) -> Encrypted:
        a, b = self._meet(first, second)
        return Encrypted(self.evaluator.add(a.ciphertext, b.ciphertext), a.level, first.scale)

    def _plain(self, numbers: Floats | float, value: Encrypted, scale: Fraction) -> Any:
        plain = self.encoder.encode(numbers, float(scale))
        return self.evaluator.mod_switch_to(plain, value.ciphertext.parms_id())

    def add_constant(self, value: Encrypted, constant: float) -> Encrypted:
        plain = self._plain(constant, value, value.scale)
        return Encrypted(self.evaluator.add_plain(value.ciphertext, plain), value.level, value.scale)

    def multiply(self, first: Encrypted, second: Encrypted) -> Encrypted:
        a, b = self._meet(first, second)
        product = self.evaluator.relinearize(self.evaluator.multiply(a.ciphertext, b.ciphertext), self.products)
        return self._rescaled(product, a.level, first.scale * second.scale / self.prime(a.level))

    def subtract(self, first: Encrypted, second: Encrypted) -> Encrypted:
        a, b = self._meet(first, second)
        return Encrypted(self.evaluator.sub(a.ciphertext, b.ciphertext), a.level, first.scale)

    def dot(self, first: Sequence[Encrypted], second: Sequence[Encrypted]) -> Encrypted:
        level = min(value.level for value in (*first, *second))
        pairs = [(self.lower(a, level), self.lower(b, level)) for a, b in zip(first, second, strict=True)]
        products = [self.evaluator.multiply(a.ciphertext, b.ciphertext) for a, b in pairs]
        product = self.evaluator.relinearize(functools.reduce(self.evaluator.add, products), self.products)
        return self._rescaled(product, level, first[0].scale * second[0].scale / self.prime(level))

    def scaled_up(self, value: Encrypted, bits: int, power: int = 0) -> Encrypted:
        factor = self._plain(2.0**power, value, Fraction(2) ** bits)
        product = self.evaluator.multiply_plain(value.ciphertext, factor)
        return self._at(product, value.level, value.level, value.scale * Fraction(2) ** bits)

    def each(self, steps: Sequence[Callable[[], Encrypted]]) -> list[Encrypted]:
        return [step() for step in steps]

    def _rescaled(self, product: Any, level: int, scale: Fraction) -> Encrypted:
        return self._at(self.evaluator.rescale_to_next(product), level - 1, level - 1, scale)

    def multiply_plain(self, value: Encrypted, slots: Floats | float, scale: Fraction) -> Encrypted:
        plain = self._plain(slots, value, scale * self.prime(value.level) / value.scale)
        return self._rescaled(self.evaluator.multiply_plain(value.ciphertext, plain), value.level, scale)

    def times_plain(self, like: Encrypted, slots: Floats, scale: Fraction) -> Callable[[Encrypted], Encrypted]:
        plain = self._plain(slots, like, scale * self.prime(like.level) / like.scale)
        return lambda value: self._rescaled(self.evaluator.multiply_plain(value.ciphertext, plain), value.level, scale)

    multiply_constant = multiply_plain

    def rotate(self, value: Encrypted, step: int) -> Encrypted:
        turned = self.evaluator.rotate_vector(value.ciphertext, step, self.rotations)
        return Encrypted(turned, value.level, value.scale)

    def add_rotated(self, value: Encrypted, steps: Sequence[int]) -> Encrypted:
        for step in steps:
            value = self.add(value, self.rotate(value, step))
        return value


def logistic(order: dict[str, Any]) -> None:
    """Train on encrypted records."""
    records, weights = order["records"], order["weights"]
    job = Job.of(*records.shape, Logistic(float(order["rate"]), int(order["iterations"])))
    packing, choices = job.packing, job.choices
    scale = Fraction(float(job.core.scale))
    held: dict[str, Any] = {}

    def make_keys() -> None:
        held["keys"] = Keys(job.core, job.choices.levels, packing.rotations, products=True)

    def encrypt() -> None:
        keys = held["keys"]
        held["chunks"] = [keys.encrypt(chunk, choices.levels, scale) for chunk in packed(packing, records, choices)]

    def work() -> None:
        steps = list(train(held["keys"], packing, held["chunks"], choices))
        held["weights"] = held["keys"].lower(steps[-1].weights, 0)

    def end() -> dict[str, Any]:
        keys = held["keys"]
        found: dict[str, Floats] = {}
        took = clocked(lambda: found.update(weights=packing.weights(keys.decrypt(held["weights"]))))
        sent = held["chunks"]
        return {
            "decrypt_ms": took["ms"],
            "error": float(np.abs(found["weights"] - weights).max()),
            "key_bytes": keys.key_bytes(),
            "data_bytes": sum(len(value.ciphertext.to_string()) for value in sent),
        }

    times = {"keys_ms": clocked(make_keys)["ms"], "encrypt_ms": clocked(encrypt)["ms"]}
    take_turns(times, work, end)


def private(order: dict[str, Any]) -> None:
    """Multiply the matrix of all steps with encrypted weights. Nothing is added to hide the records' noise."""
    matrix, weights = order["matrix"], order["weights"]
    size, core, scale = len(weights), parameters_of(PARAMETERS), Fraction(1 << SCALE_BITS)
    held: dict[str, Any] = {}

    def make_keys() -> None:
        held["keys"] = Keys(core, LEVEL, rotations(size), products=False)

    def encrypt() -> None:
        held["vector"] = held["keys"].encrypt(np.tile(weights, core.slots // size), LEVEL, scale)

    def work() -> None:
        keys, vector, baby = held["keys"], held["vector"], baby_steps(size)
        turned = [vector, *(keys.rotate(vector, k) for k in range(1, min(baby, size)))]
        whole, prime, terms = diagonals(matrix, core.slots), Fraction(core.primes[LEVEL]), []
        for giant in range(0, size, baby):
            products = [
                keys.evaluator.multiply_plain(
                    term.ciphertext, keys.encoder.encode(np.roll(whole[giant + k], giant), float(prime))
                )
                for k, term in enumerate(turned)
            ]
            term = Encrypted(functools.reduce(keys.evaluator.add, products), LEVEL, scale * prime)
            terms.append(keys.rotate(term, giant) if giant else term)
        found = functools.reduce(keys.add, terms)
        held["result"] = keys._rescaled(found.ciphertext, LEVEL, scale)

    def end() -> dict[str, Any]:
        keys = held["keys"]
        found: dict[str, Floats] = {}
        took = clocked(lambda: found.update(weights=keys.decrypt(held["result"]).reshape(-1, size).mean(axis=0)))
        return {
            "decrypt_ms": took["ms"],
            "error": float(np.abs(found["weights"] - matrix @ weights).max()),
            "key_bytes": keys.key_bytes(),
            "data_bytes": len(held["vector"].ciphertext.to_string()),
        }

    times = {"keys_ms": clocked(make_keys)["ms"], "encrypt_ms": clocked(encrypt)["ms"]}
    take_turns(times, work, end)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", required=True)
    chosen = parser.parse_args()
    with np.load(chosen.work) as file:
        order = {name: file[name] for name in file.files}
    {"logistic": logistic, "private": private}[str(order["kind"])](order)


if __name__ == "__main__":
    main()
