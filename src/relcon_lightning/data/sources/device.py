"""A folder of files as wearable devices write them: Axivity .cwa, GENEActiv .bin and ActiGraph .gt3x."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np

from relcon_lightning.data.recording import CohortInfo, Recording
from relcon_lightning.data.sources.device_clock import DeviceClock
from relcon_lightning.data.sources.device_files.contents import Contents, Samples
from relcon_lightning.data.sources.device_files.opened import open_device_file
from relcon_lightning.data.sources.missing import missing_rows, name_missing
from relcon_lightning.data.sources.paths import participant_in
from relcon_lightning.data.sources.stretches import gap_free, part_ids
from relcon_lightning.data.sources.suffixes import DEVICE_KINDS, is_device_file, name_passed_over, text_of
from relcon_lightning.data.stream import Block
from relcon_lightning.data.units import InUnits, Unit
from relcon_lightning.errors import DataError, nearest_path

PART_S = 6 * 3600  # a week at once would need several times its memory to be put on a grid
_OVERLAP_S = 1.0  # by which the samples of two blocks may overlap: GENEActiv rounds to half a second


@dataclass(frozen=True)
class DeviceStream:
    """A recording that is read piece by piece.

    Attributes:
        rate: Nominal, in Hz.
        start_time: Of the first sample, in unix seconds.
        blocks: Of about 60,000 samples, without those that stand for missing ones, in the order of time.
    """

    rate: float
    start_time: float
    blocks: Iterator[Block]


class DeviceFolder(InUnits):
    """One file a recording, in sub-folders or not; those of more than six hours are parted into several.

    A device's clock and its nominal rate disagree by a few percent. The stamps rule: samples are interpolated to the
    nominal rate. Files are read block by block, compressed ones too. Rows of zeros, as an ActiGraph's idle sleep leaves
    them, count as missing; see :func:`~relcon_lightning.data.sources.missing.missing_rows`.

    Args:
        raw_dir: The folder.
        participant: Regular expression searched in a file's path below ``raw_dir``; its first group, or all of it if
            it has none, is the participant.
        name: Of the cohort.
        position: Of the sensor.
        max_gap_s: A recording is parted where its samples are further apart, in seconds.
        lenient: Take what can be read of a damaged file, with a warning, rather than stop.
        time_zone: Of the clocks of the devices, an IANA name such as ``Europe/London`` or an offset such as ``+01:00``;
            None for the one that a file states, and else UTC.

    Raises:
        ConfigError: The regular expression is none, or there is no such time zone.
        DataError: No such folder, no such files in it, or a file in whose path no participant is found.
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
    ) -> None:
        if raw_dir is None:
            raise DataError("data.raw_dir must name the folder of your recordings.")
        self.root, self.name, self.position, self.max_gap_s = Path(raw_dir), name, position, max_gap_s
        self.lenient, self.clock = lenient, DeviceClock(time_zone)
        self.people = {
            path: participant_in(participant, text_of(path.relative_to(self.root)), self.root)
            for path in _files_below(self.root)
        }

    @cached_property
    def info(self) -> CohortInfo:
        """The rate is that of the first file that can be read."""
        *others, last = self.people
        for path in others:
            with suppress(DataError), open_stream(path, self.clock, self.lenient) as stream:
                return self._info(stream.rate)
        with open_stream(last, self.clock, self.lenient) as stream:
            return self._info(stream.rate)

    def _info(self, rate: float) -> CohortInfo:
        return CohortInfo(self.name, rate, self.position, f"the user's own files in {self.root.name}", "own", "none")

    def units(self) -> list[Unit]:
        """A unit for each file."""
        names = {path: text_of(path.relative_to(self.root)) for path in self.people}
        settings = (self.max_gap_s, self.lenient, self.clock.name)
        return [Unit(names[path], path, path, repr((person, settings))) for path, person in self.people.items()]

    def read_unit(self, unit: Unit) -> Iterator[Recording]:
        """A file; a gap parts it."""
        path: Path = unit.key
        with open_stream(path, self.clock, self.lenient) as stream:
            parts = _in_parts(stream.blocks, round(PART_S * stream.rate))
            for part_id, (times, signal) in _numbered(unit.name, parts):
                _, stretches = gap_free(times, signal, text_of(path), self.max_gap_s, stream.rate)
                for name, (start_s, stretch) in zip(part_ids(part_id, len(stretches)), stretches, strict=True):
                    start_time = stream.start_time + start_s
                    yield Recording(name, self.people[path], stretch, stream.rate, start_time=start_time)


@contextmanager
def open_stream(path: Path, clock: DeviceClock, lenient: bool = False) -> Iterator[DeviceStream]:
    """Open a file of a device.

    Raises:
        DataError: Damaged, of another device, or without samples; also while its blocks are read.
    """
    with open_device_file(path, lenient) as contents:
        samples = (some for some in contents.samples if len(some.stamps))
        first = next(samples, None)
        if first is None:
            raise DataError(f"{text_of(path)} holds no samples of the acceleration.")
        origin = int(first.stamps[0])
        offset_s = clock.offset_s(origin / 1e9, contents.utc_offset_s, text_of(path))
        blocks = _blocks(path, contents, chain([first], samples), origin, clock)
        yield DeviceStream(contents.rate, origin / 1e9 - offset_s, blocks)


def _blocks(
    path: Path, contents: Contents, samples: Iterable[Samples], origin: int, clock: DeviceClock
) -> Iterator[Block]:
    """Samples that are there, with times in seconds from the first one; those before the last of them are left out."""
    rows, missing, last, empty = 0, 0, origin - 1, True
    for some in samples:
        left_out = missing_rows(some.signal)
        rows, missing = rows + len(left_out), missing + int(left_out.sum())
        latest = np.maximum.accumulate(np.append(last, some.stamps))
        back_s = float((latest[:-1] - some.stamps).max()) / 1e9
        if back_s > _OVERLAP_S:
            contents.damage.found(f"samples that lie {back_s:.0f} s before the ones that come before them")
        kept = ~left_out & (some.stamps > latest[:-1])
        last = int(latest[-1])
        if kept.any():
            empty = False
            yield Block((some.stamps[kept] - origin) / 1e9, some.signal[kept])
    name_missing(text_of(path), missing, rows)
    if empty:
        raise DataError(f"{text_of(path)} holds no samples of the acceleration but zeros and fill values.")
    clock.name_change(origin / 1e9, last / 1e9, text_of(path))


def _in_parts(blocks: Iterable[Block], size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Times ``(n,)`` and signal ``(n, 3)`` of parts of ``size`` samples; the last one has up to a tenth more."""
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
    """Ids as :func:`part_ids` gives them, without knowing beforehand how many parts there are."""
    first = next(parts)
    second = next(parts, None)
    if second is None:
        yield file_id, first
        return
    for i, part in enumerate(chain([first, second], parts), start=1):
        yield f"{file_id}#{i}", part


def _files_below(root: Path) -> list[Path]:
    if not root.is_dir():
        raise DataError(f"There is no folder {root}{nearest_path(root)}.")
    files = sorted(path for path in root.rglob("*") if path.is_file())
    found = [path for path in files if is_device_file(path.name)]
    name_passed_over(root, (path for path in files if path not in found), DEVICE_KINDS)
    if not found:
        raise DataError(f"{root} has no recordings: expected files that end in {DEVICE_KINDS}.")
    return found
