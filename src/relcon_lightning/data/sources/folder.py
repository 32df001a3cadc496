"""A folder of a user's own recordings: one CSV or Parquet file each, described in the configuration."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from relcon_lightning.data.recording import CohortInfo, Recording, Segment
from relcon_lightning.data.resample import check_unit
from relcon_lightning.data.sources.folder_tables import RECORDINGS, SEGMENTS, read_recordings, read_segments
from relcon_lightning.data.sources.labels import within
from relcon_lightning.data.sources.paths import participant_in
from relcon_lightning.data.sources.raw_files import bounded
from relcon_lightning.data.sources.stamps import TIME_UNITS, seconds
from relcon_lightning.data.sources.stretches import STANDARD_GRAVITY, gap_free, part_ids
from relcon_lightning.data.sources.suffixes import TABLE_SUFFIXES, is_table, name_passed_over, open_bytes, stem
from relcon_lightning.data.sources.tables import columns_of, read_columns, read_parquet, require_columns, stack
from relcon_lightning.data.units import InUnits, Unit
from relcon_lightning.errors import ConfigError, DataError, nearest_path

# In g; a command line takes m/s2 without quotes.
UNITS = {"g": 1.0, "m/s^2": 1 / STANDARD_GRAVITY, "m/s2": 1 / STANDARD_GRAVITY, "mg": 1e-3}
_TOLERANCE_S = 1.0  # by which a segment may end after its file: people write whole seconds


@dataclass(frozen=True)
class _Content:
    rate: float  # Hz
    start_time: float | None  # unix seconds
    end_s: float  # from the first sample
    stretches: list[tuple[float, np.ndarray]]  # start in s and (n, 3) in g


class RecordingFolder(InUnits):
    """One recording a file, in sub-folders or not; the id of a recording is its path without the suffix.

    Who was recorded is said by a regular expression on the path or by a table ``recordings.csv`` (columns file,
    participant and, if wanted, label) in the folder, which then lists all files to read. Stretches with labels or
    numbers to predict come from ``segments.csv`` (file, start_s, end_s and any of label and numeric targets), in
    seconds from the first sample of the file.

    What is mended: empty and NaN cells count as missing samples; missing samples are interpolated up to a gap of
    ``max_gap_s``, where a recording is parted; of samples with one time stamp the first is kept, if there are few.

    Args:
        raw_dir: The folder.
        columns: Of x, y and z.
        name: Of the cohort.
        unit: One of :data:`UNITS`.
        sampling_rate: Hz; None for the rate of each file's time stamps.
        time_column: None if samples have no time stamps.
        time_unit: Of the time stamps: s, ms, us, ns or iso (dates with time of day). ISO times give the recordings
            their start time.
        participant: Regular expression searched in a file's path below ``raw_dir``; its first group, or all of it if
            it has none, is the participant. None if there is a ``recordings.csv``.
        position: Of the sensor.
        separator: Of the cells of a CSV.
        max_gap_s: Seconds.

    Raises:
        ConfigError: An unknown unit, a bad regular expression, neither a rate nor a time column.
        DataError: No such folder, or no recordings in it.
    """

    def __init__(
        self,
        raw_dir: str | Path | None,
        columns: Sequence[str] = ("x", "y", "z"),
        name: str = "folder",
        unit: str = "g",
        sampling_rate: float | None = None,
        time_column: str | None = None,
        time_unit: str = "s",
        participant: str | None = None,
        position: str = "wrist",
        separator: str = ",",
        max_gap_s: float = 1.0,
    ) -> None:
        _check(columns, unit, sampling_rate, time_column, time_unit)
        if raw_dir is None:
            raise DataError("data.raw_dir must name the folder of your recordings.")
        self.root, self.columns, self.name, self.position = Path(raw_dir), list(columns), name, position
        self.unit, self.rate = unit, sampling_rate
        self.time_column, self.time_unit, self.separator, self.max_gap_s = time_column, time_unit, separator, max_gap_s
        self.files = _recordings_in(self.root)
        self.people, self.labels = self._people(participant)
        table = self.root / SEGMENTS
        self.segments = read_segments(table, list(self.people)) if table.is_file() else {}
        both = sorted(file for file in self.segments if self.labels.get(file))
        if both:
            raise DataError(f"{both[0]} has a label in {RECORDINGS} and segments in {SEGMENTS}; give one of them.")

    @cached_property
    def info(self) -> CohortInfo:
        """The rate is that of the configuration or of the first file."""
        rate = self.rate or self._read(next(iter(self.people))).rate
        return CohortInfo(self.name, rate, self.position, f"the user's own files in {self.root.name}", "own", "none")

    def units(self) -> list[Unit]:
        """A unit for each file."""
        settings = (self.columns, self.unit, self.rate, self.time_column, self.time_unit, self.separator)
        return [
            Unit(file, file, self.files[file], repr((person, self._labelled(file), settings, self.max_gap_s)))
            for file, person in self.people.items()
        ]

    def read_unit(self, unit: Unit) -> Iterator[Recording]:
        """A file; a gap parts its recording."""
        file = unit.key
        read = self._read(file)
        labelled = self._segments_of(file, read.end_s)
        ids = part_ids(stem(file), len(read.stretches))
        for name, (start_s, signal) in zip(ids, read.stretches, strict=True):
            at = None if read.start_time is None else read.start_time + start_s
            segments = within(labelled, start_s, len(signal) / read.rate)
            yield Recording(name, self.people[file], signal, read.rate, segments, at)

    def _labelled(self, file: str) -> object:
        return self.labels.get(file) or self.segments.get(file)

    def _people(self, expression: str | None) -> tuple[dict[str, str], dict[str, str]]:
        """Participant and label of each file to read."""
        table = self.root / RECORDINGS
        if table.is_file():
            return read_recordings(table, list(self.files))
        if expression is None:
            raise DataError(
                f"{self.root}: say who was recorded, by a table {RECORDINGS} (file,participant) in it or by "
                "a regular expression for the file's path, e.g. 'data.source.participant=\"[^/_]+\"'."
            )
        return {file: participant_in(expression, file, self.root) for file in self.files}, {}

    def _read(self, file: str) -> _Content:
        path, types = self.files[file], dict[str, type](dict.fromkeys(self.columns, float))
        if self.time_column is not None:
            types[self.time_column] = str if self.time_unit == "iso" else float
        read = (
            read_parquet(path, types) if path.suffix.lower() == ".parquet" else _read_csv(path, types, self.separator)
        )
        signal = stack(read, self.columns) * UNITS[self.unit]
        present = np.isfinite(signal).all(axis=1)
        if not present.any():
            raise DataError(f"{path} has no row with numbers in all of {', '.join(self.columns)}.")
        check_unit(signal[present], f"{path}, read with data.source.unit={self.unit}")
        if self.time_column is not None:
            times, start_time = seconds(read[self.time_column], self.time_unit, str(path))
        else:  # then a rate is configured
            times, start_time = np.arange(len(signal)) / (self.rate or np.nan), None
        rate, stretches = gap_free(times, signal, str(path), self.max_gap_s, self.rate)
        return _Content(rate, start_time, float(np.nanmax(times)) + 1 / rate, stretches)

    def _segments_of(self, file: str, end_s: float) -> list[Segment]:
        if self.labels.get(file):
            return [Segment(0.0, end_s, self.labels[file])]
        segments = self.segments.get(file, [])
        for segment in segments:
            if segment.end_s > end_s + _TOLERANCE_S:
                raise DataError(
                    f"{self.root / SEGMENTS}: {file} ends after {end_s:.2f} s, its segment "
                    f"{segment.start_s:g}-{segment.end_s:g} s later."
                )
        return segments


def _check(columns: Sequence[str], unit: str, rate: float | None, time_column: str | None, time_unit: str) -> None:
    """Raises ConfigError naming the key."""
    if len(set(columns)) != 3 or time_column in columns:
        raise ConfigError(
            f"data.source.columns={list(columns)}: expected three, those of x, y and z, none of them data.source."
            f"time_column={time_column}."
        )
    if unit not in UNITS:
        raise ConfigError(f"data.source.unit={unit}: expected one of {', '.join(UNITS)}.")
    if time_unit not in TIME_UNITS:
        raise ConfigError(f"data.source.time_unit={time_unit}: expected one of {', '.join(TIME_UNITS)}.")
    if rate is not None and not (np.isfinite(rate) and rate > 0):
        raise ConfigError(f"data.source.sampling_rate={rate}: expected a number above 0.")
    if rate is None and time_column is None:
        raise ConfigError("Give data.source.time_column or, if samples have no time stamps, data.source.sampling_rate.")


def _recordings_in(root: Path) -> dict[str, Path]:
    """Files by their path below the folder."""
    if not root.is_dir():
        raise DataError(f"There is no folder {root}{nearest_path(root)}.")
    files = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*")) if path.is_file()}
    found = {name: path for name, path in files.items() if is_table(name) and name not in (RECORDINGS, SEGMENTS)}
    name_passed_over(root, (path for name, path in files.items() if not is_table(name)), ", ".join(TABLE_SUFFIXES))
    if not found:
        raise DataError(f"{root} has no recordings: expected files that end in {', '.join(TABLE_SUFFIXES)}.")
    stems: dict[str, str] = {}
    for name in found:
        if (other := stems.setdefault(stem(name), name)) != name:
            raise DataError(f"{root / other} and {root / name} would get the same id; rename or remove one.")
    return found


def _read_csv(path: Path, types: Mapping[str, type], separator: str) -> dict[str, np.ndarray]:
    content: Path | bytes = path
    if path.suffix.lower() != ".csv":
        try:
            with open_bytes(path) as file:
                content = bounded(file, str(path))
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise DataError(f"{path} is damaged or cut short ({error}).") from error
    require_columns(types, columns_of(content, str(path), separator), str(path))
    return read_columns(content, str(path), types, separator=separator)
