"""From a source of recordings to a cohort store at the model's rate."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol

from rich.progress import BarColumn, Progress, TimeElapsedColumn

from relcon_lightning.data.manifest import MANIFEST
from relcon_lightning.data.recording import CohortInfo, Recording
from relcon_lightning.data.signals import coding_of
from relcon_lightning.data.store import CohortStore
from relcon_lightning.data.units import Divisible
from relcon_lightning.data.verify import Verify
from relcon_lightning.data.workers import START_S, UnitReader, at_rate, read_units
from relcon_lightning.data.write import StoreWriter, write_with
from relcon_lightning.errors import ConfigError, DataError

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


OnBadFile = Literal["stop", "skip"]


def prepare(
    source: Source,
    path: str | Path,
    sampling_rate: float = 100.0,
    overwrite: bool = False,
    num_workers: int = 1,
    dtype: str = "float32",
    on_bad_file: OnBadFile = "stop",
    start_s: float = START_S,
) -> CohortStore:
    """Resample the recordings of ``source``, check their unit and write the store; an existing one is kept.

    Args:
        source: Gives the recordings.
        path: Folder of the store.
        sampling_rate: Hz of the store.
        overwrite: Replace an existing store.
        num_workers: Processes that read, for sources that can be read in units
            (:class:`~relcon_lightning.data.units.Divisible`). The store does not depend on it.
        dtype: ``float32``, or ``int16`` for half the bytes; see :mod:`relcon_lightning.data.signals`.
        on_bad_file: ``stop`` at a unit that cannot be read, or ``skip`` it, with a warning and an entry in
            ``cohort.json``.
        start_s: Seconds after which the processes are started, if the source is not read by then.

    Raises:
        ConfigError: Another word for ``dtype`` or ``on_bad_file``.
        DataError: The source cannot be read, a recording is not in g, or the existing store has another rate.
    """
    if on_bad_file not in ("stop", "skip"):
        raise ConfigError(f"on_bad_file={on_bad_file}: expected stop or skip.")
    coding = coding_of(dtype)
    if not overwrite and (store := existing(path, sampling_rate)) is not None:
        return store
    if on_bad_file == "skip" and not isinstance(source, Divisible):
        raise ConfigError(f"on_bad_file=skip: {source.info.name} is not read file by file, so none can be left out.")
    # The display belongs to this block, not to a generator: an error would leave its threads running.
    with Progress("{task.description}", BarColumn(20), "{task.fields[done]}", TimeElapsedColumn()) as display:
        progress = _Display(display, source.info.name)

        def fill(writer: StoreWriter) -> None:
            if isinstance(source, Divisible):
                reader = UnitReader(source, sampling_rate, coding, writer.scratch)
                _fill_by_units(writer, reader, num_workers, on_bad_file, start_s, progress)
                return
            for recording in source.recordings():
                writer.add(at_rate(recording, sampling_rate))
                progress.advance(1)

        write_with(path, fill, replace(source.info, sampling_rate=sampling_rate), coding=coding)
    return CohortStore.open(path)


def _fill_by_units(
    writer: StoreWriter,
    reader: UnitReader,
    num_workers: int,
    on_bad_file: OnBadFile,
    start_s: float,
    progress: _Display,
) -> None:
    units = reader.source.units()
    progress.expect(len(units))
    for read in read_units(reader, units, num_workers, start_s):
        if read.fault and on_bad_file == "stop":
            raise DataError(read.fault)
        if read.fault:
            log.warning("Left out %s: %s", read.unit.name, read.fault)
            writer.leave_out(read.unit.name, read.fault)
        else:
            writer.move(read.entries, read.samples)
        progress.advance(len(read.entries), units=1)


class _Display:
    """The line of progress: recordings, and units where their number is known."""

    def __init__(self, display: Progress, name: str) -> None:
        self.display, self.recordings = display, 0
        self.task = display.add_task(f"Preparing {name}", total=None, done="")

    def expect(self, units: int) -> None:
        """Units are counted from now on."""
        self.display.update(self.task, total=units)

    def advance(self, recordings: int, units: int = 0) -> None:
        """More is done."""
        self.recordings += recordings
        self.display.update(self.task, advance=units, done=f"{self.recordings} recordings")


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
