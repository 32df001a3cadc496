"""Time stamps as people write them, in seconds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from relcon_lightning.errors import DataError

TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "iso": 1.0}
_SHARED = 0.01  # of the samples may have the stamp of the one before; more means that the clock is too coarse


def seconds(stamps: np.ndarray, unit: str, where: str) -> tuple[np.ndarray, float | None]:
    """Seconds from the first of the stamps ``(n,)``, NaN where there is none; for ISO stamps also its unix time.

    ISO stamps without an offset are taken for UTC.

    Args:
        stamps: Numbers, or text if the unit is iso.
        unit: One of :data:`TIME_UNITS`.
        where: For the error.

    Raises:
        DataError: No time, stamps that go back, or many equal ones.
    """
    start_time = None
    if unit == "iso":
        try:
            dates = pd.to_datetime(stamps, format="ISO8601", utc=True)
        except (ValueError, OverflowError) as error:
            raise DataError(f"{where}: {error}") from error
        times = (dates - dates.min()).total_seconds().to_numpy()
        start_time = float(dates.min().timestamp()) if np.isfinite(times).any() else None
    else:
        times = np.where(np.isfinite(stamps), stamps, np.nan)
        first = times[np.isfinite(times)].min(initial=np.inf)
        with np.errstate(over="ignore", invalid="ignore"):  # no clock has such stamps; the order or the rate tells
            times = (times - first) * TIME_UNITS[unit]
    _check_order(times, where)
    return times, start_time


def _check_order(times: np.ndarray, where: str) -> None:
    rows = np.flatnonzero(np.isfinite(times))
    if not len(rows):
        raise DataError(f"{where} has no time stamps in its time column.")
    steps = np.diff(times[rows])
    if (steps < 0).any():
        row = rows[1:][steps < 0][0]
        raise DataError(
            f"{where}: the time stamps go back at sample {row + 1}. Sort the rows, or make a file of each part if the "
            "clock was set anew."
        )
    shared = float((steps == 0).mean()) if len(steps) else 0.0
    if shared > _SHARED:
        raise DataError(
            f"{where}: {shared:.0%} of the samples have the time stamp of the one before. Give "
            "data.source.sampling_rate and data.source.time_column=null."
        )
