"""Read one recording from a CSV or Parquet file, piece by piece."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from relcon_lightning.data.once import Once
from relcon_lightning.data.readers import raw_files
from relcon_lightning.data.readers.arrivals import Bursts, InOrder, Spread
from relcon_lightning.data.readers.missing import FILL_VALUES, missing_rows, name_missing
from relcon_lightning.data.readers.stamps import Clock
from relcon_lightning.data.readers.stopwatch import Stopwatch
from relcon_lightning.data.readers.stretches import gap_free
from relcon_lightning.data.readers.suffixes import is_packed, text_of
from relcon_lightning.data.readers.table_formats import recognised
from relcon_lightning.data.readers.table_layout import TIME_UNITS, UNITS, Layout
from relcon_lightning.data.readers.table_plain import Table
from relcon_lightning.data.readers.table_rows import NotNumbersError, TableRows, in_blocks
from relcon_lightning.data.readers.table_survey import ABSURD, MOST_G, SHARED, Damage, Survey, like_the_last
from relcon_lightning.data.stream import Block
from relcon_lightning.errors import DataError

log = logging.getLogger(__name__)

_ROW_BYTES = 4 * 8  # bytes per sample in memory: its time and three axes


@dataclass(frozen=True)
class Scan:
    """Properties of a table that are known after reading it once.

    Attributes:
        rate: Sampling rate in Hz.
        start_time: Unix time of the first sample in seconds; None if the time stamps are not dates.
        duration_s: Duration in seconds.
    """

    rate: float
    start_time: float | None
    duration_s: float


class TableStream:
    """One recording in one file.

    Args:
        path: Path of the file.
        layout: Layout of the file.
        bounded: True: refuse a compressed file whose samples or text take more than a gigabyte of memory. False: a
            file may be larger, but its compression ratio is still limited.
        once: Messages that were logged for other files.
    """

    def __init__(self, path: Path, layout: Layout, bounded: bool = False, once: Once | None = None) -> None:
        self.path, self.layout, self.bounded, self._once = path, layout, bounded, once or Once()
        self.where = text_of(path)  # for messages
        self._rows = TableRows(path, layout, bounded)
        self._copied = False  # rows are repeated, and are read once
        self._bursts: Bursts | None = None
        self._scan: Scan | None = None

    @property
    def table(self) -> Table:
        """Location of the samples in the file.

        Raises:
            DataError: The file cannot be read or has no such columns.
        """
        return self._rows.table

    @property
    def stamped(self) -> bool:
        """True if the time of day is known."""
        clock = self.table.clock
        return self.table.start_time is not None if clock is None else clock.absolute

    def scan(self) -> Scan:
        """Read the file once to find its rate and whether it can be used.

        Raises:
            DataError: The file cannot be read; it has no such columns, rows or numbers; it has another unit or too many
                damaged rows; or its time stamps decrease or give a wrong or implausible rate.
        """
        survey, _ = self._survey(keep=False)
        return self._finish(survey)

    def read(self) -> tuple[Scan, np.ndarray, np.ndarray]:
        """Read the whole file once: times ``(n,)`` in seconds and samples ``(n, 3)`` in g, NaN where missing.

        Raises:
            DataError: See :meth:`scan`.
        """
        survey, kept = self._survey(keep=True)
        found = self._finish(survey)
        blocks = list(self._spread(kept))
        return (
            found,
            np.concatenate([block.times for block in blocks]),
            np.concatenate([block.signal for block in blocks]),
        )

    def blocks(self) -> Iterator[Block]:
        """Samples of the file, in blocks.

        Raises:
            DataError: See :meth:`scan`.
        """
        if self._scan is None:
            self.scan()
        return self._spread(self._read(Survey()))

    def _survey(self, keep: bool) -> tuple[Survey, list[Block]]:
        """Read the file once; ``keep`` also returns its blocks."""
        while True:
            survey, kept = Survey(), []
            try:
                for block in self._read(survey):
                    survey.put(block)
                    if keep:
                        kept.append(block)
                    if self.bounded and is_packed(self.path.name) and survey.rows * _ROW_BYTES > raw_files.MAX_BYTES:
                        raise raw_files.bomb(self.where, raw_files.MAX_BYTES)
            except NotNumbersError:  # only once, because cells are then read as text
                self._rows.as_text = True
                continue
            if not self._copied and self.table.clock is not None and survey.has_copies:
                text = "%s: %d of %d samples are copies of the sample before, with its time stamp: they are left out."
                log.warning(text, self.where, survey.repeated, survey.rows)
                self._copied = True
                continue
            return survey, kept

    def _finish(self, survey: Survey) -> Scan:
        layout, table, where = self.layout, self.table, self.where
        survey.check_damage(where, layout.lenient, table.clock is not None)
        if survey.fullest is None and survey.missing:
            raise DataError(
                f"{where}: all rows with numbers are 0,0,0 or a fill value such as -9999, as missing samples are. If "
                "other columns hold the acceleration, name them in data.source.columns."
            )
        if survey.fullest is None:
            raise DataError(f"{where} has no row with numbers in all of {', '.join(table.names)}.")
        scaled = "" if table.scale == 1 else f" and data.source.scale={layout.scale or f'{table.scale:.6g}'}"
        survey.check_unit(where, f"data.source.unit={table.unit}{scaled}", bool(scaled) or table.unit != "g")
        survey.check_range(where)
        if table.clock is not None and table.clock.is_text and table.clock.absolute:
            survey.check_minutes(where)
        survey.check_order(where)
        if table.clock is not None:
            self._bursts = Bursts.find(survey.fullest.times, SHARED)
        blocks = list(self._spread([survey.fullest]))
        times, signal = (np.concatenate([getattr(b, name) for b in blocks]) for name in ("times", "signal"))
        gap = layout.max_gap_s + (self._bursts.interval_s if self._bursts else 0.0)
        rate, _ = gap_free(times, signal, where, gap, table.rate, quiet=True, units=_other_units(table.clock))
        self._tell(survey, rate)
        start = survey.start_time if table.clock is not None else table.start_time
        last_s = self._bursts.interval_s if self._bursts else 1 / rate  # duration of the last stamp
        self._scan = Scan(rate, start, survey.end_s + last_s)
        return self._scan

    def _tell(self, survey: Survey, rate: float) -> None:
        """Log what was detected, once for all files."""
        if note := recognised(self.table):
            self._say(note, note)
        clock = self.table.clock
        if (clock is not None and clock.local) or (clock is None and self.table.start_time and self.table.local):
            text = "the time has no zone and is assumed to be UTC; if it is local, give data.source.time_zone"
            self._say(text, text)
        if self._bursts:
            text = (
                f"{self._bursts.interval_s / self._bursts.period_s:.0f} samples share a time stamp; they are spread "
                f"over {self._bursts.interval_s:.4g} s"
            )
            self._say(text, text)
        if clock is not None and self.layout.sampling_rate is None:
            self._say(f"{rate:.2g} Hz", f"{rate:.6g} Hz by its time stamps")
        if survey.late:
            log.warning("%s: sorted %d samples that were late.", self.where, survey.late)
        name_missing(self.where, survey.missing, survey.rows)

    def _say(self, key: str, text: str) -> None:
        self._once.log(log, logging.INFO, key, "%s: %s.", self.where, text)

    def _spread(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Spread samples that share a time stamp over its interval."""
        if self._bursts is None:
            yield from blocks
            return
        spread = Spread(self._bursts, self.layout.max_gap_s)
        for block in blocks:
            times, signal = spread.put(block.times, block.signal)
            if len(times):
                yield Block(times, signal)
        times, signal = spread.put(np.empty(0), np.empty((0, 3)), last=True)
        if len(times):
            yield Block(times, signal)

    def _read(self, survey: Survey) -> Iterator[Block]:
        """Blocks with non-decreasing times, as stamped in the file."""
        table, layout, where = self.table, self.layout, self.where
        factor = table.scale * UNITS[table.unit]
        watch = Stopwatch(table.clock, where) if table.clock else None
        order = InOrder(layout.max_gap_s, where)
        for rows in in_blocks(self._rows.batches(survey.damage)):
            raw = np.stack([_array(rows, name) for name in "xyz"], axis=1)
            missing = missing_rows(raw)
            if table.scale == 1 and table.unit != "mg":  # no sensor reaches fill values, but counts may
                missing |= np.isin(raw, FILL_VALUES).any(axis=1)
            survey.missing += int(missing.sum())
            with np.errstate(over="ignore"):
                signal = np.where(missing[:, None], np.nan, raw) * factor
                absurd = (np.abs(signal) > MOST_G).any(axis=1)
            survey.absurd += int(absurd.sum())
            if absurd.mean() <= ABSURD:  # otherwise the unit is wrong, which is checked after the last block
                signal[absurd] = np.nan
            if watch is None:
                yield Block((survey.rows + np.arange(len(signal))) / (table.rate or np.nan), signal)
            else:
                stamps = _array(rows, "time")
                times = watch.seconds(stamps)
                self._count_unreadable(stamps, times, survey.damage)
                survey.start_time = watch.start_time
                with np.errstate(invalid="ignore", over="ignore"):
                    times, signal = order.put(times, signal)
                survey.late = order.late
                if len(times):
                    yield self._without_copies(Block(times, signal))
            survey.rows += len(raw)
        if not survey.rows:
            raise DataError(f"{self.where} contains no rows.")
        if watch is not None:
            if watch.start_time is None and not np.isfinite(order.newest):
                raise DataError(f"{self.where} has no time stamps in its time column.")
            times, signal = order.put(np.empty(0), np.empty((0, 3)), last=True)
            if len(times):
                yield self._without_copies(Block(times, signal))

    def _without_copies(self, block: Block) -> Block:
        if not self._copied:
            return block
        same, alike = like_the_last(block)
        return Block(block.times[~(same & alike)], block.signal[~(same & alike)])

    def _count_unreadable(self, stamps: np.ndarray, times: np.ndarray, damage: Damage) -> None:
        """Count text that is not a time stamp as damage."""
        if self.table.clock is None or not self.table.clock.is_text:
            return
        unread = ~np.isfinite(times)
        filled = [stamp for stamp in stamps[unread] if isinstance(stamp, str) and stamp.strip()]
        if filled:
            damage.add(f"the time stamp {filled[0]!r}", len(filled))


def _other_units(clock: Clock | None) -> dict[str, float]:
    """Settings of the units that numeric stamps could have, and the factor by which each changes the rate."""
    if clock is None or clock.unit is None or clock.day_zero is not None:
        return {}
    return {f"data.source.time_unit={name}": clock.unit / seconds for name, seconds in TIME_UNITS.items()}


def _array(table: pa.Table, name: str) -> np.ndarray:
    """Column as an array ``(rows,)``; empty cells of numeric columns are NaN."""
    array: np.ndarray = table[name].to_numpy()
    return array
