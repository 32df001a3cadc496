"""MotionSense: six activities with a phone in the front trouser pocket (Malekzadeh et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from relcon_lightning.data.readers.raw_files import RawFile, find_files
from relcon_lightning.data.readers.tables import read_columns, stack
from relcon_lightning.data.recording import CohortInfo, Recording, Segment
from relcon_lightning.data.units import InFiles, Unit
from relcon_lightning.errors import ConfigError

_LAYOUT = (
    "Expected {0}/dws_1/sub_1.csv (or .csv.xz) and so on, in folders or in {0}.zip. Get data/{0}.zip of the repository "
    "https://github.com/mmalekzadeh/motion-sense; it need not be unpacked."
)
# Columns whose sum is one axis of the acceleration with gravity.
_COLUMNS = {
    "A_DeviceMotion_data": [[f"{part}.{axis}" for axis in "xyz"] for part in ("gravity", "userAcceleration")],
    "B_Accelerometer_data": [["x", "y", "z"]],
}


class MotionSense(InFiles):
    """24 people, downstairs, upstairs, walking, jogging, sitting, standing; 15 trials, 50 Hz, one recording per trial.

    Args:
        raw_dir: Folder with ``A_DeviceMotion_data/dws_1/sub_1.csv`` and so on, plain or zipped; or the archive.
        layout: ``A_DeviceMotion_data``, whose gravity and user acceleration are added, or ``B_Accelerometer_data``,
            the accelerometer itself.

    Raises:
        ConfigError: Unknown layout.
        DataError: The files are missing.
    """

    info = CohortInfo(
        name="motionsense",
        sampling_rate=50.0,
        position="front trouser pocket",
        source="https://github.com/mmalekzadeh/motion-sense",
        license="MIT",
        citation=(
            "Malekzadeh, Clegg, Cavallaro, Haddadi (2019). Mobile sensor data anonymization. "
            "Internet of Things Design and Implementation."
        ),
    )

    def __init__(self, raw_dir: str | Path | None, layout: str = "A_DeviceMotion_data") -> None:
        if layout not in _COLUMNS:
            raise ConfigError(f"data.source.layout={layout}: expected one of {', '.join(_COLUMNS)}.")
        pattern = layout + r"/(dws|ups|wlk|jog|sit|std)_(\d+)/sub_(\d+)\.csv"
        self.files = find_files(raw_dir, pattern, _LAYOUT.format(layout))
        self.columns = _COLUMNS[layout]

    def read_unit(self, unit: Unit) -> Iterator[Recording]:
        """Read each trial of each person, labelled with the prefix of its folder, e.g. ``dws``."""
        (activity, trial, person), file = unit.key, self.files[unit.key]
        signal, rate, participant = self._read(file), self.info.sampling_rate, f"motionsense-{int(person):02d}"
        yield Recording(
            recording_id=f"{participant}-{activity}_{trial}",
            participant_id=participant,
            signal=signal,
            sampling_rate=rate,
            segments=(Segment(0.0, len(signal) / rate, activity),),
            attributes={"trial": trial},
        )

    def _read(self, file: RawFile) -> np.ndarray:
        """Read a signal ``(n, 3)`` in g."""
        types = {name: float for names in self.columns for name in names}
        columns = read_columns(file.read(), file.where, types)
        total: np.ndarray = sum((stack(columns, names) for names in self.columns), np.zeros(3))
        return total
