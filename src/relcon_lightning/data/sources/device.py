"""A folder of device files: Axivity .cwa, GENEActiv .bin, ActiGraph .gt3x and Empatica E4 sessions."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np

from relcon_lightning.data.once import Once
from relcon_lightning.data.readers.device_clock import DeviceClock
from relcon_lightning.data.readers.device_files.contents import Contents, Samples
from relcon_lightning.data.readers.device_files.device_file import open_device_file
from relcon_lightning.data.readers.empatica import KIND, is_session, without_other_signals
from relcon_lightning.data.readers.missing import missing_rows, name_missing
from relcon_lightning.data.readers.paths import participant_in
from relcon_lightning.data.readers.stretches import gap_free, part_ids
from relcon_lightning.data.readers.suffixes import (
    DEVICE_KINDS,
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
from relcon_lightning.data.recording import CohortInfo, Recording
from relcon_lightning.data.stream import Block
from relcon_lightning.data.units import InUnits, Unit
from relcon_lightning.errors import DataError, nearest_path

log = logging.getLogger(__name__)

PART_S = 6 * 3600  # resampling a week at once would need several times its memory
_OVERLAP_S = 1.0  # allowed overlap of consecutive blocks: GENEActiv rounds time stamps to half a second
_PAUSE_S = 1.0  # shortest pause that is counted


@dataclass(frozen=True)
class DeviceStream:
    """A recording that is read block by block.

    Attributes:
        rate: Nominal sampling rate in Hz.
        start_time: Unix time of the first sample in seconds.
        blocks: Blocks of about 60,000 samples in the order of time, without missing samples.
        duration_s: Expected duration in seconds; None if unknown.
    """

    rate: float
    start_time: float
    blocks: Iterator[Block]
    duration_s: float | None


class DeviceFolder(InUnits):
    """A folder of device files, one per recording. Recordings of more than six hours are split.

    The clock of a device and its nominal sampling rate disagree by a few percent. The time stamps are used: samples
    are interpolated to the nominal rate. Files are read block by block, also compressed ones. Rows of zeros, as in the
    idle sleep mode of an ActiGraph, count as missing; see :func:`~relcon_lightning.data.readers.missing.missing_rows`.

    Sessions of an Empatica E4 are read too: the files ``ACC.csv`` or ``S01_ACC.csv``, also compressed, and zip archives
    with an ``ACC.csv``. Their other files are skipped. Sessions start in UTC, whatever the ``time_zone``.

    Args:
        raw_dir: Folder of the files, with or without sub-folders.
        participant: Regular expression that is searched in a file's path below ``raw_dir``. The participant is its
            first group, or the whole match if it has no group.
        name: Name of the cohort.
        position: Position of the sensor on the body.
        max_gap_s: Longest time between two samples of one recording, in seconds.
        lenient: Read the intact part of a damaged file, with a warning.
        time_zone: Time zone of the device clocks: an IANA name such as ``Europe/London`` or an offset such as
            ``+01:00``. None: the zone that a file states, or UTC if it states none.
        files: Pattern for the paths of the files to read below ``raw_dir``, such as ``**/wrist.cwa``; None: all. If the
            pattern ends like the name of a table, such as ``*_e4.csv``, its files are read as sessions of an E4.

    Raises:
        ConfigError: The regular expression, pattern or time zone is invalid.
        DataError: There is no such folder, it has no device files, a recording exists twice, or the path of a file
            contains no participant.
    """

    def __init__(
        self,
        raw_dir: str | Path | None,
        participant: str,
        name: str = "device",
        position: str = "wrist",
        max_gap_s: float = 1.0,
        lenient: bool = False,
        time_zone: str | None = None,
        files: str | None = None,
    ) -> None:
        if raw_dir is None:
            raise DataError("data.raw_dir must name the folder of your recordings.")
        self.root, self.name, self.position, self.max_gap_s = Path(raw_dir), name, position, max_gap_s
        self.lenient, self.clock, self._once = lenient, DeviceClock(time_zone), Once()
        self.session = Layout(format="empatica", max_gap_s=max_gap_s, lenient=lenient)
        self.people = {
            path: participant_in(participant, name, self.root)
            for name, path in _recordings_in(self.root, files).items()
        }

    @cached_property
    def info(self) -> CohortInfo:
        """Description of the cohort, with the rate of the first readable file."""
        *others, last = self.people
        for path in others:
            with suppress(DataError), self._open(path) as stream:
                return self._info(stream.rate)
        with self._open(last) as stream:
            return self._info(stream.rate)

    def _info(self, rate: float) -> CohortInfo:
        return CohortInfo(self.name, rate, self.position, f"the user's own files in {self.root.name}", "own", "none")

    def units(self) -> list[Unit]:
        """One unit per file."""
        names = {path: _id_of(path.relative_to(self.root)) for path in self.people}
        settings = (self.max_gap_s, self.lenient, self.clock.name)
        return [Unit(names[path], path, path, repr((person, settings))) for path, person in self.people.items()]

    def read_unit(self, unit: Unit) -> Iterator[Recording]:
        """Read the recordings of a file, split at gaps."""
        path: Path = unit.key
        with self._open(path) as stream:
            parts = _in_parts(stream.blocks, round(PART_S * stream.rate))
            for part_id, (times, signal) in _numbered(unit.name, parts):
                _, stretches = gap_free(times, signal, text_of(path), self.max_gap_s, stream.rate)
                for name, (start_s, stretch) in zip(part_ids(part_id, len(stretches)), stretches, strict=True):
                    start_time = stream.start_time + start_s
                    yield Recording(name, self.people[path], stretch, stream.rate, start_time=start_time)

    @contextmanager
    def _open(self, path: Path) -> Iterator[DeviceStream]:
        if is_device_file(path.name):
            with open_stream(path, self.clock, self.lenient) as stream:
                yield stream
        else:
            table = TableStream(path, self.session, once=self._once)
            found = table.scan()
            yield DeviceStream(found.rate, found.start_time or 0.0, _present(table.blocks()), found.duration_s)


@contextmanager
def open_stream(path: Path, clock: DeviceClock, lenient: bool = False) -> Iterator[DeviceStream]:
    """Open a device file.

    Args:
        path: Path of the file.
        clock: Clock that converts the times of the file to UTC.
        lenient: Read the intact part of a damaged file, with a warning.

    Raises:
        DataError: The file is damaged, of another device, or without samples; also raised while blocks are read.
    """
    with open_device_file(path, lenient) as contents:
        samples = (some for some in contents.samples if len(some.stamps))
        first = next(samples, None)
        if first is None:
            raise DataError(f"{text_of(path)} contains no acceleration samples.")
        origin = int(first.stamps[0])
        offset_s = clock.offset_s(origin / 1e9, contents.utc_offset_s, text_of(path))
        blocks = _blocks(path, contents, chain([first], samples), origin, clock)
        yield DeviceStream(contents.rate, origin / 1e9 - offset_s, blocks, contents.duration_s)


def _present(blocks: Iterable[Block]) -> Iterator[Block]:
    """Blocks without missing samples."""
    for block in blocks:
        present = np.isfinite(block.signal).all(axis=1)
        if present.any():
            yield Block(block.times[present], block.signal[present])


def _id_of(path: Path) -> str:
    """Id of a recording, as in embeddings: its path, for a session without the suffix."""
    name = text_of(path)
    return name if is_device_file(name) else stem(name)


def _blocks(
    path: Path, contents: Contents, samples: Iterable[Samples], origin: int, clock: DeviceClock
) -> Iterator[Block]:
    """Blocks without missing samples, and without samples that are older than the ones before them.

    Times are in seconds from the first sample, whose stamp is ``origin`` in ns.
    """
    where = text_of(path)
    rows = missing = pauses = 0
    paused_s, last, empty = 0.0, origin - 1, True
    for some in samples:
        left_out = missing_rows(some.signal)
        rows, missing = rows + len(left_out), missing + int(left_out.sum())
        latest = np.maximum.accumulate(np.append(last, some.stamps))
        back_s = float((latest[:-1] - some.stamps).max()) / 1e9
        if back_s > _OVERLAP_S:
            contents.damage.found(f"samples that lie {back_s:.0f} s before the ones that come before them")
        steps_s = np.diff(latest) / 1e9
        pauses, paused_s = pauses + int((steps_s > _PAUSE_S).sum()), paused_s + steps_s[steps_s > _PAUSE_S].sum()
        kept = ~left_out & (steps_s > 0)
        last = int(latest[-1])
        if kept.any():
            empty = False
            yield Block((some.stamps[kept] - origin) / 1e9, some.signal[kept])
    name_missing(where, missing, rows)
    if empty:
        raise DataError(f"{where} contains no acceleration samples but zeros and fill values.")
    if pauses:
        share = 100e9 * paused_s / (last - origin)
        log.info(
            "%s: pauses without samples, such as idle sleep: %d, in all %.3g %% of the time.", where, pauses, share
        )
    clock.name_change(origin / 1e9, last / 1e9, where)


def _in_parts(blocks: Iterable[Block], size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Times ``(n,)`` and signal ``(n, 3)`` of parts of ``size`` samples; the last part has at most a tenth more."""
    held: list[Block] = []
    for block in blocks:
        held.append(block)
        while sum(len(one.times) for one in held) >= size + size // 10:
            whole = _joined(held)
            yield whole.times[:size], whole.signal[:size]
            held = [Block(whole.times[size:], whole.signal[size:])]
    whole = _joined(held)
    yield whole.times, whole.signal


def _joined(blocks: list[Block]) -> Block:
    return Block(np.concatenate([one.times for one in blocks]), np.concatenate([one.signal for one in blocks]))


def _numbered(
    file_id: str, parts: Iterator[tuple[np.ndarray, np.ndarray]]
) -> Iterator[tuple[str, tuple[np.ndarray, np.ndarray]]]:
    """Number the parts as :func:`part_ids` does, without knowing their count."""
    first = next(parts)
    second = next(parts, None)
    if second is None:
        yield file_id, first
        return
    for i, part in enumerate(chain([first, second], parts), start=1):
        yield f"{file_id}#{i}", part


def _recordings_in(root: Path, pattern: str | None) -> dict[str, Path]:
    """Files by their path below the folder."""
    if root.is_file():
        raise DataError(f"{root} is a file: give the folder that contains it.")
    if not root.is_dir():
        raise DataError(f"There is no folder {root}{nearest_path(root)}.")
    files = without_other_signals(root, files_below(root, pattern))
    every = pattern is not None and is_table(pattern, chosen=True)
    found = {name: path for name, path in files.items() if every or is_device_file(name) or is_session(path)}
    known = f"{DEVICE_KINDS}; {KIND}"
    name_passed_over(root, (path for name, path in files.items() if name not in found), known)
    hint = " Tables are read with data=folder." if any(map(is_table, files)) else ""
    refuse_none(root, found, pattern, known, hint)
    refuse_twice(root, found)
    return found
