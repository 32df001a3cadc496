"""Files of a folder are read whatever their suffix's case and compression, or they are named."""

from __future__ import annotations

import bz2
import gzip
import logging
import lzma
import zipfile

import numpy as np
import pyarrow as pa
import pytest

from relcon_lightning.data.inputs import find_inputs
from relcon_lightning.data.readers.suffixes import open_bytes, stem
from relcon_lightning.data.readers.table_layout import Layout
from relcon_lightning.data.sources.folder import RecordingFolder
from relcon_lightning.errors import DataError

TEXT = "x,y,z\n" + "".join(f"{0.001 * i},0,1\n" for i in range(400))
LAYOUT = Layout(sampling_rate=50, time_column=None)


def zstd(content):
    buffer = pa.BufferOutputStream()
    with pa.CompressedOutputStream(buffer, "zstd") as stream:
        stream.write(content)
    return buffer.getvalue().to_pybytes()


PACKED = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress, ".zst": zstd}


@pytest.mark.parametrize("case", [str, str.upper])
@pytest.mark.parametrize("compression", PACKED)
def test_every_compression_and_case_is_read_by_both_commands(tmp_path, compression, case):
    path = tmp_path / f"P01{case('.csv' + compression)}"
    path.write_bytes(PACKED[compression](TEXT.encode()))
    assert open_bytes(path).read() == TEXT.encode()
    [prepared] = RecordingFolder(tmp_path, sampling_rate=50, participant="P[0-9]+").recordings()
    [found] = find_inputs(tmp_path, LAYOUT)
    assert prepared.recording_id == found.recording_id == "P01"
    streamed = np.concatenate([block.signal for block in found.open().blocks])
    np.testing.assert_allclose(prepared.signal, streamed, atol=1e-6)
    assert len(streamed) == 400


@pytest.mark.parametrize("compression", [c for c in PACKED if c])
def test_a_cut_file_is_named(tmp_path, compression):
    whole = PACKED[compression](TEXT.encode())
    (tmp_path / f"P01.csv{compression}").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"P01\.csv"):
        list(RecordingFolder(tmp_path, sampling_rate=50, participant="P[0-9]+").recordings())


def test_what_is_passed_over_is_named_with_a_count(tmp_path, caplog):
    (tmp_path / "P01.csv").write_text(TEXT)
    for name in ("P02.doc.gz", "P03.xlsx", "notes.txt", "readme", ".hidden"):
        (tmp_path / name).write_text("x")
    for read in (
        lambda: find_inputs(tmp_path, LAYOUT),
        lambda: RecordingFolder(tmp_path, sampling_rate=50, participant="P.."),
    ):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            read()
        assert "skipped 4 files" in caplog.text
        for name in ("P02.doc.gz", "P03.xlsx", "notes.txt", "readme", "1 x .doc.gz"):
            assert name in caplog.text
        assert ".hidden" not in caplog.text


@pytest.mark.parametrize(("name", "expected"), [("a/b.csv", "a/b"), ("B.CSV.GZ", "B"), ("c.d.Parquet", "c.d")])
def test_the_stem_is_the_name_without_the_suffix(name, expected):
    assert stem(name) == expected


def packed(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)


@pytest.mark.parametrize(
    "others",
    [{}, {"meta/device.txt": "x"}, {"__MACOSX/._walk.csv": "x"}, {"folder/": ""}],
    ids=lambda others: str(others),
)
def test_the_one_table_of_an_archive_is_read(tmp_path, others):
    packed(tmp_path / "P01.zip", {"walk.csv": TEXT, **others})
    [prepared] = RecordingFolder(tmp_path, sampling_rate=50, time_column=None, participant="P[0-9]+").recordings()
    [found] = find_inputs(tmp_path / "P01.zip", LAYOUT)
    assert prepared.recording_id == found.recording_id == "P01"
    assert sum(len(block.signal) for block in found.open().blocks) == len(prepared.signal) == 400


@pytest.mark.parametrize("name", ["ACC.csv", "TotalAcceleration.csv"])
def test_the_acceleration_of_a_known_session_is_read(tmp_path, name):
    packed(tmp_path / "P01.ZIP", {"BVP.csv": "1\n2\n", f"session/{name}": TEXT, "Gyroscope.csv": TEXT})
    [found] = find_inputs(tmp_path, LAYOUT)
    assert sum(len(block.signal) for block in found.open().blocks) == 400


def test_an_archive_of_several_tables_or_none_is_named(tmp_path):
    packed(tmp_path / "P01.zip", {"a.csv": TEXT, "b.csv": TEXT})
    [found] = find_inputs(tmp_path, LAYOUT)
    with pytest.raises(DataError, match=r"P01\.zip contains 2 tables \(a\.csv, b\.csv\)\. Unpack it and choose"):
        found.open()
    packed(tmp_path / "P01.zip", {"a.json": "{}"})
    with pytest.raises(DataError, match=r"P01\.zip contains no \.csv or \.parquet file, but a\.json\. Unpack it"):
        found.open()
    packed(tmp_path / "P01.zip", {})
    with pytest.raises(DataError, match=r"P01\.zip is an empty archive"):
        found.open()
    (tmp_path / "P01.zip").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(DataError, match=r"P01\.zip is damaged or cut short"):
        found.open()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("P01.csv", gzip.compress(TEXT.encode()), r"P01\.csv is a \.gz file, .* rename it to P01\.csv\.gz"),
        ("P01.csv", lzma.compress(TEXT.encode()), r"P01\.csv is a \.xz file, .* rename it to P01\.csv\.xz"),
        ("P01.csv", b"PK\x03\x04...", r"P01\.csv is a \.zip file, .* rename it to P01\.csv\.zip"),
        ("P01.csv", b"PAR1...", r"P01\.csv is a \.parquet file, .* rename it to P01\.parquet"),
        ("P01.csv.gz", TEXT.encode(), r"P01\.csv\.gz is not compressed, .* rename it to P01\.csv\."),
        ("P01.csv.zst", TEXT.encode(), r"P01\.csv\.zst is not compressed, .* rename it to P01\.csv\."),
        ("P01.csv.gz", bz2.compress(TEXT.encode()), r"P01\.csv\.gz is a \.bz2 file, .* rename it to P01\.csv\.bz2"),
        ("P01.csv.gz", gzip.compress(TEXT.encode())[:-20], r"P01\.csv\.gz is damaged or cut short"),
    ],
)
def test_a_suffix_that_is_not_the_compression_of_the_file_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    [found] = find_inputs(tmp_path / name, LAYOUT)
    with pytest.raises(DataError, match=message):
        sum(len(block.signal) for block in found.open().blocks)


@pytest.mark.parametrize(
    ("name", "way"), [("P01.npy", r"DataFrame\(samples, .*\.to_parquet\('P01\.parquet'\)"), ("a.mat", "a .csv file")]
)
@pytest.mark.parametrize("whole_folder", [True, False])
def test_a_file_of_another_kind_is_refused_with_a_way_to_convert_it(tmp_path, name, way, whole_folder):
    (tmp_path / name).write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match=rf"\.gt3x.*{way}"):
        find_inputs(tmp_path if whole_folder else tmp_path / name, LAYOUT)
    with pytest.raises(DataError, match=rf"no recordings.*{way}"):
        RecordingFolder(tmp_path)


@pytest.mark.parametrize("suffix", [".txt", ".tsv", ".TXT", ".dat.gz"])
def test_a_text_file_is_a_table_when_it_is_chosen(tmp_path, suffix):
    text = TEXT.replace(",", "\t").encode()
    path = tmp_path / f"P01{suffix}"
    path.write_bytes(gzip.compress(text) if suffix.endswith(".gz") else text)
    (tmp_path / "P02.csv").write_text(TEXT)
    assert [one.recording_id for one in find_inputs(tmp_path, LAYOUT)] == ["P02"]
    for chosen in (find_inputs(path, LAYOUT), find_inputs(tmp_path, LAYOUT, pattern=f"*{suffix}")):
        assert [one.recording_id for one in chosen] == ["P01"]
        assert sum(len(block.signal) for block in chosen[0].open().blocks) == 400
    options = {"sampling_rate": 50, "time_column": None, "participant": "P[0-9]+"}
    [prepared] = RecordingFolder(tmp_path, files=f"*{suffix}", **options).recordings()
    assert prepared.recording_id == "P01"
