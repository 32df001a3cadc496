"""A folder of files as wearable devices write them: Axivity .cwa and GENEActiv .bin, by scikit-digital-health."""

from __future__ import annotations

import importlib
import logging
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

import numpy as np

from relcon_lightning.data.recording import CohortInfo, Recording
from relcon_lightning.data.sources.stretches import gap_free, part_ids
from relcon_lightning.errors import ConfigError, DataError

# By the end of a file's name: the reader in skdh.io, and how the file must start. Given anything else, the readers'
# native code ends this process or never returns.
READERS = {
    ".cwa": ("ReadCwa", rb"(?s)MD.{1534}"),  # a header of 1024 bytes, and blocks of 512
    ".bin": ("ReadBin", rb"(?s)Device Identity.*?Recorded Data"),  # a header in words, and pages
}
_HEAD = 2**16  # bytes in which that must be found
PART_S = 6 * 3600  # a week at once would need several times its memory to be put on a grid


@dataclass(frozen=True)
class _Content:
    times: np.ndarray  # (n,) seconds from the first sample
    signal: np.ndarray  # (n, 3) in g
    rate: float  # Hz, nominal
    start_time: float  # unix seconds


class DeviceFolder:
    """One file a recording, in sub-folders or not; those of more than six hours are parted into several.

    A device's clock and its nominal rate disagree by a few percent. The stamps rule: samples are interpolated to the
    nominal rate. Stamps have no time zone; they are taken for UTC. Blocks with a wrong checksum count as missing.

    Args:
        raw_dir: The folder.
        participant: Regular expression searched in a file's path below ``raw_dir``; its first group, or all of it if
            it has none, is the participant.
        name: Of the cohort.
        position: Of the sensor.
        max_gap_s: A recording is parted where its samples are further apart, in seconds.

    Raises:
        ConfigError: scikit-digital-health is not installed, or the regular expression is none.
        DataError: No such folder, no such files in it, a .gt3x file, or a file in whose path no participant is found.
    """

    def __init__(
        self,
        raw_dir: str | Path | None,
        participant: str,
        name: str = "device",
        position: str = "wrist",
        max_gap_s: float = 1.0,
    ) -> None:
        if raw_dir is None:
            raise DataError("data.raw_dir must name the folder of your recordings.")
        self.root, self.name, self.position, self.max_gap_s = Path(raw_dir), name, position, max_gap_s
        self.people = {path: self._participant(path, participant) for path in _files_below(self.root)}
        self.readers = _import_readers()

    @cached_property
    def info(self) -> CohortInfo:
        """The rate is that of the first file."""
        rate = self._read(next(iter(self.people))).rate
        return CohortInfo(self.name, rate, self.position, f"the user's own files in {self.root.name}", "own", "none")

    def recordings(self) -> Iterator[Recording]:
        """One file after the other; a gap parts them."""
        for path, person in self.people.items():
            read, file_id = self._read(path), path.relative_to(self.root).as_posix()
            parts = -(-len(read.times) // round(PART_S * read.rate))
            pieces = zip(np.array_split(read.times, parts), np.array_split(read.signal, parts), strict=True)
            for part_id, (times, signal) in zip(part_ids(file_id, parts), pieces, strict=True):
                _, stretches = gap_free(times, signal, str(path), self.max_gap_s, read.rate)
                for name, (start_s, stretch) in zip(part_ids(part_id, len(stretches)), stretches, strict=True):
                    yield Recording(name, person, stretch, read.rate, start_time=read.start_time + start_s)

    def _participant(self, path: Path, expression: str) -> str:
        file = path.relative_to(self.root).as_posix()
        try:
            match = re.search(expression, file)
        except re.error as error:
            raise ConfigError(f"data.source.participant={expression} is no regular expression: {error}.") from error
        person = (match[1] if match.re.groups else match[0]) if match else None
        if not person:
            raise DataError(f"{path}: data.source.participant={expression} finds no participant in {file!r}.")
        return person

    def _read(self, path: Path) -> _Content:
        reader, start = READERS[path.suffix.lower()]
        with path.open("rb") as file:
            if not re.match(start, file.read(_HEAD)):
                raise DataError(f"{path} is cut short or no {path.suffix} file; copy it from the device again.")
        try:
            with warnings.catch_warnings(action="ignore"):  # that stamps have no time zone
                read = getattr(self.readers, reader)().predict(file=path)
        except Exception as error:  # of many kinds
            raise DataError(f"{path} cannot be read ({error}); copy it from the device again.") from error
        times, signal = read["time"], read["accel"]
        if not len(times):
            raise DataError(f"{path} holds no samples.")
        signal[(signal == 0).all(axis=1)] = np.nan  # what the reader makes of a block with a wrong checksum
        return _Content(times - times[0], signal, float(read["fs"]), float(times[0]))


def _files_below(root: Path) -> list[Path]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    for path in files:
        if path.suffix.lower() == ".gt3x":
            raise DataError(
                f"{path}: scikit-digital-health does not read .gt3x. Convert it to a CSV with columns time, x, y and z "
                "and give that to data=folder."
            )
    found = [path for path in files if path.suffix.lower() in READERS]
    if not found:
        raise DataError(f"{root} has no recordings: expected files that end in {', '.join(READERS)}.")
    return found


def _import_readers() -> ModuleType:
    logging.getLogger("skdh").setLevel(logging.WARNING)  # it tells of every call
    try:
        return importlib.import_module("skdh.io")
    except ImportError as error:
        raise ConfigError(
            f"data=device needs scikit-digital-health ({error}): pip install 'relcon-lightning[devices]'."
        ) from error
