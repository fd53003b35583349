"""Records as features of a public extractor, so that what is trained under encryption is a last layer.

Each owner does it at home, before anything else is done to its records. The extractor's digest goes with the features
into the preparation, the key pair's job, all files and the model. So features of another extractor are refused
wherever they would meet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from parties.encrypted.records import LabelledTable
from parties.learning.model_files.choices import ExtractorFile
from parties.learning.model_files.extractor import Extractor, load_extractor


@dataclass(frozen=True, repr=False)
class Features:
    """A table of features, the extractor that has made them, and what its owner is told about it."""

    table: LabelledTable
    extractor: Extractor
    words: tuple[str, ...]

    @property
    def line(self) -> str:
        """All of it in one line."""
        found = f"{self.extractor.outputs} features of the extractor {self.table.extractor[:16]}"
        return "; ".join([found, *self.words])


def features_of(table: LabelledTable, file: ExtractorFile) -> Features:
    """Load an extractor and turn a table's records into its features. Raises `ConfigError` and `DataError`."""
    extractor, words = load_extractor(
        file.file, file.factory, file.path, file.trust_pickle, file.layers, table.features
    )
    return Features(extracted(table, extractor), extractor, tuple(words))


def extracted(table: LabelledTable, extractor: Extractor) -> LabelledTable:
    """Return the table with an extractor's features in place of its records. Raises `DataError`."""
    digest = extractor.digest_for(table.features.shape[1:])
    return replace(table, features=extractor.apply(table.features), extractor=digest)
