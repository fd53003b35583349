"""What one party of a service counts, for its result. It holds no value."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Counts of one party. Any thread may add to them.

    Attributes:
        answers: records that were answered, by client.
        requests, batches, rows: how many there were. Rows count those without a request as well.
        turned_away: requests that got no answer, by kind.
        sessions: how often all parties met.
        rounds, sent, received: of all sessions that are over, bytes with headers.
        correlations: words that the provider gave, by kind.
        pool_bytes: the most that correlations which were prepared ahead took in memory.
    """

    answers: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    batches: int = 0
    rows: int = 0
    turned_away: Counter[str] = field(default_factory=Counter)
    sessions: int = 0
    rounds: int = 0
    sent: int = 0
    received: int = 0
    correlations: Counter[str] = field(default_factory=Counter)
    pool_bytes: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def batch(self, rows: int, records: list[tuple[str, int]]) -> None:
        """Count a batch with the records of each request by client."""
        with self.lock:
            self.batches += 1
            self.rows += rows
            self.requests += len(records)
            for client, count in records:
                self.answers[client] += count

    def ended(self, kind: str) -> None:
        """Count a request that got no answer."""
        with self.lock:
            self.turned_away[kind] += 1

    def figures(self) -> dict[str, object]:
        """Return all counts by name."""
        with self.lock:
            return {
                "answers": dict(self.answers),
                "requests": self.requests,
                "batches": self.batches,
                "rows": self.rows,
                "turned_away": dict(self.turned_away),
                "sessions": self.sessions,
                "rounds": self.rounds,
                "sent": self.sent,
                "received": self.received,
                "correlations": dict(self.correlations),
                "pool_bytes": self.pool_bytes,
            }
