"""Find the inputs of an embedding: a user's tables, device files and cohort stores, read piece by piece."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from relcon_lightning.data.once import Once
from relcon_lightning.data.readers.device_clock import DeviceClock
from relcon_lightning.data.readers.empatica import without_other_signals
from relcon_lightning.data.readers.folder_tables import RECORDINGS, SEGMENTS, read_recordings
from relcon_lightning.data.readers.paths import participant_in
from relcon_lightning.data.readers.stretches import gap_free
from relcon_lightning.data.readers.suffixes import (
    DEVICE_KINDS,
    TABLE_SUFFIXES,
    conversion,
    files_below,
    is_device_file,
    is_table,
    name_passed_over,
    refuse_none,
    refuse_twice,
    stem,
    text_of,
)
from relcon_lightning.data.readers.table_layout import Layout
from relcon_lightning.data.readers.table_stream import TableStream
from relcon_lightning.data.resample import check_unit
from relcon_lightning.data.sources.device import DeviceStream, open_stream
from relcon_lightning.data.store.cohort import CohortStore, is_store
from relcon_lightning.data.store.verify import Verify
from relcon_lightning.data.stream import BLOCK, Block, blocks_of
from relcon_lightning.errors import DataError, no_input
from relcon_lightning.wording import counted

log = logging.getLogger(__name__)

_KNOWN = f"{', '.join(TABLE_SUFFIXES)}, {DEVICE_KINDS}"


@dataclass(frozen=True)
class OpenRecording:
    """A recording that is being read.

    Attributes:
        rate: Sampling rate in Hz.
        start_time: Time of the first sample in Unix seconds; None if unknown.
        duration_s: Duration in seconds; None if unknown before the recording is read.
        blocks: Iterator over blocks of samples.
    """

    rate: float
    start_time: float | None
    duration_s: float | None
    blocks: Iterator[Block]


@dataclass(frozen=True)
class Input:
    """A recording to embed.

    Attributes:
        recording_id: Path below the folder (for a table, without the suffix), or id in the store.
        participant_id: Id of the participant.
        version: Text that changes when the file changes.
        stamped: True: the time of day is known.
        open: Function that opens the recording; raises DataError.
    """

    recording_id: str
    participant_id: str
    version: str
    stamped: bool
    open: Callable[[], OpenRecording]


def find_inputs(
    path: str | Path,
    layout: Layout,
    participant: str | None = None,
    lenient: bool = False,
    shortest_s: float = 0.0,
    verify: Verify = "once",
    pattern: str | None = None,
) -> list[Input]:
    """Find the recordings in a file, a folder or a cohort store, sorted by id.

    In a folder, hidden and other files are skipped; a table ``recordings.csv`` in it names the participants.

    Args:
        path: File, folder or store.
        layout: Layout of the tables.
        participant: Regular expression searched in a file's path, see ``RecordingFolder``; None: each
            recording is of another participant, with the id of the recording.
        lenient: Read the intact part of a damaged device file.
        shortest_s: Minimum length of a store's recordings in seconds. Shorter ones, which occur because a store is
            split at gaps, are skipped with a warning.
        verify: See :meth:`~relcon_lightning.data.CohortStore.open`.
        pattern: Pattern for the paths of the files to read in a folder; see ``RecordingFolder``.

    Raises:
        ConfigError: There is no such time zone.
        DataError: Nothing is at the path, a file has an unknown format, two recordings have the same id, or a path
            contains no participant.
    """
    if "://" in str(path) or is_store(path):
        return _of_store(CohortStore.open(path, verify), shortest_s)
    files, root = _files(Path(path), pattern)
    table = root / RECORDINGS
    people = read_recordings(table, list(files))[0] if Path(path).is_dir() and table.is_file() else {}
    clock, once = DeviceClock(layout.time_zone), Once()
    inputs: dict[str, Input] = {}
    refuse_twice(root, files)
    for name, file in files.items():
        person = participant_in(participant, name, root) if participant and not people else people.get(name)
        one = _of_file(file, name, person, layout, clock, lenient, once)
        if one.recording_id in inputs:
            raise DataError(f"{root} has two files that would get the id {one.recording_id}; rename or remove one.")
        inputs[one.recording_id] = one
    return [inputs[name] for name in sorted(inputs)]


def _files(path: Path, pattern: str | None) -> tuple[dict[str, Path], Path]:
    """Files by their path below the folder, and the folder."""
    if path.is_file():
        if not (is_table(path.name, chosen=True) or is_device_file(path.name)):
            raise DataError(
                f"{path} ends in {path.suffix or 'nothing'!r}: expected one of {_KNOWN}. {conversion(path)}"
            )
        return {text_of(Path(path.name)): path}, path.parent
    if not path.is_dir():
        raise no_input(path)
    every = list(without_other_signals(path, files_below(path, pattern)).values())
    known = [file for file in every if is_table(file.name, pattern is not None) or is_device_file(file.name)]
    below = {file.relative_to(path): file for file in known}
    others = [file for file in every if file not in set(known)]
    name_passed_over(path, others, _KNOWN)
    tables = (RECORDINGS, SEGMENTS)
    found = {text_of(name): file for name, file in below.items() if name.as_posix() not in tables}
    refuse_none(path, found, pattern, _KNOWN, f" {conversion(others[0])}" if others else "")
    return found, path


def _of_file(
    path: Path, name: str, person: str | None, layout: Layout, clock: DeviceClock, lenient: bool, once: Once
) -> Input:
    state = path.stat()
    version = f"{state.st_size} {state.st_mtime_ns}"
    if is_device_file(path.name):
        version = f"{version} {lenient} {clock.name}"
        return Input(name, person or name, version, True, partial(_open_device, path, layout.max_gap_s, clock, lenient))
    recording_id = stem(name)
    table = TableStream(path, layout, once=once)
    opener = partial(_open_table, table)
    return Input(recording_id, person or recording_id, f"{version} {layout}", _stamped(table), opener)


def _stamped(table: TableStream) -> bool:
    """True if a table contains the time of day, or cannot be read: its error is reported later."""
    try:
        return table.stamped
    except DataError:
        return True


def _open_table(table: TableStream) -> OpenRecording:
    found = table.scan()
    return OpenRecording(found.rate, found.start_time, found.duration_s, table.blocks())


def _open_device(path: Path, max_gap_s: float, clock: DeviceClock, lenient: bool) -> OpenRecording:
    """Open a device file; unit and time stamps of its first samples are checked."""
    blocks = _device_blocks(path, clock, lenient)
    stream, first = next(blocks)
    held = [first]
    while sum(len(block.times) for block in held) < BLOCK and (following := next(blocks, None)):
        held.append(following[1])
    times, signal = (np.concatenate([getattr(block, name) for block in held]) for name in ("times", "signal"))
    check_unit(signal, text_of(path))
    gap_free(times, signal, text_of(path), max_gap_s, stream.rate)
    return OpenRecording(stream.rate, stream.start_time, stream.duration_s, chain(held, (block for _, block in blocks)))


def _device_blocks(path: Path, clock: DeviceClock, lenient: bool) -> Iterator[tuple[DeviceStream, Block]]:
    """Blocks of a device file, each with the description of its recording."""
    with open_stream(path, clock, lenient) as stream:
        for block in stream.blocks:
            if len(block.signal) >= BLOCK // 2:  # the norm of a few samples is not reliable
                check_unit(block.signal, text_of(path))
            yield stream, block


def _of_store(store: CohortStore, shortest_s: float) -> list[Input]:
    table = store.recordings
    long_enough = table["n_samples"] >= shortest_s * store.sampling_rate - 0.5
    if not long_enough.any():
        raise DataError(f"No recording of {store.path} is as long as a window of {shortest_s:g} s.")
    if not long_enough.all():
        log.warning(
            "%s: left out %s shorter than a window.", store.path, counted(int((~long_enough).sum()), "recording")
        )
    stamped = bool(np.isfinite(table["start_time"]).all())
    version = str(store.path) if "://" in str(store.path) else store.fingerprint()
    table = table[long_enough].sort_values("recording_id")
    rows = zip(table["recording_id"], table["participant_id"], table["n_samples"], table["start_time"], strict=True)
    return [
        Input(name, person, version, stamped, partial(_open_stored, store, name, samples, start_time))
        for name, person, samples, start_time in rows
    ]


def _open_stored(store: CohortStore, recording_id: str, samples: int, start_time: float) -> OpenRecording:
    rate = store.sampling_rate
    start = start_time if np.isfinite(start_time) else None
    return OpenRecording(rate, start, samples / rate, blocks_of(partial(store.read, recording_id), samples, rate))
