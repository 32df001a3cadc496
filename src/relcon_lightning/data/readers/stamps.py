"""Convert time stamps in common notations to seconds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import compute

from relcon_lightning.data.readers.stretches import PLAUSIBLE_HZ
from relcon_lightning.data.readers.table_head import is_number
from relcon_lightning.data.readers.table_layout import AUTO, TIME_UNITS, Layout, zone
from relcon_lightning.data.resample import GAP_STEPS
from relcon_lightning.errors import DataError

ISO, TIME_OF_DAY = "ISO 8601", "time of day"

EPOCH_S = (9.4e8, 4.2e9)  # unix time of the years 1999 to 2103
_DAY_S, _HOUR_S = 86400.0, 3600.0
_DAY_ZERO = {"a spreadsheet": 25569.0, "MATLAB": 719529.0}  # number of 1970-01-01 in days
_DAYS = (10957.0, 47482.0)  # from 1970-01-01: the years 2000 to 2099
_MISSING = np.iinfo(np.int64).min  # NaT

# Unambiguous dates. Two numbers of two digits with a slash or dash are ambiguous: either can be the month.
_DATES = ("%d.%m.%Y", "%d.%m.%y", "%Y.%m.%d", "%Y/%m/%d", "%d-%b-%Y", "%d %b %Y", "%d/%b/%Y", "%b %d %Y", "%b %d, %Y")
_DAY_FIRST, _MONTH_FIRST = ("%d/%m/%Y", "%d-%m-%Y", "%d/%m/%y"), ("%m/%d/%Y", "%m-%d-%Y", "%m/%d/%y")
_TIMES = ("%H:%M:%S.%f", "%H:%M", "%I:%M:%S.%f %p", "%I:%M %p")

# A date in which either number can be the month, its time of day, and what follows it: an offset, or a zone in words.
_EITHER_MONTH = re.compile(
    r"\d{1,2}([/-])\d{1,2}[/-](\d+)(,? |T)\d{1,2}:\d\d(:\d\d)?(?:([.,:])\d+)?(\s*[AaPp]\.?\s?[Mm]\.?)?"
    r"(?:(\s*)(?:Z|[+-]\d\d:?\d\d))?((?:\s+(?:UTC|GMT))?(?:\s*\[?[A-Z][a-z]+/[\w/+-]+\]?)?)"
)

# A date and time of day without separators, such as 20240305090000.250 or 20240305090000250. No Unix time has so many
# digits.
_COMPACT = r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])([01]\d|2[0-3])[0-5]\d[0-5]\d([.,]\d+|\d{3}|\d{6})?"
_COMPACT_FORM = "%Y%m%d%H%M%S.%f"

_UNIT_IN_NAME = {
    "ms": r"(?:^|[^a-z])(?:ms|msec|millis\w*)(?![a-z])",
    "us": r"(?:^|[^a-z])(?:us|µs|μs|micros\w*)(?![a-z])",
    "ns": r"(?:^|[^a-z])(?:ns|nanos\w*)(?![a-z])",
}
_OFFSET = r"\d(?:Z|[+-]\d\d:?\d\d)$"
_BLANK = r"[\s\x{a0}\x{202f}]"  # including the unbreakable spaces of spreadsheets
_DOTTED_HALF = (rf"([AaPp])\.{_BLANK}?[Mm]\.?", r"\1M")  # a. m., which %p does not match
_TIDY = (
    (r"^\s+|\s+$", ""),
    (r"\s*\[[^\]]*\]$", ""),  # the name of a zone: +0100 [Europe/London]
    (r"\s+[A-Z][A-Za-z]+/[A-Za-z_/+-]+$", ""),
    (r"(\d:\d\d:\d\d)[:,](\d+)", r"\1.\2"),  # 09:00:00:020 and 09:00:00,020
    (r"\s*(?:UTC|GMT)$", "Z"),
    (r"\s+([+-]\d\d:?\d\d)$", r"\1"),
    (rf"{_BLANK}*([AaPp])\.?{_BLANK}?[Mm]\.?$", r" \1M"),
    (r"(\d:\d\d:\d\d)((?: [AaPp]M)?(?:Z|[+-]\d\d:?\d\d)?)$", r"\1.0\2"),  # a whole second, without a fraction
    (r"^(\d{14})$", r"\1.0"),
    (r"^(\d{14})[.,]?(\d+)$", r"\1.\2"),
)


@dataclass(frozen=True)
class Clock:
    """How the time stamps of a file are written.

    Attributes:
        unit: Seconds per unit of numeric stamps; None: the stamps are text.
        form: ``strptime`` format of text, :data:`ISO` or :data:`TIME_OF_DAY`.
        tidy: True: text is normalised before it is parsed.
        zone: Time zone of dates without one; None: UTC.
        local: True: the time zone of the dates is unknown.
        absolute: True: the stamps include the date.
        note: Description of the stamps for the log.
        day_zero: Number of 1970-01-01, for stamps that count days; None: they do not.
    """

    unit: float | None = None
    form: str = ISO
    tidy: bool = True
    zone: tzinfo | None = None
    local: bool = False
    absolute: bool = False
    note: str = ""
    day_zero: float | None = None

    @classmethod
    def find(
        cls, cells: Sequence[str], layout: Layout, where: str, name: str = "", own_zone: str | None = None
    ) -> Clock:
        """Detect the notation of time stamps.

        Args:
            cells: Some of the first stamps, as text.
            layout: The user's options.
            where: Name of the file, for the error.
            name: Name of the column, which may contain the unit.
            own_zone: Zone that the file itself states.

        Raises:
            DataError: The stamps cannot be read without further options. The message names them.
        """
        cells = [cell for cell in cells if cell.strip()]
        compact = _are_compact(cells)
        numeric = not cells or (not compact and sum(map(is_number, cells)) > len(cells) / 2)
        if layout.time_unit in TIME_UNITS and not numeric:
            raise DataError(
                f"{where}: the time stamp {cells[0]!r} is not a number, but data.source.time_unit={layout.time_unit}. "
                "Leave out time_unit, or give data.source.time_unit=iso for dates."
            )
        if layout.time_unit in TIME_UNITS or (numeric and layout.time_unit == AUTO and layout.time_format is None):
            return cls._of_numbers(cells, layout, name)
        return cls._of_text(cells, layout, where, own_zone)

    @classmethod
    def _of_numbers(cls, cells: Sequence[str], layout: Layout, name: str) -> Clock:
        stamps = np.array([float(cell) for cell in cells if is_number(cell)])
        if layout.time_unit in TIME_UNITS:
            unit = TIME_UNITS[layout.time_unit]
            return cls(unit, absolute=_is_epoch(stamps, unit))
        epochs = [key for key, unit in TIME_UNITS.items() if _is_epoch(stamps, unit) and _is_plausible(stamps, unit)]
        stated = next((key for key, pattern in _UNIT_IN_NAME.items() if re.search(pattern, name, re.IGNORECASE)), "s")
        if not epochs and stated == "s" and (program := _counts_days(stamps)):
            chosen = zone(layout.time_zone) if layout.time_zone else None
            clock = cls(_DAY_S, zone=chosen, local=chosen is None, absolute=True, day_zero=_DAY_ZERO[program])
            date = pd.Timestamp(clock.nanoseconds(stamps[:1])[0]).round("s")
            return replace(clock, note=f"time stamps such as {stamps[0]:.6f} as days of {program} ({date})")
        key = epochs[0] if epochs else stated
        note = f"unix time in {key}" if epochs else f"time stamps in {key}" if key != "s" else ""
        return cls(TIME_UNITS[key], absolute=bool(epochs), note=note)

    @classmethod
    def _of_text(cls, cells: Sequence[str], layout: Layout, where: str, own_zone: str | None) -> Clock:
        aware = bool(cells) and re.search(_OFFSET, _tidied(cells[:1])[0].as_py()) is not None
        named = re.search(r"([A-Z][A-Za-z]+/[A-Za-z_/+\-0-9]+)\]?\s*$", cells[0]) if cells else None
        name = layout.time_zone or own_zone or (named[1] if named and not aware else None)
        chosen, local = zone(name) if name and not aware else None, not aware and not name
        if layout.time_format is not None:
            zoned = "%z" in layout.time_format
            clock = cls(None, layout.time_format, False, None if zoned else chosen, local and not zoned, True)
            if cells and not np.isfinite(clock._times(np.array(cells, dtype=object))).any():
                raise DataError(
                    f"{where}: the time stamp {cells[0]!r} does not match data.source.time_format={clock.form}."
                )
            return clock
        if not cells:
            return cls(None, ISO, True, chosen, local, True)
        plain = cls(None, ISO, False, chosen, local, True)
        if (
            not _are_compact(cells) and np.isfinite(plain._times(np.array(cells, dtype=object))).all()
        ):  # the usual case, and the fastest
            return plain
        for form in _forms([cell.as_py() for cell in _tidied(cells)], aware):
            clock = cls(None, form, True, chosen, local and form != TIME_OF_DAY, form != TIME_OF_DAY)
            if np.isfinite(clock._times(np.array(cells, dtype=object))).mean() > 0.5:
                note = "" if form == ISO else f"time stamps such as {cells[0]!r} as {form}"
                return cls(None, form, True, chosen, clock.local, clock.absolute, note)
        raise DataError(_unclear(cells[0], where))

    @property
    def is_text(self) -> bool:
        """True if the stamps are text."""
        return self.unit is None

    def _times(self, stamps: np.ndarray) -> np.ndarray:
        """Local Unix time of text in seconds, NaN if it cannot be parsed. Used for detection only."""
        nanoseconds = self.nanoseconds(stamps)
        return np.where(nanoseconds == _MISSING, np.nan, nanoseconds / 1e9)

    def nanoseconds(self, stamps: np.ndarray) -> np.ndarray:
        """Convert text or days ``(n,)`` to int64 ns since 1970 in local time, or in UTC if it has an offset.

        Invalid stamps become NaT.
        """
        if self.day_zero is not None:
            days = stamps - self.day_zero
            found = np.abs(days) < _DAYS[1]
            return np.where(found, np.where(found, days, 0) * (_DAY_S * 1e9), _MISSING).round().astype(np.int64)
        text = _tidied(stamps) if self.tidy else pa.array(stamps, pa.string(), from_pandas=True)
        if "%p" in self.form and not self.tidy:
            text = compute.replace_substring_regex(text, *_DOTTED_HALF)
        words = text.to_numpy(zero_copy_only=False)
        if self.form == TIME_OF_DAY:
            return pd.to_timedelta(pd.Series(words), errors="coerce").to_numpy("timedelta64[ns]").astype(np.int64)
        form = "ISO8601" if self.form == ISO else self.form
        dates = pd.DatetimeIndex(pd.to_datetime(words, format=form, errors="coerce", utc=True))
        try:
            return np.asarray(dates.as_unit("ns").asi8)
        except ValueError:  # a year outside the range of ns
            known = (dates.year > 1700) & (dates.year < 2250)
            return np.asarray(pd.DatetimeIndex(dates.where(known)).as_unit("ns").asi8)


class Stopwatch:
    """Converts the stamps of one recording, in order, to seconds since the first one.

    Args:
        clock: Notation of the stamps.
        where: Name of the file, for the error.
    """

    def __init__(self, clock: Clock, where: str) -> None:
        self.clock, self.where = clock, where
        self.start_time: float | None = None
        self._origin: float | int | None = None
        self._last, self._shift = -np.inf, 0.0
        self._twice, self._after_change = False, False  # last stamp is in a repeated hour, in its second pass

    def seconds(self, stamps: np.ndarray) -> np.ndarray:
        """Convert stamps to seconds ``(n,)``, NaN for missing stamps.

        Args:
            stamps: Numbers or text ``(n,)``.

        Raises:
            DataError: A date does not exist, or is ambiguous, in the given time zone.
        """
        if self.clock.unit is not None and self.clock.day_zero is None:
            found = np.isfinite(stamps)
            self._begin(stamps[found], self.clock.unit)
            with np.errstate(over="ignore", invalid="ignore"):  # later checks find absurd stamps
                return np.where(found, (stamps - (self._origin or 0)) * self.clock.unit, np.nan)
        nanoseconds = self.clock.nanoseconds(stamps)
        found = nanoseconds != _MISSING
        if self.clock.zone is not None:
            nanoseconds[found] = self._utc(nanoseconds[found])
        self._begin(nanoseconds[found], 1e-9)
        times = np.full(len(stamps), np.nan)
        times[found] = (nanoseconds[found] - (self._origin or 0)) / 1e9
        return self._unwrapped(times) if self.clock.form == TIME_OF_DAY else times

    def _begin(self, found: np.ndarray, unit: float) -> None:
        if self._origin is None and len(found):
            self._origin = found[0].item()
            if self.clock.absolute:
                self.start_time = float(found[0]) * unit

    def _unwrapped(self, times: np.ndarray) -> np.ndarray:
        """Make times of day continue to increase after midnight."""
        rows = np.flatnonzero(np.isfinite(times))
        values = times[rows]
        steps = np.diff(values, prepend=self._last if np.isfinite(self._last) else values[:1])
        self._last = values[-1] if len(values) else self._last
        shifts = self._shift + _DAY_S * np.cumsum(steps < -_DAY_S / 2)
        self._shift = shifts[-1] if len(shifts) else self._shift
        times[rows] = values + shifts
        return times

    def _utc(self, local: np.ndarray) -> np.ndarray:
        """Convert local ns to UTC. In a repeated hour, stamps after the clock is set back belong to the second pass."""
        seconds = local / 1e9
        steps = np.diff(seconds, prepend=self._last if np.isfinite(self._last) else seconds[:1])
        self._last = seconds[-1] if len(seconds) else self._last
        back = (steps < -_HOUR_S / 4) & (steps > -2.5 * _HOUR_S)
        early, late = (self._in_utc(local, np.full(len(local), first)) for first in (True, False))
        twice = early != late
        row = np.arange(len(local))
        last_back = np.maximum.accumulate(np.where(back, row, 0 if self._after_change else -1)) if len(row) else row
        last_once = np.maximum.accumulate(np.where(twice, -1, row)) if len(row) else row
        second = last_back > last_once if not self._after_change else last_back >= last_once
        once_again = np.flatnonzero(
            ~twice & np.concatenate([[self._twice], (twice & ~second)[:-1]]) & (steps < _HOUR_S / 4)
        )
        if len(once_again):
            raise DataError(
                f"{self.where}: at {pd.Timestamp(local[once_again[0]])} the clock was not set back, as expected in "
                f"data.source.time_zone={self.clock.zone}, or the rows are sorted. Give the offset of the clock, such "
                "as data.source.time_zone=+01:00, or the rows in the order in which they were recorded."
            )
        if len(row):
            self._twice = bool(twice[-1] and not second[-1])
            self._after_change = bool(twice[-1] and second[-1])
        return np.where(twice & second, late, early)

    def _in_utc(self, local: np.ndarray, first: np.ndarray) -> np.ndarray:
        try:
            dates = pd.DatetimeIndex(local).tz_localize(self.clock.zone, ambiguous=first, nonexistent="raise")
        except ValueError as error:
            raise DataError(
                f"{self.where}: {error}: this hour does not exist in data.source.time_zone={self.clock.zone}. If the "
                "clock was not set forward, give its offset, such as data.source.time_zone=+01:00."
            ) from error
        return np.asarray(dates.tz_convert(None).as_unit("ns").asi8)


def parse_date(text: str, form: str, zone_name: str | None) -> float | None:
    """Unix time of a date in a header; None if it cannot be parsed. A date without a zone is interpreted as UTC."""
    try:
        date = datetime.strptime(text.strip(), form)
    except ValueError:
        return None
    return date.replace(tzinfo=zone(zone_name or "+00:00")).timestamp()


def _tidied(stamps: Sequence[str] | np.ndarray) -> pa.Array:
    """Normalise the notation of stamps."""
    text = pa.array(stamps, pa.string(), from_pandas=True)
    for pattern, replacement in _TIDY:
        text = compute.replace_substring_regex(text, pattern, replacement)
    return text


def _are_compact(cells: Sequence[str]) -> bool:
    """True if all cells with a number, and there are some, are dates without separators."""
    numbers = [cell.strip() for cell in cells if re.fullmatch(r"\s*\d+([.,]\d*)?\s*", cell)]
    return bool(numbers) and all(re.fullmatch(_COMPACT, number) for number in numbers)


def _forms(cells: Sequence[str], aware: bool) -> list[str]:
    """Formats to try, the likely ones first."""
    if all(re.fullmatch(r"\d{1,2}:\d\d:\d\d(\.\d+)?", cell) for cell in cells):
        return [TIME_OF_DAY]
    if _are_compact(cells):
        return [_COMPACT_FORM]
    dates = list(_DATES)
    numbers = [re.match(r"(\d{1,2})[/-](\d{1,2})[/-]\d", cell) for cell in cells]
    if any(match and int(match[1]) > 12 for match in numbers):
        dates.extend(_DAY_FIRST)
    elif any(match and int(match[2]) > 12 for match in numbers):
        dates.extend(_MONTH_FIRST)
    zone_form = "%z" if aware else ""
    return [ISO, *(f"{date}{gap}{time}{zone_form}" for date in dates for time in _TIMES for gap in (" ", "T", ", "))]


def _unclear(cell: str, where: str) -> str:
    match = _EITHER_MONTH.fullmatch(cell)
    if not match:
        return (
            f"{where}: time stamps such as {cell!r} are not recognised. Give their format, e.g. "
            "'data.source.time_format=\"%d.%m.%Y %H:%M:%S.%f\"'."
        )
    mark, year, gap, seconds, dot, half, offset, rest = match.groups()
    time = f"{'%I' if half else '%H'}:%M{':%S' if seconds else ''}{dot + '%f' if dot else ''}"
    half_form = "" if not half else " %p" if half[0].isspace() else "%p"
    tail = f"{half_form}{offset + '%z' if offset is not None else ''}{rest}"
    year = "%Y" if len(year) == 4 else "%y"
    one, other = (f"{a}{mark}{b}{mark}{year}{gap}{time}{tail}" for a, b in (("%d", "%m"), ("%m", "%d")))
    return (
        f"{where}: time stamps such as {cell!r} do not say which number is the month. Give "
        f"'data.source.time_format=\"{one}\"' or 'data.source.time_format=\"{other}\"'."
    )


def _is_epoch(stamps: np.ndarray, unit: float) -> bool:
    return bool(len(stamps)) and EPOCH_S[0] < float(np.median(stamps)) * unit < EPOCH_S[1]


def _counts_days(stamps: np.ndarray) -> str | None:
    """The program whose dates are such numbers of days; None if they count no days."""
    if not _is_plausible(stamps, _DAY_S):
        return None
    middle = float(np.median(stamps))
    return next((name for name, zero in _DAY_ZERO.items() if _DAYS[0] <= middle - zero <= _DAYS[1]), None)


def _is_plausible(stamps: np.ndarray, unit: float) -> bool:
    """True if the stamps in this unit give a plausible sampling rate."""
    steps = np.diff(np.unique(stamps))
    if not len(steps):
        return False
    near = steps[steps < GAP_STEPS * np.median(steps)].sum() * unit
    rate = len(stamps) * (len(steps) / (len(steps) + 1)) / near if near > 0 else np.inf
    return bool(PLAUSIBLE_HZ[0] <= rate <= PLAUSIBLE_HZ[1])
