"""Read the acceleration of Empatica E4 sessions.

A session is a folder or a zip archive. ``ACC.csv`` holds the acceleration: the start in Unix seconds (UTC), then the
sampling rate in Hz, then samples in 1/64 g; see ``info.txt`` in each session. The files beside it hold other signals.
"""

from __future__ import annotations

import logging
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePath

from relcon_lightning.data.readers.stamps import EPOCH_S
from relcon_lightning.data.readers.suffixes import (
    COMPRESSIONS,
    IN_ARCHIVES,
    UNREADABLE,
    is_table,
    only_table,
    text_of,
)
from relcon_lightning.data.readers.table_head import Head, is_number
from relcon_lightning.data.readers.table_layout import Layout
from relcon_lightning.data.readers.table_plain import Table, separators_of, shortened
from relcon_lightning.errors import DataError
from relcon_lightning.wording import counted

KIND = "ACC.csv of Empatica E4 sessions, also compressed or in a .zip"  # for messages
log = logging.getLogger(__name__)

_ENDINGS = f"({'|'.join(map(re.escape, COMPRESSIONS))})$"
_ACCELERATION = re.compile(rf"(^|[-_ .])acc\.csv{_ENDINGS}", re.IGNORECASE)  # also S01_ACC.csv
_OTHERS = re.compile(rf"(^|[-_ .])((bvp|eda|hr|ibi|temp|tags)\.csv{_ENDINGS}|info\.txt$)", re.IGNORECASE)
_RATE = 32.0  # Hz; the only rate of an E4
_RATES = (1.0, 1000.0)  # Hz
_COUNTS_PER_G = 64


def is_session(path: Path) -> bool:
    """True if a file is, by its name, the acceleration of a session, or is an archive with one.

    An archive that cannot be opened counts as one, so that its damage is reported where it is read.
    """
    if _ACCELERATION.search(path.name):
        return True
    if path.suffix.lower() != ".zip" or not is_table(path.name):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(map(_is_member, archive.namelist()))
    except UNREADABLE:
        return True


def without_other_signals(root: Path, files: Mapping[str, Path]) -> dict[str, Path]:
    """Files without the other signals and notes of sessions. The log names what is skipped.

    Args:
        root: Searched folder.
        files: Files by their path below the folder.
    """
    sessions = {path.parent for path in files.values() if _ACCELERATION.search(path.name)}
    others = {name: path for name, path in files.items() if path.parent in sessions and _OTHERS.search(path.name)}
    if others:
        kinds = ", ".join(sorted({path.name for path in others.values()}))
        log.info(
            "%s: skipped %s beside ACC.csv of Empatica sessions, which hold other signals or notes: %s.",
            root, counted(len(others), "file"), shortened(kinds),
        )  # fmt: skip
    return {name: path for name, path in files.items() if name not in others}


def read_empatica(head: Head, layout: Layout) -> Table | None:
    """Find the samples of a session.

    Returns:
        The table; None if the file has another layout.

    Raises:
        DataError: The file is named ``ACC.csv`` and has no column names, or ``layout.format`` is ``empatica``, and its
            start or its sampling rate is missing or wrong.
    """
    filled = [line for line in range(len(head.lines)) if head.lines[line].strip()][:3]
    if not filled:
        return None
    separator = max(separators_of(head, layout), key=lambda mark: len(head.cells(filled[-1], mark)))
    rows = [head.cells(line, separator) for line in filled]
    if fault := _fault(rows):
        if layout.format == "empatica" or _is_damaged(head.path, rows):
            raise DataError(f"{text_of(head.path)} is not the acceleration of an Empatica E4 session: {fault}.")
        return None
    start, rate = (_value(row) for row in rows[:2])
    if rate != _RATE:
        log.warning("%s states %g Hz; an Empatica E4 records %g Hz.", text_of(head.path), rate, _RATE)
    notes = (f"start and {rate:g} Hz from its first two lines", f"1/{_COUNTS_PER_G} g")
    return Table(
        "empatica", filled[2], separator, 3, (0, 1, 2), None, ("x", "y", "z"),
        scale=1 / _COUNTS_PER_G, rate=rate, start_time=start, notes=notes,
    )  # fmt: skip


def _fault(rows: list[list[str]]) -> str:
    """Why the first lines are not those of a session; empty if they are."""
    shown = [shortened(",".join(row), 60) for row in rows]
    start = _value(rows[0])
    if start is None or not EPOCH_S[0] < start < EPOCH_S[1]:
        why = _unit_of(start)
        return f"line 1 must hold the start in Unix seconds (UTC), three times, found {shown[0]!r}{why}"
    if len(rows) < 2:
        return "it ends after line 1"
    rate = _value(rows[1])
    if rate is None or not _RATES[0] <= rate <= _RATES[1]:
        return f"line 2 must hold the sampling rate in Hz ({_RATE:g}), three times, found {shown[1]!r}"
    if len(rows) < 3:
        return "it contains no samples"
    if len(rows[2]) != 3:
        return f"line 3 must hold x, y and z in 1/{_COUNTS_PER_G} g, found {shown[2]!r}"
    return ""


def _value(cells: list[str]) -> float | None:
    """The number that a line holds up to three times; None if there is none."""
    filled = {cell.replace(",", ".") if is_number(cell, ",") else cell for cell in cells if cell}
    if len(cells) > 3 or len(filled) != 1:
        return None
    [cell] = filled
    return float(cell) if is_number(cell) else None


def _unit_of(start: float | None) -> str:
    for factor, unit in ((1e3, "milliseconds"), (1e6, "microseconds"), (1e9, "nanoseconds")):
        if start is not None and EPOCH_S[0] < start / factor < EPOCH_S[1]:
            return f", which are {unit}; divide them by {factor:.0f}"
    return ""


def _is_damaged(path: Path, rows: list[list[str]]) -> bool:
    """True if a file has the name of a session's acceleration, three columns, and no column names."""
    if len(rows[-1]) > 3 or (len(set(rows[0])) >= 3 and not any(map(is_number, rows[0]))):
        return False
    if path.suffix.lower() != ".zip":
        return _ACCELERATION.search(path.name) is not None
    with zipfile.ZipFile(path) as archive:
        return _is_member(only_table(path, archive.namelist()))


def _is_member(name: str) -> bool:
    """True if a member of an archive is the acceleration of a session."""
    return PurePath(name).name.lower() == IN_ARCHIVES[0].lower()
