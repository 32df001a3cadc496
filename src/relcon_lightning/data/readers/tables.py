"""Read delimited text strictly: an error names the file if a row lacks a cell or a cell has the wrong type."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
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
    """Read some columns of a table as arrays ``(rows,)``; empty cells of float columns are NaN.

    Args:
        content: Text, or a file that is read piece by piece.
        where: Name of the file, for the error.
        types: Mapping from the name of each column to read to its type: float, int or str.
        names: Names of all columns of a text without a header; None: the text has a header.
        separator: Character between cells.

    Raises:
        DataError: A column is missing, a row has a wrong number of cells, a cell has a wrong type, or no row exists.
    """
    try:
        table = csv.read_csv(
            io.BytesIO(content) if isinstance(content, bytes) else content,
            read_options=csv.ReadOptions(column_names=names, use_threads=False),  # one thread counts rows
            parse_options=csv.ParseOptions(delimiter=separator),
            convert_options=csv.ConvertOptions(
                column_types={name: _TYPES[kind] for name, kind in types.items()}, include_columns=list(types)
            ),
        )
    except DataError:  # raised while unpacking
        raise
    except (pa.ArrowException, ValueError, KeyError) as error:
        raise DataError(f"{where}: {error.args[0]}") from error  # str() of a KeyError would add quotes
    if not table.num_rows:
        raise DataError(f"{where} contains no rows.")
    for name, kind in types.items():
        if kind is int and table[name].null_count:
            raise DataError(f"{where}: column {name} has {table[name].null_count} empty cells.")
    return {name: _array(table[name]) for name in types}


def _array(column: pa.ChunkedArray) -> np.ndarray:
    """Column as an array ``(rows,)``. Equal texts share one object, because labels repeat millions of times."""
    if not pa.types.is_string(column.type):
        array: np.ndarray = column.to_numpy()
        return array
    coded = column.combine_chunks().dictionary_encode()
    text: np.ndarray = coded.dictionary.to_numpy(zero_copy_only=False)[coded.indices.to_numpy()]
    return text


def read_spaced(content: bytes, where: str, columns: Iterable[str], width: int) -> dict[str, np.ndarray]:
    """Read some columns of a table of numbers that are separated by blanks, without a header; NaN is allowed.

    Args:
        content: Text of the table.
        where: Name of the file, for the error.
        columns: Numbers of the columns to read, counted from 0.
        width: Number of columns per row.

    Raises:
        DataError: A row has a wrong number of cells, a cell is not a number, or there are no rows.
    """
    lines = content.replace(b"\r", b"").replace(b" \n", b"\n")
    return read_columns(lines, where, dict.fromkeys(columns, float), [str(i) for i in range(width)], " ")


def columns_of(content: bytes | Path, where: str, separator: str = ",") -> list[str]:
    """Column names in the header of a table.

    Raises:
        DataError: The file is empty or not a table.
    """
    try:
        source = io.BytesIO(content) if isinstance(content, bytes) else content
        with csv.open_csv(source, parse_options=csv.ParseOptions(delimiter=separator)) as reader:
            return list(reader.schema.names)
    except (pa.ArrowException, ValueError) as error:
        raise DataError(f"{where}: {error}") from error


def require_columns(needed: Iterable[str], names: Sequence[str], where: str) -> None:
    """Check that a table has all needed columns.

    Raises:
        DataError: A column is missing or occurs twice. The message suggests the most similar name.
    """
    for name in needed:
        if name not in names:
            raise DataError(f"{where} has no column {name!r}{nearest(name, names)}; it has {', '.join(names)}.")
        if names.count(name) > 1:
            raise DataError(f"{where} has {names.count(name)} columns {name!r}.")


def stack(columns: Mapping[str, np.ndarray], names: Sequence[str]) -> np.ndarray:
    """Stack columns of numbers to an array ``(rows, columns)``."""
    return np.stack([columns[name] for name in names], axis=1)
