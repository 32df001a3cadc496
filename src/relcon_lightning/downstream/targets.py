"""Windows with numeric targets, such as the velocity of the strides in each window."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from relcon_lightning.data.recording import SEGMENT_COLUMNS
from relcon_lightning.data.store.cohort import CohortStore
from relcon_lightning.downstream.windows import placed_segments
from relcon_lightning.errors import DataError, nearest

_JOINT_S = 1e-6  # seconds: smaller gaps do not split a stretch, and smaller overlaps with a window are ignored


@dataclass(frozen=True)
class TargetWindows:
    """Windows with their numeric targets.

    Attributes:
        signal: Windows ``(N, 3, T)``, float32 in g.
        targets: Targets ``(N, K)``; NaN where a target was not measured.
        names: Names of the K targets.
        participant: Ids ``(N,)`` of the participants.
        recording: Ids ``(N,)`` of the recordings.
    """

    signal: np.ndarray
    targets: np.ndarray
    names: tuple[str, ...]
    participant: np.ndarray
    recording: np.ndarray

    def __len__(self) -> int:
        return len(self.targets)


def target_windows(
    store: CohortStore,
    window: int,
    stride: int,
    targets: Sequence[str],
    participants: Collection[str] | None = None,
) -> TargetWindows:
    """All windows in stretches that segments with a target cover without gaps, such as the strides of a walking bout.

    The target of a window is the mean over the segments that overlap it, weighted by the overlap. The strides of the
    two feet overlap each other; both count.

    Args:
        store: Cohort with targets in its segments.
        window: Number of samples of a window.
        stride: Number of samples between the starts of consecutive windows, from the start of each stretch.
        targets: Columns of ``segments.parquet``.
        participants: Ids of the participants to use; None: all.

    Raises:
        DataError: A target is not a column of the segments, nobody has it, or no stretch is as long as a window.
    """
    for name in targets:
        if name not in store.segments.columns:
            known = sorted(set(store.segments.columns) - SEGMENT_COLUMNS)
            raise DataError(
                f"{store.path} has no target {name!r} in segments.parquet{nearest(name, known)}; it has "
                f"{', '.join(known) or 'none'}."
            )
    segments = placed_segments(store, targets)
    if participants is not None:
        segments = segments[segments["participant_id"].isin(list(participants))]
    rate = store.sampling_rate
    pieces = [
        (bout, starts)
        for _, of_recording in segments.groupby("row", sort=True)
        for bout in _bouts(of_recording)
        if len(starts := _starts(bout, window, stride, rate))
    ]
    if not pieces:
        raise DataError(
            f"No stretch of {store.path} with {', '.join(targets)} is as long as a window of {window / rate:g} s."
        )
    values = [_means(bout, starts / rate, window / rate, targets) for bout, starts in pieces]
    counts = [len(starts) for _, starts in pieces]
    first = pd.DataFrame([bout.iloc[0] for bout, _ in pieces])
    rows, people, recordings = (
        np.repeat(first[name].to_numpy(), counts) for name in ("row", "participant_id", "recording_id")
    )
    signal = store.gather(rows.astype(np.int64), np.concatenate([starts for _, starts in pieces]), window)
    return TargetWindows(signal, np.concatenate(values), tuple(targets), people.astype(str), recordings.astype(str))


def _bouts(segments: pd.DataFrame) -> list[pd.DataFrame]:
    """Segments of a recording, split where no segment covers the time."""
    segments = segments.sort_values("start_s", kind="stable")
    reach = segments["end_s"].astype(float).cummax().shift(fill_value=-np.inf)
    return [bout for _, bout in segments.groupby((segments["start_s"] > reach + _JOINT_S).cumsum())]


def _starts(bout: pd.DataFrame, window: int, stride: int, rate: float) -> np.ndarray:
    """First samples of the windows inside a bout."""
    first = int(np.ceil(bout["start_s"].min() * rate - 1e-6))
    end = min(int(np.floor(bout["end_s"].max() * rate + 1e-6)), int(bout["n_samples"].iloc[0]))
    return np.arange(first, end - window + 1, stride, dtype=np.int64)


def _means(bout: pd.DataFrame, starts_s: np.ndarray, length_s: float, targets: Sequence[str]) -> np.ndarray:
    """Mean targets ``(windows, K)`` of the segments that overlap each window, weighted by overlap; NaN if none do."""
    begin, end = bout["start_s"].to_numpy(), bout["end_s"].to_numpy()
    shared = np.minimum(starts_s[:, None] + length_s, end) - np.maximum(starts_s[:, None], begin)
    weight = np.where(shared > _JOINT_S, shared, 0.0)
    values = bout[list(targets)].to_numpy(dtype=float)
    known = np.isfinite(values)
    total = weight @ known
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, weight @ np.where(known, values, 0.0) / total, np.nan)
