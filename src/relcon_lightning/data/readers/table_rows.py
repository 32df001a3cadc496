"""Read the rows of a CSV or Parquet file in batches, as Arrow tables with the columns x, y, z and time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
from pyarrow import compute, csv

from relcon_lightning.data.readers import raw_files
from relcon_lightning.data.readers.stamps import Clock
from relcon_lightning.data.readers.suffixes import is_packed, text_of
from relcon_lightning.data.readers.table_formats import find_table
from relcon_lightning.data.readers.table_head import NO_TABLE, Head, Place
from relcon_lightning.data.readers.table_layout import PLAIN, Layout
from relcon_lightning.data.readers.table_plain import Table, as_written, shared_unit
from relcon_lightning.data.readers.table_survey import FEW_DAMAGED, Damage
from relcon_lightning.data.readers.tables import require_columns
from relcon_lightning.data.store.parquet import open_parquet, plain
from relcon_lightning.data.stream import BLOCK
from relcon_lightning.errors import DataError

_DURATION = Clock(1.0)
_INDEX = "__index_level_0__"  # column in which pandas saves an index without a name
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_NO_NUMBERS = pa.array(["", "NA", "N/A", "NaN", "nan", "NAN", "null", "NULL", "None", "inf", "-inf", "Infinity"])


class NotNumbersError(Exception):
    """A column of numbers contains text."""


class TableRows:
    """Rows of a file that holds a table.

    Args:
        path: Path of the file.
        layout: Layout of the file.
        bounded: True: refuse a compressed file whose text takes more than a gigabyte. False: a file may be larger, but
            its compression ratio is still limited.

    Attributes:
        as_text: True: cells are read as text, because some of them are not numbers.
    """

    def __init__(self, path: Path, layout: Layout, bounded: bool = False) -> None:
        self.path, self.layout, self.bounded, self.as_text = path, layout, bounded, False
        self.where = text_of(path)  # for messages

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

    def batches(self, damage: Damage) -> Iterator[pa.Table]:
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
            if "conversion error" in str(error) and not self.as_text:
                raise NotNumbersError from error
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

    def _csv(self, stream: IO[bytes], damage: Damage) -> Iterator[pa.Table]:
        table = self.table
        number = pa.string() if self.as_text else pa.float64()
        types = {str(column): number for column in table.columns}
        if table.time is not None:
            types[str(table.time)] = pa.string() if table.clock is not None and table.clock.is_text else number

        def another_width(row: csv.InvalidRow) -> str:
            text = row.text if len(row.text) <= 60 else row.text[:57] + "..."
            damage.dropped += 1
            damage.add(f"row {row.number} has {row.actual_columns} cells, expected {row.expected_columns}: {text!r}")
            if len(damage.cut) < FEW_DAMAGED and row.number is not None:
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
                yield self._numbers(rows, damage) if self.as_text else rows

    def _numbers(self, rows: pa.Table, damage: Damage) -> pa.Table:
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


def _has_dates(schema: pa.Schema, name: str) -> bool:
    return name in schema.names and pa.types.is_timestamp(schema.field(name).type)


def _parquet_table(path: Path, layout: Layout) -> Table:
    """Find the columns of a Parquet file by name."""
    needed = [str(column) for column in layout.needed]
    try:
        with open_parquet(path) as file:
            schema = file.schema_arrow
            names = as_written(needed, schema.names) or needed
            if layout.time_column is not None and names[3] not in schema.names and _has_dates(schema, _INDEX):
                raise DataError(
                    f"{text_of(path)} has no column {names[3]!r}, but pandas saved the index of the rows, which holds "
                    f"dates: give data.source.time_column={_INDEX}."
                )
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


def in_blocks(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
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
