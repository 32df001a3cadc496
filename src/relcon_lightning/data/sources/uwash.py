"""UWash: hand washing with a smartwatch (Wang et al. 2025), the recordings made in the wild."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from relcon_lightning.data.readers.arrivals import evenly_spaced
from relcon_lightning.data.readers.raw_files import find_files
from relcon_lightning.data.readers.stretches import STANDARD_GRAVITY, gap_free, part_ids
from relcon_lightning.data.readers.tables import read_columns, stack
from relcon_lightning.data.recording import CohortInfo, Recording
from relcon_lightning.data.units import InFiles, Unit

_LAYOUT = (
    "Expected imuData_1_1.1.1.csv and so on (imuData_PERSON_...), in a folder or in an archive. Get the folder "
    "inwildTest of the repository aiotgroup/UWash from GitHub, and replace the initials in its file names by numbers."
)
_AXES = ["acc_x", "acc_y", "acc_z"]
_TYPES = {**dict.fromkeys(_AXES, float), "timestamp": float}


class UWash(InFiles):
    """10 people, 150 recordings of about a minute, watch on the wrist, 50 Hz, without labels.

    Args:
        raw_dir: Folder with ``imuData_PERSON_A.B.C.csv`` somewhere below, plain or compressed; or the archive.
        max_gap_s: Longest time between two samples of one recording, in seconds. Samples arrive in bursts, up to
            0.4 s apart.

    Raises:
        DataError: The files are missing.
    """

    info = CohortInfo(
        name="uwash",
        sampling_rate=50.0,
        position="wrist",
        source="github.com/aiotgroup/UWash, inwildTest",
        license="MIT",
        citation=(
            "Wang, Wu, Zhang et al. (2025). You can wash hands better: accurate daily handwashing assessment with a "
            "smartwatch. IEEE Transactions on Mobile Computing 24(10)."
        ),
    )

    def __init__(self, raw_dir: str | Path | None, max_gap_s: float = 0.5) -> None:
        self.files = find_files(raw_dir, r"imuData_(\d+)_([\d.]+)\.csv", _LAYOUT)
        self.max_gap_s = max_gap_s

    def read_unit(self, unit: Unit) -> Iterator[Recording]:
        """Read each file, split at gaps."""
        (person, number), file = unit.key, self.files[unit.key]
        table = read_columns(file.read(), file.where, _TYPES)
        times = evenly_spaced(table["timestamp"] / 1000, self.max_gap_s)
        signal = stack(table, _AXES) / STANDARD_GRAVITY
        rate, stretches = gap_free(times, signal, file.where, self.max_gap_s, self.info.sampling_rate)
        participant = f"uwash-{int(person):02d}"
        ids = part_ids(f"{participant}-{number}", len(stretches))
        for name, (start_s, part) in zip(ids, stretches, strict=True):
            yield Recording(name, participant, part, rate, start_time=table["timestamp"][0] / 1000 + start_s)
