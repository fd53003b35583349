"""What the querying party publishes of a run: `result.json`, the only thing that leaves its private folder.

    {"n_parties": 3, "dp_noise_scale": "1/2", "delta": "1e-5", "epsilon": 15.8, "epsilon_total": 15.8,
     "queries": [{"index": 0, "predicted": 7, "correct": 7, "agree": true}, ...], "warnings": ["..."]}

`epsilon` is this run's, `epsilon_total` all that this querying party has spent; null where no bound exists.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from parties.budget import Spent
from parties.data import Labels
from parties.privacy import warnings
from parties.private_files import write_private
from parties.settings import QueryingSettings


class Results:
    """The labels so far; the file is replaced as a whole after every batch."""

    def __init__(self, path: Path, settings: QueryingSettings, correct: Labels) -> None:
        self._path = path
        self._settings = settings
        self._correct = [int(label) for label in correct]
        self._predicted: list[int] = []

    def publish(self, labels: Labels, spent: Spent) -> None:
        """Add the labels of the next batch and write the file."""
        self._predicted += [int(label) for label in labels]
        write_private(self._path, json.dumps(self._content(spent), indent=2).encode() + b"\n")

    def _content(self, spent: Spent) -> dict[str, Any]:
        settings = self._settings
        answered = zip(self._predicted, self._correct, strict=False)  # the last batches may be to come
        return {
            "n_parties": settings.parameters.parties,
            "dp_noise_scale": settings.parameters.sigma,
            "delta": str(settings.delta),
            "epsilon": spent.run if math.isfinite(spent.run) else None,
            "epsilon_total": spent.total if math.isfinite(spent.total) else None,
            "queries": [
                {
                    "index": settings.first_query + position,
                    "predicted": predicted,
                    "correct": correct,
                    "agree": predicted == correct,
                }
                for position, (predicted, correct) in enumerate(answered)
            ],
            "warnings": list(warnings(spent.run, settings.parameters.parties)),
        }
