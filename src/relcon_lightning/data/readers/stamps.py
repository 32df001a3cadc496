"""Convert time stamps in common notations to seconds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo

import numpy as np
import pandas as pd
import pyarrow as pa

from relcon_lightning.data.readers.date_text import (
    ISO,
    OFFSET,
    TIME_OF_DAY,
    are_compact,
    forms,
    tidied,
    unclear,
    undotted,
)
from relcon_lightning.data.readers.stretches import PLAUSIBLE_HZ
from relcon_lightning.data.readers.table_head import is_number
from relcon_lightning.data.readers.table_layout import AUTO, TIME_UNITS, Layout, zone
from relcon_lightning.data.resample import GAP_STEPS
from relcon_lightning.errors import DataError

EPOCH_S = (9.4e8, 4.2e9)  # unix time of the years 1999 to 2103
DAY_S = 86400.0
MISSING = np.iinfo(np.int64).min  # NaT
_DAY_ZERO = {"a spreadsheet": 25569.0, "MATLAB": 719529.0}  # number of 1970-01-01 in days
_DAYS = (10957.0, 47482.0)  # from 1970-01-01: the years 2000 to 2099

_UNIT_IN_NAME = {
    "ms": r"(?:^|[^a-z])(?:ms|msec|millis\w*)(?![a-z])",
    "us": r"(?:^|[^a-z])(?:us|µs|μs|micros\w*)(?![a-z])",
    "ns": r"(?:^|[^a-z])(?:ns|nanos\w*)(?![a-z])",
}


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
        compact = are_compact(cells)
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
            clock = cls(DAY_S, zone=chosen, local=chosen is None, absolute=True, day_zero=_DAY_ZERO[program])
            date = pd.Timestamp(clock.nanoseconds(stamps[:1])[0]).round("s")
            return replace(clock, note=f"time stamps such as {stamps[0]:.6f} as days of {program} ({date})")
        key = epochs[0] if epochs else stated
        note = f"unix time in {key}" if epochs else f"time stamps in {key}" if key != "s" else ""
        return cls(TIME_UNITS[key], absolute=bool(epochs), note=note)

    @classmethod
    def _of_text(cls, cells: Sequence[str], layout: Layout, where: str, own_zone: str | None) -> Clock:
        aware = bool(cells) and re.search(OFFSET, tidied(cells[:1])[0].as_py()) is not None
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
            not are_compact(cells) and np.isfinite(plain._times(np.array(cells, dtype=object))).all()
        ):  # the usual case, and the fastest
            return plain
        for form in forms([cell.as_py() for cell in tidied(cells)], aware):
            clock = cls(None, form, True, chosen, local and form != TIME_OF_DAY, form != TIME_OF_DAY)
            if np.isfinite(clock._times(np.array(cells, dtype=object))).mean() > 0.5:
                note = "" if form == ISO else f"time stamps such as {cells[0]!r} as {form}"
                return cls(None, form, True, chosen, clock.local, clock.absolute, note)
        raise DataError(unclear(cells[0], where))

    @property
    def is_text(self) -> bool:
        """True if the stamps are text."""
        return self.unit is None

    def _times(self, stamps: np.ndarray) -> np.ndarray:
        """Local Unix time of text in seconds, NaN if it cannot be parsed. Used for detection only."""
        nanoseconds = self.nanoseconds(stamps)
        return np.where(nanoseconds == MISSING, np.nan, nanoseconds / 1e9)

    def nanoseconds(self, stamps: np.ndarray) -> np.ndarray:
        """Convert text or days ``(n,)`` to int64 ns since 1970 in local time, or in UTC if it has an offset.

        Invalid stamps become NaT.
        """
        if self.day_zero is not None:
            days = stamps - self.day_zero
            found = np.abs(days) < _DAYS[1]
            return np.where(found, np.where(found, days, 0) * (DAY_S * 1e9), MISSING).round().astype(np.int64)
        text = tidied(stamps) if self.tidy else pa.array(stamps, pa.string(), from_pandas=True)
        if "%p" in self.form and not self.tidy:
            text = undotted(text)
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


def parse_date(text: str, form: str, zone_name: str | None) -> float | None:
    """Unix time of a date in a header; None if it cannot be parsed. A date without a zone is interpreted as UTC."""
    try:
        date = datetime.strptime(text.strip(), form)
    except ValueError:
        return None
    return date.replace(tzinfo=zone(zone_name or "+00:00")).timestamp()


def _is_epoch(stamps: np.ndarray, unit: float) -> bool:
    return bool(len(stamps)) and EPOCH_S[0] < float(np.median(stamps)) * unit < EPOCH_S[1]


def _counts_days(stamps: np.ndarray) -> str | None:
    """The program whose dates are such numbers of days; None if they count no days."""
    if not _is_plausible(stamps, DAY_S):
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
