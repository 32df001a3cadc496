"""Write a cohort store at the model's sampling rate from a source of recordings."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from rich.progress import BarColumn, Progress, TimeElapsedColumn

from relcon_lightning.data.recording import CohortInfo, Recording
from relcon_lightning.data.store.cohort import CohortStore, is_store
from relcon_lightning.data.store.manifest import MANIFEST
from relcon_lightning.data.store.origins import Changes, Version, changes, read_versions
from relcon_lightning.data.store.parts import Part, names_checksum
from relcon_lightning.data.store.signals import coding_of
from relcon_lightning.data.store.verify import Verify
from relcon_lightning.data.store.write import StoreWriter, write_with
from relcon_lightning.data.units import Divisible, Unit
from relcon_lightning.data.workers import START_S, UnitReader, at_rate, read_units
from relcon_lightning.errors import ConfigError, DataError
from relcon_lightning.wording import counted

log = logging.getLogger(__name__)


class Source(Protocol):
    """A public data set or a user's own files."""

    info: CohortInfo
    """Describes the original recordings, ``info.sampling_rate`` their nominal rate."""

    def recordings(self) -> Iterator[Recording]:
        """Recordings in g at their own rate, one at a time.

        Raises:
            DataError: A file is missing or not as expected.
        """
        ...


OnBadFile = Literal["stop", "skip"]


@dataclass(frozen=True)
class Reading:
    """How recordings are read and stored.

    Attributes:
        num_workers: Number of reading processes, for sources that can be read in units
            (:class:`~relcon_lightning.data.units.Divisible`). The store does not depend on it.
        dtype: ``float32``, or ``int16`` for half the bytes; see :mod:`relcon_lightning.data.store.signals`.
        on_bad_file: ``stop`` at a unit that cannot be read, or ``skip`` it, with a warning and an entry in
            ``cohort.json``.
        start_s: Time in seconds after which processes are started if the source is not yet read.

    Raises:
        ConfigError: ``dtype`` or ``on_bad_file`` has another value.
    """

    num_workers: int = 1
    dtype: str = "float32"
    on_bad_file: OnBadFile = "stop"
    start_s: float = START_S

    def __post_init__(self) -> None:
        coding_of(self.dtype)
        if self.on_bad_file not in ("stop", "skip"):
            raise ConfigError(f"on_bad_file={self.on_bad_file}: expected stop or skip.")


def prepare(
    source: Source,
    path: str | Path,
    sampling_rate: float = 100.0,
    overwrite: bool = False,
    reading: Reading | None = None,
    part: Part | None = None,
) -> CohortStore:
    """Resample the recordings of ``source``, check their unit and write the store; an existing one is kept.

    Args:
        source: Source of the recordings.
        path: Folder of the store.
        sampling_rate: Sampling rate of the store in Hz.
        overwrite: Replace an existing store.
        reading: How recordings are read and stored; None: one process, float32, stop at a bad file.
        part: Write only this part of the cohort, to a folder in ``path``. ``path`` then opens all parts as one store.

    Raises:
        ConfigError: The source cannot be read in units, and ``part`` or ``on_bad_file="skip"`` needs them.
        DataError: The source cannot be read, a recording is not in g, or the existing store has another rate.
    """
    own = Path(path) if part is None else Path(path) / part.folder
    if not overwrite and (store := existing(own, sampling_rate)) is not None:
        return store
    units = source.units() if isinstance(source, Divisible) else None
    if part is None:
        return _prepared(source, own, sampling_rate, reading or Reading(), units)
    if units is None:
        raise ConfigError(
            f"part={part}: {source.info.name} has no parts, because it is not read file by file. Leave part out."
        )
    if (Path(path) / MANIFEST).exists():
        raise DataError(f"{path} is a complete store: remove it, or choose another data.name for the parts.")
    described = {"number": part.number, "of": part.of, "names_sha256": names_checksum([unit.name for unit in units])}
    return _prepared(source, own, sampling_rate, reading or Reading(), part.share(units), described)


def add(source: Source, store: CohortStore, reading: Reading | None = None) -> CohortStore:
    """Add the files of ``source`` that a store does not have. Stored signals are not written again.

    For a cohort in parts, another part is added.

    Args:
        source: Source of all files, with the settings of the store.
        store: Store in a local folder.
        reading: How recordings are read. They are stored in the coding of the store.

    Raises:
        ConfigError: The source does not come in files.
        DataError: A file in the store has changed, or the store does not record its files.
    """
    found, path = source_changes(source, store), Path(store.path)
    if found is None:
        raise ConfigError(
            f"add=true: {source.info.name} is not read file by file, so the store does not know its files. Replace the "
            "store with overwrite=true."
        )
    if found.changed:
        raise DataError(
            f"{path}: {counted(len(found.changed), 'file')} changed since it was made ({', '.join(found.changed[:3])}"
            f"{' ...' if len(found.changed) > 3 else ''}): the file, its participant, its labels or the settings of "
            "data.source have changed. Put them back, or replace the store with overwrite=true."
        )
    if found.gone:
        log.warning(
            "%s keeps the recordings of %s that no longer exist: %s.",
            path,
            counted(len(found.gone), "file"),
            found.gone[0],
        )
    if not found.new:
        log.info("%s already contains all files; nothing is added.", path)
        return store
    log.info("%s: adding %s.", path, counted(len(found.new), "new file"))
    reading = replace(reading or Reading(), dtype=store.coding.dtype)
    whole = (path / MANIFEST).exists()
    number = len(list(path.glob("added-*"))) + 1
    own = path if whole else path / f"added-{number:03d}"
    _prepared(source, own, store.sampling_rate, reading, found.new, extend=path if whole else None)
    return CohortStore.open(path)


def source_changes(source: Source, store: CohortStore) -> Changes | None:
    """Differences between the files of a source and those in a store; None if the source does not come in files.

    Raises:
        DataError: The store does not record its files.
    """
    units = source.units() if isinstance(source, Divisible) else []
    if not units or any(unit.path is None for unit in units):
        return None
    known: dict[str, Version] = {}
    for folder in store.folders:
        known |= read_versions(folder)
    return changes(units, known)


def _prepared(
    source: Source,
    path: Path,
    sampling_rate: float,
    reading: Reading,
    units: Sequence[Unit] | None,
    part: Mapping[str, Any] | None = None,
    extend: Path | None = None,
) -> CohortStore:
    coding = coding_of(reading.dtype)
    if reading.on_bad_file == "skip" and units is None:
        raise ConfigError(f"on_bad_file=skip: {source.info.name} is not read file by file. Set on_bad_file=stop.")
    # The display must belong to this block: in a generator, an error would leave its threads running.
    with Progress("{task.description}", BarColumn(20), "{task.fields[done]}", TimeElapsedColumn()) as display:
        progress = _Display(display, source.info.name, None if units is None else len(units))

        def fill(writer: StoreWriter) -> None:
            if extend is not None:
                writer.extend(extend)
            if units is not None and isinstance(source, Divisible):
                reader = UnitReader(source, sampling_rate, coding, writer.scratch)
                _fill_by_units(writer, reader, units, reading, progress)
                return
            for recording in source.recordings():
                writer.add(at_rate(recording, sampling_rate))
                progress.advance(1)

        write_with(path, fill, replace(source.info, sampling_rate=sampling_rate), coding=coding, part=part)
    return CohortStore.open(path)


def _fill_by_units(
    writer: StoreWriter, reader: UnitReader, units: Sequence[Unit], reading: Reading, progress: _Display
) -> None:
    for read in read_units(reader, units, reading.num_workers, reading.start_s):
        name = read.unit.name
        if read.fault and reading.on_bad_file == "stop":
            raise DataError(read.fault)
        if read.fault:
            log.warning("Left out %s: %s", name, read.fault)
            writer.leave_out(name, read.fault)
        else:
            writer.move(read.entries, read.samples)
            writer.excluded.pop(name, None)  # it may have been unreadable before
            if read.version is not None:
                writer.versions[name] = read.version
        progress.advance(len(read.entries), units=1)


class _Display:
    """Progress line: recordings, and units if their number is known."""

    def __init__(self, display: Progress, name: str, units: int | None) -> None:
        self.display, self.recordings = display, 0
        self.task = display.add_task(f"Preparing {name}", total=units, done="")

    def advance(self, recordings: int, units: int = 0) -> None:
        """Count finished recordings and units."""
        self.recordings += recordings
        self.display.update(self.task, advance=units, done=counted(self.recordings, "recording"))


def existing(path: str | Path, sampling_rate: float, verify: Verify = "once") -> CohortStore | None:
    """Open an existing store; None if there is none.

    Raises:
        DataError: The store has another rate.
    """
    if not is_store(path):
        return None
    store = CohortStore.open(path, verify)
    store.check_rate(sampling_rate)
    log.info("%s already exists and is kept.", path)
    return store


def summary(store: CohortStore) -> str:
    """One line with the numbers of participants, recordings, hours, labels and excluded recordings."""
    hours = store.recordings["n_samples"].sum() / store.sampling_rate / 3600
    left_out = f", {counted(len(store.excluded), 'recording')} left out (see cohort.json)" if store.excluded else ""
    return (
        f"{counted(len(store.participants), 'participant')}, {counted(len(store.recordings), 'recording')}, "
        f"{hours:.2f} h at {store.sampling_rate:g} Hz, {counted(store.segments['label'].nunique(), 'label')}{left_out}."
    )
