"""Labelled windows of a cohort."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from relcon_lightning.data.store.cohort import CohortStore
from relcon_lightning.errors import DataError, nearest


@dataclass(frozen=True)
class LabelledWindows:
    """Windows with their labels.

    Attributes:
        signal: Windows ``(N, 3, T)``, float32 in g.
        label: Class names ``(N,)``.
        participant: Ids ``(N,)`` of the participants.
        recording: Ids ``(N,)`` of the recordings; a recording is one workout.
    """

    signal: np.ndarray
    label: np.ndarray
    participant: np.ndarray
    recording: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    def of(self, participants: Collection[str]) -> LabelledWindows:
        """The windows of some participants.

        Raises:
            DataError: None of them has a labelled window.
        """
        rows = np.flatnonzero(np.isin(self.participant, list(participants)))
        if not len(rows) and len(participants):
            known = np.unique(self.participant)
            raise DataError(
                f"None of {', '.join(sorted(participants))} has labelled windows; {', '.join(known)} have some."
            )
        return self.take(rows)

    def take(self, rows: np.ndarray) -> LabelledWindows:
        """The windows in some rows."""
        return LabelledWindows(self.signal[rows], self.label[rows], self.participant[rows], self.recording[rows])


def labelled_windows(
    store: CohortStore,
    window: int,
    stride: int,
    participants: Collection[str] | None = None,
    classes: Collection[str] | None = None,
) -> LabelledWindows:
    """All windows that lie entirely within one labelled segment.

    Args:
        store: Cohort with labelled segments.
        window: Number of samples of a window.
        stride: Number of samples between the starts of consecutive windows.
        participants: Ids of the participants to use; None: all.
        classes: Labels to use; None: all.

    Raises:
        DataError: The cohort has no labels, a class does not occur, or no labelled segment is as long as a window.
    """
    segments = chosen_segments(store, participants, classes)
    first, last = sample_range(segments, store.sampling_rate)
    counts = np.maximum((last - first - window) // stride + 1, 0)
    if not counts.any():
        raise DataError(
            f"No labelled segment of {store.path} is as long as a window of {window / store.sampling_rate:g} s."
        )
    of = np.repeat(np.arange(len(segments)), counts)
    nth = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    signal = store.gather(segments["row"].to_numpy()[of], first[of] + nth * stride, window)
    columns = (_strings(segments[name])[of] for name in ("label", "participant_id", "recording_id"))
    return LabelledWindows(signal, *columns)


def chosen_segments(
    store: CohortStore, participants: Collection[str] | None, classes: Collection[str] | None
) -> pd.DataFrame:
    """The labelled segments of some participants and classes, as :func:`placed_segments` gives them.

    Raises:
        DataError: There is none, or none of one of the classes.
    """
    segments = placed_segments(store, ["label"])
    if classes is not None:
        unknown = sorted(set(classes) - set(segments["label"]))
        if unknown:
            raise DataError(
                f"{store.path} has no segment labelled {', '.join(unknown)}"
                f"{nearest(unknown[0], set(segments['label']))}; task.classes can contain "
                f"{', '.join(sorted(set(segments['label']))) or 'none'}."
            )
        segments = segments[segments["label"].isin(list(classes))]
    if participants is not None:
        segments = segments[segments["participant_id"].isin(list(participants))]
    if segments.empty:
        raise DataError(
            f"{store.path} has no labelled segments for these participants; a task needs labels in segments.parquet."
        )
    return segments.copy()


def sample_range(segments: pd.DataFrame, sampling_rate: float) -> tuple[np.ndarray, np.ndarray]:
    """First sample of each segment, and its last sample plus one."""
    first = np.ceil(segments["start_s"].to_numpy() * sampling_rate - 1e-6).astype(np.int64)
    end = np.floor(segments["end_s"].to_numpy() * sampling_rate + 1e-6).astype(np.int64)
    return first, np.minimum(end, segments["n_samples"].to_numpy())


def placed_segments(store: CohortStore, known: Sequence[str]) -> pd.DataFrame:
    """Segments that have one of the columns ``known``, with ``row``, participant and length of their recording."""
    recordings = store.recordings[["recording_id", "participant_id", "n_samples"]].reset_index(names="row")
    return store.segments.dropna(subset=list(known), how="all").merge(recordings, on="recording_id")


def _strings(column: pd.Series[str]) -> np.ndarray:
    return column.to_numpy(dtype=str)
