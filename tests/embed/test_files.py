"""Many recordings in one file: errors of single ones, odd names, and outputs that are there already."""

from __future__ import annotations

import os
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest
from torch import nn

from relcon_lightning import Embedder
from relcon_lightning.data.inputs import Input, OpenRecording, find_inputs
from relcon_lightning.data.prepare import prepare
from relcon_lightning.data.readers.table_layout import Layout
from relcon_lightning.data.sources.folder import RecordingFolder
from relcon_lightning.data.stream import blocks_of
from relcon_lightning.embed.files import _by_kind, embed_files
from relcon_lightning.errors import ConfigError, DataError

LAYOUT = Layout(time_column="time")
LATIN_1 = os.fsdecode(b"caf\xe9.csv")


class Mean(nn.Module):
    def forward(self, x):
        return x.mean(dim=2)


def embedder(window_s=1.0):
    return Embedder(Mean(), 50.0, window_s, device="cpu", precision="float32")


def opened(error=None):
    def rows(first, last):
        if error is not None and last > 400:
            raise error
        return np.ones((last - first, 3), dtype=np.float32)

    return OpenRecording(50.0, None, None, blocks_of(rows, 500, 50.0))


def recording(name, error=None):
    return Input(name, name, "1", False, partial(opened, error))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ZeroDivisionError("division by zero"), "b: ZeroDivisionError: division by zero"),
        (KeyError("acceleration"), "b: KeyError: 'acceleration'"),
        (OSError(5, "Input/output error"), "b cannot be read: [Errno 5] Input/output error"),
        (RecursionError("too deep"), "RecursionError"),
    ],
)
def test_no_error_of_a_recording_stops_the_others(tmp_path, caplog, error, said):
    inputs = [recording("a"), recording("b", error), recording("c")]
    with pytest.raises(DataError, match="1 of 3 recordings could not be embedded") as raised:
        embed_files(embedder(), inputs, tmp_path / "e.parquet")
    assert said in str(raised.value)
    assert said in caplog.text
    assert "Traceback" not in caplog.text
    assert pd.read_parquet(tmp_path / "e.parquet")["recording_id"].unique().tolist() == ["a", "c"]


def test_the_reason_of_the_only_recording_is_said_once(tmp_path, caplog):
    with pytest.raises(DataError) as raised:
        embed_files(embedder(), [recording("a", KeyError("acceleration"))], tmp_path / "e.parquet")
    assert str(raised.value) == "a: KeyError: 'acceleration'"
    assert not caplog.text


def test_what_lacks_recordings_is_completed(tmp_path):
    path = tmp_path / "e.parquet"
    with pytest.raises(DataError):
        embed_files(embedder(), [recording("a"), recording("b", KeyError())], path)
    embed_files(embedder(), [recording("a"), recording("b")], path)
    assert pd.read_parquet(path)["recording_id"].unique().tolist() == ["a", "b"]
    with pytest.raises(ConfigError, match="overwrite=true"):  # now it is whole
        embed_files(embedder(), [recording("a"), recording("b"), recording("c")], path)


def finished(path):
    embed_files(embedder(), [recording("a"), recording("b")], path)


def partly(path):
    with pytest.raises(DataError):
        embed_files(embedder(), [recording("a"), recording("b", KeyError())], path)


def foreign(path):
    pd.DataFrame({"mine": [1]}).to_parquet(path)


@pytest.mark.parametrize(
    ("there", "names", "window_s"),
    [
        (finished, "ab", 1.0),
        (finished, "abc", 1.0),
        (partly, "bc", 1.0),  # would lose a
        (partly, "ab", 0.5),  # embedded otherwise
        (foreign, "ab", 1.0),
        (lambda path: path.write_text("mine"), "ab", 1.0),
    ],
)
def test_an_output_is_not_replaced_because_parts_are_left_beside_it(tmp_path, there, names, window_s):
    path = tmp_path / "e.parquet"
    there(path)
    (tmp_path / ".e.parquet.parts").mkdir(exist_ok=True)
    (tmp_path / ".e.parquet.parts" / "left.parquet").touch()
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="overwrite=true"):
        embed_files(embedder(window_s), [recording(name) for name in names], path)
    assert path.read_bytes() == before
    embed_files(embedder(window_s), [recording(name) for name in names], path, overwrite=True)
    assert pd.read_parquet(path)["recording_id"].unique().tolist() == list(names)


@pytest.fixture
def odd_names(tmp_path):
    """A folder of tables whose names are no UTF-8, markup, or of other signs."""
    root = tmp_path / "odd"
    rng = np.random.default_rng(0)
    deep = os.fsdecode(b"\xff/deep.parquet")
    for name in (LATIN_1, "[/x].csv", "a,b=c.csv", f"packed{LATIN_1}.gz", "\N{SNOWMAN}.csv", deep):
        signal = rng.standard_normal((300, 3)) * 0.1 + [0, 0, 1]
        table = pd.DataFrame({"time": np.arange(300) / 50, **dict(zip("xyz", signal.T, strict=True))})
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            if path.suffix == ".parquet":
                table.to_parquet(file, index=False)
            else:
                table.to_csv(file, index=False, compression="gzip" if path.suffix == ".gz" else None)
    return root


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="file names are UTF-8 there")
def test_names_that_are_no_utf8_are_embedded_and_prepared_under_names_that_can_be_printed(odd_names, tmp_path):
    expected = {r"caf\udce9", r"packedcaf\udce9", "[/x]", "a,b=c", "\N{SNOWMAN}", r"\udcff/deep"}
    embed_files(embedder(), find_inputs(odd_names, LAYOUT), tmp_path / "e.parquet")
    assert set(pd.read_parquet(tmp_path / "e.parquet")["recording_id"]) == expected
    source = RecordingFolder(odd_names, time_column="time", participant=".*")
    store = prepare(source, tmp_path / "store", 50.0)
    assert set(store.recordings["recording_id"]) == expected


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="file names are UTF-8 there")
def test_an_error_names_a_file_that_is_no_utf8(tmp_path):
    (tmp_path / LATIN_1).write_text("time,x,y,z\n0,a,b,c\n")
    with pytest.raises(DataError, match=r"caf\\udce9"):
        embed_files(embedder(), find_inputs(tmp_path, LAYOUT), tmp_path / "e.parquet")


def test_a_wrong_unit_is_a_line_per_folder_not_per_file():
    failed = {
        f"w{i}": f"Recording walks/w{i}.csv: median norm 9.{i}1, expected 0.4 to 2 for a signal in g." for i in range(6)
    }
    failed["late"] = "late cannot be read: no such file"
    lines = _by_kind(failed).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("  w0: Recording walks/w0.csv: median norm 9.01")
    assert lines[0].endswith("Same reason for 5 more: w1, w2, w3 ...")
    assert lines[1] == "  late: late cannot be read: no such file"
