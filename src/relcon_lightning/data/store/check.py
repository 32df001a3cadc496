"""Check the tables of a store: types, ids, and positions within the signal files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_integer_dtype, is_numeric_dtype

from relcon_lightning.data.recording import RECORDING_COLUMNS, SEGMENT_COLUMNS


def check_participants(participants: pd.DataFrame, recordings: pd.DataFrame) -> None:
    """Check that each participant occurs once, and that all participants of the recordings occur.

    Raises:
        ValueError: A column of the table of participants is invalid. The message says which, and why.
    """
    _need(participants, {"participant_id"})
    _ids(participants, "participant_id")
    own, named = set(participants["participant_id"]), set(recordings["participant_id"])
    if own != named:
        raise ValueError(f"participant {min(own ^ named)!r} is in only one of this table and recordings.parquet")


def check_recordings(recordings: pd.DataFrame, shard_samples: Sequence[int]) -> None:
    """Check that recordings do not overlap in the signal files.

    Args:
        recordings: Table of recordings.
        shard_samples: Number of samples in each signal file.

    Raises:
        ValueError: A column is invalid. The message says which, and why.
    """
    _need(recordings, RECORDING_COLUMNS)
    if not len(recordings):
        raise ValueError("it has no rows")
    _ids(recordings, "recording_id")
    _texts(recordings, "participant_id")
    for column, least in (("n_samples", 1), ("offset", 0), ("shard", 0)):
        _whole(recordings, column, least)
    start = recordings["start_time"]
    if not is_numeric_dtype(start) or is_bool_dtype(start) or np.isinf(start.to_numpy(float, na_value=np.nan)).any():
        raise ValueError("start_time contains values other than Unix seconds")
    shard, offset, samples = (recordings[name].to_numpy() for name in ("shard", "offset", "n_samples"))
    if shard.max() >= len(shard_samples):
        raise ValueError(f"shard {shard.max()} does not exist: there are {len(shard_samples)} signal files")
    _refuse(
        recordings, offset + samples > np.asarray(shard_samples)[shard], "reaches beyond the end of its signal file"
    )
    order = np.lexsort((offset, shard))
    overlaps = (np.diff(shard[order]) == 0) & (offset[order][1:] < (offset + samples)[order][:-1])
    _refuse(recordings.iloc[order[1:]], overlaps, "overlaps with another in its signal file")


def check_segments(segments: pd.DataFrame, recordings: pd.DataFrame, sampling_rate: float) -> None:
    """Check that segments are within their recordings.

    Raises:
        ValueError: A column is invalid. The message says which, and why.
    """
    _need(segments, SEGMENT_COLUMNS)
    if not len(segments):
        return
    _texts(segments, "recording_id")
    samples = segments["recording_id"].map(recordings.set_index("recording_id")["n_samples"])
    _refuse(segments, samples.isna().to_numpy(), "is not in recordings.parquet")
    for column in ("start_s", "end_s"):
        if not is_numeric_dtype(segments[column]) or is_bool_dtype(segments[column]):
            raise ValueError(f"{column} contains values other than seconds")
    start, end = segments["start_s"].to_numpy(float), segments["end_s"].to_numpy(float)
    longest = (samples.to_numpy(float) + 1.5) / sampling_rate + 1e-6
    _refuse(segments, ~((start >= 0) & (start < end) & (end <= longest)), "has a segment outside of it")
    labels = segments["label"].dropna()
    if not all(isinstance(label, str) for label in labels):
        raise ValueError("label contains values other than text")


def _need(table: pd.DataFrame, columns: set[str]) -> None:
    missing = sorted(columns - set(table.columns))
    if missing:
        raise ValueError(f"it has no column {missing[0]}")


def _texts(table: pd.DataFrame, column: str) -> None:
    if not all(isinstance(value, str) for value in table[column]):
        raise ValueError(f"{column} contains values other than text")


def _ids(table: pd.DataFrame, column: str) -> None:
    _texts(table, column)
    twice = table[column].duplicated()
    if twice.any():
        raise ValueError(f"{column} {table[column][twice].iloc[0]!r} occurs twice")


def _whole(table: pd.DataFrame, column: str, least: int) -> None:
    values = table[column]
    if not is_integer_dtype(values) or values.isna().any():
        raise ValueError(f"{column} contains values other than whole numbers")
    if values.min() < least:
        raise ValueError(f"{column} holds {values.min()}, expected {least} or more")


def _refuse(table: pd.DataFrame, wrong: np.ndarray, what: str) -> None:
    if wrong.any():
        raise ValueError(f"recording {table['recording_id'].iloc[int(np.flatnonzero(wrong)[0])]!r} {what}")
