"""Operations of CKKS beside SEAL's, at the same degree and the same primes of a ciphertext.

    python -m benchmarks.ckks

Everything runs on one core. Ours and SEAL take turns in one process, and the fastest of many runs counts, by the
thread's own time. First both compute the same from the same values, and the largest error of each result is compared.
The program prints tables, and writes ``ckks.json``.

SEAL has one special prime. So has our set "small", whose keys are as SEAL's. Our set "large" has three, which make keys
smaller and switching quicker.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import seal
from numpy.typing import NDArray

from benchmarks.speed_report import CKKS, CKKS_SIZES, add_flag, write
from mpc import _core

RUNS, LEAST_S = 25, 1.0
GREATEST_ERROR = 1e-4  # of any result, ours or SEAL's; values are at most 1
LEVELS = {"small": 5, "large": 16}  # 7 and 18 primes with SEAL's special one
Way = Callable[[], Any]


@dataclass(frozen=True)
class Side:
    """One implementation.

    Attributes:
        works: what is timed, by name.
        results: the values of each ciphertext that a work makes, with what they should be.
        sizes: bytes, by what has them.
    """

    works: dict[str, Way]
    results: dict[str, tuple[Way, NDArray[np.float64]]]
    sizes: dict[str, int]


def ours(parameters: _core.CkksParameters, level: int, x: NDArray[np.float64], y: NDArray[np.float64]) -> Side:
    key = _core.CkksSecretKey(parameters, bytes(range(32)))
    products, rotation = key.relinearisation_key(level), key.rotation_key(1, level)
    evaluator = _core.CkksEvaluator(parameters, products, [rotation])
    public = _core.CkksPublicKey(parameters, key.public_key())
    a, b = (_core.CkksCiphertext.from_bytes(parameters, key.encrypt(values, level)) for values in (x, y))
    product, plain = evaluator.multiply(a, b), evaluator.encode(y, level, parameters.scale)
    works: dict[str, Way] = {
        "multiply, relinearise": lambda: evaluator.multiply(a, b),
        "multiply, relinearise, rescale": lambda: evaluator.multiply(a, b, rescale=True),
        "rotate": lambda: evaluator.rotate(a, 1),
        "rescale": lambda: evaluator.rescale(product),
        "times a plaintext": lambda: evaluator.multiply_plain(a, plain),
        "add": lambda: evaluator.add(a, b),
        "encode": lambda: evaluator.encode(y, level, parameters.scale),
        "encrypt": lambda: key.encrypt(x, level),
        "encrypt, public key": lambda: public.encrypt(x, level),
        "decrypt, decode": lambda: key.decrypt(a),
        "key for products": lambda: key.relinearisation_key(level),
    }
    return Side(
        works,
        {
            "multiply, relinearise": (lambda: key.decrypt(works["multiply, relinearise"]()), x * y),
            "rotate": (lambda: key.decrypt(works["rotate"]()), np.roll(x, -1)),
            "rescale": (lambda: key.decrypt(works["rescale"]()), x * y),
            "times a plaintext": (lambda: key.decrypt(works["times a plaintext"]()), x * y),
            "encrypt": (works["decrypt, decode"], x),
        },
        {
            "ciphertext": parameters.ciphertext_bytes(level),
            "encryption by the key holder": parameters.seeded_bytes(level),
            "key for products": len(products),
            "key for a rotation": len(rotation),
        },
    )


def seals(parameters: _core.CkksParameters, level: int, x: NDArray[np.float64], y: NDArray[np.float64]) -> Side:
    settings = seal.EncryptionParameters(seal.scheme_type.ckks)
    settings.set_poly_modulus_degree(parameters.degree)
    primes = [*parameters.primes[: level + 1], parameters.special_primes[0]]
    settings.set_coeff_modulus([seal.Modulus(p) for p in primes])
    context = seal.SEALContext(settings, True, seal.sec_level_type.none)
    generator, encoder, evaluator = seal.KeyGenerator(context), seal.CKKSEncoder(context), seal.Evaluator(context)
    secret, products, rotation = generator.secret_key(), generator.create_relin_keys(), seal.GaloisKeys()
    generator.create_galois_keys([1], rotation)
    symmetric, decryptor = seal.Encryptor(context, secret), seal.Decryptor(context, secret)
    public = seal.Encryptor(context, generator.create_public_key())
    scale = float(parameters.scale)

    def encoded(values: NDArray[np.float64]) -> Any:
        return encoder.encode(values, scale)

    def opened(ciphertext: Any) -> Any:
        return np.asarray(encoder.decode(decryptor.decrypt(ciphertext)))

    a, b, plain = public.encrypt(encoded(x)), public.encrypt(encoded(y)), encoded(y)
    product = evaluator.relinearize(evaluator.multiply(a, b), products)
    works: dict[str, Way] = {
        "multiply, relinearise": lambda: evaluator.relinearize(evaluator.multiply(a, b), products),
        "rotate": lambda: evaluator.rotate_vector(a, 1, rotation),
        "rescale": lambda: evaluator.rescale_to_next(product),
        "times a plaintext": lambda: evaluator.multiply_plain(a, plain),
        "add": lambda: evaluator.add(a, b),
        "encode": lambda: encoded(y),
        "encrypt": lambda: symmetric.encrypt_symmetric(encoded(x)),
        "encrypt, public key": lambda: public.encrypt(encoded(x)),
        "decrypt, decode": lambda: opened(a),
        "key for products": generator.create_relin_keys,
    }
    return Side(
        works,
        {
            "multiply, relinearise": (lambda: opened(works["multiply, relinearise"]()), x * y),
            "rotate": (lambda: opened(works["rotate"]()), np.roll(x, -1)),
            "rescale": (lambda: opened(works["rescale"]()), x * y),
            "times a plaintext": (lambda: opened(works["times a plaintext"]()), x * y),
            "encrypt": (works["decrypt, decode"], x),
        },
        {
            "ciphertext": len(a.to_string()),
            "encryption by the key holder": len(works["encrypt"]().to_string()),
            "key for products": len(products.to_string()),
            "key for a rotation": len(rotation.to_string()),
        },
    )


def fastest(ways: list[Way]) -> list[float]:
    """Return the milliseconds of the fastest run of each way, which take turns, by this thread's own time."""
    best, spent, runs = [float("inf")] * len(ways), 0.0, 0
    while runs < RUNS and (spent < LEAST_S * len(ways) or runs < 3):
        for place, way in enumerate(ways):
            started = time.thread_time()
            way()
            took = time.thread_time() - started
            best[place], spent = min(best[place], took), spent + took
        runs += 1
    return [1e3 * took for took in best]


def measure(name: str) -> dict[str, Any]:
    """Return times, sizes and errors of one set. Raises `ValueError` if a result is wrong on either side."""
    parameters: _core.CkksParameters = getattr(_core.CkksParameters, name)()
    level, rng = LEVELS[name], np.random.default_rng(1)
    x, y = (rng.uniform(-1, 1, parameters.slots) for _ in range(2))
    mine, peer = ours(parameters, level, x, y), seals(parameters, level, x, y)
    errors: dict[str, dict[str, float]] = {}
    for side, found in (("ours", mine), ("SEAL", peer)):
        for work, (result, expected) in found.results.items():
            error = float(np.abs(result() - expected).max())
            if not error < GREATEST_ERROR:
                raise ValueError(f"{work}: expected an error below {GREATEST_ERROR}, found {error} of {side}")
            errors.setdefault(work, {})[side] = error
    times = {}
    for work, way in mine.works.items():
        ways = [way, peer.works[work]] if work in peer.works else [way]
        times[work] = dict(zip(("ours", "SEAL"), fastest(ways), strict=False))
    return {
        "degree": parameters.degree,
        "primes": level + 1,
        "special primes": {"ours": len(parameters.special_primes), "SEAL": 1},
        "times": times,
        "errors": errors,
        "sizes": {what: {"ours": size, "SEAL": peer.sizes[what]} for what, size in mine.sizes.items()},
    }


def title(result: dict[str, Any]) -> str:
    return f"N = {result['degree']}, {result['primes']} primes"


def time_rows(results: dict[str, Any]) -> list[list[str]]:
    """Return a row for each set and work: ours and SEAL's milliseconds, and how many times as long SEAL takes."""
    return [
        [
            title(result),
            work,
            f"{took['ours']:.3g}",
            f"{took['SEAL']:.3g}" if "SEAL" in took else "",
            f"{took['SEAL'] / took['ours']:.1f}" if "SEAL" in took else "",
            f"{result['errors'][work]['ours']:.1e} / {result['errors'][work]['SEAL']:.1e}"
            if work in result["errors"]
            else "",
        ]
        for result in results.values()
        for work, took in result["times"].items()
    ]


def size_rows(results: dict[str, Any]) -> list[list[str]]:
    """Return a row for each set and message, in millions of bytes."""
    return [
        [title(result), what, f"{size['ours'] / 1e6:.2f}", f"{size['SEAL'] / 1e6:.2f}"]
        for result in results.values()
        for what, size in result["sizes"].items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("ckks.json"), help="where figures are written")
    add_flag(parser)
    arguments = parser.parse_args()
    results = {name: measure(name) for name in LEVELS}
    arguments.output.write_text(json.dumps(results, indent=2) + "\n")
    for table, rows in ((CKKS, time_rows(results)), (CKKS_SIZES, size_rows(results))):
        for row in (table.head, *rows):
            print(f"{row[0]:<26}{row[1]:<32}" + "".join(f"{cell:>20}" for cell in row[2:]))
        if arguments.docs:
            write(table, rows)


if __name__ == "__main__":
    main()
