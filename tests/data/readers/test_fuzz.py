"""Files of a user that are anything but what was asked for: an error of ours, never another.

``RELCON_FUZZ_EXAMPLES`` sets how many each test tries.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from relcon_lightning.data.readers import table_rows
from relcon_lightning.data.readers.table_layout import Layout
from relcon_lightning.data.readers.table_stream import TableStream
from relcon_lightning.data.sources.folder import RecordingFolder
from relcon_lightning.data.stream import cut_windows
from tests.data.readers.damage import cell, damaged, fuzz, none_but_ours, packed, tables


def stamped(n: int, rate: float, level: float, start: float) -> list[list[str]]:
    return [[repr(start + i / rate), "0.0", "0.0", repr(level)] for i in range(n)]


rows = st.builds(
    stamped,
    st.integers(1, 400),
    st.sampled_from([0.01, 1.0, 30.0, 50.0, 100.0, 1e6]),
    st.sampled_from([1.0, 1.0, 1.0, 0.0, 9.81, 1000.0, 1e30]),
    st.sampled_from([0.0, -5.0, 1.7e9, 1e300]),
)
dated = st.builds(
    lambda n, step: [[str(np.datetime64("2025-03-14T14:39:53", "ms") + i * step), "0", "0", "1"] for i in range(n)],
    st.integers(1, 300),
    st.sampled_from([1, 10, 20, 33, 10**9]),
)
content = tables(["time", "x", "y", "z"], st.one_of(rows, dated))
units = st.sampled_from(["s", "s", "ms", "ns", "iso", "iso"])


def read(files: dict[str, bytes], **options: object) -> None:
    """Read a folder of these files both ways, as a cohort and piece by piece."""
    options = {"time_column": "time", **options}
    with tempfile.TemporaryDirectory() as folder:
        for name, file in files.items():
            (Path(folder) / name).write_bytes(file)
        [path] = Path(folder).glob("anna.*")
        with none_but_ours(*files):
            who = None if "recordings.csv" in files else "anna"
            for recording in RecordingFolder(folder, participant=who, **options).recordings():  # type: ignore[arg-type]
                assert recording.signal.shape[1] == 3
                assert np.isfinite(recording.signal).all()
        with none_but_ours(path.name, "Hz"), mock.patch.object(table_rows, "BLOCK", 64):  # a few rows, many blocks
            table = TableStream(path, Layout(**options))  # type: ignore[arg-type]
            for starts, windows in cut_windows(table.blocks(), table.scan().rate, 100.0, 64, 64, 1.0):
                assert np.isfinite(starts).all()
                assert windows.shape[1:] == (3, 64)
                assert np.isfinite(windows).all()


@fuzz
@given(packed(content), units, st.sampled_from([None, 50.0]), st.sampled_from([",", ",", ";", "\t"]))
def test_a_damaged_table_is_an_error_of_ours(
    file: tuple[str, bytes], unit: str, rate: float | None, separator: str
) -> None:
    read({f"anna{file[0]}": file[1]}, time_unit=unit, sampling_rate=rate, separator=separator)


@fuzz
@given(packed(content))
def test_a_table_without_stamps_too(file: tuple[str, bytes]) -> None:
    read({f"anna{file[0]}": file[1]}, time_column=None, sampling_rate=50.0)


@fuzz
@given(st.binary(max_size=300), st.sampled_from([".csv", ".csv.gz", ".csv.xz", ".parquet"]))
def test_arbitrary_bytes_too(file: bytes, suffix: str) -> None:
    read({f"anna{suffix}": file})


GOOD = "\n".join(",".join(row) for row in [["time", "x", "y", "z"], *stamped(300, 50.0, 1.0, 0.0)]).encode()
named = st.sampled_from([["anna.csv"], ["./anna.csv"], ["ANNA.CSV"], ["../anna.csv"], [""]])
people = tables(["file", "participant", "label"], st.builds(lambda f, rest: [f + rest], named, st.lists(cell)))
spans = st.builds(lambda a, b: [repr(a), repr(b)], st.floats(-1, 7), st.floats(-1, 9) | st.floats())
segments = tables(
    ["file", "start_s", "end_s", "label", "speed"],
    st.lists(st.builds(lambda f, span, rest: f + span + rest, named, spans, st.lists(cell, max_size=2)), max_size=6),
)


@fuzz
@given(st.one_of(people, st.just(b"file,participant\nanna.csv,1\n")), st.one_of(segments, st.binary(max_size=100)))
def test_damaged_tables_beside_the_recordings_too(who: bytes, what: bytes) -> None:
    read({"anna.csv": GOOD, "recordings.csv": who, "segments.csv": what})
    read({"anna.csv": GOOD, "segments.csv": what})


def column(kind: pa.DataType, n: int, level: float) -> pa.Array:
    """Numbers as any type; nothing where they cannot be of it."""
    numbers = pa.array(np.full(n, level) + np.arange(n) / 64)
    try:
        return pa.array([[v] for v in numbers.to_pylist()]) if kind is LIST else numbers.cast(kind, safe=False)
    except pa.ArrowException:
        return pa.nulls(n, kind)


LIST = pa.list_(pa.float64())
TYPES = [pa.float64()] * 6 + [pa.float32(), pa.float16(), pa.int64(), pa.int8(), pa.uint64(), pa.string(), pa.bool_()]
TYPES += [pa.null(), pa.timestamp("ns"), pa.date32(), pa.decimal128(30, 5), pa.binary(), pa.duration("ms"), LIST]
TYPES += [pa.dictionary(pa.int8(), pa.float64()), pa.timestamp("us", "Europe/Berlin"), pa.large_string()]


@st.composite
def parquets(draw: st.DrawFn) -> bytes:
    names = draw(
        st.one_of(
            st.just(["time", "x", "y", "z"]),
            st.lists(st.sampled_from(["time", "x", "y", "z", "X", "x.y", "é", ""]), max_size=6),
        )
    )
    n, level = draw(st.sampled_from([0, 1, 65, 300])), draw(st.sampled_from([1.0, 0.0, 1e30, np.nan, np.inf]))
    arrays = [column(draw(st.sampled_from(TYPES)), n, level if name == "z" else 0.0) for name in names]
    file = io.BytesIO()
    packing = draw(st.sampled_from(["none", "snappy", "zstd", "gzip"]))
    parquet.write_table(pa.Table.from_arrays(arrays, names), file, compression=packing, row_group_size=100)
    return draw(damaged(file.getvalue()))


@fuzz
@given(parquets(), units)
def test_damaged_parquet_files_too(file: bytes, unit: str) -> None:
    read({"anna.parquet": file}, time_unit=unit)
