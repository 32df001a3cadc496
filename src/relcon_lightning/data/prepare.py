"""From a source of recordings to a cohort store at the model's rate."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from rich.progress import Progress, TimeElapsedColumn

from relcon_lightning.data.manifest import MANIFEST
from relcon_lightning.data.recording import CohortInfo, Recording
from relcon_lightning.data.resample import check_unit, resample
from relcon_lightning.data.store import CohortStore
from relcon_lightning.data.verify import Verify

log = logging.getLogger(__name__)


class Source(Protocol):
    """A public data set or a person's own files."""

    info: CohortInfo
    """Describes the original recordings, ``info.sampling_rate`` their nominal rate."""

    def recordings(self) -> Iterator[Recording]:
        """The recordings at their own rate, one at a time, in g.

        Raises:
            DataError: A file is missing or not what it should be.
        """
        ...


def prepare(source: Source, path: str | Path, sampling_rate: float = 100.0, overwrite: bool = False) -> CohortStore:
    """Resample the recordings of ``source``, check their unit and write the store; an existing one is kept.

    Args:
        source: Of the recordings.
        path: Folder of the store.
        sampling_rate: Hz of the store.
        overwrite: Replace an existing store.

    Raises:
        DataError: The source cannot be read, a recording is not in g, or the existing store has another rate.
    """
    if not overwrite and (store := existing(path, sampling_rate)) is not None:
        return store
    # The display belongs to this block, not to the generator: an error would leave its threads running.
    with Progress("{task.description}", "{task.completed} recordings", TimeElapsedColumn()) as display:
        recordings = _resampled(source, sampling_rate, display)
        return CohortStore.write(path, recordings, replace(source.info, sampling_rate=sampling_rate))


def existing(path: str | Path, sampling_rate: float, verify: Verify = "once") -> CohortStore | None:
    """The store that is there already, if there is one.

    Raises:
        DataError: It has another rate.
    """
    if not (Path(path) / MANIFEST).exists():
        return None
    store = CohortStore.open(path, verify)
    store.check_rate(sampling_rate)
    log.info("%s is there already and is kept.", path)
    return store


def summary(store: CohortStore) -> str:
    """One line: participants, recordings, hours, labels, what was left out."""
    hours = store.recordings["n_samples"].sum() / store.sampling_rate / 3600
    left_out = f", {len(store.excluded)} recordings left out (see cohort.json)" if store.excluded else ""
    return (
        f"{len(store.participants)} participants, {len(store.recordings)} recordings, "
        f"{hours:.2f} h at {store.sampling_rate:g} Hz, {store.segments['label'].nunique()} labels{left_out}."
    )


def _resampled(source: Source, rate: float, display: Progress) -> Iterator[Recording]:
    task = display.add_task(f"Preparing {source.info.name}", total=None)
    for recording in source.recordings():
        yield _at_rate(recording, rate)
        display.advance(task)


def _at_rate(recording: Recording, rate: float) -> Recording:
    check_unit(recording.signal, f"Recording {recording.recording_id} of participant {recording.participant_id}")
    signal = resample(recording.signal, recording.sampling_rate, rate)
    # A recording allows its last label a sample more than it has, which may be many samples at the new rate.
    end = len(signal) / rate
    segments = tuple(replace(segment, end_s=min(segment.end_s, end)) for segment in recording.segments)
    return replace(recording, signal=signal, sampling_rate=rate, segments=segments)
