"""Convert labelled samples to recordings with segments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from relcon_lightning.data.readers.stretches import gap_free, part_ids
from relcon_lightning.data.recording import Recording, Segment
from relcon_lightning.errors import DataError


@dataclass(frozen=True)
class LabelledSamples:
    """Samples of one sensor on one person, with labels.

    Attributes:
        times: Times ``(n,)`` in seconds, in any order.
        signal: Signal ``(n, 3)`` in g; samples that are not finite are missing, but their labels count.
        labels: Label names ``(n,)``; None for samples without a label.
        where: Name of the file, for errors.
    """

    times: np.ndarray
    signal: np.ndarray
    labels: np.ndarray
    where: str


def named(codes: np.ndarray, names: Mapping[int, str | None] | Mapping[str, str | None], where: str) -> np.ndarray:
    """Convert codes ``(n,)`` to names.

    Raises:
        DataError: A code has no name.
    """
    rows, known = pd.factorize(codes, use_na_sentinel=False)
    for code in known:
        if code not in names:
            raise DataError(f"{where}: label {code} is none of {', '.join(map(str, names))}.")
    return np.array([names[code] for code in known], dtype=object)[rows]


def recordings_of(
    samples: LabelledSamples,
    recording_id: str,
    participant_id: str,
    rate: float,
    max_gap_s: float,
    start_time: float | None = None,
    attributes: Mapping[str, str | float] | None = None,
) -> Iterator[Recording]:
    """Create recordings at ``rate`` without gaps, with one segment for each run of a label.

    Args:
        samples: Samples of one recording.
        recording_id: Id of the recording; its parts are numbered.
        participant_id: Id of the person.
        rate: Sampling rate of the samples in Hz.
        max_gap_s: Longest time between two samples of one recording, in seconds.
        start_time: Unix time of time 0 in seconds; None if unknown.
        attributes: Attributes of each part.

    Raises:
        DataError: No sample has three axes, or the stamps do not fit the rate; see
            :func:`~relcon_lightning.data.readers.stretches.gap_free`.
    """
    if not np.isfinite(samples.signal).all(axis=1).any():
        raise DataError(f"{samples.where} has no sample with all three acceleration axes.")
    _, stretches = gap_free(samples.times, samples.signal, samples.where, max_gap_s, rate)
    segments = _runs(samples, rate)
    for name, (start_s, signal) in zip(part_ids(recording_id, len(stretches)), stretches, strict=True):
        inside = within(segments, start_s, len(signal) / rate)
        at = None if start_time is None else start_time + start_s
        yield Recording(name, participant_id, signal, rate, inside, at, attributes or {})


def within(segments: Sequence[Segment], start_s: float, length_s: float) -> tuple[Segment, ...]:
    """Clip segments to a stretch, with times in seconds from its start."""
    cut = ((max(s.start_s - start_s, 0.0), min(s.end_s - start_s, length_s), s) for s in segments)
    return tuple(replace(s, start_s=start, end_s=end) for start, end, s in cut if start < end)


def _runs(samples: LabelledSamples, rate: float) -> list[Segment]:
    """Segments of runs of one label, each from its first sample to one step after its last, or to the next label."""
    order = np.argsort(samples.times, kind="stable")
    order = order[np.isfinite(samples.times[order])]
    times, labels = samples.times[order], samples.labels[order]
    first = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]])
    last = np.r_[first[1:], len(times)] - 1
    ends = np.minimum(times[last] + 1 / rate, np.r_[times[first[1:]], np.inf])
    runs = zip(times[first].tolist(), ends.tolist(), labels[first], strict=True)
    return [Segment(start, end, label) for start, end, label in runs if label is not None and start < end]
