"""A folder of files as wearable devices write them: Axivity .cwa, GENEActiv .bin and ActiGraph .gt3x, by actfast."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from relcon_lightning.data.recording import CohortInfo, Recording
from relcon_lightning.data.sources.paths import participant_in
from relcon_lightning.data.sources.stretches import gap_free, part_ids
from relcon_lightning.data.sources.suffixes import name_passed_over, text_of
from relcon_lightning.data.units import InUnits, Unit
from relcon_lightning.errors import ConfigError, DataError, nearest_path

log = logging.getLogger(__name__)

SUFFIXES = (".cwa", ".bin", ".gt3x")
_DRIFT = 0.05  # that an oscillator may be off by
PART_S = 6 * 3600  # a week at once would need several times its memory to be put on a grid


@dataclass(frozen=True)
class _Content:
    times: np.ndarray  # (n,) seconds from the first sample
    signal: np.ndarray  # (n, 3) in g
    rate: float  # Hz, nominal
    start_time: float  # unix seconds


class DeviceFolder(InUnits):
    """One file a recording, in sub-folders or not; those of more than six hours are parted into several.

    A device's clock and its nominal rate disagree by a few percent. The stamps rule: samples are interpolated to the
    nominal rate. Stamps have no time zone; they are taken for UTC. Of .gt3x files those with 12-bit records are read
    (wGT3X-BT and older); of others actfast gives no acceleration, and they are refused.

    Args:
        raw_dir: The folder.
        participant: Regular expression searched in a file's path below ``raw_dir``; its first group, or all of it if
            it has none, is the participant.
        name: Of the cohort.
        position: Of the sensor.
        max_gap_s: A recording is parted where its samples are further apart, in seconds.
        lenient: Take what can be read of a damaged file, with a warning, rather than stop.

    Raises:
        ConfigError: actfast is not installed, or the regular expression is none.
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
    ) -> None:
        if raw_dir is None:
            raise DataError("data.raw_dir must name the folder of your recordings.")
        self.root, self.name, self.position, self.max_gap_s = Path(raw_dir), name, position, max_gap_s
        self.people = {
            path: participant_in(participant, text_of(path.relative_to(self.root)), self.root)
            for path in _files_below(self.root)
        }
        self.lenient = lenient
        _import_reader()

    @cached_property
    def info(self) -> CohortInfo:
        """The rate is that of the first file."""
        rate = self._read(next(iter(self.people))).rate
        return CohortInfo(self.name, rate, self.position, f"the user's own files in {self.root.name}", "own", "none")

    def units(self) -> list[Unit]:
        """A unit for each file."""
        names = {path: text_of(path.relative_to(self.root)) for path in self.people}
        settings = (self.max_gap_s, self.lenient)
        return [Unit(names[path], path, path, repr((person, settings))) for path, person in self.people.items()]

    def read_unit(self, unit: Unit) -> Iterator[Recording]:
        """A file; a gap parts it."""
        path = unit.key
        read = self._read(path)
        parts = -(-len(read.times) // round(PART_S * read.rate))
        pieces = zip(np.array_split(read.times, parts), np.array_split(read.signal, parts), strict=True)
        for part_id, (times, signal) in zip(part_ids(unit.name, parts), pieces, strict=True):
            _, stretches = gap_free(times, signal, str(path), self.max_gap_s, read.rate)
            for name, (start_s, stretch) in zip(part_ids(part_id, len(stretches)), stretches, strict=True):
                yield Recording(name, self.people[path], stretch, read.rate, start_time=read.start_time + start_s)

    def _read(self, path: Path) -> _Content:
        try:
            read = _import_reader().read(path, lenient=self.lenient)
        except (ValueError, OSError) as error:
            raise DataError(
                f"{path} is damaged or no {path.suffix} file ({error}). Copy it from the device again, or take what "
                "can be read of it with data.source.lenient=true."
            ) from error
        for warning in read["warnings"]:
            log.warning("%s: %s", path, warning)
        table = next((table for table in read["timeseries"].values() if "acceleration" in table), None)
        if table is None or len(table["datetime"]) < 2:
            raise DataError(f"{path} holds no samples of the acceleration.")
        stamps = table["datetime"]
        blocks = [other["datetime"] for other in read["timeseries"].values() if other is not table]
        times = _spread(stamps, *blocks[:1]) if read["format"] == "Axivity CWA" else (stamps - stamps[0]) / 1e9
        rate = round(1e9 / float(np.median(np.diff(stamps))), 3)
        return _Content(times, table["acceleration"], rate, float(stamps[0]) / 1e9)


def _spread(stamps: np.ndarray, blocks: np.ndarray | None = None) -> np.ndarray:
    """Seconds from the first sample, the samples of each block evenly up to the next one.

    A block has one stamp; that its samples are a nominal step apart is the reader's guess, and the device's oscillator
    is off by a few percent. Where the next block is much later, it is not the oscillator but a gap.

    Args:
        stamps: ``(n,)`` ns.
        blocks: ``(b,)`` ns, of the first sample of each block.
    """
    seconds = (stamps - stamps[0]) / 1e9
    if blocks is None or len(blocks) < 2:
        return np.asarray(seconds)
    first = np.searchsorted(stamps, blocks)
    if first[-1] >= len(stamps) or not np.array_equal(stamps[first], blocks) or np.diff(first).min() < 1:
        return np.asarray(seconds)
    sizes = np.diff(first, append=len(stamps))
    nominal = np.median(np.diff(seconds))
    steps = np.diff(seconds[first]) / sizes[:-1]
    steps = np.where(np.abs(steps / nominal - 1) < _DRIFT, steps, nominal)
    steps = np.append(steps, steps[-1])
    within = np.arange(len(stamps)) - np.repeat(first, sizes)
    return np.asarray(np.repeat(seconds[first], sizes) + within * np.repeat(steps, sizes))


def _files_below(root: Path) -> list[Path]:
    if not root.is_dir():
        raise DataError(f"There is no folder {root}{nearest_path(root)}.")
    files = sorted(path for path in root.rglob("*") if path.is_file())
    found = [path for path in files if path.suffix.lower() in SUFFIXES]
    name_passed_over(root, (path for path in files if path not in found), ", ".join(SUFFIXES))
    if not found:
        raise DataError(f"{root} has no recordings: expected files that end in {', '.join(SUFFIXES)}.")
    return found


def _import_reader() -> Any:
    try:
        return importlib.import_module("actfast")
    except ImportError as error:
        raise ConfigError(f"data=device needs actfast ({error}): pip install 'relcon-lightning[devices]'.") from error
