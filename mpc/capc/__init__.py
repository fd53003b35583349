"""CaPC: the steps between two parties, and the whole protocol in one function (:func:`run_capc`).

Start with :mod:`mpc.capc.protocol`. Each step has a file in which both its sides face each other.

The word "label" has four senses in this field, and the texts here say which one they mean.

* A *class label* is the answer to a query (:data:`Labels`).
* *Several labels* a query are yes-or-no answers to one query (``labelling="labels"``).
* A *wire label* is a key of a garbled circuit.
* A *message label* is the name of a message on a channel.

The public names are loaded at their first use, so that importing a light module of this package stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpc.lazy_names import lazy_names

if TYPE_CHECKING:
    from mpc.capc.clear import labels_of, plaintext_labels
    from mpc.capc.parameters import PublicParameters
    from mpc.capc.protocol import CapcRun, run_capc
    from mpc.capc.release import ABSTAINED, Labels, answered
    from mpc.capc.roles import CapcRandomness


__all__ = [
    "ABSTAINED",
    "CapcRandomness",
    "CapcRun",
    "Labels",
    "PublicParameters",
    "answered",
    "labels_of",
    "plaintext_labels",
    "run_capc",
]

__getattr__ = lazy_names(
    __name__,
    {
        "ABSTAINED": "release",
        "CapcRandomness": "roles",
        "CapcRun": "protocol",
        "Labels": "release",
        "PublicParameters": "parameters",
        "answered": "release",
        "labels_of": "clear",
        "plaintext_labels": "clear",
        "run_capc": "protocol",
    },
)
