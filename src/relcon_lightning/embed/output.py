"""Write the embeddings of many recordings to one Parquet file. An interrupted run can continue.

While recordings are embedded, each one is written to a separate file, its part, in a hidden folder next to the output.
A part appears there when it is complete. It stores an embedding in one cell, because hundreds of columns in thousands
of files would take minutes and gigabytes. At the end, all parts are copied into one file with a column per dimension.
The name of a part is the hash of everything that it depends on, so parts of a run with other settings are not used.
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
import pyarrow as pa
from pyarrow import compute, parquet

from relcon_lightning.errors import ConfigError, taken

_GROUP = 2**13  # rows per row group: 8 MB with 256 dimensions
_IDS = ["participant_id", "recording_id"]
_FACTS, _INCOMPLETE = b"relcon_lightning", b"relcon_lightning_incomplete"  # keys of the metadata of the output
_PART = "part 2"  # version of the layout of parts
_EMBEDDING = "embedding"


def is_incomplete(path: Path) -> bool:
    """True if recordings are missing in an output, so that a later run can complete it."""
    try:
        return _INCOMPLETE in (parquet.read_schema(path).metadata or {})
    except (pa.ArrowException, OSError):
        return False


class EmbeddingFile:
    """A table with columns participant_id, recording_id, start, and one column per dimension: ``e0``, ``e1`` ...

    The start of a window is a UTC time stamp, or the number of seconds since the first sample of its recording. The
    metadata of the file contains the facts, under ``relcon_lightning``.

    Args:
        path: Output file.
        dim: Size of an embedding.
        stamped: True if the starts are time stamps.
        facts: Encoder and settings on which all embeddings depend.
        recordings: Ids of all recordings that the output will contain.
        overwrite: Replace an existing file.

    Raises:
        ConfigError: The output exists, and is not an incomplete output of the same settings and recordings.
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
            raise taken(path, "output")
        self.part_schema = pa.schema([*fields, (_EMBEDDING, pa.list_(pa.float32(), dim))])

    def part(self, *identity: str) -> Path:
        """Path of the part of a recording.

        Args:
            identity: Everything that its embeddings depend on, in addition to the facts.
        """
        digest = hashlib.sha256(json.dumps([_PART, self.facts, *identity]).encode()).hexdigest()
        return self.parts / f"{digest[:32]}.parquet"

    def table(
        self, participant_id: str, recording_id: str, start_time: float | None, starts: np.ndarray, values: np.ndarray
    ) -> pa.Table:
        """Rows of a recording's part.

        Args:
            participant_id: Id of the participant.
            recording_id: Id of the recording.
            start_time: Time of the first sample in Unix seconds; None if it is not known.
            starts: Start ``(k,)`` of each window, in seconds since the first sample.
            values: Embeddings ``(k, dim)``, float32.
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
        """True if the part of a recording exists and is complete; a system crash can truncate it."""
        try:
            with parquet.ParquetFile(path) as file:
                return bool(file.schema_arrow.equals(self.part_schema)) and file.metadata.num_rows > 0
        except (pa.ArrowException, OSError):
            return False

    def write(self, path: Path, tables: Iterable[pa.Table]) -> None:
        """Write the part of a recording atomically.

        Raises:
            ConfigError: No room or no permission to write there.
        """
        _write(path, self.part_schema, tables, synced=False)

    def finish(self, parts: Iterable[Path], complete: bool) -> None:
        """Copy the parts into the output. If it is complete, remove the parts."""
        schema = self.schema if complete else self.schema.with_metadata(self.schema.metadata | {_INCOMPLETE: b"true"})
        _write(self.path, schema, (self._wide(group).cast(schema) for group in _grouped(_read(parts))))
        if complete:
            shutil.rmtree(self.parts)

    def _completes(self, recordings: Collection[str]) -> bool:
        """True if the existing output has the same facts, some but not all of the recordings, and no others."""
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
        """Convert rows of parts to rows of the output, with one column per dimension."""
        values = rows[_EMBEDDING].combine_chunks().flatten().to_numpy().reshape(len(rows), -1)
        columns = [pa.array(np.ascontiguousarray(column)) for column in values.T]
        return pa.table([*(rows[name] for name in (*_IDS, "start")), *columns], schema=self.schema)

    def clear(self) -> None:
        """Remove the folder of the parts if it is empty."""
        if self.parts.is_dir() and not any(self.parts.iterdir()):
            self.parts.rmdir()


class AtomicParquet:
    """A Parquet file that appears when it is finished. It is written one row group at a time.

    Args:
        path: Output file.
        schema: Schema of its rows.
        synced: True: write the file to the disk before it appears (``fsync``). For thousands of small files, this takes
            longer than embedding them.

    Raises:
        ConfigError: There is no space or no permission to write. The methods raise it too.
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
        """Write the remaining rows, and move the file to its path."""
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
    """Write a file atomically.

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
    """Join tables to at least :data:`_GROUP` rows, because each row group needs an entry per column."""
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
