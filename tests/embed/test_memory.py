"""A recording is embedded piece by piece: twelve hours take no more memory than six."""

from __future__ import annotations

import gzip
import pickle
import tracemalloc

import numpy as np
import pyarrow as pa
import torch
from pyarrow import csv, parquet
from torch import nn

from relcon_lightning import Embedder
from relcon_lightning.data.inputs import find_inputs
from relcon_lightning.data.readers.table_layout import Layout
from relcon_lightning.embed.files import embed_files
from relcon_lightning.embed.output import EmbeddingFile

RATE = 50


class Mean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(2)


def peak_bytes(folder, hours: int) -> int:
    """Of Python and NumPy, and above what was there before."""
    n = hours * 3600 * RATE
    noise = np.random.default_rng(0).normal(0, 0.1, n)
    columns = {"time": np.arange(n) / RATE, "x": noise, "y": noise, "z": 1 + noise}
    csv.write_csv(pa.table(columns), folder / f"{hours}.csv")
    del noise, columns
    inputs = find_inputs(folder / f"{hours}.csv", Layout(time_column="time"))
    embedder = Embedder(Mean(), 100.0, 2.56, device="cpu", precision="float32")
    tracemalloc.start()
    try:
        embed_files(embedder, inputs, folder / f"{hours}.parquet")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_a_recording(tmp_path):
    short = peak_bytes(tmp_path, 6)  # several blocks, all that there are at once
    arrow = pa.default_memory_pool().max_memory()
    assert peak_bytes(tmp_path, 12) < 1.15 * short
    assert pa.default_memory_pool().max_memory() <= max(arrow, 12 * 3600 * RATE * 8)  # a column of the file
    assert parquet.read_metadata(tmp_path / "12.parquet").num_rows == 12 * 3600 * 100 // 256


def test_what_is_kept_of_a_recording_does_not_grow_with_its_file(tmp_path):
    kept = {}
    for n in (100, 20_000):
        (folder := tmp_path / str(n)).mkdir()
        columns = {"time": np.arange(n) / RATE, **{axis: np.ones(n) for axis in "xyz"}}
        csv.write_csv(pa.table(columns), folder / "plain.csv")
        (folder / "packed.csv.gz").write_bytes(gzip.compress((folder / "plain.csv").read_bytes()))
        parquet.write_table(pa.table(columns), folder / "r.parquet")
        inputs = find_inputs(folder, Layout(time_column="time"))
        for one in inputs:
            assert sum(len(block.times) for block in one.open().blocks) == n
        kept[n] = sum(len(pickle.dumps(one)) for one in inputs)  # what reading processes receive, too
    assert kept[20_000] < 1.1 * kept[100] < 20_000


def test_thousands_of_short_recordings_take_the_memory_of_their_embeddings(tmp_path):
    people, dim = 400, 256
    values = np.random.default_rng(0).standard_normal((people, dim)).astype(np.float32)
    pool = pa.proxy_memory_pool(pa.default_memory_pool())
    before = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    try:
        file = EmbeddingFile(tmp_path / "out.parquet", dim, False, {}, ["r"], overwrite=False)
        parts = []
        for i in range(people):
            parts.append(file.part(f"r{i}"))
            file.write(parts[i], [file.table(f"p{i}", f"r{i}", None, np.array([0.5]), values[[i]])])
        file.finish(parts, complete=True)
        assert pool.max_memory() < 8 * values.nbytes
    finally:
        pa.set_memory_pool(before)
    assert [p.name for p in tmp_path.iterdir()] == ["out.parquet"]
    assert parquet.read_metadata(tmp_path / "out.parquet").num_row_groups == 1
    table = parquet.read_table(tmp_path / "out.parquet")
    assert table.schema.names == ["participant_id", "recording_id", "start", *(f"e{i}" for i in range(dim))]
    assert table["recording_id"].to_pylist() == [f"r{i}" for i in range(people)]
    np.testing.assert_array_equal(np.stack([table[f"e{i}"].to_numpy() for i in range(dim)], axis=1), values)
