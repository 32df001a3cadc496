"""Reading the units of a source, in several processes or in this one, in the order of the units.

Samples go from a process to the store by files, so that no process holds more than one recording.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]
from threadpoolctl import threadpool_limits

from relcon_lightning.data.recording import Recording
from relcon_lightning.data.resample import check_unit, resample
from relcon_lightning.data.store.origins import Version, version_of
from relcon_lightning.data.store.signals import Coding
from relcon_lightning.data.store.write import Entry, encode
from relcon_lightning.data.units import Divisible, Unit
from relcon_lightning.errors import DataError

log = logging.getLogger(__name__)

START_S = 2.0  # to start processes takes as long; what is read by then needs none
_AHEAD = 3  # units on their way or waiting, for each process


@dataclass(frozen=True)
class Read:
    """A unit that was read.

    Attributes:
        unit: Unit that was read.
        entries: Recordings of the unit, without their samples.
        samples: File with the coded samples of those, one after the other; the reader of it removes it.
        fault: Why the unit cannot be read, empty if it was.
        version: Size, time and checksum of its file, None if it has none.
    """

    unit: Unit
    entries: list[Entry]
    samples: Path
    fault: str = ""
    version: Version | None = None
    told: list[logging.LogRecord] = field(default_factory=list)


@dataclass(frozen=True)
class UnitReader:
    """Reads units of a source to files.

    Attributes:
        source: Source of the recordings.
        sampling_rate: Hz to resample to.
        coding: Coding of the samples.
        folder: Folder of the files.
    """

    source: Divisible
    sampling_rate: float
    coding: Coding
    folder: Path

    def __call__(self, number: int, unit: Unit) -> Read:
        """Read a unit; a DataError becomes its fault.

        Args:
            number: Number of the unit, used as the name of the file.
            unit: Unit of the source.
        """
        path, entries = self.folder / f"{number:07d}.samples", []
        try:
            with path.open("wb") as file:
                for recording in self.source.read_unit(unit):
                    entry, coded = encode(at_rate(recording, self.sampling_rate), self.coding)
                    file.write(coded.data)
                    entries.append(entry)
        except DataError as error:
            path.unlink(missing_ok=True)
            return Read(unit, [], path, str(error))
        return Read(unit, entries, path, version=version_of(unit))


def at_rate(recording: Recording, rate: float) -> Recording:
    """A recording at another rate.

    Args:
        recording: Recording in g.
        rate: Hz.

    Raises:
        DataError: The signal cannot be in g, or the rates have no simple ratio.
    """
    check_unit(recording.signal, f"Recording {recording.recording_id} of participant {recording.participant_id}")
    signal = resample(recording.signal, recording.sampling_rate, rate)
    # A recording allows its last label a sample more than it has, which may be many samples at the new rate.
    end = len(signal) / rate
    segments = tuple(replace(segment, end_s=min(segment.end_s, end)) for segment in recording.segments)
    return replace(recording, signal=signal, sampling_rate=rate, segments=segments)


def read_units(reader: UnitReader, units: Sequence[Unit], workers: int, start_s: float = START_S) -> Iterator[Read]:
    """Read units, in order.

    Args:
        reader: Reader of the source.
        units: To read.
        workers: Processes.
        start_s: Seconds in which this process reads alone; what is not read then is read by ``workers``.

    Raises:
        DataError: A process was killed.
    """
    began, number = time.monotonic(), 0
    while number < len(units) and (workers < 2 or time.monotonic() - began < start_s or number == len(units) - 1):
        yield reader(number, units[number])
        number += 1
    if number < len(units):
        yield from _in_processes(reader, units, number, min(workers, len(units) - number))


def _in_processes(reader: UnitReader, units: Sequence[Unit], first: int, workers: int) -> Iterator[Read]:
    # Fork is no choice: the display of the progress, pyarrow and obstore have threads.
    context = multiprocessing.get_context("spawn")
    held, alive = context.Pipe(duplex=False)
    level = logging.getLogger().getEffectiveLevel()
    pool = ProcessPoolExecutor(workers, context, _begin, (reader, held, level))
    waiting: deque[Future[Read]] = deque()
    try:
        numbers = iter(range(first, len(units)))
        while True:
            while len(waiting) < _AHEAD * workers and (number := next(numbers, None)) is not None:
                waiting.append(pool.submit(_read, number, units[number]))
            if not waiting:
                break
            read = waiting.popleft().result()
            for record in read.told:
                logging.getLogger(record.name).handle(record)
            yield read
        pool.shutdown()
    except BrokenProcessPool as error:
        raise DataError(
            "A process that read recordings was killed, as the system does when memory runs out: try "
            f"data.num_workers={max(1, workers // 2)}."
        ) from error
    finally:
        alive.close()  # a process that is still reading ends now
        held.close()
        pool.shutdown(cancel_futures=True)


_reader: UnitReader | None = None


def _begin(reader: UnitReader, held: Connection, level: int) -> None:
    """In each process, first."""
    global _reader
    _reader = reader
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends this one
    threading.Thread(target=_end_with, args=(held,), daemon=True).start()
    pa.set_cpu_count(1)
    threadpool_limits(1)
    logging.getLogger().setLevel(level)


def _end_with(held: Connection) -> None:
    """End this process when the first one has closed its end of the pipe or was killed."""
    wait([held])
    os._exit(1)


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        record.msg, record.args, record.exc_info = record.getMessage(), None, None
        self.records.append(record)


def _read(number: int, unit: Unit) -> Read:
    assert _reader is not None
    root, kept = logging.getLogger(), _Kept()
    root.addHandler(kept)
    try:
        return replace(_reader(number, unit), told=kept.records)
    finally:
        root.removeHandler(kept)
