"""Read Parquet files, and refuse those whose tables need far more memory than their size suggests.

A file of a kilobyte can repeat a number, or a text of a megabyte, any number of times.
"""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import compute, parquet

MAX_BYTES = 2**30  # maximum size of the texts in a table, and of a store's table; a million recordings need a tenth
_MAX_RATIO = 1000  # maximum compression ratio of a larger table: noise has 2, a resting device less than 100


def open_parquet(source: Path | pa.BufferReader) -> parquet.ParquetFile:
    """Open a file whose texts stay dictionary-encoded; pass its tables to :func:`plain`.

    Raises:
        ValueError: The file is damaged, or would need far more memory than its size.
        OSError: The file is damaged.
    """
    with parquet.ParquetFile(_opened(source)) as file:
        described, schema = file.metadata, file.schema_arrow
    size = source.size() if isinstance(source, pa.BufferReader) else source.stat().st_size
    groups = (described.row_group(i).total_byte_size for i in range(described.num_row_groups))
    unpacked = max(described.num_rows * described.num_columns * 8, sum(groups))
    _refuse_above(unpacked, max(MAX_BYTES, _MAX_RATIO * size))
    is_text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    texts = [field.name for field in schema if any(known(field.type) for known in is_text)]
    if isinstance(source, pa.BufferReader):
        source.seek(0)
    return parquet.ParquetFile(_opened(source), read_dictionary=texts)


def _opened(source: Path | pa.BufferReader) -> pa.NativeFile:
    """Open a source for Arrow, which does not accept paths that are not UTF-8."""
    return pa.OSFile(os.fsencode(source)) if isinstance(source, Path) else source


def plain(table: pa.Table) -> pa.Table:
    """Decode the dictionary-encoded texts of a table.

    Raises:
        ValueError: The texts need more than :data:`MAX_BYTES`.
    """
    _refuse_above(sum(_text_bytes(column) for column in table.columns), MAX_BYTES)
    kinds = [f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in table.schema]
    return table.cast(pa.schema(kinds, metadata=table.schema.metadata))


def read_table(content: bytes) -> pd.DataFrame:
    """Read a table of a store, which contains texts and numbers.

    Raises:
        ValueError: The table is damaged, has columns of another type, or would need more than :data:`MAX_BYTES`.
        OSError: The table is damaged.
    """
    with open_parquet(pa.BufferReader(content)) as file:
        _refuse_above(file.metadata.num_rows * file.metadata.num_columns * 8, MAX_BYTES)
        nested = [field for field in file.schema_arrow if pa.types.is_nested(field.type)]
        if nested:
            raise ValueError(f"column {nested[0].name!r} holds {nested[0].type}, expected texts or numbers")
        frame: pd.DataFrame = plain(file.read()).to_pandas()
    return frame


def _text_bytes(column: pa.ChunkedArray) -> int:
    if not pa.types.is_dictionary(column.type):
        return 0
    lengths = (compute.binary_length(chunk.dictionary).take(chunk.indices) for chunk in column.chunks)
    return sum(compute.sum(length.cast(pa.int64())).as_py() or 0 for length in lengths)


def _refuse_above(size: int, most: int) -> None:
    if size > most:
        raise ValueError(f"it unpacks to {size >> 20} MiB, more than the limit of {most >> 20} MiB")
