"""MPyC doing the element-wise product of ``benchmarks.tensors``, with three parties and Shamir shares over TCP.

Each rank is a process of its own. Numbers are fixed-point in a field, 32 bits with 16 fraction bits.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np
from orders import Order, Orders, Prepared, RefusedError
from works import SINGLE


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--protocol", choices=("shamir",), required=True)
    parser.add_argument("--rank", type=int, required=True)
    parser.add_argument("--orders", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--hosts", nargs="+", required=True)
    parser.add_argument("--ports", nargs="+", required=True)
    chosen = parser.parse_args()
    peers = [f"-P{host}:{port}" for host, port in zip(chosen.hosts, chosen.ports, strict=True)]
    sys.argv = [sys.argv[0], *peers, f"-I{chosen.rank}", "--no-log"]
    from mpyc.runtime import mpc

    fixed = mpc.SecFxp(32, 16)

    def prepare(order: Order) -> Prepared:
        if order["work"] != "multiply":
            raise RefusedError(f"MPyC has no {order['work']} here")
        values = SINGLE["multiply"].inputs(order["size"])
        x, y = (mpc.input(fixed.array(array), senders=place) for place, array in enumerate(values))
        mpc.run(mpc.gather(x))
        mpc.run(mpc.gather(y))

        def run() -> Any:
            product = x * y
            mpc.run(mpc.gather(product))
            return product

        def check(product: Any) -> dict[str, float]:
            found = mpc.run(mpc.output(product))
            return {"error": float(np.abs(found - values[0] * values[1]).max())}

        return run, check

    mpc.run(mpc.start())
    Orders(chosen.orders, f"rank{chosen.rank}").take_all(prepare)
    mpc.run(mpc.shutdown())


if __name__ == "__main__":
    main()
