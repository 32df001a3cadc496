"""Opportunity: morning routines in a sensor-rich room, with their modes of locomotion (Roggen et al. 2010; UCI 226)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from relcon_lightning.data.readers.labels import LabelledSamples, named, recordings_of
from relcon_lightning.data.readers.raw_files import RawFile, find_files
from relcon_lightning.data.readers.tables import read_spaced, stack
from relcon_lightning.data.recording import CohortInfo, Recording
from relcon_lightning.data.units import InFiles, Unit

_LAYOUT = (
    "Expected OpportunityUCIDataset/dataset/S1-ADL1.dat, S1-Drill.dat and so on, in folders or in an archive. Get "
    "https://archive.ics.uci.edu/static/public/226/opportunity+activity+recognition.zip; it need not be unpacked."
)
LOCOMOTION = {0: None, 1: "stand", 2: "walk", 4: "sit", 5: "lie"}
_COLUMNS = 250  # number of columns; column_names.txt counts from 1
_TIME, _LOCOMOTION = "0", "243"
_AXES = ["22", "23", "24"]  # accelerometer RWR, the right wrist


class Opportunity(InFiles):
    """4 people, five runs of daily activities and one drill each, right wrist, 30 Hz, one recording per run.

    Samples that were lost in wireless transmission are NaN.

    Args:
        raw_dir: Folder with ``S1-ADL1.dat`` and so on somewhere below, plain or zipped; or the archive.
        max_gap_s: Longest time between two samples of one recording, in seconds.

    Raises:
        DataError: The files are missing.
    """

    info = CohortInfo(
        name="opportunity",
        sampling_rate=30.0,
        position="wrist",
        source="UCI data set 226, OpportunityUCIDataset/dataset",
        license="CC BY 4.0 (as UCI lists it)",
        citation=(
            "Roggen, Calatroni, Rossi et al. (2010). Collecting complex activity datasets in highly rich networked "
            "sensor environments. International Conference on Networked Sensing Systems."
        ),
    )

    def __init__(self, raw_dir: str | Path | None, max_gap_s: float = 1.0) -> None:
        self.files = find_files(raw_dir, r"S(\d+)-(ADL\d+|Drill)\.dat", _LAYOUT)
        self.max_gap_s = max_gap_s

    def read_unit(self, unit: Unit) -> Iterator[Recording]:
        """Read each run of each person, with stand, walk, sit and lie as segments, split at gaps."""
        (subject, run), file = unit.key, self.files[unit.key]
        participant, samples = f"opportunity-S{subject}", _read(file)
        rate = self.info.sampling_rate
        yield from recordings_of(samples, f"{participant}-{run}", participant, rate, self.max_gap_s)


def _read(file: RawFile) -> LabelledSamples:
    """Read a run, whose units are milliseconds and mg."""
    where = f"{file.where}, right wrist"
    table = read_spaced(file.read(), file.where, [_TIME, *_AXES, _LOCOMOTION], _COLUMNS)
    labels = named(table[_LOCOMOTION], LOCOMOTION, where)
    return LabelledSamples(table[_TIME] / 1000, stack(table, _AXES) / 1000, labels, where)
