"""PAMAP2: physical activities with sensors on wrist, chest and ankle (Reiss and Stricker 2012; UCI data set 231)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from relcon_lightning.data.readers.labels import LabelledSamples, named, recordings_of
from relcon_lightning.data.readers.raw_files import RawFile, find_files
from relcon_lightning.data.readers.stretches import STANDARD_GRAVITY
from relcon_lightning.data.readers.tables import read_spaced, stack
from relcon_lightning.data.recording import CohortInfo, Recording
from relcon_lightning.data.units import InFiles, Unit
from relcon_lightning.errors import ConfigError

_LAYOUT = (
    "Expected PAMAP2_Dataset/Protocol/subject101.dat and so on, in folders or in an archive. Get "
    "https://archive.ics.uci.edu/static/public/231/pamap2+physical+activity+monitoring.zip; it need not be unpacked."
)
# The twelve activities of the protocol; 0 is the time between them.
ACTIVITIES = {
    0: None,
    1: "lying",
    2: "sitting",
    3: "standing",
    4: "walking",
    5: "running",
    6: "cycling",
    7: "nordic_walking",
    12: "ascending_stairs",
    13: "descending_stairs",
    16: "vacuum_cleaning",
    17: "ironing",
    24: "rope_jumping",
}
# First column of the 16 g accelerometer. The 6 g accelerometer saturates in running and jumping.
POSITIONS = {"wrist": 4, "chest": 21, "ankle": 38}
_COLUMNS = 54
_TIME, _ACTIVITY = "0", "1"


class Pamap2(InFiles):
    """9 people, 12 activities in one recording each, 100 Hz.

    The files of ``Protocol/`` are read, those of ``Optional/`` are not. Lost samples are NaN.

    Args:
        raw_dir: Folder with ``Protocol/subject101.dat`` and so on, plain, zipped or zipped twice; or the archive.
        position: One of :data:`POSITIONS`; wrist and ankle are on the dominant side. A store contains one position.
        max_gap_s: Longest time between two samples of one recording, in seconds.

    Raises:
        ConfigError: Unknown position.
        DataError: The files are missing.
    """

    def __init__(self, raw_dir: str | Path | None, position: str = "wrist", max_gap_s: float = 1.0) -> None:
        if position not in POSITIONS:
            raise ConfigError(f"data.source.position={position}: expected one of {', '.join(POSITIONS)}.")
        self.files = find_files(raw_dir, r"Protocol/subject(\d+)\.dat", _LAYOUT)
        self.axes = [str(POSITIONS[position] + axis) for axis in range(3)]
        self.max_gap_s = max_gap_s
        self.info = CohortInfo(
            name="pamap2",
            sampling_rate=100.0,
            position=position,
            source="UCI data set 231, PAMAP2_Dataset/Protocol",
            license="CC BY 4.0 (as UCI lists it)",
            citation=(
                "Reiss, Stricker (2012). Introducing a new benchmarked dataset for activity monitoring. "
                "International Symposium on Wearable Computers."
            ),
        )

    def read_unit(self, unit: Unit) -> Iterator[Recording]:
        """Read the recording of each person, with one segment per activity, split at gaps."""
        (subject,), file = unit.key, self.files[unit.key]
        name, samples = f"pamap2-{subject}", self._read(file)
        yield from recordings_of(samples, name, name, self.info.sampling_rate, self.max_gap_s)

    def _read(self, file: RawFile) -> LabelledSamples:
        where = f"{file.where}, {self.info.position}"
        table = read_spaced(file.read(), file.where, [_TIME, _ACTIVITY, *self.axes], _COLUMNS)
        labels = named(table[_ACTIVITY], ACTIVITIES, where)
        return LabelledSamples(table[_TIME], stack(table, self.axes) / STANDARD_GRAVITY, labels, where)
