"""Reading delimited text strictly: every row has every column and every cell is a number, or the file is named."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
from pyarrow import csv

from relcon_lightning.errors import DataError, nearest

_TYPES = {float: pa.float64(), int: pa.int64(), str: pa.string()}


def read_columns(
    content: bytes | Path | io.RawIOBase,
    where: str,
    types: Mapping[str, type],
    names: Sequence[str] | None = None,
    separator: str = ",",
) -> dict[str, np.ndarray]:
    """Some columns of a table, each ``(rows,)``; an empty cell of a float column is NaN.

    Args:
        content: The text, or the file that holds it, of which a piece at a time is in memory.
        where: For the error.
        types: Type of each column to keep, by its name: float, int or str.
        names: Names of all columns of a text without a header; None if it has one.
        separator: Character between cells.

    Raises:
        DataError: Columns are missing, a row has another number of cells, a cell has another type, or no rows.
    """
    try:
        table = csv.read_csv(
            io.BytesIO(content) if isinstance(content, bytes) else content,
            read_options=csv.ReadOptions(column_names=names, use_threads=False),  # one thread counts the rows
            parse_options=csv.ParseOptions(delimiter=separator),
            convert_options=csv.ConvertOptions(
                column_types={name: _TYPES[kind] for name, kind in types.items()}, include_columns=list(types)
            ),
        )
    except DataError:  # while it was unpacked
        raise
    except (pa.ArrowException, ValueError, KeyError) as error:
        raise DataError(f"{where}: {error.args[0]}") from error  # a KeyError's text would be quoted
    if not table.num_rows:
        raise DataError(f"{where} holds no rows.")
    for name, kind in types.items():
        if kind is int and table[name].null_count:
            raise DataError(f"{where}: column {name} has {table[name].null_count} empty cells.")
    return {name: _array(table[name]) for name in types}


def _array(column: pa.ChunkedArray) -> np.ndarray:
    """``(rows,)``; equal texts are references to one object, because labels repeat millions of times."""
    if not pa.types.is_string(column.type):
        array: np.ndarray = column.to_numpy()
        return array
    coded = column.combine_chunks().dictionary_encode()
    text: np.ndarray = coded.dictionary.to_numpy(zero_copy_only=False)[coded.indices.to_numpy()]
    return text


def read_spaced(content: bytes, where: str, columns: Iterable[str], width: int) -> dict[str, np.ndarray]:
    """Some columns of a table of numbers between blanks, without a header; NaN is NaN.

    Args:
        content: The text.
        where: For the error.
        columns: To keep, by number from 0.
        width: Columns that each row has.

    Raises:
        DataError: A row has another number of cells, a cell is no number, or no rows.
    """
    lines = content.replace(b"\r", b"").replace(b" \n", b"\n")
    return read_columns(lines, where, dict.fromkeys(columns, float), [str(i) for i in range(width)], " ")


def columns_of(content: bytes | Path, where: str, separator: str = ",") -> list[str]:
    """The header of a table.

    Raises:
        DataError: Empty, or no table.
    """
    try:
        source = io.BytesIO(content) if isinstance(content, bytes) else content
        with csv.open_csv(source, parse_options=csv.ParseOptions(delimiter=separator)) as reader:
            return list(reader.schema.names)
    except (pa.ArrowException, ValueError) as error:
        raise DataError(f"{where}: {error}") from error


def require_columns(needed: Iterable[str], names: Sequence[str], where: str) -> None:
    """Check that a table has columns.

    Raises:
        DataError: One is missing or comes twice; suggests the nearest name.
    """
    for name in needed:
        if name not in names:
            raise DataError(f"{where} has no column {name!r}{nearest(name, names)}; it has {', '.join(names)}.")
        if names.count(name) > 1:
            raise DataError(f"{where} has {names.count(name)} columns {name!r}.")


def stack(columns: Mapping[str, np.ndarray], names: Sequence[str]) -> np.ndarray:
    """Columns of numbers beside each other, ``(rows, columns)``."""
    return np.stack([columns[name] for name in names], axis=1)
