"""Convert the time stamps of one recording to seconds since its first."""

from __future__ import annotations

import numpy as np
import pandas as pd

from relcon_lightning.data.readers.date_text import TIME_OF_DAY
from relcon_lightning.data.readers.stamps import DAY_S, MISSING, Clock
from relcon_lightning.errors import DataError

_HOUR_S = 3600.0


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
        found = nanoseconds != MISSING
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
        shifts = self._shift + DAY_S * np.cumsum(steps < -DAY_S / 2)
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
