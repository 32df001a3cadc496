"""The embeddings of many recordings as one Parquet file, which an interruption does not undo.

Each recording is written to a file of its own in a hidden folder beside the output, as it is embedded, and appears
there when it is complete. In these an embedding is one cell: hundreds of columns in thousands of files would take
minutes and gigabytes. Once all are done they are copied into one file, with a column for each dimension. A part's name
is the hash of all that it depends on, so that what was embedded in another way is never taken.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
from pyarrow import compute, parquet

from relcon_lightning.errors import ConfigError

_GROUP = 2**13  # rows of a row group: 8 MB of 256 dimensions
_IDS = ["participant_id", "recording_id"]
_FACTS, _INCOMPLETE = b"relcon_lightning", b"relcon_lightning_incomplete"  # in the metadata of the output
_PART = "part 2"  # of the layout of a part
_EMBEDDING = "embedding"


def is_incomplete(path: Path) -> bool:
    """True for an output that left out recordings, so that a later run can complete it."""
    try:
        return _INCOMPLETE in (parquet.read_schema(path).metadata or {})
    except (pa.ArrowException, OSError):
        return False


class EmbeddingFile:
    """A table with columns participant_id, recording_id, start and one for each dimension, ``e0``, ``e1`` ...

    The start of a window is a UTC time stamp if that of every recording is known, else in seconds from the first
    sample of its recording. The facts are in the metadata of the file, under ``relcon_lightning``.

    Args:
        path: Output file.
        dim: Size of an embedding.
        stamped: True if the starts are time stamps.
        facts: How the embeddings were made, all that they depend on.
        recordings: Ids of all recordings that are to be in the output.
        overwrite: Replace what is there.

    Raises:
        ConfigError: The output is there, and it is not that of a run which left out some of these recordings.
    """

    def __init__(
        self,
        path: str | Path,
        dim: int,
        stamped: bool,
        facts: dict[str, Any],
        recordings: Collection[str],
        overwrite: bool,
    ) -> None:
        self.path, self.stamped = Path(path), stamped
        self.parts = self.path.with_name(f".{self.path.name}.parts")
        self.columns = [f"e{i}" for i in range(dim)]
        self.facts = json.dumps({**facts, "start": "UTC" if stamped else "seconds"})
        start = pa.timestamp("us", tz="UTC") if stamped else pa.float64()
        fields = [(name, pa.string()) for name in _IDS] + [("start", start)]
        embedding = [(name, pa.float32()) for name in self.columns]
        self.schema = pa.schema([*fields, *embedding], metadata={_FACTS: self.facts})
        if self.path.is_dir() or (self.path.exists() and not overwrite and not self._completes(recordings)):
            raise ConfigError(f"{path} exists: choose another output=, or replace it with overwrite=true.")
        self.part_schema = pa.schema([*fields, (_EMBEDDING, pa.list_(pa.float32(), dim))])

    def part(self, *identity: str) -> Path:
        """The file of a recording.

        Args:
            identity: All that its embeddings depend on beside the facts.
        """
        digest = hashlib.sha256(json.dumps([_PART, self.facts, *identity]).encode()).hexdigest()
        return self.parts / f"{digest[:32]}.parquet"

    def table(
        self, participant_id: str, recording_id: str, start_time: float | None, starts: np.ndarray, values: np.ndarray
    ) -> pa.Table:
        """Rows of a recording's part.

        Args:
            participant_id: Who was recorded.
            recording_id: The recording.
            start_time: Unix seconds of its first sample, None if unknown.
            starts: ``(k,)`` seconds from the first sample.
            values: ``(k, dim)`` float32.
        """
        when = pa.array(starts, pa.float64())
        if self.stamped:
            when = pa.array(np.rint(((start_time or 0.0) + starts) * 1e6).astype(np.int64)).cast(
                self.schema.field("start").type
            )
        ids = [pa.array([name] * len(starts), pa.string()) for name in (participant_id, recording_id)]
        flat = pa.array(np.ascontiguousarray(values, dtype=np.float32).ravel())
        embedding = pa.FixedSizeListArray.from_arrays(flat, len(self.columns))
        return pa.table([*ids, when, embedding], schema=self.part_schema)

    def begin(self, path: Path) -> AtomicParquet:
        """Begin to write the part of a recording.

        Raises:
            ConfigError: No room or no permission to write there.
        """
        return AtomicParquet(path, self.part_schema, synced=False)

    def has(self, path: Path) -> bool:
        """Whether the part of a recording is there and whole: what a crash of the system cut short is not."""
        try:
            with parquet.ParquetFile(path) as file:
                return bool(file.schema_arrow.equals(self.part_schema)) and file.metadata.num_rows > 0
        except (pa.ArrowException, OSError):
            return False

    def write(self, path: Path, tables: Iterable[pa.Table]) -> None:
        """Write the part of a recording, whole or not at all.

        Raises:
            ConfigError: No room or no permission to write there.
        """
        _write(path, self.part_schema, tables, synced=False)

    def finish(self, parts: Iterable[Path], complete: bool) -> None:
        """Copy the parts into the output, and remove them if none is missing."""
        schema = self.schema if complete else self.schema.with_metadata(self.schema.metadata | {_INCOMPLETE: b"true"})
        _write(self.path, schema, (self._wide(group).cast(schema) for group in _grouped(_read(parts))))
        if complete:
            shutil.rmtree(self.parts)

    def _completes(self, recordings: Collection[str]) -> bool:
        """Whether what is there was embedded in this way and has some of the recordings, not all, and no others."""
        try:
            with parquet.ParquetFile(self.path) as file:
                metadata = file.schema_arrow.metadata or {}
                if _INCOMPLETE not in metadata or metadata.get(_FACTS) != self.facts.encode():
                    return False
                there = file.read(columns=["recording_id"])["recording_id"]
        except (pa.ArrowException, OSError, KeyError):
            return False
        return set(compute.unique(there).to_pylist()) < set(recordings)

    def _wide(self, rows: pa.Table) -> pa.Table:
        """With a column for each dimension."""
        values = rows[_EMBEDDING].combine_chunks().flatten().to_numpy().reshape(len(rows), -1)
        columns = [pa.array(np.ascontiguousarray(column)) for column in values.T]
        return pa.table([*(rows[name] for name in (*_IDS, "start")), *columns], schema=self.schema)

    def clear(self) -> None:
        """Remove the folder of the parts if there are none."""
        if self.parts.is_dir() and not any(self.parts.iterdir()):
            self.parts.rmdir()


class AtomicParquet:
    """A Parquet file that appears when it is finished. It is written a row group at a time.

    Args:
        path: The file.
        schema: Schema of its rows.
        synced: Whether the file is on the disk when it appears, and not in memory for some seconds more. For each of
            thousands of files that would take longer than to embed it.

    Raises:
        ConfigError: No room or no permission to write there; also of the methods.
    """

    def __init__(self, path: Path, schema: pa.Schema, synced: bool = True) -> None:
        self.path, self._partial, self._synced = path, path.with_name(f".{path.name}.partial"), synced
        self._waiting: list[pa.Table] = []
        self._open = ExitStack()
        with self._named():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._open.enter_context(self._partial.open("wb"))
            writer = parquet.ParquetWriter(self._file, schema, use_dictionary=_IDS, write_page_checksum=True)
            self._writer = self._open.enter_context(writer)

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.discard()
            if isinstance(error, OSError):
                raise ConfigError(f"{self.path} cannot be written: {error}. Choose another output=.") from error
            raise

    def add(self, rows: pa.Table) -> None:
        """Write rows, or keep them until a row group is full."""
        self._waiting.append(rows)
        if sum(map(len, self._waiting)) >= _GROUP:
            self._write_group()

    def _write_group(self) -> None:
        if self._waiting:
            with self._named():
                self._writer.write_table(pa.concat_tables(self._waiting))
            self._waiting = []

    def finish(self) -> None:
        """Write what is kept, and let the file appear."""
        self._write_group()
        with self._named():
            self._writer.close()
            self._file.flush()
            if self._synced:
                os.fsync(self._file.fileno())
            self._open.close()
            self._partial.replace(self.path)

    def discard(self) -> None:
        """Remove what was written."""
        with suppress(OSError):
            self._open.close()
        self._partial.unlink(missing_ok=True)


def _write(path: Path, schema: pa.Schema, tables: Iterable[pa.Table], synced: bool = True) -> None:
    """Write a file whole or not at all.

    Raises:
        ConfigError: No room or no permission to write there.
    """
    file = AtomicParquet(path, schema, synced)
    try:
        for rows in tables:
            file.add(rows)
    except BaseException:
        file.discard()
        raise
    file.finish()


def _grouped(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Tables of :data:`_GROUP` rows or more: each row group costs an entry for every column."""
    waiting: list[pa.Table] = []
    rows = 0
    for table in tables:
        waiting.append(table)
        rows += len(table)
        if rows >= _GROUP:
            yield pa.concat_tables(waiting)
            waiting, rows = [], 0
    if waiting:
        yield pa.concat_tables(waiting)


def _read(parts: Iterable[Path]) -> Iterator[pa.Table]:
    for part in parts:
        try:
            with parquet.ParquetFile(part, page_checksum_verification=True) as file:
                for group in range(file.num_row_groups):
                    yield file.read_row_group(group)
        except (pa.ArrowException, OSError) as error:
            raise ConfigError(f"{part} is damaged ({error}): remove it, and repeat the command.") from error
