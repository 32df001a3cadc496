"""A recording on its way into a store: its description, and its coded samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from relcon_lightning.data.recording import Recording, Segment
from relcon_lightning.data.store.signals import Coding


@dataclass(frozen=True)
class Entry:
    """A recording of a store without its samples.

    Attributes:
        recording_id: Id, unique in the store.
        participant_id: Id of the participant.
        n_samples: Number of samples; 0 if the recording is excluded.
        sampling_rate: Sampling rate in Hz.
        start_time: Start in Unix seconds; None if unknown.
        segments: Segments with labels and targets.
        attributes: Columns of the table of recordings.
        fault: Reason why the recording is excluded; empty if it is not.
        cut: Number of samples beyond the range of the coding.
    """

    recording_id: str
    participant_id: str
    n_samples: int
    sampling_rate: float
    start_time: float | None
    segments: tuple[Segment, ...]
    attributes: Mapping[str, str | float]
    fault: str = ""
    cut: int = 0


def encode(recording: Recording, coding: Coding) -> tuple[Entry, np.ndarray]:
    """Split a recording into its entry and its coded samples ``(n, 3)``; an excluded recording has no samples."""
    signal = np.asarray(recording.signal, dtype=np.float32)
    bad = int((~np.isfinite(signal)).any(axis=1).sum())
    fault = f"{bad} samples are not finite" if bad else "" if len(signal) else "empty"
    coded, cut = coding.encode(signal[:0] if fault else signal)
    entry = Entry(
        recording_id=recording.recording_id,
        participant_id=recording.participant_id,
        n_samples=len(coded),
        sampling_rate=recording.sampling_rate,
        start_time=recording.start_time,
        segments=recording.segments,
        attributes=recording.attributes,
        fault=fault,
        cut=cut,
    )
    return entry, coded
