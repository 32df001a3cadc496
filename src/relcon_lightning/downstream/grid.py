"""Labelled windows on a fixed grid, as in the publications that the paper's Tables 3 and 4 compare with."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from relcon_lightning.data.store.cohort import CohortStore
from relcon_lightning.downstream.windows import LabelledWindows, chosen_segments, sample_range
from relcon_lightning.errors import DataError, positive


def grid_windows(
    store: CohortStore,
    window: int,
    stride: int,
    participants: Collection[str] | None = None,
    classes: Collection[str] | None = None,
    clip_g: float | None = None,
) -> LabelledWindows:
    """All windows at multiples of ``stride`` from the start of each recording, with their most frequent label.

    A window is dropped if more than half of its samples have none of the labels. If two
    labels have the same number of samples, the first in alphabetical order is used.

    Args:
        store: Cohort with labelled segments.
        window: Number of samples of a window.
        stride: Number of samples between the starts of consecutive windows.
        participants: Ids of the participants to use; None: all.
        classes: Labels to use; None: all.
        clip_g: Largest absolute value in g, to which values are clipped; None: no clipping.

    Raises:
        DataError: The cohort has no labels, a class does not occur, or no window has a label.
    """
    segments = chosen_segments(store, participants, classes)
    segments["first"], segments["last"] = sample_range(segments, store.sampling_rate)
    names = np.array(sorted(set(segments["label"])))
    rows, starts, labels = [], [], []
    for number, own in segments.groupby("row", sort=True):
        at = np.arange(0, int(own["n_samples"].iloc[0]) - window + 1, stride)
        counts = _samples_by_label(own, at, window, names)
        kept = 2 * counts.sum(1) >= window
        rows.append(np.full(kept.sum(), number, dtype=np.int64))
        starts.append(at[kept])
        labels.append(names[counts[kept].argmax(1)])
    row, start = np.concatenate(rows), np.concatenate(starts)
    if not len(row):
        raise DataError(
            f"{store.path} has no window of {window / store.sampling_rate:g} s with labels for half of its samples."
        )
    signal = store.gather(row, start, window)
    if clip_g is not None:
        positive("windows.clip_g", clip_g)
        signal = signal.clip(-clip_g, clip_g)
    found = store.recordings[["participant_id", "recording_id"]].iloc[row]
    person, recording = (found[name].to_numpy(dtype=str) for name in found)
    return LabelledWindows(signal, np.concatenate(labels), person, recording)


def _samples_by_label(segments: pd.DataFrame, starts: np.ndarray, window: int, names: np.ndarray) -> np.ndarray:
    """Number of samples ``(windows, labels)`` of the windows at ``starts`` in the segments of one recording."""
    counts = np.zeros((len(starts), len(names)), dtype=np.int64)
    columns = np.searchsorted(names, segments["label"].to_numpy(dtype=str))
    for column, first, last in zip(columns, segments["first"], segments["last"], strict=True):
        counts[:, column] += (np.minimum(starts + window, last) - np.maximum(starts, first)).clip(0)
    return counts
