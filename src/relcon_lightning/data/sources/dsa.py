"""Daily and Sports Activities: 19 activities with sensors on torso, arms and legs (Altun et al. 2010; UCI 256)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from relcon_lightning.data.readers.raw_files import RawFile, find_files
from relcon_lightning.data.readers.stretches import STANDARD_GRAVITY, part_ids
from relcon_lightning.data.readers.tables import read_columns, stack
from relcon_lightning.data.recording import CohortInfo, Recording, Segment
from relcon_lightning.data.units import InUnits, Unit
from relcon_lightning.errors import ConfigError, DataError

_LAYOUT = (
    "Expected data/a01/p1/s01.txt and so on, in folders, in one .zip or in data/a01.tar.xz and so on. Get "
    "https://archive.ics.uci.edu/static/public/256/daily+and+sports+activities.zip; it need not be unpacked."
)
_NAMES = (
    "sitting standing lying_on_back lying_on_right_side ascending_stairs descending_stairs standing_in_elevator "
    "moving_in_elevator walking_in_parking_lot treadmill_walk treadmill_walk_inclined treadmill_run stepper "
    "cross_trainer exercise_bike_horizontal exercise_bike_vertical rowing jumping basketball"
)
ACTIVITIES = {f"{number:02d}": name for number, name in enumerate(_NAMES.split(), start=1)}
# First of the three acceleration columns of each position.
POSITIONS = {"torso": 0, "right_wrist": 9, "left_wrist": 18, "right_leg": 27, "left_leg": 36}
_COLUMNS, _ROWS = [str(column) for column in range(45)], 125


class DailyAndSports(InUnits):
    """8 people, 19 activities of five minutes, 25 Hz; each activity of a person is one recording.

    A recording is published as consecutive files of 5 s, which are joined. If one is missing, the
    recording is split.

    Args:
        raw_dir: Folder with ``data/a01/p1/s01.txt`` and so on, plain or in archives; or the archive.
        position: One of :data:`POSITIONS`. A store contains one position.

    Raises:
        ConfigError: Unknown position.
        DataError: The files are missing, or two are of the same five seconds.
    """

    def __init__(self, raw_dir: str | Path | None, position: str = "right_wrist") -> None:
        if position not in POSITIONS:
            raise ConfigError(f"data.source.position={position}: expected one of {', '.join(POSITIONS)}.")
        self.files = find_files(raw_dir, r"a(\d\d)/p(\d+)/s(\d\d)\.txt", _LAYOUT)
        self.axes = _COLUMNS[POSITIONS[position] : POSITIONS[position] + 3]
        self.info = CohortInfo(
            name="dsa",
            sampling_rate=25.0,
            position=position.replace("_", " "),
            source="UCI data set 256",
            license="CC BY 4.0 (as UCI lists it)",
            citation=(
                "Altun, Barshan, Tuncel (2010). Comparative study on classifying human activities with miniature "
                "inertial and magnetic sensors. Pattern Recognition 43(10)."
            ),
        )

    def units(self) -> list[Unit]:
        """One unit per activity and person."""
        return [Unit("/".join(key), key) for key, _ in groupby(self.files, key=lambda key: key[:2])]

    def read_unit(self, unit: Unit) -> Iterator[Recording]:
        """Read an activity of a person, with one segment that is labelled with the activity."""
        activity, person = unit.key
        numbers = [int(key[2]) for key in self.files if key[:2] == unit.key]
        if activity not in ACTIVITIES:
            raise DataError(f"{self._file(activity, person, numbers[0]).where}: unknown activity; expected a01 to a19.")
        runs = _consecutive(numbers)
        label, participant = ACTIVITIES[activity], f"dsa-p{person}"
        for name, run in zip(part_ids(f"{participant}-{label}", len(runs)), runs, strict=True):
            pieces = [self._read(self._file(activity, person, number)) for number in run]
            signal, rate = np.concatenate(pieces), self.info.sampling_rate
            yield Recording(name, participant, signal, rate, (Segment(0.0, len(signal) / rate, label),))

    def _file(self, activity: str, person: str, number: int) -> RawFile:
        return self.files[activity, person, f"{number:02d}"]

    def _read(self, file: RawFile) -> np.ndarray:
        """Signal ``(125, 3)`` in g."""
        columns = read_columns(file.read(), file.where, dict.fromkeys(self.axes, float), _COLUMNS)
        signal = stack(columns, self.axes) / STANDARD_GRAVITY
        if len(signal) != _ROWS:
            raise DataError(f"{file.where} has {len(signal)} rows, expected {_ROWS}; download or copy it again.")
        return signal


def _consecutive(numbers: list[int]) -> list[list[int]]:
    """Split an ascending list into runs of consecutive numbers."""
    edges = np.flatnonzero(np.diff(numbers) != 1) + 1
    return [run.tolist() for run in np.split(np.array(numbers), edges)]
