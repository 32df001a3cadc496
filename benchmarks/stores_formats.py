"""File formats, one class per format, which write the signals of a cohort and read random windows.

``write(folder, signals)`` takes an iterable of float32 arrays ``(n, 3)`` in g, one per participant, all of one length.
``open(folder)`` returns a function from participants ``(k,)``, first samples ``(k,)`` and a length to windows ``(k, 3,
length)`` in the data type of the format. Each class keeps its files open and decodes them as its library recommends.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from relcon_lightning.data import CohortInfo, CohortStore, Recording

Read = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
BLOCK = 256  # samples per row, in formats with rows: the length of a window
CHUNK = 1024  # samples per Zarr chunk


class Format(ABC):
    """A format with samples of one type.

    Args:
        dtype: ``float32`` in g, or ``int16`` in 1/4096 g (up to 8 g, with an error of at most 0.12 mg).
    """

    name: str
    module: str
    in_bucket: str

    def __init__(self, dtype: str) -> None:
        self.dtype = np.dtype(dtype)

    @classmethod
    def installed(cls) -> bool:
        return find_spec(cls.module) is not None

    def encode(self, signals: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for signal in signals:
            yield signal if self.dtype == np.float32 else np.clip(np.rint(signal * 4096), -32768, 32767).astype("i2")

    def gather(self, read: Read, participants: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
        """Read windows ``(k, 3, length)``, float32 in g."""
        windows = read(participants, starts, length)
        return windows if windows.dtype == np.float32 else windows * np.float32(1 / 4096)

    @abstractmethod
    def write(self, folder: Path, signals: Iterable[np.ndarray]) -> None: ...

    @abstractmethod
    def open(self, folder: Path) -> Read: ...


def sliced(arrays: list[Any], participants: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
    """Windows from arrays that can be sliced, one array per participant."""
    windows = np.empty((len(starts), 3, length), dtype=arrays[0].dtype)
    for window, participant, start in zip(windows, participants.tolist(), starts.tolist(), strict=True):
        window[:] = arrays[participant][start : start + length].T
    return windows


class Mapped(Format):
    """Memory-mapped ``.npy``; float32 is the cohort store of this package."""

    name, module, in_bucket = "memory-mapped .npy (ours)", "numpy", "yes, byte ranges"

    def write(self, folder: Path, signals: Iterable[np.ndarray]) -> None:
        if self.dtype == np.float32:
            recordings = (Recording(f"{i:05d}", f"{i:05d}", signal, 100.0) for i, signal in enumerate(signals))
            CohortStore.write(folder, recordings, CohortInfo("benchmark", 100.0, "wrist", "made up", "none", "none"))
            return
        folder.mkdir()
        for i, signal in enumerate(self.encode(signals)):
            np.save(folder / f"{i:05d}.npy", signal)

    def open(self, folder: Path) -> Read:
        if self.dtype == np.float32:
            return CohortStore.open(folder).gather
        return partial(sliced, [np.load(file, mmap_mode="r").view(np.ndarray) for file in sorted(folder.iterdir())])


class Hdf5(Format):
    """HDF5: one contiguous data set per participant."""

    name, module, in_bucket = "HDF5", "h5py", "one request after the other"

    def write(self, folder: Path, signals: Iterable[np.ndarray]) -> None:
        import h5py

        folder.mkdir()
        with h5py.File(folder / "signals.h5", "w") as file:
            for i, signal in enumerate(self.encode(signals)):
                file[f"{i:05d}"] = signal

    def open(self, folder: Path) -> Read:
        import h5py

        file = h5py.File(folder / "signals.h5")
        return partial(sliced, [file[name] for name in sorted(file)])


class Zarr(Format):
    """Zarr v3: one array per participant, in one shard so that a bucket has few objects, with default compression."""

    name, module, in_bucket = "Zarr v3", "zarr", "yes, chunks"

    def write(self, folder: Path, signals: Iterable[np.ndarray]) -> None:
        import zarr

        group = zarr.create_group(str(folder))
        for i, signal in enumerate(self.encode(signals)):
            shard = -(-len(signal) // CHUNK) * CHUNK
            options = {"shape": signal.shape, "dtype": signal.dtype, "chunks": (CHUNK, 3), "shards": (shard, 3)}
            group.create_array(f"{i:05d}", **options)[:] = signal

    def open(self, folder: Path) -> Read:
        import zarr

        return partial(sliced, [array for _, array in sorted(zarr.open_group(str(folder), mode="r").arrays())])


class Arrow(Format):
    """Arrow: one uncompressed record batch per participant in a memory-mapped IPC file."""

    name, module, in_bucket = "Arrow IPC, memory-mapped", "pyarrow", "whole batches"

    def write(self, folder: Path, signals: Iterable[np.ndarray]) -> None:
        import pyarrow as pa

        folder.mkdir()
        schema = pa.schema([("g", pa.list_(pa.from_numpy_dtype(self.dtype), 3))])
        with pa.ipc.new_file(str(folder / "signals.arrow"), schema) as file:
            for signal in self.encode(signals):
                column = pa.FixedSizeListArray.from_arrays(pa.array(signal.ravel()), 3)
                file.write_batch(pa.record_batch([column], schema=schema))

    def open(self, folder: Path) -> Read:
        import pyarrow as pa

        file = pa.ipc.open_file(pa.memory_map(str(folder / "signals.arrow")))
        columns = (file.get_batch(i).column(0) for i in range(file.num_record_batches))
        return partial(sliced, [column.flatten().to_numpy().reshape(-1, 3) for column in columns])


class Blocks(Format):
    """A format with rows of :data:`BLOCK` samples; a window is cut from the one or two rows that contain it."""

    def rows(self, signals: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Rows ``(rows, 3 * BLOCK)`` of each participant; the last row is padded with zeros."""
        for signal in self.encode(signals):
            padded = np.zeros((-(-len(signal) // BLOCK) * BLOCK, 3), dtype=self.dtype)
            padded[: len(signal)] = signal
            yield padded.reshape(-1, 3 * BLOCK)

    def cut(
        self,
        take: Callable[[np.ndarray], np.ndarray],
        per_participant: int,
        participants: np.ndarray,
        starts: np.ndarray,
        length: int,
    ) -> np.ndarray:
        """Cut windows from rows. ``take`` reads rows by their numbers, which are sorted and unique."""
        first, skip = participants * per_participant + starts // BLOCK, starts % BLOCK
        end = participants * per_participant + -(-(starts + length) // BLOCK)
        needed = np.unique(np.concatenate([np.arange(a, b) for a, b in zip(first, end, strict=True)]))
        blocks = take(needed).reshape(len(needed), BLOCK, 3)
        windows = np.empty((len(starts), 3, length), dtype=self.dtype)
        at = np.searchsorted(needed, first)
        for window, i, n, s in zip(windows, at, end - first, skip, strict=True):
            window[:] = blocks[i : i + n].reshape(-1, 3)[s : s + length].T
        return windows


class Lance(Blocks):
    """Lance: one row per block, read by number."""

    name, module, in_bucket = "Lance", "lance", "yes, byte ranges"

    def write(self, folder: Path, signals: Iterable[np.ndarray]) -> None:
        import lance
        import pyarrow as pa

        width = 3 * BLOCK
        schema = pa.schema([("participant", pa.int32()), ("g", pa.list_(pa.from_numpy_dtype(self.dtype), width))])

        def batches() -> Iterator[pa.RecordBatch]:
            for i, rows in enumerate(self.rows(signals)):
                column = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), width)
                yield pa.record_batch([pa.array([i] * len(rows), pa.int32()), column], schema=schema)

        lance.write_dataset(pa.RecordBatchReader.from_batches(schema, batches()), str(folder))

    def open(self, folder: Path) -> Read:
        import lance

        data = lance.dataset(str(folder))

        def take(numbers: np.ndarray) -> np.ndarray:
            column = data.take(numbers.tolist(), columns=["g"])["g"].combine_chunks()
            values: np.ndarray = column.flatten().to_numpy()
            return values

        participants = data.take([data.count_rows() - 1], columns=["participant"])["participant"][0].as_py() + 1
        return partial(self.cut, take, data.count_rows() // participants)


class LitData(Blocks):
    """litdata: one item per block, in chunks of 64 MB."""

    name, module, in_bucket = "litdata", "litdata", "whole chunks of 64 MB"

    def write(self, folder: Path, signals: Iterable[np.ndarray]) -> None:
        from litdata.streaming.writer import BinaryWriter

        folder.mkdir()
        writer, number = BinaryWriter(str(folder), chunk_bytes=2**26), 0
        for rows in self.rows(signals):
            self._per_participant = len(rows)
            for row in rows:
                writer[number] = row
                number += 1
        writer.done()
        writer.merge()

    def open(self, folder: Path) -> Read:
        from litdata import StreamingDataset

        data = StreamingDataset(str(folder))
        per_participant = self._per_participant
        return partial(self.cut, lambda numbers: np.stack([data[int(i)] for i in numbers]), per_participant)


FORMATS: tuple[type[Format], ...] = (Mapped, Hdf5, Zarr, Arrow, Lance, LitData)
