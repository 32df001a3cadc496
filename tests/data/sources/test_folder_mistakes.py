"""Mistakes in a folder of recordings are named, whatever they are."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relcon_lightning.data.readers import raw_files
from relcon_lightning.data.readers.table_layout import Layout
from relcon_lightning.data.readers.table_stream import TableStream
from relcon_lightning.errors import ConfigError, DataError
from tests.data.sources.test_folder import frame, put, source


def with_times(times: np.ndarray) -> str:
    return frame(len(times) / 50).assign(time=times).to_csv(index=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "[Ee]mpty"),
        ("time,x,y,z\n", "no rows"),
        (
            frame().rename(columns={"x": "ax"}).to_csv(index=False),
            r"no column 'x' \(did you mean 'ax'\?\); it has time, ax",
        ),
        (frame().to_csv(index=False, sep="#"), "no column 'x'.*it has time#x#y#z"),
        (
            frame().to_csv(index=False).replace("time,x,y,z", "time,x,y,z,w"),
            "names 5 columns, but the rows have 4 cells",
        ),
        (frame().to_csv(index=False).replace("time,x,y,z", "time,x,y,z,z"), "2 columns 'z'"),
        ("time,x,y,z,z\n0,0,0,1,1\n", "2 columns 'z'"),
        (frame().to_csv(index=False).replace(",0.0,", ",soon,"), "200 of 200 rows are damaged, the first: .*soon"),
        (frame().to_csv(index=False) + "1,2,3\n" * 30, "30 of 230 rows are damaged, the first: row 201 has 3 cells"),
        (with_times(np.r_[np.arange(100), np.arange(100)] / 50), "decrease at sample 101"),
        (with_times(np.full(100, np.nan)), "no time stamps"),
        (with_times(np.r_[0, 1e-3, np.arange(1, 40) * 0.9][np.arange(41)]), "imply 1.14 Hz"),
        (with_times(np.r_[np.arange(60) / 1000, 0.06 + np.arange(1, 50) * 0.9]), "too irregular"),
        (with_times(np.arange(200) * 2.0), "imply 0.5 Hz"),
        (frame(0.5).to_csv(index=False), "no 1 s of samples"),
        (frame().assign(z=np.nan).to_csv(index=False), "no row with numbers in all of x, y, z"),
    ],
)
def test_mistakes_in_a_file_are_named(tmp_path: Path, content: str, message: str) -> None:
    put(tmp_path, "sub/a.csv", content)
    with pytest.raises(DataError, match=rf"sub/a\.csv.*{message}"):
        list(source(tmp_path).recordings())


@pytest.mark.parametrize("suffix", [".csv.xz", ".csv.gz", ".parquet"])
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.95])
def test_truncated_files_are_named(tmp_path: Path, suffix: str, keep: float) -> None:
    path = put(tmp_path, f"a{suffix}", frame())
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(DataError, match=rf"a{suffix}"):
        list(source(tmp_path).recordings())


@pytest.mark.parametrize("suffix", [".csv.xz", ".csv.gz", ".csv.zst", ".csv.bz2"])
def test_decompression_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    put(tmp_path, f"a{suffix}", frame())
    monkeypatch.setattr(raw_files, "MAX_BYTES", 1000)
    with pytest.raises(DataError, match=rf"a{suffix} unpacks to more than"):
        list(source(tmp_path).recordings())


def test_a_parquet_of_other_columns_or_types_is_named(tmp_path: Path) -> None:
    put(tmp_path, "a.parquet", frame().rename(columns={"y": "acc_y"}))
    with pytest.raises(DataError, match=r"a\.parquet has no column 'y'"):
        list(source(tmp_path).recordings())
    for table in (frame().assign(y="fast"), frame().assign(time=pd.Timestamp("2025-01-01")), frame().iloc[:0]):
        put(tmp_path, "a.parquet", table)
        with pytest.raises(DataError, match=r"a\.parquet"):
            list(source(tmp_path).recordings())


def test_two_files_of_one_id_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", frame())
    put(tmp_path, "a.parquet", frame())
    with pytest.raises(DataError, match=r"a\.csv and .*a\.parquet would get the same id"):
        source(tmp_path)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"columns": ["x", "y"]}, ConfigError, "columns"),
        ({"columns": ["x", "y", "y"]}, ConfigError, "columns"),
        ({"columns": ["x", "y", "time"]}, ConfigError, "columns"),
        ({"unit": "G"}, ConfigError, "expected one of g, m/s"),
        ({"time_unit": "min"}, ConfigError, "expected one of auto, s, ms"),
        ({"sampling_rate": -1}, ConfigError, "expected a finite number above 0"),
        ({"time_column": None, "format": "table"}, ConfigError, r"time_column or.*sampling_rate"),
        ({"participant": "("}, ConfigError, "not a regular expression"),
        ({"participant": ["a-z"]}, ConfigError, r"Quote .*'data\.source\.participant=\"\[a-z\]\"'"),
        ({"participant": "^P(.+)/"}, DataError, r"a\.csv: .*finds no participant in 'a\.csv'"),
        ({"participant": None}, DataError, "name the participants"),
    ],
)
def test_mistakes_in_the_configuration_are_named(tmp_path: Path, options: dict, error: type, message: str) -> None:
    put(tmp_path, "a.csv", frame())
    with pytest.raises(error, match=message):
        source(tmp_path, **options)


def test_a_folder_without_recordings_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "no"
    for root, message in ((None, "data.raw_dir must"), (tmp_path, "no recordings"), (missing, "There is no folder")):
        with pytest.raises(DataError, match=message):
            source(root)  # type: ignore[arg-type]


cells = st.one_of(
    st.floats().map(str),
    st.integers().map(str),
    st.text("0123456789.-+eEnaif \"',;\t\r\n\x00é", max_size=8),
    st.just(""),
)
mangled = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=200).map(str.encode),
    st.lists(st.lists(cells, min_size=3, max_size=5), max_size=12).map(
        lambda rows: ("time,x,y,z\n" + "\n".join(map(",".join, rows))).encode()
    ),
    st.lists(st.floats(), min_size=60, max_size=60).map(lambda times: with_times(np.array(times)).encode()),
    st.lists(st.floats(0, 1e-3), min_size=60, max_size=60).map(
        lambda steps: with_times(np.cumsum(np.array(steps) + 0.02)).encode()
    ),
    st.tuples(st.integers(0, 2000), st.binary(max_size=4)).map(
        lambda cut: frame(2).to_csv(index=False).encode()[: cut[0]] + cut[1] + b"\n" + with_times(np.arange(9)).encode()
    ),
)


@given(mangled, st.sampled_from(["s", "ms", "ns", "iso"]))
@example(b"time,x,y,z\n1e308,1,1,1\n-1e308,1,1,1\n", "s")
@example(b"time,x,y,z\n2025-01-01,1,1,1\n99999-01-01,1,1,1\n", "iso")
def test_whatever_a_csv_holds_it_is_read_or_named(content: bytes, time_unit: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.csv").write_bytes(content)
        refusal = "a.csv was read"
        try:
            found = list(source(Path(folder), time_unit=time_unit).recordings())
        except DataError as error:
            found, refusal = [], str(error)
        assert "a.csv" in refusal
        assert all(np.isfinite(r.signal).all() and len(r.signal) >= r.sampling_rate for r in found)


@given(
    st.binary(max_size=100) | st.lists(cells, max_size=9).map(lambda c: ("file,participant\n" + ",".join(c)).encode())
)
@example(b"file,participant\n\xff,1\n")
def test_whatever_the_table_holds_it_is_read_or_named(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        put(Path(folder), "a.csv", "time,x,y,z\n")
        for table in ("segments.csv", "recordings.csv"):
            (Path(folder) / table).write_bytes(content.replace(b"file,participant", b"file,start_s,end_s,participant"))
            with pytest.raises(DataError, match=r"a\.csv|recordings\.csv|segments\.csv"):
                list(source(Path(folder)).recordings())


@pytest.mark.parametrize("suffix", [".csv.xz", ".csv.gz", ".csv.zst", ".csv.bz2"])
@pytest.mark.parametrize(("size", "refused"), [(10_000, False), (2_000_000, True)])
def test_a_table_read_piece_by_piece_unpacks_in_proportion_to_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, size: int, refused: bool
) -> None:
    blank = pd.DataFrame({name: [np.nan] * (size // 4) for name in ("time", *"xyz")})
    path = put(tmp_path, f"a{suffix}", pd.concat([frame(), blank]))
    monkeypatch.setattr(raw_files, "MAX_BYTES", 1000)
    monkeypatch.setattr(raw_files, "MAX_RATIO", 1 + 100_000 // path.stat().st_size)
    stream = TableStream(path, Layout(time_column="time"))
    if refused:
        with pytest.raises(DataError, match=rf"a{suffix} unpacks to more than"):
            stream.scan()
    else:
        stream.scan()


def test_rows_that_take_more_memory_than_their_text_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = frame().to_csv(index=False) + ",,,\n" * 10_000
    put(tmp_path, "a.csv", text)
    put(tmp_path, "b.csv.gz", frame())
    with gzip.open(tmp_path / "b.csv.gz", "wt") as file:
        file.write(text)
    monkeypatch.setattr(raw_files, "MAX_BYTES", len(text) + 1000)
    with pytest.raises(DataError, match=r"b\.csv\.gz unpacks to more than"):
        TableStream(tmp_path / "b.csv.gz", Layout(time_column="time"), bounded=True).read()
    TableStream(tmp_path / "a.csv", Layout(time_column="time"), bounded=True).read()  # its size is the user's own
