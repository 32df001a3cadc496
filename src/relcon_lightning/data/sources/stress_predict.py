"""Stress-Predict: Empatica E4 exports of people under mild stress and at rest (Iqbal et al. 2022)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from relcon_lightning.data.readers.raw_files import RawFile, find_files
from relcon_lightning.data.readers.tables import read_columns, stack
from relcon_lightning.data.recording import CohortInfo, Recording
from relcon_lightning.data.units import InFiles, Unit
from relcon_lightning.errors import DataError

_LAYOUT = (
    "Expected Raw_data/S01/ACC.csv and so on, in folders or in an archive. Get the repository "
    "italha-d/Stress-Predict-Dataset from GitHub."
)
_COUNTS_PER_G = 64  # Empatica: "E4 data - ACC expected signal"
_AXES = ["x", "y", "z"]


class StressPredict(InFiles):
    """35 people, about an hour each, Empatica E4 on the wrist, 32 Hz, one recording per person, without labels.

    Participants sit most of the time, so that the recordings add people to pre-training rather than activities.

    Args:
        raw_dir: Folder with ``SNN/ACC.csv`` somewhere below, plain or compressed; or the archive.

    Raises:
        DataError: The files are missing.
    """

    info = CohortInfo(
        name="stress_predict",
        sampling_rate=32.0,
        position="wrist",
        source="github.com/italha-d/Stress-Predict-Dataset, Raw_data",
        license="MIT",
        citation=(
            "Iqbal, Simpkin, Roshan et al. (2022). Stress monitoring using wearable sensors: a pilot study and "
            "Stress-Predict dataset. Sensors 22(21), 8135."
        ),
    )

    def __init__(self, raw_dir: str | Path | None) -> None:
        self.files = find_files(raw_dir, r"S(\d+)/ACC\.csv", _LAYOUT)

    def read_unit(self, unit: Unit) -> Iterator[Recording]:
        """One recording per person, with its start time."""
        (number,), file = unit.key, self.files[unit.key]
        start_time, signal = _read(file, self.info.sampling_rate)
        name = f"stress_predict-S{number}"
        yield Recording(name, name, signal, self.info.sampling_rate, start_time=start_time)


def _read(file: RawFile, expected_rate: float) -> tuple[float, np.ndarray]:
    """Start in Unix seconds and signal ``(n, 3)`` in g. The first row is the start, the second the rate."""
    table = stack(read_columns(file.read(), file.where, dict.fromkeys(_AXES, float), _AXES), _AXES)
    start, rate = table[0, 0], table[1, 0] if len(table) > 1 else np.nan
    if rate != expected_rate:
        raise DataError(f"{file.where}: expected the rate {expected_rate:g} in the second row, found {rate:g}.")
    if len(table) == 2 or not np.isfinite(table).all():
        raise DataError(f"{file.where} has no samples or an empty cell; download or copy it again.")
    return float(start), table[2:] / _COUNTS_PER_G
