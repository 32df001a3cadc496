"""Read the tables next to a user's recordings: the participant of each file, and labelled segments."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

import numpy as np

from relcon_lightning.data.readers.tables import columns_of, read_columns, require_columns
from relcon_lightning.data.recording import Segment
from relcon_lightning.errors import DataError, nearest

log = logging.getLogger(__name__)

_NO_LABEL = ("nan", "na", "n/a", "#n/a", "<na>")
RECORDINGS, SEGMENTS = "recordings.csv", "segments.csv"


def read_recordings(table: Path, files: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Participant and label by file, from columns file, participant and, optionally, label.

    Args:
        table: Path of the CSV file.
        files: Names of the existing files.

    Raises:
        DataError: A column is missing, or a file is unknown, occurs twice, has no participant, or is not in the table.
    """
    columns = _read(table, ["file", "participant"], text=("file", "participant", "label"))
    people: dict[str, str] = {}
    for row, (file, person) in enumerate(zip(columns["file"], columns["participant"], strict=True), start=1):
        _check_file(table, row, file, files)
        if file in people:
            raise DataError(f"{table}, row {row}: {file} occurs twice.")
        if not person.strip():
            raise DataError(f"{table}, row {row}: {file} has no participant.")
        people[file] = person.strip()
    if unlisted := sorted(set(files) - set(people)):
        raise DataError(f"{table} does not list {unlisted[0]} ({len(unlisted)} in all): add it or move it away.")
    labels = columns.get("label", np.full(len(people), ""))
    return people, dict(zip(people, _labels(table, labels), strict=True))


def read_segments(table: Path, files: Collection[str]) -> dict[str, list[Segment]]:
    """Segments by file, from columns file, start_s, end_s and any of label and numeric targets.

    An empty label means no label; an empty target is omitted.

    Raises:
        DataError: A column is missing, a cell is not a number, a file is unknown, or a segment does not end after it
            starts.
    """
    columns = _read(table, ["file", "start_s", "end_s"], text=("file", "label"))
    targets = [name for name in columns if name not in ("file", "start_s", "end_s", "label")]
    segments: dict[str, list[Segment]] = {}
    labels = _labels(table, columns["label"]) if "label" in columns else [""] * len(columns["file"])
    for i, file in enumerate(columns["file"]):
        _check_file(table, i + 1, file, files)
        start, end = float(columns["start_s"][i]), float(columns["end_s"][i])
        if not 0 <= start < end < np.inf:
            raise DataError(f"{table}, row {i + 1}: expected 0 <= start_s < end_s, found {start:g} and {end:g}.")
        numbers = {name: float(columns[name][i]) for name in targets if not np.isnan(columns[name][i])}
        segments.setdefault(file, []).append(Segment(start, end, labels[i] or None, numbers))
    return segments


def _read(table: Path, needed: list[str], text: Collection[str]) -> dict[str, np.ndarray]:
    content = table.read_bytes()
    names = columns_of(content, str(table))
    require_columns(needed, names, str(table))
    return read_columns(content, str(table), {name: str if name in text else float for name in names})


def _labels(table: Path, cells: np.ndarray) -> list[str]:
    """Labels without surrounding blanks; cells for missing values become empty, which is logged."""
    labels = [str(cell).strip() for cell in cells]
    missing = [label for label in labels if label.casefold() in _NO_LABEL]
    if missing:
        log.warning("%s: %d cells such as %r are treated as unlabelled.", table, len(missing), missing[0])
    return ["" if label.casefold() in _NO_LABEL else label for label in labels]


def _check_file(table: Path, row: int, file: str, files: Collection[str]) -> None:
    if file not in files:
        raise DataError(f"{table}, row {row}: there is no recording {file!r}{nearest(file, files)}.")
