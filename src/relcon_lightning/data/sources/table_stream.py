"""A CSV or Parquet file of samples, read piece by piece."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
from pyarrow import csv

from relcon_lightning.data.parquet import open_parquet, plain
from relcon_lightning.data.resample import check_unit
from relcon_lightning.data.sources.folder import UNITS
from relcon_lightning.data.sources.stamps import TIME_UNITS, seconds
from relcon_lightning.data.sources.stretches import gap_free
from relcon_lightning.data.sources.suffixes import open_bytes
from relcon_lightning.data.sources.tables import columns_of, require_columns
from relcon_lightning.data.stream import BLOCK, Block
from relcon_lightning.errors import ConfigError, DataError

_LOOKED_AT = 1024  # samples of a block, about, whose unit is checked
_LONGEST_HEADER = 2**20  # bytes
_UNREADABLE = (pa.ArrowException, OSError, EOFError, zlib.error, lzma.LZMAError, ValueError, KeyError)


@dataclass(frozen=True)
class Layout:
    """How a user's tables are written; the meaning is that of
    :class:`~relcon_lightning.data.sources.folder.RecordingFolder`.

    Raises:
        ConfigError: An unknown unit, not three columns, no positive rate, or neither a rate nor a time column.
    """

    columns: tuple[str, ...] = ("x", "y", "z")
    unit: str = "g"
    sampling_rate: float | None = None
    time_column: str | None = None
    time_unit: str = "s"
    separator: str = ","
    max_gap_s: float = 1.0

    def __post_init__(self) -> None:
        if len(set(self.columns)) != 3 or self.time_column in self.columns:
            raise ConfigError(
                f"data.source.columns={list(self.columns)}: expected three, those of x, y and z, none of them "
                f"data.source.time_column={self.time_column}."
            )
        for key, value, known in (("unit", self.unit, UNITS), ("time_unit", self.time_unit, TIME_UNITS)):
            if value not in known:
                raise ConfigError(f"data.source.{key}={value}: expected one of {', '.join(known)}.")
        if self.sampling_rate is not None and not 0 < self.sampling_rate < np.inf:
            raise ConfigError(f"data.source.sampling_rate={self.sampling_rate}: expected a number above 0.")
        if self.sampling_rate is None and self.time_column is None:
            raise ConfigError(
                "Give data.source.time_column or, if samples have no time stamps, data.source.sampling_rate."
            )

    @property
    def stamped(self) -> bool:
        """Whether the time of day is known."""
        return self.time_column is not None and self.time_unit == "iso"


@dataclass(frozen=True)
class Scan:
    """What is known of a table once it was read through.

    Attributes:
        rate: Hz.
        start_time: Of the first sample in unix seconds, if its time stamps are dates.
        duration_s: Seconds.
    """

    rate: float
    start_time: float | None
    duration_s: float


class TableStream:
    """One recording, that is one file."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path, self.layout = path, layout

    def scan(self) -> Scan:
        """Read the file once to find its rate and whether it can be used.

        Raises:
            DataError: It cannot be read, has no such columns, no rows or no numbers, another unit, stamps that go
                back, or another or no plausible rate.
        """
        fullest, most, some, started, end = None, 0, [], None, 0.0
        for block, start_time in self._read():
            present = np.isfinite(block.times) & np.isfinite(block.signal).all(axis=1)
            count = int(present.sum())
            if count > most:
                fullest, most = block, count
            if count:
                some.append(block.signal[np.flatnonzero(present)[:: max(1, count // _LOOKED_AT)]])  # no view
                end = float(block.times[present][-1])
            started = start_time if started is None else started
        if fullest is None:
            raise DataError(f"{self.path} has no row with numbers in all of {', '.join(self.layout.columns)}.")
        check_unit(np.concatenate(some), f"{self.path}, read with data.source.unit={self.layout.unit}")
        rate, _ = gap_free(
            fullest.times, fullest.signal, str(self.path), self.layout.max_gap_s, self.layout.sampling_rate
        )
        return Scan(rate, started, end + 1 / rate)

    def blocks(self) -> Iterator[Block]:
        """The samples.

        Raises:
            DataError: As :meth:`scan`.
        """
        return (block for block, _ in self._read())

    def _read(self) -> Iterator[tuple[Block, float | None]]:
        """Blocks and, if known, the unix time of the first stamp of each."""
        layout, row, before = self.layout, 0, None
        types = dict.fromkeys(layout.columns, pa.float64())
        if layout.time_column is not None:
            types[layout.time_column] = pa.string() if layout.stamped else pa.float64()
        for table in _in_blocks(_batches(self.path, types, layout.separator)):
            signal = np.stack([_array(table, name) for name in layout.columns], axis=1) * UNITS[layout.unit]
            if layout.time_column is None:
                rate = layout.sampling_rate or np.nan  # one of the two is given
                yield Block((row + np.arange(len(signal))) / rate, signal), None
            else:
                times, start_time, before = self._times(_array(table, layout.time_column), row, before)
                yield Block(times, signal), start_time
            row += len(signal)
        if not row:
            raise DataError(f"{self.path} holds no rows.")

    def _times(
        self, stamps: np.ndarray, row: int, before: tuple[np.ndarray, float] | None
    ) -> tuple[np.ndarray, float | None, tuple[np.ndarray, float]]:
        """Seconds, the unix time of the first of them, and the last stamp ``(1,)`` with its seconds for the next."""
        where = f"{self.path}, from row {row + 1}" if row else str(self.path)
        stamps = stamps if before is None else np.concatenate([before[0], stamps])
        times, start_time = seconds(stamps, self.layout.time_unit, where)
        last = int(np.flatnonzero(np.isfinite(times))[-1])
        times = times if before is None else times + before[1]
        return times[before is not None :], start_time, (stamps[last : last + 1], float(times[last]))


def _batches(path: Path, types: dict[str, pa.DataType], separator: str) -> Iterator[pa.Table]:
    """Some columns of a file."""
    try:
        if path.suffix.lower() == ".parquet":
            with open_parquet(path) as file:
                require_columns(types, file.schema_arrow.names, str(path))
                for record in file.iter_batches(BLOCK, columns=list(types)):
                    batch = plain(pa.table(record))
                    yield pa.table({name: batch[name].cast(kind) for name, kind in types.items()})
            return
        with open_bytes(path) as stream:
            require_columns(types, columns_of(stream.readline(_LONGEST_HEADER), str(path), separator), str(path))
        convert = csv.ConvertOptions(column_types=types, include_columns=list(types))
        parse = csv.ParseOptions(delimiter=separator)
        with open_bytes(path) as stream, csv.open_csv(stream, parse_options=parse, convert_options=convert) as reader:
            yield from (pa.table(batch) for batch in reader)
    except DataError:
        raise
    except _UNREADABLE as error:
        raise DataError(f"{path}: {error.args[0] if isinstance(error, KeyError) else error}") from error


def _in_blocks(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Tables of :data:`BLOCK` rows or more, unless there are fewer: what is checked of a few rows says little."""
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
    """``(rows,)``; an empty cell of a column of numbers is NaN."""
    array: np.ndarray = table[name].to_numpy()
    return array
