"""Files of a folder are read whatever their suffix's case and compression, or they are named."""

from __future__ import annotations

import bz2
import gzip
import logging
import lzma

import numpy as np
import pyarrow as pa
import pytest

from relcon_lightning.data.sources.folder import RecordingFolder
from relcon_lightning.data.sources.inputs import find_inputs
from relcon_lightning.data.sources.suffixes import open_bytes, stem
from relcon_lightning.data.sources.table_stream import Layout
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
        assert "passed over 4 files" in caplog.text
        for name in ("P02.doc.gz", "P03.xlsx", "notes.txt", "readme", "1 x .doc.gz"):
            assert name in caplog.text
        assert ".hidden" not in caplog.text


@pytest.mark.parametrize(("name", "expected"), [("a/b.csv", "a/b"), ("B.CSV.GZ", "B"), ("c.d.Parquet", "c.d")])
def test_the_stem_is_the_name_without_the_suffix(name, expected):
    assert stem(name) == expected
