"""A folder of a user's own recordings: one CSV or Parquet file per recording."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from relcon_lightning.data.once import Once
from relcon_lightning.data.readers.empatica import without_other_signals
from relcon_lightning.data.readers.folder_tables import RECORDINGS, SEGMENTS, read_recordings, read_segments
from relcon_lightning.data.readers.labels import within
from relcon_lightning.data.readers.paths import participant_in
from relcon_lightning.data.readers.stretches import gap_free, part_ids
from relcon_lightning.data.readers.suffixes import (
    TABLE_SUFFIXES,
    conversion,
    files_below,
    is_device_file,
    is_table,
    name_passed_over,
    refuse_none,
    refuse_twice,
    stem,
)
from relcon_lightning.data.readers.table_layout import Layout
from relcon_lightning.data.readers.table_stream import TableStream
from relcon_lightning.data.recording import CohortInfo, Recording, Segment
from relcon_lightning.data.units import InUnits, Unit
from relcon_lightning.errors import DataError, nearest_path

_TOLERANCE_S = 1.0  # time that a segment may end after its file, because people round to seconds


class RecordingFolder(InUnits):
    """One recording per file, in sub-folders or not. The id of a recording is its path without the suffix.

    The participant of a file comes from a regular expression on its path, or from a table ``recordings.csv`` in the
    folder (columns file, participant and, optionally, label), which then lists all files to read. Segments with labels
    or numeric targets come from ``segments.csv`` (file, start_s, end_s and any of label and numeric targets), in
    seconds from the first sample of the file.

    Empty and NaN cells, rows of zeros and fill values are missing samples. Gaps of up to ``max_gap_s`` are
    interpolated; a longer gap splits the recording. Damaged rows are skipped, and samples that share a time stamp are
    spread up to the next one; both are logged.

    Args:
        raw_dir: Path of the folder.
        name: Name of the cohort.
        participant: Regular expression that is searched in a file's path below ``raw_dir``. The participant is its
            first group, or the whole match if it has no group. None: there is a ``recordings.csv``.
        position: Position of the sensor on the body.
        files: Pattern for the paths of the files to read below ``raw_dir``, such as ``**/TotalAcceleration.csv``;
            None: all tables.
        **layout: Layout of the files; see :class:`~relcon_lightning.data.readers.table_layout.Layout`.

    Raises:
        ConfigError: The unit is unknown, the regular expression is invalid, or neither a rate nor a time column is set.
        DataError: There is no such folder, or it contains no recordings.
    """

    def __init__(
        self,
        raw_dir: str | Path | None,
        name: str = "folder",
        participant: str | None = None,
        position: str = "wrist",
        files: str | None = None,
        **layout: Any,
    ) -> None:
        self.layout, self._once = Layout(**layout), Once()
        if raw_dir is None:
            raise DataError("data.raw_dir must name the folder of your recordings.")
        self.root, self.name, self.position = Path(raw_dir), name, position
        self.files = _recordings_in(self.root, files)
        self.people, self.labels = self._people(participant)
        table = self.root / SEGMENTS
        self.segments = read_segments(table, list(self.people)) if table.is_file() else {}
        both = sorted(file for file in self.segments if self.labels.get(file))
        if both:
            raise DataError(f"{both[0]} has a label in {RECORDINGS} and segments in {SEGMENTS}; give one of them.")

    @cached_property
    def info(self) -> CohortInfo:
        """Description of the cohort, with the rate of the configuration or of the first file."""
        first = self.files[next(iter(self.people))]
        rate = self.layout.sampling_rate or self._table(first).scan().rate
        return CohortInfo(self.name, rate, self.position, f"the user's own files in {self.root.name}", "own", "none")

    def units(self) -> list[Unit]:
        """One unit per file."""
        return [
            Unit(file, file, self.files[file], repr((person, self._labelled(file), self.layout)))
            for file, person in self.people.items()
        ]

    def read_unit(self, unit: Unit) -> Iterator[Recording]:
        """Read a file, split at gaps."""
        file, path = unit.key, self.files[unit.key]
        found, times, signal = self._table(path).read()
        rate, stretches = gap_free(times, signal, str(path), self.layout.max_gap_s, found.rate)
        labelled = self._segments_of(file, found.duration_s)
        ids = part_ids(stem(file), len(stretches))
        for name, (start_s, part) in zip(ids, stretches, strict=True):
            at = None if found.start_time is None else found.start_time + start_s
            segments = within(labelled, start_s, len(part) / rate)
            yield Recording(name, self.people[file], part, rate, segments, at)

    def _table(self, path: Path) -> TableStream:
        return TableStream(path, self.layout, bounded=True, once=self._once)

    def _labelled(self, file: str) -> object:
        return self.labels.get(file) or self.segments.get(file)

    def _people(self, expression: str | None) -> tuple[dict[str, str], dict[str, str]]:
        """Participant and label of each file to read."""
        table = self.root / RECORDINGS
        if table.is_file():
            return read_recordings(table, list(self.files))
        if expression is None:
            raise DataError(
                f"{self.root}: name the participants, in a table {RECORDINGS} (file,participant) in it or with "
                "a regular expression for the file's path, e.g. 'data.source.participant=\"[^/_]+\"'."
            )
        return {file: participant_in(expression, file, self.root) for file in self.files}, {}

    def _segments_of(self, file: str, end_s: float) -> list[Segment]:
        if self.labels.get(file):
            return [Segment(0.0, end_s, self.labels[file])]
        segments = self.segments.get(file, [])
        for segment in segments:
            if segment.end_s > end_s + _TOLERANCE_S:
                raise DataError(
                    f"{self.root / SEGMENTS}: {file} ends after {end_s:.2f} s, but its segment "
                    f"{segment.start_s:g}-{segment.end_s:g} s ends later."
                )
        return segments


def _recordings_in(root: Path, pattern: str | None) -> dict[str, Path]:
    """Files by their path below the folder."""
    if not root.is_dir():
        raise DataError(f"There is no folder {root}{nearest_path(root)}.")
    files = without_other_signals(root, files_below(root, pattern))
    tables = {name: path for name, path in files.items() if is_table(name, pattern is not None)}
    found = {name: path for name, path in tables.items() if name not in (RECORDINGS, SEGMENTS)}
    others = [path for name, path in files.items() if name not in tables]
    name_passed_over(root, others, ", ".join(TABLE_SUFFIXES))
    hint = f" {conversion(others[0])}" if others else ""
    hint = " Device files are read with data=device." if any(map(is_device_file, files)) else hint
    refuse_none(root, found, pattern, ", ".join(TABLE_SUFFIXES), hint)
    refuse_twice(root, found)
    stems: dict[str, str] = {}
    for name in found:
        if (other := stems.setdefault(stem(name), name)) != name:
            raise DataError(f"{root / other} and {root / name} would get the same id; rename or remove one.")
    return found
