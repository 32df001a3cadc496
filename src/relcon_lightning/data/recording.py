"""A recording of one participant, and the description of a cohort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from relcon_lightning.errors import DataError

# Columns of the store's tables; attributes and targets become further columns.
RECORDING_COLUMNS = {"recording_id", "participant_id", "n_samples", "start_time", "shard", "offset"}
SEGMENT_COLUMNS = {"recording_id", "start_s", "end_s", "label"}


_LONGEST = 2**40  # samples: longer than any recording, and within the integers of NumPy


def samples_in(seconds: float, sampling_rate: float) -> int:
    """Number of samples in a time, at most about 10^12."""
    return round(min(seconds * sampling_rate, _LONGEST))


@dataclass(frozen=True)
class Segment:
    """A part of a recording with a label, numeric targets, or both.

    Attributes:
        start_s: Start in seconds from the start of the recording.
        end_s: End in seconds (exclusive).
        label: Class, such as an exercise.
        targets: Numbers to predict by regression, such as the stride velocity in m/s.
    """

    start_s: float
    end_s: float
    label: str | None = None
    targets: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Recording:
    """An uninterrupted recording: ``signal`` ``(n, 3)`` in g at ``sampling_rate`` Hz.

    Raises:
        DataError: The signal has another shape, the rate is not a positive number, a segment lies outside the
            recording, or an attribute or target has the name of a column of the store.
    """

    recording_id: str
    participant_id: str
    signal: np.ndarray
    sampling_rate: float
    segments: tuple[Segment, ...] = ()
    start_time: float | None = None  # unix seconds
    attributes: Mapping[str, str | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.signal.ndim != 2 or self.signal.shape[1] != 3:
            raise DataError(
                f"Recording {self.recording_id}: expected a signal (samples, 3), found {self.signal.shape}."
            )
        if not (np.isfinite(self.sampling_rate) and self.sampling_rate > 0):
            raise DataError(f"Recording {self.recording_id}: expected a rate above 0 Hz, found {self.sampling_rate}.")
        end = len(self.signal) / self.sampling_rate + 1.5 / self.sampling_rate
        for segment in self.segments:
            if not 0 <= segment.start_s < segment.end_s <= end:
                raise DataError(
                    f"Recording {self.recording_id}: segment {segment.start_s}-{segment.end_s} s "
                    f"is not inside 0-{end:.2f} s."
                )
        taken = RECORDING_COLUMNS & set(self.attributes)
        taken |= SEGMENT_COLUMNS & {target for segment in self.segments for target in segment.targets}
        if taken:
            raise DataError(
                f"Recording {self.recording_id}: {', '.join(sorted(taken))} is a column of the store; "
                "give the attribute or target another name."
            )


def with_license(described: Any) -> Any:
    """A description with the key ``license`` at all depths, which older stores and checkpoints call ``licence``."""
    if isinstance(described, list):
        return [with_license(one) for one in described]
    if not isinstance(described, dict):
        return described
    return {"license" if key == "licence" else key: with_license(value) for key, value in described.items()}


@dataclass(frozen=True)
class CohortInfo:
    """Origin of a cohort, and how it was recorded.

    Attributes:
        name: Short name, as in ``data=name``.
        sampling_rate: Hz of the stored signals.
        position: Position of the sensor on the body.
        source: Where the recordings can be obtained.
        license: Licence of the recordings.
        citation: Publication to cite with results.
    """

    name: str
    sampling_rate: float
    position: str
    source: str
    license: str
    citation: str

    def __post_init__(self) -> None:
        if not (np.isfinite(self.sampling_rate) and self.sampling_rate > 0):
            raise DataError(f"Cohort {self.name}: expected a rate above 0 Hz, found {self.sampling_rate}.")
