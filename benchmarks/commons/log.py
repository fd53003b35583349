"""The audit of a long log, on one core."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.commons.keys import make_key
from mpc.commons.consensus import Sequencer, Trustee
from mpc.commons.encoding import encode
from mpc.commons.entries import NONE, Policy, Register, Report, Role, Rules, sign_entry
from mpc.commons.founding import AggregatorRecord, Founding, Task, TrusteeRecord
from mpc.commons.functions import layout_of
from mpc.commons.group import SecretScalar
from mpc.commons.identities import Identity, TrusteeKeys
from mpc.commons.merkle import leaf_hash
from parties.commons.audit import audit
from parties.commons.storage import LogFolder


def write_log(folder: Path, reports: int) -> None:
    """Write the log of one trustee with so many reports."""
    keys = TrusteeKeys(bytes(32))
    trustee_record = TrusteeRecord("trustee-0", keys.identity.key, keys.cosigner.key)
    aggregators = tuple(
        AggregatorRecord(f"aggregator-{i}", Identity.fresh().key, SecretScalar.fresh().times_generator().encode())
        for i in range(3)
    )
    task = Task("heights", ("histogram/10",), 2, aggregators, 1)
    founding = Founding("example.org/long", keys.log.key, 0, (trustee_record,), (task,))
    trustee = Trustee(founding, keys, LogFolder.create(folder, founding))
    key, _ = make_key(1, 0)
    sequencer = Sequencer(trustee, founding, keys)
    owner = Identity(b"\1" * 32)
    policy = sign_entry(
        owner, founding.origin, Policy(0, NONE, owner.key, "heights", Rules(("histogram/10",), (), 1, 1, 1 << 40))
    )
    sequencer.submit(sign_entry(owner, founding.origin, Register("owner", Role.PROVIDER, b"")))
    sequencer.submit(sign_entry(keys.identity, founding.origin, Register("trustee-0", Role.TRUSTEE, encode(key))))
    sequencer.submit(policy)
    public_share = bytes(layout_of(founding.origin, task).public_size)
    for number in range(reports):
        contents = Report("heights", leaf_hash(policy), number.to_bytes(16, "big"), bytes(32), public_share)
        sequencer.submit(sign_entry(owner, founding.origin, contents))
        if number % 1000 == 999 or number == reports - 1:
            sequencer.propose()
            sequencer.collect([])


def measure_audit(reports: int) -> tuple[int, float]:
    """Return the number of entries of a log and the processor seconds of its audit."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "log"
        write_log(folder, reports)
        start = time.process_time()
        found = audit(folder)
        return found.size, time.process_time() - start
