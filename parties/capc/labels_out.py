"""The labels that a querying party bought, as a CSV file for itself.

    row,id,label,abstained,epsilon            one class: its name, or nothing where the parties abstained
    row,id,loop,bowl,even,abstained,epsilon   several labels: 0 or 1 for each

`row` counts from 1 in the file of the records that were asked about. `id` is there where a column of it was named.
`epsilon` is what the party had spent in all when it got the answer, and empty where no bound exists.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from parties.capc.settings import QueryingSettings
from parties.frame.private_files import write_private
from parties.learning.records import DataError

if TYPE_CHECKING:
    from parties.capc.results import Query

IDS = "ids.json"
"""The ids of the records that may be asked about, in a party's private folder."""


def read_ids(folder: Path) -> tuple[str, ...] | None:
    """Return the ids of all records that may be asked about, or None where the configuration names no column."""
    path = folder / IDS
    if not path.exists():
        return None
    try:
        return tuple(map(str, json.loads(path.read_bytes())))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a list of ids ({type(error).__name__})") from error


def write_labels(path: Path, queries: Sequence[Query], settings: QueryingSettings, ids: Sequence[str] | None) -> None:
    """Write all answers so far for the party alone (0600), atomically."""
    several = list(settings.label_names)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["row", *([] if ids is None else ["id"]), *(several or ["label"]), "abstained", "epsilon"])
    for query in queries:
        name = [] if ids is None else [ids[query.index]]
        epsilon = "" if query.epsilon is None else f"{query.epsilon:.6g}"
        rows.writerow([query.index + 1, *name, *_label(query, settings), int(query.predicted is None), epsilon])
    write_private(path, text.getvalue().encode())


def _label(query: Query, settings: QueryingSettings) -> list[str]:
    if query.predicted is None:
        return [""] * (len(settings.label_names) or 1)
    if isinstance(query.predicted, int):
        return [str(settings.class_values[query.predicted] if settings.class_values else query.predicted)]
    return [str(bit) for bit in query.predicted]
