"""SP-SW-HAR: short walks with standing up, turning and sitting down (Matey-Sanz et al. 2023), smartwatch files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from relcon_lightning.data.readers.arrivals import evenly_spaced
from relcon_lightning.data.readers.labels import LabelledSamples, recordings_of
from relcon_lightning.data.readers.raw_files import RawFile, find_files
from relcon_lightning.data.readers.stretches import STANDARD_GRAVITY
from relcon_lightning.data.readers.tables import read_columns, stack
from relcon_lightning.data.recording import CohortInfo, Recording
from relcon_lightning.data.units import InFiles, Unit

_LAYOUT = (
    "Expected DATA/s01/s01_01_sw.csv and so on, in folders or in an archive. Get the repository "
    "GeoTecINIT/sp-sw-har-dataset from GitHub."
)
_AXES = ["x_acc", "y_acc", "z_acc"]
_TYPES = {**dict.fromkeys(_AXES, float), "timestamp": float, "label": str}


class SpSwHar(InFiles):
    """23 people, 223 sequences of about ten seconds, watch on the wrist, 104 Hz, one recording per sequence.

    Args:
        raw_dir: Folder with ``s01_01_sw.csv`` and so on somewhere below, plain or compressed; or the archive.
        max_gap_s: Longest time between two samples of one recording, in seconds.

    Raises:
        DataError: The files are missing.
    """

    info = CohortInfo(
        name="sp_sw_har",
        sampling_rate=104.28,  # mean rate of the time stamps over all sequences
        position="wrist",
        source="github.com/GeoTecINIT/sp-sw-har-dataset, DATA, files *_sw.csv",
        license="CC BY 4.0",
        citation=(
            "Matey-Sanz, Casteleyn, Granell (2023). Dataset of inertial measurements of smartphones and smartwatches "
            "for human activity recognition. Data in Brief 51, 109809."
        ),
    )

    def __init__(self, raw_dir: str | Path | None, max_gap_s: float = 1.0) -> None:
        self.files = find_files(raw_dir, r"s(\d+)_(\d+)_sw\.csv", _LAYOUT)
        self.max_gap_s = max_gap_s

    def read_unit(self, unit: Unit) -> Iterator[Recording]:
        """Read each sequence of each person, with segments seated, standing up, walking, turning and sitting down."""
        (subject, sequence), file = unit.key, self.files[unit.key]
        participant = f"sp_sw_har-s{subject}"
        name = f"{participant}-{sequence}"
        yield from recordings_of(self._read(file), name, participant, self.info.sampling_rate, self.max_gap_s)

    def _read(self, file: RawFile) -> LabelledSamples:
        """Read a sequence in m/s^2; time stamps are arrival times in Unix milliseconds."""
        table = read_columns(file.read(), file.where, _TYPES)
        times = evenly_spaced(table["timestamp"] / 1000, self.max_gap_s)
        labels = table["label"].astype(object)
        labels[:] = [label.lower() for label in labels]
        return LabelledSamples(times, stack(table, _AXES) / STANDARD_GRAVITY, labels, file.where)
