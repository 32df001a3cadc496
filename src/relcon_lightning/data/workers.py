"""Read the units of a source in order, in several processes or in this one.

Processes pass samples to the store as files, so that no process holds more than one recording in memory.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from relcon_lightning.data.once import Once
from relcon_lightning.data.processes import TaskEnd, in_processes
from relcon_lightning.data.recording import Recording
from relcon_lightning.data.resample import check_unit, resample
from relcon_lightning.data.store.entry import Entry, encode
from relcon_lightning.data.store.origins import Version, version_of
from relcon_lightning.data.store.signals import Coding
from relcon_lightning.data.units import Divisible, Unit
from relcon_lightning.errors import DataError

START_S = 2.0  # time to start processes; a source that is read within it needs none


@dataclass(frozen=True)
class UnitContent(TaskEnd):
    """Recordings of a unit, or the reason why it cannot be read.

    Attributes:
        unit: The unit.
        entries: Recordings of the unit, without their samples.
        samples: File with the coded samples of the recordings, one after the other; its reader removes it.
        fault: Why the unit cannot be read; empty if it was read.
        version: Size, time and checksum of its file; None if it has none.
        error: Unexpected error of the process that read the unit; None if there was none.
    """

    unit: Unit
    entries: list[Entry]
    samples: Path
    fault: str = ""
    version: Version | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class UnitReader:
    """Reads units of a source to files.

    Attributes:
        source: Source of the recordings.
        sampling_rate: Sampling rate of the store in Hz.
        coding: Coding of the samples.
        folder: Folder of the files.
    """

    source: Divisible
    sampling_rate: float
    coding: Coding
    folder: Path

    def __call__(self, number: int, unit: Unit) -> UnitContent:
        """Read a unit; a DataError is returned as its fault.

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
            return UnitContent(unit, [], path, str(error))
        return UnitContent(unit, entries, path, version=version_of(unit))


def at_rate(recording: Recording, rate: float) -> Recording:
    """Resample a recording.

    Args:
        recording: Recording in g.
        rate: New sampling rate in Hz.

    Raises:
        DataError: The signal cannot be in g, or the rates have no simple ratio.
    """
    check_unit(recording.signal, f"Recording {recording.recording_id} of participant {recording.participant_id}")
    signal = resample(recording.signal, recording.sampling_rate, rate)
    # The last label may end one sample after the recording, which can be many samples at the new rate.
    end = len(signal) / rate
    segments = tuple(replace(segment, end_s=min(segment.end_s, end)) for segment in recording.segments)
    return replace(recording, signal=signal, sampling_rate=rate, segments=segments)


def read_units(
    reader: UnitReader, units: Sequence[Unit], workers: int, start_s: float = START_S
) -> Iterator[UnitContent]:
    """Read units, in order.

    Args:
        reader: Reader of the source.
        units: Units to read.
        workers: Number of processes.
        start_s: Time in seconds to start processes. This process reads alone for this time, and continues alone if
            processes would not save more time.

    Raises:
        DataError: A process was killed.
    """
    number, seconds = 0, 0.0
    while number < len(units) and not _worth_it(seconds, number, len(units) - number, workers, start_s):
        began = time.monotonic()
        read = reader(number, units[number])
        seconds += time.monotonic() - began
        yield read
        number += 1
    if number < len(units):
        yield from _in_processes(reader, units, number, min(workers, len(units) - number))


def _worth_it(seconds: float, read: int, left: int, workers: int, start_s: float) -> bool:
    """True if processes save more time than their start takes, if the remaining units take as long as those before."""
    if seconds < start_s or left < 2 or workers < 2:
        return False
    return read == 0 or seconds / read * left * (1 - 1 / workers) >= start_s


def _in_processes(reader: UnitReader, units: Sequence[Unit], first: int, workers: int) -> Iterator[UnitContent]:
    read, number, once = dict[int, UnitContent](), first, Once()
    task, numbers = partial(_read, reader, units), range(first, len(units))
    with closing(in_processes(task, numbers, workers, "data.num_workers", ahead=1)) as messages:
        for ended, content in messages:
            read[ended] = content
            while number in read:
                content = read.pop(number)
                once.repeat(content.told)
                if content.error is not None:
                    raise content.error
                yield content
                number += 1


def _read(reader: UnitReader, units: Sequence[Unit], number: int) -> Iterator[UnitContent]:
    """Task of a process: read a unit; an unexpected error is part of its content."""
    try:
        yield reader(number, units[number])
    except Exception as error:
        error.add_note(traceback.format_exc())
        yield UnitContent(units[number], [], Path(), error=error)
