"""TenSEAL training a logistic regression as its tutorial does: an epoch on records that are encrypted one by one.

After each epoch the owner decrypts the weights and encrypts them anew. Parameters, polynomial, regularisation and order
of operations are those of TenSEAL's tutorial "Training and Evaluation of Logistic Regression on Encrypted Data". The
file has the records ``(n, d)``, the classes ``(n,)`` of 0 and 1, and how many records of the epoch are really done.

With primes of 21 bits the sum over features is wrong by about a third in TenSEAL 0.3.18, so the error is reported, and
nothing is refused for it. With N = 16384, primes of 40 bits and a scale of 2^40 the same program is right.
"""

from __future__ import annotations

import argparse

import numpy as np
import tenseal as ts
from turns import clocked, take_turns

DEGREE, BITS, SCALE = 8192, [40, 21, 21, 21, 21, 21, 21, 40], 2**21
POLYNOMIAL = [0.5, 0.197, 0, -0.004]


def epoch_in_the_clear(x: np.ndarray, y: np.ndarray, weights: np.ndarray, bias: float) -> tuple[np.ndarray, float]:
    """Return what an epoch without encryption gives, to compare with."""
    z = x @ weights + bias
    difference = POLYNOMIAL[0] + POLYNOMIAL[1] * z + POLYNOMIAL[3] * z**3 - y
    return (
        weights - (x * difference[:, None]).mean(axis=0) - 0.05 * weights,
        bias - difference.mean() - 0.05 * bias,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", required=True)
    with np.load(parser.parse_args().work) as file:
        x, y = file["records"][: int(file["done"])], file["classes"][: int(file["done"])]
    held: dict = {}
    weights, bias = np.full(x.shape[1], 0.1), 0.1

    def make_keys() -> None:
        held["context"] = ts.context(ts.SCHEME_TYPE.CKKS, DEGREE, -1, BITS, n_threads=1)
        held["context"].global_scale = SCALE
        held["context"].generate_galois_keys()

    def encrypt() -> None:
        held["x"] = [ts.ckks_vector(held["context"], row.tolist()) for row in x]
        held["y"] = [ts.ckks_vector(held["context"], [float(label)]) for label in y]

    def epoch() -> None:
        held["weights"] = ts.ckks_vector(held["context"], weights.tolist())
        held["bias"] = ts.ckks_vector(held["context"], [bias])
        change, change_of_bias = 0, 0
        for row, label in zip(held["x"], held["y"], strict=True):
            out = (row.dot(held["weights"]) + held["bias"]).polyval(POLYNOMIAL)
            difference = out - label
            change += row * difference
            change_of_bias += difference
        held["weights"] -= change * (1 / len(x)) + held["weights"] * 0.05
        held["bias"] -= change_of_bias * (1 / len(x)) + held["bias"] * 0.05
        held["found"] = np.array(held["weights"].decrypt()), held["bias"].decrypt()[0]

    def end() -> dict:
        expected = epoch_in_the_clear(x, y, weights, bias)
        found = held["found"]
        error = float(max(np.abs(found[0] - expected[0]).max(), abs(found[1] - expected[1])))
        public = held["context"].serialize(save_secret_key=False)
        data = sum(len(vector.serialize()) for vector in (*held["x"], *held["y"]))
        return {"error": error, "key_bytes": len(public), "data_bytes": data, "records": len(x)}

    times = {"keys_ms": clocked(make_keys)["ms"], "encrypt_ms": clocked(encrypt)["ms"]}
    take_turns(times, epoch, end)


if __name__ == "__main__":
    main()
