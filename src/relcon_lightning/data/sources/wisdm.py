"""WISDM 2019: daily activities with a smartwatch (Weiss et al. 2019; UCI data set 507)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from relcon_lightning.data.readers.raw_files import RawFile, find_files
from relcon_lightning.data.readers.stretches import STANDARD_GRAVITY, gap_free, part_ids
from relcon_lightning.data.readers.tables import read_columns, stack
from relcon_lightning.data.recording import CohortInfo, Recording, Segment
from relcon_lightning.data.units import InFiles, Unit
from relcon_lightning.errors import DataError

_LAYOUT = (
    "Expected wisdm-dataset/raw/watch/accel/data_1600_accel_watch.txt (or .txt.xz) and so on. Get "
    "https://archive.ics.uci.edu/static/public/507/wisdm+smartphone+and+smartwatch+activity+and+biometrics+dataset.zip "
    "and unpack it, also the wisdm-dataset.zip in it."
)
_NAMES = (
    "walking jogging stairs sitting standing typing teeth soup chips pasta drinking sandwich kicking catch dribbling "
    "writing clapping folding"
)
ACTIVITIES = dict(zip("ABCDEFGHIJKLMOPQRS", _NAMES.split(), strict=True))  # activity_key.txt; there is no N
_TYPES = {"subject": int, "letter": str, "time": int, "x": float, "y": float, "z": float}


class Wisdm(InFiles):
    """51 people, 18 activities of three minutes, watch on the wrist, one recording per activity.

    The sampling rate is that of the time stamps, not the nominal 20 Hz (several recordings have 100 Hz). Stamps have no
    common origin, so recordings have no start time.

    Args:
        raw_dir: Folder with ``data_16NN_accel_watch.txt`` of all or some people, at any depth.
        max_gap_s: Longest time between two samples of one recording, in seconds.

    Raises:
        DataError: The files are missing.
    """

    info = CohortInfo(
        name="wisdm",
        sampling_rate=20.0,
        position="wrist",
        source="UCI data set 507, wisdm-dataset/raw/watch/accel",
        license="CC BY 4.0 (as UCI lists it)",
        citation=(
            "Weiss, Yoneda, Hayajneh (2019). Smartphone and smartwatch-based biometrics using activities of daily "
            "living. IEEE Access 7."
        ),
    )

    def __init__(self, raw_dir: str | Path | None, max_gap_s: float = 1.0) -> None:
        self.files = find_files(raw_dir, r"data_(\d+)_accel_watch\.txt", _LAYOUT)
        self.max_gap_s = max_gap_s

    def read_unit(self, unit: Unit) -> Iterator[Recording]:
        """Read each activity of each person at the rate of its time stamps, split at gaps."""
        (subject,), file = unit.key, self.files[unit.key]
        yield from self._of_person(subject, file)

    def _of_person(self, subject: str, file: RawFile) -> Iterator[Recording]:
        table = _read(file, int(subject))
        letters, signal = table["letter"], stack(table, ["x", "y", "z"]) / STANDARD_GRAVITY
        for letter in dict.fromkeys(letters):
            if letter not in ACTIVITIES:
                raise DataError(f"{file.where}: unknown activity {letter!r}; expected one of {' '.join(ACTIVITIES)}.")
            rows = np.flatnonzero(letters == letter)
            times = (table["time"][rows] - table["time"][rows[0]]) / 1e9
            where = f"{file.where}, activity {letter}"
            rate, stretches = gap_free(times, signal[rows], where, self.max_gap_s)
            ids = part_ids(f"wisdm-{subject}-{ACTIVITIES[letter]}", len(stretches))
            for name, (_, part) in zip(ids, stretches, strict=True):
                segment = Segment(0.0, len(part) / rate, ACTIVITIES[letter])
                yield Recording(name, f"wisdm-{subject}", part, rate, (segment,))


def _read(file: RawFile, subject: int) -> dict[str, np.ndarray]:
    content = file.read().replace(b"\r", b"").rstrip(b"\n")
    if not content.endswith(b";"):
        raise DataError(f"{file.where} is {'cut short' if content else 'empty'}: its last line must end in ';'.")
    table = read_columns(content.replace(b";\n", b"\n").removesuffix(b";"), file.where, _TYPES, list(_TYPES))
    strangers = table["subject"][table["subject"] != subject]
    if len(strangers):
        raise DataError(f"{file.where} contains rows of another subject, {strangers[0]}.")
    return table
