"""Recordings are read by several processes: the same file, the same words, and no process is left behind."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pyarrow import parquet
from torch import nn

from relcon_lightning import Embedder
from relcon_lightning.data.inputs import Input, find_inputs
from relcon_lightning.data.pieces import PieceReader, RecordingEnd, read_pieces
from relcon_lightning.data.readers.table_layout import Layout
from relcon_lightning.data.stream import Piece
from relcon_lightning.embed.files import embed_files
from relcon_lightning.errors import ConfigError, DataError
from tests.data.readers.devices import cwa
from tests.embed.acting_inputs import acting


class Mean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(2)


def embedder() -> Embedder:
    return Embedder(Mean(), 100.0, 1.0, device="cpu", precision="float32")


def recordings(*kinds: str, folder: Path | None = None) -> list[Input]:
    return [acting(number, kind, folder) for number, kind in enumerate(kinds)]


def test_the_file_and_what_is_said_do_not_depend_on_the_number_of_processes(tmp_path, caplog):
    caplog.set_level("WARNING", logger="relcon_lightning")  # the path of the file, at INFO, differs
    inputs = recordings("fine", "bad", "fine", "short", "fine", "odd", "bad", "fine", "fine")
    found = {}
    for workers in (0, 1, 2, 3):
        caplog.clear()
        path = tmp_path / f"{workers}.parquet"
        with pytest.raises(DataError, match="4 of 9 recordings could not be embedded") as raised:
            embed_files(embedder(), inputs, path, num_workers=workers)
        found[workers] = (path.read_bytes(), str(raised.value), [record.getMessage() for record in caplog.records])
    assert found[0][:2] == found[1][:2] == found[2][:2] == found[3][:2]
    for own in found.values():
        assert sorted(own[2]) == sorted(found[0][2])
    assert found[1][2] == found[2][2] == found[3][2]  # in the order of the recordings
    assert pd.read_parquet(tmp_path / "2.parquet")["recording_id"].nunique() == 5
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("workers", [0, 2])
def test_the_first_bad_recording_ends_it_if_asked_and_what_is_done_is_kept(tmp_path, workers, caplog):
    path, kinds = tmp_path / "e.parquet", ("fine", "fine", "bad", "fine", "odd")
    with pytest.raises(DataError, match=r"^02-bad is damaged$"):
        embed_files(embedder(), recordings(*kinds), path, num_workers=workers, on_bad_file="stop")
    assert not path.exists()
    assert multiprocessing.active_children() == []
    assert not list((tmp_path / ".e.parquet.parts").glob(".*"))
    caplog.set_level("INFO")
    with pytest.raises(DataError, match="2 of 5"):
        embed_files(embedder(), recordings(*kinds), path, num_workers=workers)
    assert "of 5 recordings are already embedded" in caplog.text
    with pytest.raises(ConfigError, match="on_bad_file=ignore: expected skip or stop"):
        embed_files(embedder(), recordings("fine"), path, on_bad_file="ignore")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="num_workers=-1"):
        embed_files(embedder(), recordings("fine"), path, num_workers=-1)


class Interrupting(Mean):
    """Interrupts at the 4th batch."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.calls == 4:
            raise KeyboardInterrupt
        return super().forward(x)


@pytest.mark.parametrize(("before", "after"), [(2, 2), (0, 2), (2, 0)])
def test_what_was_interrupted_is_completed_to_the_same_bytes_however_it_is_read(tmp_path, before, after):
    inputs, path = recordings(*["fine"] * 6), tmp_path / "e.parquet"
    embed_files(embedder(), inputs, tmp_path / "whole.parquet")
    stopped = embedder()
    stopped.encoder = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        embed_files(stopped, inputs, path, num_workers=before)
    assert multiprocessing.active_children() == []
    assert not path.exists()
    embed_files(embedder(), inputs, path, num_workers=after)
    assert path.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert [left.name for left in tmp_path.glob(".*")] == []


def test_a_part_that_is_cut_short_is_embedded_again_and_one_that_is_damaged_is_named(tmp_path):
    inputs, path = recordings("fine", "fine", "bad"), tmp_path / "e.parquet"
    with pytest.raises(DataError):
        embed_files(embedder(), inputs, path)
    before = path.read_bytes()
    parts = sorted((tmp_path / ".e.parquet.parts").glob("*.parquet"))
    parts[0].write_bytes(parts[0].read_bytes()[:-20])
    parts[1].write_bytes(b"")
    with pytest.raises(DataError):
        embed_files(embedder(), inputs, path)
    assert path.read_bytes() == before
    damaged = bytearray(parts[0].read_bytes())
    values = parquet.read_metadata(parts[0]).row_group(0).column(3)
    damaged[values.data_page_offset + values.total_compressed_size - 5] ^= 1
    parts[0].write_bytes(damaged)
    with pytest.raises(ConfigError, match=r"\.parquet is damaged .*: remove it, and repeat the command"):
        embed_files(embedder(), inputs, path)


def test_tables_device_files_and_stores_are_read_by_processes(tmp_path, make_store):
    root = tmp_path / "mixed"
    root.mkdir()
    for number in range(3):
        signal = np.random.default_rng(number).standard_normal((300, 3)) * 0.1 + [0, 0, 1]
        table = pd.DataFrame({"time": np.arange(300) / 50, **dict(zip("xyz", signal.T, strict=True))})
        table.to_csv(root / f"t{number}.csv", index=False)
    times = np.arange(1000) / 100
    (root / "d.cwa").write_bytes(cwa(times, np.stack([0 * times, 0 * times, 0.9 + 0 * times], 1)))
    make_store({"p0": [500, 300], "p1": [400]})
    for place in (root, tmp_path / "toy"):
        inputs = find_inputs(place, Layout(time_column="time"))
        for workers in (0, 2):
            embed_files(embedder(), inputs, tmp_path / f"{place.name}-{workers}.parquet", num_workers=workers)
        zero, two = ((tmp_path / f"{place.name}-{workers}.parquet").read_bytes() for workers in (0, 2))
        assert zero == two


def test_a_process_that_is_killed_is_named_and_what_is_done_is_kept(tmp_path):
    inputs = recordings("fine", "fine", "killed", "fine", "fine")
    with pytest.raises(DataError, match=r"was killed.*memory.*num_workers=1"):
        embed_files(embedder(), inputs, tmp_path / "e.parquet", num_workers=2)
    assert multiprocessing.active_children() == []
    assert not (tmp_path / "e.parquet").exists()
    embed_files(embedder(), recordings("fine", "fine"), tmp_path / "e.parquet", num_workers=2)


@pytest.mark.parametrize("workers", [1, 2])
def test_processes_read_no_further_than_a_pipe_holds(workers):
    reader = PieceReader(recordings("endless", "endless", "endless"), 100.0, 1.0)
    messages = read_pieces(reader, workers)
    pieces = 0
    for _, message in messages:
        assert not isinstance(message, RecordingEnd)
        pieces += isinstance(message, Piece)
        if pieces == 5:
            break
    time.sleep(0.5)
    messages.close()
    assert multiprocessing.active_children() == []


def _wait(found, seconds: float):
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return value


def _alive(pid: str) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_processes_end_with_the_first_one_even_when_that_is_killed(tmp_path):
    (pids := tmp_path / "pids").mkdir()
    inputs = recordings(*["slow"] * 4, folder=pids)
    process = multiprocessing.get_context("fork").Process(
        target=embed_files, args=(embedder(), inputs, tmp_path / "e.parquet"), kwargs={"num_workers": 2}
    )
    process.start()
    try:
        _wait(lambda: len(list(pids.iterdir())) == 2, 120)
    finally:
        process.kill()
        process.join()
    _wait(lambda: not any(_alive(file.name) for file in pids.iterdir()), 20)
    assert not (tmp_path / "e.parquet").exists()
