"""Read the tables of a store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from relcon_lightning.data.store.manifest import MANIFEST, TABLES
from relcon_lightning.data.store.parquet import read_table
from relcon_lightning.data.store.write import participants_of
from relcon_lightning.errors import DataError

if TYPE_CHECKING:
    from relcon_lightning.data.store.bucket import Bucket
    from relcon_lightning.data.store.folder import Folder


def read_tables(
    place: Folder | Bucket, files: Mapping[str, Mapping[str, Any]], parts: Mapping[str, int]
) -> Iterator[pd.DataFrame]:
    """Participants, recordings and segments of a store; those of several parts are joined, as if they were one store.

    Args:
        place: Folder or bucket of the store.
        files: Facts in the manifest about each file.
        parts: Number of signal files of each part, by its folder (empty for a whole store).

    Raises:
        DataError: A table is damaged, or its checksum is not the one in the manifest.
    """
    tables = {table: [_read(place, files, f"{folder}{table}.parquet") for folder in parts] for table in TABLES}
    if len(parts) > 1:
        first = np.cumsum([0, *parts.values()])
        for recordings, before in zip(tables["recordings"], first.tolist(), strict=False):
            recordings["shard"] += before
        recordings = _joined(tables["recordings"]).sort_values("recording_id", ignore_index=True)
        tables = {
            "recordings": [recordings],
            "participants": [participants_of(recordings)],
            "segments": [_joined(tables["segments"])],
        }
    return (tables[table][0] for table in TABLES)


def _read(place: Folder | Bucket, files: Mapping[str, Mapping[str, Any]], name: str) -> pd.DataFrame:
    content, expected = place.read(name), files[name].get("sha256")
    try:
        if expected is not None and hashlib.sha256(content).hexdigest() != expected:
            raise ValueError(f"its SHA-256 is not the one in {MANIFEST}")
        return read_table(content)
    except (ValueError, OSError) as error:  # pyarrow raises these for a damaged file
        raise DataError(f"{place.path}/{name} is damaged ({error}); {place.remedy}.") from error


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Concatenate tables; columns that some tables lack are empty in their rows."""
    records = [row for table in tables for row in table.to_dict("records")]
    columns = dict.fromkeys(column for table in tables for column in table.columns)
    return pd.DataFrame(records, columns=list(columns))
