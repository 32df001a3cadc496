"""Read one recording from a CSV or Parquet file, piece by piece."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
from pyarrow import compute, csv

from relcon_lightning.data.once import Once
from relcon_lightning.data.readers import raw_files
from relcon_lightning.data.readers.arrivals import Bursts, InOrder, Spread
from relcon_lightning.data.readers.missing import FILL_VALUES, missing_rows, name_missing
from relcon_lightning.data.readers.stamps import Clock, Stopwatch
from relcon_lightning.data.readers.stretches import gap_free
from relcon_lightning.data.readers.suffixes import is_packed, text_of
from relcon_lightning.data.readers.table_formats import find_table, recognised
from relcon_lightning.data.readers.table_head import NO_TABLE, Head, Place
from relcon_lightning.data.readers.table_layout import PLAIN, UNITS, Layout
from relcon_lightning.data.readers.table_plain import Table, as_written, shared_unit
from relcon_lightning.data.readers.tables import require_columns
from relcon_lightning.data.resample import check_unit
from relcon_lightning.data.store.parquet import open_parquet, plain
from relcon_lightning.data.stream import BLOCK, Block
from relcon_lightning.errors import DataError

log = logging.getLogger(__name__)

_ROW_BYTES = 4 * 8  # bytes per sample in memory: its time and three axes
_LOOKED_AT = 1024  # approximate number of samples per block for the check of the unit
_SHARED = 0.01  # maximum fraction of repeated time stamps whose samples are dropped
_LATE = 0.05  # maximum fraction of late samples
_DAMAGED, _FEW_DAMAGED = 0.01, 10  # maximum fraction and number of damaged rows that are skipped
_SHIFT_MINUTES = 5  # minimum number of minutes with twice the samples that shows a repeated hour
_LATEST_CHANGE = 3  # latest hour of the day in which clocks are set back
_MOST_G, _ABSURD = 400.0, 0.01  # values above are no measurements; maximum fraction that counts as missing
_DURATION = Clock(1.0)
_COUNTS = (1 / 8, 1 / 16, 1 / 64, 1 / 128, 1 / 256, 1 / 341, 1 / 512, 1 / 1024, 1 / 2048, 1 / 4096, 1 / 8192, 1 / 16384)
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_NO_NUMBERS = pa.array(["", "NA", "N/A", "NaN", "nan", "NAN", "null", "NULL", "None", "inf", "-inf", "Infinity"])


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


@dataclass
class _Damage:
    """Counts of damaged rows: with a wrong number of cells, or with text instead of numbers."""

    rows: int = 0
    first: str = ""
    cut: list[int] = field(default_factory=list)  # numbers of rows with a wrong number of cells, counted from 1
    read: int = 0  # number of rows with the right number of cells
    dropped: int = 0  # number of rows that are not among the samples

    def add(self, what: str, count: int = 1) -> None:
        self.first = self.first or what
        self.rows += count

    @property
    def within(self) -> bool:
        """True if a row before the end has a wrong number of cells."""
        return bool(self.cut) and self.cut[0] != self.read + 1


@dataclass
class _Survey:
    """Results of a pass over the rows of a file."""

    damage: _Damage = field(default_factory=_Damage)
    rows: int = 0
    missing: int = 0
    late: int = 0
    absurd: int = 0
    shared: int = 0  # samples with the stamp of the sample before
    repeated: int = 0  # among them, those with its values
    alike: int = 0  # samples with the values of the sample before, and another stamp
    most: int = 0
    fullest: Block | None = None
    some: list[np.ndarray] = field(default_factory=list)
    start_time: float | None = None
    end_s: float = 0.0
    minutes: dict[int, int] = field(default_factory=dict)

    def put(self, block: Block) -> None:
        same, alike = _like_the_last(block)
        self.shared += int(same.sum())
        self.repeated += int((same & alike).sum())
        self.alike += int((alike & ~same).sum())
        present = np.isfinite(block.signal).all(axis=1)
        count = int(present.sum())
        if count > self.most:
            self.fullest, self.most = block, count
        if count:
            self.some.append(block.signal[np.flatnonzero(present)[:: max(1, count // _LOOKED_AT)]])  # a copy
            self.end_s = max(self.end_s, float(block.times[present][-1]))
        if len(self.minutes) < 10**6:
            with np.errstate(invalid="ignore", over="ignore"):
                minutes = ((self.start_time or 0.0) + block.times) // 60
            for minute, samples in zip(*np.unique(minutes, return_counts=True), strict=True):
                self.minutes[minute] = self.minutes.get(minute, 0) + int(samples)

    @property
    def has_copies(self) -> bool:
        """True if samples share a time stamp because rows are repeated, and not because they came in one packet.

        A device at rest also repeats its values, but then at different stamps too.
        """
        others = self.rows - self.shared
        return self.repeated > max(_SHARED * self.rows, 0.9 * self.shared) and self.alike < 0.5 * others


def _like_the_last(block: Block) -> tuple[np.ndarray, np.ndarray]:
    """Samples ``(n,)`` with the time stamp of the sample before, and samples with its values."""
    same = np.diff(block.times, prepend=np.nan) == 0
    alike = (np.diff(block.signal, axis=0, prepend=np.nan) == 0).all(axis=1)
    return same, alike


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
        self._as_text = False  # some cells are not numbers
        self._copied = False  # rows are repeated, and are read once
        self._bursts: Bursts | None = None
        self._scan: Scan | None = None

    @property
    def table(self) -> Table:
        """Location of the samples in the file.

        Raises:
            DataError: The file cannot be read or has no such columns.
        """
        return self._found[0]

    @cached_property
    def _found(self) -> tuple[Table, Place | None]:
        """Location of the samples, and the place of the first row; None for a Parquet file."""
        if self.path.suffix.lower() == ".parquet":
            return _parquet_table(self.path, self.layout), None
        head = Head.read(self.path)  # up to a megabyte, which is not kept
        table = find_table(head, self.layout)
        return table, head.place(table.first)

    @property
    def _most(self) -> int:
        """Maximum unpacked size of the file in bytes."""
        most = raw_files.MAX_BYTES
        return most if self.bounded else max(most, raw_files.MAX_RATIO * self.path.stat().st_size)

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
        return self._spread(self._read(_Survey()))

    def _survey(self, keep: bool) -> tuple[_Survey, list[Block]]:
        """Read the file once; ``keep`` also returns its blocks."""
        while True:
            survey, kept = _Survey(), []
            try:
                for block in self._read(survey):
                    survey.put(block)
                    if keep:
                        kept.append(block)
                    if self.bounded and is_packed(self.path.name) and survey.rows * _ROW_BYTES > raw_files.MAX_BYTES:
                        raise raw_files.bomb(self.where, raw_files.MAX_BYTES)
            except _NotNumbersError:  # only once, because cells are then read as text
                self._as_text = True
                continue
            if not self._copied and self.table.clock is not None and survey.has_copies:
                text = "%s: %d of %d samples are copies of the sample before, with its time stamp: they are left out."
                log.warning(text, self.where, survey.repeated, survey.rows)
                self._copied = True
                continue
            return survey, kept

    def _finish(self, survey: _Survey) -> Scan:
        layout, table, where = self.layout, self.table, self.where
        self._check_damage(survey)
        if survey.fullest is None:
            raise DataError(f"{where} has no row with numbers in all of {', '.join(table.names)}.")
        scaled = "" if table.scale == 1 else f" and data.source.scale={layout.scale or f'{table.scale:.6g}'}"
        try:
            check_unit(np.concatenate(survey.some), f"{where}, read with data.source.unit={table.unit}{scaled}")
        except DataError as error:
            hint = _unit_hint(np.concatenate(survey.some)) if table.scale == 1 and table.unit == "g" else ""
            raise DataError(f"{error}{hint}") from error
        self._check_range(survey)
        self._check_minutes(survey)
        if survey.late > max(_LATE * survey.rows, 1):
            raise DataError(
                f"{where}: {survey.late} of {survey.rows} samples have decreasing time stamps. Sort the rows."
            )
        if table.clock is not None:
            self._bursts = Bursts.find(survey.fullest.times, _SHARED)
        blocks = list(self._spread([survey.fullest]))
        times, signal = (np.concatenate([getattr(b, name) for b in blocks]) for name in ("times", "signal"))
        gap = layout.max_gap_s + (self._bursts.interval_s if self._bursts else 0.0)
        rate, _ = gap_free(times, signal, where, gap, table.rate, quiet=True)
        self._tell(survey, rate)
        start = survey.start_time if table.clock is not None else table.start_time
        last_s = self._bursts.interval_s if self._bursts else 1 / rate  # duration of the last stamp
        self._scan = Scan(rate, start, survey.end_s + last_s)
        return self._scan

    def _check_damage(self, survey: _Survey) -> None:
        damage = survey.damage
        rows = survey.rows + damage.dropped
        if not damage.rows:
            return
        if not self.layout.lenient and damage.rows > max(_FEW_DAMAGED, _DAMAGED * rows):
            raise DataError(
                f"{self.where}: {damage.rows} of {rows} rows are damaged, the first: {damage.first}. Skip them "
                "with data.source.lenient=true."
            )
        if self.table.clock is None and damage.within and not self.layout.lenient:
            raise DataError(
                f"{self.where}: a row is damaged, {damage.first}. Samples without time stamps are counted, so the "
                "samples after it would be too early; skip it anyway with data.source.lenient=true."
            )
        log.warning("%s: skipped %d damaged rows of %d, the first: %s.", self.where, damage.rows, rows, damage.first)

    def _check_range(self, survey: _Survey) -> None:
        """Refuse a file with many values that no sensor measures; a few are missing samples."""
        if not survey.absurd:
            return
        found = f"{self.where}: {survey.absurd} of {survey.rows} samples have values above {_MOST_G:g} g"
        if survey.absurd > _ABSURD * survey.rows:
            raise DataError(f"{found}, which no wearable measures. Is the file damaged, or are these fill values?")
        log.warning("%s: they are treated as missing.", found)

    def _check_minutes(self, survey: _Survey) -> None:
        """Refuse sorted local time in which a repeated hour was merged into one."""
        clock = self.table.clock
        if clock is None or not clock.is_text or not clock.absolute or len(survey.minutes) < 2 * _SHIFT_MINUTES:
            return
        minutes = np.array(sorted(survey.minutes))
        counts = np.array([survey.minutes[minute] for minute in minutes])
        low = float(np.quantile(counts, 0.25))
        double = minutes[(counts > 1.8 * low) & (counts < 2.2 * low)]
        hours = np.unique(double // 60)
        if len(double) < _SHIFT_MINUTES or len(hours) > 1 or hours[0] % 24 > _LATEST_CHANGE:
            return
        of_hour = minutes[minutes // 60 == hours[0]]
        if len(of_hour) - len(double) > 2:
            return
        at = np.datetime64(int(hours[0] * 3600), "s")
        raise DataError(
            f"{self.where}: the hour of {at} has twice as many samples as the others: two hours of local time, before "
            "and after a clock was set back, lie in one. Export the file in UTC, or in the order of the recording."
        )

    def _tell(self, survey: _Survey, rate: float) -> None:
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

    def _read(self, survey: _Survey) -> Iterator[Block]:
        """Blocks with non-decreasing times, as stamped in the file."""
        table, layout, where = self.table, self.layout, self.where
        factor = table.scale * UNITS[table.unit]
        watch = Stopwatch(table.clock, where) if table.clock else None
        order = InOrder(layout.max_gap_s, where)
        for rows in _in_blocks(self._batches(survey.damage)):
            raw = np.stack([_array(rows, name) for name in "xyz"], axis=1)
            missing = missing_rows(raw)
            if table.scale == 1 and table.unit != "mg":  # no sensor reaches fill values, but counts may
                missing |= np.isin(raw, FILL_VALUES).any(axis=1)
            survey.missing += int(missing.sum())
            with np.errstate(over="ignore"):
                signal = np.where(missing[:, None], np.nan, raw) * factor
                absurd = (np.abs(signal) > _MOST_G).any(axis=1)
            survey.absurd += int(absurd.sum())
            if absurd.mean() <= _ABSURD:  # otherwise the unit is wrong, which is checked after the last block
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
        same, alike = _like_the_last(block)
        return Block(block.times[~(same & alike)], block.signal[~(same & alike)])

    def _count_unreadable(self, stamps: np.ndarray, times: np.ndarray, damage: _Damage) -> None:
        """Count text that is not a time stamp as damage."""
        if self.table.clock is None or not self.table.clock.is_text:
            return
        unread = ~np.isfinite(times)
        filled = [stamp for stamp in stamps[unread] if isinstance(stamp, str) and stamp.strip()]
        if filled:
            damage.add(f"the time stamp {filled[0]!r}", len(filled))

    def _batches(self, damage: _Damage) -> Iterator[pa.Table]:
        """Rows of the file, with columns x, y, z and, if there is one, time."""
        try:
            place = self._found[1]
            if place is None:
                yield from self._parquet()
            else:
                with place.open() as stream:
                    yield from self._csv(stream, damage)
        except DataError:
            raise
        except NO_TABLE as error:
            if "conversion error" in str(error) and not self._as_text:
                raise _NotNumbersError from error
            if "Empty CSV" in str(error):
                raise DataError(f"{self.where} contains no rows.") from error
            if "straddling object" in str(error):
                raise DataError(f"{self.where} is damaged: a line is longer than a megabyte.") from error
            raise DataError(f"{self.where}: {error.args[0] if isinstance(error, KeyError) else error}") from error

    def _parquet(self) -> Iterator[pa.Table]:
        table = self.table
        names = [*table.names, *([table.time_name] if table.time is not None else [])]
        with open_parquet(self.path) as file:
            for record in file.iter_batches(BLOCK, columns=names):
                batch = plain(pa.table(record))
                columns = {name: batch[column].cast(pa.float64()) for name, column in zip("xyz", names, strict=False)}
                if table.clock is not None:
                    kind = pa.string() if table.clock.is_text else pa.float64()
                    columns["time"] = _stamps(batch[names[3]]).cast(kind)
                yield pa.table(columns)

    def _csv(self, stream: IO[bytes], damage: _Damage) -> Iterator[pa.Table]:
        table = self.table
        number = pa.string() if self._as_text else pa.float64()
        types = {str(column): number for column in table.columns}
        if table.time is not None:
            types[str(table.time)] = pa.string() if table.clock is not None and table.clock.is_text else number

        def another_width(row: csv.InvalidRow) -> str:
            text = row.text if len(row.text) <= 60 else row.text[:57] + "..."
            damage.dropped += 1
            damage.add(f"row {row.number} has {row.actual_columns} cells, expected {row.expected_columns}: {text!r}")
            if len(damage.cut) < _FEW_DAMAGED and row.number is not None:
                damage.cut.append(row.number)
            return "skip"

        with csv.open_csv(
            raw_files.Bounded(stream, self.where, self._most) if is_packed(self.path.name) else stream,
            csv.ReadOptions(column_names=[str(i) for i in range(table.width)], use_threads=False),
            csv.ParseOptions(delimiter=table.separator, invalid_row_handler=another_width),
            csv.ConvertOptions(
                column_types=types, include_columns=list(types), decimal_point=table.decimal, strings_can_be_null=True
            ),
        ) as reader:
            for record in reader:
                rows = pa.table(record).rename_columns([*"xyz", "time"] if table.time is not None else list("xyz"))
                damage.read += len(rows)
                yield self._numbers(rows, damage) if self._as_text else rows

    def _numbers(self, rows: pa.Table, damage: _Damage) -> pa.Table:
        """Convert text to numbers. Rows without any number in x, y and z, such as a repeated header, are dropped."""
        columns, wrong = {}, []
        clock = self.table.clock
        names = ["x", "y", "z", *(["time"] if clock is not None and not clock.is_text else [])]
        for name in names:
            text = compute.utf8_trim_whitespace(rows[name])
            if self.table.decimal == ",":
                text = compute.replace_substring(text, ",", ".")
            empty = compute.fill_null(compute.is_in(text, _NO_NUMBERS), True)
            good = compute.fill_null(compute.match_substring_regex(text, _NUMBER), False)
            columns[name] = compute.if_else(good, text, None).cast(pa.float64())
            wrong.append(compute.invert(compute.or_(good, empty)).to_numpy())
        bad = np.stack(wrong, axis=1)
        for row in np.flatnonzero(bad.any(axis=1))[:1]:
            cells = ", ".join(str(rows[name][int(row)]) for name in names)
            damage.add(f"{cells!r} in place of numbers", 0)
        damage.rows += int(bad.any(axis=1).sum())
        keep = np.logical_not(bad[:, :3].all(axis=1))
        damage.dropped += int((~keep).sum())
        if clock is not None and clock.is_text:
            columns["time"] = rows["time"]
        return pa.table(columns).filter(pa.array(keep))


class _NotNumbersError(Exception):
    """A column of numbers contains text."""


def _parquet_table(path: Path, layout: Layout) -> Table:
    """Find the columns of a Parquet file by name."""
    needed = [str(column) for column in layout.needed]
    try:
        with open_parquet(path) as file:
            schema = file.schema_arrow
            names = as_written(needed, schema.names) or needed
            require_columns(names, schema.names, text_of(path))
            clock = None
            if layout.time_column is not None:
                kind = schema.field(names[3]).type
                first = next(file.iter_batches(500, columns=names[3:]), None)
                stamps = [] if first is None else _stamps(plain(pa.table(first))[names[3]]).cast(pa.string())
                cells = [stamp for stamp in pa.array(stamps).to_pylist() if stamp is not None]
                clock = _DURATION if pa.types.is_duration(kind) else Clock.find(cells, layout, text_of(path), names[3])
                if clock.is_text and not (pa.types.is_temporal(kind) or pa.types.is_integer(kind) or _is_text(kind)):
                    raise DataError(f"{text_of(path)}: column {names[3]!r} holds {kind}, expected dates.")
    except DataError:
        raise
    except NO_TABLE as error:
        raise DataError(f"{text_of(path)}: {error.args[0] if isinstance(error, KeyError) else error}") from error
    triple = (names[0], names[1], names[2])
    unit = shared_unit(triple) if layout.unit == "g" and layout.scale is None else layout.unit
    found = (
        "" if names == needed else f"columns {', '.join(names)}",
        "" if unit == layout.unit else f"unit {unit}",
        "" if clock is None else clock.note,
    )
    return Table(
        PLAIN, 0, "", len(needed), (0, 1, 2), None if clock is None else 3, triple,
        unit=unit, scale=layout.factor, rate=layout.sampling_rate, clock=clock,
        time_name="" if clock is None else names[3], notes=tuple(filter(None, found)),
    )  # fmt: skip


def _stamps(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of stamps, with durations as numbers of seconds."""
    if not pa.types.is_duration(column.type):
        return column
    return compute.divide(column.cast(pa.duration("ns")).cast(pa.int64()).cast(pa.float64()), 1e9)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _unit_hint(signal: np.ndarray) -> str:
    """Suggest a unit, or a scale for counts, that makes the norm of a signal plausible; empty if there is none."""
    norm = float(np.median(np.linalg.norm(signal, axis=1)))
    if 5 < norm < 30:
        return " If so, give data.source.unit=m/s2."
    if 900 < norm < 1150:
        return " If the cells are in mg, give data.source.unit=mg; if they are counts, the g per count: 1/1024."
    near = [scale for scale in _COUNTS if 0.8 < norm * scale < 1.3]
    if norm < 6 or 8.5 < norm < 11.5 or not near:
        return ""
    best = min(near, key=lambda scale: abs(np.log(norm * scale)))
    return f" If the cells are counts, give the g per count: data.source.scale=1/{round(1 / best)}."


def _in_blocks(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Join tables to at least :data:`BLOCK` rows, because checks on few rows are unreliable."""
    held: list[pa.Table] = []
    waiting: list[pa.Table] = []
    rows = 0
    for table in tables:
        waiting, rows = [*waiting, table], rows + len(table)
        if rows >= BLOCK:
            if held:
                yield pa.concat_tables(held)
            held, waiting, rows = waiting, [], 0
    if rows or held:
        yield pa.concat_tables([*held, *waiting])


def _array(table: pa.Table, name: str) -> np.ndarray:
    """Column as an array ``(rows,)``; empty cells of numeric columns are NaN."""
    array: np.ndarray = table[name].to_numpy()
    return array
