"""Reading a table of a store, and no more of it into memory than a table may take."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
from pyarrow import compute, parquet

MAX_BYTES = 2**30  # of a table in memory; that of a million recordings has a tenth


def read_table(content: bytes) -> pd.DataFrame:
    """The table in a Parquet file whose columns are texts and numbers.

    Texts stay in their dictionary until it is known how long all of them are: a kilobyte of a file can repeat a text of
    a megabyte any number of times.

    Raises:
        ValueError: It is damaged, has columns of another kind, or would take more than :data:`MAX_BYTES`.
        OSError: It is damaged.
    """
    with parquet.ParquetFile(pa.BufferReader(content)) as file:
        described, schema = file.metadata, file.schema_arrow
        nested = [field.name for field in schema if pa.types.is_nested(field.type)]
        if nested:
            raise ValueError(f"column {nested[0]!r} holds {schema.field(nested[0]).type}, expected texts or numbers")
        groups = [described.row_group(i).total_byte_size for i in range(described.num_row_groups)]
        _refuse_above(max(described.num_rows * described.num_columns * 8, sum(groups)))
        is_text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
        texts = [field.name for field in schema if any(known(field.type) for known in is_text)]
    table = parquet.read_table(pa.BufferReader(content), read_dictionary=texts)
    _refuse_above(sum(_text_bytes(column) for column in table.columns))
    frame: pd.DataFrame = table.cast(schema).to_pandas()
    return frame


def _text_bytes(column: pa.ChunkedArray) -> int:
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    lengths = (compute.binary_length(chunk.dictionary).take(chunk.indices) for chunk in column.chunks)
    return sum(compute.sum(length.cast(pa.int64())).as_py() or 0 for length in lengths)


def _refuse_above(size: int) -> None:
    if size > MAX_BYTES:
        raise ValueError(f"it unpacks to {size >> 20} MiB, more than the {MAX_BYTES >> 20} MiB of a table")
